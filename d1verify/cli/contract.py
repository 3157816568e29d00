"""`d1verify contract`: every call of the contract, sent to a running app in whatever language it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ..errors import ConfigurationError
from ..testing import Case, FakeD1, Report, Result, UnreachableError, URLSender, contract_cases, run_contract
from ..testing.report import Outcome
from .output import ExitCode, stderr

__all__ = ["Reports", "Signer", "Target", "check_contract"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The app to call, and how."""

    url: str
    method: str
    body: Path | None
    headers: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who plays D1: a private key whose public half the app trusts, and what its tokens say."""

    key: Path
    kid: str
    audience: str
    subject: str
    leeway: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Where the report goes beside standard output; `-` for JSON puts it there instead of the table."""

    junit: Path | None
    json: Path | None


def check_contract(target: Target, signer: Signer, reports: Reports, only: Sequence[str]) -> ExitCode:
    """Send every case, show progress on stderr, print what failed and what that would let an attacker do.

    Raises:
        ConfigurationError: a file, a header or a case id cannot be used.
    """
    body = b"{}" if target.body is None else _read(target.body)
    sender = URLSender(target.url, method=target.method, body=body, headers=_headers(target.headers))
    fake_d1, cases = _fake_d1(signer, target.url), _chosen(only)
    try:
        with sender:
            report = _run(sender, fake_d1, cases)
    except UnreachableError as error:
        stderr().print(f"Error: {target.url} cannot be reached: {error}", markup=False, soft_wrap=True)
        return ExitCode.UNAVAILABLE
    as_json = reports.json == Path("-")
    for path, text in ((reports.junit, report.junit()), (None if as_json else reports.json, report.json())):
        if path is not None:
            _write(path, text)
    print(report.json() if as_json else report.table(), end="")  # noqa: T201 - the report, as it is
    return ExitCode.OK if report.ok else ExitCode.REFUSED


def _run(sender: URLSender, fake_d1: FakeD1, cases: Sequence[Case]) -> Report:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]} failed  {task.description}"))
    with Progress(*columns, console=stderr(), transient=True) as progress:
        task = progress.add_task("", total=len(cases), failed=0)
        failed = 0

        def show(result: Result) -> None:
            nonlocal failed
            failed += result.outcome is Outcome.FAILED
            progress.update(task, advance=1, failed=failed, description=result.case_id)

        return run_contract(sender, fake_d1, cases=cases, on_result=show)


def _fake_d1(signer: Signer, url: str) -> FakeD1:
    """Return the D1 that signs. Where the URL's path names the subject, it serves as the template of that path."""
    segments = urlsplit(url).path.split("/")
    path = "/".join("{merchantGatewayId}" if segment == signer.subject else segment for segment in segments)
    settings = {"audience": signer.audience, "subject": signer.subject, "leeway": signer.leeway}
    try:
        return FakeD1.from_pem(
            signer.key, kid=signer.kid, path=path if signer.subject in segments else None, **settings
        )
    except OSError:
        raise ConfigurationError(f"{signer.key} cannot be read") from None


def _chosen(only: Sequence[str]) -> tuple[Case, ...]:
    by_id = {case.id: case for case in contract_cases()}
    unknown = [one for one in only if one not in by_id]
    if unknown:
        raise ConfigurationError(f"there is no case with the id {unknown[0]!a:.66}")
    return tuple(by_id[one] for one in only) or contract_cases()


def _headers(lines: Sequence[str]) -> list[tuple[bytes, bytes]]:
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not name.strip() or not colon or not line.isascii() or not line.isprintable():
            raise ConfigurationError("a header is given as NAME:VALUE")
        headers.append((name.strip().encode(), value.strip().encode()))
    if not any(name.lower() == b"content-type" for name, _ in headers):
        headers.append((b"Content-Type", b"application/json"))
    return headers


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise ConfigurationError(f"{path} cannot be read") from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError:
        raise ConfigurationError(f"{path} cannot be written") from None

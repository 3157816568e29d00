"""`d1verify contract`: every call of the contract, sent to a running app in whatever language it is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ..errors import ConfigurationError
from ..testing import (
    Case,
    FakeD1,
    Report,
    Result,
    UnreachableError,
    URLSender,
    access_token_cases,
    contract_cases,
    run_contract,
    run_token_contract,
    token_endpoint_cases,
)
from ..testing.report import Outcome
from .output import ExitCode, safe, stderr

__all__ = ["Reports", "Signer", "Target", "TokenTarget", "check_contract"]

Run = Callable[..., Report]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The app to call, and how."""

    url: str
    method: str
    body: Path | None
    headers: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTarget:
    """The token endpoint to obtain an access token from first, and what D1 is called there if it has a secret."""

    url: str
    client_id: str | None
    secret_file: Path | None

    @classmethod
    def of(cls, url: str | None, *, client_id: str | None, secret_file: Path | None) -> Self | None:
        """Return the token endpoint, or None without a URL.

        Raises:
            ConfigurationError: there are a client id and a secret and no URL, or one without the other.
        """
        if (client_id is None) is not (secret_file is None):
            raise ConfigurationError("--client-id and --client-secret-file come together")
        if url is None and client_id is not None:
            raise ConfigurationError("--client-id is for a --token-url")
        return None if url is None else cls(url=url, client_id=client_id, secret_file=secret_file)


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


_DISTRUSTED = (
    "The app did not take a genuine token (baseline), so that it refused others says nothing. Does it trust the public "
    "key of {kid} under this very key id (a folder is read again within 7 s), and are --aud and --sub the app's?"
)
_FORBIDDEN = (
    "The app took a genuine token for another merchant's (baseline), so that it refused others says nothing. The path "
    "has to name --sub: /merchant-gateways/{sub}/…"
)
_NOT_SERVED = (
    "A genuine call was not served (baseline), so that others were refused says nothing. Are the URL and --method the "
    "guarded route's, and are --body and --header what it takes?"
)
_HINTS = {403: _FORBIDDEN, **dict.fromkeys((400, 404, 405, 415, 422), _NOT_SERVED)}


def check_contract(
    target: Target, signer: Signer, reports: Reports, only: Sequence[str], tokens: TokenTarget | None = None
) -> ExitCode:
    """Send every case, show progress on stderr, print what failed and what that would let an attacker do.

    Raises:
        ConfigurationError: a file, a header or a case id cannot be used.
    """
    body = b"{}" if target.body is None else _read(target.body)
    headers = _headers(target.headers)
    sender = URLSender(target.url, method=target.method, body=body, headers=headers)
    fake_d1 = _fake_d1(signer, target.url, tokens)
    try:
        with ExitStack() as senders:
            senders.enter_context(sender)
            if tokens is None:
                report = _run(partial(run_contract, sender, fake_d1), _chosen(only, contract_cases()))
            else:
                cases = _chosen(only, (*token_endpoint_cases(), *access_token_cases()))
                endpoint = senders.enter_context(URLSender(tokens.url, headers=headers))
                report = _run(partial(run_token_contract, endpoint, fake_d1, guarded=sender), cases)
    except UnreachableError as error:
        stderr().print(f"Error: {error.url} cannot be reached: {error}", markup=False, soft_wrap=True)
        return ExitCode.UNAVAILABLE
    as_json = reports.json == Path("-")
    for path, text in ((reports.junit, report.junit()), (None if as_json else reports.json, report.json())):
        if path is not None:
            _write(path, text)
    print(report.json() if as_json else report.table(), end="")  # noqa: T201 - the report, as it is
    for baseline in (result for result in report.failed if result.case_id == "baseline"):
        hint = _HINTS.get(baseline.status or 0, _DISTRUSTED)
        stderr().print(hint.format(kid=safe(signer.kid), sub=safe(signer.subject)), markup=False, soft_wrap=True)
    return ExitCode.OK if report.ok else ExitCode.REFUSED


def _run(run: Run, cases: Sequence[Case]) -> Report:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]} failed  {task.description}"))
    with Progress(*columns, console=stderr(), transient=True) as progress:
        task = progress.add_task("", total=len(cases), failed=0)
        failed = 0

        def show(result: Result) -> None:
            nonlocal failed
            failed += result.outcome is Outcome.FAILED
            progress.update(task, advance=1, failed=failed, description=result.case_id)

        return run(cases=cases, on_result=show)


def _fake_d1(signer: Signer, url: str, tokens: TokenTarget | None) -> FakeD1:
    """Return the D1 that signs. Where the URL's path names the subject, it serves as the template of that path."""
    segments = urlsplit(url).path.split("/")
    path = "/".join("{merchantGatewayId}" if segment == signer.subject else segment for segment in segments)
    settings = {"audience": signer.audience, "subject": signer.subject, "leeway": signer.leeway}
    if tokens is not None and tokens.secret_file is not None:
        settings |= {"client_id": tokens.client_id, "client_secret": _secret_in(tokens.secret_file)}
    try:
        return FakeD1.from_pem(
            signer.key, kid=signer.kid, path=path if signer.subject in segments else None, **settings
        )
    except OSError:
        raise ConfigurationError(f"{signer.key} cannot be read") from None


def _secret_in(path: Path) -> str:
    """Return the secret in a file, without the line break that editors leave at its end."""
    try:
        return _read(path).decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} holds no text") from None


def _chosen(only: Sequence[str], cases: tuple[Case, ...]) -> tuple[Case, ...]:
    by_id = {case.id: case for case in cases}
    unknown = [one for one in only if one not in by_id]
    if unknown:
        raise ConfigurationError(f"there is no case with the id {unknown[0]!a:.66}")
    return tuple(by_id[one] for one in only) or cases


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

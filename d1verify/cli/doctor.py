"""`d1verify doctor`: one look at a deployment from its environment, and what to do about what is wrong."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any, Final

from .._loading import start_thread
from ..keys import KeyStore
from ._checkup import Check, Mark, failure, listed, passed, skipped, warning
from ._checkup_files import check_key_files
from ._checkup_secrets import ADVICE, check_file, check_folder, check_text, is_in_file, is_in_text
from ._checkup_settings import Settings, read_settings
from .keys import examine as examine_keys
from .output import ExitCode, print_json, stdout

__all__ = ["examine", "run_doctor"]

TOTAL_SECONDS: Final = 20.0

_STYLES = {Mark.OK: "green", Mark.WARN: "yellow", Mark.FAIL: "bold red", Mark.SKIPPED: "dim"}


def run_doctor(*, as_json: bool, strict: bool, total: float = TOTAL_SECONDS) -> ExitCode:
    """Print a line for each check as it is made, or all as one JSON object.

    Returns `USAGE` if a verifier could not be set up, else `UNAVAILABLE` if no key is usable,
    else `REFUSED` if another check failed; with `strict` also if one warned.
    """
    checks = []
    for check in within(total, examine(os.environ)):
        checks.append(check)
        if not as_json:
            _print(check)
    code = max(map(_severity, checks), key=_GRAVITY.index)
    if strict and code is ExitCode.OK and any(check.mark is Mark.WARN for check in checks):
        code = ExitCode.REFUSED
    counts = Counter(check.mark for check in checks)
    if as_json:
        counted = {mark.value: counts[mark] for mark in Mark}
        print_json({"exit_code": int(code), "counts": counted, "checks": [_as_json(check) for check in checks]})
    else:
        stdout().print(", ".join(f"{counts[mark]} {mark.value}" for mark in Mark))
    return code


def examine(environ: Mapping[str, str]) -> Iterator[Check]:
    """Yield what there is to say about a deployment, settings first. It never raises."""
    try:
        settings = read_settings(environ)
    except Exception as error:
        yield _broken("settings", error)
        return
    yield from settings.checks
    for name, look in _looks(settings, environ).items():
        try:
            yield from look()
        except Exception as error:
            yield _broken(name, error)


def within(seconds: float, checks: Iterator[Check]) -> Iterator[Check]:
    """Yield the checks, made on a thread that is left to itself when the time is over: files may hang, too."""
    made: SimpleQueue[Check | None] = SimpleQueue()

    def make() -> None:
        for check in checks:
            made.put(check)
        made.put(None)

    start_thread(make)
    ends = time.monotonic() + seconds
    while True:
        try:
            check = made.get(timeout=max(0.0, ends - time.monotonic()))
        except Empty:
            advice = "see whether a file or folder lies on a file system that hangs"
            yield failure("time", f"not at the end after {seconds:g} s; the rest was not looked at", advice)
            return
        if check is None:
            return
        yield check


def _looks(settings: Settings, environ: Mapping[str, str]) -> dict[str, Callable[[], Iterable[Check]]]:
    """Return what to look at, by the kind of source."""
    variable, value, store = settings.variable, settings.value, settings.store
    if variable == "D1VERIFY_JWKS_URL":
        return {"tls files": lambda: _tls_files(environ), "endpoint": lambda: _endpoint(settings)}
    looks: dict[str, Callable[[], Iterable[Check]]] = {}
    if store is None:
        looks["keys"] = lambda: [skipped("keys", "there is no source that can be used")]
    elif variable == "D1VERIFY_KEYS":
        looks["keys"] = lambda: _keys(variable, variable, store, is_private=is_in_text(value))
        looks["private keys"] = lambda: [check_text(value)]
    elif not os.path.exists(value):
        missing = "there is nothing at D1VERIFY_KEYS_PATH, or this user may not go there"
        looks["keys"] = lambda: [failure("keys", missing, "put the public keys there", ExitCode.UNAVAILABLE)]
    elif os.path.isdir(value) and "D1VERIFY_KID" in environ:
        named = "D1VERIFY_KID is for a single file, and D1VERIFY_KEYS_PATH is a folder"
        advice = "unset it: the files of a folder are named by their key ids"
        looks["keys"] = lambda: [failure("keys", named, advice, ExitCode.UNAVAILABLE)]
    elif os.path.isdir(value):
        looks["keys"] = lambda: _keys(variable, value, store)
        looks["files"] = lambda: check_key_files(value)
        looks["private keys"] = lambda: [check_folder(value)]
    else:
        looks["keys"] = lambda: _keys(variable, value, store, is_private=is_in_file(value))
        looks["files"] = lambda: check_key_files(value)
        looks["private keys"] = lambda: [check_file(value)]
    clock = skipped("clock", "no endpoint to compare it with", "compare it with a time server: tokens last for minutes")
    return {**looks, "clock": lambda: [clock]}


def _tls_files(environ: Mapping[str, str]) -> list[Check]:
    from ._checkup_certificates import check_tls_files

    return check_tls_files(environ)


def _endpoint(settings: Settings) -> Iterator[Check]:
    from ..keystores.http import HTTPKeyStore
    from ._checkup_endpoint import check_exchange
    from ._checkup_exchange import ObservedStore

    if not isinstance(settings.store, HTTPKeyStore):
        yield skipped("keys", "there is no source that can be used")
        return
    store = ObservedStore.like(settings.store)
    yield from _keys(settings.variable, settings.value, store)
    is_plain = settings.value.lower().startswith("http:")
    yield from check_exchange(
        store.exchange, is_plain=is_plain, seconds_allowed=store.seconds_allowed, leeway=settings.leeway
    )


def _keys(variable: str, source: str, store: KeyStore, *, is_private: bool = False) -> list[Check]:
    """Return what a verifier would trust and what it would leave out, of a source that may be a private key itself."""
    report = {**examine_keys(source, store), "source": variable}  # The value may hold a key or a secret.
    checks = [_usable(report, is_private=is_private), _left_out(report)]
    return checks if report["skipped"] or report["error"] is None else checks[:1]


def _usable(report: dict[str, Any], *, is_private: bool) -> Check:
    if report["error"] is not None:
        advice = "put D1's public keys there, as PEM (its key id in D1VERIFY_KID), JWK or JWK Set"
        if is_private:
            advice = f"{ADVICE}; then {advice}"
        elif report["kind"] == "URL":
            advice = "see the lines below"
        why = report["error"].removeprefix("the verification keys are not available: ")
        return failure("keys", why, advice, ExitCode.UNAVAILABLE)._replace(details=report)
    bound = report["withdrawal_bound"]
    lasts = "a restart" if bound is None else f"{bound:g} s"
    kids = [key["kid"] for key in report["keys"]]
    seen = f"{len(kids)} usable ({listed(kids)}); a withdrawal holds within {lasts}"
    return passed("keys", seen)._replace(details=report)


def _left_out(report: dict[str, Any]) -> Check:
    left_out = report["skipped"]
    if not left_out:
        return passed("skipped keys", "none")
    names = listed(one["name"] for one in left_out[:1])
    more = f", and {len(left_out) - 1} more" if len(left_out) > 1 else ""
    return warning("skipped keys", f"{names}: {left_out[0]['why']}{more}", "mend or remove what is no D1 key")


def _broken(name: str, error: Exception) -> Check:
    advice = "this is a mistake in d1verify, or something vanished meanwhile: try again, then report it"
    return failure(name, f"this check broke off ({type(error).__name__})", advice)


# From the mildest: a verifier that cannot be set up comes before keys that cannot be had.
_GRAVITY: Final = (ExitCode.OK, ExitCode.REFUSED, ExitCode.UNAVAILABLE, ExitCode.USAGE)


def _severity(check: Check) -> ExitCode:
    return check.code if check.mark is Mark.FAIL else ExitCode.OK


def _as_json(check: Check) -> dict[str, Any]:
    return {name: value for name, value in check._asdict().items() if name != "code"}


def _print(check: Check) -> None:
    advice = "" if check.advice is None else f" -> {check.advice}"
    console = stdout()
    console.print(f"{check.mark.value:<8}", style=_STYLES[check.mark], end="")
    console.print(f"{check.name:<19} {check.seen}{advice}", markup=False, soft_wrap=True)

"""The contract against a guarded app, under whatever options this interpreter was given.

    python -O -m tests.package.contract

It needs the package alone, no extra. It raises where a test would assert, since -O drops asserts; what it prints
is the same for every run in which every case came out the same.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable
from typing import Any

from d1verify import D1Verifier
from d1verify.asgi import D1AuthMiddleware
from d1verify.testing import ASGISender, FakeD1, Report, WSGISender, run_contract
from d1verify.wsgi import D1WSGIMiddleware

AUDIENCE, SUBJECT = "stg", "MGW_000001"


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request with 204."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def wsgi_app(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
) -> Iterable[bytes]:
    """Answer every request with 204."""
    start_response("204 No Content", [])
    return [b""]


def over_asgi(*, guarded: bool) -> Report:
    """Return what came of the contract over ASGI."""
    fake_d1 = FakeD1(audience=AUDIENCE, subject=SUBJECT)
    verifier = D1Verifier(fake_d1.key_store, audience=AUDIENCE, subject=SUBJECT)
    with ASGISender(D1AuthMiddleware(asgi_app, verifier) if guarded else asgi_app) as send:
        return run_contract(send, fake_d1)


def over_wsgi(*, guarded: bool) -> Report:
    """Return what came of the contract over WSGI."""
    fake_d1 = FakeD1(audience=AUDIENCE, subject=SUBJECT)
    verifier = D1Verifier(fake_d1.key_store, audience=AUDIENCE, subject=SUBJECT)
    return run_contract(WSGISender(D1WSGIMiddleware(wsgi_app, verifier) if guarded else wsgi_app), fake_d1)


def summary(report: Report) -> str:
    """Return the counts of a report, and a digest of what came of each case."""
    lines = "\n".join(f"{result.case_id} {result.outcome} {result.status}" for result in report.results)
    return f"{report.summary()}; digest {hashlib.sha256(lines.encode()).hexdigest()[:16]}"


def main() -> None:
    """Print what came of the contract; leave with a complaint if a case fails, or if an open door passes."""
    logging.getLogger("d1verify").addHandler(logging.NullHandler())  # it refuses some hundreds of calls
    for run in (over_asgi, over_wsgi):
        report = run(guarded=True)
        if not report.ok:
            raise SystemExit(report.table())
        if run(guarded=False).ok:
            raise SystemExit(f"{run.__name__}: an app without a guard passes")
        print(f"{run.__name__}: {summary(report)}")


if __name__ == "__main__":
    main()

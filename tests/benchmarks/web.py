"""What guarding a request costs, called straight through ASGI: with the guard less without it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Mapping

from starlette.types import ASGIApp, Message, Scope

from .apps import PATH, d1_fastapi, d1_guard, open_fastapi, peer_fastapi, peer_guard, starlette_app
from .material import endless, pool, verifier
from .measuring import Batch, Effort, Ratio, Samples, interleave
from .peers import PEERS, PYJWT
from .rows import Bar, Experiment, Row, at_most, compared

OPEN, REUSED, NEW = "open", "d1verify, token reused", "d1verify, new token"
JOSERFC = next(peer for peer in PEERS if peer.name == "joserfc")
ADDED = "Guard a Starlette request"
_EFFORT = Effort(max_seconds=25, batch_seconds=0.008, precision=0.01)


class Requests:
    """Requests as a server would hand them over, made one after the other in one event loop."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._statuses: set[int] = set()

    def to(self, app: ASGIApp, headers: Iterator[bytes]) -> Batch:
        """Return a batch of requests, each of which has to be answered with 200."""

        async def requests(repeats: int) -> float:
            started = time.thread_time()
            for _repeat in range(repeats):
                await app(_scope(next(headers)), _receive, self._send)
            return time.thread_time() - started

        def batch(repeats: int) -> float:
            seconds = self._runner.run(requests(repeats))
            if self._statuses != {200}:
                raise AssertionError("a request was not answered with 200")
            return seconds

        return batch

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._statuses.add(message["status"])


def _scope(authorization: bytes) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"merchant.example"),
            (b"user-agent", b"d1/1.0"),
            (b"accept", b"*/*"),
            (b"content-type", b"application/json"),
            (b"content-length", b"0"),
            (b"authorization", authorization),
        ],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _measured(apps: Mapping[str, tuple[ASGIApp, bool]], ratios: list[Ratio], *, quick: bool) -> Samples:
    """Measure apps by name; those marked True get a new token each time."""
    values = [f"Bearer {token}".encode() for token in pool(quick=quick)]
    with asyncio.Runner() as runner:
        requests = Requests(runner)
        contenders = {
            name: requests.to(app, endless(values) if is_new else itertools.repeat(values[0]))
            for name, (app, is_new) in apps.items()
        }
        return interleave(contenders, ratios, _EFFORT.shortened() if quick else _EFFORT)


def middleware(*, quick: bool) -> list[Row]:
    """Measure what a guard adds to a Starlette request."""
    size = len(pool(quick=quick)) // 2  # Fewer than there are tokens, so that a new one is never known.
    apps = {
        OPEN: (starlette_app(), False),
        REUSED: (starlette_app(d1_guard(verifier())), False),
        NEW: (starlette_app(d1_guard(verifier(token_cache_size=size))), True),
        PYJWT.name: (starlette_app(peer_guard(PYJWT)), True),
        JOSERFC.name: (starlette_app(peer_guard(JOSERFC)), True),
    }
    reused, new, itself, other = (Ratio(one, PYJWT.name, OPEN) for one in (REUSED, NEW, PYJWT.name, JOSERFC.name))
    samples = _measured(apps, [reused, new, itself, other], quick=quick)
    what = "D1AuthMiddleware, {} ÷ AuthenticationMiddleware + PyJWT"
    figures = {"open request, µs": samples.cost(OPEN).median * 1e6}
    return [
        compared(
            "starlette-reused", what.format("reused token"), samples, reused,
            aim=at_most(1 / 20), bar=Bar(ADDED, REUSED), figures=figures,
        ),
        compared("starlette-new", what.format("new token"), samples, new, aim=at_most(0.80), bar=Bar(ADDED, NEW)),
        compared(
            "starlette-pyjwt", "AuthenticationMiddleware + PyJWT, by itself", samples, itself,
            bar=Bar(ADDED, "AuthenticationMiddleware + PyJWT"),
        ),
        compared(
            "starlette-joserfc", "AuthenticationMiddleware + joserfc ÷ + PyJWT", samples, other,
            bar=Bar(ADDED, "AuthenticationMiddleware + joserfc"),
        ),
    ]  # fmt: skip


def fastapi(*, quick: bool) -> list[Row]:
    """Measure what a dependency adds to a FastAPI request."""
    size = len(pool(quick=quick)) // 2
    apps = {
        OPEN: (open_fastapi(), False),
        REUSED: (d1_fastapi(verifier()), False),
        NEW: (d1_fastapi(verifier(token_cache_size=size)), True),
        PYJWT.name: (peer_fastapi(PYJWT), True),
    }
    reused, new = (Ratio(one, PYJWT.name, OPEN) for one in (REUSED, NEW))
    samples = _measured(apps, [reused, new], quick=quick)
    what = "FastAPI: D1Bearer, {} ÷ HTTPBearer + PyJWT dependency"
    figures = {"open request, µs": samples.cost(OPEN).median * 1e6}
    return [
        compared("fastapi-reused", what.format("reused token"), samples, reused, aim=at_most(1 / 6), figures=figures),
        compared("fastapi-new", what.format("new token"), samples, new),
    ]


EXPERIMENTS = (
    Experiment(("starlette-reused", "starlette-new", "starlette-pyjwt", "starlette-joserfc"), middleware),
    Experiment(("fastapi-reused", "fastapi-new"), fastapi),
)

"""A server to be loaded: `python -m tests.benchmarks.served`, told on its standard input what to serve.

It says on which port of the loopback it listens, and ends when its standard input does.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from importlib.util import find_spec
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from d1verify import D1Verifier, HTTPKeyStore, KeyCache, KeyStore, StaticKeyStore
from d1verify.asgi import D1AuthMiddleware
from tests.support import SUBJECT

__all__ = ["HEALTH", "PATH", "TIMES_FASTER"]

PATH, HEALTH = "/notify-update", "/health"
# The key cache's clock in a server with a JWKS endpoint: its minutes pass in seconds.
TIMES_FASTER = 10
_REQUEST_TIMEOUT = 1.0  # of the endpoint, in real seconds


async def _answer(_request: Request) -> Response:
    return PlainTextResponse("ok")


def _keys(told: dict[str, Any]) -> KeyStore | KeyCache:
    if "jwks" not in told:
        return StaticKeyStore({told["kid"]: told["pem"]})
    store = HTTPKeyStore(told["jwks"], timeout=_REQUEST_TIMEOUT)
    return KeyCache(store, load_timeout=20.0, timer=lambda: time.monotonic() * TIMES_FASTER)


def _app(told: dict[str, Any]) -> Starlette:
    if told["open"]:
        return Starlette(routes=[Route(PATH, _answer)])
    verifier = D1Verifier(_keys(told), audience="stg", subject=SUBJECT)
    verifier.warm_up()

    async def health(_request: Request) -> Response:
        return JSONResponse({"state": verifier.health().state})

    return Starlette(
        routes=[Route(PATH, _answer), Route(HEALTH, health)],
        middleware=[Middleware(D1AuthMiddleware, verifier=verifier, exclude=[HEALTH])],
    )


def _end_with(stream: Any) -> None:
    stream.read()
    os._exit(0)


def main() -> None:
    """Serve until standard input ends."""
    told = json.loads(sys.stdin.readline())
    app = _app(told)
    # With its protocol named, asyncio sends without Nagle's delay, as on a socket of its own.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    threading.Thread(target=_end_with, args=(sys.stdin,), daemon=True).start()
    parser = told["http"]
    config = uvicorn.Config(app, http=parser, log_level="warning", access_log=False, lifespan="off")
    loop = "asyncio" if find_spec("uvloop") is None else "uvloop"
    print(json.dumps({"port": listening.getsockname()[1], "made_of": f"{parser} and {loop}"}), flush=True)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()

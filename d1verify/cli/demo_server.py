"""A real HTTP server on loopback with D1's notify-update route behind the middleware."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ..asgi import D1AuthMiddleware, d1_lifespan, get_token
from ..bearer import refusal
from ..errors import TokenError
from ..testing import NOTIFY_UPDATE_PATH
from ..verifier import D1Verifier

__all__ = ["DemoServer", "guarded_app", "notify_update"]

_START_SECONDS = 10.0


async def notify_update(request: Request) -> Response:
    """Take D1's notification, if the token is for the merchant gateway in the path."""
    try:
        get_token(request).require_subject(request.path_params["merchantGatewayId"])
    except TokenError as error:
        answer = refusal(error, reveal_reason=True)
        return Response(answer.body, answer.status, dict(answer.headers))
    return Response(status_code=204)


def guarded_app(verifier: D1Verifier) -> Starlette:
    """Return the app; it reveals reasons, as one would on staging."""
    return Starlette(
        routes=[Route(NOTIFY_UPDATE_PATH, notify_update, methods=["POST"])],
        middleware=[Middleware(D1AuthMiddleware, verifier=verifier, reveal_reason=True)],
        lifespan=d1_lifespan(verifier),
    )


class DemoServer:
    """uvicorn on a free loopback port, on a thread, for the length of a `with` block."""

    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="d1verify-demo-server", daemon=True)

    @property
    def url(self) -> str:
        """Where the server listens."""
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the demo server did not start")
            time.sleep(0.01)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(_START_SECONDS)

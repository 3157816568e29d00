"""The ASGI middleware as an edge: around a whole app, on a mount, on a route."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from d1verify import HeaderVerifier
from d1verify.asgi import D1AuthMiddleware

from .edge import App, Call, Edge, Options, WebSocketCall, asgi_call, asgi_websocket_call

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

Build = Callable[[HeaderVerifier, Options], App]


async def answer(request: Request) -> JSONResponse:
    if request.method == "POST":
        await request.body()
    return JSONResponse({"subject": request.user.display_name or None})


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


def around_app(verifier: HeaderVerifier, options: Options) -> App:
    routes = [Route(path, answer, methods=METHODS) for path in ("/notify", "/health")]
    app = Starlette(routes=[*routes, WebSocketRoute("/notify", talk)])
    app.add_middleware(D1AuthMiddleware, verifier=verifier, **_arguments(options))
    return app


def on_mount(verifier: HeaderVerifier, options: Options) -> App:
    """Return an app whose mount is guarded; the calls go to the mount."""
    inner = around_app(verifier, options)
    app = Starlette(routes=[Mount("/d1", app=inner)])

    async def under_d1(scope: Any, receive: Any, send: Any) -> None:
        moved = {"path": "/d1" + scope["path"], "raw_path": b"/d1" + scope["raw_path"]}
        await app({**scope, **moved}, receive, send)

    return under_d1


def on_route(verifier: HeaderVerifier, options: Options) -> App:
    """Return an app with a guard on each route; its one endpoint serves whatever path and method."""
    guard = [Middleware(D1AuthMiddleware, verifier=verifier, **_arguments(options))]
    routes = [Route("/{rest:path}", AnyMethod(), middleware=guard), WebSocketRoute("/notify", talk, middleware=guard)]
    return Starlette(routes=routes)


class AnyMethod:
    """An endpoint that is an ASGI app: Starlette then leaves the method to it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await answer(Request(scope, receive))
        await response(scope, receive, send)


def asgi_edge(name: str, build: Build, backend: str, **features: Any) -> Edge:
    """Return an edge for an ASGI app, on one of the event loops."""

    def call(verifier: HeaderVerifier, options: Options) -> Call:
        return asgi_call(build(verifier, options), backend)

    def websocket(verifier: HeaderVerifier, options: Options) -> WebSocketCall:
        return asgi_websocket_call(build(verifier, options), backend)

    return Edge(name=f"{name} on {backend}", build=call, build_websocket=websocket, **features)


def _arguments(options: Options) -> dict[str, Any]:
    return {"exclude": options.exclude, "realm": options.realm, "reveal_reason": options.reveal_reason}


def asgi_edges(backend: str) -> tuple[Edge, ...]:
    return (
        asgi_edge("asgi middleware", around_app, backend, has_exclude=True),
        asgi_edge("asgi middleware on a mount", on_mount, backend, has_exclude=True),
        asgi_edge("asgi middleware on a route", on_route, backend, has_exclude=True),
    )

"""Starlette apps: the correct one behind D1AuthMiddleware, and wrong ones as they are found in the wild."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, BaseUser, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from d1verify import D1Verifier, D1VerifyError, TokenError, refusal
from d1verify.asgi import D1AuthMiddleware, d1_lifespan, get_token
from d1verify.testing import FakeD1

from .strict import OPEN_PATH, PATH, WEBSOCKET_PATH


def answer(error: D1VerifyError) -> Response:
    refused = refusal(error)
    return Response(refused.body, refused.status, dict(refused.headers))


async def notify(request: Request) -> Response:
    try:
        get_token(request).require_subject(request.path_params["merchantGatewayId"])
    except TokenError as error:
        return answer(error)
    return PlainTextResponse("received")


async def careless_notify(request: Request) -> Response:
    return PlainTextResponse("received")


async def events(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


async def health(request: Request) -> Response:
    return PlainTextResponse("well")


def verifier_of(fake_d1: FakeD1) -> D1Verifier:
    return D1Verifier(fake_d1.key_store, audience=fake_d1.audience, subject=fake_d1.subject, clock=fake_d1.clock)


def app_of(
    *middleware: Middleware, handler: Callable[[Request], Awaitable[Response]] = notify, verifier: D1Verifier
) -> Starlette:
    routes = [
        Route(PATH, handler, methods=["POST"]),
        Route(OPEN_PATH, health),
        WebSocketRoute(WEBSOCKET_PATH, events),
    ]
    return Starlette(routes=routes, middleware=list(middleware), lifespan=d1_lifespan(verifier))


def correct(fake_d1: FakeD1) -> Starlette:
    verifier = verifier_of(fake_d1)
    return app_of(Middleware(D1AuthMiddleware, verifier=verifier, exclude=[OPEN_PATH]), verifier=verifier)


def path_not_compared(fake_d1: FakeD1) -> Starlette:
    verifier = verifier_of(fake_d1)
    guard = Middleware(D1AuthMiddleware, verifier=verifier, exclude=[OPEN_PATH])
    return app_of(guard, handler=careless_notify, verifier=verifier)


class HTTPOnlyGuard(BaseHTTPMiddleware):
    """A correct verifier in Starlette's own middleware base: it takes the first header, and never sees a WebSocket."""

    def __init__(self, app: ASGIApp, verifier: D1Verifier) -> None:
        super().__init__(app)
        self.verifier = verifier

    def is_open(self, path: str) -> bool:
        return path == OPEN_PATH

    async def dispatch(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if not self.is_open(request.url.path):
            try:
                await self.verifier.averify_header(request.headers.get("authorization"))
            except D1VerifyError as error:
                return answer(error)
        return await call_next(request)


class PrefixGuard(HTTPOnlyGuard):
    def is_open(self, path: str) -> bool:
        return path.startswith(OPEN_PATH)


class TalkativeGuard(HTTPOnlyGuard):
    async def dispatch(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await super().dispatch(request, call_next)
        if response.status_code != 200:
            said = request.headers.get("authorization", "").encode("utf-8")
            return Response(b"refused: " + said, response.status_code, dict(response.headers))
        return response


def behind(guard: type[HTTPOnlyGuard]) -> Callable[[FakeD1], Starlette]:
    def build(fake_d1: FakeD1) -> Starlette:
        verifier = verifier_of(fake_d1)
        return app_of(Middleware(guard, verifier=verifier), handler=careless_notify, verifier=verifier)

    return build


class Backend(AuthenticationBackend):
    """Starlette's AuthenticationMiddleware as its documentation shows it: 400 with the exception's text."""

    def __init__(self, verifier: D1Verifier) -> None:
        self._verifier = verifier

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        if "Authorization" not in conn.headers:
            return None
        try:
            token = await self._verifier.averify_header(conn.headers["Authorization"])
        except D1VerifyError as error:
            raise AuthenticationError(str(error)) from None
        return AuthCredentials(["d1"]), SimpleUser(token.subject)


def documented_backend(fake_d1: FakeD1) -> Starlette:
    verifier = verifier_of(fake_d1)
    guard = Middleware(AuthenticationMiddleware, backend=Backend(verifier))
    return app_of(guard, handler=careless_notify, verifier=verifier)

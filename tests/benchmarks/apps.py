"""The apps that are measured: open, guarded by this package, and guarded as people do it today.

No `from __future__ import annotations` here: FastAPI could not see the dependencies that are local names.
"""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, BaseUser, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from d1verify import D1Token, D1Verifier
from d1verify.asgi import D1AuthMiddleware
from d1verify.fastapi import D1Bearer
from tests.support import SUBJECT

from .peers import Claims, Peer

__all__ = ["PATH", "d1_fastapi", "d1_guard", "open_fastapi", "peer_fastapi", "peer_guard", "starlette_app"]

PATH = f"/merchant-gateways/{SUBJECT}/merchants/M1/tokens/T1/notify-update"


class PeerBackend(AuthenticationBackend):
    """A bearer token judged by another library, as Starlette's documentation shows; refuses where none is."""

    def __init__(self, peer: Peer) -> None:
        self._verify = peer.verify

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser]:
        """Return who is calling."""
        if "Authorization" not in conn.headers:
            raise AuthenticationError("no credentials")
        scheme, _, token = conn.headers["Authorization"].partition(" ")
        if scheme.lower() != "bearer":
            raise AuthenticationError("not a bearer token")
        try:
            claims = self._verify(token)
        except Exception as error:
            raise AuthenticationError("invalid token") from error
        return AuthCredentials(["authenticated"]), SimpleUser(claims["sub"])


async def _answer(_request: Request) -> Response:
    return PlainTextResponse("ok")


def starlette_app(*guard: Middleware) -> Starlette:
    """Return an app of one route behind this guard."""
    return Starlette(routes=[Route(PATH, _answer, methods=["POST"])], middleware=list(guard))


def d1_guard(verifier: D1Verifier) -> Middleware:
    """Return our middleware."""
    return Middleware(D1AuthMiddleware, verifier=verifier)


def peer_guard(peer: Peer) -> Middleware:
    """Return Starlette's middleware with another library behind it."""
    return Middleware(AuthenticationMiddleware, backend=PeerBackend(peer))


def open_fastapi() -> FastAPI:
    """Return an app whose one route asks for nothing."""
    app = FastAPI()

    @app.post(PATH)
    async def notify() -> dict[str, str]:
        return {"status": "ok"}

    return app


def d1_fastapi(verifier: D1Verifier) -> FastAPI:
    """Return the app with `D1Bearer` in a dependency."""
    app, d1 = FastAPI(), D1Bearer(verifier)

    @app.post(PATH)
    async def notify(token: Annotated[D1Token, Depends(d1)]) -> dict[str, str]:
        return {"status": "ok"}

    return app


def peer_fastapi(peer: Peer) -> FastAPI:
    """Return the app with `HTTPBearer` and another library in a dependency, as FastAPI's documentation shows."""
    app, bearer = FastAPI(), HTTPBearer()

    async def current(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> Claims:
        try:
            return peer.verify(credentials.credentials)
        except Exception as error:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"}) from error

    @app.post(PATH)
    async def notify(claims: Annotated[dict[str, Any], Depends(current)]) -> dict[str, str]:
        return {"status": "ok"}

    return app

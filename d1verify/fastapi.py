"""The FastAPI edge: a security dependency, its refusals, and their place in OpenAPI."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Final, cast

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

try:
    from fastapi import HTTPException, WebSocketException
    from fastapi.openapi.models import HTTPBearer
    from fastapi.security.base import SecurityBase
except ImportError as _missing:
    raise ImportError('d1verify.fastapi needs FastAPI: pip install "d1verify[fastapi]"') from _missing

from ._edge import checked_flag, checked_token, checked_verifier, close_code
from ._scope import TOKEN_KEY, VERIFIER_KEY
from .bearer import authorization_of, check_realm, refusal
from .errors import ConfigurationError, KeyStoreError, Reason, TokenError
from .tokens import D1Token
from .verifier import HeaderVerifier

__all__ = ["RESPONSES", "D1Bearer", "D1HTTPException", "install"]

_KEPT_HEADERS: Final = ("Cache-Control", "WWW-Authenticate", "Retry-After")


class D1HTTPException(HTTPException):
    """A refused call, as FastAPI's exception handlers see it.

    With `install(app)` it is answered byte for byte as by the other edges. Without it,
    status, challenge and `Retry-After` are the same and the body is `{"detail": {"error": …}}`.

    Attributes:
        error: the `TokenError` or `KeyStoreError`, for an exception handler of your own.
    """

    def __init__(self, error: TokenError | KeyStoreError) -> None:
        answer = refusal(error)
        headers = {name: value for name, value in answer.headers if name in _KEPT_HEADERS}
        super().__init__(answer.status, detail=json.loads(answer.body), headers=headers)
        self.error = error


class D1Bearer(SecurityBase):
    """A dependency that gives a route its verified token: `token: Annotated[D1Token, Depends(d1)]`.

    For routes, routers (`dependencies=[Depends(d1)]`) and WebSocket routes. A token that
    `D1AuthMiddleware` has verified with the same verifier is taken over. Keys are loaded
    without blocking the event loop.

    FastAPI reads a body that the route declares before it asks any dependency. Where the
    body of a stranger must not be read, put `D1AuthMiddleware` in front.

    A refused WebSocket gets the same answer by the denial-response extension. Where the
    server has none, or the connection was accepted before, it is closed with 1008 (1013
    for key trouble).

    Args:
        verifier: a `D1Verifier`, or another `HeaderVerifier`.
        auto_error: False gives None for a call without credentials. A bad token, or two,
            is refused all the same.
        path_param: the path parameter that has to be the token's subject, such as
            `"merchantGatewayId"`; another value is refused with 403.

    Raises:
        ConfigurationError: an argument is out of range; or, when called, the route has no
            such path parameter.
    """

    def __init__(self, verifier: HeaderVerifier, *, auto_error: bool = True, path_param: str | None = None) -> None:
        checked_verifier(verifier, "averify_header")
        if path_param is not None and not (isinstance(path_param, str) and path_param.isidentifier()):
            raise ConfigurationError('path_param must be the name of a path parameter, such as "merchantGatewayId"')
        self._verifier = verifier
        self._auto_error = checked_flag(auto_error, "auto_error")
        self._path_param = path_param
        self.model: HTTPBearer = HTTPBearer(bearerFormat="JWT", description="A JWT signed by D1.")
        self.scheme_name = "D1Bearer"

    async def __call__(self, conn: HTTPConnection) -> D1Token | None:
        """Return the verified token of this request or WebSocket."""
        if self._path_param is not None and self._path_param not in conn.path_params:
            raise ConfigurationError("the route has no path parameter of the name in path_param")
        try:
            token = await self._verified(conn)
            self._compare(token, conn)
        except (TokenError, KeyStoreError) as error:
            if error.reason is Reason.MISSING_TOKEN and not self._auto_error:
                return None
            raise await _refused(conn, error) from None
        return token

    async def _verified(self, conn: HTTPConnection) -> D1Token:
        known = conn.scope.get(TOKEN_KEY)
        if isinstance(known, D1Token) and conn.scope.get(VERIFIER_KEY) is self._verifier:
            return known
        return checked_token(await self._verifier.averify_header(authorization_of(conn.scope["headers"])))

    def _compare(self, token: D1Token, conn: HTTPConnection) -> None:
        if self._path_param is not None:
            token.require_subject(conn.path_params[self._path_param])


def install(app: Starlette, *, realm: str = "d1", reveal_reason: bool = False) -> None:
    """Have `app` answer the refusals of every `D1Bearer` byte for byte as the other edges do.

    Args:
        app: the FastAPI app. An app mounted in it needs a call of its own.
        realm: the protection space named in challenges.
        reveal_reason: name the reason in answers; for staging.

    Raises:
        ConfigurationError: `realm` cannot stand in a quoted-string, or `reveal_reason` is no bool.
    """
    check_realm(realm)
    checked_flag(reveal_reason, "reveal_reason")

    async def answer(conn: HTTPConnection, exc: Exception) -> Response:
        made = refusal(cast(D1HTTPException, exc).error, realm=realm, reveal_reason=reveal_reason)
        without_body = isinstance(conn, Request) and conn.method == "HEAD"
        return Response(b"" if without_body else made.body, made.status, dict(made.headers))

    app.add_exception_handler(D1HTTPException, answer)


async def _refused(conn: HTTPConnection, error: TokenError | KeyStoreError) -> Exception:
    if isinstance(conn, WebSocket) and not await _takes_denial_response(conn):
        return WebSocketException(close_code(error))
    return D1HTTPException(error)


async def _takes_denial_response(websocket: WebSocket) -> bool:
    """Tell whether the handshake can be answered over http, having heard it out: no answer goes before its question."""
    if websocket.client_state is WebSocketState.CONNECTING:
        with suppress(RuntimeError):  # The client has gone; closing is all that is left to do.
            await websocket.receive()
    pending = websocket.client_state is WebSocketState.CONNECTED
    unanswered = websocket.application_state is WebSocketState.CONNECTING
    return pending and unanswered and "websocket.http.response" in (websocket.scope.get("extensions") or {})


def _documented(description: str, *codes: str, header: str, shows: str, required: bool = True) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["error"] if required else [],
        "properties": {"error": {"type": "string", "enum": list(codes)}, "error_description": {"type": "string"}},
    }
    return {
        "description": description,
        "headers": {header: {"description": shows, "schema": {"type": "string"}}},
        "content": {"application/json": {"schema": schema}},
    }


_CHALLENGE: Final = "The challenge (RFC 6750 §3)."

RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    400: _documented(
        "More than one set of credentials, or a body that cannot be parsed.",
        "invalid_request",
        header="WWW-Authenticate",
        shows=_CHALLENGE,
        required=False,  # FastAPI itself answers 400 to a body that it cannot decode, in its own form.
    ),
    401: _documented(
        "No bearer token, or one that is not accepted.",
        "missing_token",
        "invalid_token",
        header="WWW-Authenticate",
        shows=_CHALLENGE,
    ),
    403: _documented(
        "The token is for another merchant gateway.",
        "insufficient_scope",
        header="WWW-Authenticate",
        shows=_CHALLENGE,
    ),
    503: _documented(
        "The verification keys cannot be had at the moment.",
        "temporarily_unavailable",
        header="Retry-After",
        shows="Seconds until the next attempt is worth making.",
    ),
}
"""What the dependency answers, for `FastAPI(responses=RESPONSES)` or `APIRouter(responses=RESPONSES)`."""

"""The token endpoint: a thin Starlette edge around Authlib's authorization server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final, Protocol

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped]
    InvalidGrantError,
    InvalidRequestError,
    OAuth2Error,
)
from joserfc.jwk import ECKey
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .._edge import POLICY_VIOLATION
from ..bearer import refusal
from ..errors import ConfigurationError, KeyStoreError, TokenError
from ..keystores._fetching import checked_url
from ..tokens import D1Token
from ._clients import Client, Clients
from ._forms import JWT_BEARER, check_content_type, check_mechanism, parse_form
from ._grants import NO_STORE, TokenAnswer, TokenServer, checked_scope
from .access_tokens import AccessTokenVerifier, checked_api_audience, checked_issuer
from .signing import SigningKey, checked_signing_key

__all__ = ["MAX_BODY_BYTES", "TokenEndpoint"]

MAX_BODY_BYTES: Final = 16_384


class AssertionVerifier(Protocol):
    """What judges assertions: a `D1Verifier`."""

    async def averify(self, token: str | bytes) -> D1Token:
        """Return the verified token, or raise `TokenError` or `KeyStoreError`."""
        ...  # pragma: no cover - the body of a protocol is never run


class TokenEndpoint:
    """Issues access tokens for 900 seconds, to D1 alone: an ASGI app for the exact path `/oauth2/token`.

        Route("/oauth2/token", endpoint)    # Starlette; FastAPI: app.add_route("/oauth2/token", endpoint)

    As a `Route`, since a `Mount` answers the path without a final slash with a redirect. It
    answers whatever path it is reached by, and belongs beside the guarded routes, not behind
    `D1AuthMiddleware`. It has no rate limit of its own; put one around it as around any ASGI
    app, and count its 401 answers.

    Args:
        verifier: judges the assertions of the grant `urn:ietf:params:oauth:grant-type:jwt-bearer`: a `D1Verifier`.
        signing_key: signs the access tokens: a `SigningKey`, or what makes one (a private P-256 PEM, a JWK).
        issuer: the `iss` of the access tokens, such as the merchant's https URL.
        audience: their `aud`, naming the API that they open.
        url: the https URL at which D1 calls this endpoint, whatever a proxy makes of it.
        clients: who may use the grant `client_credentials`, by HTTP Basic; without any, that grant is off.
        scope: the scope of the access tokens, `d1` by default; a request may ask for part of it.
        clock: the wall clock, in epoch seconds.

    Raises:
        ConfigurationError: an argument is out of range, or could be D1's own; the message names it.
    """

    def __init__(
        self,
        *,
        verifier: AssertionVerifier,
        signing_key: SigningKey | str | bytes | Mapping[str, Any] | ECKey,
        issuer: str,
        audience: str,
        url: str,
        clients: Iterable[Client] = (),
        scope: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if isinstance(verifier, AccessTokenVerifier) or not callable(getattr(verifier, "averify", None)):
            raise ConfigurationError("verifier must be a D1Verifier: an access token is no grant for another")
        if not callable(clock):
            raise ConfigurationError("clock must be a function that returns epoch seconds")
        self._verifier = verifier
        self._server = TokenServer(
            signing_key=checked_signing_key(signing_key),
            issuer=checked_issuer(issuer),
            audience=checked_api_audience(audience),
            url="https:" + checked_url(url, "url").partition(":")[2],
            clients=Clients(clients),
            scope=checked_scope(scope),
            clock=clock,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI 3)."""
        if scope["type"] == "websocket":
            if (await receive())["type"] == "websocket.connect":
                await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""})
            return
        if scope["type"] != "http":
            raise ValueError("TokenEndpoint serves http only")
        try:
            answer = await self._answer(Request(scope, receive))
        except ClientDisconnect:
            return
        body = b"" if scope["method"] == "HEAD" else answer.body
        await Response(body, answer.status, answer.headers)(scope, receive, send)

    async def _answer(self, request: Request) -> TokenAnswer:
        if request.method != "POST":
            refused = self._server.refuse(InvalidRequestError("the method must be POST", status_code=405))
            return refused._replace(headers={**refused.headers, "Allow": "POST"})
        try:
            return await self._issue(request)
        except OAuth2Error as error:
            return self._server.refuse(error)
        except TokenError:
            return self._server.refuse(InvalidGrantError())
        except KeyStoreError as error:
            unavailable = refusal(error)
            return TokenAnswer(unavailable.status, {**NO_STORE, **dict(unavailable.headers)}, unavailable.body)

    async def _issue(self, request: Request) -> TokenAnswer:
        if request.scope["query_string"]:
            raise InvalidRequestError("parameters belong into the body")
        check_content_type(_values(request, b"content-type"))
        authorizations = _values(request, b"authorization")
        if len(authorizations) > 1:
            raise InvalidRequestError("there is more than one Authorization header")
        form = parse_form(await _body(request))
        check_mechanism(form, has_header=bool(authorizations))
        token = None
        if form["grant_type"] == JWT_BEARER and "assertion" in form:
            # Authlib's grants are synchronous and keys may have to be loaded: the verdict is awaited before them.
            token = await self._verifier.averify(form["assertion"])
        return self._server.answer(form, authorizations[0] if authorizations else None, token)


def _values(request: Request, name: bytes) -> list[bytes]:
    return [value for key, value in request.scope["headers"] if key.lower() == name]


async def _body(request: Request) -> bytes:
    """Return the body if it is short enough, and stop reading as soon as it is not."""
    if any(value.strip().lower() != b"identity" for value in _values(request, b"content-encoding")):
        raise InvalidRequestError("the body must not be encoded")
    body = bytearray()
    async with aclosing(request.stream()) as stream:
        async for chunk in stream:
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise InvalidRequestError("the body is too long", status_code=413)
    return bytes(body)

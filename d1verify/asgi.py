"""The ASGI edge: a middleware, the token of a request, and a lifespan that warms the keys."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from starlette.authentication import AuthCredentials, BaseUser, UnauthenticatedUser
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ._edge import checked_flag, checked_token, checked_verifier, close_code
from ._flood import tell_all_counts
from ._health_endpoint import HealthEndpoint, Probed
from ._log import FailureLog
from ._paths import OPEN_METHODS, checked_paths, is_spelt_out
from ._scope import TOKEN_KEY, VERIFIER_KEY
from .bearer import authorization_of, check_realm, refusal
from .errors import ConfigurationError, D1VerifyError, KeyStoreError, Reason, TokenError
from .tokens import D1Token
from .verifier import HeaderVerifier

__all__ = ["D1AuthMiddleware", "D1User", "d1_lifespan", "get_token", "health_endpoint"]

OnError = Callable[[HTTPConnection, D1VerifyError], Response | Awaitable[Response]]


class D1User(BaseUser):
    """The caller as Starlette's `request.user`: D1, speaking for one merchant gateway."""

    def __init__(self, token: D1Token) -> None:
        self.token = token

    @property
    def is_authenticated(self) -> bool:
        """True: there is no such user without a verified token."""
        return True

    @property
    def display_name(self) -> str:
        """The token's subject, the merchant gateway id."""
        return self.token.subject

    @property
    def identity(self) -> str:
        """The token's subject, the merchant gateway id."""
        return self.token.subject


class D1AuthMiddleware:
    """Lets a request through only with a token that the verifier accepts.

    It guards `http` and `websocket`, passes `lifespan` on untouched and refuses scope
    types it does not know. The decision is made from the headers alone; nothing of the
    body is received before it.

    Args:
        app: the app behind it.
        verifier: a `D1Verifier`, or another `HeaderVerifier`.
        exclude: exact paths that stay open for GET and HEAD, relative to the mount. Where the
            server leaves its `root_path` out of the path, only those of one segment are open.
        realm: the protection space named in challenges.
        reveal_reason: name the reason in answers; for staging.
        on_error: shapes the answer to a refused http request. It cannot let the request
            through; if it raises, or its answer does before any of it was sent, the default
            answer goes out.

    Raises:
        ConfigurationError: an argument is out of range; the message names it.
    """

    def __init__(
        self,
        app: ASGIApp,
        verifier: HeaderVerifier,
        *,
        exclude: Iterable[str] = (),
        realm: str = "d1",
        reveal_reason: bool = False,
        on_error: OnError | None = None,
    ) -> None:
        checked_verifier(verifier, "averify_header")
        if on_error is not None and not callable(on_error):
            raise ConfigurationError("on_error must be a function that takes a connection and an error")
        self._app = app
        self._verifier = verifier
        self._exclude = checked_paths(exclude)
        self._realm = check_realm(realm)
        self._reveal_reason = checked_flag(reveal_reason, "reveal_reason")
        self._on_error = on_error
        self._failures = FailureLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI 3)."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] not in ("http", "websocket"):
            raise ValueError("D1AuthMiddleware guards http and websocket only")
        if self._exclude and _is_excluded(scope, self._exclude):
            open_to_all = {"user": UnauthenticatedUser(), "auth": AuthCredentials(), TOKEN_KEY: None}
            await self._app({**scope, **open_to_all}, receive, send)
            return
        try:
            token = await self._verifier.averify_header(authorization_of(scope["headers"]))
        except (TokenError, KeyStoreError) as error:
            await self._refuse(error, scope, receive, send)
            return
        verified = dict(scope)
        verified["user"] = D1User(checked_token(token))
        verified["auth"] = AuthCredentials(["d1"])
        verified[TOKEN_KEY] = token
        verified[VERIFIER_KEY] = self._verifier
        await self._app(verified, receive, send)

    async def _refuse(self, error: TokenError | KeyStoreError, scope: Scope, receive: Receive, send: Send) -> None:
        answer = refusal(error, realm=self._realm, reveal_reason=self._reveal_reason)
        headers = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in answer.headers]
        if scope["type"] == "websocket":
            if (await receive())["type"] != "websocket.connect":
                return  # The client has gone before it was answered.
            if "websocket.http.response" not in (scope.get("extensions") or {}):
                await send({"type": "websocket.close", "code": close_code(error), "reason": ""})
                return
            prefix, body = "websocket.http.response", answer.body
        else:
            shaped = await self._shaped(error, scope)
            if shaped is not None and await self._sent(shaped, scope, receive, send):
                return
            prefix, body = "http.response", b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": f"{prefix}.start", "status": answer.status, "headers": headers})
        await send({"type": f"{prefix}.body", "body": body})

    async def _shaped(self, error: D1VerifyError, scope: Scope) -> Response | None:
        """Return the answer that `on_error` makes, or None for the default one."""
        if self._on_error is None:
            return None
        try:
            shaped = self._on_error(HTTPConnection(scope), error)
            response = await shaped if inspect.isawaitable(shaped) else shaped
        except Exception as failure:
            # Its text may hold what must not be logged, so only its kind is.
            self._failures.write("on_error failed, the default answer goes out: %s", type(failure).__name__)
            return None
        if isinstance(response, Response):
            return response
        self._failures.write("on_error returned no Response, the default answer goes out: %s", type(response).__name__)
        return None

    async def _sent(self, shaped: Response, scope: Scope, receive: Receive, send: Send) -> bool:
        """Send the answer that `on_error` made; False if it failed before anything of it went out."""
        begun = False

        async def begin(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await shaped(scope, receive, begin)
        except Exception as failure:
            if begun:
                raise
            self._failures.write("on_error's answer failed, the default one goes out: %s", type(failure).__name__)
            return False
        return True


def get_token(conn: HTTPConnection) -> D1Token:
    """Return the verified token of a request or WebSocket behind `D1AuthMiddleware`.

    Raises:
        TokenError: `missing_token`: the path is excluded, or the middleware is not there.
    """
    token = conn.scope.get(TOKEN_KEY)
    if not isinstance(token, D1Token):
        raise TokenError(Reason.MISSING_TOKEN)
    return token


class _Warmable(Protocol):
    """What can load its keys ahead of the first call, as every verifier of this package can."""

    async def awarm_up(self) -> None:
        """Load keys if none are usable."""
        ...  # pragma: no cover - the body of a protocol is never run


def d1_lifespan(verifier: _Warmable) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return a lifespan that loads keys before the first request: `Starlette(lifespan=d1_lifespan(verifier))`.

    When the app shuts down, it writes the counts of refused calls that are not in the log yet.

    A wrong path or variable then fails the deployment and not the first call. Put it on
    the outermost app: a mounted one never sees lifespan. To add to a lifespan of your
    own, enter it there: `async with d1_lifespan(verifier)(app): ...`.

    Raises:
        ConfigurationError: `verifier` has no `awarm_up()`.
    """
    checked_verifier(verifier, "awarm_up")

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        await verifier.awarm_up()
        try:
            yield
        finally:
            tell_all_counts()  # A server that a signal ends may end the process without another chance.

    return lifespan


def health_endpoint(verifier: Probed) -> HealthEndpoint:
    """Return an ASGI app that says how the verifier's keys stand.

    `Route("/health", health_endpoint(verifier))` answers in JSON with status 200 for `ready` and
    `degraded` (stale keys still serve), 503 for `unready`. It loads keys that have come
    of age, as a call would and no more often, so that an idle process stays ready; it
    tells no key id and no error text. Behind `D1AuthMiddleware` its path belongs in `exclude`.

    Raises:
        ConfigurationError: `verifier` has no `aprobe()`.
    """
    return HealthEndpoint(verifier)


def _is_excluded(scope: Scope, exclude: frozenset[str]) -> bool:
    """Tell whether this is a GET or HEAD for an excluded path, spelt as configured and no other way."""
    if scope["type"] != "http" or scope["method"] not in OPEN_METHODS:
        return False
    root_path, path, raw_path = scope.get("root_path", ""), scope["path"], scope.get("raw_path")
    if root_path and (path == root_path or path.startswith(root_path + "/")):
        path = path[len(root_path) :]  # as the router will see it
    elif root_path and "/" in path[1:]:
        return False  # Below a Mount, Starlette would look for the whole path again, and find another endpoint.
    return path in exclude and raw_path is not None and is_spelt_out(raw_path, path, root_path)

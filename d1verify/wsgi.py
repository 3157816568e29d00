"""The WSGI edge: a middleware for Flask and every other framework behind PEP 3333."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from ._edge import checked_flag, checked_token, checked_verifier
from ._paths import OPEN_METHODS, checked_paths, is_spelt_out, written_paths
from ._scope import TOKEN_KEY
from .bearer import check_realm, refusal
from .errors import KeyStoreError, TokenError
from .tokens import D1Token
from .verifier import HeaderVerifier

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["D1WSGIMiddleware"]


class D1WSGIMiddleware:
    """Lets a request through only with a token that the verifier accepts.

    The app finds the `D1Token` in `environ["d1verify.token"]`; on an excluded path that
    key is not there. The decision is made from the headers alone; nothing of
    `wsgi.input` is read before it.

    A WSGI server joins two `Authorization` headers with a comma, which is refused with
    400. One that hands on only the first or the last hides the second from every app.

    Args:
        app: the app behind it.
        verifier: a `D1Verifier`, or another `HeaderVerifier`.
        exclude: exact paths that stay open for GET and HEAD, relative to `SCRIPT_NAME`.
        realm: the protection space named in challenges.
        reveal_reason: name the reason in answers; for staging.

    Raises:
        ConfigurationError: an argument is out of range; the message names it.
    """

    def __init__(
        self,
        app: WSGIApplication,
        verifier: HeaderVerifier,
        *,
        exclude: Iterable[str] = (),
        realm: str = "d1",
        reveal_reason: bool = False,
    ) -> None:
        checked_verifier(verifier, "verify_header")
        self._app = app
        self._verifier = verifier
        self._exclude = checked_paths(exclude)
        self._realm = check_realm(realm)
        self._reveal_reason = checked_flag(reveal_reason, "reveal_reason")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        environ.pop(TOKEN_KEY, None)  # Whoever put one there was not this verifier.
        if not (self._exclude and _is_excluded(environ, self._exclude)):
            try:
                environ[TOKEN_KEY] = self._verified(environ)
            except (TokenError, KeyStoreError) as error:
                return self._refuse(error, environ, start_response)
        return self._app(environ, start_response)

    def _verified(self, environ: WSGIEnvironment) -> D1Token:
        return checked_token(self._verifier.verify_header(environ.get("HTTP_AUTHORIZATION")))

    def _refuse(
        self, error: TokenError | KeyStoreError, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        answer = refusal(error, realm=self._realm, reveal_reason=self._reveal_reason)
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", list(answer.headers))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]


def _is_excluded(environ: WSGIEnvironment, exclude: frozenset[str]) -> bool:
    path = environ.get("PATH_INFO", "")
    if environ["REQUEST_METHOD"] not in OPEN_METHODS or path not in exclude:
        return False
    mount = environ.get("SCRIPT_NAME", "")
    return all(is_spelt_out(written, path, mount) for written in written_paths(environ))

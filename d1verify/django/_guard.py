"""One decision for every Django entrance: a request in, None or the answer that refuses it out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from .._edge import checked_flag, checked_token, checked_verifier
from ..bearer import check_realm, refusal
from ..errors import ConfigurationError, KeyStoreError, Reason, TokenError
from ..tokens import D1Token
from ..verifier import HeaderVerifier

__all__ = ["Guard", "get_token"]

_NO_KWARGS: Final[Mapping[str, Any]] = MappingProxyType({})


class Guard:
    """A verifier, and how its refusals are written.

    Whoever asks it holds no header value: a traceback shows the variables of its frames.

    Raises:
        ConfigurationError: an argument is out of range; the message names it.
    """

    __slots__ = ("realm", "reveal_reason", "verifier")

    def __init__(self, verifier: HeaderVerifier, *, realm: str = "d1", reveal_reason: bool = False) -> None:
        checked_verifier(verifier, "verify_header", "averify_header")
        self.verifier: HeaderVerifier = verifier
        self.realm: str = check_realm(realm)
        self.reveal_reason: bool = checked_flag(reveal_reason, "reveal_reason")

    def refuse(
        self, request: HttpRequest, path_kwarg: str | None = None, kwargs: Mapping[str, Any] = _NO_KWARGS
    ) -> HttpResponse | None:
        """Return the answer that refuses the request, or None with `request.d1_token` set.

        Args:
            request: judged by its `Authorization` header alone.
            path_kwarg: which of `kwargs` must be the token's subject.
            kwargs: the arguments that the URL pattern gives the view.

        Raises:
            ConfigurationError: the URL pattern has no `path_kwarg`.
            TypeError: the verifier returned no `D1Token`.
        """
        token = self._known(request)
        if token is None:
            try:
                token = self.verifier.verify_header(_authorization(request))
            except (TokenError, KeyStoreError) as error:
                return self._answer(request, error)
        return self._admit(request, token, path_kwarg, kwargs)

    async def arefuse(
        self, request: HttpRequest, path_kwarg: str | None = None, kwargs: Mapping[str, Any] = _NO_KWARGS
    ) -> HttpResponse | None:
        """Return what `refuse` returns without blocking the event loop."""
        token = self._known(request)
        if token is None:
            try:
                token = await self.verifier.averify_header(_authorization(request))
            except (TokenError, KeyStoreError) as error:
                return self._answer(request, error)
        return self._admit(request, token, path_kwarg, kwargs)

    def _known(self, request: HttpRequest) -> D1Token | None:
        """Return the token if this very verifier has accepted it for this request before."""
        if getattr(request, "_d1_verifier", None) is not self.verifier:
            return None
        return _token_of(request)

    def _admit(
        self, request: HttpRequest, token: D1Token, path_kwarg: str | None, kwargs: Mapping[str, Any]
    ) -> HttpResponse | None:
        checked_token(token)
        if path_kwarg is not None:
            if path_kwarg not in kwargs:
                raise ConfigurationError(f"the URL pattern gives the view no argument {path_kwarg!r} to compare")
            try:
                token.require_subject(kwargs[path_kwarg])
            except TokenError as error:
                return self._answer(request, error)
        request.d1_token = token  # type: ignore[attr-defined]
        request._d1_verifier = self.verifier  # type: ignore[attr-defined]  # noqa: SLF001 - ours
        return None

    def _answer(self, request: HttpRequest, error: TokenError | KeyStoreError) -> HttpResponse:
        answer = refusal(error, realm=self.realm, reveal_reason=self.reveal_reason)
        body = b"" if request.method == "HEAD" else answer.body
        return HttpResponse(body, status=answer.status, headers=dict(answer.headers))


def get_token(request: HttpRequest) -> D1Token:
    """Return the verified token of a guarded request: `request.d1_token`, with its type.

    Raises:
        TokenError: `missing_token`: the view is exempt, or nothing guards it.
    """
    token = _token_of(request)
    if token is None:
        raise TokenError(Reason.MISSING_TOKEN)
    return token


def _token_of(request: HttpRequest) -> D1Token | None:
    token = getattr(request, "d1_token", None)
    return token if isinstance(token, D1Token) else None


def _authorization(request: HttpRequest) -> str | None:
    """Return the header's value; two of them come joined with a comma, from WSGI servers and Django's ASGI alike."""
    value: str | None = request.META.get("HTTP_AUTHORIZATION")
    return value

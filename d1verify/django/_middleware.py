"""The middleware: every view is guarded unless it says `d1_exempt`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import resolve
from django.utils.decorators import sync_and_async_middleware

from .._paths import is_spelt_out, written_paths
from ._conf import configured_guard
from ._decorators import is_open

__all__ = ["D1Middleware"]

View = Callable[..., Any]


@sync_and_async_middleware
class D1Middleware:
    """Lets a request through only with a token that the verifier of the `D1VERIFY` settings accepts.

    The decision is made from the headers before any middleware after this one runs.
    `@d1_exempt` opens a view, at its path written without escapes. A path that no view
    answers is refused like any other, so that nobody learns from outside which there
    are. A request that was let through needs no CSRF token.

    Raises:
        ConfigurationError: the settings are wrong; the message names them.
    """

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._guard = configured_guard()
        self._is_async = iscoroutinefunction(get_response)
        self.process_view: Callable[..., Any] = self._process_view
        if self._is_async:
            markcoroutinefunction(self)
            self.process_view = self._aprocess_view

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request; a coroutine on an async stack."""
        if self._is_async:
            return self._acall(request)
        request.d1_token = None  # type: ignore[attr-defined]  # an attribute of ours
        if not self._leads_to_open_view(request):
            refused = self._guard.refuse(request)
            if refused is not None:
                return refused
            _ask_for_no_csrf_token(request)
        response: HttpResponseBase = self._get_response(request)
        return response

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        request.d1_token = None  # type: ignore[attr-defined]  # an attribute of ours
        if not self._leads_to_open_view(request):
            refused = await self._guard.arefuse(request)
            if refused is not None:
                return refused
            _ask_for_no_csrf_token(request)
        response: HttpResponseBase = await self._get_response(request)
        return response

    # Another middleware may change the URLconf or the method on the way to the view. The
    # view that is about to run has the last word; a request known by now is judged at once.

    def _process_view(
        self, request: HttpRequest, view: View, _args: Sequence[Any], _kwargs: Mapping[str, Any]
    ) -> HttpResponseBase | None:
        return None if _is_open(view, request) else self._guard.refuse(request)

    async def _aprocess_view(
        self, request: HttpRequest, view: View, _args: Sequence[Any], _kwargs: Mapping[str, Any]
    ) -> HttpResponseBase | None:
        return None if _is_open(view, request) else await self._guard.arefuse(request)

    def _leads_to_open_view(self, request: HttpRequest) -> bool:
        try:
            match = resolve(request.path_info, getattr(request, "urlconf", None))
        except Exception:  # Whatever a converter raises: no view was found to be open.
            return False
        return _is_open(match.func, request)


def _ask_for_no_csrf_token(request: HttpRequest) -> None:
    """Mark the request as Django's own test client does: no browser has sent it by itself."""
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]  # noqa: SLF001 - a mark of Django's


def _is_open(view: object, request: HttpRequest) -> bool:
    return is_open(view, request.method) and _is_spelt_out(request)


def _is_spelt_out(request: HttpRequest) -> bool:
    """Tell whether the client wrote method and path as Django reads them, so that no two readers see two requests."""
    scope: Any = getattr(request, "scope", None)
    if scope is None:
        method = request.META["REQUEST_METHOD"]
        written = written_paths(request.META)
    else:
        method = scope["method"]
        written = [scope["raw_path"]] if scope.get("raw_path") is not None else []
    path, mount = request.path_info, request.META.get("SCRIPT_NAME", "")
    return method == request.method and path.isascii() and all(is_spelt_out(one, path, mount) for one in written)

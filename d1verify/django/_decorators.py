"""What is written above a view: `d1_required`, or `d1_exempt` behind the middleware."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any, TypeVar, overload

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from .._paths import OPEN_METHODS
from ..errors import ConfigurationError
from ..verifier import HeaderVerifier
from ._conf import configured_guard
from ._guard import Guard

__all__ = ["d1_exempt", "d1_required", "is_open"]

V = TypeVar("V", bound=Callable[..., Any])

_OPEN_METHODS = "d1_open_methods"


def d1_required(
    verifier: HeaderVerifier | None = None,
    path_kwarg: str | None = None,
    *,
    realm: str | None = None,
    reveal_reason: bool | None = None,
) -> Callable[[V], V]:
    """Return a decorator for a view that only D1 may call: `@d1_required(verifier)`.

    For sync and async views; for a class-based one
    `@method_decorator(d1_required(verifier), name="dispatch")`. The view finds the token
    in `request.d1_token`. Such a view needs no CSRF token and no login: nothing that a
    browser sends by itself is taken for credentials here.

    Put it outermost. What wraps it from outside, `cache_page` for instance, answers
    without it.

    Args:
        verifier: a `D1Verifier`, or another `HeaderVerifier`. Without one, that of the
            `D1VERIFY` settings, made when the first request needs it.
        path_kwarg: the view's argument that must equal the token's subject, else 403.
        realm: the protection space named in challenges; `"d1"`.
        reveal_reason: name the reason in answers; for staging.

    Raises:
        ConfigurationError: an argument is out of range; the message names it.
    """
    if verifier is None:
        if realm is not None or reveal_reason is not None:
            raise ConfigurationError("realm and reveal_reason stand in the D1VERIFY settings where the verifier does")
        guard = configured_guard
    else:
        if callable(verifier) and not hasattr(verifier, "verify_header"):
            raise ConfigurationError("write @d1_required(verifier), or @d1_required() for the D1VERIFY settings")
        own = Guard(
            verifier,
            realm="d1" if realm is None else realm,
            reveal_reason=False if reveal_reason is None else reveal_reason,
        )

        def guard() -> Guard:
            return own

    if path_kwarg is not None and (not isinstance(path_kwarg, str) or not path_kwarg.isidentifier()):
        raise ConfigurationError("path_kwarg must be the name of one of the view's arguments")
    return partial(_guarded, guard=guard, path_kwarg=path_kwarg)


@overload
def d1_exempt(view: V) -> V: ...
@overload
def d1_exempt(*, methods: Iterable[str]) -> Callable[[V], V]: ...
def d1_exempt(view: V | None = None, *, methods: Iterable[str] = OPEN_METHODS) -> V | Callable[[V], V]:
    """Open a view behind `D1Middleware` to everybody, for GET and HEAD: `@d1_exempt`.

    For other methods name them: `@d1_exempt(methods=["POST"])`. On a class-based view:
    `@method_decorator(d1_exempt, name="dispatch")`. It opens nothing that `d1_required`
    guards, and no path that the client writes with escapes (`/%68ealth`). The view itself
    is left as it is: another route to it stays shut.

    Raises:
        ConfigurationError: `methods` is no collection of method names in capitals.
    """
    names = () if isinstance(methods, str | bytes) or not isinstance(methods, Iterable) else tuple(methods)
    if not names or not all(isinstance(name, str) and name.isalpha() and name.isupper() for name in names):
        raise ConfigurationError('methods must be method names in capitals, such as ["GET", "HEAD"]')

    opened = partial(_opened, methods=frozenset(names))
    return opened if view is None else opened(view)


def is_open(view: object, method: str | None) -> bool:
    """Tell whether `d1_exempt` has opened this view for this method."""
    return method in getattr(view, _OPEN_METHODS, ())


def _opened(view: V, *, methods: frozenset[str]) -> V:
    @wraps(view)
    def opened(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    if iscoroutinefunction(view):
        markcoroutinefunction(opened)
    setattr(opened, _OPEN_METHODS, methods)
    exempt: Any = opened
    decorated: V = exempt
    return decorated


def _guarded(view: V, *, guard: Callable[[], Guard], path_kwarg: str | None) -> V:
    if isinstance(view, type) or not callable(view):
        raise ConfigurationError('on a class, write @method_decorator(d1_required(verifier), name="dispatch")')
    guarded: Any
    if _is_async(view):

        @wraps(view)
        async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            refused = await guard().arefuse(request, path_kwarg, kwargs)
            if refused is not None:
                return refused
            response: HttpResponseBase = await view(request, *args, **kwargs)
            return response

    else:

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            refused = guard().refuse(request, path_kwarg, kwargs)
            if refused is not None:
                return refused
            response: HttpResponseBase = view(request, *args, **kwargs)
            return response

    # Read by CsrfViewMiddleware, by LoginRequiredMiddleware, and by this app's checks.
    guarded.csrf_exempt = True
    guarded.login_required = False
    guarded.d1_required = True
    guarded.d1_path_kwarg = path_kwarg
    decorated: V = guarded
    return decorated


def _is_async(view: Any) -> bool:
    """Tell whether the view's answer has to be awaited.

    `method_decorator` hands over a `partial` of the bound `dispatch`, which is a plain
    method on an async class too and then returns what its async handlers return.
    """
    while True:
        if iscoroutinefunction(view):
            return True
        if isinstance(view, partial):
            view = view.func
        elif hasattr(view, "__self__"):
            return bool(getattr(view.__self__, "view_is_async", False))
        elif hasattr(view, "__wrapped__"):
            view = view.__wrapped__
        else:
            return False

"""The system checks: what `manage.py check` says about settings, middleware and routes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.module_loading import import_string

from ..errors import ConfigurationError, KeyStoreError
from ..policy import ANY_SUBJECT
from ._conf import guard_from, read_settings, relabelled
from ._middleware import D1Middleware

__all__ = ["check_deployment", "check_routes", "check_settings"]

_OURS = f"{D1Middleware.__module__}.{D1Middleware.__qualname__}"
_CACHE = "django.middleware.cache.FetchFromCacheMiddleware"
_LOGIN = "django.contrib.auth.middleware.LoginRequiredMiddleware"
_CSRF = "django.middleware.csrf.CsrfViewMiddleware"


def check_settings(**_options: Any) -> list[CheckMessage]:
    """Name everything that is wrong with the `D1VERIFY` settings and the place of `D1Middleware`."""
    if not hasattr(settings, "D1VERIFY"):
        hint = 'Without these settings, give each guard its verifier and leave "d1verify.django" out of INSTALLED_APPS.'
        return [Error("D1VERIFY is not set.", hint=hint, id="d1verify.E001"), *_check_middleware()]
    _guard, problems = read_settings(settings.D1VERIFY)
    return [*(Error(f"{problem}.", id="d1verify.E002") for problem in problems), *_check_middleware()]


def check_routes(**_options: Any) -> list[CheckMessage]:
    """Name routes whose view compares an argument they do not give, or is guarded in part only."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    messages: list[CheckMessage] = []
    for route, pattern, names in _patterns(get_resolver(), "", frozenset()):
        messages += _check_route(route, pattern.callback, names)
    return messages


def check_deployment(**_options: Any) -> list[CheckMessage]:
    """Load keys once, and name settings that are meant for staging. For `check --deploy`."""
    try:
        guard = guard_from(getattr(settings, "D1VERIFY", None))
    except ConfigurationError:
        return []  # The other check says so.
    messages: list[CheckMessage] = []
    if guard.reveal_reason:
        messages.append(CheckWarning('D1VERIFY["REVEAL_REASON"] tells callers why.', id="d1verify.W003"))
    if settings.D1VERIFY.get("SUBJECT") in ("*", ANY_SUBJECT):
        text = 'D1VERIFY["SUBJECT"] accepts a token that D1 signed for any merchant.'
        messages.append(CheckWarning(text, hint="Compare the subject in every view.", id="d1verify.W004"))
    warm_up = getattr(guard.verifier, "warm_up", lambda: None)
    try:
        warm_up()
    except KeyStoreError as error:
        messages.append(Error(f"No keys can be loaded: {relabelled(str(error))}.", id="d1verify.E005"))
    return messages


def _check_middleware() -> list[CheckMessage]:
    chain = [_names(path) for path in settings.MIDDLEWARE]
    ours = [place for place, names in enumerate(chain) if _OURS in names]
    if not ours:
        return []
    messages: list[CheckMessage] = []
    if len(ours) > 1:
        messages.append(Error("D1Middleware is in MIDDLEWARE more than once.", id="d1verify.E003"))
    if any(_CACHE in names for names in chain[: ours[0]]):
        text = "The cache answers before D1Middleware is asked."
        hint = "Put D1Middleware above FetchFromCacheMiddleware."
        messages.append(Error(text, hint=hint, id="d1verify.E004"))
    if any(_LOGIN in names for names in chain):
        text = "LoginRequiredMiddleware sends the calls that D1Middleware lets through to the login page."
        hint = "Use @d1_required on the views that D1 calls instead of D1Middleware."
        messages.append(CheckWarning(text, hint=hint, id="d1verify.W001"))
    return messages


def _names(path: str) -> set[str]:
    """Return the full names of a middleware's class and its base classes; none where it is no class."""
    try:
        middleware = import_string(path)
    except Exception:  # Django names it when it loads the middleware.
        return set()
    return {f"{cls.__module__}.{cls.__qualname__}" for cls in getattr(middleware, "__mro__", ())}


def _patterns(
    resolver: URLResolver, prefix: str, names: frozenset[str]
) -> Iterator[tuple[str, URLPattern, frozenset[str]]]:
    """Yield each route: how it reads, its pattern, and the arguments that it gives its view."""
    for one in resolver.url_patterns:
        route = prefix + str(one.pattern)
        given = names | set(one.pattern.regex.groupindex)
        if isinstance(one, URLResolver):
            yield from _patterns(one, route, given | set(one.default_kwargs))
        else:
            yield route, one, given | set(one.default_args)


def _check_route(route: str, view: Any, names: frozenset[str]) -> Iterator[CheckMessage]:
    path_kwarg = getattr(view, "d1_path_kwarg", None)
    if path_kwarg is not None and path_kwarg not in names:
        text = f"The view of {route!r} compares its argument {path_kwarg!r}, and the route gives none of that name."
        yield Error(text, id="d1verify.E006")
    if _CSRF in settings.MIDDLEWARE and not getattr(view, "csrf_exempt", False):
        view_class = getattr(view, "view_class", None)
        handlers = [getattr(view_class, name, None) for name in ("post", "put", "patch", "delete")]
        if any(getattr(handler, "d1_required", False) for handler in handlers):
            text = f"The view of {route!r} has d1_required on a single method, so CSRF protection still refuses D1."
            hint = '@method_decorator(d1_required(verifier), name="dispatch")'
            yield CheckWarning(text, hint=hint, id="d1verify.W002")

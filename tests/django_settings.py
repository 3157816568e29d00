"""Django for the tests: configured once in a process, whoever asks first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test.utils import override_settings
from django.urls import URLPattern

APPS = ["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "d1verify.django"]

# As `startproject` has it, as far as no database is needed.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
D1_MIDDLEWARE = ["d1verify.django.D1Middleware", *MIDDLEWARE]

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=APPS,
        MIDDLEWARE=MIDDLEWARE,
        ROOT_URLCONF=(),
        SECRET_KEY="for tests only",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        USE_TZ=True,
    )
    django.setup()


class Routes:
    """A URLconf that is an object and no module."""

    def __init__(self, *urlpatterns: URLPattern) -> None:
        self.urlpatterns = urlpatterns


def wsgi_app(routes: Routes, **changes: Any) -> Callable[..., Any]:
    """Return the project with these routes and settings as a WSGI app, ready to be called at any time."""
    with overridden(routes, changes):
        handler = WSGIHandler()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        with overridden(routes, changes):
            response = handler(environ, start_response)
            try:
                return list(response)
            finally:
                response.close()

    return app


def asgi_app(routes: Routes, **changes: Any) -> Callable[..., Any]:
    """Return the project with these routes and settings as an ASGI app, ready to be called at any time."""
    with overridden(routes, changes):
        handler = ASGIHandler()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        with overridden(routes, changes):
            await handler(scope, receive, send)

    return app


@contextmanager
def overridden(routes: Routes, changes: dict[str, Any]) -> Iterator[None]:
    with override_settings(ROOT_URLCONF=routes, **changes):
        yield

"""The Django edges: the decorator, the middleware and REST framework's authentication, on WSGI and on ASGI."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from tests.django_settings import D1_MIDDLEWARE, Routes, asgi_app, wsgi_app  # first: the imports below read settings

# isort: split

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from d1verify import HeaderVerifier
from d1verify.django import d1_exempt, d1_required
from d1verify.drf import D1Authentication

from .edge import Call, Edge, Options, asgi_call, wsgi_call

NOTIFY = "merchant-gateways/<str:merchantGatewayId>/notify"

Project = tuple[Routes, dict[str, Any]]
"""The routes, and the settings that go with them."""


def answer(request: HttpRequest, **_kwargs: str) -> JsonResponse:
    if request.method == "POST":
        request.read()
    token = getattr(request, "d1_token", None)
    return JsonResponse({"subject": token and token.subject})


async def async_answer(request: HttpRequest, **kwargs: str) -> JsonResponse:
    return answer(request, **kwargs)


def plain_views(verifier: HeaderVerifier, options: Options) -> Project:
    return _decorated(answer, verifier, options)


def async_views(verifier: HeaderVerifier, options: Options) -> Project:
    return _decorated(async_answer, verifier, options)


def class_based_views(verifier: HeaderVerifier, options: Options) -> Project:
    return _class_based(answer, verifier, options)


def async_class_based_views(verifier: HeaderVerifier, options: Options) -> Project:
    return _class_based(async_answer, verifier, options)


def behind_middleware(verifier: HeaderVerifier, options: Options) -> Project:
    changes = {
        "MIDDLEWARE": D1_MIDDLEWARE,
        "D1VERIFY": {"VERIFIER": verifier, "REALM": options.realm, "REVEAL_REASON": options.reveal_reason},
    }
    compared = d1_required(path_kwarg="merchantGatewayId")(answer)
    health = d1_exempt(_same(answer)) if options.exclude else answer
    return Routes(path("notify", answer), path(NOTIFY, compared), path("health", health)), changes


def rest_framework_views(verifier: HeaderVerifier, options: Options) -> Project:
    shaped: dict[str, Any] = {"realm": options.realm, "reveal_reason": options.reveal_reason}
    notify = _api_view(D1Authentication.using(verifier, **shaped))
    compared = _api_view(D1Authentication.using(verifier, path_kwarg="merchantGatewayId", **shaped))
    return Routes(path("notify", notify), path(NOTIFY, compared)), {}


def django_edges() -> tuple[Edge, ...]:
    """Return every Django edge; those on ASGI run on asyncio, which is all that Django knows."""
    return (
        _edge("django decorator", plain_views),
        _edge("django decorator on async views", async_views),
        _edge("django decorator on classes", class_based_views),
        _edge("django decorator, asgi", plain_views, on_asgi=True),
        _edge("django decorator on async views, asgi", async_views, on_asgi=True),
        _edge("django decorator on async classes, asgi", async_class_based_views, on_asgi=True),
        _edge("django middleware", behind_middleware, has_exclude=True),
        _edge("django middleware, asgi", behind_middleware, has_exclude=True, on_asgi=True),
        _edge("rest framework", rest_framework_views, writes_own_bytes=False),
        _edge("rest framework, asgi", rest_framework_views, writes_own_bytes=False, on_asgi=True),
    )


def _edge(
    name: str, project: Callable[[HeaderVerifier, Options], Project], *, on_asgi: bool = False, **traits: Any
) -> Edge:
    def build(verifier: HeaderVerifier, options: Options) -> Call:
        routes, changes = project(verifier, options)
        if on_asgi:
            return asgi_call(asgi_app(routes, **changes), "asyncio")
        return wsgi_call(wsgi_app(routes, **changes))

    # Django's ASGI handler receives the body before it calls the first middleware.
    return Edge(
        name=name, build=build, sees_two_headers=False, compares_path=True, leaves_body_alone=not on_asgi, **traits
    )


def _decorated(view: Callable[..., Any], verifier: HeaderVerifier, options: Options) -> Project:
    shaped: dict[str, Any] = {"realm": options.realm, "reveal_reason": options.reveal_reason}
    notify = d1_required(verifier, **shaped)(view)
    compared = d1_required(verifier, "merchantGatewayId", **shaped)(view)
    return Routes(path("notify", notify), path(NOTIFY, compared)), {}


def _class_based(handler: Callable[..., Any], verifier: HeaderVerifier, options: Options) -> Project:
    shaped: dict[str, Any] = {"realm": options.realm, "reveal_reason": options.reveal_reason}
    handlers = {
        method: staticmethod(handler) for method in ("get", "head", "post", "put", "patch", "delete", "options")
    }
    classes: list[Any] = [
        method_decorator(d1_required(verifier, path_kwarg, **shaped), name="dispatch")(
            type("Notify", (View,), handlers)
        )
        for path_kwarg in (None, "merchantGatewayId")
    ]
    guarded, compared = classes
    return Routes(path("notify", guarded.as_view()), path(NOTIFY, compared.as_view())), {}


def _view_class(handlers: dict[str, Any]) -> type[View]:
    return type("Notify", (View,), handlers)


def _api_view(authentication: type[D1Authentication]) -> Callable[..., Any]:
    class Notify(APIView):
        authentication_classes = (authentication,)
        permission_classes = (AllowAny,)

        def answer(self, request: Request, **_kwargs: str) -> Response:
            if request.method == "POST":
                request.body  # noqa: B018 - it is read here
            token: Any = request.auth
            return Response({"subject": token.subject})

        get = head = post = put = patch = delete = options = answer

    return Notify.as_view()


def _same(view: Callable[..., JsonResponse]) -> Callable[..., JsonResponse]:
    """Return a view of its own, so that marking it leaves the other as it is."""

    @wraps(view)
    def same(request: HttpRequest, **kwargs: str) -> JsonResponse:
        return view(request, **kwargs)

    return same

"""Types of the web edges: middlewares, dependency, decorators, and what they leave for the app."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true, reportUnusedFunction=false

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, assert_type

from tests.django_settings import Routes  # first: the imports below read settings

# isort: split

from django.http import HttpRequest, HttpResponse
from fastapi import APIRouter, Depends, FastAPI
from rest_framework.views import APIView
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from d1verify import D1Token, D1VerifyError, StaticKeyStore
from d1verify.asgi import D1AuthMiddleware, D1User, d1_lifespan, get_token
from d1verify.django import d1_exempt, d1_required
from d1verify.drf import D1Authentication
from d1verify.fastapi import RESPONSES, D1Bearer, install
from d1verify.oauth import AccessTokenVerifier
from d1verify.wsgi import D1WSGIMiddleware

from ..support import KEY, SUBJECT
from .test_core_types import VERIFIER

ACCESS = AccessTokenVerifier(
    StaticKeyStore({KEY.kid: KEY.pem}), issuer="https://merchant.example", audience="https://api", subject=[SUBJECT]
)


async def answer(_request: Request) -> Response:
    return Response()


def shaped(_conn: HTTPConnection, _error: D1VerifyError) -> Response:
    return JSONResponse({})


async def shaped_later(_conn: HTTPConnection, _error: D1VerifyError) -> JSONResponse:
    return JSONResponse({})


def flask_like(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return []


# ASGI


def test_the_middleware_goes_wherever_starlette_takes_one() -> None:
    app = Starlette(
        routes=[
            Mount("/api", routes=[], middleware=[Middleware(D1AuthMiddleware, verifier=VERIFIER, exclude=["/health"])])
        ],
        lifespan=d1_lifespan(VERIFIER),
    )
    app.add_middleware(D1AuthMiddleware, verifier=ACCESS, exclude=("/health",), on_error=shaped)
    Route("/pay", answer, middleware=[Middleware(D1AuthMiddleware, verifier=VERIFIER, on_error=shaped_later)])
    assert_type(D1AuthMiddleware(app, VERIFIER, realm="d1", reveal_reason=True), D1AuthMiddleware)


def test_a_lifespan_is_entered_with_the_app() -> None:
    lifespan = d1_lifespan(ACCESS)
    assert_type(lifespan, Callable[[Any], AbstractAsyncContextManager[None]])
    assert_type(FastAPI(lifespan=lifespan), FastAPI)


def _of_a_request(request: Request) -> None:
    assert_type(get_token(request), D1Token)
    assert_type(D1User(get_token(request)).token, D1Token)


# FastAPI


def test_the_dependency_goes_wherever_fastapi_takes_one() -> None:
    d1 = D1Bearer(VERIFIER, path_param="merchantGatewayId")
    app = FastAPI(dependencies=[Depends(d1)], responses=RESPONSES)
    app.include_router(APIRouter(dependencies=[Depends(D1Bearer(ACCESS, auto_error=False))]))
    install(app, realm="d1")

    async def notify(merchantGatewayId: str, token: Annotated[D1Token, Depends(d1)]) -> str:  # noqa: N803
        return token.subject + merchantGatewayId

    app.post("/{merchantGatewayId}/notify")(notify)


async def _of_a_dependency(conn: HTTPConnection) -> None:
    assert_type(await D1Bearer(VERIFIER)(conn), D1Token | None)


# WSGI


def test_the_wsgi_middleware_wraps_an_app() -> None:
    assert_type(D1WSGIMiddleware(flask_like, VERIFIER, exclude={"/health"}), D1WSGIMiddleware)
    assert_type(D1WSGIMiddleware(flask_like, ACCESS, realm="d1"), D1WSGIMiddleware)


# Django


def test_the_decorator_keeps_the_view_as_it_is() -> None:
    @d1_required(VERIFIER, path_kwarg="gateway")
    def view(request: HttpRequest, gateway: str) -> HttpResponse:
        return HttpResponse(gateway)

    @d1_required(VERIFIER)
    async def later(request: HttpRequest, gateway: str) -> HttpResponse:
        return HttpResponse(gateway)

    @d1_exempt
    def health(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    @d1_exempt(methods=["POST"])
    async def hook(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    async def _types(request: HttpRequest) -> None:
        assert_type(view(request, "a"), HttpResponse)
        assert_type(view(request, gateway="a"), HttpResponse)
        assert_type(await later(request, "a"), HttpResponse)
        assert_type(health(request), HttpResponse)
        assert_type(await hook(request), HttpResponse)
        view(request)  # type: ignore[call-arg]
        await later(request, 1)  # type: ignore[arg-type]
        health()  # type: ignore[call-arg]

    assert [each.__name__ for each in (view, later, health, hook)] == ["view", "later", "health", "hook"]
    assert Routes().urlpatterns == ()


def test_an_authentication_class_goes_into_a_view() -> None:
    class Notify(APIView):
        authentication_classes = [D1Authentication.using(VERIFIER, path_kwarg="gateway")]  # noqa: RUF012 - as DRF has it

    assert_type(D1Authentication.using(ACCESS, optional=True), type[D1Authentication])
    assert issubclass(Notify.authentication_classes[0], D1Authentication)


# What a type checker refuses.


class _Sync:
    def verify_header(self, value: str | bytes | None) -> D1Token:
        raise NotImplementedError


def _text(_conn: HTTPConnection, _error: D1VerifyError) -> str:
    return "let it pass"


def _no_view(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def _refused(app: Starlette, request: HttpRequest) -> None:
    D1AuthMiddleware(app)  # type: ignore[call-arg]
    D1AuthMiddleware(app, None)  # type: ignore[arg-type]
    D1AuthMiddleware(app, _Sync())  # type: ignore[arg-type]
    D1AuthMiddleware(app, VERIFIER, ["/health"])  # type: ignore[call-arg]
    D1AuthMiddleware(app, VERIFIER, exclude=[b"/health"])  # type: ignore[list-item]
    D1AuthMiddleware(app, VERIFIER, exclude=None)  # type: ignore[arg-type]
    D1AuthMiddleware(app, VERIFIER, on_error=_text)  # type: ignore[arg-type]
    D1AuthMiddleware(app, VERIFIER, auto_error=False)  # type: ignore[call-arg]
    app.add_middleware(D1AuthMiddleware)  # type: ignore[call-arg]
    app.add_middleware(D1AuthMiddleware, verifier=_Sync())  # type: ignore[arg-type]
    get_token({"type": "http"})  # type: ignore[arg-type]
    d1_lifespan(_Sync())  # type: ignore[arg-type]
    D1User("MGW_000001")  # type: ignore[arg-type]

    D1Bearer()  # type: ignore[call-arg]
    D1Bearer(_Sync())  # type: ignore[arg-type]
    D1Bearer(VERIFIER, False)  # type: ignore[call-arg]  # noqa: FBT003
    install(VERIFIER)  # type: ignore[arg-type]

    D1WSGIMiddleware(flask_like, None)  # type: ignore[arg-type]
    D1WSGIMiddleware(flask_like, VERIFIER, exclude=[1])  # type: ignore[list-item]

    d1_required(_no_view)  # type: ignore[arg-type]
    d1_required(VERIFIER, realm=1)  # type: ignore[arg-type]
    d1_required(VERIFIER)(request)  # type: ignore[type-var]
    d1_exempt(methods=5)  # type: ignore[call-overload]
    D1Authentication.using()  # type: ignore[call-arg]
    D1Authentication.using(None)  # type: ignore[arg-type]

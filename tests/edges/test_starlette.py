"""Starlette's own idioms behind the middleware: `request.user`, `request.auth`, `@requires`, mounts, routes."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, Router, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from d1verify import D1Verifier, KeyStoreError, TokenError
from d1verify.asgi import D1AuthMiddleware, d1_lifespan, get_token
from tests.support import KEY as SIGNER
from tests.support import SUBJECT, ScriptedStore, key_set, make_verifier

from .cases import GOOD

AUTHORIZED = {"Authorization": f"Bearer {GOOD}"}


async def who(request: Request) -> JSONResponse:
    user = request.user
    return JSONResponse(
        {
            "name": user.display_name,
            "identity": user.identity if user.is_authenticated else None,
            "scopes": request.auth.scopes,
        }
    )


@requires("d1")
async def for_d1(request: Request) -> JSONResponse:
    return JSONResponse({"subject": get_token(request).subject})


async def open_to_all(request: Request) -> PlainTextResponse:
    return PlainTextResponse("open")


async def token_or_refusal(request: Request) -> Response:
    try:
        return PlainTextResponse(get_token(request).subject)
    except TokenError as error:
        return PlainTextResponse(error.reason.value)


def client(app: Any, backend: str) -> TestClient:
    return TestClient(app, backend=backend)  # type: ignore[arg-type]


@pytest.fixture
def app(verifier: D1Verifier) -> Starlette:
    routes = [Route("/who", who), Route("/d1", for_d1), Route("/health", who), Route("/needed", for_d1)]
    guard = Middleware(D1AuthMiddleware, verifier=verifier, exclude=["/health", "/needed"])
    return Starlette(routes=routes, middleware=[guard])


def test_request_user_and_auth_are_d1s(app: Starlette, anyio_backend: str) -> None:
    answer = client(app, anyio_backend).get("/who", headers=AUTHORIZED)
    assert answer.json() == {"name": SUBJECT, "identity": SUBJECT, "scopes": ["d1"]}


def test_requires_d1_lets_a_verified_call_through(app: Starlette, anyio_backend: str) -> None:
    assert client(app, anyio_backend).get("/d1", headers=AUTHORIZED).json() == {"subject": SUBJECT}


def test_on_an_excluded_path_the_user_is_nobody(app: Starlette, anyio_backend: str) -> None:
    answer = client(app, anyio_backend).get("/health", headers=AUTHORIZED)
    assert answer.json() == {"name": "", "identity": None, "scopes": []}


def test_requires_d1_shuts_an_excluded_path_again(app: Starlette, anyio_backend: str) -> None:
    assert client(app, anyio_backend).get("/needed", headers=AUTHORIZED).status_code == 403


def test_without_the_middleware_there_is_no_token(anyio_backend: str) -> None:
    app = Starlette(routes=[Route("/", token_or_refusal)])
    assert client(app, anyio_backend).get("/", headers=AUTHORIZED).text == "missing_token"


@pytest.mark.parametrize("inner", [Starlette, Router])
def test_on_a_mount_the_rest_stays_open(inner: type[Starlette | Router], verifier: D1Verifier) -> None:
    guard = [Middleware(D1AuthMiddleware, verifier=verifier, exclude=["/health"])]
    part = inner(routes=[Route("/d1", for_d1), Route("/health", open_to_all)], middleware=guard)
    calls = client(Starlette(routes=[Mount("/api", app=part), Route("/d1", open_to_all)]), "asyncio")
    assert calls.get("/d1").text == "open"
    assert calls.get("/api/d1").status_code == 401
    assert calls.get("/api/health").text == "open"
    assert calls.get("/api/d1", headers=AUTHORIZED).json() == {"subject": SUBJECT}


def test_on_a_mount_an_excluded_path_is_relative_to_it(verifier: D1Verifier) -> None:
    guard = [Middleware(D1AuthMiddleware, verifier=verifier, exclude=["/health"])]
    mount = Mount("/health", routes=[Route("/pay", open_to_all), Route("/health", open_to_all)], middleware=guard)
    calls = client(Starlette(routes=[mount]), "asyncio")
    assert calls.get("/health/pay").status_code == 401
    assert calls.get("/health/health").text == "open"


def test_on_a_route_the_others_stay_open(verifier: D1Verifier) -> None:
    guard = [Middleware(D1AuthMiddleware, verifier=verifier)]
    calls = client(Starlette(routes=[Route("/d1", for_d1, middleware=guard), Route("/open", open_to_all)]), "asyncio")
    assert calls.get("/open").text == "open"
    assert calls.get("/d1").status_code == 401
    assert calls.get("/d1", headers=AUTHORIZED).json() == {"subject": SUBJECT}


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(get_token(websocket).subject)
    await websocket.close()


def test_a_websocket_has_the_token_too(verifier: D1Verifier, anyio_backend: str) -> None:
    guard = Middleware(D1AuthMiddleware, verifier=verifier)
    calls = client(Starlette(routes=[WebSocketRoute("/ws", echo)], middleware=[guard]), anyio_backend)
    with calls.websocket_connect("/ws", headers=AUTHORIZED) as websocket:
        assert websocket.receive_text() == SUBJECT
    with pytest.raises(WebSocketDisconnect) as refused, calls.websocket_connect("/ws"):
        pass
    assert isinstance(refused.value, WebSocketDenialResponse)
    assert refused.value.status_code == 401


def test_the_lifespan_loads_the_keys_before_the_first_request(anyio_backend: str) -> None:
    store = ScriptedStore(key_set(SIGNER))
    verifier = make_verifier(store)
    app = Starlette(lifespan=d1_lifespan(verifier), routes=[Route("/who", who)])
    app.add_middleware(D1AuthMiddleware, verifier=verifier)
    with client(app, anyio_backend) as calls:
        assert store.loads == 1
        assert calls.get("/who", headers=AUTHORIZED).status_code == 200
    assert store.loads == 1


def test_the_lifespan_fails_the_deployment_when_there_are_no_keys(anyio_backend: str) -> None:
    app = Starlette(lifespan=d1_lifespan(make_verifier(ScriptedStore(KeyStoreError("no such directory")))))
    with pytest.raises(KeyStoreError, match="no such directory"), client(app, anyio_backend):
        pass

"""FastAPI's own idioms. No postponed annotations here: FastAPI could not find a local `d1` in one."""

import importlib
import logging
import sys
from typing import Annotated, Any

import anyio
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from starlette.requests import HTTPConnection

from d1verify import ConfigurationError, D1Token, D1Verifier, KeyStoreError, TokenError
from d1verify.asgi import D1AuthMiddleware
from d1verify.errors import Reason
from d1verify.fastapi import RESPONSES, D1Bearer, D1HTTPException, install
from tests.support import KEY, SUBJECT, ScriptedStore, key_set, make_verifier

from .cases import GOOD, NoKeys, authorization, bearer
from .edge import App, Headers, asgi_call, asgi_scope, asgi_websocket_call

AUTHORIZED = {"Authorization": f"Bearer {GOOD}"}


class CountingVerifier:
    """A verifier that counts how often it is asked."""

    def __init__(self, verifier: D1Verifier) -> None:
        self.verifier = verifier
        self.asked = 0

    def verify_header(self, value: str | bytes | None) -> D1Token:
        raise NotImplementedError

    async def averify_header(self, value: str | bytes | None) -> D1Token:
        self.asked += 1
        return await self.verifier.averify_header(value)


def app_with(d1: D1Bearer) -> FastAPI:
    app = FastAPI()
    install(app)

    @app.post("/")
    async def root(token: Annotated[D1Token | None, Depends(d1)]) -> str | None:
        return token and token.subject

    return app


@pytest.fixture
def d1(verifier: D1Verifier) -> D1Bearer:
    return D1Bearer(verifier)


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_token_without_depends_is_refused_when_the_route_is_registered(method: str) -> None:
    async def endpoint(token: D1Token) -> None: ...

    with pytest.raises(TypeError, match="Depends"):
        getattr(FastAPI(), method)("/")(endpoint)


def test_openapi_shows_a_jwt_as_http_bearer(d1: D1Bearer) -> None:
    schema = app_with(d1).openapi()
    assert schema["components"]["securitySchemes"] == {
        "D1Bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A JWT signed by D1."}
    }
    operation = schema["paths"]["/"]["post"]
    assert operation["security"] == [{"D1Bearer": []}]
    assert "parameters" not in operation
    assert "requestBody" not in operation


@pytest.mark.parametrize("place", ["app", "router", "include"])
def test_responses_document_what_the_dependency_answers(place: str) -> None:
    app = FastAPI(responses=RESPONSES if place == "app" else None)
    router = APIRouter(responses=RESPONSES if place == "router" else None)

    @router.get("/x")
    async def x() -> None: ...

    app.include_router(router, responses=RESPONSES if place == "include" else None)
    answers = app.openapi()["paths"]["/x"]["get"]["responses"]
    assert sorted(answers) == ["200", "400", "401", "403", "503"]
    assert list(answers["503"]["headers"]) == ["Retry-After"]
    assert list(answers["401"]["headers"]) == ["WWW-Authenticate"]
    schema = answers["401"]["content"]["application/json"]["schema"]
    assert schema["properties"]["error"]["enum"] == ["missing_token", "invalid_token"]


@pytest.mark.parametrize("place", ["app", "router", "include", "route"])
def test_guards_what_it_is_a_dependency_of(place: str, d1: D1Bearer, anyio_backend: str) -> None:
    guard = {place: [Depends(d1)]}
    app = FastAPI(dependencies=guard.get("app"))
    router = APIRouter(dependencies=guard.get("router"))

    @router.get("/x", dependencies=guard.get("route"))
    async def x() -> str:
        return "x"

    app.include_router(router, dependencies=guard.get("include"))
    call = asgi_call(app, anyio_backend)
    assert call("GET", "/x", []).status == 401
    assert call("GET", "/x", bearer(GOOD)).status == 200


def test_takes_over_the_token_of_the_middleware(verifier: D1Verifier, anyio_backend: str) -> None:
    counting = CountingVerifier(verifier)
    app = app_with(D1Bearer(counting))
    app.add_middleware(D1AuthMiddleware, verifier=counting)
    assert asgi_call(app, anyio_backend)("POST", "/", bearer(GOOD)).json == SUBJECT
    assert counting.asked == 1


def with_scope(app: App, **entries: Any) -> App:
    async def changed(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, **{f"d1verify.{name}": value for name, value in entries.items()}}, receive, send)

    return changed


def test_does_not_take_over_what_another_verifier_let_through(verifier: D1Verifier) -> None:
    wide = make_verifier(subject=[SUBJECT, "MGW_000002"])
    token = wide.verify(KEY.mint(sub="MGW_000002"))
    app = with_scope(app_with(D1Bearer(verifier)), token=token, verifier=wide)
    assert asgi_call(app, "asyncio")("POST", "/", bearer(KEY.mint(sub="MGW_000002"))).status == 401


def test_does_not_take_over_a_token_that_nobody_answers_for(verifier: D1Verifier) -> None:
    app = with_scope(app_with(D1Bearer(verifier)), token=verifier.verify(GOOD))
    assert asgi_call(app, "asyncio")("POST", "/", []).status == 401


@pytest.mark.parametrize("entry", [None, "token", {"subject": SUBJECT}, True], ids=repr)
def test_takes_over_nothing_but_a_token(entry: Any, verifier: D1Verifier) -> None:
    app = with_scope(app_with(D1Bearer(verifier)), token=entry, verifier=verifier)
    assert asgi_call(app, "asyncio")("POST", "/", []).status == 401


def test_a_path_that_the_middleware_leaves_open_is_still_guarded(d1: D1Bearer, verifier: D1Verifier) -> None:
    app = FastAPI(dependencies=[Depends(d1)])
    app.add_api_route("/health", lambda: "open")
    app.add_middleware(D1AuthMiddleware, verifier=verifier, exclude=["/health"])
    call = asgi_call(app, "asyncio")
    assert call("GET", "/health", []).status == 401
    assert call("GET", "/health", bearer(GOOD)).status == 200


@pytest.mark.parametrize("headers", [[], authorization("Basic dTpw")], ids=["none", "another scheme"])
def test_without_auto_error_a_call_without_credentials_has_no_token(headers: Headers, verifier: D1Verifier) -> None:
    answer = asgi_call(app_with(D1Bearer(verifier, auto_error=False)), "asyncio")("POST", "/", headers)
    assert (answer.status, answer.json) == (200, None)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (bearer("x"), 401),
        (bearer(KEY.mint(exp=1)), 401),
        (authorization("Basic dTpw", f"Bearer {GOOD}"), 400),
        (authorization(f"Bearer {GOOD}", f"Bearer {GOOD}"), 400),
    ],
    ids=["malformed", "expired", "two, one good", "two, both good"],
)
def test_without_auto_error_bad_credentials_are_refused_all_the_same(
    headers: Headers, status: int, verifier: D1Verifier
) -> None:
    assert asgi_call(app_with(D1Bearer(verifier, auto_error=False)), "asyncio")("POST", "/", headers).status == status


def test_without_auto_error_key_trouble_is_still_trouble() -> None:
    call = asgi_call(app_with(D1Bearer(NoKeys(), auto_error=False)), "asyncio")
    assert call("POST", "/", bearer(GOOD)).status == 503


@pytest.mark.parametrize("auto_error", [True, False])
@pytest.mark.parametrize("template", ["/{merchantGatewayId}", "/{merchantGatewayId:path}", "/{merchantGatewayId:int}"])
def test_another_gateways_path_is_forbidden_and_logged(
    template: str, *, auto_error: bool, verifier: D1Verifier, caplog: pytest.LogCaptureFixture
) -> None:
    app = FastAPI(dependencies=[Depends(D1Bearer(verifier, auto_error=auto_error, path_param="merchantGatewayId"))])
    app.add_api_route(template, lambda: "x")
    answer = asgi_call(app, "asyncio")("GET", "/2", bearer(GOOD))
    assert answer.status == 403
    assert [(one.levelno, one.getMessage()) for one in caplog.records if one.name == "d1verify"] == [
        (logging.WARNING, f"refused a call: insufficient_scope (kid {KEY.kid})")
    ]


@pytest.mark.parametrize("headers", [[], bearer(GOOD)], ids=["no token", "good token"])
def test_a_route_without_the_path_parameter_fails_closed(headers: Headers, verifier: D1Verifier) -> None:
    app = FastAPI(dependencies=[Depends(D1Bearer(verifier, path_param="merchantGatewayId"))])
    app.add_api_route("/{merchantId}", lambda: "x")
    with pytest.raises(ConfigurationError, match="path_param"):
        asgi_call(app, "asyncio")("GET", f"/{SUBJECT}", headers)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"verifier": object()}, "averify_header"),
        ({"verifier": D1Verifier}, "averify_header"),
        ({"auto_error": "false"}, "auto_error"),
        ({"path_param": ""}, "path_param"),
        ({"path_param": "{merchantGatewayId}"}, "path_param"),
        ({"path_param": 1}, "path_param"),
    ],
)
def test_checks_its_arguments_when_it_is_built(arguments: dict[str, Any], says: str, verifier: D1Verifier) -> None:
    with pytest.raises(ConfigurationError, match=says):
        D1Bearer(**{"verifier": verifier, **arguments})


def test_install_checks_its_arguments() -> None:
    with pytest.raises(ConfigurationError, match="realm"):
        install(FastAPI(), realm='a"b')
    with pytest.raises(ConfigurationError, match="reveal_reason"):
        install(FastAPI(), reveal_reason="false")  # type: ignore[arg-type]


def test_a_handler_of_ones_own_finds_the_error_and_nothing_of_the_token(verifier: D1Verifier) -> None:
    app = app_with(D1Bearer(verifier))
    caught: list[Exception] = []

    async def handler(request: Request, exc: D1HTTPException) -> JSONResponse:
        caught.append(exc)
        return JSONResponse({"why": exc.error.reason}, exc.status_code, exc.headers)

    app.add_exception_handler(D1HTTPException, handler)  # type: ignore[arg-type]
    answer = asgi_call(app, "asyncio")("POST", "/", bearer(KEY.mint(exp=1)))
    assert (answer.status, answer.json) == (401, {"why": "expired"})
    assert isinstance(caught[0], D1HTTPException)
    assert isinstance(caught[0].error, TokenError)
    assert caught[0].__cause__ is None
    assert caught[0].__suppress_context__
    assert "eyJ" not in f"{caught[0]!s}{caught[0]!r}"


def test_a_def_endpoint_gets_its_token(d1: D1Bearer, anyio_backend: str) -> None:
    app = FastAPI()

    @app.get("/")
    def root(token: Annotated[D1Token, Depends(d1)]) -> str:
        return token.subject

    assert asgi_call(app, anyio_backend)("GET", "/", bearer(GOOD)).json == SUBJECT


@pytest.mark.anyio
async def test_the_loop_runs_on_while_keys_are_loaded() -> None:
    store = ScriptedStore(key_set(KEY))
    store.released.clear()
    app = app_with(D1Bearer(make_verifier(store)))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def call() -> None:
        scope = asgi_scope("/", bearer(GOOD), root_path="") | {"type": "http", "method": "POST"}
        await app(scope, anyio.sleep_forever, send)  # type: ignore[arg-type]

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            while not store.loads:
                await anyio.lowlevel.checkpoint()
            assert not sent
            store.released.set()
    assert sent[0]["status"] == 200


class Careless:
    """A verifier that gives back this instead of a token."""

    def __init__(self, given: Any) -> None:
        self.given = given

    async def averify_header(self, value: str | bytes | None) -> Any:
        return self.given


@pytest.mark.parametrize("given", [None, True, "MGW_000001", {}], ids=repr)
@pytest.mark.parametrize("auto_error", [True, False])
def test_a_verifier_that_returns_no_token_lets_nothing_through(given: Any, *, auto_error: bool) -> None:
    careless: Any = Careless(given)
    with pytest.raises(TypeError, match="D1Token"):
        asgi_call(app_with(D1Bearer(careless, auto_error=auto_error)), "asyncio")("POST", "/", bearer(GOOD))


def app_with_body(d1: D1Bearer) -> FastAPI:
    app = FastAPI()

    @app.post("/")
    async def root(body: dict[str, Any], token: Annotated[D1Token, Depends(d1)]) -> None: ...

    return app


JSON = [(b"content-type", b"application/json")]


def test_by_itself_fastapi_reads_a_declared_body_first(d1: D1Bearer) -> None:
    answer = asgi_call(app_with_body(d1), "asyncio")("POST", "/", JSON)
    assert (answer.status, answer.body_reads) == (401, 1)


def test_behind_the_middleware_a_declared_body_is_not_read_before_the_decision(verifier: D1Verifier) -> None:
    app = app_with_body(D1Bearer(verifier))
    app.add_middleware(D1AuthMiddleware, verifier=verifier)
    call = asgi_call(app, "asyncio")
    refused, accepted = call("POST", "/", JSON), call("POST", "/", [*bearer(GOOD), *JSON])
    assert (refused.status, refused.body_reads) == (401, 0)
    assert (accepted.status, accepted.body_reads) == (200, 1)


def websocket_app(d1: D1Bearer) -> FastAPI:
    app = FastAPI()
    install(app)

    async def accept_first(conn: HTTPConnection) -> None:
        assert isinstance(conn, WebSocket)
        await conn.accept()

    @app.websocket("/{merchantGatewayId}")
    async def echo(websocket: WebSocket, token: Annotated[D1Token, Depends(d1)]) -> None:
        await websocket.accept()
        await websocket.send_text(token.subject)

    @app.websocket("/early/{merchantGatewayId}", dependencies=[Depends(accept_first)])
    async def early(websocket: WebSocket, token: Annotated[D1Token, Depends(d1)]) -> None:
        raise NotImplementedError

    return app


def test_a_websocket_route_gets_its_token(d1: D1Bearer, anyio_backend: str) -> None:
    calls = TestClient(websocket_app(d1), backend=anyio_backend)  # type: ignore[arg-type]
    with calls.websocket_connect("/x", headers=AUTHORIZED) as websocket:
        assert websocket.receive_text() == SUBJECT


def test_a_websocket_on_another_gateways_path_is_denied(verifier: D1Verifier) -> None:
    app = websocket_app(D1Bearer(verifier, path_param="merchantGatewayId"))
    answer = asgi_websocket_call(app, "asyncio")("/MGW_000002", bearer(GOOD), denial_response=True)
    assert answer.denial is not None
    assert answer.denial.status == 403


async def exchange(app: App, target: str, first: str) -> list[dict[str, Any]]:
    """Return what the app sends on a WebSocket without a token, which begins with a message of this type."""
    scope = asgi_scope(target, [], root_path="") | {"type": "websocket", "subprotocols": []}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": first, "code": 1006}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope | {"extensions": {"websocket.http.response": {}}}, receive, send)
    return sent


@pytest.mark.anyio
async def test_a_websocket_that_was_accepted_before_is_closed(d1: D1Bearer) -> None:
    sent = await exchange(websocket_app(d1), "/early/x", "websocket.connect")
    assert [(one["type"], one.get("code")) for one in sent] == [("websocket.accept", None), ("websocket.close", 1008)]


@pytest.mark.anyio
async def test_a_websocket_whose_client_has_gone_is_closed(d1: D1Bearer) -> None:
    sent = await exchange(websocket_app(d1), "/x", "websocket.disconnect")
    assert [(one["type"], one.get("code")) for one in sent] == [("websocket.close", 1008)]


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    monkeypatch.delitem(sys.modules, "d1verify.fastapi")
    with pytest.raises(ImportError, match=r'pip install "d1verify\[fastapi\]"'):
        importlib.import_module("d1verify.fastapi")


@pytest.mark.parametrize("error", [TokenError(Reason.EXPIRED), KeyStoreError("down", retry_after=3)], ids=repr)
def test_an_exception_carries_no_length_of_a_body_that_it_does_not_write(error: TokenError | KeyStoreError) -> None:
    headers = D1HTTPException(error).headers
    assert headers is not None
    assert "Content-Length" not in headers
    assert headers["Cache-Control"] == "no-store"

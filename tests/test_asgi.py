"""The ASGI edge by raw calls: what is guarded, what is open, what is answered, and what is left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, UnauthenticatedUser, requires
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from d1verify import ConfigurationError, D1Token, D1Verifier, KeyStoreError, TokenError
from d1verify._scope import VERIFIER_KEY
from d1verify.asgi import D1AuthMiddleware, D1User, d1_lifespan, get_token

from .support import KEY, OTHER_KEY, SUBJECT, ScriptedStore, key_set, make_verifier

GOOD = KEY.mint()
EXPIRED = KEY.mint(exp=1)
BEARER = (b"authorization", b"Bearer " + GOOD.encode())
INVALID = {"error": "invalid_token"}


class App:
    """An app that notes that it was called, with which scope, and answers."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.scopes: list[Any] = []
        self.error = error

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if self.error is not None:
            raise self.error
        if scope["type"] == "http":
            await PlainTextResponse("let through")(scope, receive, send)

    @property
    def scope(self) -> Any:
        (scope,) = self.scopes
        return scope


class Answer:
    """What was sent, and how much was received before that."""

    def __init__(self, messages: list[Any]) -> None:
        self.messages = messages
        self.status: int = messages[0].get("status", 0) if messages else 0
        raw = messages[0].get("headers", ()) if messages else ()
        self.headers = {name.decode(): value.decode() for name, value in raw}
        self.body = b"".join(message.get("body", b"") for message in messages)


def http(path: str = "/pay", *headers: tuple[bytes, bytes], **changes: Any) -> dict[str, Any]:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": list(headers),
    }
    return {name: value for name, value in {**scope, **changes}.items() if value is not ...}


def websocket(*headers: tuple[bytes, bytes], **changes: Any) -> dict[str, Any]:
    scope = http("/ws", *headers, type="websocket", method=..., subprotocols=[])
    return {**scope, **changes}


async def call(app: Any, scope: dict[str, Any], *incoming: dict[str, Any]) -> Answer:
    """Serve one connection; whoever receives more than `incoming` has is stuck, and so fails."""
    messages: list[Any] = []
    waiting = list(incoming)

    async def receive() -> dict[str, Any]:
        assert waiting, "the body was asked for before the decision"
        return waiting.pop(0)

    async def send(message: Any) -> None:
        messages.append(message)

    await app(scope, receive, send)
    return Answer(messages)


def guarded(app: Any = None, verifier: Any = None, **settings: Any) -> D1AuthMiddleware:
    return D1AuthMiddleware(app or App(), verifier or make_verifier(), **settings)


pytestmark = pytest.mark.anyio


# http


async def test_lets_a_good_call_through_and_says_who_calls() -> None:
    app, verifier = App(), make_verifier()
    answer = await call(guarded(app, verifier), http("/pay", BEARER))
    assert (answer.status, answer.body) == (200, b"let through")
    user, auth = app.scope["user"], app.scope["auth"]
    assert (user.is_authenticated, user.display_name, user.identity) == (True, SUBJECT, SUBJECT)
    assert auth.scopes == ["d1"]
    token = get_token(HTTPConnection(app.scope))
    assert isinstance(token, D1Token)
    assert user.token is token
    assert app.scope[VERIFIER_KEY] is verifier  # So that `D1Bearer` knows its own verdict when it sees it.


@pytest.mark.parametrize("name", [b"authorization", b"Authorization", b"AUTHORIZATION"])
async def test_takes_the_header_name_in_any_case(name: bytes) -> None:
    # A010
    assert (await call(guarded(), http("/pay", (name, BEARER[1])))).status == 200


@pytest.mark.parametrize(
    "name",
    [
        b"authorization_",
        b"authorisation",
        b"uthorization ",
        b"x-authorization",
        b"x-forwarded-authorization",
        b"proxy-authorization",
        b"authorization ",
    ],
)
async def test_reads_no_other_header(name: bytes) -> None:
    # A010, A011
    assert (await call(guarded(), http("/pay", (name, BEARER[1])))).status == 401


async def test_never_reads_the_query() -> None:
    # A009
    answer = await call(guarded(), http(query_string=b"access_token=" + GOOD.encode()))
    assert json.loads(answer.body) == {"error": "missing_token"}


REFUSED: dict[str, tuple[list[bytes], int, str, str]] = {
    "no header": ([], 401, "missing_token", 'Bearer realm="d1"'),
    "another scheme": ([b"Basic eDp5"], 401, "missing_token", 'Bearer realm="d1"'),
    "two headers, both good": ([BEARER[1]] * 2, 400, "invalid_request", 'Bearer realm="d1", error="invalid_request"'),
    "a good one and a bad one": (
        [BEARER[1], b"Basic x"],
        400,
        "invalid_request",
        'Bearer realm="d1", error="invalid_request"',
    ),
    "a bad one and a good one": (
        [b"", BEARER[1]],
        400,
        "invalid_request",
        'Bearer realm="d1", error="invalid_request"',
    ),
    "two in one": (
        [BEARER[1] + b", " + BEARER[1]],
        400,
        "invalid_request",
        'Bearer realm="d1", error="invalid_request"',
    ),
    "expired": ([b"Bearer " + EXPIRED.encode()], 401, "invalid_token", 'Bearer realm="d1", error="invalid_token"'),
    "junk": ([b"Bearer \xff\xfe"], 401, "invalid_token", 'Bearer realm="d1", error="invalid_token"'),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
async def test_answers_for_itself_what_it_refuses(case: tuple[list[bytes], int, str, str]) -> None:
    values, status, error, challenge = case
    app = App()
    answer = await call(guarded(app), http("/pay", *[(b"authorization", value) for value in values]))
    assert app.scopes == []
    assert (answer.status, json.loads(answer.body)) == (status, {"error": error})
    assert answer.headers == {
        "content-type": "application/json",
        "cache-control": "no-store",
        "content-length": str(len(answer.body)),
        "www-authenticate": challenge,
    }


async def test_answers_503_when_the_keys_cannot_be_had() -> None:
    app = App()
    verifier = make_verifier(ScriptedStore(KeyStoreError("the vault at 10.0.0.1 is sealed")))
    answer = await call(guarded(app, verifier), http("/pay", BEARER))
    assert (answer.status, answer.body) == (503, b'{"error":"temporarily_unavailable"}')
    assert int(answer.headers["retry-after"]) >= 1
    assert "www-authenticate" not in answer.headers
    assert app.scopes == []


async def test_sends_no_body_to_head_and_names_the_same_length() -> None:
    head, get = [await call(guarded(), http(method=method)) for method in ("HEAD", "GET")]
    assert (head.body, head.headers) == (b"", get.headers)
    assert head.headers["content-length"] == str(len(get.body))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "INVENTED", "get", ""])
async def test_guards_every_method(method: str) -> None:
    # A029 to A031
    app = App()
    await call(guarded(app), http(method=method))
    assert app.scopes == []


async def test_reveals_the_reason_only_where_it_is_told_to() -> None:
    scope = http("/pay", (b"authorization", b"Bearer " + EXPIRED.encode()))
    answer = await call(guarded(reveal_reason=True, realm="staging"), scope)
    assert json.loads(answer.body) == {**INVALID, "error_description": "expired"}
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="staging", error="invalid_token", error_description="expired"'
    )


@pytest.mark.parametrize(
    "scope", [http("/pay", BEARER), http("/pay"), http("/open", method="GET")], ids=["good", "refused", "open"]
)
async def test_copies_the_scope_and_changes_nothing_in_it(scope: dict[str, Any]) -> None:
    # A036
    before = {**scope, "headers": list(scope["headers"])}
    await call(guarded(exclude=["/open"]), scope)
    assert scope == before


async def test_overwrites_whatever_somebody_put_into_the_scope_before() -> None:
    # A012
    app = App()
    forged = {"user": "forged", "auth": "forged", "d1verify.token": "forged"}
    await call(guarded(app), http("/pay", BEARER, **forged))
    assert "forged" not in app.scope.values()
    app = App()
    await call(guarded(app, exclude=["/open"]), http("/open", method="GET", **forged))
    assert "forged" not in app.scope.values()


@pytest.mark.parametrize("error", [RuntimeError("of the app"), TokenError.__new__(TokenError), KeyboardInterrupt()])
async def test_leaves_what_the_app_raises_alone(error: BaseException) -> None:
    # A219: an error of ours that the app lets out is not taken for a refused call either.
    with pytest.raises(type(error)) as caught:
        await call(guarded(App(error)), http("/pay", BEARER))
    assert caught.value is error


async def test_a_cancelled_request_is_cancelled() -> None:
    store = ScriptedStore(key_set(KEY))
    store.released.clear()
    app, verifier = App(), make_verifier(store)
    with anyio.move_on_after(0.01) as scope:
        await call(guarded(app, verifier), http("/pay", BEARER))
    assert scope.cancelled_caught
    assert app.scopes == []
    store.released.set()
    assert (await call(guarded(app, verifier), http("/pay", BEARER))).status == 200


async def test_an_unexpected_error_of_another_verifier_lets_nothing_through() -> None:
    class Broken:
        def verify_header(self, value: str | bytes | None) -> D1Token:
            raise NotImplementedError

        async def averify_header(self, value: str | bytes | None) -> D1Token:
            raise LookupError("broken")

    app = App()
    with pytest.raises(LookupError):
        await call(guarded(app, Broken()), http("/pay", BEARER))
    assert app.scopes == []


async def test_a_verifier_that_returns_no_token_lets_nothing_through() -> None:
    class Lenient:
        async def averify_header(self, value: str | bytes | None) -> None:
            return None

    app = App()
    with pytest.raises(TypeError) as caught:
        await call(guarded(app, Lenient()), http("/pay"))
    assert str(caught.value) == "a verifier must return a D1Token or raise"
    assert app.scopes == []


# websocket

CONNECT = {"type": "websocket.connect"}
DENIAL: dict[str, Any] = {"extensions": {"websocket.http.response": {}}}


async def test_lets_a_good_websocket_through_before_anything_is_received() -> None:
    app = App()
    answer = await call(guarded(app), websocket(BEARER))
    assert answer.messages == []
    assert app.scope["user"].is_authenticated
    assert get_token(HTTPConnection(app.scope)).subject == SUBJECT


@pytest.mark.parametrize("extensions", [{}, None, {"tls": {}}])
async def test_closes_a_refused_websocket_with_1008(extensions: Any) -> None:
    # A014, A015
    app = App()
    answer = await call(guarded(app), websocket(extensions=extensions), CONNECT)
    assert answer.messages == [{"type": "websocket.close", "code": 1008, "reason": ""}]
    assert app.scopes == []


async def test_closes_with_1008_where_the_scope_has_no_extensions_at_all() -> None:
    assert (await call(guarded(), websocket(), CONNECT)).messages[0]["code"] == 1008


async def test_closes_with_1013_when_the_keys_cannot_be_had() -> None:
    verifier = make_verifier(ScriptedStore(KeyStoreError("down")))
    assert (await call(guarded(None, verifier), websocket(BEARER), CONNECT)).messages[0]["code"] == 1013


async def test_denies_a_websocket_with_the_answer_of_http_where_the_server_can() -> None:
    http_answer = await call(guarded(), http())
    answer = await call(guarded(), websocket(**DENIAL), CONNECT)
    assert [message["type"] for message in answer.messages] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert (answer.status, answer.headers, answer.body) == (401, http_answer.headers, http_answer.body)


async def test_denies_with_503_when_the_keys_cannot_be_had() -> None:
    verifier = make_verifier(ScriptedStore(KeyStoreError("down")))
    answer = await call(guarded(None, verifier), websocket(BEARER, **DENIAL), CONNECT)
    assert (answer.status, "retry-after" in answer.headers) == (503, True)


@pytest.mark.parametrize("extensions", [{}, DENIAL["extensions"]])
async def test_says_nothing_to_a_websocket_that_has_gone(extensions: Any) -> None:
    answer = await call(guarded(), websocket(extensions=extensions), {"type": "websocket.disconnect", "code": 1006})
    assert answer.messages == []


async def test_on_error_is_not_asked_about_websockets() -> None:
    def on_error(_conn: HTTPConnection, _error: Exception) -> Response:
        raise AssertionError("asked")

    answer = await call(guarded(on_error=on_error), websocket(**DENIAL), CONNECT)
    assert json.loads(answer.body) == {"error": "missing_token"}


# other scopes


async def test_passes_lifespan_on_untouched() -> None:
    # A017
    app, scope = App(), {"type": "lifespan", "asgi": {}}
    await call(guarded(app), scope)
    assert app.scope is scope


@pytest.mark.parametrize("kind", ["webtransport", "HTTP", "http2", ""])
async def test_refuses_a_scope_type_it_does_not_know(kind: str) -> None:
    # A016
    app = App()
    with pytest.raises(ValueError, match=r"^D1AuthMiddleware guards http and websocket only$"):
        await call(guarded(app), http("/pay", BEARER, type=kind))
    assert app.scopes == []


@pytest.mark.parametrize(
    "scope", [http("/pay", BEARER), http("/open", method="GET"), {"type": "lifespan"}], ids=["good", "open", "lifespan"]
)
async def test_an_app_receives_and_sends_as_if_the_middleware_were_not_there(scope: dict[str, Any]) -> None:
    async def echo_message(_scope: Any, receive: Any, send: Any) -> None:
        await send(await receive())

    message = {"type": "anything", "body": b"sent on"}
    assert (await call(guarded(echo_message, exclude=["/open"]), scope, message)).messages == [message]


# excluded paths

OPEN: dict[str, dict[str, Any]] = {
    "GET": http("/health", method="GET"),
    "HEAD": http("/health", method="HEAD"),
    "with a query": http("/health", method="GET", query_string=b"full=1"),
    "mounted, raw path of the whole": http("/api/health", method="GET", root_path="/api"),
    "mounted, raw path of the rest": http("/api/health", method="GET", root_path="/api", raw_path=b"/health"),
    "behind a proxy that strips": http("/health", method="GET", root_path="/api", raw_path=b"/health"),
    "behind a proxy, raw path of the whole": http("/health", method="GET", root_path="/api", raw_path=b"/api/health"),
    "mounted below another path": http("/a/b/health", method="GET", root_path="/a/b"),
    "deeper, as configured": http("/status/live", method="GET"),
    "trailing slash, as configured": http("/slash/", method="GET"),
    "without root_path": http("/health", method="GET", root_path=...),
    "without root_path, deeper": http("/status/live", method="GET", root_path=...),
}
SHUT: dict[str, dict[str, Any]] = {
    "POST": http("/health"),
    "OPTIONS": http("/health", method="OPTIONS"),
    "get": http("/health", method="get"),
    "websocket": websocket(path="/health", raw_path=b"/health"),
    "no raw path": http("/health", method="GET", raw_path=...),
    "raw path None": http("/health", method="GET", raw_path=None),
    "longer": http("/healthz", method="GET"),
    "below": http("/health/pay", method="GET"),
    "trailing slash": http("/health/", method="GET"),
    "no trailing slash": http("/slash", method="GET"),
    "another case": http("/HEALTH", method="GET"),
    "two slashes": http("//health", method="GET"),
    "dot segment": http("/./health", method="GET"),
    "up and away": http("/health/../pay", method="GET"),
    "no slash": http("health", method="GET"),
    "authority": http("@evil.example", method="GET"),
    "asterisk": http("*", method="GET"),
    "empty": http("", method="GET", raw_path=b""),
    "escaped letter": http("/health", method="GET", raw_path=b"/%68ealth"),
    "escaped slash": http("/health", method="GET", raw_path=b"%2fhealth"),
    "escaped way": http("/health", method="GET", raw_path=b"/pay/%2e%2e/health"),
    "decoded path of another": http("/pay", method="GET", raw_path=b"/health"),
    "double escape": http("/health%2f..%2fpay", method="GET", raw_path=b"/health%252f..%252fpay"),
    "parameters": http("/health;x=1", method="GET"),
    "query in the path": http("/health?x", method="GET", raw_path=b"/health%3Fx"),
    "query in the raw path": http("/health", method="GET", raw_path=b"/health?x"),
    "fragment": http("/health#x", method="GET"),
    "line end": http("/health\n", method="GET"),
    "NUL": http("/health\0", method="GET"),
    "broken UTF-8": http("/health\ufffd", method="GET", raw_path=b"/health%ff"),
    "look-alike": http("/hea\u217cth", method="GET"),
    "prefix that the router strips": http("/health/pay", method="GET", root_path="/health"),
    "below a mount, root path not in the path": http(
        "/status/live", method="GET", root_path="/zzz", raw_path=b"/status/live"
    ),
    "another mount": http("/other/health", method="GET", root_path="/api"),
    "a mount that only begins alike": http("/apix/health", method="GET", root_path="/api"),
    "mounted, literal path of the whole": http("/api/health", method="GET"),
    "host header": http("/pay", (b"host", b"x/health?"), method="GET"),
}


def excluding(app: App) -> D1AuthMiddleware:
    return guarded(app, exclude=("/health", "/status/live", "/slash/"))


@pytest.mark.parametrize("scope", OPEN.values(), ids=OPEN.keys())
async def test_leaves_open_what_is_excluded_to_the_letter(scope: dict[str, Any]) -> None:
    app = App()
    assert (await call(excluding(app), scope)).status == 200
    assert isinstance(app.scope["user"], UnauthenticatedUser)
    assert isinstance(app.scope["auth"], AuthCredentials)
    assert app.scope["auth"].scopes == []
    with pytest.raises(TokenError, match="no bearer token"):
        get_token(HTTPConnection(app.scope))


@pytest.mark.parametrize("scope", SHUT.values(), ids=SHUT.keys())
async def test_leaves_nothing_else_open(scope: dict[str, Any]) -> None:
    # A018 to A032
    app = App()
    await call(excluding(app), scope, CONNECT)
    assert app.scopes == []


async def test_a_path_that_is_the_mount_itself_is_not_the_excluded_one() -> None:
    app = App()
    await call(excluding(app), http("/health", method="GET", root_path="/health"))
    assert app.scopes == []


async def test_a_bad_token_on_an_excluded_path_is_not_looked_at() -> None:
    app = App()
    answer = await call(excluding(app), http("/health", (b"authorization", b"Bearer x"), method="GET"))
    assert answer.status == 200


BAD_PATHS: dict[str, Any] = {
    "a bare string": "/health",
    "bytes": b"/health",
    "None": None,
    "a number": 5,
    "the root": ["/"],
    "nothing": [""],
    "everything": ["*"],
    "a pattern": ["/public/*"],
    "no slash": ["health"],
    "an escape": ["/a%20b"],
    "a space": ["/a b"],
    "a query": ["/a?b"],
    "a fragment": ["/a#b"],
    "parameters": ["/a;b"],
    "a backslash": ["/a\\b"],
    "dots": ["/a/../b"],
    "a dot": ["/./a"],
    "two slashes": ["//a"],
    "two slashes within": ["/a//b"],
    "other letters": ["/\u00e9"],
    "control": ["/a\n"],
    "no string": [b"/a"],
    "one good, one bad": ["/a", 5],
}


@pytest.mark.parametrize("exclude", BAD_PATHS.values(), ids=BAD_PATHS.keys())
async def test_refuses_to_exclude_what_is_no_exact_path(exclude: Any) -> None:
    # A260, A261
    with pytest.raises(ConfigurationError, match="exclude"):
        guarded(exclude=exclude)


@pytest.mark.parametrize("realm", ['a"b', "a\\b", "a\r\nb", "é", None, 5], ids=repr)
async def test_refuses_a_realm_that_cannot_be_quoted(realm: Any) -> None:
    with pytest.raises(ConfigurationError, match="realm"):
        guarded(realm=realm)


@pytest.mark.parametrize("verifier", [None, object(), "verifier"], ids=["None", "object", "text"])
async def test_refuses_what_is_no_verifier(verifier: Any) -> None:
    with pytest.raises(ConfigurationError, match="verifier"):
        D1AuthMiddleware(App(), verifier)


# on_error


def sync_on_error(_conn: HTTPConnection, error: Exception) -> Response:
    assert isinstance(error, TokenError)
    return JSONResponse({"problem": error.reason.value}, status_code=418)


async def async_on_error(conn: HTTPConnection, error: Exception) -> Response:
    await anyio.lowlevel.checkpoint()
    return sync_on_error(conn, error)


@pytest.mark.parametrize("on_error", [sync_on_error, async_on_error])
async def test_on_error_shapes_the_answer(on_error: Any) -> None:
    app = App()
    answer = await call(guarded(app, on_error=on_error), http())
    assert (answer.status, answer.body) == (418, b'{"problem":"missing_token"}')
    assert app.scopes == []


def raising(_conn: HTTPConnection, _error: Exception) -> Response:
    raise RuntimeError("no template")


async def raising_later(_conn: HTTPConnection, _error: Exception) -> Response:
    raise RuntimeError("no template")


@pytest.mark.parametrize(
    ("on_error", "said"),
    [
        pytest.param(raising, "on_error failed, the default answer goes out: RuntimeError", id="raises"),
        pytest.param(raising_later, "on_error failed, the default answer goes out: RuntimeError", id="raises later"),
        pytest.param(
            lambda _conn, _error: None,
            "on_error returned no Response, the default answer goes out: NoneType",
            id="None",
        ),
        pytest.param(
            lambda _conn, _error: "let it pass",
            "on_error returned no Response, the default answer goes out: str",
            id="text",
        ),
        pytest.param(lambda: None, "on_error failed, the default answer goes out: TypeError", id="takes nothing"),
    ],
)
async def test_the_default_answer_goes_out_where_on_error_gives_none(
    on_error: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = App()
    answer = await call(
        guarded(app, on_error=on_error), http("/pay", (b"authorization", b"Bearer " + EXPIRED.encode()))
    )
    assert (answer.status, answer.body) == (401, b'{"error":"invalid_token"}')
    assert app.scopes == []
    assert said in caplog.messages
    assert EXPIRED not in caplog.text


async def test_an_answer_of_on_error_may_listen_to_the_client() -> None:
    class Listening(PlainTextResponse):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            assert (await receive())["type"] == "http.disconnect"
            await super().__call__(scope, receive, send)

    answer = await call(
        guarded(on_error=lambda _conn, _error: Listening("refused")), http(), {"type": "http.disconnect"}
    )
    assert answer.body == b"refused"


async def test_the_default_answer_goes_out_where_that_of_on_error_fails_before_it_began(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await call(guarded(on_error=lambda _conn, _error: FileResponse(tmp_path / "missing.html")), http())
    assert (answer.status, answer.body) == (401, b'{"error":"missing_token"}')
    assert "on_error's answer failed, the default one goes out: RuntimeError" in caplog.messages


async def test_an_answer_of_on_error_that_fails_half_way_is_the_server_s_to_end() -> None:
    class Failing(Response):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 418, "headers": []})
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await call(guarded(on_error=lambda _conn, _error: Failing()), http())


async def test_on_error_cannot_let_a_request_through_by_what_it_does_to_the_connection() -> None:
    def tamper(conn: HTTPConnection, _error: Exception) -> Response:
        conn.scope["user"] = "forged"
        conn.scope["headers"] = [BEARER]
        return PlainTextResponse("fine", status_code=200)

    app = App()
    answer = await call(guarded(app, on_error=tamper), http())
    assert answer.body == b"fine"
    assert app.scopes == []


# lifespan


async def test_d1_lifespan_warms_the_keys() -> None:
    store = ScriptedStore(key_set(KEY))
    async with d1_lifespan(make_verifier(store))(object()):
        assert store.loads == 1


async def test_d1_lifespan_fails_the_start_up_without_keys() -> None:
    with pytest.raises(KeyStoreError, match="down"):
        async with d1_lifespan(make_verifier(ScriptedStore(KeyStoreError("down"))))(object()):
            pytest.fail("started")


# in Starlette


@requires("d1")
async def who(request: Request) -> Response:
    token = get_token(request)
    return JSONResponse([request.user.display_name, token.kid, request.auth.scopes])


async def health(request: Request) -> Response:
    return JSONResponse([request.user.is_authenticated, request.auth.scopes])


@requires("d1")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(get_token(websocket).subject)
    await websocket.close()


def starlette_app(verifier: D1Verifier) -> Starlette:
    inner = [Route("/who", who, methods=["GET", "POST"]), Route("/health", health), WebSocketRoute("/ws", echo)]
    app = Starlette(routes=[Mount("/api", routes=inner), *inner], lifespan=d1_lifespan(verifier))
    app.add_middleware(D1AuthMiddleware, verifier=verifier, exclude=["/health"])
    return app


@pytest.fixture
def client(anyio_backend: str) -> Iterator[TestClient]:
    with TestClient(starlette_app(make_verifier()), backend=anyio_backend) as client:  # type: ignore[arg-type]
        yield client


AUTHORIZED = {"Authorization": f"Bearer {GOOD}"}


def test_starlette_serves_a_good_call(client: TestClient) -> None:
    for path in ("/who", "/api/who"):
        assert client.post(path, headers=AUTHORIZED).json() == [SUBJECT, KEY.kid, ["d1"]]


def test_starlette_refuses_the_others(client: TestClient) -> None:
    assert client.post("/who").status_code == 401
    assert client.get("/no-such-path").status_code == 401
    assert client.post("/who", headers={"Authorization": f"Bearer {OTHER_KEY.mint()}"}).json() == INVALID


def test_starlette_serves_an_excluded_path_to_nobody_in_particular(client: TestClient) -> None:
    # A280
    assert client.get("/health").json() == [False, []]
    assert client.get("/health?full=1").status_code == 200
    assert client.head("/health").status_code == 200
    assert client.post("/health").status_code == 401
    assert client.get("/api/health").status_code == 401
    assert client.get("/%68ealth").status_code == 401


def test_starlette_serves_websockets(client: TestClient) -> None:
    with client.websocket_connect("/ws", headers=AUTHORIZED) as session:
        assert session.receive_text() == SUBJECT


def test_starlette_denies_websockets(client: TestClient) -> None:
    with pytest.raises((WebSocketDenialResponse, WebSocketDisconnect)) as caught, client.websocket_connect("/ws"):
        pytest.fail("accepted")
    assert getattr(caught.value, "status_code", 401) == 401


def test_starlette_does_not_start_without_keys(anyio_backend: str) -> None:
    app = starlette_app(make_verifier(ScriptedStore(KeyStoreError("down"))))
    with pytest.raises(KeyStoreError), TestClient(app, backend=anyio_backend):  # type: ignore[arg-type]
        pytest.fail("started")


def test_a_mount_may_have_a_middleware_of_its_own(anyio_backend: str) -> None:
    inner = D1AuthMiddleware(
        Starlette(routes=[Route("/who", who), Route("/health", health)]), make_verifier(), exclude=["/health"]
    )
    app = Starlette(routes=[Mount("/api", app=inner), Route("/open", lambda _request: PlainTextResponse("open"))])
    client = TestClient(app, backend=anyio_backend)  # type: ignore[arg-type]
    assert client.get("/open").status_code == 200
    assert client.get("/api/health").json() == [False, []]
    assert client.get("/api/who").status_code == 401
    assert client.get("/api/who", headers=AUTHORIZED).status_code == 200


def test_get_token_without_the_middleware_is_a_missing_token() -> None:
    for scope in ({"type": "http"}, {"type": "http", "d1verify.token": None}, {"type": "http", "d1verify.token": "x"}):
        with pytest.raises(TokenError) as caught:
            get_token(HTTPConnection(scope))
        assert caught.value.reason == "missing_token"


def test_a_user_is_made_of_a_token() -> None:
    token = make_verifier().verify(GOOD)
    assert D1User(token).token is token


def test_refuses_an_on_error_that_is_no_function(verifier: D1Verifier) -> None:
    with pytest.raises(ConfigurationError, match="on_error"):
        D1AuthMiddleware(App(), verifier, on_error="no function")  # type: ignore[arg-type]


@pytest.mark.parametrize("verifier", [None, object(), D1Verifier], ids=["none", "object", "class"])
def test_takes_an_object_that_can_verify_and_nothing_else(verifier: Any) -> None:
    with pytest.raises(ConfigurationError, match="averify_header"):
        D1AuthMiddleware(App(), verifier)


@pytest.mark.parametrize("flag", ["false", 0, None], ids=repr)
def test_refuses_a_flag_that_is_not_true_or_false(flag: Any, verifier: D1Verifier) -> None:
    with pytest.raises(ConfigurationError, match="reveal_reason"):
        D1AuthMiddleware(App(), verifier, reveal_reason=flag)


@pytest.mark.parametrize("verifier", [None, object(), D1Verifier], ids=["none", "object", "class"])
def test_a_lifespan_warms_what_has_keys_to_warm(verifier: Any) -> None:
    with pytest.raises(ConfigurationError, match="awarm_up"):
        d1_lifespan(verifier)


def test_the_last_counts_of_a_flood_are_written_when_the_app_shuts_down(
    caplog: pytest.LogCaptureFixture, anyio_backend: str
) -> None:
    caplog.set_level("DEBUG", "d1verify")
    with TestClient(starlette_app(make_verifier()), backend=anyio_backend) as client:  # type: ignore[arg-type]
        for _call in range(15):
            assert client.get("/who").status_code == 401
        assert "more calls" not in caplog.text
    assert "refused 5 more calls: missing_token" in caplog.text

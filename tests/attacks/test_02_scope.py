"""Chapter 2: ASGI scopes, routing and path exclusions."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from d1verify import ConfigurationError, Reason, TokenError
from d1verify.asgi import D1AuthMiddleware, get_token

from ..support import SUBJECT, ScriptedStore, key_set, make_verifier
from .asgi_calls import GOOD, Guarded, header, status

CONNECT = [{"type": "websocket.connect"}]
EXCLUDE = ("/health",)

pytestmark = pytest.mark.anyio


async def test_a014_a_websocket_is_judged_by_the_same_rules() -> None:
    guarded = Guarded(exclude=EXCLUDE)
    sent = await guarded.call(type="websocket", path="/health", incoming=CONNECT)
    assert [message["type"] for message in sent] == ["websocket.close"]
    await guarded.call(GOOD, type="websocket")
    assert [scope["user"].identity for scope in guarded.reached] == [SUBJECT]


async def test_a015_a_denied_websocket_is_answered_after_connect() -> None:
    sent = await Guarded().call(type="websocket", incoming=CONNECT)
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]
    extended = await Guarded().call(type="websocket", incoming=CONNECT, extensions={"websocket.http.response": {}})
    assert [message["type"] for message in extended] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert status(extended) == 401
    assert await Guarded().call(type="websocket", incoming=[{"type": "websocket.disconnect"}]) == []


@pytest.mark.parametrize("kind", ["webtransport", "HTTP", "", "lifespan "])
async def test_a016_an_unknown_scope_type_is_refused(kind: str) -> None:
    guarded = Guarded()
    with pytest.raises(ValueError, match="http and websocket"):
        await guarded.call(GOOD, type=kind)
    assert guarded.reached == []


async def test_a017_lifespan_passes_untouched() -> None:
    guarded, scope = Guarded(), {"type": "lifespan", "state": {}}

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    await guarded.middleware(scope, nothing, nothing)
    assert guarded.reached[0] is scope


async def test_a018_the_host_header_has_no_say() -> None:
    sent = await Guarded(exclude=EXCLUDE).call((b"host", b"x/health?"), path="/pay", method="GET")
    assert status(sent) == 401


PATHS = [
    pytest.param("@evil.example", None, id="A019-no slash"),
    pytest.param("*", None, id="A019-asterisk"),
    pytest.param("http://x/health", None, id="A019-absolute form"),
    pytest.param("", None, id="A019-empty"),
    pytest.param("/healthz", None, id="A020-longer"),
    pytest.param("/health-admin", None, id="A020-suffix"),
    pytest.param("/health/pay", None, id="A020-below"),
    pytest.param("/health/../pay", None, id="A020-dots"),
    pytest.param("/api/health", None, id="A020-end only"),
    pytest.param("/health\n", b"/health%0A", id="A021-newline"),
    pytest.param("/health\n/pay", b"/health%0A/pay", id="A021-newline inside"),
    pytest.param("/pay?x=/health", b"/pay", id="A023-query"),
    pytest.param("/health;x=/../pay", None, id="A024-params"),
    pytest.param("/pay#/health", None, id="A024-fragment"),
    pytest.param("/health", b"/%68ealth", id="A025-escaped letter"),
    pytest.param("/health/../pay", b"/health%2f..%2fpay", id="A025-escaped slash"),
    pytest.param("/health", b"/x/%2e%2e/health", id="A025-escaped dots"),
    pytest.param("/health%2e", b"/health%252e", id="A025-escaped twice"),
    pytest.param("\\health", b"%5chealth", id="A025-backslash"),
    pytest.param("//health", None, id="A026-two slashes"),
    pytest.param("/./health", None, id="A026-dot"),
    pytest.param("/health/", None, id="A026-trailing slash"),
    pytest.param("/HEALTH", None, id="A026-upper case"),
    pytest.param("/health\ufffd", b"/health%ff", id="A032-invalid UTF-8"),
    pytest.param("/health\0", b"/health%00", id="A032-NUL"),
    pytest.param("/\uff48ealth", None, id="A032-full width"),
]


@pytest.mark.parametrize(("path", "raw"), PATHS)
async def test_paths_that_are_not_excluded(path: str, raw: bytes | None) -> None:
    guarded = Guarded(exclude=EXCLUDE)
    raw_path = path.encode() if raw is None else raw
    assert status(await guarded.call(path=path, raw_path=raw_path, method="GET")) == 401
    assert guarded.reached == []


async def test_a020_the_literal_path_is_excluded() -> None:
    assert status(await Guarded(exclude=EXCLUDE).call(path="/health", method="GET")) == 200


@pytest.mark.parametrize("pattern", ["/health.*", "^/health$", "/health*", "/(health|pay)", "/a/../b", "/a//b", "/%68"])
async def test_a022_there_are_no_patterns(pattern: str) -> None:
    try:
        guarded = Guarded(exclude=[pattern])
    except ConfigurationError:
        return
    assert status(await guarded.call(path="/health", method="GET")) == 401


MOUNTED = [
    pytest.param("/api", "/api/health", b"/api/health", 200, id="A027-mounted"),
    pytest.param("/api", "/api/health", b"/health", 200, id="A027-root path stripped on the way"),
    pytest.param("/api", "/health", b"/health", 200, id="A027-server keeps root path apart"),
    pytest.param("/health", "/health/pay", b"/health/pay", 401, id="A027-mount named as the exclusion"),
    pytest.param("/health", "/health", b"/health", 401, id="A027-the mount itself is no excluded path"),
    pytest.param("/he", "/health", b"/health", 200, id="A027-root path that is no segment"),
    pytest.param("/api", "/api/health", b"/other/health", 401, id="A027-another raw path"),
    pytest.param("", "/health", None, 401, id="A027-no raw path"),
]


@pytest.mark.parametrize(("root", "path", "raw", "expected"), MOUNTED)
async def test_exclusions_are_relative_to_the_mount(root: str, path: str, raw: bytes | None, expected: int) -> None:
    guarded = Guarded(exclude=EXCLUDE)
    assert status(await guarded.call(root_path=root, path=path, raw_path=raw, method="GET")) == expected


METHODS = [
    pytest.param("POST", (), id="A028-POST"),
    pytest.param("DELETE", (), id="A028-DELETE"),
    pytest.param("POST", ((b"x-http-method-override", b"GET"),), id="A029-override header"),
    pytest.param("get", (), id="A029-lower case"),
    pytest.param("GETX", (), id="A029-invented"),
    pytest.param("", (), id="A029-empty"),
    pytest.param("OPTIONS", ((b"access-control-request-method", b"POST"),), id="A030-preflight"),
]


@pytest.mark.parametrize(("method", "headers"), METHODS)
async def test_an_exclusion_is_open_for_get_and_head_only(
    method: str, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    assert status(await Guarded(exclude=EXCLUDE).call(*headers, path="/health", method=method)) == 401


async def test_a031_head_needs_a_token_and_gets_no_body() -> None:
    sent = await Guarded().call(method="HEAD")
    assert (status(sent), sent[1]["body"]) == (401, b"")


async def test_a033_without_the_middleware_there_is_no_token() -> None:
    with pytest.raises(TokenError, match="no bearer token"):
        get_token(HTTPConnection({"type": "http", "headers": [], "user": "admin"}))


async def test_a034_the_decision_is_made_from_the_headers_alone() -> None:
    # `Guarded.call` lets nothing be received; the app would have to.
    assert status(await Guarded().call((b"content-length", b"1000000000"), (b"expect", b"100-continue"))) == 401


async def test_a035_what_the_app_raises_after_its_answer_began_goes_through() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise TokenError(Reason.EXPIRED)

    guarded, sent = Guarded(), []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    guarded.middleware = D1AuthMiddleware(app, make_verifier())
    with pytest.raises(TokenError):
        await guarded.middleware({"type": "http", "method": "POST", "path": "/", "headers": [GOOD]}, None, send)  # type: ignore[arg-type]
    assert sent == ["http.response.start"]


async def test_a036_the_scope_is_copied_and_nothing_leaks() -> None:
    guarded, sent = Guarded(exclude=EXCLUDE), []

    async def send(message: Any) -> None:
        sent.append(message)

    for path, headers in (("/pay", [GOOD]), ("/health", [GOOD])):
        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": headers}
        before = dict(scope)
        await guarded.middleware(scope, None, send)  # type: ignore[arg-type]
        assert scope == before, "the server's own scope is written to"
        assert guarded.reached[-1] is not scope
    assert [scope["user"].is_authenticated for scope in guarded.reached] == [True, False]


async def test_a037_there_is_no_optional_mode() -> None:
    options = set(inspect.signature(D1AuthMiddleware).parameters)
    assert options == {"app", "verifier", "exclude", "realm", "reveal_reason", "on_error"}
    assert status(await Guarded().call((b"authorization", b"Bearer x"))) == 401


async def test_a037_on_error_cannot_let_a_request_through() -> None:
    for answer in (None, True, object()):
        guarded = Guarded(on_error=lambda _conn, _error, answer=answer: answer)
        assert status(await guarded.call()) == 401
        assert guarded.reached == []


async def test_a038_the_environment_is_never_chosen_by_the_caller() -> None:
    for name in (b"host", b":authority", b"x-forwarded-host"):
        assert status(await Guarded().call(GOOD, (name, b"prd.example"))) == 200
    prd = Guarded(verifier=make_verifier(audience="prd"))
    assert status(await prd.call(GOOD, (b"host", b"stg.example"))) == 401


async def test_a028_an_excluded_path_ignores_a_token_and_loads_no_keys() -> None:
    store = ScriptedStore(key_set())
    guarded = Guarded(exclude=EXCLUDE, verifier=make_verifier(store))
    assert status(await guarded.call(GOOD, path="/health", method="HEAD")) == 200
    assert (store.loads, guarded.reached[0]["d1verify.token"]) == (0, None)
    assert header(await guarded.call(), "www-authenticate") == 'Bearer realm="d1"'

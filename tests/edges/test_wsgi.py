from __future__ import annotations

import http.client
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.validate import validator

import pytest

from d1verify import ConfigurationError, D1Token, D1Verifier, TokenError
from d1verify.errors import Reason
from d1verify.wsgi import D1WSGIMiddleware
from tests.support import KEY

from .cases import GOOD, bearer
from .edge import BODY, CountingInput, wsgi_call, wsgi_environ
from .on_wsgi import bare_app


class Recorder:
    """An app that keeps the environ it was called with."""

    def __init__(self) -> None:
        self.environ: dict[str, Any] | None = None
        self.closed = False

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Recorder:
        self.environ = environ
        start_response("200 OK", [("Content-Type", "text/plain")])
        return self

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"one, ", b"two"])

    def close(self) -> None:
        self.closed = True


def serve(app: Any, environ: dict[str, Any]) -> str:
    started: list[str] = []
    list(app(environ, lambda status, _headers, _exc_info=None: started.append(status)))
    return started[0]


def health(**changes: Any) -> dict[str, Any]:
    environ = wsgi_environ("GET", "/health", [], CountingInput(BODY))
    environ.update(changes)
    return {name: value for name, value in environ.items() if value is not None}


@pytest.fixture
def app() -> Recorder:
    return Recorder()


@pytest.fixture
def guarded(app: Recorder, verifier: D1Verifier) -> D1WSGIMiddleware:
    return D1WSGIMiddleware(app, verifier, exclude=["/health"])


def test_puts_the_token_into_the_environ(app: Recorder, guarded: D1WSGIMiddleware) -> None:
    assert wsgi_call(guarded)("POST", "/notify", bearer(GOOD)).body == b"one, two"
    assert app.environ is not None
    assert isinstance(app.environ["d1verify.token"], D1Token)


def test_hands_on_the_apps_own_iterable_so_that_it_is_closed(app: Recorder, guarded: D1WSGIMiddleware) -> None:
    environ = wsgi_environ("POST", "/notify", bearer(GOOD), CountingInput(BODY))
    assert guarded(environ, lambda *_arguments: lambda _data: None) is app
    wsgi_call(guarded)("POST", "/notify", bearer(GOOD))
    assert app.closed


def test_does_not_call_the_app_for_a_refused_request(app: Recorder, guarded: D1WSGIMiddleware) -> None:
    assert wsgi_call(guarded)("POST", "/notify", []).status == 401
    assert app.environ is None


def test_on_an_excluded_path_a_token_put_there_before_is_taken_away(
    app: Recorder, guarded: D1WSGIMiddleware, verifier: D1Verifier
) -> None:
    assert serve(guarded, health(**{"d1verify.token": verifier.verify(GOOD)})) == "200 OK"
    assert app.environ is not None
    assert "d1verify.token" not in app.environ


def test_a_token_put_there_before_opens_nothing(app: Recorder, guarded: D1WSGIMiddleware, verifier: D1Verifier) -> None:
    environ = wsgi_environ("POST", "/notify", [], CountingInput(BODY))
    environ["d1verify.token"] = verifier.verify(GOOD)
    assert serve(guarded, environ) == "401 Unauthorized"
    assert "d1verify.token" not in environ
    assert app.environ is None


@pytest.mark.parametrize("name", ["REMOTE_USER", "AUTHORIZATION", "REDIRECT_HTTP_AUTHORIZATION", "HTTP_AUTHORIZATION_"])
def test_reads_the_authorization_header_only(name: str, guarded: D1WSGIMiddleware) -> None:
    environ = wsgi_environ("POST", "/notify", [], CountingInput(BODY))
    assert serve(guarded, environ | {name: f"Bearer {GOOD}"}) == "401 Unauthorized"


@pytest.mark.parametrize("error", [TokenError(Reason.EXPIRED), ValueError("a bug")], ids=["ours", "theirs"])
def test_an_error_of_the_app_stays_an_error_of_the_app(error: Exception, verifier: D1Verifier) -> None:
    def failing(_environ: Any, _start_response: Any) -> Iterable[bytes]:
        raise error

    with pytest.raises(type(error)) as caught:
        wsgi_call(D1WSGIMiddleware(failing, verifier))("POST", "/notify", bearer(GOOD))
    assert caught.value is error


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"RAW_URI": None},
        {"RAW_URI": None, "REQUEST_URI": "/health"},
        {"REQUEST_URI": "/health?a=b"},
        {"SCRIPT_NAME": "/d1", "RAW_URI": "/d1/health"},
        {"SCRIPT_NAME": "/d1", "RAW_URI": "/health"},
        {"SCRIPT_NAME": None},
        {"REQUEST_METHOD": "HEAD"},
    ],
    ids=repr,
)
def test_an_excluded_path_is_open(changes: dict[str, Any], guarded: D1WSGIMiddleware) -> None:
    assert serve(guarded, health(**changes)) == "200 OK"


@pytest.mark.parametrize(
    "changes",
    [
        {"RAW_URI": "/%68ealth"},
        {"RAW_URI": "http://merchant.example/health"},
        {"RAW_URI": "/notify?/health"},
        {"RAW_URI": ""},
        {"RAW_URI": "/health", "REQUEST_URI": "/notify"},
        {"RAW_URI": "/notify", "REQUEST_URI": "/health"},
        {"SCRIPT_NAME": "/d1", "RAW_URI": "/d2/health"},
        {"SCRIPT_NAME": "/health", "PATH_INFO": "/notify", "RAW_URI": "/health/notify"},
        {"SCRIPT_NAME": "/health", "PATH_INFO": "", "RAW_URI": "/health"},
        {"PATH_INFO": None},
        {"PATH_INFO": "/health\xc3\xa9"},
        {"REQUEST_METHOD": "POST"},
        {"REQUEST_METHOD": "get"},
    ],
    ids=repr,
)
def test_whatever_else_is_not_open(changes: dict[str, Any], guarded: D1WSGIMiddleware) -> None:
    assert serve(guarded, health(**changes)) == "401 Unauthorized"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"verifier": object()}, "verify_header"),
        ({"verifier": D1Verifier}, "verify_header"),
        ({"reveal_reason": "false"}, "reveal_reason"),
        ({"exclude": "/health"}, "collection of paths"),
        ({"exclude": ["/"]}, "exact paths"),
        ({"realm": 'a"b'}, "realm"),
    ],
    ids=["verifier", "class", "flag", "bare string", "everything", "realm"],
)
def test_checks_its_arguments_when_it_is_built(arguments: dict[str, Any], says: str, verifier: D1Verifier) -> None:
    with pytest.raises(ConfigurationError, match=says):
        D1WSGIMiddleware(bare_app, **{"verifier": verifier, **arguments})


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    ("header", "status"),
    [(None, "401 Unauthorized"), ("Bearer x", "401 Unauthorized"), (f"Bearer {GOOD}", "204 No Content")],
    ids=["none", "bad", "good"],
)
def test_keeps_to_pep_3333(method: str, header: str | None, status: str, verifier: D1Verifier) -> None:
    started: list[str] = []

    def start_response(status: str, _headers: Any, _exc_info: Any = None) -> Any:
        started.append(status)
        return lambda _data: None

    def empty_app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("204 No Content", [])
        return []

    checked = validator(D1WSGIMiddleware(validator(empty_app), verifier))
    environ = wsgi_environ(method, "/notify", [], CountingInput(BODY))
    environ.pop("CONTENT_LENGTH", None)
    if header is not None:
        environ["HTTP_AUTHORIZATION"] = header
    result = checked(environ, start_response)
    try:
        list(result)
    finally:
        getattr(result, "close", lambda: None)()
    assert started == [status]


class Careless:
    """A verifier that gives back this instead of a token."""

    def __init__(self, given: Any) -> None:
        self.given = given

    def verify_header(self, value: str | bytes | None) -> Any:
        return self.given


@pytest.mark.parametrize("given", [None, True, "MGW_000001", {}], ids=repr)
def test_a_verifier_that_returns_no_token_lets_nothing_through(given: Any, app: Recorder) -> None:
    careless: Any = Careless(given)
    with pytest.raises(TypeError, match="D1Token"):
        wsgi_call(D1WSGIMiddleware(app, careless))("POST", "/notify", bearer(GOOD))
    assert app.environ is None


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def port(verifier: D1Verifier) -> Iterator[int]:
    """Serve the middleware with the server of the standard library."""
    server = make_server("127.0.0.1", 0, D1WSGIMiddleware(bare_app, verifier), WSGIServer, _Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ([f"Bearer {GOOD}"], 200),
        ([], 401),
        ([f"Bearer {GOOD}", f"Bearer {GOOD}"], 400),
        ([f"Bearer {GOOD}", f"Bearer {KEY.mint(sub='MGW_000002')}"], 400),
        ([f"Bearer {GOOD}", "Basic dTpw"], 400),
        (["Basic dTpw", f"Bearer {GOOD}"], 400),
    ],
    ids=["good", "none", "the same twice", "two tokens", "bearer and basic", "basic and bearer"],
)
def test_behind_a_real_server_two_headers_are_refused(values: list[str], status: int, port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("GET", "/notify")
    for value in values:
        connection.putheader("Authorization", value)
    connection.endheaders()
    try:
        assert connection.getresponse().status == status
    finally:
        connection.close()

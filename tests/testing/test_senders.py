"""The ready-made ways to send: ASGI and WSGI in process, and HTTP to a server that says what it got."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from d1verify import ConfigurationError
from d1verify.testing import ASGISender, Call, CannotSendError, Expect, UnreachableError, URLSender, WSGISender

from ..support import unmeasured

FIELDS = ((b"Authorization", b"Bearer a"), (b"Authorization", b"Bearer \xe9"), (b"X", b"y"))


def call_of(**more: Any) -> Call:
    return Call(raw_headers=more.pop("raw_headers", FIELDS), expect=Expect.ACCEPTED, **more)


class RecordingApp:
    """An ASGI app that keeps what it got and does what it is told with `send`."""

    def __init__(self, *messages: dict[str, Any], error: Exception | None = None) -> None:
        self.messages = messages
        self.error = error
        self.scope: dict[str, Any] = {}
        self.received: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = dict(scope)
        self.received.append(await receive())
        for message in self.messages:
            await send(message)
        if self.error is not None:
            raise self.error
        self.received.append(await receive())


START = {"type": "http.response.start", "status": 201, "headers": [(b"x-a", b"1")]}
BODY = ({"type": "http.response.body", "body": b"he", "more_body": True}, {"type": "http.response.body", "body": b"y"})


def test_asgi_the_app_gets_the_request_as_a_server_gives_it() -> None:
    app = RecordingApp(START, *BODY)
    sender = ASGISender(app, "/usual", body=b"body", headers=[(b"Content-Type", b"text/plain")])
    assert sender.send_call(call_of(path="/a%2Fb?c=d", method="PUT")) == (201, [(b"x-a", b"1")], b"hey")
    assert {name: app.scope[name] for name in ("type", "method", "path", "raw_path", "query_string")} == {
        "type": "http",
        "method": "PUT",
        "path": "/a/b",
        "raw_path": b"/a%2Fb",
        "query_string": b"c=d",
    }
    assert app.scope["headers"] == [
        (b"host", b"testserver"),
        (b"content-type", b"text/plain"),
        (b"authorization", b"Bearer a"),
        (b"authorization", b"Bearer \xe9"),
        (b"x", b"y"),
    ]
    assert app.received == [{"type": "http.request", "body": b"body", "more_body": False}, {"type": "http.disconnect"}]


def test_asgi_uses_its_own_path_and_method_unless_the_call_has_some() -> None:
    app = RecordingApp(START, *BODY)
    ASGISender(app, "/usual", method="PATCH").send_call(call_of())
    assert (app.scope["path"], app.scope["method"]) == ("/usual", "PATCH")


@pytest.mark.parametrize(
    ("app", "status"),
    [
        (RecordingApp(error=ValueError("x")), 500),
        (RecordingApp(), 500),
        (RecordingApp(START, error=ValueError("x")), 201),
        (RecordingApp({"type": "http.response.trailers"}, error=ValueError("x")), 500),
    ],
    ids=["raises", "says nothing", "raises after the start", "says something else"],
)
def test_asgi_an_app_that_fails_has_answered_500(app: RecordingApp, status: int) -> None:
    assert ASGISender(app, timeout=0.3).send_call(call_of()).status == status


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([{"type": "websocket.accept"}], 101),
        ([{"type": "websocket.accept", "headers": [(b"a", b"b")]}, {"type": "websocket.close"}], 101),
        ([{"type": "websocket.close", "code": 1008}], 403),
        ([{"type": "websocket.http.response.start", "status": 401}, {"type": "websocket.http.response.body"}], 401),
    ],
    ids=["accepted", "accepted and closed", "closed", "denied"],
)
def test_asgi_opens_websockets(messages: list[dict[str, Any]], status: int) -> None:
    app = RecordingApp(*messages)
    assert ASGISender(app).send_call(call_of(kind="websocket", path="/events")).status == status
    assert (app.scope["type"], app.scope["scheme"], app.scope["path"]) == ("websocket", "ws", "/events")
    assert app.received == [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]


class LifespanApp:
    def __init__(self, *, answer: str | None = "complete", shutdown_error: Exception | None = None) -> None:
        self.answer = answer
        self.shutdown_error = shutdown_error
        self.events: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            self.events.append((scope["state"], threading.get_ident()))
            await send(START)
            await send(BODY[1])
            return
        if self.answer is None:
            raise NotImplementedError
        self.events.append((await receive())["type"])
        scope["state"]["pool"] = "open"
        if self.answer != "silent":
            await send({"type": f"lifespan.startup.{self.answer}"})
            self.events.append((await receive())["type"])
            await send({"type": "lifespan.shutdown.complete"})
        if self.shutdown_error is not None:
            raise self.shutdown_error


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_asgi_runs_the_lifespan_around_all_calls_on_one_event_loop(backend: str) -> None:
    app = LifespanApp()
    with ASGISender(app, backend=backend) as sender:
        sender.send_call(call_of())
        sender.send_call(call_of())
        first, (state, thread), again = app.events
    assert (first, state, again) == ("lifespan.startup", {"pool": "open"}, (state, thread))
    assert thread != threading.get_ident()
    assert app.events[3:] == ["lifespan.shutdown"]


@pytest.mark.parametrize("answer", [None, "silent"])
def test_asgi_serves_an_app_without_a_lifespan(answer: str | None) -> None:
    with ASGISender(LifespanApp(answer=answer)) as sender:
        assert sender.send_call(call_of()).status == 201


def test_asgi_a_start_up_that_fails_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="start-up failed"), ASGISender(LifespanApp(answer="failed")):
        pytest.fail("it must not start")


def test_asgi_errors_come_out_as_they_are() -> None:
    with (
        pytest.raises(ValueError, match="on its way down"),
        ASGISender(LifespanApp(shutdown_error=ValueError("on its way down"))) as sender,
    ):
        sender.send_call(call_of())
    with pytest.raises(KeyError), ASGISender(LifespanApp()):
        raise KeyError


def test_asgi_can_be_used_within_a_running_event_loop() -> None:
    async def main() -> int:
        return ASGISender(RecordingApp(START, *BODY)).send_call(call_of()).status

    assert asyncio.run(main()) == 201


def test_wsgi_the_app_gets_the_request_as_a_server_gives_it() -> None:
    seen: dict[str, Any] = {}

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        seen.update(environ, body=environ["wsgi.input"].read())
        write = start_response("201 Created", [("X-A", "1")])
        write(b"h")
        return [b"e", b"y"]

    sender = WSGISender(app, "/usual", body=b"body")
    assert sender.send_call(call_of(path="/%C3%A9?c=d", method="PUT")) == (201, [("X-A", "1")], b"hey")
    expected = {
        "REQUEST_METHOD": "PUT",
        "PATH_INFO": "/Ã©",
        "QUERY_STRING": "c=d",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "4",
        "HTTP_AUTHORIZATION": "Bearer a,Bearer é",
        "HTTP_X": "y",
        "body": b"body",
    }
    assert {name: seen[name] for name in expected} == expected
    assert "HTTP_CONTENT_TYPE" not in seen


class Chunks:
    closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield b"x"
        raise ValueError

    def close(self) -> None:
        self.closed = True


def test_wsgi_an_app_that_fails_has_answered_500_and_is_closed() -> None:
    chunks = Chunks()

    def fails(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return chunks

    assert WSGISender(fails).send_call(call_of()).status == 500
    assert chunks.closed
    assert WSGISender(lambda _environ, _start: []).send_call(call_of()).status == 500


def test_wsgi_has_no_websockets() -> None:
    with pytest.raises(CannotSendError):
        WSGISender(lambda _environ, _start: []).send_call(call_of(kind="websocket"))


@contextmanager
def raw_server(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one connection per answer; keep what each one sent."""
    received: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(65536)
                received.append(data)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/usual?a=b", received
        thread.join(5)


OK = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nhey"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
FOUND = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def test_url_sends_the_headers_as_they_are() -> None:
    with raw_server(OK, OK) as (url, received), URLSender(url, body=b"") as sender:
        answer = sender.send_call(call_of())
        assert (answer.status, answer.body) == (200, b"hey")
        assert (b"X-A", b"1") in list(answer.headers)
        sender.send_call(call_of(path="/g/1?x=y", method="GET"))
    first, second = received
    assert first.startswith(b"POST /usual?a=b HTTP/1.1\r\n")
    assert [line for line in first.split(b"\r\n") if line.startswith(b"Authorization")] == [
        b"Authorization: Bearer a",
        b"Authorization: Bearer \xe9",
    ]
    assert b"Content-Type: application/json" in first
    assert second.startswith(b"GET /g/1?x=y HTTP/1.1\r\n")


def test_url_opens_a_websocket_and_follows_no_redirect() -> None:
    with raw_server(SWITCHING, FOUND) as (url, received), URLSender(url) as sender:
        assert sender.send_call(call_of(kind="websocket", path="/events")).status == 101
        assert sender.send_call(call_of()).status == 302
    assert received[0].startswith(b"GET /events HTTP/1.1\r\n")
    assert b"Upgrade: websocket" in received[0]


@pytest.mark.parametrize(
    "call",
    [call_of(path="/health/../x"), call_of(raw_headers=((b"Authorization", b"Bearer \x00"),))],
    ids=["dot segments", "control character"],
)
def test_url_says_so_if_the_client_cannot_send_it(call: Call) -> None:
    with raw_server() as (url, _), URLSender(url) as sender, pytest.raises(CannotSendError):
        sender.send_call(call)


def test_url_says_so_if_nothing_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with URLSender(url) as sender, pytest.raises(UnreachableError, match="no answer: ConnectError"):
        sender.send_call(call_of())
    with raw_server(b"") as (url, _), URLSender(url) as sender, pytest.raises(UnreachableError, match="no answer: Rem"):
        sender.send_call(call_of())


def test_url_takes_the_tls_settings_it_is_given() -> None:
    context = ssl.create_default_context()
    with URLSender("https://127.0.0.1:1/", ssl_context=context) as sender, pytest.raises(UnreachableError):
        sender.send_call(call_of())
    sender.close()


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://127.0.0.1/", "http://", "/path"])
def test_url_refuses_what_is_no_http_url(url: str) -> None:
    with pytest.raises(ConfigurationError, match="url"):
        URLSender(url)


def test_the_http_client_is_loaded_by_the_url_sender_only() -> None:
    script = (
        "import sys; from d1verify.testing import *; "
        "FakeD1().token(); URLSender('http://127.0.0.1/'); "
        "print(sorted({'httpx2', 'starlette', 'anyio', 'pytest'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], env=unmeasured(), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

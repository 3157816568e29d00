"""What a web edge is to the suite, and how to plug one in.

An `Edge` names itself, says what it can do, and builds a `Call` from a verifier. A call
takes a method, a request target as the client writes it (percent-encoded, with the
query), and raw headers; it gives back an `Answer`. It is synchronous for the caller:
an edge on an event loop runs one of its own, with the backend it was made for.

The app behind an edge answers, with JSON:

    /notify                         any method, guarded: 200 {"subject": token.subject}
    /merchant-gateways/{id}/notify  POST, guarded and, if `compares_path`, compared: as /notify
    /health                         any method, excluded when `Options.exclude` says so:
                                    200 {"subject": null} without a token, else as /notify

On POST it reads the request's body first, so that `Answer.body_reads` can be seen to move.

To plug an edge in: write a build function in a module of this package (the helpers
`asgi_call` and `wsgi_call` turn an app into a `Call`) and add one line to `EDGES` in
`conftest.py`. `test_every_edge.py` does the rest.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

import anyio

from d1verify import HeaderVerifier

BODY = b'{"state":"ACTIVE"}'

Headers = Sequence[tuple[bytes, bytes]]
App = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and how often the request's body was asked for."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    body_reads: int = 0

    def header(self, name: str) -> str | None:
        """Return the one value of this header, or None; it must not be there twice."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} is there twice: {values}"
        return values[0] if values else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class WebSocketAnswer:
    """What a WebSocket handshake came to: `accepted`, an http answer, or a close code."""

    accepted: bool
    denial: Answer | None
    close_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings of an edge. One that it does not have is never asked of it."""

    exclude: tuple[str, ...] = ()
    realm: str = "d1"
    reveal_reason: bool = False


class Call(Protocol):
    def __call__(self, method: str, target: str, headers: Headers) -> Answer: ...


class WebSocketCall(Protocol):
    def __call__(self, target: str, headers: Headers, *, denial_response: bool) -> WebSocketAnswer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A web edge as the suite sees it.

    Attributes:
        build: makes the call.
        build_websocket: makes the call that opens a WebSocket on /notify, where the edge has them.
        writes_own_bytes: the answer is byte for byte that of `bearer.refusal`.
        json_member: the member of the body that holds the answer's JSON, where a framework wraps it.
        sees_two_headers: two `Authorization` headers reach it as two (WSGI servers join them with a comma).
        has_exclude: it knows excluded paths.
        has_answer_options: it knows `realm` and `reveal_reason`.
        compares_path: it is told the path parameter, so another gateway's path is 403.
        leaves_body_alone: no body is read before the decision.
    """

    name: str
    build: Callable[[HeaderVerifier, Options], Call]
    build_websocket: Callable[[HeaderVerifier, Options], WebSocketCall] | None = None
    writes_own_bytes: bool = True
    json_member: str | None = None
    sees_two_headers: bool = True
    has_exclude: bool = False
    has_answer_options: bool = True
    compares_path: bool = False
    leaves_body_alone: bool = True


def asgi_call(app: App, backend: str, *, root_path: str = "") -> Call:
    """Return a call to an ASGI app, each on an event loop of its own."""

    def call(method: str, target: str, headers: Headers) -> Answer:
        scope = asgi_scope(target, headers, root_path=root_path)
        return anyio.run(_http_exchange, app, {**scope, "type": "http", "method": method}, backend=backend)

    return call


def asgi_websocket_call(app: App, backend: str) -> WebSocketCall:
    """Return a call that opens a WebSocket at an ASGI app."""

    def call(target: str, headers: Headers, *, denial_response: bool) -> WebSocketAnswer:
        extensions: dict[str, Any] = {"websocket.http.response": {}} if denial_response else {}
        scope = asgi_scope(target, headers, root_path="")
        scope |= {"type": "websocket", "scheme": "ws", "subprotocols": [], "extensions": extensions}
        return anyio.run(_handshake, app, scope, backend=backend)

    return call


def wsgi_call(app: App, *, script_name: str = "") -> Call:
    """Return a call to a WSGI app."""

    def call(method: str, target: str, headers: Headers) -> Answer:
        body = CountingInput(BODY)
        environ = wsgi_environ(method, target, headers, body, script_name=script_name)
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> Callable[..., Any]:
            started.append((status, headers))
            return lambda _data: None

        result: Iterable[bytes] = app(environ, start_response)
        try:
            content = b"".join(result)
        finally:
            getattr(result, "close", lambda: None)()
        assert len(started) == 1
        status, answered = started[0]
        return Answer(int(status.split(" ", 1)[0]), tuple(answered), content, body.reads)

    return call


class CountingInput:
    """A `wsgi.input` that counts how often it was read."""

    def __init__(self, body: bytes) -> None:
        self._stream = io.BytesIO(body)
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._stream, name)
        if not name.startswith("read"):
            return attribute

        def counted(*args: Any) -> Any:
            self.reads += 1
            return attribute(*args)

        return counted


def asgi_scope(target: str, headers: Headers, *, root_path: str) -> dict[str, Any]:
    """Return what http and WebSocket scopes have in common, as uvicorn fills it in."""
    raw_path, _, query = target.encode("ascii").partition(b"?")
    return {
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "http",
        "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": root_path,
        "headers": [(b"host", b"merchant.example"), *headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }


def wsgi_environ(
    method: str, target: str, headers: Headers, body: CountingInput, *, script_name: str = ""
) -> dict[str, Any]:
    """Return an environ as a server fills it in: header values as latin-1, the same name joined with a comma."""
    raw_path, _, query = target.partition("?")
    path = unquote_to_bytes(raw_path).decode("latin-1")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path.removeprefix(script_name),
        "QUERY_STRING": query,
        "RAW_URI": target,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "merchant.example",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": body,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        key = "HTTP_" + name.decode("ascii").upper().replace("-", "_")
        if key in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
            key = key.removeprefix("HTTP_")
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    if method == "POST":
        environ.setdefault("CONTENT_LENGTH", str(len(BODY)))
    return environ


async def _http_exchange(app: App, scope: dict[str, Any]) -> Answer:
    reads = 0
    sent: list[Mapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        nonlocal reads
        reads += 1
        if reads > 1:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": BODY if scope["method"] == "POST" else b"", "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    with anyio.fail_after(20):
        await app(scope, receive, send)
    return _answer(sent, "http.response", reads)


async def _handshake(app: App, scope: dict[str, Any]) -> WebSocketAnswer:
    pending = [{"type": "websocket.connect"}]
    sent: list[Mapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return pending.pop() if pending else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Mapping[str, Any]) -> None:
        assert not pending, "the server has not been asked for websocket.connect yet"
        sent.append(message)

    with anyio.fail_after(20):
        await app(scope, receive, send)
    kinds = [message["type"] for message in sent]
    if "websocket.accept" in kinds:
        return WebSocketAnswer(accepted=True, denial=None, close_code=None)
    if kinds == ["websocket.close"]:
        return WebSocketAnswer(accepted=False, denial=None, close_code=sent[0].get("code", 1000))
    assert "websocket.http.response" in scope["extensions"]
    return WebSocketAnswer(accepted=False, denial=_answer(sent, "websocket.http.response", 0), close_code=None)


def _answer(sent: list[Mapping[str, Any]], prefix: str, reads: int) -> Answer:
    start, *rest = sent
    assert start["type"] == f"{prefix}.start"
    assert {message["type"] for message in rest} <= {f"{prefix}.body"}
    headers = tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in start["headers"])
    return Answer(start["status"], headers, b"".join(message.get("body", b"") for message in rest), reads)

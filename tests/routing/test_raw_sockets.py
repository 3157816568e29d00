"""End to end: request lines that nobody should write, as raw bytes to a real uvicorn, with either of its parsers."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from d1verify import D1Token

from ..serving import Running, uvicorn_server
from ..support import until
from .apps import NESTED, SITES, Seen, Workshop
from .hostile import ELSEWHERE, GOOD, HOSTS, METHODS, NAMES, OWN_NAMES, VALUES
from .targets import chance, pick, raw_paths
from .test_routing import guard

EXAMPLES = int(os.environ.get("D1VERIFY_ROUTING_EXAMPLES", "150"))
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
SITE = SITES["mounts behind the guard"]
PARSERS = [
    "h11",
    pytest.param(
        "httptools",
        marks=pytest.mark.skipif(importlib.util.find_spec("httptools") is None, reason="httptools is not installed"),
    ),
]
VERSIONS = (
    b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"", b"HTTP/1.1 x",
)  # fmt: skip
WHOLE_TARGETS: tuple[bytes, ...] = (
    b"http://merchant.example/health", b"https://x/v1/health", b"*", b"merchant.example:443", b"//x/health",
    b"/health?x=/../pay", b"http://x@y/health", b"/health /pay", b"/pay /health", b"\\health", b"health",
)  # fmt: skip
LINE_ENDS = (
    b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\n ", b"\0\r\n",
)  # fmt: skip
EXTRA = (
    b"Transfer-Encoding: chunked", b"Transfer-Encoding : chunked", b"Content-Length: 5", b"Content-Length: 0",
    b"Content-Length: 5\r\nContent-Length: 0", b"Transfer-Encoding: chunked\r\nContent-Length: 4",
    b"Expect: 100-continue",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    b"Connection: keep-alive", b"Connection: close, authorization", b"Daphne-Root-Path: /zzz",
    b"X-Forwarded-Prefix: /zzz", b"Authorization\r\n : Bearer " + GOOD, b"Authorization : Bearer " + GOOD,
    b"X: y\r\n Authorization: Bearer " + GOOD, b"Authorization:\r\n Bearer " + GOOD,
    b"Authorization: Bearer\r\n " + GOOD, b"Trailer: Authorization",
)  # fmt: skip
BODIES = (
    b"", b"", b"", b"0\r\n\r\n", b"5\r\nhello\r\n0\r\nAuthorization: Bearer " + GOOD + b"\r\n\r\n", b"hello",
)  # fmt: skip
SENT = re.compile(rb"authorization[ \t]*:\s*bearer\s+" + re.escape(GOOD) + rb"\s", re.IGNORECASE)


@dataclass(frozen=True)
class Conversation:
    """All that one client writes on one connection."""

    written: bytes

    def __repr__(self) -> str:
        return repr(self.written.replace(GOOD, b"GOOD"))


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """One request without a good value in one `Authorization` header; it may not be one request at all."""
    target = pick(draw, WHOLE_TARGETS) if chance(draw, 6) else draw(raw_paths(SITE.known))
    method = pick(draw, METHODS).encode()
    end = pick(draw, LINE_ENDS) if chance(draw, 5) else b"\r\n"
    lines = [method + b" " + target + b" " + pick(draw, VERSIONS), b"Host: " + pick(draw, HOSTS)]
    if chance(draw, 2):
        lines.append(pick(draw, OWN_NAMES) + b": " + pick(draw, VALUES))
    if chance(draw, 4):
        lines.append(pick(draw, NAMES) + b": " + pick(draw, ELSEWHERE))
    if chance(draw, 3):
        lines.append(pick(draw, EXTRA))
    return end.join(lines) + end + end + pick(draw, BODIES)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    plain = b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"  # What comes after another on the same connection.
    parts = [draw(messages()) for _ in range(1 + chance(draw, 3))]
    return Conversation(b"".join(parts) + (plain if chance(draw, 5) else b""))


class Server:
    """uvicorn with a guarded app whose endpoints write down who reached them."""

    def __init__(self, running: Running, shop: Workshop) -> None:
        self.running = running
        self.shop = shop

    def talk(self, written: bytes) -> tuple[bytes, list[tuple[Seen, Any]]]:
        """Write everything, then read until the server has nothing more to say; also return who was reached."""
        journal = self.shop.journal
        journal.clear()
        answer = b""
        with socket.create_connection(("127.0.0.1", self.running.port), timeout=5) as connection:
            with suppress(OSError):  # It may have hung up already, and rightly.
                connection.sendall(written)
                connection.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                while data := connection.recv(65536):
                    answer += data
        until(lambda: self.running.idle)
        return answer, list(zip(journal.seen, journal.raw_paths, strict=True))


@pytest.fixture(scope="module", params=PARSERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    shop = Workshop(guard)
    with uvicorn_server(SITE.build(shop), http=request.param, lifespan="off") as running:
        yield Server(running, shop)


def check(one: Seen, raw_path: object, written: bytes) -> None:
    if one.token is not None:  # Among the bytes is a good header after all, when white space and folds are taken away.
        assert isinstance(one.token, D1Token)
        assert SENT.search(written), f"{one.where} was reached with a token that nobody sent"
        return
    assert one.where in NESTED, f"{one.where} was reached without a token"
    assert one.kind == "http"
    assert one.method in ("GET", "HEAD")
    assert raw_path == one.where.encode()
    assert one.where.encode() in written


def test_no_bytes_reach_what_is_guarded(server: Server) -> None:
    reached: set[str] = set()

    @SETTINGS
    @given(conversations())
    def property_holds(conversation: Conversation) -> None:
        _, seen = server.talk(conversation.written)
        for one, raw_path in seen:
            reached.add(one.where)
            check(one, raw_path, conversation.written)

    property_holds()
    assert reached, "not even an excluded path was reached"


def test_a_good_call_is_served(server: Server) -> None:
    call = b"POST /v1/pay HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n"
    answer, seen = server.talk(call + b"Authorization: Bearer " + GOOD + b"\r\n\r\n{}")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert [one.where for one, _ in seen] == ["/v1/pay"]
    answer, seen = server.talk(call + b"\r\n{}")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert seen == []

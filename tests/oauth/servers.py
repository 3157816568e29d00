"""A real server on loopback: a token endpoint that answers whatever bytes it is told to."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import parse_qs


def http_answer(content: Any, status: str = "200 OK", *headers: str) -> bytes:
    """Return an HTTP answer with this content, as JSON unless it is bytes."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def token_answer(value: str, **changes: Any) -> bytes:
    content = {"access_token": value, "token_type": "Bearer", "expires_in": 900, **changes}
    return http_answer({name: member for name, member in content.items() if member is not None})


class TokenServer:
    """Answers each request with what `answer` gives for its number: bytes, or nothing ever for None.

    Attributes:
        requests: what came in, one (headers, form) per request.
        released: while it is not set, no answer goes out.
    """

    def __init__(self, answer: Callable[[int], bytes | None], tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self._tls = tls
        self.requests: list[tuple[dict[str, str], dict[str, str]]] = []
        self.released = threading.Event()
        self.released.set()
        self._stopped = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = (
            f"{'http' if tls is None else 'https'}://127.0.0.1:{self._socket.getsockname()[1]}/authz/v1/oauth2/token"
        )
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
        with connection, suppress(OSError):
            self.requests.append(_read_request(connection))
            answer = self.answer(len(self.requests))
            if answer is None:
                self._stopped.wait(60)
            elif self.released.wait(60):
                connection.sendall(answer)

    def stop(self) -> None:
        self._stopped.set()
        self.released.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


def _read_request(connection: socket.socket) -> tuple[dict[str, str], dict[str, str]]:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    pairs = [line.partition(": ") for line in lines[1:]]
    headers = {name.lower(): value for name, _, value in pairs}
    headers[":request-line"] = lines[0]
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65_536)
    return headers, {name: values[0] for name, values in parse_qs(body.decode(), strict_parsing=True).items()}


@contextmanager
def token_server(*answers: bytes | None, tls: ssl.SSLContext | None = None) -> Iterator[TokenServer]:
    """Serve these answers, the last one again and again."""
    server = TokenServer(lambda number: answers[min(number, len(answers)) - 1], tls)
    try:
        yield server
    finally:
        server.stop()

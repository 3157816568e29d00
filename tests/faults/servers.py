"""Key servers: a raw one on loopback that breaks HTTP as it is told, and an app that is well-behaved."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Any

from ..support import SigningKey

JSON = ("Content-Type: application/json",)
HOST = "localhost"


class Connection:
    """One connection to a `RawServer`, to be answered by a behaviour."""

    def __init__(self, server: RawServer, raw: socket.socket) -> None:
        self.server = server
        self.raw = raw
        self.sent = 0

    def read_head(self) -> bytes:
        """Do the handshake, and return the request up to the empty line."""
        if self.server.tls is not None:
            self.raw = self.server.tls.wrap_socket(self.raw, server_side=True)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.receive(1)
        self.server.requests.append(head)
        return head

    def receive(self, most: int = 65_536) -> bytes:
        data = self.raw.recv(most)
        if not data:
            raise ConnectionError("the client has gone")
        return data

    def send(self, data: bytes) -> None:
        self.raw.sendall(data)
        self.sent += len(data)

    def drip(self, data: bytes) -> None:
        """Send one byte after the other, slowly but each well within any per-read timeout."""
        for position in range(len(data)):
            self.send(data[position : position + 1])
            if self.server.closing.wait(0.02):
                return

    def hold(self) -> None:
        """Say nothing until the server is stopped."""
        self.server.closing.wait(60)


Behaviour = Callable[[Connection], None]


class RawServer:
    """Hands each connection, on a thread of its own, to the behaviour of the moment."""

    def __init__(self, behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self.behaviour = behaviour
        self.tls = tls
        self.connections = 0
        self.requests: list[bytes] = []
        self.sent: list[int] = []
        self.closing = threading.Event()
        self._scheme = "http" if tls is None else "https"
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._listen()

    @property
    def url(self) -> str:
        return f"{self._scheme}://{HOST}:{self.port}/jwks"

    def _listen(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                raw, _address = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(raw, self.behaviour), daemon=True).start()

    def _serve(self, raw: socket.socket, behaviour: Behaviour) -> None:
        connection = Connection(self, raw)
        raw.settimeout(60)
        with suppress(OSError):
            behaviour(connection)
        self.sent.append(connection.sent)
        with suppress(OSError):
            connection.raw.shutdown(socket.SHUT_RDWR)
        connection.raw.close()

    def stop_listening(self) -> None:
        with suppress(OSError):
            # Closing alone does not wake a thread that is in accept().
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close(self) -> None:
        self.closing.set()
        self.stop_listening()

    @contextmanager
    def not_listening(self) -> Iterator[None]:
        """Refuse connections meanwhile."""
        self.stop_listening()
        try:
            yield
        finally:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
            self._listen()

    @contextmanager
    def behaving(self, behaviour: Behaviour) -> Iterator[None]:
        """Behave otherwise meanwhile."""
        usual, self.behaviour = self.behaviour, behaviour
        try:
            yield
        finally:
            self.behaviour = usual

    @contextmanager
    def showing(self, tls: ssl.SSLContext) -> Iterator[None]:
        """Show another certificate meanwhile."""
        usual, self.tls = self.tls, tls
        try:
            yield
        finally:
            self.tls = usual


@contextmanager
def raw_server(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    server = RawServer(behaviour, tls)
    try:
        yield server
    finally:
        server.close()


def jwks(*keys: SigningKey) -> bytes:
    return json.dumps({"keys": [key.jwk for key in keys]}).encode()


def head(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "Connection: close", "", ""]).encode()


def message(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return a complete answer."""
    return head(status, *(headers or JSON), f"Content-Length: {len(body)}") + body


def answering(data: bytes) -> Behaviour:
    """Return a behaviour that reads the request and sends `data`."""

    def behave(connection: Connection) -> None:
        connection.read_head()
        connection.send(data)

    return behave


def serving(*keys: SigningKey, max_age: int = 100) -> Behaviour:
    """Return the behaviour of a healthy endpoint."""
    return answering(message(jwks(*keys), *JSON, f"Cache-Control: max-age={max_age}"))


class Endpoint:
    """A well-behaved JWKS endpoint as an ASGI app: entity tags, 304, and keys that a test may change."""

    def __init__(self) -> None:
        self.url = ""
        self.reset()

    def reset(self) -> None:
        self.keys: tuple[SigningKey, ...] = ()
        self.max_age: int | None = 100
        self.etag = True
        self.failing: Callable[[int], bool] = lambda _count: False
        self.requests: list[dict[str, str]] = []
        self.statuses: list[int] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests.append({name.decode(): value.decode() for name, value in scope["headers"]})
        status, headers, body = self._answer()
        self.statuses.append(status)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        if self.failing(len(self.requests)):
            return 500, [], b"{}"
        body = jwks(*self.keys)
        headers = [(b"content-type", b"application/jwk-set+json")]
        if self.max_age is not None:
            headers.append((b"cache-control", b"public, max-age=%d" % self.max_age))
        if self.etag:
            tag = f'"{sha256(body).hexdigest()[:16]}"'
            headers.append((b"etag", tag.encode()))
            if self.requests[-1].get("if-none-match") == tag:
                return 304, headers, b""
        return 200, headers, body

"""The JWKS endpoint of the soak: serves what is published, keeps account of it, and fails as it is told."""

from __future__ import annotations

import asyncio
import json
import random
import time
from contextlib import suppress
from hashlib import sha256
from typing import Final

from ..support import SigningKey
from .ledger import Ledger

__all__ = ["WORKER_HEADER", "KeyServer"]

# Each worker says which one it is when it asks for keys.
WORKER_HEADER: Final = "x-soak-worker"

_GARBAGE: Final = (b"<html>502</html>", b'{"keys": [', b'{"keys": null}', b"[]", b"\x00\xff" * 500, b"")


class KeyServer:
    """Keys that are published, on a port of loopback that stays the same when it is killed and revived.

    Attributes:
        failed: how many requests each fault has met.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.failed: dict[str, int] = {}
        self.loads = 0
        self.port = 0
        self._ledger = ledger
        self._keys: dict[str, SigningKey] = {}
        self._fault: str | None = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where the keys are."""
        return f"http://127.0.0.1:{self.port}/jwks"

    def publish(self, key: SigningKey) -> None:
        """Serve this key beside the others."""
        self._keys[key.kid] = key
        self._ledger.published[key.kid] = time.monotonic()

    def withdraw(self, kid: str) -> None:
        """Serve this key no more."""
        del self._keys[kid]
        self._ledger.withdrawn[kid] = time.monotonic()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more, and drop whoever is connected."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for writer in self._writers:
                writer.transport.abort()
            await server.wait_closed()

    async def fail(self, name: str) -> None:
        """Behave badly from now on, in this way and no other."""
        self._ledger.begin(name, time.monotonic())
        self.failed.setdefault(name, 0)
        self._fault = name
        if name == "killed":
            await self.stop()
        elif self._server is None:
            await self.start()

    async def heal(self) -> None:
        """Serve again."""
        if self._server is None:
            await self.start()
        self._fault = None
        self._ledger.end(time.monotonic())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                head = await reader.readuntil(b"\r\n\r\n")
                await self._answer(_headers(head), reader, writer)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(
        self, headers: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.loads += 1
        if self._fault is not None:
            self.failed[self._fault] += 1
        if self._fault == "hanging":
            await reader.read()  # Until the client goes.
            return
        if self._fault is not None:
            body, status = random.choice(_GARBAGE), "500 Oops" if self._fault == "status 500" else "200 OK"
        else:
            body, status = json.dumps({"keys": [key.jwk for key in self._keys.values()]}).encode(), "200 OK"
            self._ledger.serve(int(headers[WORKER_HEADER]), time.monotonic(), frozenset(self._keys))
        tag = f'"{sha256(body).hexdigest()[:16]}"'
        if self._fault is None and headers.get("if-none-match") == tag:
            body, status = b"", "304 Not Modified"
        lines = (
            f"HTTP/1.1 {status}",
            "Content-Type: application/jwk-set+json",
            "Cache-Control: public, max-age=1",  # The store makes 60 s of it.
            f"ETag: {tag}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}

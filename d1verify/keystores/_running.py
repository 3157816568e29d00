"""One request on an event loop of its own, that ends with it, and how to name what went wrong."""

from __future__ import annotations

import asyncio
import contextvars
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

__all__ = ["kind_of", "run_to_its_end", "verifies"]

_Result = TypeVar("_Result")


class _Loop(asyncio.SelectorEventLoop):
    """An event loop for one request, which ends with it. Measured on httpx2 2.16, hence both methods."""

    def __init__(self) -> None:
        super().__init__()
        self._opened: list[asyncio.Transport] = []

    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - the loop's own name for it
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """Look up in place: there is nothing else for this loop to do, and an executor would be waited for."""
        return socket.getaddrinfo(host, port, family, type, proto, flags)

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        """Connect, and remember to close: the client forgets a connection that is cancelled in its TLS handshake."""
        transport, protocol = await super().create_connection(*args, **options)
        self._opened.append(transport)
        return transport, protocol

    async def run(self, fetch: Callable[[], Awaitable[_Result]]) -> _Result:
        try:
            return await fetch()
        finally:
            for transport in self._opened:
                transport.abort()
            await asyncio.sleep(0)


def run_to_its_end(fetch: Callable[[], Awaitable[_Result]]) -> _Result:
    """Return what `fetch` returns, from a new loop on this thread; nothing is left behind when it ends."""
    loop = _Loop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        # An empty context: where threads inherit theirs, the caller may run on another event loop library.
        return runner.run(loop.run(fetch), context=contextvars.Context())


def verifies(context: object) -> bool:
    """Tell whether a TLS context verifies certificates and host names."""
    return isinstance(context, ssl.SSLContext) and context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname


def kind_of(error: BaseException) -> str:
    """Return the class of the error and of what was at the bottom of it."""
    bottom = error
    while (cause := bottom.__cause__ or bottom.__context__) is not None:
        bottom = cause
    names = dict.fromkeys((type(error).__name__, type(bottom).__name__))
    return ": ".join(names)

"""Calls to an ASGI app in process: no server, no socket, on an event loop of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

from ._sending import Answer, content_of
from .call import Call

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

__all__ = ["ASGISender"]

Message = MutableMapping[str, Any]
ASGIApp = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

_JSON = ((b"content-type", b"application/json"),)


class ASGISender:
    """Sends calls to an ASGI app in process.

    As a context manager it runs the app's lifespan and keeps one event loop for all calls;
    without, each call has an event loop of its own and the app no lifespan. An exception of
    the app counts as 500, as any server would answer.

    Args:
        app: the app.
        path: where to call it, unless the call has a path of its own.
        method: the method, unless the call has one of its own.
        body: the request's body.
        headers: further header fields, in bytes; `Content-Type: application/json` by default.
        backend: `asyncio` or `trio`.
        timeout: after how many seconds an app that does not answer counts as failed.
    """

    def __init__(
        self,
        app: ASGIApp,
        path: str = "/",
        *,
        method: str = "POST",
        body: bytes = b"{}",
        headers: Iterable[tuple[bytes, bytes]] = _JSON,
        backend: str = "asyncio",
        timeout: float = 10.0,
    ) -> None:
        self._app = app
        self._path = path
        self._method = method
        self._body = body
        self._headers = [(name.lower(), value) for name, value in headers]
        self._backend = backend
        self._timeout = timeout
        self._portal: BlockingPortal | None = None
        self._state: dict[str, Any] = {}
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        from anyio.from_thread import start_blocking_portal

        from ._asgi_exchange import lifespan

        with ExitStack() as exits:
            portal = exits.enter_context(start_blocking_portal(self._backend))
            exits.enter_context(portal.wrap_async_context_manager(lifespan(self._app, self._state)))
            self._exits = exits.pop_all()
        self._portal = portal
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal = None
        # An error of the block is not the app's; passed through the event loop it would come out wrapped.
        self._exits.close()

    def send_call(self, call: Call) -> Answer:
        """Send `call` and return the answer."""
        from anyio.from_thread import start_blocking_portal

        if self._portal is not None:
            return self._portal.call(self._perform, call)
        with start_blocking_portal(self._backend) as portal:
            return portal.call(self._perform, call)

    async def _perform(self, call: Call) -> Answer:
        import anyio

        from ._asgi_exchange import Exchange

        body, headers = content_of(call, self._body, self._headers)
        exchange = Exchange(call.kind, body)
        # What a server does with an exception: 500, unless the answer had begun.
        with suppress(Exception), anyio.fail_after(self._timeout):
            await self._app(self._scope(call, headers), exchange.receive, exchange.send)
        return exchange.answer()

    def _scope(self, call: Call, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
        raw_path, _, query = call.target(self._path).partition("?")
        scope = {
            "type": call.kind,
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "scheme": "http" if call.kind == "http" else "ws",
            "path": unquote(raw_path),
            "raw_path": raw_path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [(b"host", b"testserver"), *((name.lower(), value) for name, value in headers)],
            "client": ("127.0.0.1", 50000),
            "server": ("testserver", 80),
            "state": dict(self._state),
        }
        if call.kind == "http":
            return {**scope, "method": call.method or self._method}
        return {**scope, "subprotocols": [], "extensions": {"websocket.http.response": {}}}

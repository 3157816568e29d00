"""The server's side of ASGI, as much of it as a contract test needs. Needs an event loop, so imported late."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskStatus

from ._sending import Answer

__all__ = ["Exchange", "lifespan"]

_SWITCHING_PROTOCOLS, _FORBIDDEN, _SERVER_ERROR = 101, 403, 500


class Exchange:
    """One request or handshake: what the app receives, and what it answers.

    Args:
        kind: `http` or `websocket`.
        body: the body of a request.
    """

    def __init__(self, kind: str, body: bytes) -> None:
        request = {"type": "http.request", "body": body, "more_body": False}
        self._inbox: list[dict[str, Any]] = [{"type": "websocket.connect"} if kind == "websocket" else request]
        self._farewell = {"type": f"{kind}.disconnect", **({"code": 1000} if kind == "websocket" else {})}
        self._answered = anyio.Event()
        self._status: int | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()

    async def receive(self) -> dict[str, Any]:
        """Return the request; after that, once the answer is complete, that the client has gone."""
        if self._inbox:
            return self._inbox.pop()
        await self._answered.wait()
        return dict(self._farewell)

    async def send(self, message: Any) -> None:
        """Take a part of the answer."""
        match message["type"]:
            case "http.response.start" | "websocket.http.response.start":
                self._begin(message["status"], message.get("headers", ()))
            case "http.response.body" | "websocket.http.response.body":
                self._body += message.get("body", b"")
                if not message.get("more_body", False):
                    self._answered.set()
            case "websocket.accept":
                self._begin(_SWITCHING_PROTOCOLS, message.get("headers", ()))
                self._answered.set()
            case "websocket.close":
                # Before it is accepted, a server answers 403 (ASGI, "Close - send event").
                self._begin(_FORBIDDEN, ())
                self._answered.set()

    def answer(self) -> Answer:
        """Return the answer; an app that failed, or gave none, has answered with 500."""
        return Answer(_SERVER_ERROR if self._status is None else self._status, self._headers, bytes(self._body))

    def _begin(self, status: int, headers: Any) -> None:
        if self._status is None:
            self._status = status
            self._headers = [(bytes(name), bytes(value)) for name, value in headers]


@asynccontextmanager
async def lifespan(app: Any, state: dict[str, Any]) -> AsyncIterator[None]:
    """Run the app's lifespan around a block; an app that has none is left alone.

    Raises:
        RuntimeError: the app says that its start-up failed.
        Exception: what the app raises on its way down.
    """
    stop = anyio.Event()
    errors: list[Exception] = []
    # Errors are carried out of the group by hand, which would wrap them in an ExceptionGroup.
    async with anyio.create_task_group() as group:
        failed = await group.start(_serve_lifespan, app, state, stop, errors)
        if not failed:
            yield
        stop.set()
    if failed:
        raise RuntimeError("the app's start-up failed")
    if errors:
        raise errors[0]


async def _serve_lifespan(
    app: Any, state: dict[str, Any], stop: anyio.Event, errors: list[Exception], *, task_status: TaskStatus[bool]
) -> None:
    inbox = [{"type": "lifespan.startup"}]
    told = False

    async def receive() -> dict[str, Any]:
        if inbox:
            return inbox.pop()
        await stop.wait()
        return {"type": "lifespan.shutdown"}

    async def send(message: Any) -> None:
        nonlocal told
        if not told and message["type"] in ("lifespan.startup.complete", "lifespan.startup.failed"):
            told = True
            task_status.started(message["type"] == "lifespan.startup.failed")

    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    try:
        await app(scope, receive, send)
    except Exception as error:
        # An app without a lifespan raises at once, and is served all the same (ASGI, "Lifespan Protocol").
        if told:
            errors.append(error)
    if not told:
        task_status.started(False)  # noqa: FBT003 - it has not failed

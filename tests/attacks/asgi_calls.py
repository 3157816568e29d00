"""Raw ASGI calls of a guarded app: the scope is the attacker's, nothing tidies it up on the way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from d1verify.asgi import D1AuthMiddleware

from ..support import KEY, make_verifier

GOOD = (b"authorization", f"Bearer {KEY.mint()}".encode())

Messages = list[dict[str, Any]]


class Guarded:
    """An app behind the middleware that notes each scope it is reached with."""

    def __init__(self, **settings: Any) -> None:
        self.reached: list[dict[str, Any]] = []
        verifier = settings.pop("verifier", None) or make_verifier()
        self.middleware = D1AuthMiddleware(self._app, verifier, **settings)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached.append(scope)
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    async def call(
        self, *headers: tuple[bytes, bytes], incoming: Iterable[dict[str, Any]] = (), **scope: Any
    ) -> Messages:
        """Return what is sent in answer to a request with these headers; nothing but `incoming` may be received."""
        sent: Messages = []
        left = list(incoming)

        async def receive() -> dict[str, Any]:
            assert left, "the body is received before the decision"
            return left.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        path = scope.get("path", "/pay")
        whole = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode("utf-8", "replace"), "root_path": "",
            "query_string": b"", "headers": list(headers), **scope,
        }  # fmt: skip
        await self.middleware(whole, receive, send)
        return sent


def status(messages: Messages) -> int:
    """Return the status of an answer."""
    code: int = messages[0]["status"]
    return code


def header(messages: Messages, name: str) -> str | None:
    """Return a header of an answer."""
    return dict(messages[0]["headers"]).get(name.lower().encode(), b"").decode() or None

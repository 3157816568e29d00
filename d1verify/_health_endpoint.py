"""The keys' health as a small ASGI app, for load balancers and orchestrators."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from ._edge import POLICY_VIOLATION, checked_verifier
from .keycache import Health, Readiness

__all__ = ["HealthEndpoint", "Probed"]

_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_OK, _METHOD_NOT_ALLOWED, _UNAVAILABLE = 200, 405, 503


class Probed(Protocol):
    """What can say how its keys stand, as every verifier of this package can."""

    async def aprobe(self) -> Health:
        """Return how the keys stand, having done what a call would do about them."""
        ...  # pragma: no cover - the body of a protocol is never run


class HealthEndpoint:
    """Answers GET and HEAD with 200 while keys are usable, else with 503. An ASGI app; see `health_endpoint`."""

    def __init__(self, verifier: Probed) -> None:
        checked_verifier(verifier, "aprobe")
        self._verifier = verifier

    async def __call__(self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
        """Serve one connection (ASGI 3)."""
        match scope["type"]:
            case "http":
                await self._answer(scope["method"], send)
            case "websocket":
                if (await receive())["type"] == "websocket.connect":
                    await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""})
            case "lifespan":  # Where this is an app of its own, say on a port for probes alone.
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await receive()
                await send({"type": "lifespan.shutdown.complete"})
            case _:
                raise ValueError("the health endpoint serves http only")

    async def _answer(self, method: str, send: _Send) -> None:
        if method not in ("GET", "HEAD"):
            await _send(send, _METHOD_NOT_ALLOWED, {"error": "method_not_allowed"}, (b"allow", b"GET, HEAD"))
            return
        health = await self._verifier.aprobe()
        status = _UNAVAILABLE if health.readiness is Readiness.UNREADY else _OK
        await _send(send, status, _report(health), with_body=method == "GET")


def _report(health: Health) -> dict[str, object]:
    """Return what anybody may know.

    How many keys there are and not which: key ids are public, but who asks without a
    token has no use for them. No error text: a key store of the app's own may put a path
    or a URL into it. Both are in `verifier.health()` and in the log.
    """
    return {
        "status": health.readiness.value,
        "state": health.state,
        "usable_keys": len(health.kids),
        "age_seconds": _seconds(health.age),
        "withdrawal_bound_seconds": _seconds(health.withdrawal_bound),
        "next_attempt_seconds": _seconds(health.next_attempt),
    }


def _seconds(value: float | None) -> float | None:
    """Return a number that JSON can hold, or None: infinity it cannot."""
    return None if value is None or not math.isfinite(value) else round(value, 3)


async def _send(
    send: _Send, status: int, content: dict[str, object], *headers: tuple[bytes, bytes], with_body: bool = True
) -> None:
    body = json.dumps(content, separators=(",", ":")).encode()
    fixed = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body if with_body else b""})

"""What every sender is, and how any callable is made one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, TypeAlias

from ._answers import Headers, header_pairs
from .call import Call

__all__ = ["Answer", "CannotSendError", "Send", "Sender", "UnreachableError", "as_sender", "content_of"]


class Answer(NamedTuple):
    """What came back: `status` (101 for an accepted WebSocket), `headers` and `body`."""

    status: int
    headers: Headers
    body: bytes = b""


class CannotSendError(Exception):
    """This way of sending cannot carry this call; the case is skipped. The message says why."""


class UnreachableError(Exception):
    """Nothing answers there.

    Attributes:
        url: where, if a `URLSender` says so.
    """

    url: str | None = None


class Sender(Protocol):
    """A way to send that can follow a call in everything: its path, its method, a WebSocket handshake."""

    def send_call(self, call: Call) -> Answer:
        """Send `call` and return the answer.

        Raises:
            CannotSendError: this sender cannot carry it.
            UnreachableError: nothing answers.
        """
        ...  # pragma: no cover - the body of a protocol is never run


Send: TypeAlias = Sender | Callable[[list[tuple[bytes, bytes]]], Any]
"""A `Sender`, or any function that performs one call with the given raw headers.

It returns (status, headers), (status, headers, body), or the response of a test client:
an object with `status_code`, `headers` and `content` or `data`.
"""


class _FunctionSender:
    """Sends by a function that takes headers and nothing else: always the same path and method."""

    def __init__(self, function: Callable[[list[tuple[bytes, bytes]]], Any]) -> None:
        self._function = function

    def send_call(self, call: Call) -> Answer:
        if call.elsewhere or call.body is not None:
            raise CannotSendError("this sender always makes the same request; use one of the ready-made ones")
        return _as_answer(self._function(list(call.raw_headers)))


def as_sender(send: Send) -> Sender:
    """Return `send` if it is a `Sender`, or one that calls it."""
    if callable(getattr(send, "send_call", None)):
        return send  # type: ignore[return-value]
    if not callable(send):
        raise TypeError("send must be a function of the raw headers, or one of the ready-made senders")
    return _FunctionSender(send)


def content_of(
    call: Call, body: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Return the body and all header fields to send, where `body` and `headers` are the sender's own."""
    if call.body is None:
        return body, [*headers, *call.raw_headers]
    own = [(name, value) for name, value in headers if name.lower() != b"content-type"]
    return call.body, [*own, *call.raw_headers]


def _as_answer(returned: Any) -> Answer:
    if isinstance(returned, tuple):
        return Answer(*returned)
    # Responses of Starlette, httpx2 and Django have `content`, those of Flask `data`.
    body = returned.content if hasattr(returned, "content") else getattr(returned, "data", b"")
    return Answer(returned.status_code, header_pairs(returned.headers), body)

"""A call to send: what D1, or somebody who is not D1, puts into one HTTP request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, SupportsIndex, overload

__all__ = ["Call", "CallHeaders", "Expect", "TokenExpect"]


class Expect(StrEnum):
    """What the app has to answer. The value is how a report puts it.

    `ACCEPTED` is any answer by which the app has let the call through: in general 2xx, and as
    well a 404, 409 or 422 about the made-up request. Not 401, 403, 407, a 400 that says
    `invalid_request`, a redirect, or 5xx; and of the baseline, which shows that the route is
    there and takes the body, no 400, 404, 405, 415 or 422.
    """

    ACCEPTED = "accepted"
    UNAUTHORIZED = "401"
    BAD_REQUEST = "400"
    FORBIDDEN = "403"
    REFUSED = "400, 401, 413, 414 or 431"
    """Refused by the app, or before it by a server that has limits of its own."""
    HANDSHAKE_REFUSED = "a refused handshake: 401 or 403"
    """401, or the 403 that a server makes of a WebSocket closed before it was accepted."""

    HANDSHAKE_REJECTED = "a refused handshake: 400, 401 or 403"
    NOT_OPEN = "401, 403, 404, 405 or 501"
    """Refused by the app, or not served at all: no such route, or not by this method."""

    @property
    def statuses(self) -> frozenset[int]:
        """The statuses of a refusal; empty for `ACCEPTED`."""
        return _STATUSES[self]


_STATUSES: Final = {
    Expect.ACCEPTED: frozenset[int](),
    Expect.UNAUTHORIZED: frozenset({401}),
    Expect.BAD_REQUEST: frozenset({400}),
    Expect.FORBIDDEN: frozenset({403}),
    Expect.REFUSED: frozenset({400, 401, 413, 414, 431}),
    Expect.HANDSHAKE_REFUSED: frozenset({401, 403}),
    Expect.HANDSHAKE_REJECTED: frozenset({400, 401, 403}),
    Expect.NOT_OPEN: frozenset({401, 403, 404, 405, 501}),
}


class TokenExpect(StrEnum):
    """What a token endpoint has to answer (RFC 6749 §5). The value is how a report puts it.

    Where several answers are named, the standard leaves the choice, or a server may refuse the
    request before it reaches the app.
    """

    ISSUED = "200 and an access token"
    INVALID_REQUEST = "400 invalid_request"
    INVALID_GRANT = "400 invalid_grant"
    INVALID_CLIENT = "401 invalid_client"
    UNSUPPORTED_GRANT_TYPE = "400 unsupported_grant_type"
    CLIENT_REFUSED = "401 invalid_client, or 400 unsupported_grant_type without client_credentials"
    SCOPE_NOT_GRANTED = "400 invalid_scope, or an access token without that scope"
    REFUSED = "400 or 401 with an error code"
    UNSTORED_REFUSAL = "400 with an error code and Cache-Control: no-store"
    WRONG_METHOD = "400, 404 or 405"
    WRONG_FORM = "400 or 415"
    TOO_LONG = "400 or 413"


class _Latin1(str):
    """A header value with bytes beyond ASCII. HTTP clients encode values as ASCII and fail on it."""

    __slots__ = ()

    def encode(self, encoding: str = "latin-1", errors: str = "strict") -> bytes:  # noqa: ARG002 - as `str` has it
        return super().encode("latin-1", errors)


class CallHeaders(tuple[tuple[str, str], ...]):
    """Header fields as (name, value) pairs, for every test client's `headers` argument.

    Clients that take pairs (Starlette, FastAPI, httpx2, Flask) send each pair as a field of
    its own. Clients that want a mapping (Django, `dict(...)`, `{**headers, ...}`) see one
    value per name, and two of one name joined by a comma, as WSGI servers and proxies join
    them (RFC 9110 §5.3). `requests` takes pairs but keeps only the last: give it `dict(...)`.
    """

    __slots__ = ()

    @overload
    def __getitem__(self, key: str) -> str: ...
    @overload
    def __getitem__(self, key: SupportsIndex) -> tuple[str, str]: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[tuple[str, str], ...]: ...
    def __getitem__(self, key: str | SupportsIndex | slice) -> str | tuple[str, str] | tuple[tuple[str, str], ...]:
        """Return the value of a name, in any case; or a pair, by position."""
        if isinstance(key, str):
            values = [value for name, value in self if name.lower() == key.lower()]
            if not values:
                raise KeyError(key)
            return values[0] if len(values) == 1 else _Latin1(", ".join(values))
        return super().__getitem__(key)

    def keys(self) -> list[str]:
        """Return each name once."""
        return list(dict.fromkeys(name for name, _ in self))

    def items(self) -> Iterator[tuple[str, str]]:
        """Return each name once with its value."""
        return iter([(name, self[name]) for name in self.keys()])

    def __repr__(self) -> str:
        # Test runners print local variables, and the key may be one of a staging system.
        return f"<CallHeaders: {', '.join(name for name, _ in self)}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request or WebSocket handshake: its headers, and how it departs from the usual.

    Attributes:
        raw_headers: the header fields to send, in bytes; a name may come twice.
        expect: what the app has to answer; a `TokenExpect` where it is the token endpoint.
        path: the path to call, with its query, or None for the one that the tests always call.
        elsewhere: the path, the query, the method or the kind is the point of the call.
        method: the method to use, or None for the one that the tests always use.
        kind: an `http` request or a `websocket` handshake.
        secrets: further texts of the token that no answer may repeat.
        body: the body to send, whose `Content-Type`, if it has one, is in `raw_headers`; or None for the
            body and the type that the tests always send.
        query: what to append to the path, whichever it is.
        must_be_served: the answer has to come from a route that is there and takes such a body; where
            it does not, all other answers say nothing.
    """

    raw_headers: tuple[tuple[bytes, bytes], ...]
    expect: Expect | TokenExpect
    path: str | None = None
    elsewhere: bool = False
    method: str | None = None
    kind: Literal["http", "websocket"] = "http"
    secrets: tuple[str, ...] = ()
    body: bytes | None = None
    query: str = ""
    must_be_served: bool = False

    @property
    def headers(self) -> CallHeaders:
        """The header fields for a test client."""
        pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in self.raw_headers)
        return CallHeaders((name, value if value.isascii() else _Latin1(value)) for name, value in pairs)

    def target(self, path: str) -> str:
        """Return the path to call, with its query, where `path` is the one that the tests always call."""
        target = self.path or path
        return f"{target}{'&' if '?' in target else '?'}{self.query}" if self.query else target

    def __repr__(self) -> str:
        return f"<Call: {self.expect}>"

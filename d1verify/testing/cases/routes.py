"""Paths and WebSockets: another merchant's path, what lies beside an open path, and handshakes."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from .. import _forging
from .._signing import SigningKey
from ..call import Call, Expect
from ..case import Case, Need
from ..fake_d1 import FakeD1
from ._table import Token, bearer, call, other_case, row

__all__ = ["CASES"]

_OTHERS = "One merchant's token acts on another merchant's cards."
_BESIDE = "Paths that lie beside an open one, or are spelt so that they seem to, are open too."
_SOCKET = "The WebSocket is open to anyone while the HTTP routes are guarded."
_FORGED = "Anyone can make tokens that open the WebSocket, while the HTTP routes check them as they must."
_TWO = "The app checks one token while a proxy or a log sees the other, so a check can be walked around."


def _foreign(name: str, title: str, gateway: Callable[[str], str]) -> Case:
    def build(fake_d1: FakeD1) -> Call:
        path = fake_d1.call_path(gateway(fake_d1.subject))
        return bearer(fake_d1, Expect.FORBIDDEN, fake_d1.token(), path=path, elsewhere=True)

    source = "D1: the path names the merchant gateway; A279"
    return row(Expect.FORBIDDEN, f"path-{name}", title, source, _OTHERS, build, need=Need.PATH)


def _another(subject: str) -> str:
    return "MGW_999999" if subject != "MGW_999999" else "MGW_999998"


def _beside(name: str, title: str, source: str, spell: Callable[[str], str], method: str) -> Case:
    def build(fake_d1: FakeD1) -> Call:
        return call(fake_d1, Expect.UNAUTHORIZED, path=spell(fake_d1.open_path or ""), method=method, elsewhere=True)

    return row(Expect.UNAUTHORIZED, f"open-path-{name}", title, source, _BESIDE, build, need=Need.OPEN_PATH)


def _socket_of(fake_d1: FakeD1) -> dict[str, Any]:
    return {"kind": "websocket", "path": fake_d1.websocket_path, "elsewhere": True}


def _handshake(expect: Expect, fake_d1: FakeD1, **claims: Any) -> Call:
    return bearer(fake_d1, expect, fake_d1.token(**claims), **_socket_of(fake_d1))


def _bare_handshake(fake_d1: FakeD1) -> Call:
    return call(fake_d1, Expect.HANDSHAKE_REFUSED, **_socket_of(fake_d1))


def _presenting(jwt: Token) -> partial[Call]:
    """Return what makes a handshake with a token that is not to be taken."""
    return partial(_forged_handshake, jwt)


def _forged_handshake(jwt: Token, fake_d1: FakeD1) -> Call:
    return bearer(fake_d1, Expect.HANDSHAKE_REFUSED, jwt(fake_d1), **_socket_of(fake_d1))


def _changed(fake_d1: FakeD1) -> str:
    return fake_d1.token(signature=lambda signing_input: _forging.flipped(fake_d1.signature(signing_input)))


def _unsigned(fake_d1: FakeD1) -> str:
    return fake_d1.token(header={"alg": "none"}, signature=b"")


def _unknown(fake_d1: FakeD1) -> str:
    attacker = SigningKey.generate(f"attacker-{secrets.token_hex(8)}")
    return fake_d1.token(header={"kid": attacker.kid}, signature=attacker.signature)


def _double_handshake(fake_d1: FakeD1) -> Call:
    good, expired = fake_d1.token(), fake_d1.token(exp=fake_d1.now - 3600)
    values = (f"Bearer {good}", f"Bearer {expired}")
    return call(fake_d1, Expect.HANDSHAKE_REJECTED, *values, **_socket_of(fake_d1))


def _expired_handshake(fake_d1: FakeD1) -> Call:
    return _handshake(Expect.HANDSHAKE_REFUSED, fake_d1, exp=fake_d1.now - 3600)


def _foreign_handshake(fake_d1: FakeD1) -> Call:
    return _handshake(Expect.HANDSHAKE_REFUSED, fake_d1, sub=f"{fake_d1.subject}0")


_socket = partial(row, Expect.HANDSHAKE_REFUSED, need=Need.WEBSOCKET)

CASES = (
    _foreign("other-merchant", "a good token on another merchant gateway's path", _another),
    _foreign("longer", "a path whose merchant gateway begins with the token's", lambda subject: f"{subject}0"),
    _foreign("swapped-case", "the token's merchant gateway in the other case", other_case),
    _beside("longer", "a path that begins as the open one", "A020", lambda path: f"{path}-d1verify", "GET"),
    _beside("child", "a path below the open one", "A020", lambda path: f"{path}/d1verify", "GET"),
    _beside("dot-segments", "a path that leads out of the open one", "A025", lambda path: f"{path}/../d1verify", "GET"),
    _beside(
        "encoded-slash", "an escaped slash after the open path", "A025", lambda path: f"{path}%2f..%2fd1verify", "GET"
    ),
    _beside("double-slash", "two slashes before the open path", "A026", lambda path: f"/{path}", "GET"),
    _beside("post", "POST to the open path", "A028", lambda path: path, "POST"),
    row(
        Expect.ACCEPTED,
        "websocket-baseline",
        "a handshake with a good token",
        "RFC 6455 §10.5; A014",
        "D1's genuine calls are turned away.",
        partial(_handshake, Expect.ACCEPTED),
        need=Need.WEBSOCKET,
    ),
    _socket(
        "websocket-credentials-missing", "a handshake without a token", "RFC 6455 §10.5; A014", _SOCKET, _bare_handshake
    ),
    _socket(
        "websocket-exp-past", "a handshake with an expired token", "RFC 6455 §10.5; A014", _SOCKET, _expired_handshake
    ),
    _socket(
        "websocket-sub-other",
        "a handshake with another merchant's token",
        "RFC 6455 §10.5; A014",
        _SOCKET,
        _foreign_handshake,
    ),
    _socket(
        "websocket-signature-changed",
        "a handshake with one bit of the signature changed",
        "RFC 7515 §5.2; A014 A095",
        _FORGED,
        _presenting(_changed),
    ),
    _socket(
        "websocket-alg-none",
        "a handshake with alg none and no signature",
        "RFC 8725 §3.2; A014 A054",
        _FORGED,
        _presenting(_unsigned),
    ),
    _socket(
        "websocket-kid-unknown",
        "a handshake with an unknown kid, signed with a key of the sender's",
        "D1: kid names the key; A014 A119",
        _FORGED,
        _presenting(_unknown),
    ),
    row(
        Expect.HANDSHAKE_REJECTED,
        "websocket-two-headers",
        "a handshake with two Authorization headers, the first one good",
        "RFC 9110 §5.3; A001 A014",
        _TWO,
        _double_handshake,
        need=Need.WEBSOCKET,
    ),
)

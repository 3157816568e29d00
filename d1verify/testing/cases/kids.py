"""`kid`: it names a trusted key to the letter, or the token is refused. And keys that come and go."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from functools import partial
from typing import Any

from .._signing import SigningKey
from ..call import Call, Expect
from ..case import Case, Need
from ..fake_d1 import REMOVE, FakeD1
from ._table import bearer, header, other_case, row, scripted

__all__ = ["CASES"]

_ANY_KEY = "The key is not chosen by its id, so a key that is meant for something else, or was withdrawn, will do."
_PATHS = "The sender's text is used as a path or a query, so it can point to a key, or a secret, of his choice."
_ODD = "One odd key id makes the app fail with 500, or ends up in logs and paths as it is."
_STOLEN = "Whoever stole a key of D1's can go on using it after D1 has withdrawn it."
_DEAF = "D1 changes its key, and from then on every genuine call is turned away."
_ECHO_BYTES = 8

_refuse = partial(row, Expect.UNAUTHORIZED)


def _unknown(fake_d1: FakeD1) -> Call:
    attacker = SigningKey.generate(f"attacker-{secrets.token_hex(_ECHO_BYTES)}")
    jwt = fake_d1.token(header={"kid": attacker.kid}, signature=attacker.signature)
    return bearer(fake_d1, Expect.UNAUTHORIZED, jwt, secrets=(attacker.kid,))


def _ignored(fake_d1: FakeD1) -> Call:
    kid = f"unknown-{secrets.token_hex(_ECHO_BYTES)}"
    return bearer(fake_d1, Expect.UNAUTHORIZED, fake_d1.token(header={"kid": kid}), secrets=(kid,))


def _odd(name: str, title: str, kid: Any, source: str, risk: str = _ODD) -> Case:
    """Return a case of a token that D1's key signs and whose header names that key oddly."""
    return _refuse(f"kid-{name}", title, source, risk, jwt=header(kid=partial(_other_than_d1s, kid)))


def _other_than_d1s(kid: Any, fake_d1: FakeD1) -> Any:
    """Return an odd key id, where D1's own is not that odd."""
    made = kid(fake_d1) if callable(kid) else kid
    return f"{made}x" if made == fake_d1.kid else made


def _alone(fake_d1: FakeD1) -> str:
    """Leave one new key published and let it sign, whatever earlier cases have done; return its id."""
    with fake_d1.one_change():
        current = fake_d1.rotate()
        for kid in fake_d1.kids:
            if kid != current:
                fake_d1.withdraw(kid)
    return current


def _replace(fake_d1: FakeD1, old: str) -> None:
    with fake_d1.one_change():
        fake_d1.rotate()
        fake_d1.withdraw(old)


def _new_key(fake_d1: FakeD1) -> Iterator[Call]:
    _alone(fake_d1)
    yield bearer(fake_d1, Expect.ACCEPTED, fake_d1.token())
    fake_d1.rotate()
    yield bearer(fake_d1, Expect.ACCEPTED, fake_d1.token())


def _old_key(fake_d1: FakeD1) -> Iterator[Call]:
    _alone(fake_d1)
    jwt = fake_d1.token()
    fake_d1.rotate()
    yield bearer(fake_d1, Expect.ACCEPTED, fake_d1.token())
    yield bearer(fake_d1, Expect.ACCEPTED, jwt)


def _withdrawn(fake_d1: FakeD1) -> Iterator[Call]:
    old = _alone(fake_d1)
    yield bearer(fake_d1, Expect.ACCEPTED, fake_d1.token())
    jwt = fake_d1.token(jti=secrets.token_hex(_ECHO_BYTES))
    _replace(fake_d1, old)
    yield bearer(fake_d1, Expect.UNAUTHORIZED, jwt)


def _withdrawn_in_use(fake_d1: FakeD1) -> Iterator[Call]:
    old = _alone(fake_d1)
    jwt = fake_d1.token()
    yield bearer(fake_d1, Expect.ACCEPTED, jwt)
    _replace(fake_d1, old)
    yield bearer(fake_d1, Expect.UNAUTHORIZED, jwt)


def _withdrawn_forged(fake_d1: FakeD1) -> Call:
    old = _alone(fake_d1)
    _replace(fake_d1, old)
    forger = SigningKey.generate(old)
    return bearer(fake_d1, Expect.UNAUTHORIZED, fake_d1.token(header={"kid": old}, signature=forger.signature))


def _other_key(fake_d1: FakeD1) -> Call:
    other = _alone(fake_d1)
    fake_d1.rotate()
    return bearer(fake_d1, Expect.UNAUTHORIZED, fake_d1.token(header={"kid": other}))


CASES = (
    _odd("missing", "no kid", REMOVE, "D1: kid in the header; A108", _ANY_KEY),
    _odd("null", "kid null", None, "RFC 7515 §4.1.4; A109"),
    _odd("empty", "kid an empty string", "", "RFC 7515 §4.1.4; A109"),
    _odd("number", "kid a number", 1, "RFC 7515 §4.1.4; A109"),
    _odd("true", "kid true", True, "RFC 7515 §4.1.4; A109"),  # noqa: FBT003 - a JSON value
    _odd("array", "kid an array of the right one", lambda d1: [d1.kid], "RFC 7515 §4.1.4; A109"),
    _odd("object", "kid an object", {"kid": 1}, "RFC 7515 §4.1.4; A109"),
    _refuse(
        "kid-unknown",
        "an unknown kid, signed with a key of the sender's",
        "D1: kid names the key; A119",
        "Anyone can make tokens that the app accepts, with a key of his own.",
        _unknown,
    ),
    _refuse("kid-ignored", "an unknown kid, signed with D1's key", "D1: kid names the key; A119", _ANY_KEY, _ignored),
    _odd("wildcard", "kid *", "*", "D1: kid names the key; A117", _ANY_KEY),
    _odd("attribute", "kid __class__", "__class__", "D1: kid names the key; A117"),
    _odd("dot-path", "the right kid with ./ before it", lambda d1: f"./{d1.kid}", "RFC 8725 §3.10; A112", _PATHS),
    _odd(
        "parent-path",
        "the right kid by way of a parent folder",
        lambda d1: f"x/../{d1.kid}",
        "RFC 8725 §3.10; A112",
        _PATHS,
    ),
    _odd("traversal", "a path out of the key folder", "../../../../dev/null", "RFC 8725 §3.10; A112", _PATHS),
    _odd(
        "file-suffix",
        "the right kid with .pem after it",
        lambda d1: f"{d1.kid}.pem",
        "D1: kid names the key; A116",
        _PATHS,
    ),
    _odd(
        "url-escape",
        "the right kid with its first character escaped as in a URL",
        lambda d1: f"%{ord(d1.kid[0]):02x}{d1.kid[1:]}",
        "D1: kid names the key; A115",
        _PATHS,
    ),
    _odd("sql", "an SQL condition", "x' OR '1'='1", "RFC 8725 §3.10; A114", _PATHS),
    _odd(
        "swapped-case",
        "the right kid in the other case",
        lambda d1: other_case(d1.kid),
        "D1: kid names the key; A116",
        _ANY_KEY,
    ),
    _odd(
        "trailing-space",
        "a space after the right kid",
        lambda d1: f"{d1.kid} ",
        "D1: kid names the key; A116",
        _ANY_KEY,
    ),
    _odd("nul", "a NUL after the right kid", lambda d1: f"{d1.kid}\0", "RFC 8725 §3.10; A113"),
    _odd("line-feed", "a line feed in kid", lambda d1: f"{d1.kid}\nforged log line", "CWE-117; A111"),
    _odd("escape-sequence", "a terminal's escape sequence in kid", "\x1b[2Jx", "CWE-117; A111"),
    _odd("format", "a format string", "%s%s%n{0.__class__}", "CWE-134; A114"),
    _odd("surrogate", "half a character in kid", "\ud800", "RFC 8259 §8.2; A084"),
    _odd("long", "a kid of 300 characters", "k" * 300, "D1 profile; A110"),
    scripted(
        Expect.ACCEPTED,
        "key-new",
        "a token by a key that D1 has just published",
        "D1: key rotation; A166",
        _DEAF,
        _new_key,
        need=Need.ROTATION,
    ),
    scripted(
        Expect.ACCEPTED,
        "key-old",
        "a token by the older key while both are published",
        "D1: key rotation; A166",
        _DEAF,
        _old_key,
        need=Need.ROTATION,
    ),
    _refuse(
        "key-other",
        "a token by one published key that names another",
        "RFC 7515 §6; A119",
        _ANY_KEY,
        _other_key,
        need=Need.ROTATION,
    ),
    scripted(
        Expect.UNAUTHORIZED,
        "key-withdrawn",
        "a new token by a key that was in use until D1 withdrew it",
        "D1: key rotation; A171",
        _STOLEN,
        _withdrawn,
        need=Need.ROTATION,
    ),
    _refuse(
        "key-withdrawn-forged",
        "a withdrawn kid, signed with a key of the sender's",
        "D1: key rotation; A171",
        _STOLEN,
        _withdrawn_forged,
        need=Need.ROTATION,
    ),
    scripted(
        Expect.UNAUTHORIZED,
        "key-withdrawn-in-use",
        "a token that was accepted, after its key was withdrawn",
        "D1: key rotation; A177",
        _STOLEN,
        _withdrawn_in_use,
        need=Need.ROTATION,
    ),
)

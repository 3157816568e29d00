"""`client_credentials`: who asks, by HTTP Basic, in every odd spelling of it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from functools import partial

from ..call import Call, TokenExpect
from ..case import Case, Need
from ..fake_d1 import FakeD1
from ._table import other_case
from ._token_table import Fields, basic, by_client, by_secret, posted, request, row

__all__ = ["CASES"]

_GUESS = "Somebody without D1's secret obtains access tokens and calls as D1."
_CRASH = "A header of a few bytes brings the endpoint down, or gets past the check by an error."
_TWO = "One credential is checked and another one decides what is handed out."

_MADE_UP = "made-up-by-d1verify"

Header = tuple[bytes, bytes]
# Of the right id and secret, those to send.
Pair = Callable[[str, str], tuple[str, str | bytes]]


def _client_form(_fake_d1: FakeD1) -> Fields:
    return by_client()


def _odd(name: str, title: str, value: bytes, source: str = "RFC 7617 §2") -> Case:
    """Return a case of a header that names nobody."""
    build = posted(_client_form, lambda _d1: (b"Authorization", value))
    return row(TokenExpect.CLIENT_REFUSED, f"token-basic-{name}", title, f"{source}; A237", _CRASH, build)


def _wrong(name: str, title: str, source: str, pair: Pair) -> Case:
    """Return a case of credentials that are nearly those of D1."""
    build = posted(_client_form, partial(_near, pair))
    return row(TokenExpect.INVALID_CLIENT, f"token-secret-{name}", title, source, _GUESS, build, need=Need.CLIENT)


def _near(pair: Pair, fake_d1: FakeD1) -> Header:
    return by_secret(*pair(str(fake_d1.client_id), str(fake_d1.client_secret)))


def _right(fake_d1: FakeD1) -> Header:
    return by_secret(str(fake_d1.client_id), str(fake_d1.client_secret))


def _stranger(expect: TokenExpect, _fake_d1: FakeD1) -> Call:
    name, secret = (f"d1verify-{secrets.token_hex(8)}" for _ in range(2))
    return request(expect, by_client(), basic(f"{name}:{secret}".encode()), secrets=[name, secret])


def _gateway(fake_d1: FakeD1) -> Header:
    return basic(f"{fake_d1.subject}:{fake_d1.subject}".encode())


def _as_bearer(fake_d1: FakeD1) -> Header:
    return b"Authorization", b"Bearer " + fake_d1.token().encode("ascii")


def _both_ways(fake_d1: FakeD1) -> Fields:
    return [*by_client(), ("client_id", str(fake_d1.client_id)), ("client_secret", str(fake_d1.client_secret))]


def _with_assertion(fake_d1: FakeD1) -> Fields:
    return [*by_client(), ("assertion", fake_d1.token())]


def _b64(text: bytes) -> bytes:
    return b"Basic " + base64.b64encode(text)


CASES = (
    row(
        TokenExpect.REFUSED,
        "token-basic-missing",
        "client_credentials without credentials",
        "RFC 6749 §4.4.2; A237",
        _GUESS,
        posted(_client_form),
    ),
    _odd("empty", "an empty Authorization header", b""),
    _odd("alone", "Basic and nothing after it", b"Basic"),
    _odd("no-base64", "Basic credentials that are no base64", b"Basic !!!!"),
    _odd("length", "Basic credentials of an impossible length", b"Basic YWJjZ"),
    _odd("no-colon", "Basic credentials without a colon", _b64(b"d1verify")),
    _odd("colon-alone", "Basic credentials of a colon alone", _b64(b":")),
    _odd("no-id", "Basic credentials without an id", _b64(b":d1verify")),
    _odd("no-secret", "Basic credentials without a secret", _b64(b"d1verify:"), "RFC 6749 §2.3.1"),
    _odd("not-utf-8", "Basic credentials that are not UTF-8", _b64(b"d1verify:\xff\xfe")),
    _odd("id-not-utf-8", "a client id that is not UTF-8", _b64(b"\xff\xfe:d1verify")),
    _odd("not-ascii", "a secret beyond ASCII", _b64("d1verify:pässwörd".encode()), "CWE-697; A238"),
    _odd("nul", "a NUL as id and as secret", _b64(b"\0:\0")),
    _odd("form-not-utf-8", "a secret that is not UTF-8 once form-decoded", _b64(b"d1verify:%ff"), "RFC 6749 §2.3.1"),
    _odd("long", "Basic credentials of 6,000 bytes", _b64(b"d1verify:" + b"x" * 4491)),
    row(
        TokenExpect.CLIENT_REFUSED,
        "token-basic-stranger",
        "a made-up id and secret, which no answer repeats",
        "RFC 6749 §5.2; A239 A250",
        _GUESS,
        _stranger,
    ),
    row(
        TokenExpect.CLIENT_REFUSED,
        "token-basic-gateway",
        "the merchant gateway id as id and as secret",
        "RFC 9068 §5; A254",
        _GUESS,
        posted(_client_form, _gateway),
    ),
    row(
        TokenExpect.CLIENT_REFUSED,
        "token-bearer-for-basic",
        "a D1 JWT as Bearer where the client's secret is wanted",
        "RFC 6749 §2.3.1; A241",
        _GUESS,
        posted(_client_form, _as_bearer),
    ),
    _wrong("wrong", "the right id and a made-up secret", "RFC 6749 §2.3.1; A239", lambda one, _: (one, _MADE_UP)),
    _wrong("empty", "the right id and an empty secret", "CVE-2026-45363; A240", lambda one, _: (one, "")),
    _wrong("part", "the right secret but for its last character", "A239", lambda one, two: (one, two[:-1])),
    _wrong("longer", "more after the right secret", "A239", lambda one, two: (one, f"{two}x")),
    _wrong("nul", "a NUL after the right secret", "RFC 7617 §2; A237", lambda one, two: (one, f"{two}\0")),
    _wrong("other-case", "the right secret in the other case", "A239", lambda one, two: (one, other_case(two))),
    _wrong("id-other-case", "the right id in the other case", "A239", lambda one, two: (other_case(one), two)),
    _wrong("not-ascii", "the right id and a secret beyond ASCII", "A238", lambda one, _: (one, "pässwörd".encode())),
    _wrong("not-utf-8", "the right id and a secret that is not UTF-8", "A237", lambda one, _: (one, b"\xff")),
    row(
        TokenExpect.INVALID_REQUEST,
        "token-secret-two-ways",
        "the right secret in the header and in the body",
        "RFC 6749 §2.3; A241",
        _TWO,
        posted(_both_ways, _right),
        need=Need.CLIENT,
    ),
    row(
        TokenExpect.INVALID_REQUEST,
        "token-secret-and-assertion",
        "the right secret, and an assertion with it",
        "RFC 6749 §2.3; A241",
        _TWO,
        posted(_with_assertion, _right),
        need=Need.CLIENT,
    ),
    row(
        TokenExpect.REFUSED,
        "token-secret-two-headers",
        "two Authorization headers, the first one right",
        "RFC 9110 §5.3; A241",
        _TWO,
        posted(_client_form, _right, lambda _d1: basic(b"d1verify:d1verify")),
        need=Need.CLIENT,
    ),
)

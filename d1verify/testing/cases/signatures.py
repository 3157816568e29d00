"""The signature: 64 bytes by the named key over the very bytes received; and results that are remembered wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from .. import _forging
from .._signing import SigningKey, to_json
from ..call import Call, Expect
from ..case import Case
from ..fake_d1 import FakeD1
from ._table import Token, bearer, row, scripted

__all__ = ["CASES"]

_FORGED = "Anyone can change a token's claims, or make one from nothing, and the app does not notice."
_SPELLINGS = "One token has many spellings, so deny-lists and replay checks that know one spelling miss the others."
_REMEMBERED = (
    "Whoever has seen one good token can put other claims into it: the app remembers too little of what it checked."
)

_refuse = partial(row, Expect.UNAUTHORIZED)


def _changed(change: Callable[[bytes], bytes]) -> Token:
    """Return what makes a token whose 64 signature bytes went through `change`."""
    return lambda fake_d1: fake_d1.token(signature=lambda signing_input: change(fake_d1.signature(signing_input)))


def _fixed(r: int, s: int) -> Token:
    return lambda fake_d1: fake_d1.token(signature=_forging.joined(r, s))


def _moved(fake_d1: FakeD1) -> str:
    """Return a token with D1's signature over another merchant's token."""
    header, _, signature = fake_d1.token(sub=f"{fake_d1.subject}0").split(".")
    return f"{header}.{_forging.b64(to_json(fake_d1.claims()))}.{signature}"


def _by_another_key(fake_d1: FakeD1) -> str:
    return fake_d1.token(signature=SigningKey.generate(fake_d1.kid).signature)


def _without_header(fake_d1: FakeD1) -> str:
    """Return a token whose signature is over the payload alone."""
    header, payload, _ = fake_d1.token().split(".")
    return f"{header}.{payload}.{_forging.b64(fake_d1.signature(payload.encode('ascii')))}"


def _remembered(name: str, title: str, alter: Callable[[FakeD1, list[str]], list[str]]) -> Case:
    """Return a case of a good token, then one that is like it in part and not signed."""

    def script(fake_d1: FakeD1) -> Iterator[Call]:
        jwt = fake_d1.token()
        yield bearer(fake_d1, Expect.ACCEPTED, jwt)
        yield bearer(fake_d1, Expect.UNAUTHORIZED, ".".join(alter(fake_d1, jwt.split("."))))

    return scripted(Expect.UNAUTHORIZED, f"cache-{name}", title, "RFC 7515 §5.2; A176", _REMEMBERED, script)


def _other_payload(fake_d1: FakeD1) -> str:
    return _forging.b64(to_json(fake_d1.claims(exp=fake_d1.now + 300, scope="more")))


def _other_tail(signature: str) -> str:
    """Return a signature that begins as this one does."""
    return _forging.b64(_forging.flipped(_forging.unb64(signature)))


CASES = (
    _refuse(
        "signature-changed",
        "one bit of the signature changed",
        "RFC 7515 §5.2; A095",
        _FORGED,
        jwt=_changed(_forging.flipped),
    ),
    _refuse(
        "signature-moved",
        "D1's signature of another merchant's token",
        "RFC 7515 §5.2; A100",
        _FORGED,
        jwt=_moved,
    ),
    _refuse(
        "signature-other-key",
        "signed with another key under D1's kid",
        "RFC 7515 §5.2; A061",
        _FORGED,
        jwt=_by_another_key,
    ),
    _refuse(
        "signature-payload-only",
        "a signature over the payload alone",
        "RFC 7515 §5.2; A100",
        _FORGED,
        jwt=_without_header,
    ),
    _refuse("signature-zero", "r and s zero", "CVE-2022-21449; A094", _FORGED, jwt=_fixed(0, 0)),
    _refuse("signature-zero-s", "s zero", "CVE-2022-21449; A094", _FORGED, jwt=_fixed(1, 0)),
    _refuse(
        "signature-order",
        "r and s the curve's order",
        "FIPS 186-5 §6.4.2; A095",
        _FORGED,
        jwt=_fixed(_forging.P256_ORDER, _forging.P256_ORDER),
    ),
    _refuse(
        "signature-out-of-range",
        "r and s one above the curve's order",
        "FIPS 186-5 §6.4.2; A095",
        _FORGED,
        jwt=_fixed(_forging.P256_ORDER + 1, _forging.P256_ORDER + 1),
    ),
    _refuse("signature-der", "the signature in DER", "RFC 7518 §3.4; A096", _SPELLINGS, jwt=_changed(_forging.as_der)),
    _refuse(
        "signature-short", "a signature of 63 bytes", "RFC 7518 §3.4; A097", _FORGED, jwt=_changed(lambda raw: raw[:-1])
    ),
    _refuse(
        "signature-long",
        "a zero byte after the signature",
        "RFC 7518 §3.4; A099",
        _SPELLINGS,
        jwt=_changed(lambda raw: raw + b"\0"),
    ),
    _refuse(
        "signature-wide",
        "zero bytes before r and s",
        "RFC 7518 §3.4; A097",
        _SPELLINGS,
        jwt=_changed(lambda raw: b"\0" + raw[:32] + b"\0" + raw[32:]),
    ),
    _remembered(
        "prefix",
        "a good token, then one that differs only at its end",
        lambda _, parts: [*parts[:2], _other_tail(parts[2])],
    ),
    _remembered(
        "signature",
        "a good token, then other claims under its signature",
        lambda fake_d1, parts: [parts[0], _other_payload(fake_d1), parts[2]],
    ),
    _remembered(
        "claims",
        "a good token, then its claims under a made-up signature",
        lambda _, parts: [*parts[:2], _forging.b64(bytes(range(1, 65)))],
    ),
)

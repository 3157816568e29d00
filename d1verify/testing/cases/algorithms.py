"""`alg`: only ES256, to the letter, whatever the header says and whoever signed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .. import _forging
from .._signing import to_json
from ..call import Expect
from ..case import Case
from ..fake_d1 import REMOVE, FakeD1
from ._table import Token, header, row

__all__ = ["CASES"]

_ANYONE = "Anyone can make tokens that the app accepts, with no key at all."
_PUBLIC = "Anyone who has D1's public key can make tokens that the app accepts."
_HEADER_DECIDES = "The sender chooses how his token is checked, and chooses the check that he can pass."
_BROKEN = "One odd header makes the app fail, or skip a check that it thinks it has made."

# What is looked up and not found may leave an empty key behind, which checks nothing.
_NOBODYS = "d1verify-nobodys-key"

_refuse = partial(row, Expect.UNAUTHORIZED)


def _unsigned(alg: str, **members: str) -> Token:
    return lambda fake_d1: fake_d1.token(header={"alg": alg, **members}, signature=b"")


def _hs256(secret: Callable[[FakeD1], bytes], **members: str) -> Token:
    members = {"alg": "HS256", **members}
    return lambda fake_d1: fake_d1.token(header=members, signature=_forging.hmac_sha256(secret(fake_d1)))


def _pem(fake_d1: FakeD1) -> bytes:
    return fake_d1.public_pem.encode("ascii")


def _der(fake_d1: FakeD1) -> bytes:
    return _forging.unb64(
        "".join(fake_d1.public_pem.split("\n")[1:-2]).rstrip("=").translate(str.maketrans("+/", "-_"))
    )


def _jwk(fake_d1: FakeD1) -> bytes:
    return to_json(fake_d1.public_jwk)


def _confused(name: str, what: str, secret: Callable[[FakeD1], bytes]) -> Case:
    return _refuse(
        f"alg-hs256-{name}", f"HS256 with {what} as the secret", "RFC 8725 §2.1; A055", _PUBLIC, jwt=_hs256(secret)
    )


def _foreign(alg: str) -> Case:
    def jwt(fake_d1: FakeD1) -> str:
        return fake_d1.token(header={"alg": alg}, signature=_forging.foreign_signature(alg))

    return _refuse(
        f"alg-{alg.lower()}", f"{alg} with a key of the sender's", "RFC 8725 §3.1; A056", _HEADER_DECIDES, jwt=jwt
    )


def _odd(name: str, title: str, alg: Any, source: str = "RFC 7515 §4.1.1; A058") -> Case:
    return _refuse(f"alg-{name}", title, source, _BROKEN, jwt=header(alg=alg))


CASES = (
    _refuse("alg-none", "alg none and no signature", "RFC 8725 §3.2; A054", _ANYONE, jwt=_unsigned("none")),
    _refuse("alg-none-mixed-case", "alg nOnE and no signature", "RFC 8725 §3.2; A054", _ANYONE, jwt=_unsigned("nOnE")),
    _refuse("alg-none-upper-case", "alg NONE and no signature", "RFC 8725 §3.2; A054", _ANYONE, jwt=_unsigned("NONE")),
    _refuse(
        "alg-none-signed", "alg none and D1's signature", "RFC 8725 §3.2; A054", _HEADER_DECIDES, jwt=header(alg="none")
    ),
    _refuse(
        "alg-none-kid-unknown",
        "alg none and no signature, under a kid that nobody knows",
        "RFC 8725 §3.2; A054 A119",
        _ANYONE,
        jwt=_unsigned("none", kid=_NOBODYS),
    ),
    _confused("pem", "the public key's PEM", _pem),
    _confused("pem-stripped", "the public key's PEM without its last line end", lambda fake_d1: _pem(fake_d1).strip()),
    _confused("der", "the public key's DER", _der),
    _confused("jwk", "the public key's JWK", _jwk),
    _refuse("alg-hs256-empty", "HS256 with an empty secret", "RFC 8725 §2.1; A055", _ANYONE, jwt=_hs256(lambda _: b"")),
    _refuse(
        "alg-hs256-empty-kid-unknown",
        "HS256 with an empty secret, under a kid that nobody knows",
        "RFC 8725 §2.1; A055 A119",
        _ANYONE,
        jwt=_hs256(lambda _: b"", kid=_NOBODYS),
    ),
    *(_foreign(alg) for alg in ("RS256", "PS256", "ES384", "ES512", "ES256K", "EdDSA")),
    _odd("es384-with-d1-key", "alg ES384 over D1's ES256 signature", "ES384", "RFC 7518 §3.4; A056"),
    _odd("lower-case", "alg es256 in lower case", "es256", "RFC 7515 §4.1.1; A057"),
    _odd("trailing-space", "a space after ES256", "ES256 ", "RFC 7515 §4.1.1; A057"),
    _odd("nul", "a NUL after ES256", "ES256\0", "RFC 7515 §4.1.1; A057"),
    _odd("missing", "no alg", REMOVE),
    _odd("null", "alg null", None),
    _odd("number", "alg a number", 256),
    _odd("array", "alg an array", ["ES256"]),
    _odd("object", "alg an object", {"ES256": True}),
)

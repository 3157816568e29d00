"""`PublicKey.from_pem`: a text, or DER, or a point that the harness puts into one, and the key that it is.

An input's first character says which: `p` a point, `d` DER, anything else the text itself.
"""

from __future__ import annotations

import base64
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from d1verify import KeyStoreError, PublicKey

from ..oracles import InvariantError, require
from ..oracles.key_rules import Point, point_of_pem
from ..oracles.wording import Wording
from .jwks import point_of

__all__ = ["MAX_BYTES", "SPKI_OF_POINT", "WORDS", "check"]

MAX_BYTES: Final = 2048
WORDS: Final = (
    *("-----BEGIN PUBLIC KEY-----\n", "\n-----END PUBLIC KEY-----\n", "-----BEGIN EC PRIVATE KEY-----"),
    "-----BEGIN CERTIFICATE-----",
    *("PUBLIC KEY", "-----", "\r\n", "\n", "\t", "=", "==", "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"),
)  # fmt: skip
SPKI_OF_POINT: Final = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")

_OWN_WORDS: Final = Wording("d1verify.keys", "d1verify._keyformats")


def check(data: bytes) -> None:
    """Return if the text is read as RFC 7468 and RFC 5480 say, and as OpenSSL reads what is accepted."""
    text = _pem_of(data)
    expected = point_of_pem(text)
    require(_point(text) == expected, "a PEM is one P-256 key or is none")
    require(_point(text.decode("latin-1")) == expected, "text and bytes are read alike")
    if expected is not None:
        _check_with_library(text, expected)
    _reached(data[:1], accepted=expected is not None)


def _check_with_library(text: bytes, expected: Point) -> None:
    key = load_der_public_key(base64.b64decode(b"".join(text.split(b"-----")[2].split())))
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvariantError("what we accept the library takes for an EC key")
    numbers = key.public_numbers()
    require((numbers.x, numbers.y) == expected, "and for the same one")


def _reached(kind: bytes, *, accepted: bool) -> str:
    """Have a branch for each kind that was accepted: the fuzzer keeps, and changes, one good input for each branch."""
    if accepted and kind == b"p":
        return "point"
    if accepted and kind == b"d":
        return "DER"
    return "text"


def _pem_of(data: bytes) -> bytes:
    kind, body = data[:1], data[1:]
    if kind == b"p":
        length = len(body) + 1
        body = SPKI_OF_POINT + bytes([0x03, length & 0x7F, 0]) + body
        body = bytes([0x30, len(body) & 0x7F]) + body
    elif kind != b"d":
        return data
    return b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(body) + b"-----END PUBLIC KEY-----\n"


def _point(pem: str | bytes) -> Point | None:
    try:
        return point_of(PublicKey.from_pem(pem))
    except KeyStoreError as error:
        require(not _OWN_WORDS.foreign(str(error)), "the message has only words of ours")
        return None

"""Which entries of a JWK Set are keys that may check ES256 (RFC 7517 §4 and §5, RFC 7518 §6.2.1)."""

from __future__ import annotations

import base64
import re
from typing import Any

from . import base64url
from .p256 import COORDINATE_BYTES, PRIME, decompressed, is_on_curve
from .token_rules import is_printable

__all__ = ["Point", "keys_of_set", "point_of_jwk", "point_of_pem"]

Point = tuple[int, int]

# SubjectPublicKeyInfo with id-ecPublicKey and secp256r1, as RFC 5480 §2.1.1 puts them together.
_OBJECT_IDS = bytes.fromhex("3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107")
_PEM = re.compile(rb"\s*-----BEGIN PUBLIC KEY-----(\s[^-]*)-----END PUBLIC KEY-----\s*")
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def keys_of_set(jwks: dict[str, Any] | None) -> dict[str, Point] | None:
    """Return the usable keys of a JWK Set by key id, or None if it is none."""
    entries = None if jwks is None else jwks.get("keys")
    if not isinstance(entries, list):
        return None
    found: dict[str, set[Point]] = {}
    for entry in entries:
        point = point_of_jwk(entry)
        if point is not None and _is_key_id(entry.get("kid")):
            found.setdefault(entry["kid"], set()).add(point)
    return {kid: points.pop() for kid, points in found.items() if len(points) == 1}


def point_of_jwk(jwk: object) -> Point | None:
    """Return the point of a JWK that is a public P-256 key for checking signatures, else None."""
    if not isinstance(jwk, dict) or {"d", "k"} & set(jwk) or jwk.get("kty") != "EC" or jwk.get("crv") != "P-256":
        return None
    if jwk.get("use", "sig") != "sig" or jwk.get("alg", "ES256") != "ES256":
        return None
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    x, y = _coordinate(jwk.get("x")), _coordinate(jwk.get("y"))
    return (x, y) if x is not None and y is not None and is_on_curve(x, y) else None


def point_of_pem(pem: bytes) -> Point | None:
    """Return the point of one SPKI block with a named P-256 key and nothing around it, else None."""
    block = _PEM.fullmatch(pem)
    if block is None:
        return None
    body = b"".join(block[1].split())
    # RFC 7468 does not ask for unused bits to be zero, as RFC 7515 in effect does of a token.
    return _point_of_der(base64.b64decode(body)) if _BASE64.fullmatch(body) else None


def _point_of_der(der: bytes) -> Point | None:
    for y_bytes in (COORDINATE_BYTES, 0):
        length = 1 + COORDINATE_BYTES + y_bytes
        start = bytes([0x30, len(_OBJECT_IDS) + length + 3]) + _OBJECT_IDS + bytes([0x03, length + 1, 0x00])
        if der.startswith(start) and len(der) == len(start) + length:
            return _decoded_point(der[len(start) :])
    return None


def _decoded_point(encoded: bytes) -> Point | None:
    """Return the point of an octet string in one of the three forms of SEC 1 §2.3.4."""
    x = int.from_bytes(encoded[1 : 1 + COORDINATE_BYTES], "big")
    rest = encoded[1 + COORDINATE_BYTES :]
    form = encoded[0]
    if form == 4 and rest:
        y = int.from_bytes(rest, "big")
        return (x, y) if is_on_curve(x, y) else None
    if form in (2, 3) and not rest and x < PRIME:
        root = decompressed(x, odd=form == 3)
        return None if root is None else (x, root)
    return None


def _coordinate(text: object) -> int | None:
    if not isinstance(text, str) or not text.isascii():
        return None
    data = base64url.decoded(text.encode("ascii"))
    return int.from_bytes(data, "big") if data is not None and len(data) == COORDINATE_BYTES else None


def _is_key_id(kid: object) -> bool:
    return isinstance(kid, str) and 1 <= len(kid) <= 256 and is_printable(kid)

"""PEM, JWK and JWK Set texts in, encoded P-256 points out. Pure; no key object is made here.

A point is in the SEC 1 §2.3.3 encoding. Whether it is on the curve is for `keys` to say.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ._codec import MalformedError, decode_base64url, parse_object
from .errors import KeyStoreError

__all__ = ["COORDINATE_BYTES", "jwks_entries", "parse_json", "point_from_jwk", "point_from_pem"]

COORDINATE_BYTES: Final = 32
_COORDINATE_CHARACTERS = 43

# SubjectPublicKeyInfo of id-ecPublicKey with the named curve secp256r1, up to the point (RFC 5480 §2).
# Comparing the whole of it leaves explicit curve parameters (CVE-2020-0601) no way in.
_ALGORITHM = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
_SPKI_BY_FORM = {
    b"\x04": b"\x30\x59" + _ALGORITHM + b"\x03\x42\x00",
    b"\x02": b"\x30\x39" + _ALGORITHM + b"\x03\x22\x00",
    b"\x03": b"\x30\x39" + _ALGORITHM + b"\x03\x22\x00",
}
_PEM = rb"\s*-----BEGIN PUBLIC KEY-----\s([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*"
_PRIVATE_PEM = rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----"
_PEM_BLOCK = b"-----BEGIN "


def point_from_pem(pem: str | bytes) -> bytes:
    """Return the point of a PEM text that is one P-256 SPKI block and nothing else (RFC 7468 §13).

    Raises:
        KeyStoreError: it is anything else.
    """
    data = pem.encode("utf-8", "replace") if isinstance(pem, str) else bytes(pem)
    if re.search(_PRIVATE_PEM, data):
        raise KeyStoreError("it holds a private key; only the public key belongs here")
    if data.count(_PEM_BLOCK) > 1:
        raise KeyStoreError("it holds more than one PEM block")
    match = re.fullmatch(_PEM, data)
    if match is None:
        raise KeyStoreError("it is not exactly one PEM block labelled PUBLIC KEY")
    try:
        der = binascii.a2b_base64(b"".join(match[1].split()), strict_mode=True)
    except binascii.Error:
        raise KeyStoreError("the PEM block is not valid base64") from None
    for form, prefix in _SPKI_BY_FORM.items():
        point = der[len(prefix) :]
        if der.startswith(prefix + form) and len(der) == 2 + der[1]:
            return point
    raise KeyStoreError("it is not an EC public key on the named curve P-256")


def point_from_jwk(jwk: Mapping[str, Any]) -> bytes:
    """Return the point of an EC P-256 JWK meant for checking ES256 (RFC 7518 §6.2.1).

    Raises:
        KeyStoreError: another or a private key, another purpose, coordinates that are not 32 bytes.
    """
    if not isinstance(jwk, Mapping):
        raise KeyStoreError("a JWK must be a JSON object")
    _check_kind(jwk)
    _check_purpose(jwk)
    return b"\x04" + _coordinate(jwk.get("x")) + _coordinate(jwk.get("y"))


def jwks_entries(jwks: Mapping[str, Any] | str | bytes) -> Sequence[object]:
    """Return the entries of a JWK Set's `keys` array (RFC 7517 §5), unjudged.

    Raises:
        KeyStoreError: it is not strict JSON, or not a JWK Set.
    """
    if isinstance(jwks, str | bytes):
        jwks = parse_json(jwks)
    if not isinstance(jwks, Mapping):
        raise KeyStoreError("it is not a JWK Set: it must be a JSON object")
    entries = jwks.get("keys")
    if not isinstance(entries, Sequence) or isinstance(entries, str | bytes):
        raise KeyStoreError('it is not a JWK Set: its member "keys" must be an array')
    return entries


def parse_json(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object that `text` is.

    Raises:
        KeyStoreError: it is no strict JSON object.
    """
    try:
        return parse_object(text.encode("utf-8") if isinstance(text, str) else text)
    except (MalformedError, UnicodeEncodeError):
        raise KeyStoreError("it is not a strict JSON object") from None


def _check_kind(jwk: Mapping[str, Any]) -> None:
    kind = jwk.get("kty")
    if kind == "oct" or "k" in jwk:
        raise KeyStoreError("it is a symmetric key; only public keys belong here")
    if "d" in jwk:
        raise KeyStoreError("it is a private key; only the public key belongs here")
    if kind != "EC" or jwk.get("crv") != "P-256":
        raise KeyStoreError("it is not an EC key on the curve P-256")


def _check_purpose(jwk: Mapping[str, Any]) -> None:
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig":
        raise KeyStoreError("its use is not sig")
    if not isinstance(operations, list | tuple) or "verify" not in operations:
        raise KeyStoreError("its key_ops do not allow verify")
    if jwk.get("alg", "ES256") != "ES256":
        raise KeyStoreError("its alg is not ES256")


def _coordinate(text: object) -> bytes:
    if isinstance(text, str) and len(text) == _COORDINATE_CHARACTERS:
        try:
            return decode_base64url(text.encode("ascii"))
        except (MalformedError, UnicodeEncodeError):
            pass
    raise KeyStoreError("a coordinate is not exactly 32 bytes of base64url")

"""What no honest library would sign: tokens put together by hand from any parts whatever."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

__all__ = [
    "P256_ORDER",
    "alphabet_beyond",
    "as_der",
    "assemble",
    "b64",
    "flipped",
    "foreign_signature",
    "halves",
    "hmac_sha256",
    "joined",
    "mirrored",
    "unb64",
    "with_stray_bits",
]

P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def b64(data: bytes) -> str:
    """Return unpadded base64url (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """Return the bytes that unpadded base64url stands for."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def assemble(header: bytes, payload: bytes, sign: Callable[[bytes], bytes]) -> str:
    """Return a compact JWS of these bytes with what `sign` makes of the signing input as its signature."""
    signing_input = f"{b64(header)}.{b64(payload)}"
    return f"{signing_input}.{b64(sign(signing_input.encode('ascii')))}"


def hmac_sha256(secret: bytes) -> Callable[[bytes], bytes]:
    """Return what signs as HS256 does, with any secret: a public key's text, or nothing at all."""
    return lambda signing_input: hmac.new(secret, signing_input, hashlib.sha256).digest()


def foreign_signature(algorithm: str) -> Callable[[bytes], bytes]:
    """Return what signs by a JWS algorithm other than ES256, with a key that nobody trusts."""
    return lambda signing_input: JWSRegistry.algorithms[algorithm].sign(signing_input, _foreign_key(algorithm))


@functools.cache
def _foreign_key(algorithm: str) -> Key:
    if algorithm in ("RS256", "PS256"):
        return RSAKey.generate_key(2048)
    if algorithm == "EdDSA":
        return OKPKey.generate_key("Ed25519")
    return ECKey.generate_key({"ES384": "P-384", "ES512": "P-521", "ES256K": "secp256k1"}[algorithm])


def halves(signature: bytes) -> tuple[int, int]:
    """Return r and s of a 64-byte signature."""
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")


def joined(r: int, s: int) -> bytes:
    """Return r‖s, 64 bytes."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def mirrored(signature: bytes, *, high: bool) -> bytes:
    """Return the signature with s in the upper or lower half of the order; both are valid (A098)."""
    r, s = halves(signature)
    return joined(r, s if (s > P256_ORDER // 2) is high else P256_ORDER - s)


def flipped(signature: bytes) -> bytes:
    """Return the signature with its last bit changed."""
    return signature[:-1] + bytes([signature[-1] ^ 1])


def as_der(signature: bytes) -> bytes:
    """Return the ASN.1 form that most cryptographic libraries emit and JWS does not use (RFC 7518 §3.4)."""
    return encode_dss_signature(*halves(signature))


def with_stray_bits(segment: str) -> str:
    """Return another spelling of a base64url segment: the bits that no byte uses are not zero.

    The segment's length must not be a multiple of four, or there are no such bits.
    """
    return segment[:-1] + _ALPHABET[_ALPHABET.index(segment[-1]) + 1]


def alphabet_beyond(segment: str) -> str:
    """Return the segment in the standard base64 alphabet, with at least one `+` that differs."""
    return segment.translate(str.maketrans("-_", "+/"))

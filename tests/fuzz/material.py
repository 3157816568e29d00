"""What all harnesses stand on: throwaway keys, a clock that stands still, and the ways a verifier is set up.

The keys are the same in every run, so that a seed or a finding of today means the same tomorrow.
They are in the source for all to read, and good for nothing else.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from .oracles import base64url
from .oracles.token_rules import Rules

__all__ = [
    "NOW",
    "PUBLIC_KEYS",
    "RECORD_END",
    "RULES",
    "SIGNER_KID",
    "SUBJECT",
    "jwk",
    "pem",
    "records",
    "sign",
    "signer_pem",
]

NOW: Final = 1_800_000_000
SUBJECT: Final = "MGW_000001"
SIGNER_KID: Final = "fuzz-key-1"

# The records of an input are parted by this byte: no JSON, PEM or header value has a use for it.
RECORD_END: Final = b"\x1e"

_PRIVATE_KEYS: Final = {
    SIGNER_KID: ec.derive_private_key(0xD1_F00D_0001, ec.SECP256R1()),
    "fuzz-key-2": ec.derive_private_key(0xD1_F00D_0002, ec.SECP256R1()),
}
PUBLIC_KEYS: Final = {kid: key.public_key() for kid, key in _PRIVATE_KEYS.items()}

# An input's first character chooses one of these.
RULES: Final = tuple(
    Rules(audience=audience, subjects=subjects, leeway=leeway, max_lifetime=max_lifetime, now=now)
    for audience, subjects, leeway, max_lifetime, now in (
        ("stg", frozenset({SUBJECT}), 30, 900, NOW),
        ("prd", frozenset({SUBJECT, "MGW_000002"}), 0, 900, NOW + 0.5),
        ("https://gateway.example/notify", None, 300, 60, NOW),
        ("stg", frozenset({SUBJECT}), 30, 900, float("nan")),
    )
)


def _es256() -> ec.ECDSA:
    try:
        return ec.ECDSA(SHA256(), deterministic_signing=True)
    except UnsupportedAlgorithm:  # A cryptography built upon an old OpenSSL: signatures then differ from run to run.
        return ec.ECDSA(SHA256())


_ES256: Final = _es256()


def sign(signing_input: bytes) -> bytes:
    """Return the first key's r‖s over these bytes; the same each time (RFC 6979)."""
    r, s = decode_dss_signature(_PRIVATE_KEYS[SIGNER_KID].sign(signing_input, _ES256))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def signer_pem() -> bytes:
    """Return the private key that signs, as PKCS #8."""
    return _PRIVATE_KEYS[SIGNER_KID].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pem(kid: str) -> bytes:
    """Return a public key as SPKI PEM."""
    return PUBLIC_KEYS[kid].public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(kid: str, **changes: Any) -> dict[str, Any]:
    """Return a public key as a JWK with `changes` made."""
    numbers = PUBLIC_KEYS[kid].public_numbers()
    x, y = (base64url.encoded(number.to_bytes(32, "big")).decode() for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y, **changes}


def records(data: bytes, count: int) -> list[bytes]:
    """Return exactly `count` records of an input; what is missing is empty, the last has the rest."""
    found = data.split(RECORD_END, count - 1)
    return found + [b""] * (count - len(found))

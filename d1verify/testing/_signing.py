"""Key pairs that are made at run time, and the signatures that an honest library makes with them."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry, serialize_compact

from ..errors import ConfigurationError
from ..keys import PublicKey, is_key_id

__all__ = ["SigningKey", "to_json"]

# Any header member may be asked for; what joserfc would still not sign is built by hand.
_REGISTRY = JWSRegistry(algorithms=["ES256"], strict_check_header=False)
# Members that change what is signed, or that a receiver must understand: never left to the library.
_BY_HAND = frozenset({"b64", "crit"})


class SigningKey:
    """A P-256 key pair with its key id. The private half never shows in a repr or a message."""

    def __init__(self, kid: str, key: ECKey) -> None:
        if not is_key_id(kid):
            raise ConfigurationError("kid must be 1 to 256 printable characters")
        self.kid = kid
        self._key = key

    @classmethod
    def generate(cls, kid: str) -> SigningKey:
        """Return a new key pair."""
        return cls(kid, ECKey.generate_key("P-256"))

    @classmethod
    def read(cls, path: str | os.PathLike[str], kid: str) -> SigningKey:
        """Return the key pair of a PEM file with a private P-256 key (SEC1 or PKCS #8, not encrypted).

        Raises:
            ConfigurationError: it is anything else; nothing of the file is in the message.
            OSError: the file cannot be read.
        """
        with open(path, "rb") as file:
            pem = file.read()
        try:
            key = ECKey.import_key(pem)
            usable = key.is_private and key.curve_name == "P-256"
        except Exception:
            # Whatever the parser says may repeat the file, and the file holds a private key.
            usable = False
        if not usable:
            raise ConfigurationError("the file must hold one private P-256 key as PEM, not encrypted")
        return cls(kid, key)

    @functools.cached_property
    def pem(self) -> str:
        """The public key as SPKI PEM."""
        return self._key.as_pem(private=False).decode("ascii")

    @functools.cached_property
    def public(self) -> PublicKey:
        """The public key as the verifier takes it."""
        return PublicKey.from_pem(self.pem)

    @functools.cached_property
    def jwk(self) -> dict[str, str]:
        """The public key as a JWK with `kid`, `use` and `alg` (RFC 7517 §4)."""
        return {**self.public.as_jwk(), "kid": self.kid, "use": "sig", "alg": "ES256"}

    def certificate(self, encoding: Encoding) -> bytes:
        """Return a certificate of the public key that this key has signed itself (RFC 7515 §4.1.6)."""
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "d1verify")])
        now, day = datetime.now(UTC), timedelta(days=1)
        unsigned = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key)
        unsigned = unsigned.serial_number(x509.random_serial_number())
        unsigned = unsigned.not_valid_before(now - day).not_valid_after(now + day)
        return unsigned.sign(cast(EllipticCurvePrivateKey, self._key.private_key), SHA256()).public_bytes(encoding)

    def signature(self, signing_input: bytes) -> bytes:
        """Return r‖s over any bytes whatever, 64 bytes (RFC 7518 §3.4)."""
        return JWSRegistry.algorithms["ES256"].sign(signing_input, self._key)

    def honest_token(self, header: Mapping[str, Any], payload: bytes) -> str | None:
        """Return the JWS that joserfc makes of these, or None if it would not sign them."""
        if not _BY_HAND.isdisjoint(header):
            return None
        try:
            return serialize_compact(dict(header), payload, self._key, registry=_REGISTRY)
        except (JoseError, KeyError, TypeError, ValueError):
            return None

    def __repr__(self) -> str:
        return "<SigningKey P-256>"


def to_json(members: Mapping[str, Any]) -> bytes:
    """Return compact JSON; NaN and the like come out as Python writes them."""
    return json.dumps(members, separators=(",", ":")).encode("ascii")

"""Wrong verifiers: where D1's keys do not serve, each takes the sender's word for what to check with."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.request import ProxyHandler, build_opener

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificate

from .strict import RefusedError, StrictApp

Header = Mapping[str, Any]


class _TakesTheSendersKey(StrictApp):
    """As `keys.get(kid) or header[...]`."""

    def check_header(self, header: dict[str, Any]) -> Any:
        self.sent = None if header.get("kid") in self.d1.kids else self.key_in(header)
        return super().check_header(header)

    def key_in(self, header: Header) -> dict[str, str] | None:
        raise NotImplementedError

    def key_id(self, header: dict[str, Any]) -> Any:
        return None if self.sent else super().key_id(header)

    def check_signature(self, kid: Any, signature: bytes, signing_input: bytes) -> None:
        self.check_es256(self.sent or self.keys()[kid], signature, signing_input)


class JwkForUnknownKeys(_TakesTheSendersKey):
    def key_in(self, header: Header) -> dict[str, str] | None:
        return header.get("jwk") if "kid" in header else None


class JwkIfNoKeyIsNamed(_TakesTheSendersKey):
    def key_in(self, header: Header) -> dict[str, str] | None:
        return None if "kid" in header else header.get("jwk")


class CertificateForUnknownKeys(_TakesTheSendersKey):
    def key_in(self, header: Header) -> dict[str, str] | None:
        return jwk_in(load_der_x509_certificate(base64.b64decode(header["x5c"][0]))) if self.wants(header) else None

    def wants(self, header: Header) -> bool:
        return "x5c" in header and "kid" in header


class CertificateIfNoKeyIsNamed(CertificateForUnknownKeys):
    def wants(self, header: Header) -> bool:
        return "x5c" in header and "kid" not in header


class FollowsJku(_TakesTheSendersKey):
    def key_in(self, header: Header) -> dict[str, str] | None:
        keys = json.loads(fetched(header["jku"]))["keys"] if "jku" in header else []
        return next((key for key in keys if key["kid"] == header["kid"]), None)


class FollowsX5u(_TakesTheSendersKey):
    def key_in(self, header: Header) -> dict[str, str] | None:
        return jwk_in(load_pem_x509_certificate(fetched(header["x5u"]))) if "x5u" in header else None


class _UnknownKeyIsEmpty(StrictApp):
    """As `secrets.get(kid, b"")`."""

    algorithm: str

    def check_header(self, header: dict[str, Any]) -> Any:
        self.empty = header.get("alg") == self.algorithm and header.get("kid") not in self.d1.kids
        return super().check_header({**header, "alg": "ES256"} if self.empty else header)

    def key_id(self, header: dict[str, Any]) -> Any:
        return None if self.empty else super().key_id(header)

    def check_signature(self, kid: Any, signature: bytes, signing_input: bytes) -> None:
        if not self.empty:
            super().check_signature(kid, signature, signing_input)
        elif signature != self.made_with_nothing(signing_input):
            raise RefusedError

    def made_with_nothing(self, signing_input: bytes) -> bytes:
        raise NotImplementedError


class HS256WithUnknownKeys(_UnknownKeyIsEmpty):
    algorithm = "HS256"

    def made_with_nothing(self, signing_input: bytes) -> bytes:
        return hmac.digest(b"", signing_input, hashlib.sha256)


class NoAlgorithmWithUnknownKeys(_UnknownKeyIsEmpty):
    algorithm = "none"

    def decode(self, segment: str) -> bytes:
        return super().decode(segment) if segment or not self.__dict__.get("empty") else b""

    def made_with_nothing(self, signing_input: bytes) -> bytes:
        return b""


def jwk_in(certificate: Certificate) -> dict[str, str]:
    key = certificate.public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    numbers = key.public_numbers()
    point = (("x", numbers.x), ("y", numbers.y))
    return {name: base64.urlsafe_b64encode(value.to_bytes(32, "big")).decode().rstrip("=") for name, value in point}


def fetched(url: str) -> bytes:
    with build_opener(ProxyHandler({})).open(url, timeout=5) as response:
        content: bytes = response.read()
    return content

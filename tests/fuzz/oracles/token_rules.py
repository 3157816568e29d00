"""DESIGN.md 2, row by row: why a token must be refused, or that it must be accepted."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from . import base64url
from .json_text import json_object
from .p256 import ORDER

__all__ = ["Rules", "Verdict", "is_printable", "is_signed", "judge"]

# Separators, control and format characters, surrogates, private and unassigned code points.
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
_ENVIRONMENTS = {"stg", "prd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a verifier is set up; `subjects` is None for any."""

    audience: str
    subjects: frozenset[str] | None
    leeway: int
    max_lifetime: int
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What must come out: a `reason`, or None with the payload's `claims`."""

    reason: str | None
    kid: str | None = None
    signed: bool = False
    claims: dict[str, Any] | None = None


def judge(token: bytes, keys: Mapping[str, ec.EllipticCurvePublicKey], rules: Rules) -> Verdict:
    """Return the verdict on `token`, the rules taken in the order of their rows."""
    parts = token.split(b".")
    segments = [base64url.decoded(part) for part in parts]
    if len(token) > 8192 or len(parts) != 3 or not all(segments) or len(parts[0]) > 2048:
        return Verdict(reason="malformed_token")
    head, body, signature = (segment or b"" for segment in segments)
    header = json_object(head)
    fault = _fault_of_header(header)
    if fault is not None or header is None:
        return Verdict(reason=fault)
    if len(signature) != 64:
        return Verdict(reason="malformed_token")
    kid = header["kid"]
    if kid not in keys:
        return Verdict(reason="unknown_key")
    if not is_signed(keys[kid], signature, token.rpartition(b".")[0]):
        return Verdict(reason="bad_signature")
    payload = json_object(body)
    reason = "malformed_token" if payload is None else _fault_of_claims(payload, rules)
    return Verdict(reason=reason, kid=kid, signed=True, claims=payload)


def is_printable(text: str) -> bool:
    """Tell whether every character has a glyph or is a space."""
    return all(character == " " or unicodedata.category(character) not in _UNPRINTABLE for character in text)


def is_signed(key: ec.EllipticCurvePublicKey, signature: bytes, signing_input: bytes) -> bool:
    """Tell whether r‖s is this key's signature; a high s is as good as a low one."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < ORDER and 0 < s < ORDER):
        return False
    try:
        key.verify(encode_dss_signature(r, s), signing_input, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _fault_of_header(header: dict[str, Any] | None) -> str | None:
    if header is None:
        return "malformed_token"
    if header.get("alg") != "ES256":
        return "disallowed_algorithm"
    kid, content_type = header.get("kid"), header.get("cty")
    unheard = {"crit", "b64", "zip", "enc"} & set(header)
    nested = isinstance(content_type, str) and content_type.lower() in ("jwt", "application/jwt")
    if unheard or nested or not _is_jwt(header):
        return "malformed_token"
    if not isinstance(kid, str) or not 1 <= len(kid) <= 256 or not is_printable(kid):
        return "malformed_token"
    return None


def _is_jwt(header: dict[str, Any]) -> bool:
    written = header.get("typ", "JWT")
    return isinstance(written, str) and written.lower() in ("jwt", "application/jwt")


def _fault_of_claims(claims: dict[str, Any], rules: Rules) -> str | None:
    if not {"iss", "sub", "aud", "exp"} <= set(claims):
        return "missing_claim"
    if not _are_well_typed(claims):
        return "invalid_claim"
    if claims["iss"] != "d1":
        return "wrong_issuer"
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if rules.audience not in audiences:
        names_the_other = bool((_ENVIRONMENTS - {rules.audience}) & set(audiences))
        return "wrong_environment" if names_the_other else "wrong_audience"
    if "" in audiences:
        return "wrong_audience"
    if rules.subjects is not None and claims["sub"] not in rules.subjects:
        return "wrong_subject"
    return _fault_of_times(claims, rules)


def _are_well_typed(claims: dict[str, Any]) -> bool:
    issuer, subject, audience = claims["iss"], claims["sub"], claims["aud"]
    texts = audience if isinstance(audience, list) else [audience]
    return (
        isinstance(issuer, str)
        and issuer != ""
        and isinstance(subject, str)
        and subject != ""
        and is_printable(subject)
        and all(isinstance(text, str) for text in texts)
        and all(_is_time(claims[name]) for name in ("exp", "iat", "nbf") if name in claims)
    )


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53


def _fault_of_times(claims: dict[str, Any], rules: Rules) -> str | None:
    """Compare exactly: a fraction of a double is the double, and nothing is rounded on the way."""
    if math.isnan(rules.now):
        return "expired"
    now, leeway, expires_at = Fraction(rules.now), rules.leeway, Fraction(claims["exp"])
    if not now < expires_at + leeway:
        return "expired"
    if not expires_at <= now + rules.max_lifetime + leeway:
        return "lifetime_too_long"
    if any(Fraction(claims[name]) > now + leeway for name in ("iat", "nbf") if name in claims):
        return "not_yet_valid"
    return None

"""What people use today, called as its documentation shows, with the checks that `d1verify` makes as far as it has them.

Each gets a key that was parsed before, finds it by the header's `kid`, and holds the same claims to
the same values. Where a library lacks a check, it is made by hand.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import jwt as pyjwt
from cryptography.hazmat.primitives.asymmetric import ec
from jose import jwk as jose_jwk  # type: ignore[import-untyped]
from jose import jwt as jose_jwt
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import ECKey, KeySet
from joserfc.jwt import JWTClaimsRegistry
from jwcrypto import jwk as jwcrypto_jwk  # type: ignore[import-untyped]
from jwcrypto import jwt as jwcrypto_jwt

from tests.support import KEY, SUBJECT

__all__ = ["PEERS", "PYJWT", "Peer", "versions"]

Claims = Mapping[str, Any]

ISSUER, AUDIENCE, LEEWAY, MAX_LIFETIME = "d1", "stg", 30, 900
REQUIRED = ["iss", "sub", "aud", "exp"]

SAME_CHECKS = (
    "alg is ES256; kid of the header looked up, key parsed before; signature; iss, aud, sub equal to one value; "
    "exp with 30 s leeway; iss, sub, aud, exp required; exp at most 900 s ahead"
)


@dataclass(frozen=True, slots=True)
class Peer:
    """A library: its distribution, how it verifies a token, and how its checks differ from `SAME_CHECKS`."""

    name: str
    distribution: str
    verify: Callable[[str], Claims]
    difference: str

    @property
    def checks(self) -> str:
        """All that it checks, in words."""
        return f"{SAME_CHECKS}; {self.difference}"


def _check_lifetime(claims: Claims) -> Claims:
    if claims["exp"] > time.time() + MAX_LIFETIME + LEEWAY:
        raise ValueError("exp is too far ahead")
    return claims


def _by_pyjwt(keys: Mapping[str, ec.EllipticCurvePublicKey]) -> Callable[[str], Claims]:
    def verify(token: str) -> Claims:
        key = keys[pyjwt.get_unverified_header(token)["kid"]]
        claims = pyjwt.decode(
            token,
            key,
            algorithms=["ES256"],
            issuer=ISSUER,
            audience=AUDIENCE,
            subject=SUBJECT,
            leeway=LEEWAY,
            options={"require": REQUIRED},
        )
        return _check_lifetime(claims)

    return verify


def _by_joserfc(keys: KeySet) -> Callable[[str], Claims]:
    registry = JWTClaimsRegistry(
        leeway=LEEWAY,
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
        sub={"essential": True, "value": SUBJECT},
        exp={"essential": True},
    )

    def verify(token: str) -> Claims:
        claims = joserfc_jwt.decode(token, keys, algorithms=["ES256"]).claims
        registry.validate(claims)
        return _check_lifetime(claims)

    return verify


def _by_python_jose(keys: Mapping[str, Any]) -> Callable[[str], Claims]:
    options = {**{f"require_{name}": True for name in REQUIRED}, "leeway": LEEWAY}

    def verify(token: str) -> Claims:
        key = keys[jose_jwt.get_unverified_header(token)["kid"]]
        claims = jose_jwt.decode(
            token, key, algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE, subject=SUBJECT, options=options
        )
        return _check_lifetime(claims)

    return verify


def _by_jwcrypto(keys: Any) -> Callable[[str], Claims]:
    wanted = {"iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "exp": None}

    def verify(token: str) -> Claims:
        opened = jwcrypto_jwt.JWT(algs=["ES256"], check_claims=wanted, expected_type="JWS")
        opened.leeway = LEEWAY
        opened.deserialize(token, keys)
        claims: Claims = json.loads(opened.claims)
        return _check_lifetime(claims)

    return verify


def _jwcrypto_keys() -> Any:
    keys = jwcrypto_jwk.JWKSet()
    keys.add(jwcrypto_jwk.JWK(**KEY.jwk))
    return keys


PYJWT = Peer(
    "PyJWT",
    "pyjwt",
    _by_pyjwt({KEY.kid: KEY.private.public_key()}),
    "kid by get_unverified_header from a dict of keys, maximum exp by hand",
)
PEERS = (
    PYJWT,
    Peer(
        "joserfc",
        "joserfc",
        _by_joserfc(KeySet([ECKey.import_key(KEY.jwk)])),
        "kid by its own KeySet, claims by JWTClaimsRegistry, maximum exp by hand (Authlib's engine, so Authlib too)",
    ),
    Peer(
        "python-jose",
        "python-jose",
        _by_python_jose({KEY.kid: jose_jwk.construct(KEY.pem, "ES256")}),
        "kid by get_unverified_header from a dict of keys, maximum exp by hand",
    ),
    Peer(
        "jwcrypto",
        "jwcrypto",
        _by_jwcrypto(_jwcrypto_keys()),
        "kid by its own JWKSet, maximum exp by hand",
    ),
)


def versions() -> dict[str, str]:
    """Return the versions of all that takes part."""
    names = ["cryptography", "starlette", "fastapi", "uvicorn", "cachetools", *(peer.distribution for peer in PEERS)]
    return {name: version(name) for name in names}

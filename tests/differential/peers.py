"""The other libraries, each called as its documentation shows, with every check on that it offers and D1 asks for.

All are handed the same two keys as a key set and choose by `kid` as they do; PyJWT leaves the choice to its caller.
Their clocks stand at `NOW`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any, Self
from unittest import mock

import jose.jwt  # type: ignore[import-untyped]
import jwcrypto.jwt  # type: ignore[import-untyped]
import jwt as pyjwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet as JoseKeySet
from jwcrypto import jwk as jwcrypto_jwk

from d1verify import D1Verifier, StaticKeyStore, TokenError

from ..support import NOW, SUBJECT, SigningKey, make_verifier, raw_signature

with warnings.catch_warnings():  # authlib.jose is deprecated, and still there.
    from authlib.deprecate import AuthlibDeprecationWarning  # type: ignore[import-untyped]

    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.jose import JsonWebKey, JsonWebToken  # type: ignore[import-untyped]

ISSUER, AUDIENCE, LEEWAY, MAX_LIFETIME = "d1", "stg", 30, 900
REQUIRED = ("iss", "sub", "aud", "exp")


class FixedKey(SigningKey):
    """A key that is the same in every run and signs the same bytes alike, so that an example can be shown."""

    def __init__(self, kid: str, secret: int) -> None:
        self.kid = kid
        self.private = ec.derive_private_key(secret, ec.SECP256R1())

    def signature(self, signing_input: bytes) -> bytes:
        return raw_signature(self.private.sign(signing_input, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))


KEY, OTHER_KEY, STRANGER = FixedKey("d1-key-1", 11), FixedKey("d1-key-2", 22), FixedKey("d1-key-1", 33)
TRUSTED = (KEY, OTHER_KEY)
JWKS: dict[str, Any] = {"keys": [{**key.jwk, "use": "sig", "alg": "ES256"} for key in TRUSTED]}


def d1(token_cache_size: int) -> D1Verifier:
    store = StaticKeyStore({key.kid: key.pem for key in TRUSTED})
    return make_verifier(store, token_cache_size=token_cache_size)


def judged(verifier: D1Verifier, token: str | bytes) -> str:
    """Return "accepted", or the reason of the refusal."""
    try:
        verifier.verify(token)
    except TokenError as error:
        return error.reason.value
    return "accepted"


@dataclass(frozen=True)
class Peer:
    """A library, and how it is called: `decode` returns the claims or raises, whatever it raises."""

    name: str
    distribution: str
    decode: Callable[[str], Mapping[str, Any]]

    @property
    def title(self) -> str:
        return f"{self.name} {version(self.distribution)}"

    def accepts(self, token: str) -> bool:
        try:
            self.decode(token)
        except Exception:
            return False
        return True

    def accepts_short_lived(self, token: str) -> bool:
        """Whether it accepts, and the claims it gives back hold no `exp` beyond the maximum, which none can check."""
        try:
            return not float(self.decode(token)["exp"]) > NOW + MAX_LIFETIME + LEEWAY
        except Exception:
            return False


_PYJWT_KEYS = pyjwt.PyJWKSet.from_dict(JWKS)
_JOSERFC_KEYS = JoseKeySet.import_key_set(JWKS)  # type: ignore[arg-type]
_JWCRYPTO_KEYS = jwcrypto_jwk.JWKSet.from_json(json.dumps(JWKS))
_AUTHLIB_KEYS = JsonWebKey.import_key_set(JWKS)
_VALUES: dict[str, Any] = {
    "iss": {"essential": True, "value": ISSUER},
    "sub": {"essential": True, "value": SUBJECT},
    "aud": {"essential": True, "value": AUDIENCE},
    "exp": {"essential": True},
}


def _pyjwt(token: str) -> Mapping[str, Any]:
    key = _PYJWT_KEYS[pyjwt.get_unverified_header(token)["kid"]]
    options: Any = {"require": [*REQUIRED], "strict_aud": True}
    return pyjwt.decode(
        token, key, ["ES256"], options, audience=AUDIENCE, issuer=ISSUER, subject=SUBJECT, leeway=LEEWAY
    )


def _joserfc(token: str) -> Mapping[str, Any]:
    claims = joserfc_jwt.decode(token, _JOSERFC_KEYS, algorithms=["ES256"]).claims
    joserfc_jwt.JWTClaimsRegistry(now=NOW, leeway=LEEWAY, **_VALUES).validate(claims)
    return claims


def _python_jose(token: str) -> Mapping[str, Any]:
    options = {**{f"require_{name}": True for name in REQUIRED}, "leeway": LEEWAY}
    claims: Mapping[str, Any] = jose.jwt.decode(
        token, JWKS, ["ES256"], options=options, audience=AUDIENCE, issuer=ISSUER, subject=SUBJECT
    )
    return claims


def _jwcrypto(token: str) -> Mapping[str, Any]:
    checks = {"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "exp": None}
    opened = jwcrypto.jwt.JWT(algs=["ES256"], check_claims=checks)
    opened.leeway = LEEWAY
    opened.deserialize(token, _JWCRYPTO_KEYS)
    claims: Mapping[str, Any] = json.loads(opened.claims)
    return claims


def _authlib(token: str) -> Mapping[str, Any]:
    claims: Any = JsonWebToken(["ES256"]).decode(token, _AUTHLIB_KEYS, claims_options=_VALUES)
    claims.validate(now=NOW, leeway=LEEWAY)
    return dict(claims)


PYJWT = Peer("PyJWT", "PyJWT", _pyjwt)
JOSERFC = Peer("joserfc", "joserfc", _joserfc)
PEERS = (
    PYJWT,
    JOSERFC,
    Peer("python-jose", "python-jose", _python_jose),
    Peer("jwcrypto", "jwcrypto", _jwcrypto),
    Peer("authlib.jose", "Authlib", _authlib),
)


class _AtNow(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(NOW, tz)


@contextmanager
def clocks_held() -> Iterator[None]:
    """Let the libraries that take no clock read `NOW` for a while."""
    with (
        mock.patch.object(pyjwt.api_jwt, "datetime", _AtNow),
        mock.patch.object(jose.jwt, "datetime", _AtNow),
        mock.patch.object(jwcrypto.jwt, "time", SimpleNamespace(time=lambda: NOW)),
    ):
        yield

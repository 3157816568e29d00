"""Apps as one writes them after reading a JWT library's README: correct use, and still not D1's profile.

Each takes a token and returns its claims, or raises one of the errors it says it raises. What
else escapes becomes the 500 that the server makes of it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import jwt as pyjwt
from jose import JWTError  # type: ignore[import-untyped]
from jose import jwt as jose_jwt
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet as JoseKeySet
from jwcrypto import jwk as jwcrypto_jwk  # type: ignore[import-untyped]
from jwcrypto import jwt as jwcrypto_jwt
from jwcrypto.common import JWException  # type: ignore[import-untyped]

from d1verify.testing import FakeD1

Decode = Callable[[str], Any]
Errors = tuple[type[Exception], ...]


def wsgi_app(decode: Decode, errors: Errors) -> Any:
    """Return a WSGI app that lets a call through if `decode` takes its token."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        refused: Errors = (PermissionError, *errors)
        try:
            if scheme.lower() != "bearer" or not token:
                raise PermissionError
            decode(token.strip())
        except refused:
            start_response("401 Unauthorized", [("WWW-Authenticate", "Bearer")])
            return [b""]
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b"{}"]

    return app


def pyjwt_with_one_key(d1: FakeD1) -> tuple[Decode, Errors]:
    def decode(token: str) -> Any:
        return pyjwt.decode(token, d1.public_pem, algorithms=["ES256"], audience=d1.audience, issuer="d1")

    return decode, (pyjwt.InvalidTokenError,)


def pyjwt_with_key_set(d1: FakeD1) -> tuple[Decode, Errors]:
    def decode(token: str) -> Any:
        kid = pyjwt.get_unverified_header(token).get("kid")
        keys = {key.key_id: key for key in pyjwt.PyJWKSet.from_dict(d1.jwks()).keys}
        if kid not in keys:
            raise pyjwt.InvalidTokenError
        options: Any = {"require": ["exp", "iss", "sub", "aud"]}
        key = keys[kid]
        return pyjwt.decode(
            token, key, algorithms=["ES256"], audience=d1.audience, issuer="d1", subject=d1.subject, options=options
        )

    return decode, (pyjwt.InvalidTokenError,)


def pyjwt_with_generous_leeway(d1: FakeD1) -> tuple[Decode, Errors]:
    def decode(token: str) -> Any:
        options: Any = {"require": ["exp", "iss", "sub", "aud"]}
        claims = pyjwt.decode(
            token, d1.public_pem, algorithms=["ES256"], audience=d1.audience, issuer="d1", leeway=300, options=options
        )
        if claims["sub"] != d1.subject or claims["exp"] > time.time() + 930:
            raise pyjwt.InvalidTokenError
        return claims

    return decode, (pyjwt.InvalidTokenError,)


def python_jose(d1: FakeD1) -> tuple[Decode, Errors]:
    def decode(token: str) -> Any:
        return jose_jwt.decode(
            token, d1.public_pem, algorithms=["ES256"], audience=d1.audience, issuer="d1", subject=d1.subject
        )

    return decode, (JWTError,)


def joserfc_with_claims_registry(d1: FakeD1) -> tuple[Decode, Errors]:
    registry = joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": "d1"},
        sub={"essential": True, "value": d1.subject},
        aud={"essential": True, "value": d1.audience},
        exp={"essential": True},
    )

    def decode(token: str) -> Any:
        keys = JoseKeySet.import_key_set(d1.jwks())  # type: ignore[arg-type]
        decoded = joserfc_jwt.decode(token, keys, algorithms=["ES256"])
        registry.validate(decoded.claims)
        return decoded.claims

    return decode, (JoseError, ValueError)


def joserfc_without_claims(d1: FakeD1) -> tuple[Decode, Errors]:
    def decode(token: str) -> Any:
        keys = JoseKeySet.import_key_set(d1.jwks())  # type: ignore[arg-type]
        return joserfc_jwt.decode(token, keys, algorithms=["ES256"]).claims

    return decode, (JoseError, ValueError)


def jwcrypto(d1: FakeD1) -> tuple[Decode, Errors]:
    def decode(token: str) -> Any:
        key = jwcrypto_jwk.JWK(**d1.public_jwk)
        checks = {"iss": "d1", "sub": d1.subject, "aud": d1.audience, "exp": None}
        return json.loads(jwcrypto_jwt.JWT(key=key, jwt=token, algs=["ES256"], check_claims=checks).claims)

    return decode, (JWException, ValueError)

"""Access tokens where they are used: the verifier that takes the place of a `D1Verifier`, and the public keys."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeGuard

from .._checks import checked_seconds
from ..errors import ConfigurationError
from ..keycache import KeyCache
from ..keys import KeySet, KeyStore
from ..observer import Observer
from ..policy import (
    D1_ENVIRONMENTS,
    D1_ISSUER,
    MAX_LEEWAY,
    MAX_LIFETIME,
    Policy,
    Subject,
    checked_subjects,
)
from ..verifier import TokenVerifier
from .signing import SigningKey

__all__ = [
    "ACCESS_TOKEN_SECONDS",
    "AccessTokenVerifier",
    "checked_api_audience",
    "checked_issuer",
    "is_name",
    "merchant_jwks",
]

ACCESS_TOKEN_SECONDS: Final = MAX_LIFETIME
_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})


class AccessTokenVerifier(TokenVerifier):
    """Decides whether a call carries an access token that the merchant's `TokenEndpoint` has issued.

    It goes wherever a `D1Verifier` goes: middleware, dependency, decorator. The two never
    accept each other's tokens: key, `iss`, `aud` and `typ` differ, and each alone suffices
    (RFC 8725 §3.12, RFC 9068 §5). Nothing is shared between issuer and verifier but the
    public key, so any worker on any machine can judge.

    Args:
        store: the public keys of the endpoint, such as `StaticKeyStore({key.kid: key.public})`.
            While the signing key rotates, the old one stays in until its last token has expired.
        issuer: as given to the `TokenEndpoint`.
        audience: as given to the `TokenEndpoint`.
        subject: the merchant gateway id, several of them, or `ANY_SUBJECT`.
        leeway: tolerated clock difference in seconds, 0 to 300.
        token_cache_size: how many verified tokens to remember; 0 turns that off.
        clock: the wall clock, in epoch seconds.
        observer: told of each outcome and each key load.

    Raises:
        ConfigurationError: an argument is out of range, or could be D1's own; the message names it.
    """

    def __init__(
        self,
        store: KeyStore | KeyCache,
        *,
        issuer: str,
        audience: str,
        subject: Subject,
        leeway: float = 30,
        token_cache_size: int = 1024,
        clock: Callable[[], float] = time.time,
        observer: Observer | None = None,
    ) -> None:
        policy = Policy(
            issuer=checked_issuer(issuer),
            audience=checked_api_audience(audience),
            other_environments=frozenset(),
            subjects=checked_subjects(subject),
            types=_TYPES,
            leeway=checked_seconds(leeway, "leeway", low=0, high=MAX_LEEWAY),
            max_lifetime=ACCESS_TOKEN_SECONDS,
        )
        super().__init__(store, policy, token_cache_size=token_cache_size, clock=clock, observer=observer)


def merchant_jwks(*keys: SigningKey | KeySet) -> dict[str, list[dict[str, str]]]:
    """Return the public keys as a JWK Set (RFC 7517 §5), to be published or handed to D1.

    Args:
        keys: the signing key, and others: one that will sign next, or a `KeySet` of those that signed before.

    Raises:
        ConfigurationError: there is none, one is something else, or two differ and share a key id.
    """
    entries: dict[str, dict[str, str]] = {}
    for jwk in (jwk for key in keys for jwk in _jwks_of(key)):
        if entries.setdefault(jwk["kid"], jwk) != jwk:
            raise ConfigurationError("two different keys have the same key id")
    if not entries:
        raise ConfigurationError("merchant_jwks needs at least one key")
    return {"keys": list(entries.values())}


def _jwks_of(key: SigningKey | KeySet) -> list[dict[str, str]]:
    if isinstance(key, SigningKey):
        return [key.jwk]
    if isinstance(key, KeySet):
        purpose = {"use": "sig", "alg": "ES256"}
        return [{**public.as_jwk(), "kid": kid, **purpose} for kid, public in key.keys.items()]
    raise ConfigurationError("merchant_jwks takes SigningKey and KeySet objects")


def checked_issuer(issuer: object) -> str:
    """Return `issuer` if it can be told from D1's.

    Raises:
        ConfigurationError: it cannot, or is no name.
    """
    if is_name(issuer) and issuer.strip().lower() != D1_ISSUER:
        return issuer
    raise ConfigurationError('issuer must be a name of the merchant\'s, such as an https URL, and not "d1"')


def checked_api_audience(audience: object) -> str:
    """Return `audience` if it can be told from D1's environments.

    Raises:
        ConfigurationError: it cannot, or is no name.
    """
    if is_name(audience) and audience.strip().lower() not in D1_ENVIRONMENTS:
        return audience
    raise ConfigurationError('audience must name the merchant\'s API, such as an https URL, and not be "stg" or "prd"')


def is_name(value: object) -> TypeGuard[str]:
    """Tell whether `value` is a non-empty string of printable characters, not all of them spaces."""
    return isinstance(value, str) and value.isprintable() and value.strip() != ""

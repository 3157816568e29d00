"""The merchant's private key: it signs access tokens for D1 and assertions to D1, and never shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, final

from joserfc.jwk import ECKey
from joserfc.jwk import KeySet as JoseKeySet

from ..errors import ConfigurationError
from ..keys import PublicKey, checked_key_id

__all__ = ["SigningKey", "checked_signing_key"]


@final
class SigningKey:
    """A private P-256 key with its key id, for ES256 (RFC 7518 §3.4).

    The private half goes into signatures and nowhere else: not into a repr, a message, a
    pickle or `merchant_jwks`.

    Args:
        key: a PEM text (SEC 1 or PKCS #8, not encrypted), a private JWK, or joserfc's `ECKey`.
        kid: the key id; by default the JWK's own or, without one, the thumbprint (RFC 7638).

    Attributes:
        kid: the key id.
        public: the public half, for a key store: `StaticKeyStore({key.kid: key.public})`.

    Raises:
        ConfigurationError: it is no private P-256 key, or `kid` is none; nothing of the key is in the message.
    """

    __slots__ = ("_key", "kid", "public")
    _key: ECKey
    kid: str
    public: PublicKey

    def __init__(self, key: str | bytes | Mapping[str, Any] | ECKey, *, kid: str | None = None) -> None:
        private = _imported(key)
        kid = checked_key_id(private.kid or private.thumbprint() if kid is None else kid)
        set_field = object.__setattr__
        set_field(self, "_key", ECKey.import_key(private.as_pem(private=True), {"kid": kid}))
        set_field(self, "kid", kid)
        set_field(self, "public", PublicKey.from_pem(private.as_pem(private=False)))

    @classmethod
    def generate(cls, *, kid: str | None = None) -> SigningKey:
        """Return a new key that exists in this process alone, for tests and demonstrations."""
        return cls(ECKey.generate_key("P-256", private=True), kid=kid)

    @property
    def jwk(self) -> dict[str, str]:
        """The public half as a JWK with `kid`, `use` and `alg` (RFC 7517 §4)."""
        return {**self.public.as_jwk(), "kid": self.kid, "use": "sig", "alg": "ES256"}

    def _signer(self) -> ECKey:
        return self._key

    def _signers(self) -> JoseKeySet:
        """Return the key as a set of one: joserfc then writes its kid into the header."""
        return JoseKeySet([self._key])

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a SigningKey is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a SigningKey is immutable")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SigningKey cannot be pickled or copied: it holds a private key")

    def __repr__(self) -> str:
        return "<SigningKey P-256>"


def checked_signing_key(key: SigningKey | str | bytes | Mapping[str, Any] | ECKey) -> SigningKey:
    """Return `key` if it is a `SigningKey`, or the one that it makes.

    Raises:
        ConfigurationError: it is no private P-256 key; nothing of it is in the message.
    """
    return key if isinstance(key, SigningKey) else SigningKey(key)


def _imported(key: Any) -> ECKey:
    try:
        private = key if isinstance(key, ECKey) else ECKey.import_key(key)
        usable = private.is_private and private.curve_name == "P-256"
    except Exception:
        # Whatever the parser says may repeat its input, and that holds a private key.
        usable = False
    if not usable:
        raise ConfigurationError("signing_key must be a private P-256 key: a PEM text, not encrypted, or a JWK")
    return private

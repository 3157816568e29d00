"""What can go wrong, sorted by whose fault it is.

    D1VerifyError
    ├── TokenError           the caller's fault: `reason` says which rule, `kid` which key was named
    ├── KeyStoreError        our own infrastructure: `retry_after` says when to come back
    └── ConfigurationError   the developer's: raised where a thing is built, never while it runs

Message texts are fixed. What an attacker chose is kept in attributes, never in a message.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType

__all__ = ["ConfigurationError", "D1VerifyError", "KeyStoreError", "Reason", "TokenError"]


class Reason(StrEnum):
    """Why a call was refused. The values are stable; a changed one is a breaking change."""

    MISSING_TOKEN = "missing_token"  # noqa: S105 - a reason code, not a secret
    INVALID_REQUEST = "invalid_request"
    MALFORMED_TOKEN = "malformed_token"  # noqa: S105 - a reason code, not a secret
    DISALLOWED_ALGORITHM = "disallowed_algorithm"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    MISSING_CLAIM = "missing_claim"
    INVALID_CLAIM = "invalid_claim"
    WRONG_ISSUER = "wrong_issuer"
    WRONG_ENVIRONMENT = "wrong_environment"
    WRONG_AUDIENCE = "wrong_audience"
    WRONG_SUBJECT = "wrong_subject"
    EXPIRED = "expired"
    LIFETIME_TOO_LONG = "lifetime_too_long"
    NOT_YET_VALID = "not_yet_valid"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    KEYS_UNAVAILABLE = "keys_unavailable"


_MESSAGES = MappingProxyType(
    {
        Reason.MISSING_TOKEN: "the request carries no bearer token",
        Reason.INVALID_REQUEST: "the request carries more than one set of credentials",
        Reason.MALFORMED_TOKEN: "the token is not a well-formed one of the expected profile",
        Reason.DISALLOWED_ALGORITHM: "the token's algorithm is not ES256",
        Reason.UNKNOWN_KEY: "no trusted key has the token's key id",
        Reason.BAD_SIGNATURE: "the signature does not match",
        Reason.MISSING_CLAIM: "a required claim is missing",
        Reason.INVALID_CLAIM: "a claim has a wrong type or value",
        Reason.WRONG_ISSUER: "the issuer is not the expected one",
        Reason.WRONG_ENVIRONMENT: "the token is for the other D1 environment",
        Reason.WRONG_AUDIENCE: "the audience is not the expected one",
        Reason.WRONG_SUBJECT: "the subject is not an expected one",
        Reason.EXPIRED: "the token has expired",
        Reason.LIFETIME_TOO_LONG: "the token expires too far in the future",
        Reason.NOT_YET_VALID: "the token is not valid yet",
        Reason.INSUFFICIENT_SCOPE: "the token is for another merchant gateway than the path",
        Reason.KEYS_UNAVAILABLE: "no usable verification keys",
    }
)


class D1VerifyError(Exception):
    """The base of every error that this library raises on purpose."""


class TokenError(D1VerifyError):
    """The call is refused, and the caller is the one to change something.

    Attributes:
        reason: which rule was broken.
        kid: the key id that the token named, where it named one. Unless `signed`, it is
            the attacker's text: escape and shorten it before writing it anywhere.
        signed: the signature held, so the refused token was made by the holder of the key.
    """

    def __init__(self, reason: Reason, *, kid: str | None = None, signed: bool = False) -> None:
        super().__init__(_MESSAGES[reason])
        self.reason = reason
        self.kid = kid
        self.signed = signed

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_token_error, (self.reason, self.kid, self.signed)


class KeyStoreError(D1VerifyError):
    """The trusted keys cannot be had; no verdict on the token is possible.

    Attributes:
        retry_after: seconds until the next attempt to load keys, finite and not negative.
        reason: always `Reason.KEYS_UNAVAILABLE`.
    """

    reason = Reason.KEYS_UNAVAILABLE

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_key_store_error, (str(self), self.retry_after)


class ConfigurationError(D1VerifyError, ValueError):
    """A setting is missing, contradictory or out of range; the message names it."""


def _rebuild_token_error(reason: Reason, kid: str | None, signed: bool) -> TokenError:  # noqa: FBT001
    return TokenError(reason, kid=kid, signed=signed)


def _rebuild_key_store_error(message: str, retry_after: float) -> KeyStoreError:
    return KeyStoreError(message, retry_after=retry_after)

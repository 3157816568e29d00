"""What the web edges have in common: how they are set up, what they take from a verifier, how they close."""

from __future__ import annotations

from typing import Final

from .errors import ConfigurationError, KeyStoreError, TokenError
from .tokens import D1Token

__all__ = ["POLICY_VIOLATION", "checked_flag", "checked_token", "checked_verifier", "close_code"]

# RFC 6455 §7.4.1 and the registry it sets up.
POLICY_VIOLATION: Final = 1008
TRY_AGAIN_LATER: Final = 1013


def checked_verifier(verifier: object, *methods: str) -> None:
    """Return if `verifier` is an object with these methods; a class is none.

    Raises:
        ConfigurationError: it lacks one; the message names it.
    """
    for method in methods:
        if isinstance(verifier, type) or not callable(getattr(verifier, method, None)):
            raise ConfigurationError(f"verifier must have the method {method}(), as a D1Verifier has")


def checked_flag(value: object, name: str) -> bool:
    """Return `value` if it is True or False: a text such as "false" would count as true.

    Raises:
        ConfigurationError: it is neither; the message names it.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False")
    return value


def checked_token(value: object) -> D1Token:
    """Return what a verifier has returned, if it is a token. Anything else vouches for nobody.

    Raises:
        TypeError: it is none; the coroutine of an async `verify_header()`, say.
    """
    if not isinstance(value, D1Token):
        raise TypeError("a verifier must return a D1Token or raise")
    return value


def close_code(error: TokenError | KeyStoreError) -> int:
    """Return the code to close a refused WebSocket with."""
    return TRY_AGAIN_LATER if isinstance(error, KeyStoreError) else POLICY_VIOLATION

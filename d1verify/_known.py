"""Tokens that were verified before, found again by their digest without another look at their text."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from ._memo import Memo
from .claims import Window
from .keys import PublicKey
from .tokens import D1Token

__all__ = ["MAX_KNOWN_TOKEN_BYTES", "KnownToken", "KnownTokens"]

# A larger token is verified each time, so that a full memory stays within a few megabytes.
MAX_KNOWN_TOKEN_BYTES: Final = 2048
_DOTS: Final = 2


class KnownToken:
    """A token that was verified before: with which key, and when it is good."""

    __slots__ = ("hi", "key", "kid", "lo", "token")

    def __init__(self, token: D1Token, key: PublicKey, window: Window) -> None:
        self.token = token
        self.kid = token.kid
        self.key = key
        self.lo, self.hi, _ceiling = window

    def holds(self, key: PublicKey | None, now: float) -> bool:
        """Tell whether it is as good as it was: the key trusted now is the one it was verified with, and it is time."""
        return self.key is key and self.lo <= now < self.hi


class KnownTokens(Memo[KnownToken]):
    """The last so many verified tokens, each by the SHA-256 of its text."""

    def find(self, token: bytes) -> KnownToken | None:
        """Return what is known of `token`, or None."""
        if len(token) > MAX_KNOWN_TOKEN_BYTES or token.count(b".") != _DOTS:
            return None  # Garbage is not worth a hash.
        return self.get(sha256(token).digest())

    def keep(self, token: bytes, known: KnownToken) -> None:
        """Remember a token that was just verified."""
        if len(token) <= MAX_KNOWN_TOKEN_BYTES:
            self.put(sha256(token).digest(), known)

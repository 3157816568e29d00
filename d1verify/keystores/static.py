"""Keys that are handed over at construction and never change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .._log import shown
from ..errors import ConfigurationError, KeyStoreError
from ..keys import KeySet, PublicKey, is_key_id, parse_key

__all__ = ["StaticKeyStore"]


class StaticKeyStore:
    """Keys in hand: `{kid: PublicKey | PEM text | JWK}`. They never expire and are never loaded again.

    Raises:
        ConfigurationError: there is no key, or one that is not a P-256 public key; the message names the kid.
    """

    def __init__(self, keys: Mapping[str, PublicKey | str | bytes | Mapping[str, Any]]) -> None:
        if not isinstance(keys, Mapping) or not keys:
            raise ConfigurationError("keys must map at least one key id to a key")
        parsed = {}
        for kid, material in keys.items():
            try:
                parsed[kid] = parse_key(material)
            except KeyStoreError as error:
                raise ConfigurationError(f"the key {_shown(kid)} cannot be used: {error}") from None
        self._keys = KeySet(parsed, max_age=math.inf, max_stale=0.0)

    def load(self) -> KeySet:
        """Return the keys."""
        return self._keys


def _shown(kid: object) -> str:
    """Name the key, unless somebody has put the key itself in the place of its id."""
    return repr(shown(kid)) if is_key_id(kid) and kid[0] not in "{-" else "given"

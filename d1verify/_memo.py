"""A bounded memory of answers that cost much to get."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

from cachetools import FIFOCache

from ._fork import renew_in_child

__all__ = ["Memo"]

_Value = TypeVar("_Value")


class _Values(FIFOCache[bytes, _Value | None]):
    """A cache whose item for a key that it does not have is None, so that reading takes one step."""

    def __missing__(self, key: bytes) -> None:
        return None


class Memo(Generic[_Value]):
    """The last so many values by key; the oldest makes way. Reads take no lock.

    First in, first out: a token lives for minutes, so what was put in first also ends
    first, and a read that reorders nothing needs no lock. cachetools' `FIFOCache` reads
    one dict entry, which is atomic; only writes touch its order, and those are locked.
    Measured per hit: FIFO without a lock 0.04 µs, LRU under a lock 0.24 µs.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Start over, as a forked child must: the fork may have cut a write short."""
        self._values: _Values[_Value] = _Values(self._size)
        self._lock = threading.Lock()

    def get(self, key: bytes) -> _Value | None:
        """Return the value, or None."""
        return self._values[key]

    def put(self, key: bytes, value: _Value) -> None:
        """Remember the value."""
        with self._lock:
            self._values[key] = value

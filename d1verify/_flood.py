"""How a flood of like records is kept small: the first are written, the others counted.

There is no timer and no thread behind this. A count whose ten seconds are over is written
when something happens next: a record of the same kind of trouble, a load of the keys, a
look at their health; what is left then is written when an ASGI app shuts down, or the
interpreter ends.
"""

from __future__ import annotations

import atexit
import functools
import math
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Final, Generic, NamedTuple, TypeVar

from ._fork import renew_in_child
from ._records import Line

__all__ = ["BURST", "WINDOW_SECONDS", "Flood", "Tally", "tell_all_counts", "tell_counts"]

WINDOW_SECONDS: Final = 10.0
BURST: Final = 10

_Key = TypeVar("_Key", bound=Hashable)


class Tally(NamedTuple, Generic[_Key]):
    """`number` records of one key were not written, within `seconds` that ended `ago` seconds before."""

    key: _Key
    number: int
    seconds: float
    ago: float


class _Window:
    """Ten seconds of one key: how many came, how many may still be written, how many nobody was told of."""

    __slots__ = ("came", "left", "opened_at", "untold")

    def __init__(self, opened_at: float, left: int) -> None:
        self.opened_at = opened_at
        self.left = left
        self.came = 0
        self.untold = 0

    @property
    def ends_at(self) -> float:
        return self.opened_at + WINDOW_SECONDS

    def next(self, now: float) -> _Window:
        """Return the window that follows. While a flood goes on, nothing is written but its counts."""
        goes_on = self.came > BURST and now < self.ends_at + WINDOW_SECONDS
        return _Window(now, 0 if goes_on else BURST)


class Flood(Generic[_Key]):
    """Decides for each record whether it is written or counted, and writes the counts.

    Args:
        summary: makes the line for a count. It is called, as the line is written, with no lock held.
        timer: a monotonic clock, in seconds.
    """

    def __init__(self, summary: Callable[[Tally[_Key]], Line], timer: Callable[[], float] = time.monotonic) -> None:
        self._summary = summary
        self._timer = timer
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Start over, as a forked child must: what the parent has counted, the parent will tell."""
        self._lock = threading.RLock()  # A signal handler that verifies a token may come in between.
        self._windows: dict[_Key, _Window] = {}
        self._due_at = math.inf
        _untold.discard(self)

    def admit(self, key: _Key) -> bool:
        """Tell whether to write one more record with this key. If not, it is counted."""
        now = self._timer()
        with self._lock:
            tallies = self._take(now) if now >= self._due_at else []
            window = self._windows.get(key)
            if window is None or now >= window.ends_at:
                window = _Window(now, BURST) if window is None else window.next(now)
                self._windows[key] = window
            window.came += 1
            admitted = window.left > 0
            if admitted:
                window.left -= 1
            else:
                window.untold += 1
                self._due_at = min(self._due_at, window.ends_at)
                _untold.add(self)
        self._write(tallies)
        if not admitted:
            _tell_the_rest_at_exit()
        return admitted

    def tell(self, *, everything: bool = False) -> None:
        """Write the counts whose time is over, or all there are."""
        now = self._timer()
        with self._lock:
            tallies = self._take(now, everything=everything) if everything or now >= self._due_at else []
        self._write(tallies)

    def _take(self, now: float, *, everything: bool = False) -> list[Tally[_Key]]:
        """Return the counts to be told, and forget them; the lock is held."""
        tallies = []
        for key, window in list(self._windows.items()):
            if window.untold and (everything or now >= window.ends_at):
                seconds = min(WINDOW_SECONDS, now - window.opened_at)
                tallies.append(Tally(key, window.untold, seconds, max(0.0, now - window.ends_at)))
                window.untold = 0
        self._due_at = min((one.ends_at for one in list(self._windows.values()) if one.untold), default=math.inf)
        if self._due_at == math.inf:
            _untold.discard(self)
        return tallies

    def _write(self, tallies: list[Tally[_Key]]) -> None:
        for tally in tallies:
            self._summary(tally).write()


# Those with a count that nobody was told of; kept alive by it, if need be, until it is told.
_untold: Final[set[Flood[Any]]] = set()


def tell_counts() -> None:
    """Write every count in this process whose time is over. Costs nothing while there is none."""
    if _untold:
        for flood in list(_untold):
            flood.tell()


def tell_all_counts() -> None:
    """Write every count in this process, also those that are still going on: the process is about to end."""
    for flood in list(_untold):
        flood.tell(everything=True)


@functools.cache
def _tell_the_rest_at_exit() -> None:
    """Registered with the first count: what is registered last runs first, so before `logging` closes its handlers."""
    atexit.register(tell_all_counts)

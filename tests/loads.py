"""Loads that run when the test says so, on the test's own thread, waits that only tick a clock, and who waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from d1verify import D1Verifier, KeyCache, KeySet, KeyStoreError, PublicKey, TokenError, _loading
from d1verify._loading import PendingLoad

from .support import NOW, SUBJECT, Clock

DOWN = KeyStoreError("the source is down")
EMPTY = KeySet({}, 100.0, 1000.0)


def waiters(pending: PendingLoad | None) -> int:
    """Return how many callers hang on what is in the air; nobody does where nothing is."""
    return 0 if pending is None else len(pending._callbacks)


def waiting(cache: KeyCache) -> int:
    """Return how many callers hang on the cache's load in the air."""
    return waiters(cache._loader._pending)


def verifier_over(cache: KeyCache, **settings: Any) -> D1Verifier:
    """Return a verifier that takes its keys from `cache` and whose wall clock stands at `NOW`."""
    return D1Verifier(cache, audience="stg", subject=SUBJECT, clock=lambda: NOW, **settings)


class HandLoads:
    """A key cache whose timer, loads and waits are moved by hand. It is the cache's store itself.

    Attributes:
        answer: what the load that runs next gives or raises.
        in_the_air: the loads that were started and have not run, oldest first.
        waits: for how many seconds somebody has asked to wait, one entry per wait.
        while_waiting: called in place of each wait with its seconds; by default nothing
            arrives and the clock moves on by all of them.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.clock = Clock(1000.0)
        self.in_the_air: list[Callable[[], None]] = []
        self.waits: list[float] = []
        self.started = 0
        self.while_waiting: Callable[[float], None] = self.clock.advance
        self.answer: object = DOWN
        monkeypatch.setattr(_loading, "start_thread", self._start)
        monkeypatch.setattr(_loading, "pause", self.clock.advance)
        monkeypatch.setattr(PendingLoad, "wait", lambda _pending, seconds: self._wait(seconds))
        self.cache = KeyCache(self, timer=self.clock, **settings)

    def load(self) -> KeySet:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer  # type: ignore[return-value]

    def finish(self, answer: object, index: int = 0) -> None:
        """Have one of the loads in the air end with this set, exception or whatever else."""
        self.answer = answer
        self.in_the_air.pop(index)()

    def arrives(self, answer: object, after: float = 0.5) -> None:
        """Have the newest load end with `answer` while somebody waits for it, from now on."""

        def arrive(seconds: float) -> None:
            if self.in_the_air and after <= seconds:
                self.clock.advance(after)
                self.finish(answer, -1)
            else:
                self.clock.advance(seconds)

        self.while_waiting = arrive

    def nothing_arrives(self) -> None:
        self.while_waiting = self.clock.advance

    def holding(self, answer: object) -> HandLoads:
        """Return self with a first load done that gave `answer` and took no time."""
        self.arrives(answer, after=0.0)
        self.cache.refresh()
        self.nothing_arrives()
        self.waits.clear()
        self.started = 0
        return self

    def ask(self, kid: str) -> PublicKey | str:
        """Return the key, or the reason for which there is none."""
        try:
            return self.cache.key(kid)
        except (TokenError, KeyStoreError) as error:
            return error.reason.value

    def retry_after(self, kid: str) -> float:
        with pytest.raises(KeyStoreError) as caught:
            self.cache.key(kid)
        return caught.value.retry_after

    def _start(self, run: Callable[[], None]) -> None:
        self.started += 1
        self.in_the_air.append(run)

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.while_waiting(seconds)

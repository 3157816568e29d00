"""The key cache: which keys are trusted now, and who waits when they have to be loaded.

`_freshness` decides, `_keyloader` loads; this module waits, in a thread or in a task.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from . import _freshness
from ._checks import checked_seconds
from ._freshness import Answer, Phase, Timing
from ._keyloader import KeyLoader, Plan
from .errors import ConfigurationError, Reason, TokenError
from .keys import KeySet, KeyStore, PublicKey, SkippedKey
from .observer import KeyLoad

__all__ = ["Health", "KeyCache", "Readiness"]


class Readiness(StrEnum):
    """What a load balancer wants to know of the keys."""

    READY = "ready"
    DEGRADED = "degraded"
    """Valid calls are served, but the source of the keys is in trouble: somebody should look."""
    UNREADY = "unready"
    """No key is usable: every call is answered with 503."""


class Health(NamedTuple):
    """How the trusted keys stand. Times in seconds.

    Attributes:
        state: `empty`, `fresh`, `ageing`, `due`, `stale`, `immutable` or `revoked`.
        kids: the key ids of the set in use, sorted; none while no key is usable.
        age: how long ago the load that gave the set was started; None without a set.
        withdrawal_bound: within what time a key withdrawn now is refused at the latest; infinite
            for keys that never change, None while no key is usable.
        skipped: what the source held besides, and why it gave no key.
        last_error: what went wrong last, if nothing has gone right since.
        next_attempt: seconds until keys may be loaded again; None if that is never by itself.
    """

    state: str
    kids: tuple[str, ...]
    age: float | None
    withdrawal_bound: float | None
    skipped: tuple[SkippedKey, ...]
    last_error: str | None
    next_attempt: float | None

    @property
    def readiness(self) -> Readiness:
        """Whether calls can be served. It stays `degraded` for as long as stale keys serve."""
        if self.state in (Phase.EMPTY, Phase.REVOKED):
            return Readiness.UNREADY
        in_trouble = self.state == Phase.STALE or self.last_error is not None
        return Readiness.DEGRADED if in_trouble else Readiness.READY


class KeyCache:
    """Keys by key id, from a store that is asked as seldom as possible and never twice at once.

    One cache serves any number of threads and event loops, asyncio and trio, and several
    verifiers. While the set is fresh a look-up takes no lock.

    Args:
        store: where keys come from; `load()` runs on a daemon thread of its own.
        cooldown: seconds between loads that unknown key ids may cause (a fifth of the
            set's `max_age` if that is less).
        max_wait: how many seconds a request waits for a load at most.
        load_timeout: after how many seconds a load is given up.
        timer: a monotonic clock, in seconds.

    Raises:
        ConfigurationError: an argument is out of range; the message names it.
    """

    def __init__(
        self,
        store: KeyStore,
        *,
        cooldown: float = 30.0,
        max_wait: float = 2.0,
        load_timeout: float = 10.0,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        if not callable(getattr(store, "load", None)):
            raise ConfigurationError("store must have a load() method that returns a KeySet")
        if not callable(timer):
            raise ConfigurationError("timer must be a function that returns seconds")
        self._timing = Timing(
            cooldown=checked_seconds(cooldown, "cooldown", low=0, high=86_400),
            max_wait=checked_seconds(max_wait, "max_wait", low=0, high=3600),
            load_timeout=checked_seconds(load_timeout, "load_timeout", low=0.001, high=3600),
        )
        self._timer = timer
        self._loader = KeyLoader(store, self._timing, timer)

    def fresh_key(self, kid: str) -> PublicKey | None:
        """Return the key if the set is fresh and has it, else None. Never blocks, takes no lock."""
        state = self._loader.state
        return state.by_kid.get(kid) if self._timer() < state.refresh_at else None

    def key(self, kid: str) -> PublicKey:
        """Return the trusted key with this id, waiting for a load where one is called for.

        Raises:
            TokenError: `unknown_key`.
            KeyStoreError: no verdict is possible now.
        """
        state = self._loader.state
        key = state.by_kid.get(kid)
        if key is not None and self._timer() < state.refresh_at:
            return key
        plan = self._loader.plan(kid)
        if plan.pending is not None:
            plan.pending.wait(plan.seconds)
            plan = self._loader.settle(kid, plan.pending)
        return self._carry_out(plan, kid)

    async def akey(self, kid: str) -> PublicKey:
        """Return what `key` returns, suspending the task instead of blocking the thread."""
        key = self.fresh_key(kid)
        if key is not None:
            return key
        plan = self._loader.plan(kid)
        if plan.pending is not None:
            await plan.pending.async_wait(plan.seconds)
            plan = self._loader.settle(kid, plan.pending)
        return self._carry_out(plan, kid)

    def warm_up(self) -> None:
        """Load keys if none are usable.

        Raises:
            KeyStoreError: none are usable afterwards.
        """
        pending, seconds = self._loader.begin_unless_usable()
        if pending is not None:
            pending.wait(seconds)
            self._require_usable()

    async def awarm_up(self) -> None:
        """Do what `warm_up` does without blocking the event loop."""
        pending, seconds = self._loader.begin_unless_usable()
        if pending is not None:
            await pending.async_wait(seconds)
            self._require_usable()

    def refresh(self) -> None:
        """Load now, whatever the state, with a load that starts after this call.

        The lever for an emergency withdrawal: once it returns, a key that the source no
        longer holds is refused. A source found empty for the first time raises; it takes a
        second look, at least a second later, to withdraw every key. Not for signal handlers,
        which may have interrupted a call that holds the lock: start a thread there.

        Raises:
            KeyStoreError: that load gave no set; what was trusted before still is.
        """
        asked_at = number = self._loader.state.started
        while number <= asked_at:
            pending, seconds = self._loader.begin_now(asked_at)
            pending.wait(seconds)
            number = pending.attempt.number
        self._require_applied(number)

    async def arefresh(self) -> None:
        """Do what `refresh` does without blocking the event loop."""
        asked_at = number = self._loader.state.started
        while number <= asked_at:
            pending, seconds = self._loader.begin_now(asked_at)
            await pending.async_wait(seconds)
            number = pending.attempt.number
        self._require_applied(number)

    def health(self) -> Health:
        """Return how the keys stand, without loading any."""
        now = self._loader.now()
        state = self._loader.state
        seconds = _freshness.next_attempt_at(state, self._timing, now, miss=False) - now
        return Health(
            state=_freshness.phase_of(state, now).value,
            kids=tuple(sorted(state.by_kid)) if _freshness.is_usable(state, now) else (),
            age=None if state.keys is None else now - state.loaded_at,
            withdrawal_bound=_freshness.withdrawal_bound(state, self._timing, now),
            skipped=() if state.keys is None else state.keys.skipped,
            last_error=state.error,
            next_attempt=None if seconds == math.inf else max(0.0, seconds),
        )

    def probe(self) -> Health:
        """Return how the keys stand, after having done what a call with a known key id would do about them.

        Keys that have come of age are loaded anew in the background. Where none is usable,
        this waits for a load as a call would, within the same limits and with the same
        back-off, so probing often loads no more often than serving does. A process that
        nobody calls then does not grow unready by idleness alone.
        """
        plan = self._plan_probe()
        if plan.pending is not None:
            plan.pending.wait(plan.seconds)
        return self.health()

    async def aprobe(self) -> Health:
        """Do what `probe` does without blocking the event loop."""
        plan = self._plan_probe()
        if plan.pending is not None:
            await plan.pending.async_wait(plan.seconds)
        return self.health()

    def key_set(self) -> KeySet | None:
        """Return the newest set that was applied, without loading any; None before the first."""
        return self._loader.state.keys

    def subscribe(self, listener: Callable[[KeyLoad], None]) -> None:
        """Have `listener` told of each load that ends, once, however often it is given."""
        self._loader.subscribe(listener)

    def _plan_probe(self) -> Plan:
        # A set in use is never empty; without one the key id does not matter.
        plan = self._loader.plan(next(iter(self._loader.state.by_kid), ""))
        return plan._replace(pending=None) if plan.answer is Answer.USE else plan

    def _carry_out(self, plan: Plan, kid: str) -> PublicKey:
        if plan.answer is Answer.USE and plan.key is not None:
            return plan.key
        if plan.answer is Answer.UNKNOWN:
            raise TokenError(Reason.UNKNOWN_KEY, kid=kid)
        raise self._loader.unavailable()

    def _require_usable(self) -> None:
        if not _freshness.is_usable(self._loader.state, self._loader.now()):
            raise self._loader.unavailable()

    def _require_applied(self, number: int) -> None:
        self._loader.now()
        if self._loader.state.applied < number:
            raise self._loader.unavailable()

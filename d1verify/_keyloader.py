"""One load at a time from a key store, and what is known of the keys because of it.

The decisions are pure functions in `_freshness` and `_transitions`; this module locks,
starts threads, applies results, and tells of them. Who waits is `keycache`'s business.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from . import _freshness, _loading, _transitions
from ._flood import tell_counts
from ._fork import renew_in_child
from ._freshness import Answer, Phase, State, Timing
from ._loading import PendingLoad
from ._log import KeyLog
from .errors import KeyStoreError
from .keys import KeySet, KeyStore, PublicKey
from .observer import KeyLoad, LoadOutcome, notify

__all__ = ["KeyLoader", "Plan"]

MAX_RETRY_AFTER = 3600.0

# The system's: a host that seeds the global one is not disturbed, and forked children do not draw alike.
_RANDOM: Final = random.SystemRandom()


class Plan(NamedTuple):
    """What to say about a key id, and what to wait for first, for how many seconds at most."""

    answer: Answer
    key: PublicKey | None = None
    pending: PendingLoad | None = None
    seconds: float = 0.0


_UNKNOWN: Final = Plan(Answer.UNKNOWN, None)


class KeyLoader:
    """The state of the keys, and the one load that may be in the air to renew it."""

    def __init__(self, store: KeyStore, timing: Timing, timer: Callable[[], float]) -> None:
        self.state = State()
        self._store = store
        self._timing = timing
        self._timer = timer
        self._listeners: tuple[Callable[[KeyLoad], None], ...] = ()
        self._key_log = KeyLog()
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Forget locks and threads, as a forked child must. The keys stay."""
        self._lock = threading.Lock()
        self._pending: PendingLoad | None = None
        self._outbox: list[Callable[[], None]] = []
        self.state = _transitions.after_fork(self.state)

    def subscribe(self, listener: Callable[[KeyLoad], None]) -> None:
        """Have `listener` told of each load that ends, once, however often it is given."""
        with self._lock:
            if listener not in self._listeners:
                self._listeners = (*self._listeners, listener)

    def now(self) -> float:
        """Return the time, with a load that has taken too long given up."""
        with self._lock:
            now = self._tick()
        self._tell()
        return now

    def plan(self, kid: str) -> Plan:
        """Decide for a request that names `kid`, and start the load that the decision asks for."""
        if self._is_plainly_unknown(kid):
            return _UNKNOWN
        with self._lock:
            now = self._tick()
            key = self.state.by_kid.get(kid)
            step = _freshness.decide(self.state, self._timing, now, known=key is not None)
            started = self._begin(now, miss=step.miss) if step.load else None
            pending = self._pending
        self._launch(started)
        self._tell()
        if step.wait and pending is not None:
            return Plan(step.answer, key, pending, pending.attempt.young_until - now)
        return Plan(step.answer, key)

    def _is_plainly_unknown(self, kid: str) -> bool:
        """Tell whether there is nothing to do but to refuse `kid`. A flood of such takes no lock."""
        state = self.state
        return kid not in state.by_kid and _freshness.is_plain_miss(state, self._timing, self._timer())

    def unavailable(self) -> KeyStoreError:
        """Return the error for a call that cannot be judged now; it says when keys are looked for next."""
        with self._lock:
            now = self._tick()
            state = self.state
            line = None if _freshness.is_usable(state, now) else self._key_log.on_unusable(state)
            if line is not None:
                self._outbox.append(line.write)
        self._tell()
        seconds = _freshness.next_attempt_at(state, self._timing, now, miss=True) - now
        why = "" if state.error is None else f": {state.error}"
        return KeyStoreError(
            f"the verification keys are not available{why}", retry_after=min(max(0.0, seconds), MAX_RETRY_AFTER)
        )

    def settle(self, kid: str, waited_for: PendingLoad) -> Plan:
        """Decide for a request that has waited; it will not wait again."""
        now = self.now()
        state = self.state
        key = state.by_kid.get(kid)
        number = waited_for.attempt.number
        return Plan(_freshness.settle(state, self._timing, number, now, known=key is not None), key)

    def begin_unless_usable(self) -> tuple[PendingLoad | None, float]:
        """Return the load to wait for, joined or started, and how long; None if keys are usable as it is."""
        started = None
        with self._lock:
            now = self._tick()
            if _freshness.is_usable(self.state, now):
                return None, 0.0
            pending = self._pending
            if pending is None:
                pending = started = self._begin(now)
        self._launch(started)
        self._tell()
        return pending, pending.attempt.abandon_at - now

    def begin_now(self, asked_at: int) -> tuple[PendingLoad, float]:
        """Return a load to wait for, and how long, on the way to one with a number above `asked_at`.

        A load that was in the air makes way for it, unless somebody else has asked for that
        one just so: then that is waited for, and the next one serves all who came meanwhile.
        """
        started = None
        with self._lock:
            now = self._tick()
            pending = self._pending
            if pending is None or not (pending.asked_for or pending.attempt.number > asked_at):
                if pending is not None:
                    self._require_room(self.state.stuck + 1)
                    self._report(LoadOutcome.SUPERSEDED, now - pending.attempt.started_at)
                    self._become(_transitions.after_superseding(self.state))
                pending = started = self._begin(now)
                started.asked_for = True
        self._launch(started)
        self._tell()
        return pending, pending.attempt.abandon_at - now

    def _begin(self, now: float, *, miss: bool = False) -> PendingLoad:
        """Take the slot for a new load; the lock is held. `_launch` it once the lock is free."""
        self._require_room(self.state.stuck)
        state, attempt = _transitions.after_start(self.state, self._timing, now, miss=miss)
        self._become(state)
        self._pending = PendingLoad(attempt)
        return self._pending

    def _require_room(self, stuck: int) -> None:
        if stuck >= _freshness.MAX_STUCK_LOADS:
            raise KeyStoreError("too many loads of the keys never came back", retry_after=self._timing.load_timeout)

    def _launch(self, pending: PendingLoad | None) -> None:
        if pending is None:
            return
        try:
            _loading.start_thread(lambda: self._run(pending))
        except RuntimeError:  # No thread to be had: the process is at a limit or about to end.
            self._land(pending, KeyStoreError("no thread could be started to load the keys"))

    def _run(self, pending: PendingLoad) -> None:
        """Load, on the thread that was started for it."""
        result = self._look()
        if isinstance(result, KeySet) and self._wants_second_look(pending, result):
            _loading.pause(_transitions.CONFIRMATION_DELAY)
            pending.looked_at = self._timer()
            result = self._look()
        self._land(pending, result)

    def _look(self) -> KeySet | KeyStoreError:
        try:
            result = self._store.load()
        except KeyStoreError as error:
            return error
        except BaseException as error:  # Whatever a store does, the load has failed and nothing else.
            return KeyStoreError(f"the key store raised {type(error).__name__}")
        if not isinstance(result, KeySet):
            return KeyStoreError(f"the key store returned {type(result).__name__} instead of a KeySet")
        if result.skipped and not result:
            return KeyStoreError(f"none of {len(result.skipped)} candidates is usable: {result.skipped[0].why}")
        return result

    def _wants_second_look(self, pending: PendingLoad, result: KeySet) -> bool:
        """Tell whether to confirm an empty answer at once, because somebody waits to hear of a withdrawal.

        Otherwise the caller who woke an idle process would still be let in by the set that
        has come of age, and the withdrawal of all keys would hold one request too late.
        """
        with self._lock:
            state, now = self.state, self._timer()
            first = state.empty_seen_at is None and pending.attempt.number > state.applied
            wanted = not result and first and _freshness.phase_of(state, now) is Phase.DUE
            if wanted:
                self.state = _transitions.after_first_empty(state, pending.looked_at)
        return wanted

    def _land(self, pending: PendingLoad, result: KeySet | KeyStoreError) -> None:
        """Apply what a load gave, tell of it, and wake whoever waits."""
        try:
            with self._lock:
                outcome = self._apply(pending, result)
                if outcome is not None:
                    self._report(outcome, self._timer() - pending.attempt.started_at)
        finally:
            pending.end()
        self._tell()

    def _apply(self, pending: PendingLoad, result: KeySet | KeyStoreError) -> LoadOutcome | None:
        """Return how the load ended, or None if it no longer matters."""
        number, started_at = pending.attempt.number, pending.looked_at
        before = self.state
        if isinstance(result, KeyStoreError):
            state = _transitions.after_failure(before, number, self._timer(), str(result), _jitter())
            self._become(state)
            return LoadOutcome.FAILED if state.failures > before.failures else None
        if number > before.applied and not result:
            self._become(_transitions.after_empty(before, number, started_at, result))
            return LoadOutcome.REVOKED if self.state.revoked else LoadOutcome.EMPTY
        refresh_after = result.max_age * _RANDOM.uniform(0.7, 0.9)
        took = self._timer() - started_at
        self._become(_transitions.after_set(before, number, started_at, result, refresh_after, took=took))
        return LoadOutcome.LOADED if number > before.applied else None

    def _tick(self) -> float:
        """Return the time; the lock is held. A load that has taken too long is given up."""
        now = self._timer()
        pending = self._pending
        if pending is not None and now >= pending.attempt.abandon_at:
            self._become(_transitions.after_abandonment(self.state, pending.attempt, _jitter()))
            self._report(LoadOutcome.ABANDONED, now - pending.attempt.started_at)
        return now

    def _become(self, state: State) -> None:
        self.state = state
        if state.attempt is None:
            self._pending = None

    def _report(self, outcome: LoadOutcome, seconds: float) -> None:
        """Note what to tell of a load that ended, once the lock is free."""
        line = self._key_log.on_load(outcome, self.state)
        if line is not None:
            self._outbox.append(line.write)
        event = KeyLoad(outcome=outcome, usable=len(self.state.by_kid), seconds=seconds)
        self._outbox.extend(partial(notify, listener, event) for listener in self._listeners)

    def _tell(self) -> None:
        """Write the log lines and tell the listeners; the lock is free, so they may do what they like."""
        tell_counts()
        if self._outbox:
            with self._lock:
                outbox, self._outbox = self._outbox, []
            for message in outbox:
                message()


def _jitter() -> float:
    return _RANDOM.uniform(0.75, 1.0)

"""What becomes of the state of the keys: pure functions from a state and an event to the next state.

A load starts, gives a set, sees the source empty, fails, is given up, makes way for
another, or is lost to a fork.
"""

from __future__ import annotations

import math
from typing import Final

from ._freshness import Attempt, State, Timing
from .keys import KeySet

__all__ = [
    "CONFIRMATION_DELAY",
    "after_abandonment",
    "after_empty",
    "after_failure",
    "after_first_empty",
    "after_fork",
    "after_set",
    "after_start",
    "after_superseding",
]

MAX_BACK_OFF: Final = 30.0
# An empty answer counts when a second look, at least this much later, sees it again.
CONFIRMATION_DELAY: Final = 1.0


def after_start(state: State, timing: Timing, now: float, *, miss: bool) -> tuple[State, Attempt]:
    """A load has been started; the first one of a process may be waited for as long as it may take."""
    first = state.started == 0
    patience = timing.load_timeout if first else min(timing.max_wait, timing.load_timeout)
    attempt = Attempt(state.started + 1, now, now + patience, now + timing.load_timeout)
    gate_from = now if miss else state.gate_from
    return state._replace(attempt=attempt, started=attempt.number, gate_from=gate_from), attempt


def after_set(
    state: State, number: int, started_at: float, keys: KeySet, refresh_after: float, *, took: float
) -> State:
    """Load `number` gave a set with keys. A late one is applied only if nothing newer was."""
    state = _landed(state, number)
    if number <= state.applied:
        return state
    keys = keys if state.keys is None else keys.carrying_over(state.keys)
    return state._replace(
        keys=keys,
        by_kid=dict(keys.keys),
        loaded_at=started_at,
        took=took,
        refresh_at=started_at + refresh_after,
        applied=number,
        revoked=False,
        empty_seen_at=None,
        failures=0,
        retry_at=-math.inf,
        error=None,
    )


def after_first_empty(state: State, looked_at: float) -> State:
    """The source was seen well-formed and empty for the first time. That changes nothing yet.

    It is no failure either, but the second look happens as soon as it may.
    """
    return state._replace(
        empty_seen_at=looked_at,
        refresh_at=min(state.refresh_at, looked_at + CONFIRMATION_DELAY),
        retry_at=looked_at + CONFIRMATION_DELAY,
        error="the source holds no key at all; a second look, a second later, will tell",
    )


def after_empty(state: State, number: int, looked_at: float, keys: KeySet) -> State:
    """Load `number` saw the source well-formed and empty. Seen twice, far enough apart, it revokes everything."""
    state = _landed(state, number)
    if number <= state.applied:
        return state
    if state.empty_seen_at is None:
        return after_first_empty(state, looked_at)
    if abs(looked_at - state.empty_seen_at) < CONFIRMATION_DELAY:
        return state
    return state._replace(
        keys=keys,
        by_kid=dict(keys.keys),
        loaded_at=looked_at,
        refresh_at=-math.inf,
        applied=number,
        revoked=True,
        failures=0,
        retry_at=-math.inf,
        error="the source holds no key at all",
    )


def after_failure(state: State, number: int, now: float, error: str, jitter: float) -> State:
    """Load `number` failed. One that had been given up on was counted then.

    Args:
        jitter: a factor up to 1 for the back-off of min(30, 2ⁿ⁻¹) s, so that a fleet does not beat in time.
    """
    counts = state.attempt is not None and state.attempt.number == number
    state = _landed(state, number)
    if not counts:
        return state
    failures = state.failures + 1
    back_off = min(MAX_BACK_OFF, 2.0 ** min(failures - 1, 5)) * jitter
    return state._replace(failures=failures, retry_at=now + back_off, gate_from=now, error=error)


def after_abandonment(state: State, attempt: Attempt, jitter: float) -> State:
    """The load in the air took too long: its slot is free, its thread may still run."""
    state = after_failure(state, attempt.number, attempt.abandon_at, "the key store did not answer in time", jitter)
    return state._replace(stuck=state.stuck + 1)


def after_superseding(state: State) -> State:
    """The load in the air makes way for one that starts now; its result still counts if nothing newer came."""
    return state._replace(attempt=None, stuck=state.stuck + 1)


def after_fork(state: State) -> State:
    """In a forked child no thread of the parent lives: no load is in the air and none has failed."""
    return state._replace(
        attempt=None, started=state.applied, stuck=0, failures=0, retry_at=-math.inf, gate_from=-math.inf
    )


def _landed(state: State, number: int) -> State:
    """The thread of load `number` has ended."""
    if state.attempt is not None and state.attempt.number == number:
        return state._replace(attempt=None)
    return state._replace(stuck=max(0, state.stuck - 1))

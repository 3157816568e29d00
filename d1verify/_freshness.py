"""When keys are loaded and who waits: pure functions from a state and a moment to a step.

Nothing here locks, waits or loads; `keycache` does and obeys. All times are seconds on a
monotonic clock. `decide` is the table of the README's section on keys, with `_old_word` for
what a set of age says; what becomes of a state is in `_transitions`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from .keys import KeySet, PublicKey

__all__ = [
    "MAX_STUCK_LOADS",
    "Answer",
    "Attempt",
    "Phase",
    "State",
    "Step",
    "Timing",
    "decide",
    "is_plain_miss",
    "is_usable",
    "next_attempt_at",
    "phase_of",
    "settle",
    "withdrawal_bound",
]

MAX_STUCK_LOADS = 4


class Timing(NamedTuple):
    """The settings of a key cache, in seconds."""

    cooldown: float
    max_wait: float
    load_timeout: float


class Attempt(NamedTuple):
    """A load in the air: young (worth waiting for) until `young_until`, given up at `abandon_at`."""

    number: int
    started_at: float
    young_until: float
    abandon_at: float


class State(NamedTuple):
    """All that is known about the keys at one moment. Immutable; each transition returns a new one.

    Attributes:
        keys: the newest set that was applied, or None.
        by_kid: its keys, for the fast path.
        loaded_at: when the load that gave it started.
        took: how many seconds that load took.
        refresh_at: from when on it is worth a background load.
        applied: the number of the load that gave it.
        revoked: the newest set is a confirmed empty one.
        empty_seen_at: when the load started that first saw the source empty, if one did.
        failures: loads failed in a row since the last good one.
        retry_at: no load by itself before this.
        gate_from: the gate for unknown kids counts from here.
        attempt: the load in the air, or None.
        started: how many loads were ever started.
        stuck: loads given up on whose thread still runs.
        error: what the last failed load said, in words of ours.
    """

    keys: KeySet | None = None
    by_kid: Mapping[str, PublicKey] = MappingProxyType({})
    loaded_at: float = -math.inf
    took: float = 0.0
    refresh_at: float = -math.inf
    applied: int = 0
    revoked: bool = False
    empty_seen_at: float | None = None
    failures: int = 0
    retry_at: float = -math.inf
    gate_from: float = -math.inf
    attempt: Attempt | None = None
    started: int = 0
    stuck: int = 0
    error: str | None = None


class Phase(StrEnum):
    """How current the keys are: the rows of the table, the first that matches."""

    REVOKED = "revoked"
    EMPTY = "empty"
    IMMUTABLE = "immutable"
    FRESH = "fresh"
    AGEING = "ageing"
    DUE = "due"
    STALE = "stale"


class Answer(Enum):
    """What to say about a key id."""

    USE = "use the key"
    UNKNOWN = "unknown_key"
    UNAVAILABLE = "KeyStoreError"


class Step(NamedTuple):
    """What to do: start a load, wait for the load in the air, and what to say if there is no waiting."""

    answer: Answer
    load: bool = False
    wait: bool = False
    miss: bool = False


# The one step that a flood asks for over and over.
_UNKNOWN: Final = Step(Answer.UNKNOWN)


def phase_of(state: State, now: float) -> Phase:
    """Return the row of the table that the state is in."""
    if state.revoked:
        return Phase.REVOKED
    if state.keys is None:
        return Phase.EMPTY
    age, max_age = now - state.loaded_at, state.keys.max_age
    if not age < max_age + state.keys.max_stale:  # so that a timer that says NaN has no key
        return Phase.EMPTY
    if math.isinf(max_age):
        return Phase.IMMUTABLE
    if now < state.refresh_at:
        return Phase.FRESH
    if age < max_age:
        return Phase.AGEING
    overdue = state.attempt is not None and not is_young(state.attempt, now)
    return Phase.STALE if state.failures or overdue else Phase.DUE


def decide(state: State, timing: Timing, now: float, *, known: bool) -> Step:
    """Return what to do for a request that names a known or an unknown key id."""
    phase = phase_of(state, now)
    rested = state.attempt is None and now >= state.retry_at and state.stuck < MAX_STUCK_LOADS
    joinable = state.attempt is not None and is_young(state.attempt, now)
    match phase:
        case Phase.REVOKED:
            return Step(Answer.UNAVAILABLE, load=rested and now >= due_at(state))
        case Phase.EMPTY:
            return Step(Answer.UNAVAILABLE, load=rested, wait=rested or joinable)
        case Phase.IMMUTABLE:
            return Step(Answer.USE) if known else _UNKNOWN
        case Phase.FRESH | Phase.AGEING if known:
            return Step(Answer.USE, load=rested and phase is Phase.AGEING)
        case Phase.FRESH | Phase.AGEING:
            return _on_miss(state, timing, now, joinable=joinable)
        case Phase.DUE:
            answer = _old_word(state, timing, now) if known else Answer.UNAVAILABLE
            return Step(answer, load=rested, wait=rested or joinable, miss=not known)
        case Phase.STALE if known:
            return Step(_old_word(state, timing, now), load=rested)
        case _:
            # A set past max_age may say yes, never no.
            return Step(Answer.UNAVAILABLE, load=rested and gate_is_open(state, timing, now), miss=True)


def is_plain_miss(state: State, timing: Timing, now: float) -> bool:
    """Tell whether `decide` has but `unknown_key` to say to a key id that the set lacks: no load to start or to join.

    It may say no where `decide` says so: a flood of unknown key ids in its most frequent form, made short.
    """
    if state.attempt is not None or state.revoked or not now < state.refresh_at:
        return False
    return state.refresh_at == math.inf or not gate_is_open(state, timing, now)


def _on_miss(state: State, timing: Timing, now: float, *, joinable: bool) -> Step:
    """A key id that a current set lacks: look again, but only once per gate, whatever is asked for."""
    if joinable:
        return Step(Answer.UNAVAILABLE, wait=True)
    if not gate_is_open(state, timing, now):
        return _UNKNOWN
    may_start = state.attempt is None and state.stuck < MAX_STUCK_LOADS
    return Step(Answer.UNAVAILABLE, load=may_start, wait=may_start, miss=True)


def settle(state: State, timing: Timing, number: int, now: float, *, known: bool) -> Answer:
    """Return what to say after waiting for load `number`, whatever became of it."""
    if phase_of(state, now) in (Phase.REVOKED, Phase.EMPTY):
        return Answer.UNAVAILABLE
    if known:
        return _old_word(state, timing, now)
    return Answer.UNKNOWN if state.applied >= number else Answer.UNAVAILABLE


def _old_word(state: State, timing: Timing, now: float) -> Answer:
    """Return what a set says about a key that it has: in general yes.

    Not so when it has come of age and the source was seen empty, in the second look that
    is under way, or last of all and longer ago than a request waits: the bound on a
    withdrawal is not put off by the pause before that look.
    """
    attempt, seen_at = state.attempt, state.empty_seen_at
    if seen_at is None or now < due_at(state):
        return Answer.USE
    confirming = attempt is not None and seen_at >= attempt.started_at
    answering = not state.failures and (attempt is None or is_young(attempt, now))
    too_late = answering and now >= due_at(state) + timing.max_wait
    return Answer.UNAVAILABLE if confirming or too_late else Answer.USE


def is_young(attempt: Attempt, now: float) -> bool:
    """Tell whether the load is worth waiting for. Whoever comes late to an old one never waits."""
    return now < attempt.young_until


def is_usable(state: State, now: float) -> bool:
    """Tell whether the set may still say yes."""
    return phase_of(state, now) not in (Phase.REVOKED, Phase.EMPTY)


def gate_is_open(state: State, timing: Timing, now: float) -> bool:
    """Tell whether an unknown key id may cause a load."""
    return now >= gate_opens_at(state, timing)


def gate_opens_at(state: State, timing: Timing) -> float:
    max_age = math.inf if state.keys is None else state.keys.max_age
    return state.gate_from + min(timing.cooldown, max_age / 5)


def due_at(state: State) -> float:
    """Return when the set comes of age."""
    return math.inf if state.keys is None else state.loaded_at + state.keys.max_age


def next_attempt_at(state: State, timing: Timing, now: float, *, miss: bool) -> float:
    """Return when keys are looked for next: what a caller who got no key is told to wait for.

    While a load is in the air it either ends before it is given up, or the next one follows then.

    Args:
        miss: for a key id that is not in the set, which has to wait for the gate as well.
    """
    if state.attempt is not None:
        return state.attempt.abandon_at
    match phase_of(state, now):
        case Phase.REVOKED:
            return max(state.retry_at, due_at(state))
        case Phase.IMMUTABLE:
            return math.inf
        case Phase.EMPTY | Phase.DUE:
            return state.retry_at
        case _ if miss:
            return max(state.retry_at, gate_opens_at(state, timing))
        case _:
            return max(state.retry_at, state.refresh_at)


def withdrawal_bound(state: State, timing: Timing, now: float) -> float | None:
    """Return within how many seconds a withdrawn key is refused, as things stand; None without keys.

    The short bound holds while the source answers, and within what a request waits for it.
    """
    if state.keys is None or not is_usable(state, now):
        return None
    slow = state.took > timing.max_wait
    if slow or state.failures or phase_of(state, now) is Phase.STALE:
        return state.keys.max_age + state.keys.max_stale
    return state.keys.max_age + timing.max_wait

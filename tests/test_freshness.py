"""The decision of DESIGN.md 5, cell by cell: `decide` is a pure function and this table is its specification."""

from __future__ import annotations

import math
from typing import Any

import pytest

from d1verify import KeySet
from d1verify import _freshness as f
from d1verify import _transitions as t
from d1verify._freshness import Answer, Attempt, Phase, State, Step, Timing

from .support import KEY, OTHER_KEY, key_set

TIMING = Timing(cooldown=30.0, max_wait=2.0, load_timeout=10.0)
LOADED_AT = 1000.0
# max_age 100, max_stale 1000: refresh_at 1080, ageing until 1100, limit 2100; the gate is min(30, 100 / 5) = 20 s.
FRESH_AT, AGEING_AT, DUE_AT, EXPIRED_AT = 1050.0, 1090.0, 1500.0, 2100.0
GATE = 20.0


def loaded(**changes: Any) -> State:
    keys = key_set(KEY)
    base = State(keys=keys, by_kid=keys.keys, loaded_at=LOADED_AT, refresh_at=1080.0, applied=1, started=1)
    return base._replace(**changes)


def revoked(**changes: Any) -> State:
    empty = KeySet({}, 100.0, 1000.0)
    return loaded(keys=empty, by_kid={}, revoked=True, refresh_at=-math.inf)._replace(**changes)


def immutable(**changes: Any) -> State:
    return loaded(keys=key_set(KEY, max_age=math.inf), refresh_at=math.inf, **changes)


def young(now: float) -> Attempt:
    return Attempt(2, now - 1.0, now + 1.0, now + 9.0)


def overdue(now: float) -> Attempt:
    return Attempt(2, now - 3.0, now - 1.0, now + 7.0)


USE = Step(Answer.USE)
USE_AND_LOAD = Step(Answer.USE, load=True)
NO = Step(Answer.UNAVAILABLE)
NO_BUT_LOAD = Step(Answer.UNAVAILABLE, load=True)
NO_BUT_WAIT = Step(Answer.UNAVAILABLE, wait=True)
NO_BUT_LOAD_AND_WAIT = Step(Answer.UNAVAILABLE, load=True, wait=True)
MISS = Step(Answer.UNAVAILABLE, load=True, wait=True, miss=True)
MISS_ALONE = Step(Answer.UNAVAILABLE, miss=True)
UNKNOWN = Step(Answer.UNKNOWN)

TIRED: dict[str, Any] = {"retry_at": math.inf}
SHUT: dict[str, Any] = {"gate_from": math.inf}
STUCK: dict[str, Any] = {"stuck": f.MAX_STUCK_LOADS}
FAILED: dict[str, Any] = {"failures": 1}

# (state, now, step for a known kid, step for an unknown kid)
CELLS: dict[str, tuple[State, float, Step, Step]] = {
    # revoked: KeyStoreError; a background load per max_age
    "revoked, not due": (revoked(), FRESH_AT, NO, NO),
    "revoked, due": (revoked(), 1100.0, NO_BUT_LOAD, NO_BUT_LOAD),
    "revoked, a moment before due": (revoked(), 1099.9, NO, NO),
    "revoked, due, back-off": (revoked(**TIRED), DUE_AT, NO, NO),
    "revoked, due, young load": (revoked(attempt=young(DUE_AT)), DUE_AT, NO, NO),
    "revoked, due, overdue load": (revoked(attempt=overdue(DUE_AT)), DUE_AT, NO, NO),
    "revoked, due, all stuck": (revoked(**STUCK), DUE_AT, NO, NO),
    "revoked, due, gate shut": (revoked(**SHUT), DUE_AT, NO_BUT_LOAD, NO_BUT_LOAD),
    "revoked beats a set beyond its limit": (revoked(), EXPIRED_AT, NO_BUT_LOAD, NO_BUT_LOAD),
    # empty: start (if the back-off has passed) or join, wait
    "empty, never loaded": (State(), 0.0, NO_BUT_LOAD_AND_WAIT, NO_BUT_LOAD_AND_WAIT),
    "empty, back-off": (State(**TIRED), 0.0, NO, NO),
    "empty, young load": (State(attempt=young(0.0)), 0.0, NO_BUT_WAIT, NO_BUT_WAIT),
    "empty, young load, back-off": (State(attempt=young(0.0), **TIRED), 0.0, NO_BUT_WAIT, NO_BUT_WAIT),
    "empty, overdue load": (State(attempt=overdue(0.0)), 0.0, NO, NO),
    "empty, all stuck": (State(**STUCK), 0.0, NO, NO),
    "empty, gate shut": (State(**SHUT), 0.0, NO_BUT_LOAD_AND_WAIT, NO_BUT_LOAD_AND_WAIT),
    "empty at the limit": (loaded(), EXPIRED_AT, NO_BUT_LOAD_AND_WAIT, NO_BUT_LOAD_AND_WAIT),
    "empty beyond the limit, failed": (loaded(**FAILED), 9999.0, NO_BUT_LOAD_AND_WAIT, NO_BUT_LOAD_AND_WAIT),
    "empty beyond the limit, back-off": (loaded(**FAILED, **TIRED), 9999.0, NO, NO),
    # immutable: use, or unknown_key without a load
    "immutable": (immutable(), 1e9, USE, UNKNOWN),
    "immutable after a failed refresh": (immutable(**FAILED), 1e9, USE, UNKNOWN),
    "immutable, young load": (immutable(attempt=young(1e9)), 1e9, USE, UNKNOWN),
    # fresh: use; unknown: the gate, or a young load to join
    "fresh, gate open": (loaded(), FRESH_AT, USE, MISS),
    "fresh, gate shut": (loaded(**SHUT), FRESH_AT, USE, UNKNOWN),
    "fresh, gate opens now": (loaded(gate_from=FRESH_AT - GATE), FRESH_AT, USE, MISS),
    "fresh, gate opens in a moment": (loaded(gate_from=FRESH_AT - GATE + 0.1), FRESH_AT, USE, UNKNOWN),
    "fresh, gate open, young load": (loaded(attempt=young(FRESH_AT)), FRESH_AT, USE, NO_BUT_WAIT),
    "fresh, gate shut, young load": (loaded(attempt=young(FRESH_AT), **SHUT), FRESH_AT, USE, NO_BUT_WAIT),
    "fresh, gate open, overdue load": (loaded(attempt=overdue(FRESH_AT)), FRESH_AT, USE, MISS_ALONE),
    "fresh, gate shut, overdue load": (loaded(attempt=overdue(FRESH_AT), **SHUT), FRESH_AT, USE, UNKNOWN),
    "fresh, gate open, all stuck": (loaded(**STUCK), FRESH_AT, USE, MISS_ALONE),
    "fresh, gate shut, all stuck": (loaded(**STUCK, **SHUT), FRESH_AT, USE, UNKNOWN),
    "fresh, failed": (loaded(**FAILED), FRESH_AT, USE, MISS),
    "fresh, gate open, back-off": (loaded(**FAILED, **TIRED), FRESH_AT, USE, MISS),
    # ageing: use, and a background load; unknown as fresh
    "ageing, gate open": (loaded(), AGEING_AT, USE_AND_LOAD, MISS),
    "ageing from refresh_at": (loaded(), 1080.0, USE_AND_LOAD, MISS),
    "ageing, gate shut": (loaded(**SHUT), AGEING_AT, USE_AND_LOAD, UNKNOWN),
    "ageing, back-off, gate open": (loaded(**TIRED), AGEING_AT, USE, MISS),
    "ageing, back-off, gate shut": (loaded(**TIRED, **SHUT), AGEING_AT, USE, UNKNOWN),
    "ageing, young load": (loaded(attempt=young(AGEING_AT)), AGEING_AT, USE, NO_BUT_WAIT),
    "ageing, young load, gate shut": (loaded(attempt=young(AGEING_AT), **SHUT), AGEING_AT, USE, NO_BUT_WAIT),
    "ageing, overdue load": (loaded(attempt=overdue(AGEING_AT)), AGEING_AT, USE, MISS_ALONE),
    "ageing, overdue load, gate shut": (loaded(attempt=overdue(AGEING_AT), **SHUT), AGEING_AT, USE, UNKNOWN),
    "ageing, all stuck": (loaded(**STUCK), AGEING_AT, USE, MISS_ALONE),
    # due: start or join, wait; whatever the gate
    "due at max_age": (loaded(), 1100.0, Step(Answer.USE, load=True, wait=True), MISS),
    "due": (loaded(), DUE_AT, Step(Answer.USE, load=True, wait=True), MISS),
    "due, gate shut": (loaded(**SHUT), DUE_AT, Step(Answer.USE, load=True, wait=True), MISS),
    "due, young load": (
        loaded(attempt=young(DUE_AT)),
        DUE_AT,
        Step(Answer.USE, wait=True),
        Step(Answer.UNAVAILABLE, wait=True, miss=True),
    ),
    "due, all stuck": (loaded(**STUCK), DUE_AT, USE, MISS_ALONE),
    # stale: use at once; unknown: KeyStoreError at once; a background load when the back-off has passed
    "stale, failed": (loaded(**FAILED), DUE_AT, USE_AND_LOAD, Step(Answer.UNAVAILABLE, load=True, miss=True)),
    "stale, failed, back-off": (loaded(**FAILED, **TIRED), DUE_AT, USE, MISS_ALONE),
    "stale, failed, gate shut": (loaded(**FAILED, **SHUT), DUE_AT, USE_AND_LOAD, MISS_ALONE),
    "stale, failed, young load": (loaded(**FAILED, attempt=young(DUE_AT)), DUE_AT, USE, MISS_ALONE),
    "stale, failed, overdue load": (loaded(**FAILED, attempt=overdue(DUE_AT)), DUE_AT, USE, MISS_ALONE),
    "stale, overdue load": (loaded(attempt=overdue(DUE_AT)), DUE_AT, USE, MISS_ALONE),
    "stale, failed, all stuck": (loaded(**FAILED, **STUCK), DUE_AT, USE, MISS_ALONE),
    "stale until just before the limit": (
        loaded(**FAILED),
        2099.9,
        USE_AND_LOAD,
        Step(Answer.UNAVAILABLE, load=True, miss=True),
    ),
}


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
def test_decides_as_the_table_says(cell: tuple[State, float, Step, Step], known: bool) -> None:  # noqa: FBT001
    state, now, of_known, of_unknown = cell
    assert f.decide(state, TIMING, now, known=known) == (of_known if known else of_unknown)


def test_the_table_of_cells_visits_every_phase() -> None:
    assert {f.phase_of(state, now) for state, now, _, _ in CELLS.values()} == set(Phase)


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
def test_never_starts_a_second_load_or_one_too_many(cell: tuple[State, float, Step, Step], known: bool) -> None:  # noqa: FBT001
    state, now, _, _ = cell
    for changes in ({"attempt": young(now)}, {"attempt": overdue(now)}, STUCK):
        assert not f.decide(state._replace(**changes), TIMING, now, known=known).load


def test_the_gate_is_a_fifth_of_a_short_max_age() -> None:
    short = loaded(keys=key_set(KEY, max_age=5.0), gate_from=7.0)
    assert f.gate_opens_at(short, TIMING) == 8.0


def test_the_gate_is_the_cooldown_for_a_long_max_age_and_without_a_set() -> None:
    assert f.gate_opens_at(loaded(keys=key_set(KEY, max_age=600.0), gate_from=7.0), TIMING) == 37.0
    assert f.gate_opens_at(State(gate_from=7.0), TIMING) == 37.0


def test_the_gate_is_not_shut_at_construction() -> None:
    assert f.gate_is_open(State(), TIMING, 0.0)


# settle: what a request says that has waited for load 2

SETTLED: dict[str, tuple[State, float, Answer, Answer]] = {
    "it succeeded": (loaded(applied=2), FRESH_AT, Answer.USE, Answer.UNKNOWN),
    "a newer one succeeded": (loaded(applied=3), FRESH_AT, Answer.USE, Answer.UNKNOWN),
    "it failed, the set is current": (loaded(**FAILED), FRESH_AT, Answer.USE, Answer.UNAVAILABLE),
    "it is unfinished, the set is past max_age": (
        loaded(attempt=overdue(DUE_AT)),
        DUE_AT,
        Answer.USE,
        Answer.UNAVAILABLE,
    ),
    "it failed, the set is past max_age": (loaded(**FAILED), DUE_AT, Answer.USE, Answer.UNAVAILABLE),
    "it failed and there is no set": (State(**FAILED), FRESH_AT, Answer.UNAVAILABLE, Answer.UNAVAILABLE),
    "the set is beyond its limit": (loaded(applied=2), EXPIRED_AT, Answer.UNAVAILABLE, Answer.UNAVAILABLE),
    "it confirmed that all is withdrawn": (revoked(applied=2), FRESH_AT, Answer.UNAVAILABLE, Answer.UNAVAILABLE),
}


@pytest.mark.parametrize("case", SETTLED.values(), ids=SETTLED.keys())
def test_says_after_waiting_what_the_load_made_of_it(case: tuple[State, float, Answer, Answer]) -> None:
    state, now, known, unknown = case
    assert f.settle(state, TIMING, 2, now, known=True) is known
    assert f.settle(state, TIMING, 2, now, known=False) is unknown


# a set that has come of age, while the source was seen empty: loaded at 1000, of age at 1100, a wait of 2 s

SEEN_EMPTY: dict[str, tuple[State, float, Answer]] = {
    "never": (loaded(), 1200.0, Answer.USE),
    "and the set is not of age": (loaded(empty_seen_at=1095.0), 1099.9, Answer.USE),
    "within what a request waits": (loaded(empty_seen_at=1099.5), 1101.9, Answer.USE),
    "longer ago than that": (loaded(empty_seen_at=1099.5), 1102.0, Answer.UNAVAILABLE),
    "and the next load has only begun": (
        loaded(empty_seen_at=1099.5, attempt=Attempt(2, 1101.0, 1103.0, 1111.0)),
        1102.5,
        Answer.UNAVAILABLE,
    ),
    "and the next load is late": (
        loaded(empty_seen_at=1099.5, attempt=Attempt(2, 1101.0, 1103.0, 1111.0)),
        1103.0,
        Answer.USE,
    ),
    "and the next load failed": (loaded(empty_seen_at=1099.5, **FAILED), 1102.5, Answer.USE),
    "by the load in the air": (
        loaded(empty_seen_at=1100.5, attempt=Attempt(2, 1100.5, 1102.5, 1110.5)),
        1100.6,
        Answer.UNAVAILABLE,
    ),
    "by the load in the air, which is late": (
        loaded(empty_seen_at=1100.5, attempt=Attempt(2, 1100.5, 1102.5, 1110.5)),
        1109.0,
        Answer.UNAVAILABLE,
    ),
}


@pytest.mark.parametrize("case", SEEN_EMPTY.values(), ids=SEEN_EMPTY.keys())
def test_a_source_seen_empty_does_not_put_off_the_bound_of_a_set_of_age(case: tuple[State, float, Answer]) -> None:
    state, now, answer = case
    assert f.decide(state, TIMING, now, known=True).answer is answer
    assert f.settle(state, TIMING, 1, now, known=True) is answer


# transitions


def test_the_first_load_may_be_waited_for_until_it_is_given_up() -> None:
    state, attempt = t.after_start(State(), TIMING, 5.0, miss=False)
    assert attempt == Attempt(1, 5.0, 15.0, 15.0)
    assert (state.attempt, state.started, state.gate_from) == (attempt, 1, -math.inf)


def test_later_loads_are_waited_for_max_wait() -> None:
    state, attempt = t.after_start(loaded(), TIMING, 1500.0, miss=True)
    assert attempt == Attempt(2, 1500.0, 1502.0, 1510.0)
    assert (state.started, state.gate_from) == (2, 1500.0)


def test_nobody_waits_beyond_load_timeout_where_max_wait_is_longer() -> None:
    impatient = Timing(cooldown=30.0, max_wait=20.0, load_timeout=10.0)
    assert t.after_start(loaded(), impatient, 0.0, miss=False)[1].young_until == 10.0


def test_a_set_is_as_old_as_the_load_that_gave_it() -> None:
    in_the_air, attempt = t.after_start(loaded(**FAILED, retry_at=1.0, error="x"), TIMING, 1500.0, miss=False)
    state = t.after_set(in_the_air, 2, attempt.started_at, key_set(KEY, OTHER_KEY), 75.0, took=0.0)
    assert set(state.by_kid) == {KEY.kid, OTHER_KEY.kid}
    assert (state.loaded_at, state.refresh_at, state.applied, state.attempt) == (1500.0, 1575.0, 2, None)
    assert (state.failures, state.retry_at, state.error, state.empty_seen_at) == (0, -math.inf, None, None)


def test_a_set_ends_a_revocation() -> None:
    state = t.after_set(revoked(), 2, 1500.0, key_set(KEY), 75.0, took=0.0)
    assert not state.revoked
    assert f.phase_of(state, 1501.0) is Phase.FRESH


def test_a_set_carries_the_same_key_object_over() -> None:
    again = KeySet({KEY.kid: type(KEY.public).from_pem(KEY.pem), OTHER_KEY.kid: OTHER_KEY.public})
    state = t.after_set(loaded(), 2, 1500.0, again, 75.0, took=0.0)
    assert state.by_kid[KEY.kid] is KEY.public


@pytest.mark.parametrize("number", [1, 2])
def test_a_set_that_comes_after_a_newer_one_is_dropped_and_its_thread_counted_out(number: int) -> None:
    state = loaded(applied=2, stuck=1)
    assert t.after_set(state, number, 0.0, key_set(OTHER_KEY), 75.0, took=0.0) == state._replace(stuck=0)
    assert t.after_empty(state, number, 0.0, KeySet({})) == state._replace(stuck=0)


def test_a_late_set_that_nothing_newer_outran_is_applied() -> None:
    given_up = t.after_abandonment(loaded(attempt=Attempt(2, 1500.0, 1502.0, 1510.0)), young(0.0), 1.0)
    state = t.after_set(given_up, 2, 1500.0, key_set(OTHER_KEY), 75.0, took=0.0)
    assert set(state.by_kid) == {OTHER_KEY.kid}
    assert (state.stuck, state.failures) == (0, 0)


def test_one_empty_answer_changes_no_key_and_is_looked_at_again_a_second_later() -> None:
    state = t.after_empty(loaded(attempt=young(1500.0)), 2, 1500.0, KeySet({}))
    assert state.by_kid == {KEY.kid: KEY.public}
    assert (state.revoked, state.applied, state.failures, state.attempt) == (False, 1, 0, None)
    assert (state.empty_seen_at, state.retry_at) == (1500.0, 1501.0)
    assert f.phase_of(state, 1501.0) is Phase.DUE


@pytest.mark.parametrize(("seconds", "revokes"), [(0.0, False), (0.9, False), (1.0, True), (3600.0, True)])
def test_two_empty_answers_at_least_a_second_apart_revoke(seconds: float, revokes: bool) -> None:  # noqa: FBT001
    state = t.after_empty(loaded(), 2, 1500.0, KeySet({}))
    state = t.after_empty(state, 3, 1500.0 + seconds, KeySet({}, 50.0))
    assert state.revoked is revokes
    if revokes:
        assert (dict(state.by_kid), state.applied, f.due_at(state)) == ({}, 3, 1550.0 + seconds)
    else:
        assert (state.empty_seen_at, state.retry_at) == (1500.0, 1501.0)


def test_an_empty_answer_that_comes_late_confirms_one_that_came_before_it() -> None:
    state = t.after_empty(loaded(applied=0, stuck=1), 2, 1500.0, KeySet({}))
    assert t.after_empty(state, 1, 1490.0, KeySet({})).revoked


def test_keys_between_two_empty_answers_start_the_count_anew() -> None:
    state = t.after_empty(loaded(), 2, 1500.0, KeySet({}))
    state = t.after_set(state, 3, 1502.0, key_set(KEY), 75.0, took=0.0)
    assert not t.after_empty(state, 4, 1504.0, KeySet({})).revoked


def test_revoked_stays_revoked_when_a_load_fails() -> None:
    state = t.after_failure(revoked(attempt=young(DUE_AT)), 2, DUE_AT, "down", 1.0)
    assert (state.revoked, state.failures, f.phase_of(state, DUE_AT)) == (True, 1, Phase.REVOKED)


@pytest.mark.parametrize(
    ("failures", "back_off"), [(0, 1.0), (1, 2.0), (2, 4.0), (3, 8.0), (4, 16.0), (5, 30.0), (6, 30.0), (5000, 30.0)]
)
def test_backs_off_by_powers_of_two_up_to_thirty_seconds(failures: int, back_off: float) -> None:
    before = loaded(failures=failures, attempt=young(1500.0))
    state = t.after_failure(before, 2, 1500.0, "down", 1.0)
    assert (state.failures, state.retry_at) == (failures + 1, 1500.0 + back_off)
    assert t.after_failure(before, 2, 1500.0, "down", 0.75).retry_at == 1500.0 + 0.75 * back_off


def test_a_failed_load_changes_nothing_but_the_state() -> None:
    before = loaded(attempt=young(1500.0))
    state = t.after_failure(before, 2, 1500.0, "down", 1.0)
    assert state == before._replace(attempt=None, failures=1, retry_at=1501.0, gate_from=1500.0, error="down")


def test_a_load_that_was_given_up_is_not_counted_twice() -> None:
    state = loaded(failures=1, stuck=1, attempt=young(1500.0))
    assert t.after_failure(state, 1, 1500.0, "late", 1.0) == state._replace(stuck=0)


def test_a_load_given_up_frees_the_slot_counts_as_failed_and_its_thread_as_stuck() -> None:
    attempt = Attempt(2, 1500.0, 1502.0, 1510.0)
    state = t.after_abandonment(loaded(attempt=attempt), attempt, 1.0)
    assert (state.attempt, state.failures, state.stuck) == (None, 1, 1)
    # Counted from when it was to be given up, not from when somebody noticed.
    assert (state.retry_at, state.gate_from) == (1511.0, 1510.0)


def test_a_superseded_load_is_no_failure() -> None:
    before = loaded(attempt=young(1500.0))
    assert t.after_superseding(before) == before._replace(attempt=None, stuck=1)


def test_the_count_of_stuck_threads_never_falls_below_zero() -> None:
    assert t.after_set(loaded(), 9, 1500.0, key_set(KEY), 75.0, took=0.0).stuck == 0


def test_a_forked_child_keeps_the_keys_and_nothing_of_the_loads() -> None:
    parent = loaded(**FAILED, **STUCK, attempt=young(1500.0), started=9, retry_at=1600.0, gate_from=1600.0)
    child = t.after_fork(parent)
    assert (child.keys, child.loaded_at, child.applied) == (parent.keys, parent.loaded_at, 1)
    assert (child.attempt, child.started, child.stuck, child.failures) == (None, 1, 0, 0)
    assert (child.retry_at, child.gate_from) == (-math.inf, -math.inf)
    assert f.phase_of(child, 1500.0) is Phase.DUE


def test_the_first_load_after_a_fork_without_keys_is_a_first_load_again() -> None:
    child = t.after_fork(State(started=3, attempt=young(5.0)))
    assert t.after_start(child, TIMING, 5.0, miss=False)[1].young_until == 15.0


def test_a_load_of_a_child_is_newer_than_what_its_parent_applied() -> None:
    child = t.after_fork(loaded(applied=4, started=7))
    state, attempt = t.after_start(child, TIMING, 1500.0, miss=False)
    assert t.after_set(state, attempt.number, 1500.0, key_set(OTHER_KEY), 75.0, took=0.0).applied == 5


# what callers and operators are told

NEXT: dict[str, tuple[State, float, float]] = {
    "a load is in the air": (loaded(attempt=Attempt(2, 1500.0, 1502.0, 1510.0)), 1501.0, 1510.0),
    "empty, backing off": (State(retry_at=77.0), 70.0, 77.0),
    "beyond the limit, backing off": (loaded(**FAILED, retry_at=9000.0), 8999.0, 9000.0),
    "revoked": (revoked(), FRESH_AT, 1100.0),
    "revoked, backing off": (revoked(**FAILED, retry_at=1205.0), 1200.0, 1205.0),
    "fresh, gate shut after a failure": (loaded(**FAILED, gate_from=1050.0, retry_at=1051.0), 1050.5, 1070.0),
    "stale, gate shut": (loaded(**FAILED, gate_from=1500.0, retry_at=1501.0), 1500.5, 1520.0),
    "stale, back-off longer than the gate": (loaded(failures=9, gate_from=1500.0, retry_at=1530.0), 1501.0, 1530.0),
    "due, a second look at an empty answer": (loaded(retry_at=1501.0), 1500.5, 1501.0),
    "immutable": (immutable(), 5000.0, math.inf),
}


@pytest.mark.parametrize("case", NEXT.values(), ids=NEXT.keys())
def test_says_when_keys_are_looked_for_next(case: tuple[State, float, float]) -> None:
    state, now, expected = case
    assert f.next_attempt_at(state, TIMING, now, miss=True) == expected


def test_a_known_key_id_does_not_have_to_wait_for_the_gate() -> None:
    state = NEXT["stale, gate shut"][0]._replace(retry_at=101.0, refresh_at=80.0)
    assert f.next_attempt_at(state, TIMING, 150.0, miss=False) == 101.0
    assert f.next_attempt_at(state, TIMING, 150.0, miss=True) > 101.0


def test_nothing_is_looked_for_before_the_moment_that_was_named() -> None:
    for state, now, expected in NEXT.values():
        if state.attempt is None and math.isfinite(expected):
            assert not f.decide(state, TIMING, now, known=False).load
            assert f.decide(state, TIMING, expected, known=False).load


BOUNDS: dict[str, tuple[State, float, float | None]] = {
    "healthy: max_age and a wait": (loaded(), FRESH_AT, 102.0),
    "healthy and due": (loaded(), DUE_AT, 102.0),
    "failing: the limit": (loaded(**FAILED), FRESH_AT, 1100.0),
    "stale by a load that hangs: the limit": (loaded(attempt=overdue(DUE_AT)), DUE_AT, 1100.0),
    "never": (immutable(), FRESH_AT, math.inf),
    "no set": (State(), FRESH_AT, None),
    "a set beyond its limit": (loaded(), EXPIRED_AT, None),
    "all withdrawn": (revoked(), FRESH_AT, None),
}


@pytest.mark.parametrize("case", BOUNDS.values(), ids=BOUNDS.keys())
def test_states_within_what_time_a_withdrawal_holds(case: tuple[State, float, float | None]) -> None:
    state, now, expected = case
    assert f.withdrawal_bound(state, TIMING, now) == expected


@pytest.mark.parametrize("gate_from", [-math.inf, FRESH_AT - 1.0, math.inf])
@pytest.mark.parametrize("now", [LOADED_AT, FRESH_AT, 1080.0, AGEING_AT, DUE_AT, EXPIRED_AT, math.nan])
def test_a_plain_miss_is_refused_at_once_by_the_table(now: float, gate_from: float) -> None:
    attempts = (None, young(now), overdue(now))
    states = [State(), loaded(), loaded(**FAILED), revoked(), immutable(), loaded(**STUCK)]
    for state in (one._replace(attempt=attempt, gate_from=gate_from) for one in states for attempt in attempts):
        if f.is_plain_miss(state, TIMING, now):
            assert f.decide(state, TIMING, now, known=False) == UNKNOWN


@pytest.mark.parametrize("state", [loaded(gate_from=FRESH_AT - 1.0), immutable()], ids=["gate shut", "immutable"])
def test_an_unknown_key_id_is_a_plain_miss_while_there_is_nothing_to_do(state: State) -> None:
    assert f.is_plain_miss(state, TIMING, FRESH_AT)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(loaded(), id="gate open"),
        pytest.param(loaded(gate_from=FRESH_AT - 1.0, attempt=young(FRESH_AT)), id="a load to join"),
        pytest.param(revoked(gate_from=FRESH_AT - 1.0), id="revoked"),
        pytest.param(revoked(gate_from=FRESH_AT - 1.0, refresh_at=math.inf), id="revoked, for ever"),
        pytest.param(State(), id="empty"),
        pytest.param(loaded(gate_from=FRESH_AT - 1.0, refresh_at=FRESH_AT), id="not fresh"),
    ],
)
def test_anything_else_is_no_plain_miss(state: State) -> None:
    assert not f.is_plain_miss(state, TIMING, FRESH_AT)

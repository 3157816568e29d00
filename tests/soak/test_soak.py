"""The parts of the soak that judge, without a server: what must be answered when, and what counts as growth."""

from __future__ import annotations

import os
from collections import Counter
from itertools import pairwise

import pytest

from d1verify import KeyStoreError, StaticKeyStore, TokenError

from ..support import NOW, OTHER_KEY, SigningKey, make_verifier, refused
from .expectations import HOSTILE, LET_IN, UNAVAILABLE, UNKNOWN, Answer, Hostile, Outcome, expected, judge, mint
from .ledger import Ledger
from .load import judged
from .plan import FAULTS, Plan, back_off_after
from .spoils import SPOILS
from .verdict import Verdict, at_least, at_most
from .watching import growth, sample

WORKER = 7
LONG = Plan.lasting(1800)
SHORT = Plan.lasting(60)
KEY = SigningKey("soak-key")


@pytest.fixture
def ledger() -> Ledger:
    """A worker was served `old` at 100 s, and `old` with `new` at 200 s."""
    ledger = Ledger(LONG)
    ledger.published = {"old": 0.0, "new": 190.0}
    ledger.serve(WORKER, 100.0, frozenset({"old"}))
    ledger.serve(WORKER, 200.0, frozenset({"old", "new"}))
    return ledger


# The plan


def test_long_run_has_the_periods_of_production() -> None:
    assert (LONG.rotate_every, LONG.max_age, LONG.timeout, LONG.withdrawal_bound) == (20, 60, 5, 63)


@pytest.mark.parametrize("plan", [SHORT, LONG], ids=["short", "long"])
def test_everything_happens_at_least_twice(plan: Plan) -> None:
    outages = plan.outages()
    assert plan.seconds / plan.rotate_every >= 12
    assert len(outages) >= 2
    for outage in outages:
        assert sorted(name for name, _begins, _ends in outage) == sorted(FAULTS)
        assert outage[0][1] > 0
        assert outage[-1][2] < plan.seconds
        assert all(one[2] == pytest.approx(next_one[1]) for one, next_one in pairwise(outage))


@pytest.mark.parametrize("plan", [SHORT, LONG], ids=["short", "long"])
def test_keys_grow_stale_in_the_outage_of_a_calm_cycle(plan: Plan) -> None:
    begins, ends = plan.outages()[1][0][1], plan.outages()[1][-1][2]
    assert plan.is_calm(begins)
    assert not plan.is_calm(ends), "unknown key ids come in while the keys are stale"
    assert ends - plan.cycle > plan.max_age


@pytest.mark.parametrize(
    ("outage", "cooldown", "pause"),
    [(0.0, 12.0, 1.0), (0.5, 12.0, 2.0), (1.0, 12.0, 4.0), (3.0, 1.0, 16.0), (10_000.0, 12.0, 30.0)],
)
def test_back_off_grows_with_the_outage_up_to_half_a_minute(outage: float, cooldown: float, pause: float) -> None:
    assert back_off_after(outage, cooldown) == pause


# The ledger


@pytest.mark.parametrize(
    ("kid", "sent", "answered", "trusted"),
    [
        pytest.param("old", 150.0, 150.1, True, id="served long ago"),
        pytest.param("new", 150.0, 150.1, False, id="not served yet"),
        pytest.param("new", 199.9, 200.3, None, id="served while it answered"),
        pytest.param("new", 200.5, 200.6, None, id="served just now"),
        pytest.param("old", 200.5, 200.6, True, id="in the old set and in the new one"),
        pytest.param("new", 201.5, 201.6, True, id="served and in force"),
        pytest.param("nobody", 250.0, 250.1, False, id="never published"),
        pytest.param("old", 50.0, 50.1, False, id="before the first set"),
    ],
)
def test_worker_is_to_trust_what_it_was_served(
    ledger: Ledger, kid: str, sent: float, answered: float, trusted: object
) -> None:
    assert ledger.trusts(WORKER, kid, sent, answered) is trusted
    assert ledger.trusts(WORKER + 1, kid, sent, answered) is False


def test_key_is_settled_when_every_worker_knows_it(ledger: Ledger) -> None:
    assert ledger.is_settled("new", frozenset({WORKER}), 202.0)
    assert not ledger.is_settled("new", frozenset({WORKER}), 199.0)
    assert not ledger.is_settled("new", frozenset({WORKER, WORKER + 1}), 202.0)


@pytest.mark.parametrize(
    ("sent", "answered", "troubled"),
    [
        pytest.param(290.0, 290.1, False, id="before"),
        pytest.param(299.9, 300.2, True, id="answered in the outage"),
        pytest.param(305.0, 305.1, True, id="in the outage"),
        pytest.param(310.5, 310.6, True, id="not served since"),
        pytest.param(314.5, 314.6, True, id="served, perhaps not in force yet"),
        pytest.param(315.5, 315.6, False, id="served since"),
    ],
)
def test_503_is_intended_until_the_worker_was_served_again(
    ledger: Ledger, sent: float, answered: float, troubled: object
) -> None:
    ledger.begin("killed", 300.0)
    ledger.begin("hanging", 305.0)
    ledger.end(310.0)
    ledger.serve(WORKER, 314.0, frozenset({"old"}))
    assert ledger.is_troubled(WORKER, sent, answered) is troubled
    assert len(ledger.outages) == 1


def test_503_is_intended_no_longer_than_a_recovery_may_take(ledger: Ledger) -> None:
    ledger.begin("killed", 300.0)
    assert ledger.is_troubled(WORKER, 9000.0, 9000.1)
    ledger.end(310.0)
    latest = 310.0 + LONG.recovery(10.0)
    assert ledger.is_troubled(WORKER, latest, latest)
    assert not ledger.is_troubled(WORKER, latest + 0.1, latest + 0.2)


def test_withdrawn_key_is_overdue_after_the_documented_bound(ledger: Ledger) -> None:
    ledger.withdrawn["old"] = 300.0
    assert not ledger.is_overdue("old", 300.0 + LONG.withdrawal_bound)
    assert ledger.is_overdue("old", 300.1 + LONG.withdrawal_bound)
    assert not ledger.is_overdue("new", 9000.0)


def test_outage_puts_the_bound_off_until_the_workers_have_recovered(ledger: Ledger) -> None:
    ledger.withdrawn["old"] = 300.0
    ledger.begin("killed", 360.0)
    assert not ledger.is_overdue("old", 9000.0)
    ledger.end(370.0)
    assert not ledger.is_overdue("old", 370.0 + LONG.recovery(10.0))
    assert ledger.is_overdue("old", 370.1 + LONG.recovery(10.0))


def test_published_key_has_to_be_looked_for_in_time(ledger: Ledger) -> None:
    workers = frozenset({WORKER, WORKER + 1})
    ledger.serve(WORKER + 1, 100.0, frozenset({"old"}))
    assert ledger.unseen(workers, 190.0 + LONG.withdrawal_bound) == set()
    assert ledger.unseen(workers, 190.1 + LONG.withdrawal_bound) == {(WORKER + 1, "new")}
    ledger.withdrawn["new"] = 250.0
    assert ledger.unseen(workers, 9000.0) == set()


# What must be answered


@pytest.mark.parametrize(
    ("kid", "sent", "allowed"),
    [
        pytest.param("old", 250.0, {LET_IN}, id="a key that it was served"),
        pytest.param("new", 150.0, {UNKNOWN}, id="a key that it was not served"),
        pytest.param("new", 200.5, {LET_IN, UNKNOWN}, id="a key that it is just being served"),
        pytest.param("nobody", 305.0, {UNKNOWN, UNAVAILABLE}, id="an unknown key in an outage"),
        pytest.param("new", 305.0, {LET_IN}, id="a known key in an outage"),
        pytest.param("old", 400.0, {UNKNOWN}, id="an overdue key, though nothing newer was served"),
    ],
)
def test_expected_answers(ledger: Ledger, kid: str, sent: float, allowed: set[Answer]) -> None:
    ledger.withdrawn["old"] = 280.0
    ledger.begin("garbage", 300.0)
    ledger.end(310.0)
    assert expected(ledger, WORKER, kid, sent, sent + 0.01) == allowed


@pytest.mark.parametrize(
    ("answer", "allowed", "outcome"),
    [
        (LET_IN, {LET_IN}, Outcome.RIGHT),
        (LET_IN, {UNKNOWN}, Outcome.WRONG_ACCEPT),
        (Answer(200), {UNKNOWN}, Outcome.WRONG_ACCEPT),
        (UNKNOWN, {LET_IN}, Outcome.WRONG_REFUSAL),
        (Answer(401, "expired"), {UNKNOWN}, Outcome.OTHER),
        (UNAVAILABLE, {UNKNOWN}, Outcome.UNINTENDED_5XX),
        (UNAVAILABLE, {UNKNOWN, UNAVAILABLE}, Outcome.RIGHT),
        (Answer(500), {LET_IN}, Outcome.UNINTENDED_5XX),
    ],
    ids=lambda value: f"{value.status}" if isinstance(value, Answer) else None,
)
def test_judges_an_answer(answer: Answer, allowed: set[Answer], outcome: Outcome) -> None:
    assert judge(answer, frozenset(allowed)) is outcome


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_hostile_call_is_refused_for_the_reason_that_it_is_named_for(hostile: Hostile) -> None:
    verifier = make_verifier(StaticKeyStore({KEY.kid: KEY.pem}))
    values = hostile.make(KEY, NOW)
    assert verifier.verify(mint(KEY, NOW)).kid == KEY.kid
    if len(values) <= 1:  # That two headers are there is not seen from one.
        assert refused(lambda: verifier.verify_header(values[0] if values else None)) == hostile.answer.reason


def test_unknown_key_is_what_it_is_called() -> None:
    with pytest.raises(TokenError) as unknown:
        make_verifier().verify(mint(OTHER_KEY, NOW))
    assert unknown.value.reason.value == UNKNOWN.reason
    assert KeyStoreError("down").reason.value == UNAVAILABLE.reason


# wrk's answers


def test_load_is_judged_by_status() -> None:
    tally = Counter(
        {("valid", 204): 5, ("valid", 401): 1, ("expired", 204): 2, ("unknown", 503): 3, ("unmarked", 500): 4}
    )
    assert judged(tally) == {
        (Outcome.RIGHT, "valid", 204): 5,
        (Outcome.WRONG_REFUSAL, "valid", 401): 1,
        (Outcome.WRONG_ACCEPT, "expired", 204): 2,
        (Outcome.RIGHT, "unknown", 503): 3,
        (Outcome.UNINTENDED_5XX, "unmarked", 500): 4,
    }


# Growth


@pytest.mark.parametrize(
    ("values", "grown"),
    [
        pytest.param([5.0] * 20, 0.0, id="flat"),
        pytest.param([float(n) for n in range(20)], 19.0, id="steady"),
        pytest.param([0.0] * 4 + [50.0] * 16, 0.0, id="one early step"),
        pytest.param([0.0] * 9 + [99.0] + [0.0] * 10, 0.0, id="one spike"),
        pytest.param([n + 3.0 * (n % 2) for n in range(20)], 19.0, id="steady under noise"),
        pytest.param([1.0], 0.0, id="one sample"),
        pytest.param([], 0.0, id="none"),
    ],
)
def test_growth_is_the_trend(values: list[float], grown: float) -> None:
    assert growth([(10.0 * n, value) for n, value in enumerate(values)]) == pytest.approx(grown, abs=1.0)


def test_growth_of_a_long_run_is_thinned_out() -> None:
    assert growth([(float(n), 2.0 * n) for n in range(10_000)]) == pytest.approx(19_998, rel=0.02)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the soak is for Linux")
def test_sample_sees_a_file_that_is_left_open() -> None:
    before = sample(os.getpid())
    with open(os.devnull):
        assert sample(os.getpid()).files == before.files + 1
    assert before.memory > 1_000_000
    assert before.threads >= 1


# The verdict


def test_verdict_holds_only_if_every_check_does() -> None:
    verdict = Verdict([at_most("wrong accepts", 0), at_least("rotations", 2, 2)])
    assert verdict.ok
    verdict.add_outcomes(Counter({Outcome.RIGHT: 10, Outcome.UNINTENDED_5XX: 1}))
    assert not verdict.ok
    assert verdict.failed == {"unintended 5xx"}
    assert "unintended 5xx" in verdict.table()
    assert verdict.as_json()["ok"] is False


def test_every_planted_fault_names_what_it_is_noticed_as() -> None:
    assert len(SPOILS) >= 10
    assert all(SPOILS.values())

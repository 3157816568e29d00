"""Readiness: what a load balancer is told, what a probe does about the keys, and what an idle process becomes."""

from __future__ import annotations

import math

import pytest

from d1verify import KeyStoreError, StaticKeyStore
from d1verify._freshness import Phase
from d1verify.keycache import Health, Readiness
from d1verify.oauth import AccessTokenVerifier

from .loads import DOWN, EMPTY, HandLoads, verifier_over
from .support import KEY, OTHER_KEY, ScriptedStore, key_set, make_verifier

GOOD = key_set(KEY)  # max_age 100 s, max_stale 1,000 s


def health(state: Phase, *, error: str | None = None) -> Health:
    return Health(
        state=state.value, kids=(), age=None, withdrawal_bound=None, skipped=(), last_error=error, next_attempt=None
    )


EXPECTED = {
    Phase.REVOKED: Readiness.UNREADY,
    Phase.EMPTY: Readiness.UNREADY,
    Phase.IMMUTABLE: Readiness.READY,
    Phase.FRESH: Readiness.READY,
    Phase.AGEING: Readiness.READY,
    Phase.DUE: Readiness.READY,
    Phase.STALE: Readiness.DEGRADED,
}


@pytest.mark.parametrize("state", Phase)
def test_readiness_of_each_state(state: Phase) -> None:
    assert health(state).readiness is EXPECTED[state]


@pytest.mark.parametrize("state", Phase)
def test_trouble_degrades_what_is_usable_and_makes_nothing_unready(state: Phase) -> None:
    usable = EXPECTED[state] is not Readiness.UNREADY
    assert health(state, error="down").readiness is (Readiness.DEGRADED if usable else Readiness.UNREADY)


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandLoads:
    return HandLoads(monkeypatch)


def probed(hand: HandLoads, *, every: float, until: float) -> list[tuple[float, str]]:
    """Probe at intervals and return each change of readiness, with when it was seen."""
    began, seen = hand.clock.now, [(math.nan, "")]
    while hand.clock.now <= began + until:
        readiness = hand.cache.probe().readiness.value
        if readiness != seen[-1][1]:
            seen.append((hand.clock.now - began, readiness))
        if hand.in_the_air:
            hand.finish(hand.answer)
        hand.clock.advance(every)
    return seen[1:]


def test_a_probe_of_an_idle_process_keeps_its_keys_fresh(hand: HandLoads) -> None:
    hand.holding(GOOD)
    assert probed(hand, every=5, until=5000) == [(0, "ready")]
    assert hand.waits == []
    assert 5000 / 95 <= hand.started <= 5000 / 65  # One load for each time that the set has come of age.


def test_does_not_flap_while_stale_keys_serve_and_says_unready_only_when_they_no_longer_do(hand: HandLoads) -> None:
    hand.holding(GOOD)
    hand.answer = DOWN
    hand.while_waiting = hand.clock.advance
    (_, first), (degraded_at, second), (unready_at, third) = probed(hand, every=5, until=1300)
    assert (first, second, third) == ("ready", "degraded", "unready")
    assert 65 <= degraded_at <= 105
    assert 1100 <= unready_at <= 1110


def test_recovers_by_probing_alone(hand: HandLoads) -> None:
    hand.holding(GOOD)
    hand.answer = DOWN
    assert probed(hand, every=5, until=1200)[-1][1] == "unready"
    hand.answer = GOOD
    assert probed(hand, every=5, until=100)[-1][1] == "ready"


def test_an_idle_process_whose_keys_have_grown_too_old_loads_before_it_answers(hand: HandLoads) -> None:
    hand.holding(GOOD)
    hand.clock.advance(50_000)
    assert hand.cache.health().readiness is Readiness.UNREADY  # Looking alone changes nothing.
    hand.arrives(GOOD)
    assert hand.cache.probe().readiness is Readiness.READY
    assert hand.waits == [2.0]


def test_a_probe_of_usable_keys_never_waits(hand: HandLoads) -> None:
    hand.holding(GOOD)
    for seconds in (95, 6, 3):  # ageing, due, and with the load overdue
        hand.clock.advance(seconds)
        assert hand.cache.probe().readiness is not Readiness.UNREADY
    assert (hand.waits, hand.started) == ([], 1)


def test_a_probe_does_not_wait_for_the_load_that_it_starts_while_the_old_keys_serve(hand: HandLoads) -> None:
    hand.holding(GOOD)
    hand.clock.advance(101)
    assert hand.cache.probe().state == "due"
    assert (hand.waits, hand.started) == ([], 1)


def test_a_probe_of_a_process_that_has_just_started_waits_for_the_first_load(hand: HandLoads) -> None:
    hand.arrives(GOOD, after=5)
    assert hand.cache.probe().readiness is Readiness.READY
    assert hand.waits == [10.0]


def test_probing_a_source_that_is_down_loads_no_more_often_than_calls_would(hand: HandLoads) -> None:
    hand.arrives(DOWN, after=0.1)
    assert [readiness for _at, readiness in probed(hand, every=0.5, until=600)] == ["unready"]
    assert hand.started < 40  # A back-off of up to 30 s, however often anybody asks.


def test_probing_while_a_load_hangs_starts_no_other_and_waits_only_while_it_is_young(hand: HandLoads) -> None:
    hand.holding(GOOD)
    hand.clock.advance(5000)
    for _probe in range(4):
        hand.cache.probe()
    assert hand.started == 1
    assert hand.waits == [2.0]


def test_withdrawn_keys_are_unready_and_come_back_by_probing(hand: HandLoads) -> None:
    hand.holding(GOOD)
    hand.answer = EMPTY
    assert probed(hand, every=5, until=300)[-1][1] == "unready"
    assert hand.cache.health().state == "revoked"
    hand.answer = GOOD
    assert probed(hand, every=5, until=200)[-1][1] == "ready"


def test_one_empty_answer_degrades_and_no_more(hand: HandLoads) -> None:
    hand.holding(GOOD)
    hand.clock.advance(95)
    hand.cache.probe()
    hand.finish(EMPTY)
    assert hand.cache.health().readiness is Readiness.DEGRADED


@pytest.mark.anyio
async def test_the_async_twin_waits_without_blocking() -> None:
    store = ScriptedStore(key_set(KEY))
    verifier = make_verifier(store)
    assert verifier.health().readiness is Readiness.UNREADY
    assert (await verifier.aprobe()).readiness is Readiness.READY
    assert (await verifier.aprobe()).kids == (KEY.kid,)
    assert store.loads == 1


@pytest.mark.anyio
async def test_the_async_twin_says_unready_of_a_source_that_fails() -> None:
    verifier = make_verifier(ScriptedStore(KeyStoreError("down")))
    assert (await verifier.aprobe()).readiness is Readiness.UNREADY


def test_keys_that_never_change_are_ready_from_the_first_probe() -> None:
    verifier = make_verifier(StaticKeyStore({KEY.kid: KEY.pem}))
    assert verifier.probe().readiness is Readiness.READY


def test_the_verifier_of_access_tokens_probes_as_well() -> None:
    verifier = AccessTokenVerifier(
        StaticKeyStore({KEY.kid: KEY.pem}),
        issuer="https://pay.example",
        audience="https://pay.example/api",
        subject="M",
    )
    assert verifier.probe().readiness is Readiness.READY


def test_a_verifier_whose_set_lost_a_key_probes_on(hand: HandLoads) -> None:
    hand.holding(key_set(KEY, OTHER_KEY))
    hand.arrives(key_set(OTHER_KEY), after=0.0)
    hand.cache.refresh()
    assert verifier_over(hand.cache).probe().kids == (OTHER_KEY.kid,)

"""The invariants of DESIGN.md 5, one by one, with loads moved by hand; threads and loops are in `test_loading`."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from d1verify import ConfigurationError, KeyCache, KeySet, KeyStoreError, PublicKey, TokenError, _loading
from d1verify._freshness import Answer
from d1verify._loading import PendingLoad
from d1verify.keys import SkippedKey

from .loads import DOWN, EMPTY, HandLoads, verifier_over
from .support import KEY, OTHER_KEY, Clock, ScriptedStore, key_set, refused

UNKNOWN, UNAVAILABLE = "unknown_key", "keys_unavailable"
K, OTHER = KEY.kid, OTHER_KEY.kid


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandLoads:
    return HandLoads(monkeypatch)


@pytest.fixture
def loaded(hand: HandLoads) -> HandLoads:
    """A cache with `KEY`: fresh until 1070 to 1090, due at 1100, gone at 2100; the gate is 20 s."""
    return hand.holding(key_set(KEY))


# a key absent from the newest set is never accepted


def test_a_key_absent_from_the_newest_set_is_refused(loaded: HandLoads) -> None:
    loaded.clock.advance(100)
    loaded.arrives(key_set(OTHER_KEY))
    assert loaded.ask(K) == UNKNOWN
    assert loaded.ask(OTHER) == OTHER_KEY.public


def test_a_verified_token_is_refused_once_its_key_is_withdrawn(loaded: HandLoads) -> None:
    verifier, token = verifier_over(loaded.cache), KEY.mint()
    assert verifier.verify(token) is verifier.verify(token)
    loaded.arrives(key_set(OTHER_KEY))
    verifier.refresh()
    assert refused(lambda: verifier.verify(token)) == UNKNOWN


def test_a_verified_token_that_is_never_missed_does_not_keep_its_key_alive(loaded: HandLoads) -> None:
    # A271: a busy cached token, once a second, while nothing else asks.
    verifier, token = verifier_over(loaded.cache), KEY.mint()
    loaded.arrives(key_set(OTHER_KEY))
    for _second in range(110):
        loaded.clock.advance(1)
        if loaded.in_the_air:
            loaded.finish(key_set(OTHER_KEY))
        try:
            verifier.verify(token)
        except Exception:
            break
    assert loaded.clock() <= 1102
    assert refused(lambda: verifier.verify(token)) == UNKNOWN


def test_another_key_under_the_same_id_invalidates_what_was_verified_with_the_old_one(loaded: HandLoads) -> None:
    verifier, token = verifier_over(loaded.cache), KEY.mint()
    verifier.verify(token)
    loaded.arrives(KeySet({K: OTHER_KEY.public}))
    verifier.refresh()
    assert refused(lambda: verifier.verify(token)) == "bad_signature"


def test_a_reload_that_changes_nothing_invalidates_nothing(loaded: HandLoads) -> None:
    verifier, token = verifier_over(loaded.cache), KEY.mint()
    before, key = verifier.verify(token), loaded.ask(K)
    loaded.arrives(KeySet({K: PublicKey.from_pem(KEY.pem), OTHER: OTHER_KEY.public}))
    verifier.refresh()
    assert loaded.ask(K) is key
    assert verifier.verify(token) is before


def test_a_late_result_does_not_bring_back_what_a_newer_load_withdrew(loaded: HandLoads) -> None:
    loaded.clock.advance(100)
    loaded.ask(K)  # Waits, sees nothing, and leaves a load in the air that will be given up.
    loaded.clock.advance(10)
    loaded.ask(K)
    loaded.clock.advance(1)
    loaded.ask(K)
    assert len(loaded.in_the_air) == 2
    loaded.finish(key_set(OTHER_KEY), 1)
    assert loaded.ask(K) == UNKNOWN
    loaded.finish(key_set(KEY), 0)
    assert loaded.ask(K) == UNKNOWN


def test_a_late_result_that_nothing_newer_outran_counts_from_its_own_start(loaded: HandLoads) -> None:
    loaded.clock.advance(100)
    loaded.ask(K)
    loaded.clock.advance(50)
    assert loaded.cache.health().state == "stale"
    loaded.finish(key_set(KEY, OTHER_KEY))
    assert loaded.ask(OTHER) == OTHER_KEY.public
    assert loaded.cache.health().age == 52.0
    assert loaded.cache.health().last_error is None


# within what time a withdrawal holds


@pytest.mark.parametrize("asked_every", [1.0, 7.0, 45.0, 99.0, 101.0, 500.0, 1099.0, 5000.0])
def test_with_a_healthy_source_a_withdrawal_holds_within_max_age_and_a_wait(
    loaded: HandLoads, asked_every: float
) -> None:
    loaded.arrives(key_set(OTHER_KEY), after=1.9)  # The source answers, slowly, and no longer holds the key.
    withdrawn_at = loaded.clock()
    for _request in range(200):
        loaded.clock.advance(asked_every)
        while loaded.in_the_air:
            loaded.finish(key_set(OTHER_KEY))
        if loaded.ask(K) == UNKNOWN:
            return
        assert loaded.clock() <= withdrawn_at + 100 + 2
    pytest.fail("the withdrawn key was accepted to the end")


def test_with_a_broken_source_a_withdrawal_holds_by_the_limit(loaded: HandLoads) -> None:
    loaded.arrives(DOWN, after=0.0)
    while loaded.ask(K) == KEY.public:
        if loaded.in_the_air:
            loaded.finish(DOWN)
        loaded.clock.advance(7)
        assert loaded.clock() < 1000 + 1100 + 7
    assert loaded.clock() >= 2100
    assert loaded.ask(K) == UNAVAILABLE


@pytest.mark.parametrize("asked_every", [500.0, 1050.0])
def test_with_a_healthy_source_the_withdrawal_of_all_keys_holds_within_max_age_and_a_wait(
    loaded: HandLoads, asked_every: float
) -> None:
    loaded.arrives(EMPTY)
    loaded.clock.advance(asked_every)
    assert loaded.ask(K) == UNAVAILABLE


# who waits, and for how long


def test_a_fresh_set_answers_without_a_load_or_a_wait(loaded: HandLoads) -> None:
    loaded.clock.advance(69)
    assert loaded.ask(K) is KEY.public
    assert (loaded.started, loaded.waits) == (0, [])


def test_an_ageing_set_answers_at_once_and_loads_behind(loaded: HandLoads) -> None:
    loaded.clock.advance(95)
    assert loaded.ask(K) is KEY.public
    assert loaded.ask(K) is KEY.public
    assert (loaded.started, loaded.waits) == (1, [])


def test_a_due_set_is_waited_for_and_the_new_one_decides(loaded: HandLoads) -> None:
    loaded.clock.advance(150)
    loaded.arrives(key_set(KEY, OTHER_KEY))
    assert loaded.ask(OTHER) == OTHER_KEY.public
    assert (loaded.started, loaded.waits) == (1, [2.0])


def test_a_due_set_whose_load_hangs_is_used_after_max_wait(loaded: HandLoads) -> None:
    loaded.clock.advance(150)
    assert loaded.ask(K) is KEY.public
    assert loaded.waits == [2.0]


def test_whoever_comes_late_to_a_load_waits_only_the_rest(loaded: HandLoads) -> None:
    loaded.clock.advance(150)
    loaded.cache._loader.plan(K)
    loaded.clock.advance(1.5)
    assert loaded.ask(K) is KEY.public
    assert loaded.waits == [0.5]


def test_whoever_comes_late_to_an_old_load_never_waits(loaded: HandLoads) -> None:
    loaded.clock.advance(150)
    loaded.ask(K)
    assert (loaded.ask(K), loaded.ask(OTHER)) == (KEY.public, UNAVAILABLE)
    assert loaded.waits == [2.0]


def test_a_stale_set_says_yes_at_once_but_never_no(loaded: HandLoads) -> None:
    loaded.clock.advance(150)
    loaded.arrives(DOWN)
    assert loaded.ask(K) is KEY.public
    loaded.waits.clear()
    assert (loaded.ask(K), loaded.ask(OTHER)) == (KEY.public, UNAVAILABLE)
    assert loaded.waits == []


def test_no_request_waits_twice(loaded: HandLoads) -> None:
    loaded.clock.advance(1100)  # No usable set any more.
    assert loaded.ask(K) == UNAVAILABLE
    assert loaded.waits == [2.0]


def test_the_first_load_of_a_process_may_be_waited_for_until_it_is_given_up(hand: HandLoads) -> None:
    hand.arrives(key_set(KEY), after=9.9)
    assert hand.ask(K) == KEY.public
    assert hand.waits == [10.0]


def test_a_second_load_without_a_set_is_waited_for_max_wait(hand: HandLoads) -> None:
    hand.arrives(DOWN)
    assert hand.ask(K) == UNAVAILABLE
    hand.clock.advance(1)
    hand.nothing_arrives()
    assert hand.ask(K) == UNAVAILABLE
    assert hand.waits == [10.0, 2.0]


def test_a_max_wait_of_zero_never_waits_for_a_set_that_is_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    hand = HandLoads(monkeypatch, max_wait=0).holding(key_set(KEY))
    hand.clock.advance(150)
    assert hand.ask(K) is KEY.public
    assert (sum(hand.waits), hand.started) == (0, 1)


# unknown kids


def test_unknown_kids_cause_one_load_per_gate(loaded: HandLoads) -> None:
    loaded.arrives(key_set(KEY), after=0.0)
    for _tenth in range(600):
        loaded.clock.advance(0.1)
        assert loaded.ask("junk") == UNKNOWN
    assert loaded.started == 3  # At once, after 20 s, after 40 s.


def test_unknown_kids_during_an_outage_cause_one_load_per_gate(loaded: HandLoads) -> None:
    # A277: while the set is fresh, while it ages, and once it is stale.
    loaded.arrives(DOWN, after=0.0)
    answers = set()
    for _second in range(2000):
        loaded.clock.advance(0.5)
        answers.add(loaded.ask("junk"))
        while loaded.in_the_air:
            loaded.finish(DOWN)
    assert loaded.started <= 1000 / 20 + 1
    assert answers == {UNKNOWN, UNAVAILABLE}


def test_an_unknown_kid_that_joins_a_young_load_starts_none(loaded: HandLoads) -> None:
    loaded.clock.advance(95)
    loaded.ask(K)
    loaded.arrives(key_set(KEY, OTHER_KEY))
    assert loaded.ask(OTHER) == OTHER_KEY.public
    assert loaded.started == 1


def test_a_rotation_shows_at_the_first_token_of_the_new_key(loaded: HandLoads) -> None:
    loaded.arrives(key_set(KEY, OTHER_KEY))
    assert loaded.ask(OTHER) == OTHER_KEY.public


def test_a_rotation_during_an_outage_heals_when_only_the_new_key_is_asked_for(loaded: HandLoads) -> None:
    loaded.clock.advance(150)
    loaded.arrives(DOWN)
    loaded.ask(K)
    for _second in range(30):
        loaded.clock.advance(1)
        loaded.ask(OTHER)
        if loaded.in_the_air:
            loaded.finish(key_set(OTHER_KEY))
    assert loaded.ask(OTHER) == OTHER_KEY.public


def test_an_unknown_kid_is_no_verdict_while_its_load_hangs_or_fails(loaded: HandLoads) -> None:
    assert loaded.ask(OTHER) == UNAVAILABLE
    loaded.finish(DOWN)
    loaded.clock.advance(20)
    loaded.arrives(DOWN)
    assert loaded.ask(OTHER) == UNAVAILABLE


# the fresh path


def test_the_fresh_path_takes_no_lock(loaded: HandLoads) -> None:
    verifier, token = verifier_over(loaded.cache), KEY.mint()
    verifier.verify(token)
    answers: list[object] = []
    asked = threading.Thread(target=lambda: answers.extend([loaded.cache.key(K), verifier.verify(token)]), daemon=True)
    lock = loaded.cache._loader._lock
    assert lock.acquire(timeout=5)
    try:
        asked.start()
        asked.join(timeout=5)
        assert not asked.is_alive()
    finally:
        lock.release()
    assert answers[0] is KEY.public


def test_a_call_at_the_very_time_to_load_anew_has_it_loaded(loaded: HandLoads) -> None:
    loaded.clock.now = loaded.cache._loader.state.refresh_at
    assert loaded.ask(K) == KEY.public
    assert loaded.started == 1


def test_a_set_is_fresh_until_its_time_to_be_loaded_anew_and_not_at_it(loaded: HandLoads) -> None:
    refresh_at = loaded.cache._loader.state.refresh_at
    loaded.clock.now = math.nextafter(refresh_at, 0)
    assert loaded.cache.fresh_key(K) is KEY.public
    loaded.clock.now = refresh_at
    assert loaded.cache.fresh_key(K) is None


# loads that never come back


def test_a_load_is_given_up_at_load_timeout_and_another_one_may_start(loaded: HandLoads) -> None:
    loaded.clock.advance(150)
    loaded.ask(K)
    loaded.clock.advance(7.9)
    loaded.ask(K)
    assert loaded.started == 1
    loaded.clock.advance(1.1)
    loaded.ask(K)  # Given up at 10 s, backed off for at most a second.
    assert loaded.started == 2
    assert loaded.cache.health().last_error == "the key store did not answer in time"


def test_at_most_four_loads_never_come_back(loaded: HandLoads) -> None:
    loaded.clock.advance(100)
    for _minute in range(30):
        loaded.clock.advance(60)
        loaded.ask(K)
    assert loaded.started == len(loaded.in_the_air) == 4
    with pytest.raises(KeyStoreError, match="too many loads"):
        loaded.cache.refresh()
    loaded.finish(key_set(KEY))
    loaded.clock.advance(60)
    loaded.ask(K)
    assert loaded.started == 5


# a source found empty


def test_one_empty_answer_withdraws_nothing(loaded: HandLoads) -> None:
    loaded.arrives(EMPTY)
    with pytest.raises(KeyStoreError, match="a second look"):
        loaded.cache.refresh()
    assert loaded.ask(K) is KEY.public


def test_two_empty_answers_withdraw_everything_at_once(loaded: HandLoads) -> None:
    verifier, token = verifier_over(loaded.cache), KEY.mint()
    verifier.verify(token)
    loaded.arrives(EMPTY)
    with pytest.raises(KeyStoreError):
        verifier.refresh()
    loaded.clock.advance(0.5)
    verifier.refresh()
    assert refused(lambda: verifier.verify(token)) == UNAVAILABLE
    assert verifier.health().state == "revoked"
    assert verifier.health().kids == ()


def test_an_empty_source_is_looked_at_again_by_the_next_request_a_second_later(loaded: HandLoads) -> None:
    loaded.clock.advance(95)
    loaded.ask(K)
    loaded.finish(EMPTY)
    loaded.clock.advance(0.9)
    assert (loaded.ask(K), loaded.started) == (KEY.public, 1)
    loaded.clock.advance(0.1)
    assert (loaded.ask(K), loaded.started) == (KEY.public, 2)
    loaded.finish(EMPTY)
    assert loaded.ask(K) == UNAVAILABLE


def test_a_due_set_waits_for_the_second_look_that_a_source_found_empty_needs(
    loaded: HandLoads, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def note(seconds: float) -> None:
        pauses.append(seconds)
        loaded.clock.advance(seconds)

    monkeypatch.setattr(_loading, "pause", note)
    loaded.arrives(EMPTY)
    loaded.clock.advance(150)
    assert loaded.ask(K) == UNAVAILABLE
    assert (pauses, loaded.started) == ([1.0], 1)


@pytest.mark.parametrize("age", [50, 95, 1200])
def test_nobody_waits_for_a_second_look_but_a_due_set(
    loaded: HandLoads, monkeypatch: pytest.MonkeyPatch, age: float
) -> None:
    monkeypatch.setattr(_loading, "pause", lambda _seconds: pytest.fail("paused"))
    loaded.arrives(EMPTY)
    loaded.clock.advance(age)
    with pytest.raises(KeyStoreError, match="second look"):
        loaded.cache.refresh()


@pytest.mark.parametrize("max_wait", [0.0, 0.5, 2.0])
def test_all_keys_are_withdrawn_within_the_bound_however_short_a_request_waits(
    monkeypatch: pytest.MonkeyPatch, max_wait: float
) -> None:
    hand = HandLoads(monkeypatch, max_wait=max_wait)
    hand.arrives(key_set(KEY, max_age=5.0, max_stale=300.0), after=0.0)
    assert hand.ask(K) == KEY.public
    bound = hand.cache.health().withdrawal_bound
    assert bound == 5.0 + max_wait
    withdrawn_at = hand.clock.now
    hand.arrives(EMPTY, after=0.0)
    hand.clock.advance(4.8)  # An ageing set: the load that sees the source empty is in the background.
    assert hand.ask(K) == KEY.public
    hand.finish(EMPTY)
    while hand.clock.now < withdrawn_at + bound:
        hand.clock.advance(0.1)
        hand.ask(K)
    assert hand.ask(K) == UNAVAILABLE


SECOND_LOOKS: dict[str, tuple[object, object]] = {
    "keys are there again": (key_set(KEY), KEY.public),
    "others are there": (key_set(OTHER_KEY), UNKNOWN),
    "the source is down": (DOWN, KEY.public),
    "the source has gone mad": (None, KEY.public),
}


@pytest.mark.parametrize("case", SECOND_LOOKS.values(), ids=SECOND_LOOKS.keys())
def test_the_second_look_decides(
    loaded: HandLoads, monkeypatch: pytest.MonkeyPatch, case: tuple[object, object]
) -> None:
    then, expected = case

    def change(seconds: float) -> None:
        loaded.clock.advance(seconds)
        loaded.answer = then

    monkeypatch.setattr(_loading, "pause", change)
    loaded.arrives(EMPTY)
    loaded.clock.advance(150)
    assert loaded.ask(K) == expected
    if isinstance(then, KeySet):
        assert loaded.cache.health().age == 0.0  # It is as old as the second look.


def test_an_emptied_source_that_answers_slowly_does_not_say_yes_past_max_age(
    loaded: HandLoads, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.clock.advance(500)
    pending = loaded.cache._loader.plan(K).pending
    assert pending is not None
    answers: list[Answer] = []

    def run_out_of_patience(_seconds: float) -> None:
        loaded.clock.advance(2)
        answers.append(loaded.cache._loader.settle(K, pending).answer)

    monkeypatch.setattr(_loading, "pause", run_out_of_patience)
    loaded.finish(EMPTY)
    assert answers == [Answer.UNAVAILABLE]


def test_an_empty_answer_that_a_newer_set_outran_is_no_first_look(loaded: HandLoads) -> None:
    loaded.clock.advance(95)
    loaded.ask(K)  # Its load sees the source empty, and comes late.
    loaded.arrives(key_set(KEY))
    loaded.cache.refresh()
    loaded.clock.advance(150)
    loaded.finish(EMPTY)
    loaded.clock.advance(1)
    loaded.nothing_arrives()
    loaded.cache._loader.begin_now(loaded.cache._loader.state.started)
    loaded.clock.advance(3)
    loaded.finish(EMPTY)
    assert loaded.cache.health().state != "revoked"


def test_keys_that_come_back_after_a_withdrawal_of_all_are_found_within_max_age(loaded: HandLoads) -> None:
    loaded.arrives(EMPTY)
    loaded.clock.advance(150)
    loaded.ask(K)
    assert loaded.cache.health().state == "revoked"
    loaded.clock.advance(100)
    assert loaded.ask(K) == UNAVAILABLE
    loaded.finish(key_set(KEY))
    assert loaded.ask(K) is KEY.public


def test_candidates_of_which_none_is_usable_are_a_failed_load(loaded: HandLoads) -> None:
    rubbish = KeySet({}, 100.0, 1000.0, [SkippedKey("k1", "it is a private key")] * 2)
    loaded.arrives(rubbish)
    for _look in range(4):
        loaded.clock.advance(150)
        assert loaded.ask(K) is KEY.public
        while loaded.in_the_air:
            loaded.finish(rubbish)
    assert loaded.cache.health().last_error == "none of 2 candidates is usable: it is a private key"


# warm_up and refresh


def test_warm_up_loads_when_no_key_is_usable_and_then_never_again(hand: HandLoads) -> None:
    hand.arrives(key_set(KEY), after=9.0)
    hand.cache.warm_up()
    hand.cache.warm_up()
    assert (hand.started, hand.waits) == (1, [10.0])


def test_warm_up_raises_when_no_key_is_usable_afterwards(hand: HandLoads) -> None:
    hand.arrives(DOWN)
    with pytest.raises(KeyStoreError, match="the source is down"):
        hand.cache.warm_up()
    hand.nothing_arrives()
    with pytest.raises(KeyStoreError):
        hand.cache.warm_up()  # Whatever the back-off: it is asked for.
    assert hand.started == 2


def test_warm_up_joins_the_load_in_the_air(hand: HandLoads) -> None:
    hand.cache._loader.plan(K)
    hand.clock.advance(4)
    hand.arrives(key_set(KEY))
    hand.cache.warm_up()
    assert (hand.started, hand.waits) == (1, [6.0])


def test_warm_up_is_content_with_a_stale_set(loaded: HandLoads) -> None:
    loaded.clock.advance(1000)
    loaded.cache.warm_up()
    assert loaded.started == 0


def test_warm_up_loads_again_after_a_withdrawal_of_all(loaded: HandLoads) -> None:
    loaded.arrives(EMPTY)
    loaded.clock.advance(150)
    loaded.ask(K)
    loaded.arrives(key_set(KEY))
    loaded.cache.warm_up()
    assert loaded.ask(K) is KEY.public


def test_refresh_loads_a_fresh_and_an_immutable_set_too(hand: HandLoads) -> None:
    hand.holding(key_set(KEY, max_age=math.inf))
    hand.arrives(key_set(OTHER_KEY))
    hand.cache.refresh()
    assert (hand.ask(K), hand.ask(OTHER)) == (UNKNOWN, OTHER_KEY.public)


def test_refresh_during_a_load_that_hangs_starts_its_own(loaded: HandLoads) -> None:
    loaded.clock.advance(95)
    loaded.ask(K)
    loaded.arrives(key_set(OTHER_KEY))
    loaded.cache.refresh()
    assert (loaded.started, loaded.ask(K)) == (2, UNKNOWN)
    loaded.finish(key_set(KEY))  # The one that made way brings what was true before.
    assert loaded.ask(K) == UNKNOWN


def test_refresh_does_not_take_an_older_load_for_its_own(loaded: HandLoads) -> None:
    loaded.clock.advance(95)
    loaded.ask(K)

    def the_older_one_arrives(seconds: float) -> None:
        loaded.finish(key_set(KEY), 0)
        loaded.clock.advance(seconds)

    loaded.while_waiting = the_older_one_arrives
    with pytest.raises(KeyStoreError):
        loaded.cache.refresh()


def test_a_refresh_that_fails_leaves_what_was_trusted(loaded: HandLoads) -> None:
    loaded.arrives(DOWN)
    with pytest.raises(KeyStoreError, match="the source is down"):
        loaded.cache.refresh()
    assert loaded.ask(K) is KEY.public
    assert loaded.cache.health().withdrawal_bound == 1100


def test_refreshes_on_top_of_each_other_never_leave_the_cache_without_a_load(loaded: HandLoads) -> None:
    for _impatient in range(5):
        try:
            loaded.cache._loader.begin_now(loaded.cache._loader.state.started)
        except KeyStoreError:
            break
    assert loaded.cache._loader.state.attempt is not None


def test_refreshes_at_once_share_the_load_that_follows_the_one_in_the_air(loaded: HandLoads) -> None:
    loader = loaded.cache._loader
    asked_at = loader.state.started
    first, _seconds = loader.begin_now(asked_at)
    waited_for = [loader.begin_now(asked_at + 1)[0] for _late in range(12)]
    assert set(waited_for) == {first}  # It had started before they came, so it is not theirs yet.
    loaded.finish(key_set(KEY))
    theirs = {loader.begin_now(asked_at + 1)[0] for _late in range(12)}
    assert [load.attempt.number for load in theirs] == [asked_at + 2]
    assert loader.state.stuck == 0


def test_a_refresh_that_waited_for_another_ones_load_starts_its_own(loaded: HandLoads) -> None:
    loaded.cache._loader.begin_now(loaded.cache._loader.state.started)
    loaded.arrives(key_set(OTHER_KEY))
    loaded.cache.refresh()
    assert loaded.started == 2
    assert loaded.cache.health().kids == (OTHER_KEY.kid,)


def test_a_source_slower_than_anybody_waits_has_the_long_bound(hand: HandLoads) -> None:
    hand.arrives(key_set(KEY), after=3.0)
    hand.cache.warm_up()
    assert hand.cache.health().withdrawal_bound == 1100
    hand.arrives(key_set(KEY), after=1.0)
    hand.cache.refresh()
    assert hand.cache.health().withdrawal_bound == 102


# the async twins: the same plans, and the same waits


@pytest.fixture
def tasks(hand: HandLoads, monkeypatch: pytest.MonkeyPatch) -> HandLoads:
    """Loads whose waits in a task only tick the clock, as those in a thread do."""

    async def wait(_pending: PendingLoad, seconds: float) -> None:
        hand._wait(seconds)

    monkeypatch.setattr(PendingLoad, "async_wait", wait)
    return hand


@pytest.mark.anyio
async def test_a_fresh_set_answers_a_task_without_a_plan(tasks: HandLoads, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks.holding(key_set(KEY))
    monkeypatch.setattr(tasks.cache._loader, "plan", lambda _kid: pytest.fail("planned"))
    assert await tasks.cache.akey(K) is KEY.public


@pytest.mark.anyio
async def test_an_ageing_set_answers_a_task_at_once_and_loads_behind(tasks: HandLoads) -> None:
    tasks.holding(key_set(KEY)).clock.advance(95)
    assert await tasks.cache.akey(K) is KEY.public
    assert (tasks.started, tasks.waits) == (1, [])


@pytest.mark.anyio
async def test_a_task_waits_for_a_due_set_and_the_new_one_decides(tasks: HandLoads) -> None:
    tasks.holding(key_set(KEY)).clock.advance(150)
    tasks.arrives(key_set(OTHER_KEY))
    assert await tasks.cache.akey(OTHER) is OTHER_KEY.public
    with pytest.raises(TokenError) as caught:
        await tasks.cache.akey(K)
    assert (caught.value.reason, caught.value.kid) == (UNKNOWN, K)
    assert tasks.waits == [2.0]


@pytest.mark.anyio
async def test_a_task_uses_a_due_set_whose_load_hangs_after_max_wait(tasks: HandLoads) -> None:
    tasks.holding(key_set(KEY)).clock.advance(150)
    assert await tasks.cache.akey(K) is KEY.public
    assert tasks.waits == [2.0]


@pytest.mark.anyio
async def test_awarm_up_and_aprobe_wait_as_long_as_warm_up_and_probe(tasks: HandLoads) -> None:
    tasks.arrives(key_set(KEY), after=9.0)
    await tasks.cache.awarm_up()
    await tasks.cache.awarm_up()
    assert (tasks.started, tasks.waits) == (1, [10.0])
    tasks.clock.advance(5000)
    tasks.arrives(key_set(KEY), after=1.0)
    assert (await tasks.cache.aprobe()).state == "fresh"
    tasks.clock.advance(95)
    assert (await tasks.cache.aprobe()).state == "ageing"
    assert tasks.waits == [10.0, 2.0]


@pytest.mark.anyio
async def test_arefresh_waits_for_a_load_that_starts_after_it(tasks: HandLoads) -> None:
    tasks.holding(key_set(KEY))
    tasks.cache._loader.begin_now(tasks.cache._loader.state.started)
    tasks.arrives(key_set(OTHER_KEY))
    await tasks.cache.arefresh()
    assert (tasks.started, tasks.waits) == (2, [10.0, 10.0])
    assert tasks.cache.health().kids == (OTHER,)
    tasks.arrives(DOWN)
    with pytest.raises(KeyStoreError, match="the source is down"):
        await tasks.cache.arefresh()


@pytest.mark.anyio
async def test_arefresh_during_a_load_that_hangs_starts_its_own(tasks: HandLoads) -> None:
    tasks.holding(key_set(KEY)).clock.advance(95)
    await tasks.cache.akey(K)
    tasks.arrives(key_set(OTHER_KEY))
    await tasks.cache.arefresh()
    assert (tasks.started, tasks.ask(K)) == (2, UNKNOWN)


# what callers and operators are told


def test_retry_after_is_the_time_to_the_next_attempt(hand: HandLoads) -> None:
    hand.arrives(DOWN)
    seconds = hand.retry_after(K)
    started = hand.started
    hand.clock.advance(seconds - 0.01)
    hand.ask(K)
    assert hand.started == started
    hand.clock.advance(0.01)
    hand.ask(K)
    assert hand.started == started + 1


def test_retry_after_of_an_unknown_kid_tells_when_the_gate_opens(loaded: HandLoads) -> None:
    loaded.arrives(DOWN)
    assert loaded.retry_after(OTHER) == 20.0


def test_retry_after_of_a_second_look_is_a_second_or_less(hand: HandLoads) -> None:
    hand.arrives(EMPTY, after=0.25)
    assert hand.retry_after(K) == 0.75
    hand.clock.advance(0.75)
    assert hand.retry_after(K) == pytest.approx(99.75)  # Confirmed: next by max_age.


def test_retry_after_is_finite_where_nothing_is_ever_tried_again(hand: HandLoads) -> None:
    never = KeySet({}, math.inf)
    hand.arrives(never)
    hand.ask(K)
    hand.clock.advance(1)
    assert hand.retry_after(K) == 3600.0


def test_health_of_a_cache_that_was_never_asked(hand: HandLoads) -> None:
    health = hand.cache.health()
    assert (health.state, health.kids, health.age, health.withdrawal_bound) == ("empty", (), None, None)
    assert (health.last_error, health.next_attempt) == (None, 0.0)
    assert hand.started == 0


def test_health_tells_state_kids_age_and_bound(hand: HandLoads) -> None:
    hand.holding(key_set(OTHER_KEY, KEY)).clock.advance(50)
    health = hand.cache.health()
    assert (health.state, health.kids, health.age) == ("fresh", (K, OTHER), 50.0)
    assert (health.withdrawal_bound, health.last_error) == (102.0, None)


def test_gives_the_newest_set_without_loading_any(hand: HandLoads) -> None:
    assert (hand.cache.key_set(), hand.started) == (None, 0)
    assert dict((hand.holding(key_set(KEY)).cache.key_set() or EMPTY).keys) == {K: KEY.public}


@pytest.mark.parametrize(("age", "state"), [(69, "fresh"), (90.1, "ageing"), (100, "due"), (1100, "empty")])
def test_health_names_the_state(loaded: HandLoads, age: float, state: str) -> None:
    loaded.clock.advance(age)
    assert loaded.cache.health().state == state


def test_health_names_no_key_that_is_too_old_to_be_used(loaded: HandLoads) -> None:
    loaded.clock.advance(1099)
    assert loaded.cache.health().kids == (K,)
    loaded.clock.advance(1)
    assert loaded.cache.health().kids == ()


def test_health_tells_what_the_source_held_besides(hand: HandLoads) -> None:
    assert hand.cache.health().skipped == ()
    skipped = SkippedKey("rsa", "it is no EC key")
    hand.holding(KeySet({K: KEY.public}, skipped=[skipped]))
    assert hand.cache.health().skipped == (skipped,)


def test_health_of_keys_that_never_change(hand: HandLoads) -> None:
    health = hand.holding(key_set(KEY, max_age=math.inf)).cache.health()
    assert (health.state, health.withdrawal_bound, health.next_attempt) == ("immutable", math.inf, None)


def test_health_notices_a_load_that_took_too_long(loaded: HandLoads) -> None:
    loaded.clock.advance(95)
    loaded.ask(K)
    loaded.clock.advance(10)
    health = loaded.cache.health()
    assert (health.state, health.last_error) == ("stale", "the key store did not answer in time")
    assert health.next_attempt is not None
    assert 0 < health.next_attempt <= 1  # the back-off; the gate is for unknown key ids alone


# stores that do odd things

ODD: dict[str, tuple[object, str]] = {
    "None": (None, "the key store returned NoneType instead of a KeySet"),
    "a dict": ({"kid": KEY.public}, "the key store returned dict instead of a KeySet"),
    "a PEM": (KEY.pem, "the key store returned str instead of a KeySet"),
    "ValueError": (ValueError("secret detail"), "the key store raised ValueError"),
    "SystemExit": (SystemExit(3), "the key store raised SystemExit"),
    "KeyboardInterrupt": (KeyboardInterrupt(), "the key store raised KeyboardInterrupt"),
    "BaseException": (BaseException("secret detail"), "the key store raised BaseException"),
    "its own KeyStoreError": (KeyStoreError("the vault is sealed"), "the vault is sealed"),
}


@pytest.mark.parametrize("case", ODD.values(), ids=ODD.keys())
def test_an_odd_store_is_a_failed_load(hand: HandLoads, case: tuple[object, str]) -> None:
    answer, said = case
    hand.arrives(answer)
    with pytest.raises(KeyStoreError) as caught:
        hand.cache.key(K)
    assert str(caught.value) == f"the verification keys are not available: {said}"
    assert caught.value.__cause__ is None
    assert hand.cache.health().last_error == said


def test_a_coroutine_for_a_load_is_a_failed_load(hand: HandLoads) -> None:
    async def load() -> KeySet:
        return key_set(KEY)  # pragma: no cover - it is never awaited

    coroutine = load()
    hand.arrives(coroutine)
    assert hand.ask(K) == UNAVAILABLE
    coroutine.close()


@pytest.mark.parametrize("store", [None, object(), {"kid": "pem"}, "pem"], ids=["None", "object", "dict", "str"])
def test_refuses_what_is_no_store(store: Any) -> None:
    with pytest.raises(ConfigurationError, match="store"):
        KeyCache(store)


@pytest.mark.parametrize("name", ["cooldown", "max_wait", "load_timeout"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, True, "2", None], ids=repr)
def test_refuses_a_setting_out_of_range(name: str, value: Any) -> None:
    settings: dict[str, Any] = {name: value}
    with pytest.raises(ConfigurationError, match=name):
        KeyCache(ScriptedStore(), **settings)


def test_refuses_a_load_timeout_of_zero_and_a_timer_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match="load_timeout"):
        KeyCache(ScriptedStore(), load_timeout=0)
    with pytest.raises(ConfigurationError, match="timer"):
        KeyCache(ScriptedStore(), timer=1.0)  # type: ignore[arg-type]


def test_asks_nothing_of_the_store_until_a_key_is_wanted() -> None:
    store = ScriptedStore(key_set(KEY))
    KeyCache(store, timer=Clock()).health()
    assert store.loads == 0

"""The loader's own business: threads that cannot be had, results that break, and who is told of what."""

from __future__ import annotations

import logging
import random
import threading
from contextlib import suppress

import pytest

from d1verify import KeyCache, KeySet, KeyStoreError, _loading
from d1verify.observer import KeyLoad, LoadOutcome

from .loads import DOWN, EMPTY, HandLoads
from .support import KEY, OTHER_KEY, ScriptedStore, key_set


class Told:
    """A listener that remembers, and that asks the cache back: no lock may be held while it is told."""

    def __init__(self, cache: KeyCache) -> None:
        self.events: list[KeyLoad] = []
        self.cache = cache
        cache.subscribe(self)

    def __call__(self, event: KeyLoad) -> None:
        self.events.append(event)
        self.cache.health()
        self.cache.subscribe(lambda _event: None)

    @property
    def outcomes(self) -> list[LoadOutcome]:
        return [event.outcome for event in self.events]


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandLoads:
    return HandLoads(monkeypatch)


@pytest.fixture
def told(hand: HandLoads) -> Told:
    return Told(hand.cache)


def test_tells_of_a_load_how_it_ended_and_how_long_it_took(hand: HandLoads, told: Told) -> None:
    hand.arrives(key_set(KEY, OTHER_KEY), after=0.5)
    hand.ask(KEY.kid)
    assert told.events == [KeyLoad(outcome=LoadOutcome.LOADED, usable=2, seconds=0.5)]


def test_tells_of_failed_empty_and_withdrawn(hand: HandLoads, told: Told) -> None:
    for answer in (DOWN, EMPTY, EMPTY, key_set(KEY)):
        hand.arrives(answer)
        with suppress(KeyStoreError):
            hand.cache.refresh()
        hand.clock.advance(1)
    assert told.outcomes == [LoadOutcome.FAILED, LoadOutcome.EMPTY, LoadOutcome.REVOKED, LoadOutcome.LOADED]


def test_tells_of_a_load_given_up_once_and_of_its_late_result_if_it_counts(hand: HandLoads, told: Told) -> None:
    hand.ask(KEY.kid)
    hand.cache.health()
    assert told.outcomes == [LoadOutcome.ABANDONED]
    hand.finish(key_set(KEY))
    assert told.outcomes == [LoadOutcome.ABANDONED, LoadOutcome.LOADED]


def test_tells_nothing_of_late_results_that_no_longer_matter(hand: HandLoads, told: Told) -> None:
    for _superseded in range(3):
        pending, _seconds = hand.cache._loader.begin_now(hand.cache._loader.state.started)
        pending.asked_for = False  # as a load that nobody has asked for by name
    hand.finish(key_set(KEY), -1)
    for answer in (key_set(OTHER_KEY), DOWN):
        hand.finish(answer)
    assert told.outcomes == [LoadOutcome.SUPERSEDED, LoadOutcome.SUPERSEDED, LoadOutcome.LOADED]
    assert hand.cache.health().kids == (KEY.kid,)


def test_a_listener_that_fails_disturbs_nobody(hand: HandLoads, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_event: KeyLoad) -> None:
        raise RuntimeError("the collector is gone")

    hand.cache.subscribe(fail)
    told = Told(hand.cache)
    hand.arrives(key_set(KEY))
    assert hand.ask(KEY.kid) == KEY.public
    assert told.outcomes == [LoadOutcome.LOADED]
    assert "an observer failed" in caplog.text


def test_a_listener_given_twice_is_told_once(hand: HandLoads) -> None:
    told = Told(hand.cache)
    hand.cache.subscribe(told)
    hand.arrives(key_set(KEY))
    assert hand.ask(KEY.kid) == KEY.public
    assert told.outcomes == [LoadOutcome.LOADED]


def test_a_thread_that_cannot_be_started_is_a_failed_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_run: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_loading, "start_thread", refuse)
    cache = KeyCache(ScriptedStore(key_set(KEY)))
    told = Told(cache)
    with pytest.raises(KeyStoreError, match="no thread could be started"):
        cache.key(KEY.kid)
    assert told.outcomes == [LoadOutcome.FAILED]
    assert cache.health().state == "empty"


def test_one_line_per_change_of_state(hand: HandLoads, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="d1verify")
    answers = [key_set(KEY), key_set(KEY), DOWN, DOWN, key_set(KEY), key_set(OTHER_KEY), EMPTY, EMPTY, EMPTY]
    for answer in answers:
        hand.arrives(answer)
        with suppress(KeyStoreError):
            hand.cache.refresh()
        hand.clock.advance(1)
    hand.ask(KEY.kid)
    assert [record.getMessage() for record in caplog.records] == [
        "keys loaded: 1 usable (d1-key-1)",
        "loading the keys failed: the source is down",
        "keys loaded: 1 usable (d1-key-1)",
        "keys loaded: 1 usable (d1-key-2)",
        "the key source is empty; looking again",
        "the key source stays empty: all keys are withdrawn",
    ]


def test_says_once_that_the_keys_have_become_too_old(hand: HandLoads, caplog: pytest.LogCaptureFixture) -> None:
    hand.holding(key_set(KEY)).clock.advance(1200)
    caplog.clear()
    hand.arrives(DOWN)
    for _request in range(3):
        hand.ask(KEY.kid)
        hand.clock.advance(31)
    assert [record.getMessage() for record in caplog.records] == [
        "loading the keys failed: the source is down",
        "the keys are too old to be used: the source is down",
    ]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_set_whose_skipped_entries_are_of_the_wrong_type_does_not_hang_who_waits() -> None:
    class Careless:
        def load(self) -> KeySet:
            return KeySet({KEY.kid: KEY.public}, skipped=["k2"])  # type: ignore[list-item]

    ended = threading.Event()
    cache = KeyCache(Careless(), load_timeout=60.0)
    pending, _seconds = cache._loader.begin_unless_usable()
    assert pending is not None
    pending._call_at_end(ended.set)
    assert ended.wait(10)


def test_draws_nothing_from_the_random_numbers_of_its_host(hand: HandLoads) -> None:
    before = random.getstate()
    for answer in (key_set(KEY), DOWN):
        hand.arrives(answer)
        with suppress(KeyStoreError):
            hand.cache.refresh()
    assert random.getstate() == before

"""Each fault: the last good set stays, serves at once within its limit, then 503, then recovery by itself."""

from __future__ import annotations

import itertools

import pytest

from ..support import KEY
from .measuring import MAX_AGE, SOON, story_of
from .table import DNS_HANGS, FAULTS, NO_ANSWER, TIMEOUT, Fault

every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)

MAX_WAIT = 2.0


def waited_as_it_should(fault: Fault, seconds: float) -> bool:
    """Tell whether the wait was for the load and no longer; a load ends by its deadline."""
    return TIMEOUT <= seconds < TIMEOUT + SOON if fault.slow else seconds < MAX_WAIT


@every_fault
def test_names_what_went_wrong_and_nothing_of_the_answer(fault: Fault) -> None:
    assert story_of(fault).error == fault.error


@every_fault
def test_a163_keeps_the_last_good_set_and_waits_for_one_load_at_most(fault: Fault) -> None:
    told, loads = story_of(fault).due
    assert told.key == KEY.public
    assert loads == 2
    assert waited_as_it_should(fault, told.seconds)


@every_fault
def test_serves_at_once_while_the_source_is_known_to_fail(fault: Fault) -> None:
    story = story_of(fault)
    for told, loads in story.stale:  # a thread, an asyncio task, a trio task
        assert told.key == KEY.public
        assert told.seconds < SOON
        assert loads == 2
    told, loads = story.after_back_off
    assert told.key == KEY.public
    assert told.seconds < SOON
    assert loads == 3


@every_fault
def test_never_says_unknown_key_on_the_word_of_an_old_set(fault: Fault) -> None:
    told, loads = story_of(fault).unknown_kid
    assert (told.outcome, told.seconds < SOON, loads) == ("keys_unavailable", True, 2)


@every_fault
def test_a164_gives_503_with_a_true_retry_after_beyond_the_limit(fault: Fault) -> None:
    story = story_of(fault)
    told, loads = story.beyond_limit
    assert (told.outcome, loads) == ("keys_unavailable", 4)
    assert waited_as_it_should(fault, told.seconds)
    again, loads = story.asked_again
    assert (again.outcome, again.seconds < SOON, loads) == ("keys_unavailable", True, 4)
    assert 0 < told.retry_after <= 30
    assert again.retry_after == told.retry_after
    early, loads = story.just_before_retry
    assert (early.outcome, early.seconds < SOON, loads) == ("keys_unavailable", True, 4)
    assert early.retry_after == pytest.approx(0.001)


@every_fault
def test_recovers_by_itself_when_retry_after_said(fault: Fault) -> None:
    told, loads = story_of(fault).recovered
    assert told.key == KEY.public
    assert loads == 5


@every_fault
def test_writes_one_line_per_change_of_state(fault: Fault) -> None:
    loaded = ("INFO", f"keys loaded: 1 usable ({KEY.kid})")
    assert story_of(fault).log == (
        loaded,
        ("WARNING", f"loading the keys failed: {fault.error}"),
        ("ERROR", f"the keys are too old to be used: {fault.error}"),
        loaded,
    )


@every_fault
def test_opens_one_connection_per_load_at_most(fault: Fault) -> None:
    reached = 2 if fault.name in ("connection refused", "DNS look-up fails", DNS_HANGS) else 5
    assert story_of(fault).connections == reached


@every_fault
def test_loses_no_thread_but_to_a_dns_look_up(fault: Fault) -> None:
    assert story_of(fault).lost_threads == (3 if fault.name == DNS_HANGS else 0)


def test_a157_stops_reading_soon_after_the_limit() -> None:
    story = next(story_of(fault) for fault in FAULTS if fault.name == "body of 200 MB")
    assert story.most_bytes_sent < 16 * 1024 * 1024


SLOW = [fault for fault in FAULTS if fault.slow]


def test_a278_each_part_of_an_answer_can_be_slow() -> None:
    parts = {"headers, byte by byte", "1xx answers without end", "trailers, byte by byte", "TLS records, byte by byte"}
    assert {fault.name for fault in SLOW} >= parts


@pytest.mark.parametrize("fault", SLOW, ids=lambda fault: fault.name)
def test_a158_a278_one_deadline_ends_what_would_go_on_for_ever(fault: Fault) -> None:
    """Each byte comes soon after the one before, so that no time limit for a single read would end it."""
    story = story_of(fault)
    assert story.error == NO_ANSWER
    assert TIMEOUT <= story.due[0].seconds < MAX_WAIT


def test_every_row_has_a_name_of_its_own() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names)
    assert MAX_AGE >= 60
    assert all(one != other for one, other in itertools.pairwise(names))

"""What an observer is told, and that what it raises goes no further."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

from d1verify import ConfigurationError, D1Token, KeyCache, KeyStoreError, Reason, TokenError
from d1verify.observer import KeyLoad, LoadOutcome, Observers, Verification, notify

from .loads import verifier_over
from .support import KEY, Recorder, ScriptedStore, Sleeper, key_set, make_verifier


class Broken:
    def notify(self, event: Verification | KeyLoad) -> None:
        raise RuntimeError("the collector is gone")


def test_is_told_of_loads_and_verdicts_in_the_order_in_which_they_fell() -> None:
    recorder = Recorder()
    verifier = make_verifier(ScriptedStore(key_set(KEY)), observer=recorder)
    verifier.warm_up()
    token = KEY.mint()
    first, second = verifier.verify(token), verifier.verify(token)
    load, *verdicts = recorder.events
    assert isinstance(load, KeyLoad)
    assert (load.outcome, load.usable) == (LoadOutcome.LOADED, 1)
    assert [(one.token, one.error, one.cached) for one in recorder.verdicts] == [
        (first, None, False),
        (second, None, True),
    ]
    assert len(verdicts) == 2
    assert all(one.seconds >= 0 for one in recorder.verdicts)


@pytest.mark.anyio
async def test_is_told_of_refusals_with_the_error_that_the_caller_gets() -> None:
    recorder = Recorder()
    verifier = make_verifier(observer=recorder)
    with pytest.raises(TokenError) as caught:
        await verifier.averify(KEY.mint(iss="d2"))
    (verdict,) = recorder.verdicts
    assert verdict.error is caught.value
    assert (verdict.token, verdict.cached) == (None, False)


def test_is_told_of_key_trouble_and_of_missing_tokens() -> None:
    recorder = Recorder()
    verifier = make_verifier(ScriptedStore(KeyStoreError("down")), observer=recorder)
    with pytest.raises(KeyStoreError):
        verifier.verify(KEY.mint())
    with pytest.raises(TokenError):
        verifier.verify_header(None)
    reasons = [None if one.error is None else one.error.reason for one in recorder.verdicts]
    assert reasons == [Reason.KEYS_UNAVAILABLE, Reason.MISSING_TOKEN]


@pytest.mark.anyio
async def test_an_observer_that_fails_changes_no_verdict(caplog: pytest.LogCaptureFixture) -> None:
    verifier = verifier_over(KeyCache(ScriptedStore(key_set(KEY))), observer=Broken())
    token = KEY.mint()
    assert isinstance(verifier.verify(token), D1Token)
    assert isinstance(await verifier.averify(token), D1Token)
    with pytest.raises(TokenError):
        verifier.verify("x")
    assert caplog.text.count("an observer failed") == 4  # One load, three verdicts.
    assert token not in caplog.text


def test_an_interrupt_in_an_observer_is_nobodys_to_swallow() -> None:
    def interrupted(_event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        notify(interrupted, KeyLoad(outcome=LoadOutcome.LOADED, usable=1, seconds=0.0))


RECORDS: list[Verification | KeyLoad] = [
    Verification(token=None, error=None, cached=False, seconds=0.1),
    KeyLoad(outcome=LoadOutcome.LOADED, usable=1, seconds=0.1),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_cannot_be_changed(record: Verification | KeyLoad) -> None:
    with pytest.raises(AttributeError):
        record.seconds = 0.2  # type: ignore[misc]


# several in the place of one


def test_several_observers_are_told_in_order_and_one_that_fails_keeps_nothing_from_the_others() -> None:
    first, second = Recorder(), Recorder()
    verifier = make_verifier(observer=Observers(first, Broken(), second))
    verifier.verify(KEY.mint())
    with pytest.raises(TokenError):
        verifier.verify("x")
    assert first.events == second.events
    assert len(first.verdicts) == 2


def test_none_at_all_is_no_observer() -> None:
    verifier = make_verifier(observer=Observers())
    assert isinstance(verifier.verify(KEY.mint()), D1Token)
    assert verifier._verdicts.observer is None


@pytest.mark.parametrize("other", [None, object(), "notify"], ids=["None", "object", "text"])
def test_refuses_what_is_no_observer_among_them(other: Any) -> None:
    with pytest.raises(ConfigurationError, match="notify"):
        Observers(Recorder(), other)


@pytest.mark.parametrize("wrap", [lambda one: one, Observers, lambda one: Observers(Observers(one))])
def test_a_dormant_observer_hears_of_loads_but_of_no_verdict_until_it_asks(wrap: Callable[[Any], Any]) -> None:
    sleeper = Sleeper()
    verifier = make_verifier(observer=wrap(sleeper))
    assert sleeper.verifier is verifier
    verifier.verify(KEY.mint())
    assert [type(event) for event in sleeper.events] == [KeyLoad]
    sleeper.wake()
    sleeper.wake()
    verifier.verify(KEY.mint())
    assert len(sleeper.verdicts) == 1


def test_an_observer_that_merely_has_an_attribute_of_that_name_is_not_taken_for_dormant() -> None:
    observer = Mock()
    make_verifier(observer=observer).verify(KEY.mint())
    assert observer.notify.call_count == 2
    observer.attach.assert_not_called()

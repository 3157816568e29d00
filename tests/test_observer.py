"""What an observer is told, and that what it raises goes no further."""

from __future__ import annotations

import pytest

from d1verify import D1Token, KeyCache, KeyStoreError, Reason, TokenError
from d1verify.observer import KeyLoad, LoadOutcome, Verification, notify

from .loads import verifier_over
from .support import KEY, ScriptedStore, key_set, make_verifier


class Recorder:
    def __init__(self) -> None:
        self.events: list[Verification | KeyLoad] = []

    def notify(self, event: Verification | KeyLoad) -> None:
        self.events.append(event)

    @property
    def verdicts(self) -> list[Verification]:
        return [event for event in self.events if isinstance(event, Verification)]


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


@pytest.mark.parametrize("record", [Verification, KeyLoad])
def test_records_are_frozen_and_built_by_name(record: type) -> None:
    with pytest.raises(TypeError):
        record("positional")
    assert record.__dataclass_params__.frozen  # type: ignore[attr-defined]

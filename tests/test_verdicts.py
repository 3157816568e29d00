"""What an observer is told of verdicts, and what its failures change: nothing."""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest

from d1verify import (
    Reason,
    TokenError,
    _verdicts,
    bearer,
)
from d1verify import (
    verifier as verifier_module,
)
from d1verify._flood import BURST
from d1verify.observer import KeyLoad, Verification

from .support import (
    KEY,
    NOW,
    OTHER_KEY,
    SUBJECT,
    Recorder,
    ScriptedStore,
    Sleeper,
    key_set,
    make_verifier,
    refused,
)


@pytest.mark.anyio
async def test_an_observer_is_told_of_every_verdict_and_load() -> None:
    recorder = Recorder()
    verifier = make_verifier(ScriptedStore(key_set(KEY)), observer=recorder)
    await verifier.averify(KEY.mint())
    for value in (None, f"Bearer {OTHER_KEY.mint()}"):
        with pytest.raises(TokenError):
            await verifier.averify_header(value)
    assert [name for name, _ in recorder.outcomes] == ["ok", "missing_token", "unknown_key"]
    assert any(isinstance(event, KeyLoad) for event in recorder.events)
    assert all(event.seconds >= 0 for event in recorder.events)


def test_an_observer_that_fails_changes_no_verdict(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def notify(self, event: Verification | KeyLoad) -> None:
            raise RuntimeError("boom")

    verifier = make_verifier(observer=Broken())
    assert verifier.verify(KEY.mint()).subject == SUBJECT
    assert refused(lambda: verifier.verify("x")) == "malformed_token"
    assert "an observer failed" in caplog.text


def test_an_observer_that_fails_at_each_call_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def notify(self, event: Verification | KeyLoad) -> None:
            raise RuntimeError("boom")

    verifier, token = make_verifier(observer=Broken()), KEY.mint()
    for _call in range(100):
        verifier.verify(token)
    assert 1 < caplog.text.count("an observer failed") <= BURST + 1  # One more for the load of the keys.


class Ticking:
    """In the place of the module `time`: each look at it is a second later."""

    def __init__(self, first: int) -> None:
        self.perf_counter = itertools.count(first).__next__


@pytest.mark.anyio
async def test_an_observer_is_told_how_long_it_took_and_what_was_known(monkeypatch: pytest.MonkeyPatch) -> None:
    ticking = Ticking(1000)
    for module in (verifier_module, _verdicts):
        monkeypatch.setattr(module, "time", ticking)
    recorder = Recorder()
    verifier, token = make_verifier(observer=recorder), KEY.mint()
    header = b"Bearer " + token.encode()
    verified = [await verifier.averify(token), verifier.verify(token), await verifier.averify(token)]
    verified += [verifier.verify_header(header), await verifier.averify_header(header)]
    for bad in (None, header + b"="):
        with pytest.raises(TokenError):
            verifier.verify_header(bad)
        with pytest.raises(TokenError):
            await verifier.averify_header(bad)
    verdicts = recorder.verdicts
    assert [event.token for event in verdicts] == [*verified, None, None, None, None]
    assert [event.cached for event in verdicts] == [False, True, True, True, True, False, False, False, False]
    assert {event.seconds for event in verdicts} == {1}


@pytest.mark.anyio
async def test_an_observer_is_not_told_of_a_call_that_was_under_way_when_it_woke() -> None:
    # Nobody looked at the clock when the call began, so nobody knows how long it took.
    for token in (KEY.mint(), KEY.mint(exp=1)):
        for asynchronous in (False, True):
            observer = Sleeper()

            def wake(observer: Sleeper = observer) -> float:
                if hasattr(observer, "wake"):
                    observer.wake()
                return NOW

            verifier = make_verifier(observer=observer, clock=wake)
            with suppress(TokenError):
                await verifier.averify(token) if asynchronous else verifier.verify(token)
            assert observer.verdicts == []
            verifier.verify(KEY.mint())
            assert observer.outcomes == [("ok", False)]  # It was awake.


@pytest.mark.anyio
async def test_an_observer_that_wakes_while_a_header_is_read_is_not_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    observer = Sleeper()
    verifier = make_verifier(observer=observer)

    def wake(_value: object) -> bytes:
        observer.wake()
        raise TokenError(Reason.MISSING_TOKEN)

    monkeypatch.setattr(bearer, "token_from_header", wake)
    assert refused(lambda: verifier.verify_header(None)) == "missing_token"
    assert observer.verdicts == []
    assert refused(lambda: verifier.verify_header(None)) == "missing_token"
    assert observer.outcomes == [("missing_token", False)]  # It was awake.

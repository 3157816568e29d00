"""One request in the air, moved by hand: what is hard to see from outside `D1TokenAuth`."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable

import anyio
import pytest

from d1verify._freshness import Attempt
from d1verify.oauth import TokenRequestError, _token_source
from d1verify.oauth._token_request import AccessToken
from d1verify.oauth._token_source import TokenSource
from tests.support import Clock

DOWN = TokenRequestError("D1's token endpoint is down", status=503)


class Issuer:
    """Issues what it is told to, on threads that run when the test says so, or at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, at_once: bool = True) -> None:
        self.timer = Clock(1000.0)
        self.script: list[AccessToken | BaseException] = []
        self.asked = 0
        self.threads: list[Callable[[], None]] = []
        self.at_once = at_once
        monkeypatch.setattr(_token_source, "start_thread", self.start)
        self.source = TokenSource(self.issue, timeout=5.0, timer=self.timer)

    def start(self, run: Callable[[], None]) -> None:
        if self.at_once:
            # On a thread, since whoever starts it holds the lock; the caller waits for it anyway.
            threading.Thread(target=run, daemon=True).start()
        else:
            self.threads.append(run)

    def issue(self) -> AccessToken:
        self.asked += 1
        given = self.script.pop(0)
        if isinstance(given, BaseException):
            raise given
        return given


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Issuer:
    return Issuer(monkeypatch)


def failing(issuer: Issuer) -> TokenRequestError:
    with pytest.raises(TokenRequestError) as caught:
        issuer.source.obtain()
    return caught.value


def test_asks_less_and_less_often_while_d1_is_down(issuer: Issuer) -> None:
    issuer.script = [DOWN] * 20
    waits = []
    for _ in range(8):
        error = failing(issuer)
        asked = issuer.asked
        waits.append(error.retry_after)
        if error.retry_after:
            issuer.timer.advance(error.retry_after - 0.25)
            again = failing(issuer)
            assert (str(again), again.status, again.retry_after) == (str(DOWN), 503, 0.25)
            assert again is not error
            assert issuer.asked == asked
            issuer.timer.advance(0.25)
    assert waits == [0, 1, 2, 4, 8, 16, 30, 30]
    assert issuer.asked == 8


def test_a_good_answer_ends_the_back_off(issuer: Issuer) -> None:
    issuer.script = [DOWN, DOWN, AccessToken("T1", 900), DOWN]
    failing(issuer)
    failing(issuer)
    issuer.timer.advance(1)
    held = issuer.source.obtain()
    assert held.value == "T1"
    issuer.timer.advance(900)
    assert failing(issuer).retry_after == 0


def test_comes_back_when_d1_says_so(issuer: Issuer) -> None:
    issuer.script = [TokenRequestError("busy", status=429, retry_after=7.0), AccessToken("T1", 900)]
    assert failing(issuer).retry_after == 7
    issuer.timer.advance(6)
    assert failing(issuer).retry_after == 1
    assert issuer.asked == 1
    issuer.timer.advance(1)
    assert issuer.source.obtain().value == "T1"


@pytest.mark.parametrize("error", [RuntimeError("markmark"), SystemExit("markmark"), KeyboardInterrupt()])
def test_whatever_goes_wrong_is_an_error_of_ours(issuer: Issuer, error: BaseException) -> None:
    issuer.script = [error]
    assert str(failing(issuer)) == f"the token request failed ({type(error).__name__})"


def test_the_error_holds_no_frame_of_the_request(issuer: Issuer) -> None:
    issuer.script = [DOWN]
    error = failing(issuer)
    names = []
    trace = error.__traceback__
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert names[-1] == "result"
    assert "issue" not in names


def test_no_thread_to_be_had_is_a_clear_error(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_run: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_token_source, "start_thread", none_left)
    assert "no thread" in str(failing(issuer))
    assert issuer.source._pending is None


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer(monkeypatch, at_once=False)
    waits: list[float] = []
    monkeypatch.setattr(_token_source._PendingRequest, "wait", lambda _self, seconds: waits.append(seconds))
    assert "in time" in str(failing(issuer))
    assert "in time" in str(failing(issuer))
    assert waits == [6.0, 6.0]
    assert len(issuer.threads) == 1
    issuer.script = [AccessToken("late", 900)]
    issuer.threads[0]()
    assert issuer.source.obtain().value == "late"


def test_a_caller_that_comes_to_the_lock_after_the_token_takes_it(issuer: Issuer) -> None:
    issuer.script = [AccessToken("T1", 900)]
    held = issuer.source.obtain()
    pending, seconds = issuer.source._join()
    assert (pending.result(), seconds) == (held, 0)
    looks = iter([None, held])
    issuer.source._usable = lambda: next(looks)  # type: ignore[method-assign]
    assert issuer.source.obtain() is held

    async def on_a_loop() -> None:
        looks = iter([None, held])
        issuer.source._usable = lambda: next(looks)  # type: ignore[method-assign]
        assert await issuer.source.aobtain() is held

    anyio.run(on_a_loop)
    assert issuer.asked == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_has_a_lock_of_its_own_and_keeps_the_token(issuer: Issuer) -> None:
    issuer.script = [AccessToken("T1", 900)]
    issuer.source.obtain()
    old = issuer.source._lock
    issuer.source._pending = _token_source._PendingRequest(Attempt(9, 0, 0, 0))
    with old:
        issuer.source.renew()  # What the fork hook calls in the child, while another thread held the lock.
    assert issuer.source._lock is not old
    assert issuer.source._pending is None
    assert issuer.source.obtain().value == "T1"


def test_the_error_can_be_pickled() -> None:
    error = TokenRequestError("text", status=400, retry_after=2.0, correlation_id="c")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.status, again.retry_after, again.correlation_id) == ("text", 400, 2.0, "c")
    assert "value" not in repr(AccessToken("markmark", 1))

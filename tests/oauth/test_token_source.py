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


class Shop:
    """Sells what it is told to, on threads that run when the test says so, or at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, at_once: bool = True) -> None:
        self.timer = Clock(1000.0)
        self.script: list[AccessToken | BaseException] = []
        self.asked = 0
        self.threads: list[Callable[[], None]] = []
        self.at_once = at_once
        monkeypatch.setattr(_token_source, "start_thread", self.start)
        self.source = TokenSource(self.buy, timeout=5.0, timer=self.timer)

    def start(self, run: Callable[[], None]) -> None:
        if self.at_once:
            # On a thread, since whoever starts it holds the lock; the caller waits for it anyway.
            threading.Thread(target=run, daemon=True).start()
        else:
            self.threads.append(run)

    def buy(self) -> AccessToken:
        self.asked += 1
        given = self.script.pop(0)
        if isinstance(given, BaseException):
            raise given
        return given


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(monkeypatch)


def failing(shop: Shop) -> TokenRequestError:
    with pytest.raises(TokenRequestError) as caught:
        shop.source.obtain()
    return caught.value


def test_asks_less_and_less_often_while_d1_is_down(shop: Shop) -> None:
    shop.script = [DOWN] * 20
    waits = []
    for _ in range(8):
        error = failing(shop)
        asked = shop.asked
        waits.append(error.retry_after)
        if error.retry_after:
            shop.timer.advance(error.retry_after - 0.25)
            again = failing(shop)
            assert (str(again), again.status, again.retry_after) == (str(DOWN), 503, 0.25)
            assert again is not error
            assert shop.asked == asked
            shop.timer.advance(0.25)
    assert waits == [0, 1, 2, 4, 8, 16, 30, 30]
    assert shop.asked == 8


def test_a_good_answer_ends_the_back_off(shop: Shop) -> None:
    shop.script = [DOWN, DOWN, AccessToken("T1", 900), DOWN]
    failing(shop)
    failing(shop)
    shop.timer.advance(1)
    held = shop.source.obtain()
    assert held.value == "T1"
    shop.timer.advance(900)
    assert failing(shop).retry_after == 0


def test_comes_back_when_d1_says_so(shop: Shop) -> None:
    shop.script = [TokenRequestError("busy", status=429, retry_after=7.0), AccessToken("T1", 900)]
    assert failing(shop).retry_after == 7
    shop.timer.advance(6)
    assert failing(shop).retry_after == 1
    assert shop.asked == 1
    shop.timer.advance(1)
    assert shop.source.obtain().value == "T1"


@pytest.mark.parametrize("error", [RuntimeError("markmark"), SystemExit("markmark"), KeyboardInterrupt()])
def test_whatever_goes_wrong_is_an_error_of_ours(shop: Shop, error: BaseException) -> None:
    shop.script = [error]
    assert str(failing(shop)) == f"the token request failed ({type(error).__name__})"


def test_the_error_holds_no_frame_of_the_request(shop: Shop) -> None:
    shop.script = [DOWN]
    error = failing(shop)
    names = []
    trace = error.__traceback__
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert names[-1] == "result"
    assert "buy" not in names


def test_no_thread_to_be_had_is_a_clear_error(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_run: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_token_source, "start_thread", none_left)
    assert "no thread" in str(failing(shop))
    assert shop.source._purchase is None


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(monkeypatch, at_once=False)
    waits: list[float] = []
    monkeypatch.setattr(_token_source._Purchase, "wait", lambda _self, seconds: waits.append(seconds))
    assert "in time" in str(failing(shop))
    assert "in time" in str(failing(shop))
    assert waits == [6.0, 6.0]
    assert len(shop.threads) == 1
    shop.script = [AccessToken("late", 900)]
    shop.threads[0]()
    assert shop.source.obtain().value == "late"


def test_a_caller_that_comes_to_the_lock_after_the_token_takes_it(shop: Shop) -> None:
    shop.script = [AccessToken("T1", 900)]
    held = shop.source.obtain()
    purchase, seconds = shop.source._join()
    assert (purchase.result(), seconds) == (held, 0)
    looks = iter([None, held])
    shop.source._usable = lambda: next(looks)  # type: ignore[method-assign]
    assert shop.source.obtain() is held

    async def on_a_loop() -> None:
        looks = iter([None, held])
        shop.source._usable = lambda: next(looks)  # type: ignore[method-assign]
        assert await shop.source.aobtain() is held

    anyio.run(on_a_loop)
    assert shop.asked == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_has_a_lock_of_its_own_and_keeps_the_token(shop: Shop) -> None:
    shop.script = [AccessToken("T1", 900)]
    shop.source.obtain()
    old = shop.source._lock
    shop.source._purchase = _token_source._Purchase(Attempt(9, 0, 0, 0))
    with old:
        shop.source.renew()  # What the fork hook calls in the child, while another thread held the lock.
    assert shop.source._lock is not old
    assert shop.source._purchase is None
    assert shop.source.obtain().value == "T1"


def test_the_error_can_be_pickled() -> None:
    error = TokenRequestError("text", status=400, retry_after=2.0, correlation_id="c")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.status, again.retry_after, again.correlation_id) == ("text", 400, 2.0, "c")
    assert "value" not in repr(AccessToken("markmark", 1))

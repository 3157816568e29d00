"""The access token in hand, and the one request in the air that obtains the next: threads, asyncio, trio."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from .._fork import renew_in_child
from .._freshness import Attempt
from .._loading import PendingLoad, start_thread
from ._token_request import AccessToken, TokenRequestError

__all__ = ["HeldToken", "TokenSource"]

# How long before its end a token is no longer used, so that it does not run out on its way.
MARGIN_SECONDS: Final = 30.0
MAX_BACK_OFF_SECONDS: Final = 30.0
# How long a token is kept that was requested because of a 401 and meets nothing but another.
COOL_OFF_SECONDS: Final = 30.0
# A request ends by itself at its deadline; this is how much longer anybody waits for it at most.
_TO_END: Final = 1.0


class HeldToken:
    """An access token of D1's, until when it is used, and what D1 has said to it so far.

    Attributes:
        value: the token.
        usable_until: on the monotonic clock.
        replaceable_from: from when on, on that clock, a 401 may have another one requested.
        accepted: D1 has answered a call with it with something other than 401.
    """

    __slots__ = ("accepted", "replaceable_from", "usable_until", "value")

    def __init__(self, value: str, usable_until: float, replaceable_from: float) -> None:
        self.value = value
        self.usable_until = usable_until
        self.replaceable_from = replaceable_from
        self.accepted = False


class _PendingRequest(PendingLoad):
    """A request in the air. Whoever waits for it gets what it got."""

    outcome: HeldToken | TokenRequestError | None = None

    def result(self) -> HeldToken:
        if isinstance(self.outcome, HeldToken):
            return self.outcome
        if self.outcome is None:
            raise TokenRequestError("D1's token endpoint gave no complete answer in time")
        raise self.outcome.again(self.outcome.retry_after)


class TokenSource:
    """Gives the current token to any number of callers and has one requested when it runs out.

    After two failures in a row, and when D1 says for how long, there is no request for a
    while: 1, 2, 4, up to 30 seconds.
    """

    def __init__(self, request: Callable[[], AccessToken], *, timeout: float, timer: Callable[[], float]) -> None:
        self._request = request
        self._timeout = timeout
        self._timer = timer
        self._held: HeldToken | None = None
        self._failures = 0
        self._last_error: TokenRequestError | None = None
        self._not_before = 0.0
        self._replaces_refused = False
        self._started = 0
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Replace the lock and forget the request in the air, as a forked child must. The token stays."""
        self._lock = threading.Lock()
        self._pending: _PendingRequest | None = None

    def obtain(self) -> HeldToken:
        """Return the current token, waiting for one to be issued if there is none.

        Raises:
            TokenRequestError: none is to be had.
        """
        held = self._usable()
        if held is not None:
            return held
        pending, seconds = self._join()
        if seconds > 0:
            pending.wait(seconds)
        return pending.result()

    async def aobtain(self) -> HeldToken:
        """Return what `obtain` returns, suspending the task instead of blocking the thread."""
        held = self._usable()
        if held is not None:
            return held
        pending, seconds = self._join()
        if seconds > 0:
            await pending.async_wait(seconds)
        return pending.result()

    def refused(self, held: HeldToken) -> bool:
        """Take note that D1 answered 401 to this token, and tell whether another try is worth it.

        A token that is no longer the current one costs no new one. One that was requested because of
        a 401 and meets the next without ever having been accepted is kept for a while: another
        would fare no better, and each call would request one.
        """
        with self._lock:
            if self._held is held:
                if not held.accepted and self._timer() < held.replaceable_from:
                    return False
                self._held = None
                self._replaces_refused = True
            return True

    def _usable(self) -> HeldToken | None:
        held = self._held
        return held if held is not None and self._timer() < held.usable_until else None

    def _join(self) -> tuple[_PendingRequest, float]:
        """Return a request in the air and for how long to wait for it; 0 if it has brought a token already."""
        with self._lock:
            now = self._timer()
            held = self._usable()
            if held is not None:  # It came while this caller was on its way to the lock.
                done = _PendingRequest(Attempt(0, now, now, now))
                done.outcome = held
                return done, 0.0
            if self._pending is None:
                self._pending = self._begin(now)
            return self._pending, self._timeout + _TO_END

    def _begin(self, now: float) -> _PendingRequest:
        if self._last_error is not None and now < self._not_before:
            raise self._last_error.again(self._not_before - now)
        self._started += 1
        until = now + self._timeout
        pending = _PendingRequest(Attempt(self._started, now, until, until))
        try:
            start_thread(lambda: self._carry_out(pending))
        except RuntimeError:  # No thread to be had: the process is at a limit or about to end.
            raise TokenRequestError("no thread could be started to ask D1's token endpoint") from None
        return pending

    def _carry_out(self, pending: _PendingRequest) -> None:
        outcome: AccessToken | TokenRequestError
        try:
            outcome = self._request()
        except TokenRequestError as error:
            outcome = error.again(error.retry_after)  # Without the frames, whose variables hold the answer.
        except BaseException as error:
            outcome = TokenRequestError(f"the token request failed ({type(error).__name__})")
        with self._lock:
            if isinstance(outcome, AccessToken):
                pending.outcome = self._taken(pending, outcome)
            else:
                pending.outcome = self._failed(outcome)
            self._pending = None
        pending.end()

    def _taken(self, pending: _PendingRequest, token: AccessToken) -> HeldToken:
        margin = min(MARGIN_SECONDS, token.seconds / 2)
        started_at = pending.attempt.started_at
        replaceable_from = started_at + COOL_OFF_SECONDS if self._replaces_refused else started_at
        self._held = HeldToken(token.value, started_at + token.seconds - margin, replaceable_from)
        self._failures, self._replaces_refused = 0, False
        return self._held

    def _failed(self, error: TokenRequestError) -> TokenRequestError:
        self._failures += 1
        back_off = min(MAX_BACK_OFF_SECONDS, 2.0 ** min(self._failures - 2, 10)) if self._failures > 1 else 0.0
        error.retry_after = max(error.retry_after, back_off)
        self._last_error, self._not_before = error, self._timer() + error.retry_after
        return error

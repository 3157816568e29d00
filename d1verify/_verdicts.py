"""Where the verdicts of a verifier go: each refusal to the log, and every verdict to an observer while one listens."""

from __future__ import annotations

import time

from ._known import KnownToken
from ._log import RefusalLog
from .errors import KeyStoreError, Reason, TokenError
from .observer import Observer, Verification, notify
from .tokens import D1Token, UnverifiedToken

__all__ = ["Verdicts"]


class Verdicts:
    """Told by one verifier of what it decided.

    Attributes:
        observer: who listens, or None, also while a dormant one sleeps; see `observer.attach`.
        note_refusal: writes a refusal to the log; bound once, since each token takes it along.
    """

    def __init__(self) -> None:
        self.observer: Observer | None = None
        self._log = RefusalLog()
        self.note_refusal = self._log.write

    def accepted(self, token: D1Token, opened: UnverifiedToken | KnownToken, started: float) -> None:
        """Tell of a token that was accepted, by what it was read as, after a call that began at `started`."""
        cached = isinstance(opened, KnownToken) and opened.token is token
        self._observe(started, token=token, cached=cached)

    def refused(self, error: Exception, started: float) -> TokenError | KeyStoreError:
        """Return what leaves the verifier: our own errors only, whatever has happened inside.

        What they were raised in the course of is taken off them, since it may hold the token
        or its payload; raise them where no other exception is being handled.
        """
        if not isinstance(error, TokenError | KeyStoreError):
            self._log.failures.write("refused a call: an unexpected %s", type(error).__name__)
            error = TokenError(Reason.MALFORMED_TOKEN)
        error.__cause__ = error.__context__ = None
        self.note_refusal(error)
        if self.observer is not None:
            self._observe(started, error=error)
        return error

    def _observe(
        self,
        started: float,
        *,
        token: D1Token | None = None,
        error: TokenError | KeyStoreError | None = None,
        cached: bool = False,
    ) -> None:
        if self.observer is not None and started:  # else it began to listen while this call was under way
            seconds = time.perf_counter() - started
            event = Verification(token=token, error=error, cached=cached, seconds=seconds)
            notify(self.observer.notify, event, self._log.failures)

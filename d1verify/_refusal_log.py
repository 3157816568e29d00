"""The records of calls and token requests: what was refused and why, and what failed inside. Floods are summarised."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ._flood import Flood, Tally
from ._records import DEBUG, ERROR, WARNING, Line, log, shown
from .errors import KeyStoreError, Reason, TokenError

__all__ = ["FailureLog", "RefusalLog", "TokenRequestLog"]


class _Kind(NamedTuple):
    """What makes two refusals alike."""

    reason: Reason
    signed: bool

    @property
    def level(self) -> int:
        """Anybody can cause what is refused before the signature holds; what D1 signed and we refuse is news."""
        return WARNING if self.signed else DEBUG

    def fields(self, event: str, count: int) -> dict[str, object]:
        return {"d1_event": event, "d1_reason": self.reason.value, "d1_signed": self.signed, "d1_count": count}


class _Failure(NamedTuple):
    message: str
    kind: str

    def fields(self, count: int) -> dict[str, object]:
        return {"d1_event": "internal_failure", "d1_error": self.kind, "d1_count": count}


class FailureLog:
    """Writes what has failed inside, or in a hook of the app's, and changed no verdict.

    Args:
        timer: a monotonic clock, in seconds.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._flood: Flood[_Failure] = Flood(_repeated, timer)

    def write(self, message: str, kind: str) -> None:
        """Write or count the failure.

        Args:
            message: a fixed text, with one `%s` for the kind.
            kind: the type of what was raised or returned. Its text may hold what must not be logged.
        """
        failure = _Failure(message, kind)
        if self._flood.admit(failure):
            Line(ERROR, message, (kind,), failure.fields(1)).write()


class RefusalLog:
    """Writes one record per refused call, and in a flood the first ones of a reason and then a count of them.

    Each verifier has one of its own.

    Args:
        timer: a monotonic clock, in seconds.

    Attributes:
        failures: where to write what failed inside while a call was judged.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self.failures = FailureLog(timer)
        self._flood: Flood[_Kind] = Flood(_summary, timer)

    def write(self, error: TokenError | KeyStoreError) -> None:
        """Write or count the refusal. Where nobody listens at its level, it is not even counted."""
        signed, kid = (False, None) if isinstance(error, KeyStoreError) else (error.signed, error.kid)
        if not log().isEnabledFor(WARNING if signed else DEBUG):
            return
        kind = _Kind(error.reason, signed)
        if self._flood.admit(kind):
            named = None if kid is None else shown(kid)
            args = (error.reason.value, "-" if named is None else named)
            fields = {**kind.fields("call_refused", 1), "d1_kid": named}
            Line(kind.level, "refused a call: %s (kid %s)", args, fields).write()


class TokenRequestLog:
    """Writes one record per refused request of a token endpoint; floods are summarised as those of calls are.

    Args:
        timer: a monotonic clock, in seconds.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._flood: Flood[str] = Flood(_requests, timer)

    def write(self, error: str) -> None:
        """Write or count the refusal.

        Args:
            error: the code of the answer (RFC 6749 §5.2).
        """
        if log().isEnabledFor(DEBUG) and self._flood.admit(error):
            fields = {"d1_event": "token_request_refused", "d1_error": error, "d1_count": 1}
            Line(DEBUG, "refused a token request: %s", (error,), fields).write()


def _requests(tally: Tally[str]) -> Line:
    fields = {"d1_event": "token_requests_refused", "d1_error": tally.key, "d1_count": tally.number, **_times(tally)}
    args = (f"{tally.number:,}", tally.key, _when(tally))
    return Line(DEBUG, "refused %s more token requests: %s (%s)", args, fields)


def _summary(tally: Tally[_Kind]) -> Line:
    kind = tally.key
    fields = {**kind.fields("calls_refused", tally.number), **_times(tally)}
    args = (f"{tally.number:,}", kind.reason.value, _when(tally))
    return Line(kind.level, "refused %s more calls: %s (%s)", args, fields)


def _repeated(tally: Tally[_Failure]) -> Line:
    message, kind = tally.key
    fields = {**tally.key.fields(tally.number), **_times(tally)}
    return Line(ERROR, f"{message}, %s times more (%s)", (kind, f"{tally.number:,}", _when(tally)), fields)


def _when(tally: Tally[Any]) -> str:
    within = f"in {tally.seconds:.0f} s"
    return f"{within}, {tally.ago:.0f} s ago" if tally.ago >= 1 else within


def _times(tally: Tally[Any]) -> dict[str, object]:
    return {"d1_seconds": round(tally.seconds, 3), "d1_seconds_ago": round(tally.ago, 3)}

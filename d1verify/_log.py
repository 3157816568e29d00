"""The library's logger, and the lines it writes about keys: one per change of state.

Never a token, a claim or a key; a key id only escaped and shortened.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Final, NamedTuple

from ._freshness import State
from .errors import KeyStoreError, TokenError
from .observer import LoadOutcome

__all__ = ["KeyLog", "Line", "log", "log_refusal", "shown"]

log: Final = logging.getLogger("d1verify")

MAX_SHOWN_CHARACTERS: Final = 64


class Line(NamedTuple):
    """A log record to be written once no lock is held."""

    level: int
    message: str
    args: tuple[object, ...]

    def write(self) -> None:
        with suppress(Exception):  # A log handler's trouble is not the caller's.
            log.log(self.level, self.message, *self.args)


def shown(text: str) -> str:
    """Return text that somebody else chose, fit for a log line: ASCII, escaped, at most 64 characters."""
    return ascii(text[:MAX_SHOWN_CHARACTERS])[1:-1][:MAX_SHOWN_CHARACTERS]


def log_refusal(error: TokenError | KeyStoreError) -> None:
    """Write the one record of a refused call.

    Anybody can cause what is refused before the signature holds, so that is for DEBUG;
    what D1 signed and we refuse is a WARNING.
    """
    signed, kid = (False, None) if isinstance(error, KeyStoreError) else (error.signed, error.kid)
    level = logging.WARNING if signed else logging.DEBUG
    if log.isEnabledFor(level):
        Line(level, "refused a call: %s (kid %s)", (error.reason.value, "-" if kid is None else shown(kid))).write()


class KeyLog:
    """Remembers what was said last, so that a lasting trouble is one line and not one per load."""

    def __init__(self) -> None:
        self._condition = "new"
        self._said: tuple[object, ...] = ()

    def on_load(self, outcome: LoadOutcome, state: State) -> Line | None:
        """Return the line for a load that ended, if it changed anything."""
        match outcome:
            case LoadOutcome.LOADED:
                return self._on_loaded(state)
            case LoadOutcome.FAILED | LoadOutcome.ABANDONED if self._condition not in ("expired", "revoked"):
                return self._on_change("failing", logging.WARNING, "loading the keys failed: %s", state.error)
            case LoadOutcome.EMPTY if self._condition != "revoked":
                return self._on_change("empty", logging.WARNING, "the key source is empty; looking again")
            case LoadOutcome.REVOKED:
                return self._on_change("revoked", logging.ERROR, "the key source stays empty: all keys are withdrawn")
            case _:
                return None

    def on_unusable(self, state: State) -> Line | None:
        """Return the line for a call that found no usable key, if that is new."""
        if state.keys is None or state.revoked:
            return None
        return self._on_change("expired", logging.ERROR, "the keys are too old to be used: %s", state.error)

    def _on_loaded(self, state: State) -> Line | None:
        skipped = () if state.keys is None else state.keys.skipped
        news = (frozenset(state.by_kid), skipped)
        if self._condition == "ok" and news == self._said:
            return None
        self._condition, self._said = "ok", news
        kids = ", ".join(shown(kid) for kid in sorted(state.by_kid)[:8])
        if not skipped:
            return Line(logging.INFO, "keys loaded: %d usable (%s)", (len(state.by_kid), kids))
        left_out = "; ".join(f"{shown(one.name)}: {one.why}" for one in skipped[:8])
        message = "keys loaded: %d usable (%s), %d skipped (%s)"
        return Line(logging.WARNING, message, (len(state.by_kid), kids, len(skipped), left_out))

    def _on_change(self, condition: str, level: int, message: str, *args: object) -> Line | None:
        if condition == self._condition:
            return None
        self._condition = condition
        return Line(level, message, args)

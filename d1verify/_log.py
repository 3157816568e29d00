"""The lines about keys, one per change of state; and every name that other rooms log by."""

from __future__ import annotations

from typing import Final

from ._freshness import State
from ._records import ERROR, INFO, WARNING, Line, log, shown
from ._refusal_log import FailureLog, RefusalLog, TokenRequestLog
from .observer import LoadOutcome

__all__ = ["FailureLog", "KeyLog", "Line", "RefusalLog", "TokenRequestLog", "log", "shown"]

MAX_SHOWN_NAMES: Final = 8


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
                return self._on_change("failing", WARNING, "loading the keys failed: %s", state.error)
            case LoadOutcome.EMPTY if self._condition != "revoked":
                return self._on_change("empty", WARNING, "the key source is empty; looking again")
            case LoadOutcome.REVOKED:
                return self._on_change("revoked", ERROR, "the key source stays empty: all keys are withdrawn")
            case _:
                return None

    def on_unusable(self, state: State) -> Line | None:
        """Return the line for a call that found no usable key, if that is new."""
        if state.keys is None or state.revoked:
            return None
        return self._on_change("expired", ERROR, "the keys are too old to be used: %s", state.error)

    def _on_loaded(self, state: State) -> Line | None:
        skipped = () if state.keys is None else state.keys.skipped
        news = (frozenset(state.by_kid), skipped)
        if self._condition == "ok" and news == self._said:
            return None
        self._condition, self._said = "ok", news
        kids = [shown(kid) for kid in sorted(state.by_kid)[:MAX_SHOWN_NAMES]]
        usable, named = len(state.by_kid), ", ".join(kids)
        fields = {"d1_event": "keys_loaded", "d1_usable": usable, "d1_kids": kids, "d1_skipped": len(skipped)}
        if not skipped:
            return Line(INFO, "keys loaded: %d usable (%s)", (usable, named), fields)
        left_out = "; ".join(f"{shown(one.name)}: {one.why}" for one in skipped[:MAX_SHOWN_NAMES])
        message = "keys loaded: %d usable (%s), %d skipped (%s)"
        return Line(WARNING, message, (usable, named, len(skipped), left_out), fields)

    def _on_change(self, condition: str, level: int, message: str, *args: object) -> Line | None:
        if condition == self._condition:
            return None
        self._condition = condition
        return Line(level, message, args, {"d1_event": f"keys_{condition}", "d1_error": args[0] if args else None})

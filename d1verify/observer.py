"""What an observer is told. Telemetry hangs on this; the core knows no telemetry."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from .errors import KeyStoreError, TokenError
from .tokens import D1Token

__all__ = ["KeyLoad", "LoadOutcome", "Observer", "Verification", "notify"]


class LoadOutcome(StrEnum):
    """How one attempt to load keys ended."""

    LOADED = "loaded"
    EMPTY = "empty"
    REVOKED = "revoked"
    FAILED = "failed"
    ABANDONED = "abandoned"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """One verdict: `token` if the call was accepted, else `error`.

    Attributes:
        token: the verified token, or None.
        error: why the call was refused, or None.
        cached: the token had been verified before.
        seconds: how long it took, a wait for keys included.
    """

    token: D1Token | None
    error: TokenError | KeyStoreError | None
    cached: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLoad:
    """One attempt to load keys has ended, after `seconds`, with `usable` keys in the set now trusted."""

    outcome: LoadOutcome
    usable: int
    seconds: float


class Observer(Protocol):
    """Told of each outcome and each key load, on the thread where it happened.

    What it raises is logged and goes no further; what it takes is added to the request.
    """

    def notify(self, event: Verification | KeyLoad) -> None:
        """Take note of `event`."""
        ...  # pragma: no cover - the body of a protocol is never run


def notify(listener: Callable[[Any], None], event: Verification | KeyLoad) -> None:
    """Tell `listener`; what it raises is logged and goes no further."""
    try:
        listener(event)
    except Exception as error:
        # Its text may hold what must not be logged, so only its kind is.
        logging.getLogger("d1verify").error("an observer failed: %s", type(error).__name__)  # noqa: TRY400

"""What an observer is told. Telemetry hangs on this; the core knows no telemetry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from ._refusal_log import FailureLog
from .errors import ConfigurationError, KeyStoreError, TokenError
from .tokens import D1Token

__all__ = ["DormantObserver", "KeyLoad", "LoadOutcome", "Observer", "Observers", "Verification", "attach", "notify"]


class LoadOutcome(StrEnum):
    """How one attempt to load keys ended."""

    LOADED = "loaded"
    EMPTY = "empty"
    REVOKED = "revoked"
    FAILED = "failed"
    ABANDONED = "abandoned"
    SUPERSEDED = "superseded"


class Verification(NamedTuple):
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


class KeyLoad(NamedTuple):
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


class DormantObserver(ABC):
    """An observer that nobody may be listening to, and that says itself when it wants to hear of verdicts.

    Until then a verifier does not call it, nor measure the time for it.
    """

    @abstractmethod
    def notify(self, event: Verification | KeyLoad) -> None:
        """Take note of `event`."""

    @abstractmethod
    def attach(self, verifier: object, begin: Callable[[], None]) -> None:
        """Meet a verifier that will report here.

        Args:
            verifier: the verifier, which the observer should hold by a weak reference only.
            begin: a bound method of the verifier's. From when it is called, verdicts are
                reported; calling it again does no harm.
        """


class Observers(DormantObserver):
    """Several observers in the place of one: `observer=Observers(AuditLog(), OpenTelemetryObserver())`.

    One that fails does not keep the others from being told.

    Raises:
        ConfigurationError: one of them has no `notify()` method.
    """

    def __init__(self, *observers: Observer) -> None:
        if not all(callable(getattr(one, "notify", None)) for one in observers):
            raise ConfigurationError("each observer must have a notify() method")
        self._observers = observers
        self._failures = FailureLog()

    def notify(self, event: Verification | KeyLoad) -> None:
        """Tell each of them, in the order in which they were given."""
        for observer in self._observers:
            notify(observer.notify, event, self._failures)

    def attach(self, verifier: object, begin: Callable[[], None]) -> None:
        """Have verdicts reported as soon as one of them wants to hear of them."""
        for observer in self._observers:
            attach(observer, verifier, begin)


def attach(observer: Observer, verifier: object, begin: Callable[[], None]) -> None:
    """Have `begin` called once `observer` wants to hear of verdicts: for most that is at once."""
    if isinstance(observer, DormantObserver):
        observer.attach(verifier, begin)
    else:
        begin()


def notify(listener: Callable[[Any], None], event: Verification | KeyLoad, failures: FailureLog | None = None) -> None:
    """Tell `listener`; what it raises is logged, to `failures` where calls may come in floods, and goes no further."""
    try:
        listener(event)
    except Exception as error:
        # Its text may hold what must not be logged, so only its kind is.
        (failures or FailureLog()).write("an observer failed: %s", type(error).__name__)

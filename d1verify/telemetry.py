"""OpenTelemetry metrics, as an observer.

    verifier = D1Verifier(store, audience="prd", subject="MGW_000001", observer=OpenTelemetryObserver())

Needs `opentelemetry-api` alone. What collects and exports is the app's choice, and may be
set up before or after; until it is, a verification costs what it costs without an observer.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary, WeakMethod

try:
    from opentelemetry import metrics
except ImportError as _missing:
    raise ImportError('d1verify.telemetry needs OpenTelemetry: pip install "d1verify[otel]"') from _missing

from ._freshness import Phase
from ._records import WARNING, Line, shown
from ._version import __version__
from .errors import Reason
from .keycache import Health
from .observer import DormantObserver, KeyLoad, LoadOutcome, Verification

__all__ = ["DURATION_BOUNDARIES", "OpenTelemetryObserver"]

DURATION_BOUNDARIES: Final = (
    *(1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4),
    *(1e-3, 1e-2, 1e-1, 0.5, 1.0, 2.0),
)
"""In seconds: a known token takes microseconds, a wait for keys up to `max_wait`."""

OUTCOME: Final = "d1verify.outcome"
CACHED: Final = "d1verify.cached"
STATE: Final = "d1verify.keys.state"
ERROR_TYPE: Final = "error.type"  # OpenTelemetry's semantic conventions; absent where nothing failed

_GAUGES_LOST: Final = "another observer reports to this meter provider by the same name: this one's gauges are lost"

_Attributes = Mapping[str, str | bool]

_ACCEPTED: Final[_Attributes] = MappingProxyType({OUTCOME: "accepted"})
_REFUSED: Final[Mapping[Reason, _Attributes]] = MappingProxyType(
    {reason: {OUTCOME: "refused", ERROR_TYPE: reason.value} for reason in Reason}
)
_FAILED_LOADS: Final = (LoadOutcome.FAILED, LoadOutcome.ABANDONED)
_LOADS: Final[Mapping[LoadOutcome, _Attributes]] = MappingProxyType(
    {
        outcome: {OUTCOME: outcome.value} | ({ERROR_TYPE: outcome.value} if outcome in _FAILED_LOADS else {})
        for outcome in LoadOutcome
    }
)


class _Watched(Protocol):
    def health(self) -> Health:
        """Return how the keys stand."""
        ...  # pragma: no cover - the body of a protocol is never run


class OpenTelemetryObserver(DormantObserver):
    """Counts verdicts and key loads, and shows how the keys stand.

    | metric | kind, unit | attributes |
    | --- | --- | --- |
    | `d1verify.verifications` | counter, `{verification}` | `d1verify.outcome`; `error.type`: the reason |
    | `d1verify.verification.duration` | histogram, `s` | `d1verify.outcome`, `d1verify.cached` |
    | `d1verify.key_loads` | counter, `{load}` | `d1verify.outcome`; `error.type` |
    | `d1verify.keys.age` | gauge, `s` | |
    | `d1verify.keys.usable` | gauge, `{key}` | |
    | `d1verify.keys.status` | gauge, `{verifier}` | `d1verify.keys.state`: 1 for the state that holds, 0 for others |

    No attribute holds what a caller has sent. The gauges are of every verifier that was
    given this observer and still lives: of several the oldest set and the fewest keys are
    shown. Give several verifiers one observer, or each an observer with a name of its own.

    Args:
        meter_provider: where to report to; by default the global one, whenever it is set.
        name: the instrumentation scope.
    """

    def __init__(self, meter_provider: metrics.MeterProvider | None = None, *, name: str = "d1verify") -> None:
        self._listening = False
        self._name = name
        self._verifiers: WeakKeyDictionary[Any, WeakMethod[Callable[[], None]]] = WeakKeyDictionary()
        meter = metrics.get_meter(name, __version__, meter_provider)
        self._verifications = meter.create_counter(
            "d1verify.verifications", "{verification}", "Verdicts by outcome, and by reason where refused."
        )
        self._duration = meter.create_histogram(
            "d1verify.verification.duration",
            "s",
            "How long a verdict took, a wait for keys included.",
            explicit_bucket_boundaries_advisory=DURATION_BOUNDARIES,
        )
        self._key_loads = meter.create_counter("d1verify.key_loads", "{load}", "Attempts to load keys by outcome.")
        self._shows_gauges = False
        self._create_gauges(meter)
        # Last, so that all the others are there when it rings; with a text of its own for each
        # observer, since of two instruments that are alike only the first one's callbacks count.
        meter.create_observable_gauge(
            "d1verify.observer", [_Bell(self._begin)], "", f"Tells observer {id(self):x} of a meter provider; no data."
        )

    def attach(self, verifier: object, begin: Callable[[], None]) -> None:
        """Show the gauges of `verifier` while it lives, and `begin` once a meter provider is set."""
        self._verifiers[verifier] = WeakMethod(begin)
        if self._listening:
            begin()

    def notify(self, event: Verification | KeyLoad) -> None:
        """Count `event`."""
        if not self._listening:
            return
        if isinstance(event, KeyLoad):
            self._key_loads.add(1, _LOADS[event.outcome])
            return
        attributes = _ACCEPTED if event.error is None else _REFUSED[event.error.reason]
        self._verifications.add(1, attributes)
        self._duration.record(event.seconds, {OUTCOME: attributes[OUTCOME], CACHED: event.cached})

    def _create_gauges(self, meter: metrics.Meter) -> None:
        meter.create_observable_gauge(
            "d1verify.keys.age", [_Bell(self._show_gauges), self._ages], "s", "Since the load that gave the keys began."
        )
        meter.create_observable_gauge("d1verify.keys.usable", [self._usable], "{key}", "Keys that can verify a token.")
        meter.create_observable_gauge(
            "d1verify.keys.status", [self._states], "{verifier}", "Verifiers by the state of their keys."
        )

    def _show_gauges(self) -> None:
        self._shows_gauges = True

    def _begin(self) -> None:
        if not self._shows_gauges:
            fields = {"d1_event": "gauges_lost", "d1_observer": shown(self._name)}
            Line(WARNING, _GAUGES_LOST, (), fields).write()
        self._listening = True
        for verifier in self._living():
            begin = self._verifiers[verifier]()
            if begin is not None:  # pragma: no branch - `verifier` lives, and so do its methods
                begin()

    def _living(self) -> list[Any]:
        # Over the references, since another thread may attach a verifier meanwhile.
        return [verifier for one in self._verifiers.keyrefs() if (verifier := one()) is not None]

    def _healths(self) -> list[Health]:
        verifiers: list[_Watched] = self._living()
        return [verifier.health() for verifier in verifiers]

    def _ages(self, _options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        ages = [health.age for health in self._healths() if health.age is not None]
        return [metrics.Observation(max(ages))] if ages else []

    def _usable(self, _options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        counts = [len(health.kids) for health in self._healths()]
        return [metrics.Observation(min(counts))] if counts else []

    def _states(self, _options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        states = [health.state for health in self._healths()]
        return [metrics.Observation(states.count(phase.value), {STATE: phase.value}) for phase in Phase]


class _Bell(Generator[Iterable[metrics.Observation], metrics.CallbackOptions, None]):
    """A callback in the form of a generator, which is told when a real meter takes it.

    Before a meter can send anything to such a callback, it has to advance it to its first
    `yield`. The SDK does so when the instrument is made, which for the API's proxies is
    when a provider is set; a no-op meter never does. There is no other public way to hear
    of it. (A function with `yield` would do, but might be found running by another thread.)
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring: Callable[[], None] | None = ring

    def send(self, _options: object) -> Iterable[metrics.Observation]:
        """Ring the first time; there is never anything to report."""
        ring, self._ring = self._ring, None
        if ring is not None:
            ring()
        return ()

    def throw(self, *_error: object) -> Iterable[metrics.Observation]:
        """End, as a generator that is closed does."""
        raise GeneratorExit

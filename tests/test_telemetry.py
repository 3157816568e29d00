"""OpenTelemetry metrics: what is counted, by which attributes, and that nobody pays while nobody listens."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import metrics

from d1verify import D1Verifier, KeyStoreError, Reason, TokenError, _verdicts
from d1verify._freshness import Phase
from d1verify.observer import KeyLoad, LoadOutcome, Observers, Verification
from d1verify.telemetry import DURATION_BOUNDARIES, OpenTelemetryObserver

from .loads import DOWN, HandLoads, verifier_over
from .support import KEY, OTHER_KEY, Recorder, ScriptedStore, key_set, make_verifier, refused
from .telescope import Telescope


@pytest.fixture
def telescope() -> Iterator[Telescope]:
    made = Telescope()
    yield made
    made.provider.shutdown()


def verdict(error: TokenError | KeyStoreError | None = None, *, cached: bool = False, seconds: float = 1e-6) -> Any:
    return Verification(token=None, error=error, cached=cached, seconds=seconds)


def test_counts_verdicts_by_outcome_and_reason(telescope: Telescope) -> None:
    watched = make_verifier(observer=OpenTelemetryObserver(telescope.provider))
    token = KEY.mint()
    for _call in range(3):
        watched.verify(token)
    for bad in (OTHER_KEY.mint(), KEY.mint(aud="prd"), KEY.mint(aud="prd")):
        refused(lambda bad=bad: watched.verify(bad))  # type: ignore[misc]
    refused(lambda: watched.verify_header(None))
    assert telescope.values("d1verify.verifications") == {
        (("d1verify.outcome", "accepted"),): 3,
        (("d1verify.outcome", "refused"), ("error.type", "unknown_key")): 1,
        (("d1verify.outcome", "refused"), ("error.type", "wrong_environment")): 2,
        (("d1verify.outcome", "refused"), ("error.type", "missing_token")): 1,
    }


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_attribute(telescope: Telescope, reason: Reason) -> None:
    error = KeyStoreError("down") if reason is Reason.KEYS_UNAVAILABLE else TokenError(reason, kid="k")
    OpenTelemetryObserver(telescope.provider).notify(verdict(error))
    expected = (("d1verify.outcome", "refused"), ("error.type", reason.value))
    assert telescope.values("d1verify.verifications") == {expected: 1}


@pytest.mark.parametrize("outcome", LoadOutcome)
def test_counts_key_loads_by_outcome(telescope: Telescope, outcome: LoadOutcome) -> None:
    OpenTelemetryObserver(telescope.provider).notify(KeyLoad(outcome=outcome, usable=1, seconds=0.1))
    failed = (("error.type", outcome.value),) if outcome.value in ("failed", "abandoned") else ()
    assert telescope.values("d1verify.key_loads") == {(("d1verify.outcome", outcome.value), *failed): 1}


def test_measures_how_long_a_verdict_took_by_cached_or_not(telescope: Telescope) -> None:
    watched = make_verifier(observer=OpenTelemetryObserver(telescope.provider))
    token = KEY.mint()
    for _call in range(5):
        watched.verify(token)
    points = telescope.points("d1verify.verification.duration")
    assert {attributes: point.count for attributes, point in points.items()} == {
        (("d1verify.cached", False), ("d1verify.outcome", "accepted")): 1,
        (("d1verify.cached", True), ("d1verify.outcome", "accepted")): 4,
    }
    assert all(0 < point.sum < 5 for point in points.values())
    assert {point.explicit_bounds for point in points.values()} == {DURATION_BOUNDARIES}


def test_the_boundaries_ascend_from_a_microsecond_to_the_longest_wait() -> None:
    assert list(DURATION_BOUNDARIES) == sorted(set(DURATION_BOUNDARIES))
    assert (DURATION_BOUNDARIES[0], DURATION_BOUNDARIES[-1]) == (1e-6, 2.0)


def test_names_units_and_descriptions(telescope: Telescope) -> None:
    watched = make_verifier(observer=OpenTelemetryObserver(telescope.provider))
    watched.verify(KEY.mint())
    found = telescope.metrics()
    assert {name: metric.unit for name, metric in found.items()} == {
        "d1verify.verifications": "{verification}",
        "d1verify.verification.duration": "s",
        "d1verify.key_loads": "{load}",
        "d1verify.keys.age": "s",
        "d1verify.keys.usable": "{key}",
        "d1verify.keys.status": "{verifier}",
    }
    assert all(metric.description.endswith(".") for metric in found.values())


def status(telescope: Telescope) -> dict[str, int]:
    """Return the states that are shown as holding."""
    points = telescope.values("d1verify.keys.status")
    assert {attributes[0][1] for attributes in points} == {phase.value for phase in Phase}
    return {str(attributes[0][1]): value for attributes, value in points.items() if value}


def test_shows_how_the_keys_stand(telescope: Telescope, monkeypatch: pytest.MonkeyPatch) -> None:
    hand = HandLoads(monkeypatch)
    watched = verifier_over(hand.cache, observer=OpenTelemetryObserver(telescope.provider))
    assert status(telescope) == {"empty": 1}
    assert telescope.values("d1verify.keys.usable") == {(): 0}
    assert telescope.values("d1verify.keys.age") == {}
    hand.holding(key_set(KEY, OTHER_KEY))
    hand.clock.advance(42)
    assert status(telescope) == {"fresh": 1}
    assert telescope.values("d1verify.keys.usable") == {(): 2}
    assert telescope.values("d1verify.keys.age") == {(): 42}
    hand.clock.advance(60)
    watched.verify(KEY.mint())
    hand.finish(DOWN)
    assert status(telescope) == {"stale": 1}
    assert hand.started == 1  # Looking loads nothing.


def test_shows_the_worst_of_several_verifiers_while_they_live(
    telescope: Telescope, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = OpenTelemetryObserver(telescope.provider)
    older = HandLoads(monkeypatch).holding(key_set(KEY, OTHER_KEY))
    younger = HandLoads(monkeypatch).holding(key_set(KEY))
    older.clock.advance(5)
    kept = verifier_over(older.cache, observer=observer)
    passing = verifier_over(younger.cache, observer=observer)
    assert telescope.values("d1verify.keys.age") == {(): 5}
    assert telescope.values("d1verify.keys.usable") == {(): 1}
    assert status(telescope) == {"fresh": 2}
    del passing
    gc.collect()
    assert telescope.values("d1verify.keys.usable") == {(): 2}
    assert status(telescope) == {"fresh": 1}
    assert kept.health().kids


def test_without_a_verifier_there_is_nothing_to_show(telescope: Telescope) -> None:
    observer = OpenTelemetryObserver(telescope.provider)
    assert telescope.values("d1verify.keys.usable") == {}
    assert telescope.values("d1verify.keys.age") == {}
    assert status(telescope) == {}
    observer.notify(verdict())


def test_no_attribute_holds_what_a_caller_sent(telescope: Telescope) -> None:
    watched = make_verifier(observer=OpenTelemetryObserver(telescope.provider))
    watched.verify(KEY.mint())
    for kid in ("secret-kid", "x\ny"):
        refused(lambda kid=kid: watched.verify(OTHER_KEY.mint({"kid": kid}, sub="secret-sub")))  # type: ignore[misc]
    allowed = {*Reason, *LoadOutcome, *Phase, "accepted", "refused", True, False}
    seen = {value for name in telescope.metrics() for point in telescope.points(name) for _key, value in point}
    assert seen <= allowed
    assert not {"secret-kid", "secret-sub", "x\ny", KEY.kid} & {str(value) for value in seen}


# nobody listens


def test_a_verifier_does_not_call_an_observer_to_whom_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise AssertionError("called, or measured the time, for nobody")

    watched = make_verifier(observer=OpenTelemetryObserver(metrics.NoOpMeterProvider()))
    watched.warm_up()
    monkeypatch.setattr(_verdicts, "notify", fail)
    monkeypatch.setattr("d1verify.verifier.time.perf_counter", fail)
    watched.verify(KEY.mint())
    refused(lambda: watched.verify("x"))
    refused(lambda: watched.verify_header(None))
    assert watched._verdicts.observer is None


def test_what_falls_before_somebody_listens_is_not_counted() -> None:
    observer = OpenTelemetryObserver(metrics.NoOpMeterProvider())
    observer._verifications = observer._key_loads = None  # type: ignore[assignment]
    observer.notify(verdict())
    observer.notify(KeyLoad(outcome=LoadOutcome.LOADED, usable=1, seconds=0.1))


def test_beside_another_observer_nothing_is_lost_to_that_one(telescope: Telescope) -> None:
    recorder = Recorder()
    asleep = OpenTelemetryObserver(metrics.NoOpMeterProvider())
    awake = OpenTelemetryObserver(telescope.provider)
    watched = make_verifier(observer=Observers(asleep, recorder, awake))
    watched.verify(KEY.mint())
    assert len(recorder.events) == 2  # One load, one verdict.
    assert sum(telescope.values("d1verify.verifications").values()) == 1


LATE = """
import json
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from d1verify.observer import Observers
from d1verify.telemetry import OpenTelemetryObserver
from tests.support import KEY, make_verifier

early = make_verifier(observer=OpenTelemetryObserver())
combined = make_verifier(observer=Observers(OpenTelemetryObserver(name="other")))
gone = make_verifier(observer=early._given_observer)
for one in (early, combined, gone):
    one.verify(KEY.mint())
before = [early._verdicts.observer is None, combined._verdicts.observer is None]
del gone, one
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
for _ in range(3):
    early.verify(KEY.mint())
    combined.verify(KEY.mint())
counted = {
    scope.scope.name: sum(p.value for m in scope.metrics if m.name == "d1verify.verifications" for p in m.data.data_points)
    for scope in reader.get_metrics_data().resource_metrics[0].scope_metrics
}
print(json.dumps([before, counted]))
"""


def test_begins_when_a_global_provider_is_set_later() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=True, env=environ)
    assert json.loads(done.stdout) == [[True, True], {"d1verify": 3, "other": 3}]
    assert "gauges are lost" not in done.stderr


def test_a_call_under_way_when_somebody_begins_to_listen_is_not_reported_with_a_wild_time() -> None:
    told: list[object] = []

    class Late(OpenTelemetryObserver):
        def notify(self, event: Verification | KeyLoad) -> None:
            told.append(event)

    observer = Late(metrics.NoOpMeterProvider())
    store = ScriptedStore(key_set(KEY))
    watched = make_verifier(store, observer=observer)
    watched.warm_up()
    told.clear()
    watched._clock = lambda: observer._begin() or 1_800_000_000  # type: ignore[func-returns-value]
    watched.verify(KEY.mint())
    assert told == []
    watched.verify(KEY.mint())
    assert len(told) == 1


# mistakes and failures


def test_two_observers_of_one_name_both_count_and_the_second_says_that_it_shows_no_gauges(
    telescope: Telescope, caplog: pytest.LogCaptureFixture
) -> None:
    first = make_verifier(observer=OpenTelemetryObserver(telescope.provider))
    assert "gauges are lost" not in caplog.text
    second = make_verifier(observer=OpenTelemetryObserver(telescope.provider))
    assert caplog.text.count("gauges are lost") == 1
    (lost,) = [vars(record) for record in caplog.records if "gauges are lost" in record.getMessage()]
    assert (lost["d1_event"], lost["d1_observer"]) == ("gauges_lost", "d1verify")
    for one in (first, second):
        one.verify(KEY.mint())
    assert sum(telescope.values("d1verify.verifications").values()) == 2


def test_observers_of_different_names_are_told_apart(telescope: Telescope, caplog: pytest.LogCaptureFixture) -> None:
    observers = [OpenTelemetryObserver(telescope.provider, name=name) for name in ("d1verify", "access")]
    verifiers = [make_verifier(observer=one) for one in observers]
    assert "gauges are lost" not in caplog.text
    assert all(one.health().state for one in verifiers)
    data = telescope.reader.get_metrics_data()
    assert data is not None
    assert [scope.scope.name for scope in data.resource_metrics[0].scope_metrics] == ["d1verify", "access"]


BREAKS: dict[str, Callable[[pytest.MonkeyPatch, OpenTelemetryObserver], None]] = {
    "the counter": lambda patch, one: patch.setattr(one._verifications, "add", lambda *_args: 1 / 0),
    "the histogram": lambda patch, one: patch.setattr(one._duration, "record", lambda *_args: 1 / 0),
}


@pytest.mark.parametrize("breaks", BREAKS.values(), ids=BREAKS.keys())
def test_a_failure_of_the_sdk_changes_no_verdict(
    breaks: Callable[[pytest.MonkeyPatch, OpenTelemetryObserver], None],
    telescope: Telescope,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    observer = OpenTelemetryObserver(telescope.provider)
    breaks(monkeypatch, observer)
    assert make_verifier(observer=observer).verify(KEY.mint()).kid == KEY.kid
    assert "an observer failed: ZeroDivisionError" in caplog.text


def test_holds_no_verifier_alive(telescope: Telescope) -> None:
    asleep, awake = OpenTelemetryObserver(metrics.NoOpMeterProvider()), OpenTelemetryObserver(telescope.provider)
    for observer in (asleep, awake):
        for _one in range(3):
            make_verifier(observer=observer)
        gc.collect()
        assert len(observer._verifiers) == 0
    asleep._begin()  # Nobody is left to be told.


def test_a_bell_rings_once_and_is_otherwise_a_generator_that_gives_nothing(telescope: Telescope) -> None:
    OpenTelemetryObserver(telescope.provider)
    for _export in range(3):
        assert "d1verify.observer" not in telescope.metrics()


def test_a_bell_can_be_closed() -> None:
    from d1verify.telemetry import _Bell

    rung: list[int] = []
    bell = _Bell(lambda: rung.append(1))
    assert (next(bell), next(bell), rung) == ((), (), [1])
    bell.close()


MISSING = "import sys; sys.modules['opentelemetry'] = None; import d1verify.telemetry"


def test_says_what_to_install_where_opentelemetry_is_missing() -> None:
    done = subprocess.run([sys.executable, "-c", MISSING], capture_output=True, text=True, check=False)
    assert 'ImportError: d1verify.telemetry needs OpenTelemetry: pip install "d1verify[otel]"' in done.stderr


def test_from_env_takes_it(telescope: Telescope, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    environ = {"D1VERIFY_AUDIENCE": "stg", "D1VERIFY_SUBJECT": "*", "D1VERIFY_KEYS": KEY.pem, "D1VERIFY_KID": KEY.kid}
    watched = D1Verifier.from_env(environ, observer=OpenTelemetryObserver(telescope.provider))
    watched.warm_up()
    assert status(telescope) == {"immutable": 1}

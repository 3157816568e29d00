"""What metrics cost: nothing until a meter provider is set, and how much then."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from d1verify.telemetry import OpenTelemetryObserver

from .material import mint, verifier
from .measuring import Batch, Effort, Ratio, interleave, repeated
from .rows import Experiment, Row, at_most, compared

SILENT, DORMANT, LISTENING = "no observer", "observer, no meter provider", "observer, OpenTelemetry's SDK"


def metrics(*, quick: bool) -> list[Row]:
    """Measure a token that is verified again, as ASGI hands its header on, and one that is verified anew."""
    header, provider = f"Bearer {mint()}".encode(), MeterProvider(metric_readers=[InMemoryMetricReader()])
    observers: dict[str, Any] = {
        SILENT: None,
        DORMANT: OpenTelemetryObserver(),
        LISTENING: OpenTelemetryObserver(provider),
    }
    contenders: dict[str, Batch] = {}
    for name, observer in observers.items():
        for way, size in (("reused", 1024), ("new", 0)):
            judge = verifier(observer=observer, token_cache_size=size)
            contenders[f"{name}, {way}"] = repeated(lambda judge=judge: judge.verify_header(header))  # type: ignore[misc]
    ratios = {
        (name, way): Ratio(f"{name}, {way}", f"{SILENT}, {way}")
        for name in (DORMANT, LISTENING)
        for way in ("reused", "new")
    }
    effort = Effort(max_seconds=20, precision=0.003)
    samples = interleave(contenders, list(ratios.values()), effort.shortened() if quick else effort)
    provider.shutdown()
    aims: dict[str, Any] = {DORMANT: {"aim": at_most(1.02)}, LISTENING: {}}
    return [
        compared(
            f"metrics-{'dormant' if name is DORMANT else 'listening'}-{way}",
            f"verify_header, {way} token, {name} ÷ {SILENT}",
            samples,
            ratio,
            **aims[name],
        )
        for (name, way), ratio in ratios.items()
    ]


EXPERIMENTS = (
    Experiment(
        ("metrics-dormant-reused", "metrics-dormant-new", "metrics-listening-reused", "metrics-listening-new"), metrics
    ),
)

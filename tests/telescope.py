"""OpenTelemetry's SDK, looked through by hand."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

__all__ = ["Telescope"]

Points = dict[tuple[tuple[str, object], ...], Any]


class Telescope:
    """An SDK whose metrics are read by hand."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def metrics(self) -> dict[str, Any]:
        """Return what an export would hold now, by name."""
        data = self.reader.get_metrics_data()
        scopes = [] if data is None else [scope for one in data.resource_metrics for scope in one.scope_metrics]
        return {metric.name: metric for scope in scopes for metric in scope.metrics}

    def points(self, name: str) -> Points:
        """Return the data points of one metric by their attributes."""
        metric = self.metrics().get(name)
        found = [] if metric is None else metric.data.data_points
        return {tuple(sorted(point.attributes.items())): point for point in found}

    def values(self, name: str) -> dict[tuple[tuple[str, object], ...], Any]:
        return {attributes: point.value for attributes, point in self.points(name).items()}

"""All that is measured, in the order of the table."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from . import imports, loaded, memory, observed, plain, refusals, web
from .rows import Experiment, Row

__all__ = ["EXPERIMENTS", "NAMES", "measured"]

EXPERIMENTS: tuple[Experiment, ...] = (
    *plain.EXPERIMENTS[:2],
    *web.EXPERIMENTS,
    *refusals.EXPERIMENTS,
    *plain.EXPERIMENTS[2:],
    *observed.EXPERIMENTS,
    *loaded.EXPERIMENTS,
    *memory.EXPERIMENTS,
    *imports.EXPERIMENTS,
)
NAMES = tuple(name for experiment in EXPERIMENTS for name in experiment.rows)


def measured(names: Collection[str], *, quick: bool) -> Iterator[tuple[Row, ...]]:
    """Yield the rows of these names, experiment by experiment as they are done."""
    for experiment in EXPERIMENTS:
        if not set(names).isdisjoint(experiment.rows):
            yield tuple(row for row in experiment.run(quick=quick) if row.name in names)

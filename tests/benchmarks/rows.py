"""One line of the result: what was measured, what it was held against, and whether that is good enough."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Protocol

from .measuring import Ratio, Samples, Summary

__all__ = ["Aim", "Bar", "Experiment", "Row", "at_least", "at_most", "compared", "quantity", "skipped"]

MICROSECONDS, MILLISECONDS, MEGABYTES = "µs", "ms", "MB"
_PER_SECOND = {MICROSECONDS: 1e6, MILLISECONDS: 1e3}


@dataclass(frozen=True, slots=True)
class Aim:
    """A bound that the ratio, or else the quantity, has to keep."""

    bound: float
    is_lower: bool

    def __str__(self) -> str:
        return f"{'≥' if self.is_lower else '≤'} {self.bound:g}"

    def is_met(self, value: float) -> bool:
        """Tell whether the value keeps the bound."""
        return value >= self.bound if self.is_lower else value <= self.bound


def at_most(bound: float) -> Aim:
    """Return an upper bound."""
    return Aim(bound, is_lower=False)


def at_least(bound: float) -> Aim:
    """Return a lower bound."""
    return Aim(bound, is_lower=True)


@dataclass(frozen=True, slots=True)
class Bar:
    """Where the chart shows a row, and under which label."""

    panel: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measured line.

    Attributes:
        name: what `--only` calls it.
        what: what was measured, and against what, in words.
        unit: of `median` and `reference`.
        median: the median of the rounds; None if it could not be measured.
        reference: the same of what it is held against, if there is such a thing.
        ratio: the median of the rounds' ratios, if there is one.
        spread: distance of the quartiles over the median, of the ratio if there is one.
        uncertainty: how far off the median of the ratio (or quantity) may be, about 95 %.
        rounds: how many there were.
        aim: the bound, if there is one.
        note: what to know about it.
        figures: further numbers, by name.
        bar: its place in the chart, if it has one.
    """

    name: str
    what: str
    unit: str
    median: float | None
    reference: float | None = None
    ratio: float | None = None
    spread: float = 0.0
    uncertainty: float = math.inf
    rounds: int = 0
    aim: Aim | None = None
    note: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    bar: Bar | None = None

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None without an aim or a measurement."""
        value = self.median if self.ratio is None else self.ratio
        return None if self.aim is None or value is None else self.aim.is_met(value)


class _Run(Protocol):
    def __call__(self, *, quick: bool) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class Experiment:
    """Rows that are measured together: their names, and the way to them, in a short form too."""

    rows: tuple[str, ...]
    run: _Run


def compared(name: str, what: str, samples: Samples, ratio: Ratio, unit: str = MICROSECONDS, **more: object) -> Row:
    """Return the row of a ratio of times. The median is that of what is ours to make small.

    `more` may name the contender whose time is shown (`shown`), and any further attribute of the row.
    """
    shown = str(more.pop("shown", ratio.over))
    other = ratio.under if shown == ratio.over else ratio.over
    result, factor = samples.ratios[ratio], _PER_SECOND[unit]
    row = Row(
        name=name,
        what=what,
        unit=unit,
        median=samples.cost(shown, ratio.beyond).median * factor,
        reference=samples.cost(other, ratio.beyond).median * factor,
        ratio=result.median,
        spread=result.spread,
        uncertainty=result.uncertainty,
        rounds=samples.rounds,
    )
    return replace(row, **more)  # type: ignore[arg-type]


def quantity(name: str, what: str, measured: Summary, unit: str, rounds: int, **more: object) -> Row:
    """Return the row of a quantity that is held against nothing but its aim."""
    row = Row(
        name=name,
        what=what,
        unit=unit,
        median=measured.median,
        spread=measured.spread,
        uncertainty=measured.uncertainty,
        rounds=rounds,
    )
    return replace(row, **more)  # type: ignore[arg-type]


def skipped(name: str, what: str, unit: str, aim: Aim | None, why: str) -> Row:
    """Return the row of what could not be measured here."""
    return Row(name=name, what=what, unit=unit, median=None, aim=aim, note=why)

"""The result, for people, for a README and for machines."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .peers import PEERS, SAME_CHECKS, versions
from .rows import Row

__all__ = ["Report", "as_json", "as_markdown", "as_table"]

COLUMNS = ("what", "median", "against", "ratio", "spread", "aim", "met")
_NUMERIC = {"median", "against", "ratio", "spread", "aim"}


_HOW = (
    "how: contenders take turns, round by round; median is that of the rounds, ratio that of their own ratios, spread "
    "the distance of the ratios' quartiles over it; for web frameworks, the cost added to the same request unguarded"
)


@dataclass(frozen=True, slots=True)
class Report:
    """All rows of a run, in order, and how long it took in seconds."""

    rows: Sequence[Row]
    seconds: float
    quick: bool


def machine() -> str:
    """Return what it was measured on, in general terms."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python} on {platform.system()}, {platform.machine()}, {os.cpu_count()} processors"


def as_table(report: Report) -> str:
    """Return aligned columns of text, then the notes, the checks and the versions."""
    lines = [COLUMNS, *(_cells(row) for row in report.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    table = ["  ".join(_aligned(line, widths)).rstrip() for line in lines]
    table.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*table, "", *_notes(report.rows), "", *_small_print(report)]) + "\n"


def as_markdown(report: Report) -> str:
    """Return the rows that have an aim as a Markdown table, then the checks and the versions."""
    rows = [row for row in report.rows if row.aim is not None]
    marks = ["---:" if column in _NUMERIC else "---" for column in COLUMNS]
    lines = [COLUMNS, marks, *(_cells(row) for row in rows)]
    table = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([*table, "", *(f"- {line}" for line in [*_notes(rows), *_small_print(report)])]) + "\n"


def as_json(report: Report) -> dict[str, Any]:
    """Return everything, as JSON's types; what is not a number is null."""
    return {
        "machine": machine(),
        "python": platform.python_version(),
        "versions": versions(),
        "checks": {"d1verify": "all of its README's token profile", **{peer.name: peer.checks for peer in PEERS}},
        "quick": report.quick,
        "seconds": round(report.seconds, 1),
        "rows": [_row_as_json(row) for row in report.rows],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "what": row.what,
        "unit": row.unit,
        "median": _finite(row.median),
        "against": _finite(row.reference),
        "ratio": _finite(row.ratio),
        "spread": _finite(row.spread),
        "uncertainty": _finite(row.uncertainty),
        "rounds": row.rounds,
        "aim": None if row.aim is None else str(row.aim),
        "met": row.met,
        "note": row.note,
        "figures": {name: _finite(value) for name, value in row.figures.items()},
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.what,
        _with_unit(row.median, row.unit),
        _with_unit(row.reference, row.unit),
        "" if row.ratio is None else f"{row.ratio:.3f}" if row.ratio < 10 else f"{row.ratio:.1f}",
        f"{row.spread:.1%}" if row.rounds > 1 else "",
        "" if row.aim is None else str(row.aim),
        {None: "", True: "yes", False: "NO"}[row.met],
    )


def _with_unit(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.2f} {unit}"


def _aligned(line: Sequence[str], widths: Sequence[int]) -> Iterable[str]:
    for name, text, width in zip(COLUMNS, line, widths, strict=True):
        yield text.rjust(width) if name in _NUMERIC else text.ljust(width)


def _notes(rows: Iterable[Row]) -> list[str]:
    notes = []
    for row in rows:
        figures = "; ".join(f"{name}: {value:,.2f}" for name, value in row.figures.items())
        text = "; ".join(filter(None, [row.note, figures]))
        if text:
            notes.append(f"{row.name}: {text}")
    return notes


def _small_print(report: Report) -> list[str]:
    short = "a short run that only shows that everything works; " if report.quick else ""
    return [
        _HOW,
        f"the same checks: {SAME_CHECKS}",
        *(f"{peer.name}: {peer.difference}" for peer in PEERS),
        "versions: " + ", ".join(f"{name} {number}" for name, number in versions().items()),
        f"{short}{machine()}; {report.seconds:.0f} s in all",
    ]

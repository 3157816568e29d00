"""The chart: what each library takes, as bars that can be read on a light page and on a dark one."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .rows import Row

__all__ = ["MISSING", "draw", "is_drawable"]

MISSING = 'the chart needs matplotlib: pip install -e ".[bench]"'

# Grey and teal with enough contrast to white and to black alike.
INK, OURS, THEIRS = "#767676", "#0f9d8a", "#9aa0a6"
_BAR_INCHES, _PANEL_INCHES = 0.3, 0.55


def is_drawable() -> bool:
    """Tell whether matplotlib is to be had."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write an SVG with one panel for each group of bars. The same rows give the same bytes.

    Raises:
        ValueError: no row has a place in the chart.
    """
    panels: dict[str, list[Row]] = {}
    for row in rows:
        if row.bar is not None and row.median is not None:
            panels.setdefault(row.bar.panel, []).append(row)
    if not panels:
        raise ValueError("none of the rows has a place in the chart")
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    with matplotlib.rc_context(_style()):
        figure = _figure(panels)
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None, "Creator": None})


def _figure(panels: Mapping[str, Sequence[Row]]) -> Any:
    bars = [len(rows) for rows in panels.values()]
    height = sum(bars) * _BAR_INCHES + len(bars) * _PANEL_INCHES
    figure: Any = importlib.import_module("matplotlib.figure").Figure(figsize=(8, height), layout="constrained")
    axes = figure.subplots(len(bars), 1, squeeze=False, height_ratios=bars)
    for (title, rows), (axis,) in zip(panels.items(), axes, strict=True):
        _panel(axis, title, rows)
    return figure


def _panel(axis: Any, title: str, rows: Sequence[Row]) -> None:
    labels = [row.bar.label for row in rows if row.bar is not None]
    values = [row.median or 0.0 for row in rows]
    colours = [OURS if label.startswith("d1verify") else THEIRS for label in labels]
    drawn = axis.barh(labels, values, color=colours, height=0.72)
    axis.bar_label(drawn, labels=[f"{value:.3g} µs" for value in values], padding=4, color=INK)
    axis.set_title(title, loc="left", color=INK, fontweight="bold")
    axis.set_xlim(0, max(values) * 1.15)
    axis.invert_yaxis()
    axis.xaxis.set_visible(False)
    axis.tick_params(axis="y", length=0, colors=INK)
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.spines["left"].set_color(INK)


def _style() -> dict[str, object]:
    return {"svg.hashsalt": "d1verify", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}

"""`python -m tests.benchmarks`: what verification costs, beside the signature alone and beside what people use today."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from . import chart
from .catalogue import NAMES, measured
from .report import Report, as_json, as_markdown, as_table
from .rows import Row

_STANDARD_OUTPUT = Path("-")


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    line = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    for form, help_text in (("--json", "everything, as JSON"), ("--markdown", "a table for the README")):
        where = f"{help_text}, into FILE or instead of the plain table"
        line.add_argument(form, nargs="?", type=Path, const=_STANDARD_OUTPUT, metavar="FILE", help=where)
    line.add_argument("--chart", type=Path, metavar="FILE", help="draw an SVG")
    line.add_argument("--only", nargs="+", metavar="NAME", help="rows to measure; * stands for any characters")
    line.add_argument("--list", action="store_true", help="print the rows' names and stop")
    line.add_argument("--quick", action="store_true", help="a short run that only shows that everything works")
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 0 if every aim is met (or the run was a short one), else 1."""
    line = parser()
    asked = line.parse_args(arguments)
    if asked.list:
        print("\n".join(NAMES))
        return 0
    patterns = asked.only or ["*"]
    names = [name for name in NAMES if any(fnmatchcase(name, pattern) for pattern in patterns)]
    if unknown := [one for one in patterns if not any(fnmatchcase(name, one) for name in NAMES)]:
        line.error(f"no row is called {', '.join(unknown)}; --list prints their names")
    if asked.chart and not chart.is_drawable():
        line.error(chart.MISSING)
    report = _run(names, quick=asked.quick)
    _write(report, asked)
    return 0 if asked.quick or all(row.met is not False for row in report.rows) else 1


def _run(names: Sequence[str], *, quick: bool) -> Report:
    started, rows = time.monotonic(), list[Row]()
    for done in measured(names, quick=quick):
        rows += done
        print(f"{time.monotonic() - started:4.0f} s: {', '.join(row.name for row in done)}", file=sys.stderr)
    return Report(rows, time.monotonic() - started, quick)


def _write(report: Report, asked: argparse.Namespace) -> None:
    texts: dict[str, Callable[[], str]] = {
        "json": lambda: json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n",
        "markdown": lambda: as_markdown(report),
    }
    replaced = False
    for form, text in texts.items():
        path: Path | None = getattr(asked, form)
        if path == _STANDARD_OUTPUT:
            sys.stdout.write(text())
            replaced = True
        elif path is not None:
            path.write_text(text(), encoding="utf-8")
    if not replaced:
        sys.stdout.write(as_table(report))
    if asked.chart:
        chart.draw(report.rows, asked.chart)


if __name__ == "__main__":
    sys.exit(main())

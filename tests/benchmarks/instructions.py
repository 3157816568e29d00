"""`python -m tests.benchmarks.instructions`: what `verify` costs in instructions, held against a budget.

Counted by valgrind's callgrind, so that a regression shows without a quiet machine. Each count is the
difference of two runs that differ in the number of calls, so that start-up cancels out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

__all__ = ["BUDGETS", "TOLERANCE", "count", "judge", "main"]

ROOT = Path(__file__).resolve().parents[2]
BUDGETS = Path(__file__).with_name("budgets.json")
TOLERANCE = 0.03
# Few and many calls, by contender: the signature's check takes a thousand times as long as a look-up.
REPEATS = {"bare": (20, 120), "cold": (20, 120), "reused": (100, 2100), "unheard": (100, 2100)}
# What is budgeted: the instructions that are our own, and those of a reused token, without and with metrics that nobody
# listens to.
OWN, REUSED, UNHEARD = "cold - bare", "reused", "unheard"
BUDGETED = (OWN, REUSED, UNHEARD)
MISSING = "skipped: valgrind is missing (Debian and Ubuntu: apt-get install valgrind)"

_COLLECTED = re.compile(r"Collected : (\d+)")


def count(what: str, repeats: tuple[int, int]) -> int:
    """Return the instructions of one call."""
    few, many = repeats
    return round((_collected(what, many) - _collected(what, few)) / (many - few))


def _collected(what: str, repeats: int) -> int:
    valgrind = shutil.which("valgrind") or "valgrind"
    command = [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    counted = [*command, "-m", "tests.benchmarks.counted", what, str(repeats)]
    run = subprocess.run(counted, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    said = _COLLECTED.search(run.stderr)
    if run.returncode or said is None:
        raise SystemExit(f"callgrind gave no count for {what}:\n{run.stderr[-2000:]}")
    return int(said[1])


def judge(counts: Mapping[str, int], budget: Mapping[str, int]) -> tuple[list[str], bool]:
    """Return a line for each budgeted count, and whether all are within what is tolerated."""
    lines, kept = [], True
    for name, allowed in budget.items():
        difference = counts[name] / allowed - 1
        line = f"{name}: {counts[name]:,} instructions, budget {allowed:,} ({difference:+.1%})"
        if difference > TOLERANCE:
            kept = False
            line += f"; OVER by more than {TOLERANCE:.0%}: find out why, or write a new budget with --update"
        elif difference < -TOLERANCE:
            line += "; well under: lower the budget with --update"
        lines.append(line)
    return lines, kept


def environment() -> str:
    """Return what a budget holds for: this interpreter's minor version and this processor's architecture."""
    return f"{platform.python_implementation().lower()}-{'.'.join(platform.python_version_tuple()[:2])}-{platform.machine()}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Count and judge; 0 if the budget is kept (or there is no valgrind), 1 if not, 2 without a budget."""
    line = argparse.ArgumentParser(prog="python -m tests.benchmarks.instructions", description=__doc__)
    line.add_argument("--update", action="store_true", help="make what is counted now the budget for this interpreter")
    asked = line.parse_args(arguments)
    if shutil.which("valgrind") is None:
        print(MISSING)
        return 0
    counts = {what: count(what, repeats) for what, repeats in REPEATS.items()}
    counts[OWN] = counts["cold"] - counts["bare"]
    print(f"{environment()}, cryptography {version('cryptography')}: instructions for one call")
    print(f"bare public_key.verify: {counts['bare']:,}; verify, token cache off: {counts['cold']:,}")
    return _settle(counts, update=asked.update)


def _settle(counts: Mapping[str, int], *, update: bool) -> int:
    budgets: dict[str, dict[str, int]] = json.loads(BUDGETS.read_text(encoding="utf-8")) if BUDGETS.exists() else {}
    if update:
        budgets[environment()] = {name: counts[name] for name in BUDGETED}
        BUDGETS.write_text(json.dumps(budgets, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    budget = budgets.get(environment())
    if budget is None:
        print("\n".join(f"{name}: {counts[name]:,} instructions" for name in BUDGETED))
        print(f"there is no budget for {environment()}; --update writes one")
        return 2
    lines, kept = judge(counts, budget)
    print("\n".join(lines))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

"""What stays in memory: after a million hostile tokens, and in a full token cache. In a process of its own each time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from .measuring import summary
from .rows import MEGABYTES, Experiment, Row, at_most, quantity, skipped
from .servers import ROOT

_HOSTILE = "resident memory grown by {:,} distinct hostile tokens"
_CACHES = {
    "memory-cache": ("usual", "full token cache of 1,024: tokens as D1 writes them"),
    "memory-cache-long": ("long", "full token cache of 1,024: the longest kept (2,048 bytes)"),
    "memory-cache-dense": ("dense", "full token cache of 1,024: the longest, full of empty objects"),
}
_NOT_HERE = "not measured: it needs Linux, whose /proc tells a process's memory"
HOSTILE_AIM, CACHE_AIM = at_most(5), at_most(4)


def hostile(*, quick: bool) -> list[Row]:
    """Measure what a million refusals leave behind."""
    count = 2_000 if quick else 1_000_000
    what = _HOSTILE.format(count)
    if not _is_here():
        return [skipped("memory-hostile", what, MEGABYTES, HOSTILE_AIM, _NOT_HERE)]
    told = _child("hostile", str(count))
    note = (
        "a tenth of each: no dots, noise in three parts, 8 KiB, another alg, a new member in the header, "
        "an unknown kid in the header (two tenths), another scheme, two tokens in one header; a tenth with a bad signature"
    )
    return [
        quantity(
            "memory-hostile", what, summary([told["mb"]]), MEGABYTES, 1, aim=HOSTILE_AIM, note=note,
            figures={"before, MB": told["before_mb"], "seconds": told["seconds"]},
        )
    ]  # fmt: skip


def full_cache(*, quick: bool) -> list[Row]:
    """Measure what a full token cache holds, several times over."""
    rows = []
    for name, (kind, what) in _CACHES.items():
        if not _is_here():
            rows.append(skipped(name, what, MEGABYTES, CACHE_AIM, _NOT_HERE))
            continue
        told = [_child("cache", kind) for _round in range(1 if quick else 5)]
        figures = {"counted by tracemalloc, MB": summary([one["traced_mb"] for one in told]).median}
        measured = summary([one["mb"] for one in told])
        rows.append(quantity(name, what, measured, MEGABYTES, len(told), aim=CACHE_AIM, figures=figures))
    return rows


def _child(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.remembering", *arguments]
    told: dict[str, float] = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    return told


def _is_here() -> bool:
    return Path("/proc/self/statm").exists()


EXPERIMENTS = (Experiment(("memory-hostile",), hostile), Experiment(tuple(_CACHES), full_cache))

"""What each worker takes of the machine, from /proc, and whether that stays the same."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Final

__all__ = ["Sample", "Usage", "growth", "sample"]

PAGE: Final = os.sysconf("SC_PAGE_SIZE")
# Pairs of samples grow with the square.
MOST_SAMPLES: Final = 150


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one process: resident memory in bytes, open file descriptors, threads."""

    at: float
    memory: int
    files: int
    threads: int


def sample(pid: int) -> Sample:
    """Return what the process takes now.

    Raises:
        OSError: it is gone.
    """
    process = Path("/proc") / str(pid)
    pages = int((process / "statm").read_text().split()[1])
    if not pages:
        raise ProcessLookupError(pid)  # It has ended and nobody has asked how yet.
    return Sample(time.monotonic(), pages * PAGE, len(os.listdir(process / "fd")), len(os.listdir(process / "task")))


def growth(samples: Sequence[tuple[float, float]]) -> float:
    """Return by how much a quantity has grown over (time, value) samples, going by its trend.

    The median slope over all pairs times the span (Theil and Sen): a spike or an early step
    is no growth, however high, and a slow and steady rise is.
    """
    step = max(1, len(samples) // MOST_SAMPLES)
    thinned = samples[::step]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(thinned, 2) if b[0] > a[0]]
    return statistics.median(slopes) * (thinned[-1][0] - thinned[0][0]) if slopes else 0.0


@dataclass(slots=True)
class Usage:
    """What the workers took during a run, and at rest before and after it."""

    samples: dict[int, list[Sample]] = field(default_factory=dict)
    before: dict[int, Sample] = field(default_factory=dict)
    after: dict[int, Sample] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)

    def look(self, workers: frozenset[int]) -> dict[int, Sample]:
        """Return a sample of each worker, and note those that are gone."""
        found = {}
        for worker in workers:
            try:
                found[worker] = sample(worker)
            except OSError:
                self.gone.add(worker)
        return found

    async def watch(self, workers: frozenset[int], until: float, every: float) -> None:
        """Take samples until then."""
        while time.monotonic() < until:
            for worker, taken in self.look(workers).items():
                self.samples.setdefault(worker, []).append(taken)
            await asyncio.sleep(every)

    def memory_growth(self, since: float) -> dict[int, float]:
        """Return by how many bytes each worker's memory has grown since then."""
        return {
            worker: growth([(one.at, one.memory) for one in taken if one.at >= since])
            for worker, taken in self.samples.items()
        }

    def most_threads(self) -> int:
        """Return the largest number of threads that a worker had."""
        return max((one.threads for taken in self.samples.values() for one in taken), default=0)

    def left_behind(self, what: str) -> int:
        """Return how many more `files` or `threads` a worker has at rest after the run than before it, at most."""
        kept = self.before.keys() & self.after.keys()
        return max((getattr(self.after[one], what) - getattr(self.before[one], what) for one in kept), default=0)

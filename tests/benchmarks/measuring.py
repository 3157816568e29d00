"""Ratios, not times: the contenders take turns round by round, so that a busy machine is busy for all.

A ratio is taken within each round, of runs that lie milliseconds apart, and the median of those
is reported. What a machine does to one round cancels out; what it does to a whole run cancels out.
What runs in this thread alone is measured in processor time, so that nobody pays for being interrupted.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

__all__ = ["Batch", "Effort", "Ratio", "Samples", "Summary", "interleave", "repeated", "summary"]

# Runs a contender so many times and returns the seconds that took.
Batch = Callable[[int], float]

# 1.57 x quartile distance / sqrt(n): the notch of a box plot, about 95 % for a median
# (McGill, Tukey, Larsen: Variations of Box Plots, 1978).
_NOTCH = 1.57


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How hard to try: rounds go on until each ratio's median is known to `precision`, or a cap is reached."""

    min_rounds: int = 40
    max_rounds: int = 2000
    max_seconds: float = 20.0
    batch_seconds: float = 0.005
    precision: float = 0.005
    repeats: int | None = None

    def shortened(self) -> Effort:
        """Return an effort that only shows that everything runs."""
        return replace(self, min_rounds=3, max_rounds=3, max_seconds=0.5, batch_seconds=0.0002)


@dataclass(frozen=True, slots=True)
class Summary:
    """Median, distance of the quartiles over the median, and how far off the median may be (95 %)."""

    median: float
    spread: float
    uncertainty: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """What is compared: `over` with `under`; by the cost that each adds to `beyond`, if that is given."""

    over: str
    under: str
    beyond: str | None = None

    def of(self, seconds: Mapping[str, Sequence[float]]) -> list[float]:
        """Return the ratio of each round."""
        floor = seconds[self.beyond] if self.beyond else [0.0] * len(seconds[self.over])
        rounds = zip(seconds[self.over], seconds[self.under], floor, strict=True)
        return [(over - least) / (under - least) if under != least else math.inf for over, under, least in rounds]


@dataclass(frozen=True, slots=True)
class Samples:
    """Seconds for one run of each contender, round by round, and what each ratio came to."""

    seconds: Mapping[str, Sequence[float]]
    ratios: Mapping[Ratio, Summary]
    settled: bool

    @property
    def rounds(self) -> int:
        """How often each contender had its turn."""
        return len(next(iter(self.seconds.values())))

    def cost(self, name: str, beyond: str | None = None) -> Summary:
        """Return the seconds that a contender takes, or adds to another."""
        floor = self.seconds[beyond] if beyond else [0.0] * self.rounds
        return summary([took - least for took, least in zip(self.seconds[name], floor, strict=True)])


def repeated(call: Callable[[], object], clock: Callable[[], float] = time.thread_time) -> Batch:
    """Return a batch that makes this call again and again."""

    def batch(repeats: int) -> float:
        started = clock()
        for _repeat in range(repeats):
            call()
        return clock() - started

    return batch


def interleave(contenders: Mapping[str, Batch], ratios: Sequence[Ratio], effort: Effort) -> Samples:
    """Return what each contender takes, one batch of each per round, each round beginning with another."""
    repeats = {name: effort.repeats or _calibrated(batch, effort.batch_seconds) for name, batch in contenders.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders)
    until = time.monotonic() + effort.max_seconds
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for done in range(1, effort.max_rounds + 1):
            for name in order:
                seconds[name].append(contenders[name](repeats[name]) / repeats[name])
            order.append(order.pop(0))
            gc.collect()
            if done >= effort.min_rounds and (time.monotonic() > until or _is_settled(seconds, ratios, effort)):
                break
    finally:
        gc.enable()
        gc.unfreeze()
    results = {ratio: summary(ratio.of(seconds)) for ratio in ratios}
    return Samples(seconds, results, _is_settled(seconds, ratios, effort))


def summary(samples: Sequence[float]) -> Summary:
    """Return median, spread and uncertainty of samples; of a single one, just that."""
    if len(samples) == 1:
        return Summary(samples[0], 0.0, math.inf)
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    scale = abs(median) or math.inf
    return Summary(median, (high - low) / scale, _NOTCH * (high - low) / scale / math.sqrt(len(samples)))


def _is_settled(seconds: Mapping[str, Sequence[float]], ratios: Sequence[Ratio], effort: Effort) -> bool:
    return all(summary(ratio.of(seconds)).uncertainty <= effort.precision for ratio in ratios)


def _calibrated(batch: Batch, seconds: float) -> int:
    repeats = 1
    # The fastest of three, lest a hiccup of the machine makes the batches short.
    while (took := min(batch(repeats) for _attempt in range(3))) < seconds / 4:
        repeats *= 2
    return max(1, round(repeats * seconds / took))

"""Ratios, not times: the contenders take turns in one process, so that a busy machine is busy for all."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ROUNDS = 40
ROUND_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Measured:
    """Microseconds for one call: the median of the rounds, and their spread (quartiles) relative to it."""

    median: float
    spread: float


def measure(contenders: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, Measured]:
    """Return what each contender takes, interleaved round by round."""
    repeats = {name: _repeats(call) for name, call in contenders.items()}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    gc.collect()
    gc.disable()
    try:
        for _round in range(rounds):
            for name, call in contenders.items():
                times[name].append(_time(call, repeats[name]))
    finally:
        gc.enable()
    return {name: _summary(samples) for name, samples in times.items()}


def _repeats(call: Callable[[], object]) -> int:
    return max(1, round(ROUND_SECONDS * 1e6 / max(_time(call, 20), 0.01)))


def _time(call: Callable[[], object], repeats: int) -> float:
    started = time.perf_counter()
    for _repeat in range(repeats):
        call()
    return (time.perf_counter() - started) / repeats * 1e6


def _summary(samples: list[float]) -> Measured:
    low, median, high = statistics.quantiles(samples, n=4)
    return Measured(median, (high - low) / median)

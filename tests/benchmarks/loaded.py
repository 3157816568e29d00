"""Guarded and open servers under load, and a guarded one whose key source hangs."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from .material import mint
from .measuring import Batch, Effort, Ratio, Samples, interleave, summary
from .rows import MICROSECONDS, MILLISECONDS, Aim, Experiment, Row, at_least, at_most, compared, skipped
from .served import HEALTH, PATH, TIMES_FASTER
from .servers import NO_WRK, Load, Served, has_wrk, jwks_endpoint, serve, wait_for_state

_EFFORT = Effort(repeats=1, min_rounds=20, max_rounds=40, max_seconds=75, precision=0.01)
_THROUGHPUT = "uvicorn under wrk, requests per second: guarded ÷ open"
_PROCESSOR = "the same by the servers' processor time"
_UNDISTURBED = "per request; what else runs on the machine disturbs it less"
_TAIL = "p99 of guarded requests, JWKS endpoint hanging ÷ healthy"
_SHARED = "wrk and the server share this machine's processors"


def throughput(*, quick: bool) -> list[Row]:
    """Measure how many requests a server answers with the guard and without it."""
    aim = at_least(0.93)
    if not has_wrk():
        return [
            skipped("uvicorn", _THROUGHPUT, MICROSECONDS, aim, NO_WRK),
            skipped("uvicorn-processor", _PROCESSOR, MICROSECONDS, None, NO_WRK),
        ]
    return _throughput("h11", "uvicorn", _THROUGHPUT, aim, quick=quick)


def throughput_of_httptools(*, quick: bool) -> list[Row]:
    """Measure the same where the server itself takes less time, so that the guard takes more of it."""
    name, what = "uvicorn-httptools", f"{_THROUGHPUT}, with httptools"
    if find_spec("httptools") is None or not has_wrk():
        return [skipped(name, what, MICROSECONDS, None, "not measured: httptools or wrk is missing")]
    return _throughput("httptools", name, what, None, quick=quick)[:1]


def _throughput(parser: str, name: str, what: str, aim: Aim | None, *, quick: bool) -> list[Row]:
    with serve(open=True, http=parser) as unguarded, serve(http=parser) as guarded:
        servers = {"open": unguarded, "guarded": guarded}
        contenders = {name: _loading(server, lambda load: 1 / load.per_second) for name, server in servers.items()}
        ratio = Ratio("open", "guarded")  # Seconds per request, so the quotient is turned round.
        samples = interleave(contenders, [ratio], _EFFORT.shortened() if quick else _EFFORT)
        figures = {f"{name}, requests/s": 1 / samples.cost(name).median for name in contenders}
        spent = {name: server.processor_seconds for name, server in servers.items()}
        processor = Samples(spent, {ratio: summary(ratio.of(spent))}, settled=True)
        note = f"µs per request; wrk with 16 connections, uvicorn made of {guarded.made_of}; {_SHARED}"
        return [
            compared(name, what, samples, ratio, shown="guarded", aim=aim, figures=figures, note=note),
            compared(f"{name}-processor", _PROCESSOR, processor, ratio, shown="guarded", note=_UNDISTURBED),
        ]


def tail(*, quick: bool) -> list[Row]:
    """Measure the slowest of a hundred requests while the keys cannot be renewed, which is known by then."""
    aim = at_most(1.5)
    if not has_wrk():
        return [skipped("hanging", _TAIL, MILLISECONDS, aim, NO_WRK)]
    with (
        jwks_endpoint() as (well, _healthy, _served),
        jwks_endpoint() as (ill, hanging, asked),
        serve(jwks=well) as healthy,
        serve(jwks=ill) as stale,
    ):
        contenders = {
            "healthy": _loading(healthy, lambda load: load.p99, connections=4),
            "hanging": _loading(stale, lambda load: load.p99, connections=4),
        }
        hanging.set()
        _become_stale(stale)
        before = len(asked)
        ratio = Ratio("hanging", "healthy")
        samples = interleave(contenders, [ratio], _EFFORT.shortened() if quick else _EFFORT)
        wait_for_state(stale, HEALTH, "stale", seconds=0)
        figures = {"loads that hung meanwhile": float(len(asked) - before)}
        note = (
            "wrk with 4 connections. Hanging: the keys are past max_age, the last load failed, the next ones run in the "
            f"background and hang; the key cache's clock runs {TIMES_FASTER} times as fast. Healthy: the same, answered; {_SHARED}"
        )
        return [compared("hanging", _TAIL, samples, ratio, MILLISECONDS, aim=aim, note=note, figures=figures)]


def _become_stale(served: Served) -> None:
    for _attempt in range(30):
        if served.get(HEALTH)["state"] == "stale":
            return
        served.load(PATH, mint(), connections=1, seconds=1)
    raise AssertionError("the keys did not become stale")


def _loading(served: Served, look: Callable[[Load], float], *, connections: int = 16) -> Batch:
    token = mint()
    return lambda _repeats: look(served.load(PATH, token, connections=connections, seconds=1))


EXPERIMENTS = (
    Experiment(("uvicorn", "uvicorn-processor"), throughput),
    Experiment(("uvicorn-httptools",), throughput_of_httptools),
    Experiment(("hanging",), tail),
)

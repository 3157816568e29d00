"""One run from beginning to end: start everything, load it, watch it, stop everything, judge."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import Final

from .checking import Findings, Lanes
from .expectations import HOSTILE, Outcome
from .keyserver import KeyServer
from .ledger import Ledger
from .load import Load, judged
from .plan import FAULTS, Plan
from .rotation import KeyRing, fail_as_planned
from .serving import WebServer
from .verdict import MEGABYTE, Check, Verdict, at_least, at_most
from .watching import Usage

__all__ = ["soak"]

REST_SECONDS: Final = 2.0
TELL_EVERY: Final = 60.0
WRITE_EVERY: Final = 0.5

# What a worker may have gained by the end: an allocator's caches, but no list that anything is added to per call.
MEMORY_GROWTH: Final = 4 * MEGABYTE
# A key load in the air takes two, and one that was given up may be followed by the next.
MORE_THREADS: Final = 6
MORE_FILES_AT_REST: Final = 2
# Even a small machine that is busy otherwise answers so many calls a second.
LEAST_LOAD: Final = 50


class Run:
    """Everything that a run consists of."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ledger = Ledger(plan)
        self.keys = KeyServer(self.ledger)
        self.ring = KeyRing(plan, self.ledger, self.keys)
        self.findings = Findings()
        self.lanes = Lanes(self.ledger, self.ring, self.findings)
        self.load = Load()
        self.usage = Usage()
        self.overlooked: set[tuple[int, str]] = set()
        self.began = 0.0
        self._written_at = 0.0
        self._told_at = 0.0

    async def go(self, port: int) -> None:
        """Run against the server on this port."""
        await self.lanes.connect(port, self.plan.workers)
        workers = self.lanes.workers
        self.usage.before = self.usage.look(workers)
        self.ring.begin()
        self.began = self.findings.started = self._told_at = time.monotonic()
        until = self.began + self.plan.seconds
        self._each_tick()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.ring.rotate(workers, until, self._each_tick))
            tasks.create_task(fail_as_planned(self.plan, self.keys, self.began))
            tasks.create_task(self.lanes.run(until))
            tasks.create_task(self.load.run(f"http://127.0.0.1:{port}/notify", until))
            tasks.create_task(self.usage.watch(workers, until, max(0.25, self.plan.seconds / 600)))
        await asyncio.sleep(REST_SECONDS + self.plan.timeout)
        self.usage.after = self.usage.look(workers)

    def _each_tick(self) -> None:
        workers, now = self.lanes.workers, time.monotonic()
        for worker, kid in self.ledger.unseen(workers, now) - self.overlooked:
            self.overlooked.add((worker, kid))
            self.findings.tell(f"worker {worker} has not looked for {kid} in time")
        if now - self._written_at >= WRITE_EVERY:
            self._written_at = now
            gone = self.ring.gone_for_good(workers, now)
            self.load.write(self.ring.signer, gone, calm=self.ring.is_calm())
        if now - self._told_at >= TELL_EVERY:
            self._told_at = now
            self._tell(now)

    def _tell(self, now: float) -> None:
        outcomes = self.findings.outcomes
        answers, wrong = outcomes.total() + self.load.tally.total(), outcomes.total() - outcomes[Outcome.RIGHT]
        print(f"{now - self.began:6.0f} s: {answers} answers, {wrong} of those checked wrong", file=sys.stderr)


async def soak(plan: Plan, spoil: str = "") -> Verdict:
    """Return the verdict of a run; whatever happens, nothing is left running."""
    run = Run(plan)
    async with AsyncExitStack() as stack:
        stack.callback(run.load.close)
        await run.keys.start()
        stack.push_async_callback(run.keys.stop)
        server = WebServer(plan, run.keys.url, spoil)
        stack.push_async_callback(server.stop)
        await server.start()
        stack.callback(run.lanes.close)
        await run.go(server.port)
        return _verdict(run, server)


def _verdict(run: Run, server: WebServer) -> Verdict:
    findings, by_load = run.findings, judged(run.load.tally)
    verdict = Verdict(examples=list(findings.examples))
    outcomes = Counter(findings.outcomes)
    for (outcome, kind, status), count in sorted(by_load.items()):
        outcomes[outcome] += count
        if outcome is not Outcome.RIGHT:
            verdict.examples.append(f"under load  {outcome}: {kind}: {status}, {count} times")
    verdict.add_outcomes(outcomes)
    verdict.checks += [
        at_most("calls without an answer", findings.lost + sum(run.load.errors.values())),
        at_most("new keys overlooked", len(run.overlooked)),
        *_machine_checks(run),
        *(at_most(name, server.seen[name]) for name in ("tokens in the log", "tracebacks in the log")),
        at_most("workers that ended", max(len(run.usage.gone), server.seen["workers that ended"])),
        *_coverage_checks(run),
    ]
    verdict.figures = _figures(run, by_load.total())
    return verdict


def _machine_checks(run: Run) -> list[Check]:
    usage = run.usage
    growth = max(usage.memory_growth(run.began + run.plan.warm_up).values(), default=0.0)
    threads = max((one.threads for one in usage.before.values()), default=0)
    return [
        at_most("memory growth of a worker, MB", round(growth / MEGABYTE, 2), MEMORY_GROWTH / MEGABYTE),
        at_most("file descriptors left behind", usage.left_behind("files"), MORE_FILES_AT_REST),
        at_most("threads left behind", usage.left_behind("threads")),
        at_most("most threads at once", usage.most_threads(), threads + MORE_THREADS),
    ]


def _coverage_checks(run: Run) -> list[Check]:
    """Return the checks that everything has happened: a run in which nothing did would find nothing."""
    kinds = {hostile.name for hostile in HOSTILE} | set(run.findings.checked)
    seldom = min((run.findings.checked[kind] for kind in kinds), default=0)
    times = Counter(fault for outage in run.ledger.outages for fault in outage.faults)
    return [
        at_least("answers to wrk, per second", round(run.load.tally.total() / run.plan.seconds), LEAST_LOAD),
        at_least("checked answers of the rarest kind", seldom, 2),
        at_least("keys published", len(run.ledger.published), 2),
        at_least("switches to a new key", run.ring.switches, 2),
        at_least("keys withdrawn", len(run.ledger.withdrawn), 2),
        *(at_least(f"times: {name}", times[name], 2) for name in FAULTS),
    ]


def _figures(run: Run, by_load: int) -> dict[str, object]:
    findings, settling = run.findings, run.ring.settling
    memory = [taken[-1].memory / MEGABYTE for taken in run.usage.samples.values()]
    return {
        "answers to wrk": by_load,
        "answers checked one by one": findings.outcomes.total(),
        "checked by kind": dict(findings.checked.most_common()),
        "answers 503 among them, all intended but for those counted above": findings.unavailable,
        "slowest of them, seconds": round(findings.slowest, 2),
        "states of the workers' keys, as seen": dict(findings.states.most_common()),
        "loads that the key server was asked for": run.keys.loads,
        "of these by fault": run.keys.failed,
        "seconds until all workers knew a new key, at most": round(max(settling, default=0.0), 1),
        "memory of the workers at the end, MB": [round(one, 1) for one in sorted(memory)],
    }

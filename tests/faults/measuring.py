"""What a fault does to the keys: one story per fault, told once and asserted on by many tests."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import Self

from d1verify import HTTPKeyStore

from ..support import KEY, Clock, until
from .callers import KINDS, Told, Watched, ask
from .certificates import server_contexts, trusting_context
from .servers import raw_server, serving
from .table import AMPLE, DNS_HANGS, FAULTS, NO_ANSWER, TIMEOUT, Fault

MAX_AGE = 100
LIMIT = MAX_AGE + 3600
# Seconds within which whoever waits for nothing is answered: less than a load takes that runs out of time.
SOON = TIMEOUT * 0.75
TELLINGS = 3


@dataclass(frozen=True)
class Story:
    """A healthy load, then the fault, until the old set is due, past it, beyond the limit; then health again.

    Each pair is what was told and how many loads had been started by then.
    """

    due: tuple[Told, int]
    stale: tuple[tuple[Told, int], ...]
    unknown_kid: tuple[Told, int]
    after_back_off: tuple[Told, int]
    beyond_limit: tuple[Told, int]
    asked_again: tuple[Told, int]
    just_before_retry: tuple[Told, int]
    recovered: tuple[Told, int]
    error: str | None
    log: tuple[tuple[str, str], ...]
    connections: int
    lost_threads: int
    most_bytes_sent: int

    def took_its_time(self, fault: Fault) -> bool:
        """Tell whether an answer came later than it should: the code is wrong, or the machine was busy elsewhere."""
        rest = (self.unknown_kid, self.after_back_off, self.asked_again, self.just_before_retry)
        waited = (self.due[0], self.beyond_limit[0])
        return any(told.seconds >= SOON for told, _loads in (*self.stale, *rest)) or (
            fault.slow and any(told.seconds >= TIMEOUT + SOON for told in waited)
        )


class LogOfKeys(logging.Handler):
    """Collects what the library logs at INFO and above."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelname, record.getMessage()))

    def __enter__(self) -> Self:
        logger = logging.getLogger("d1verify")
        self._level = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(self)
        return self

    def __exit__(self, *_exception: object) -> None:
        logger = logging.getLogger("d1verify")
        logger.removeHandler(self)
        logger.setLevel(self._level)


@functools.cache
def story_of(fault: Fault) -> Story:
    """Return what was seen; seen again, if it took its time: the code is as slow each time, a busy machine is not."""
    story = _tell(fault)
    for _ in range(TELLINGS - 1):
        if not story.took_its_time(fault):
            break
        story = _tell(fault)
    return story


def _tell(fault: Fault) -> Story:
    clock = Clock(0.0)
    with raw_server(serving(KEY, max_age=MAX_AGE), server_contexts().good) as server, LogOfKeys() as log:
        store = HTTPKeyStore(server.url, ssl_context=trusting_context(), timeout=AMPLE)
        watched = Watched(store, timer=clock)
        cache = watched.cache

        def told(kid: str = KEY.kid, kind: str = "sync") -> tuple[Told, int]:
            return ask(cache, kid, kind), cache._loader.state.started

        assert told()[0].key == KEY.public
        with fault.bring_about(server):
            store._timeout = fault.timeout
            clock.now = MAX_AGE
            due = told()
            error = cache.health().last_error
            stale = tuple(told(kind=kind) for kind in KINDS)
            unknown_kid = told("another")
            clock.advance(1.0)  # The first back-off is a second at most.
            after_back_off = told()
            watched.wait_for_loads()
            clock.now = LIMIT
            beyond_limit = told()
            asked_again = told()
            clock.advance(asked_again[0].retry_after - 0.001)
            just_before_retry = told()
            if fault.name != DNS_HANGS:  # a busy machine may need a moment to see the loop's deadline through
                until(lambda: not store._errands._lost)
            lost = len(store._errands._lost)
            sent = max(server.sent, default=0)
        store._timeout = AMPLE
        clock.advance(0.002)
        recovered = told()
        return Story(
            due, stale, unknown_kid, after_back_off, beyond_limit, asked_again, just_before_retry, recovered,
            error, tuple(log.lines), server.connections, lost, sent,
        )  # fmt: skip


def markdown() -> str:
    """Return the table of the README: what each fault does, as it was just seen."""
    lines = [
        "| fault | what the load says (`health().last_error`) | load ends | old keys, up to the limit | beyond it | after it |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for fault in FAULTS:
        story = story_of(fault)
        error = (story.error or "").replace(f"{TIMEOUT:g} s", "`timeout` s")
        ends = "at the deadline" if story.error == NO_ANSWER else "at once"
        stale = [told for told, _ in (*story.stale, story.after_back_off)]
        serves = "serve, no wait" if all(told.outcome == "key" and told.seconds < SOON for told in stale) else "FAIL"
        beyond = "503, `Retry-After`" if story.beyond_limit[0].outcome == "keys_unavailable" else "FAIL"
        after = "recovers by itself" if story.recovered[0].outcome == "key" else "FAIL"
        name = f"`{fault.name}`" if fault.name.startswith("{") else fault.name
        lines.append(f"| {name} | {error} | {ends} | {serves} | {beyond} | {after} |")
    return "\n".join(lines) + "\n"

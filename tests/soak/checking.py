"""The checking clients: two connections to each worker, every answer compared with what the ledger wants."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

from ..support import SigningKey
from .expectations import HOSTILE, LET_IN, OPEN_PATH, VALID_SECONDS, Answer, Outcome, bearer, expected, judge, mint
from .ledger import Ledger
from .rotation import KeyRing

__all__ = ["Findings", "Lane", "Lanes"]

ANSWER_SECONDS: Final = 20.0
CONNECT_ATTEMPTS: Final = 2000
MAX_EXAMPLES: Final = 20
# So that wrk gets most of the machine.
PAUSE_SECONDS: Final = 0.01


# A kind, its Authorization values, and what is wanted: an answer, a key id to ask the ledger about, or nothing.
Call = tuple[str, tuple[str, ...], Answer | str | None]


class Findings:
    """What the checked answers turned out to be, with the first of each wrong kind as examples."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.checked: Counter[str] = Counter()
        self.outcomes: Counter[Outcome] = Counter()
        self.examples: list[str] = []
        self.lost = 0
        self.slowest = 0.0
        self.states: Counter[str] = Counter()
        self.unavailable = 0

    def note(self, kind: str, worker: int, answer: Answer, allowed: frozenset[Answer], seconds: float) -> None:
        """Take one answer in."""
        outcome = judge(answer, allowed)
        self.checked[kind] += 1
        self.outcomes[outcome] += 1
        self.slowest = max(self.slowest, seconds)
        self.unavailable += answer.status == 503
        if outcome is not Outcome.RIGHT:
            wanted = " or ".join(f"{one.status} {one.reason}".strip() for one in sorted(allowed))
            self.tell(f"{outcome}: {kind} at worker {worker}: {answer.status} {answer.reason} instead of {wanted}")

    def lose(self, why: str) -> None:
        """Take note of a call without an answer."""
        self.lost += 1
        self.tell(why)

    def tell(self, example: str) -> None:
        """Keep an example; it names no token."""
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(f"{time.monotonic() - self.started:8.2f} s  {example}")


class Lane:
    """One connection to one worker, with one call at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.worker = 0
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Lane:
        """Return a connection to whichever worker takes it."""
        lane = cls(*await asyncio.open_connection("127.0.0.1", port))
        await lane.health()
        return lane

    async def health(self) -> dict[str, object]:
        """Return how the worker's keys stand, by its own account."""
        _status, body = await self._exchange("GET", OPEN_PATH, ())
        return dict(json.loads(body))

    async def call(self, values: tuple[str, ...]) -> Answer:
        """Return the answer to a call with these `Authorization` values."""
        status, body = await self._exchange("POST", "/notify", values)
        return Answer(status, "" if status < 400 else json.loads(body).get("error_description", ""))

    def close(self) -> None:
        """Hang up."""
        self._writer.transport.abort()

    async def _exchange(self, method: str, path: str, values: tuple[str, ...]) -> tuple[int, bytes]:
        lines = [f"{method} {path} HTTP/1.1", "Host: soak", "Content-Length: 0"]
        lines += [f"Authorization: {value}" for value in values]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        self.worker = int(headers["x-soak-worker"])
        return int(head[0].split()[1]), body


class Lanes:
    """Two lanes to each worker: one for key ids that it knows, one for those that it may have to wait for."""

    def __init__(self, ledger: Ledger, ring: KeyRing, findings: Findings) -> None:
        self.by_worker: dict[int, tuple[Lane, Lane]] = {}
        self._ledger, self._ring, self._findings = ledger, ring, findings

    @property
    def workers(self) -> frozenset[int]:
        """The process ids of the workers."""
        return frozenset(self.by_worker)

    async def connect(self, port: int, workers: int) -> None:
        """Connect until each worker has two; which one takes a connection is the kernel's choice."""
        found: dict[int, list[Lane]] = {}
        spare: list[Lane] = []
        for _attempt in range(CONNECT_ATTEMPTS):
            lane = await Lane.open(port)
            lanes = found.setdefault(lane.worker, [])
            (lanes if len(lanes) < 2 else spare).append(lane)
            if len(found) == workers and all(len(lanes) == 2 for lanes in found.values()):
                break
        for lane in spare:
            lane.close()
        self.by_worker = {worker: (lanes[0], lanes[1]) for worker, lanes in found.items() if len(lanes) == 2}
        if len(self.by_worker) != workers:
            raise RuntimeError(f"only {len(self.by_worker)} of {workers} workers could be reached")

    async def run(self, until: float) -> None:
        """Call and check until then."""
        async with asyncio.TaskGroup() as tasks:
            for quick, patient in self.by_worker.values():
                tasks.create_task(self._drive(quick, self._known_calls(), until))
                tasks.create_task(self._drive(patient, self._unsure_calls(patient), until))

    def close(self) -> None:
        """Hang up everywhere."""
        for lanes in self.by_worker.values():
            for lane in lanes:
                lane.close()

    async def _drive(self, lane: Lane, calls: Iterator[Call], until: float) -> None:
        while time.monotonic() < until:
            kind, values, wanted = next(calls)
            sent = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    if wanted is None:
                        self._findings.states[str((await lane.health())["state"])] += 1
                        continue
                    answer = await lane.call(values)
            except (OSError, EOFError, TimeoutError, ValueError, KeyError) as error:
                self._findings.lose(f"no answer from worker {lane.worker}: {type(error).__name__}")
                return
            answered = time.monotonic()
            if isinstance(wanted, Answer):
                allowed = frozenset({wanted})
            else:
                allowed = expected(self._ledger, lane.worker, wanted, sent, answered)
            self._findings.note(kind, lane.worker, answer, allowed, answered - sent)
            await asyncio.sleep(PAUSE_SECONDS)

    def _known_calls(self) -> Iterator[Call]:
        reused: tuple[str, ...] = ()
        reused_of, made_at = "", 0.0
        while True:
            signer, now = self._ring.signer, time.time()
            if reused_of != signer.kid or now - made_at > VALID_SECONDS / 2:
                reused, reused_of, made_at = bearer(mint(signer, now)), signer.kid, now
            match random.randrange(10):
                case 0 | 1 | 2:
                    yield "valid", bearer(mint(signer, now)), LET_IN
                case 3 | 4:
                    yield "reused", reused, LET_IN
                case 5:
                    yield from _flawless("old", self._ring.previous, now)
                case 6:
                    yield "open", (), None
                case _:
                    hostile = random.choice(HOSTILE)
                    yield hostile.name, hostile.make(signer, now), hostile.answer

    def _unsure_calls(self, lane: Lane) -> Iterator[Call]:
        while True:
            now, calm = time.time(), self._ring.is_calm()
            key = random.choice([self._ring.newest, *self._ring.gone])
            moment = time.monotonic()
            if calm and self._ledger.trusts(lane.worker, key.kid, moment, moment) is not True:
                key = self._ring.signer  # Anything else would make the worker look for keys.
            elif random.random() < 0.3 and not calm:
                kid = f"nobody-knows-{random.getrandbits(32):08x}"
                yield "unknown", bearer(mint(self._ring.signer, now, {"kid": kid})), kid
                continue
            kind = {self._ring.signer: "valid", self._ring.newest: "early"}.get(key, "withdrawn")
            yield from _flawless(kind, key, now)


def _flawless(kind: str, key: SigningKey | None, now: float) -> Iterator[Call]:
    if key is not None:
        yield kind, bearer(mint(key, now)), key.kid

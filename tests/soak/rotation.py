"""What happens to the keys during a run: one published, one signing, one withdrawn, and outages in between."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from ..support import SigningKey
from .keyserver import KeyServer
from .ledger import Ledger
from .plan import Plan

__all__ = ["KeyRing", "fail_as_planned"]

TICK_SECONDS: Final = 0.1
REMEMBERED: Final = 6


class KeyRing:
    """D1's keys, rotated as the runbook has it: publish beside the old, switch when all know it, withdraw.

    Attributes:
        signer: the key that D1 signs with; every worker knows it.
        previous: the one before, while it is published.
        newest: the key published last, which workers may not know yet.
        gone: keys that were withdrawn, the latest ones.
        switches: how often the signer changed.
        settling: how long each key took until every worker knew it.
    """

    def __init__(self, plan: Plan, ledger: Ledger, server: KeyServer) -> None:
        self.signer = self.newest = SigningKey("key-0")
        self.previous: SigningKey | None = None
        self.gone: deque[SigningKey] = deque(maxlen=REMEMBERED)
        self.switches = 0
        self.settling: list[float] = []
        self._waiting: list[SigningKey] = []
        self._skipped: list[SigningKey] = []
        self._plan, self._ledger, self._server = plan, ledger, server
        self._began = time.monotonic()
        self._switched = self._began
        server.publish(self.signer)

    def begin(self) -> None:
        """Have the run begin now."""
        self._began = time.monotonic()

    def is_calm(self) -> bool:
        """Tell whether nothing is to be sent now that makes a worker load keys."""
        return self._plan.is_calm(time.monotonic() - self._began)

    def gone_for_good(self, workers: frozenset[int], now: float) -> SigningKey | None:
        """Return a withdrawn key that no worker trusts any more."""
        for key in self.gone:
            if all(self._ledger.trusts(worker, key.kid, now, now) is False for worker in workers):
                return key
        return None

    async def rotate(self, workers: frozenset[int], until: float, each_tick: Callable[[], None]) -> None:
        """Rotate until then; `each_tick` is called after every step and in between."""
        number, publish_at = 1, self._began
        while (now := time.monotonic()) < until:
            if now >= publish_at:
                publish_at += self._plan.rotate_every
                self._publish(SigningKey(f"key-{number}"))
                number += 1
            self._switch(workers, now)
            self._withdraw(now)
            each_tick()
            await asyncio.sleep(TICK_SECONDS)

    def _publish(self, key: SigningKey) -> None:
        self._server.publish(key)
        self._waiting.append(key)
        self.newest = key

    def _switch(self, workers: frozenset[int], now: float) -> None:
        """Sign with the newest key that all know, unless the one before the last is not withdrawn yet."""
        if self.previous is not None:
            return
        known = [key for key in self._waiting if self._ledger.is_settled(key.kid, workers, now)]
        if not known:
            return
        self.settling += [now - self._ledger.published[key.kid] for key in known]
        self.previous, self.signer = self.signer, known[-1]
        # Those that were jumped over are never signed with; they go with the one before.
        position = self._waiting.index(self.signer)
        self._skipped, self._waiting = self._waiting[:position], self._waiting[position + 1 :]
        self._switched = now
        self.switches += 1

    def _withdraw(self, now: float) -> None:
        if self.previous is None or now < self._switched + self._plan.overlap:
            return
        for key in [self.previous, *self._skipped]:
            self._server.withdraw(key.kid)
            self.gone.append(key)
        self.previous = None


async def fail_as_planned(plan: Plan, server: KeyServer, began: float) -> None:
    """Have the key server fail when the plan says so, one fault after the other."""
    for outage in plan.outages():
        for name, begins, _ends in outage:
            await asyncio.sleep(began + begins - time.monotonic())
            await server.fail(name)
        await asyncio.sleep(began + outage[-1][2] - time.monotonic())
        await server.heal()

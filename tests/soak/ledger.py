"""What the key server has published, withdrawn and served to whom, and what must follow from it.

Pure book-keeping: it knows nothing of the code under test. All times are seconds on one
monotonic clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .plan import NOTICE, Plan

__all__ = ["Ledger", "Outage", "Served"]


@dataclass(frozen=True, slots=True)
class Served:
    """A complete key set that was sent to one worker."""

    at: float
    kids: frozenset[str]


@dataclass(slots=True)
class Outage:
    """A time in which the key server did not serve, for whatever reasons; it lasts while `ended` is infinite."""

    began: float
    faults: list[str] = field(default_factory=list)
    ended: float = math.inf


@dataclass(slots=True)
class Ledger:
    """The key server's own account of itself. Workers are known by their process ids."""

    plan: Plan
    published: dict[str, float] = field(default_factory=dict)
    withdrawn: dict[str, float] = field(default_factory=dict)
    outages: list[Outage] = field(default_factory=list)
    serves: dict[int, list[Served]] = field(default_factory=dict)

    def serve(self, worker: int, at: float, kids: frozenset[str]) -> None:
        """Note that a set goes out to a worker."""
        self.serves.setdefault(worker, []).append(Served(at, kids))

    def begin(self, fault: str, at: float) -> None:
        """Note that the server fails in this way from now on, if it already fails or not."""
        if not self.outages or self.outages[-1].ended < math.inf:
            self.outages.append(Outage(at))
        self.outages[-1].faults.append(fault)

    def end(self, at: float) -> None:
        """Note that the server serves again."""
        self.outages[-1].ended = at

    def trusts(self, worker: int, kid: str, sent: float, answered: float) -> bool | None:
        """Tell whether the worker had to know this key; None where it may have been either.

        It goes by the last set that it was served, or by one that arrived while it answered.
        """
        found = {kid in kids for kids in self._sets(worker, sent, answered)}
        return found.pop() if len(found) == 1 else None

    def is_troubled(self, worker: int, sent: float, answered: float) -> bool:
        """Tell whether the worker may say 503 to a key id that it does not know."""
        outage = self._latest_outage(answered)
        if outage is None:
            return False
        if sent <= outage.ended:
            return True
        recovered = any(outage.ended <= served.at <= sent - NOTICE for served in self.serves.get(worker, ()))
        return not recovered and sent <= self._recovered_at(outage)

    def is_overdue(self, kid: str, sent: float) -> bool:
        """Tell whether the key was withdrawn so long ago that no worker may accept it, whatever it was served."""
        return self._has_had_time(self.withdrawn.get(kid, math.inf), sent)

    def is_settled(self, kid: str, workers: frozenset[int], now: float) -> bool:
        """Tell whether every worker knows the key, so that D1 may sign with it."""
        return all(self.trusts(worker, kid, now, now) is True for worker in workers)

    def unseen(self, workers: frozenset[int], now: float) -> set[tuple[int, str]]:
        """Return (worker, kid) of each published key that the worker should have loaded by now and has not."""
        late = [kid for kid, at in self.published.items() if kid not in self.withdrawn and self._has_had_time(at, now)]
        return {(worker, kid) for worker in workers for kid in late if self.trusts(worker, kid, now, now) is False}

    def _has_had_time(self, since: float, now: float) -> bool:
        """Tell whether a change is older than the documented bound, and the source has long answered again."""
        outage = self._latest_outage(now)
        recovered = outage is None or now > self._recovered_at(outage)
        return recovered and now > since + self.plan.withdrawal_bound

    def _latest_outage(self, now: float) -> Outage | None:
        return next((outage for outage in reversed(self.outages) if outage.began <= now), None)

    def _recovered_at(self, outage: Outage) -> float:
        if outage.ended == math.inf:
            return math.inf
        return outage.ended + self.plan.recovery(outage.ended - outage.began)

    def _sets(self, worker: int, sent: float, answered: float) -> list[frozenset[str]]:
        found = []
        for one in reversed(self.serves.get(worker, ())):
            if one.at <= answered:
                found.append(one.kids)
            if one.at <= sent - NOTICE:
                return found
        # The worker may still be without any set.
        return [*found, frozenset()]

"""The verdict: each module's figures, and where the survivors and their list differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from .mutants import Change, Mutant, Outcome
from .survivors import Survivor

__all__ = ["LEAST_PERCENT", "ModuleVerdict", "judged", "report"]

LEAST_PERCENT: Final = 95.0
_NOTICED: Final = (Outcome.KILLED, Outcome.TIMED_OUT)
_TITLES: Final = ("module", "mutants", "killed", "timed out", "equivalent", "survived", "untried", "killed %")


@dataclass(frozen=True, slots=True)
class ModuleVerdict:
    """What became of a module's mutants.

    Attributes:
        module: the module's name.
        counts: how many mutants had which outcome; the equivalent ones are among the survivors.
        unlisted: changes that survived and have no reason.
        outdated: listed changes that a test kills or that no longer exist.
    """

    module: str
    counts: Counter[Outcome]
    unlisted: Sequence[Change]
    outdated: Sequence[Change]
    equivalent: int

    @property
    def percent(self) -> float:
        """How many of all mutants were killed; the equivalent ones count as not killed."""
        return 100 * sum(self.counts[one] for one in _NOTICED) / max(1, self.counts.total())

    @property
    def ok(self) -> bool:
        """Whether enough was killed, all was tried, and the list says no more and no less than the runs."""
        enough = self.percent >= LEAST_PERCENT and self.counts[Outcome.UNTRIED] == 0
        return enough and not self.unlisted and not self.outdated

    @property
    def row(self) -> tuple[str, ...]:
        """The figures as the table shows them."""
        counts = self.counts
        survived = counts[Outcome.SURVIVED] - self.equivalent
        figures = (counts.total(), counts[Outcome.KILLED], counts[Outcome.TIMED_OUT], self.equivalent, survived)
        return (self.module, *map(str, figures), str(counts[Outcome.UNTRIED]), f"{self.percent:.1f}")


def judged(module: str, mutants: Collection[Mutant], listed: Iterable[Survivor]) -> ModuleVerdict:
    """Return the verdict on a module's mutants, held against the listed survivors."""
    expected = {one.change for one in listed if one.change.module == module}
    survived = [one.change for one in mutants if one.outcome is Outcome.SURVIVED]
    # One that only timed out was killed by the clock, which says nothing about the reason given for it.
    may_live = {one.change for one in mutants if one.outcome in (Outcome.SURVIVED, Outcome.TIMED_OUT)}
    return ModuleVerdict(
        module=module,
        counts=Counter(one.outcome for one in mutants),
        unlisted=[change for change in survived if change not in expected],
        outdated=sorted(expected - may_live, key=repr),
        equivalent=sum(change in expected for change in survived),
    )


def report(verdicts: Sequence[ModuleVerdict]) -> str:
    """Return the table and what has to be done about the list, as text."""
    rows = [_TITLES, *(verdict.row for verdict in verdicts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    for title, name in (("survived without a reason", "unlisted"), ("listed, but killed or gone", "outdated")):
        changes = [change for verdict in verdicts for change in getattr(verdict, name)]
        if changes:
            lines += ["", f"{title}:", *(f"  {change}" for change in changes)]
    return "\n".join([*lines, "", "everything holds" if all(one.ok for one in verdicts) else "FAILED"])

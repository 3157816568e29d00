"""The verdict: each figure beside its bound, as a table and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from .expectations import Outcome

__all__ = ["Check", "Verdict", "at_least", "at_most"]

MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Check:
    """One figure and what it had to be."""

    name: str
    figure: float
    bound: str
    ok: bool


def at_most(name: str, figure: float, bound: float = 0) -> Check:
    """Return the check of a figure that may be no larger."""
    return Check(name, figure, f"at most {bound:g}", figure <= bound)


def at_least(name: str, figure: float, bound: float) -> Check:
    """Return the check of a figure that may be no smaller."""
    return Check(name, figure, f"at least {bound:g}", figure >= bound)


@dataclass(slots=True)
class Verdict:
    """All checks of a run, the figures that are only told, and examples of what went wrong."""

    checks: list[Check] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)

    @property
    def failed(self) -> set[str]:
        """The names of the checks that do not hold."""
        return {check.name for check in self.checks if not check.ok}

    def add_outcomes(self, outcomes: Counter[Outcome]) -> None:
        """Check that every answer was right."""
        self.checks += [at_most(_PLURALS[one], outcomes[one]) for one in Outcome if one is not Outcome.RIGHT]

    def as_json(self) -> dict[str, Any]:
        """Return everything, JSON-ready."""
        return {
            "ok": self.ok,
            "checks": [asdict(check) for check in self.checks],
            "figures": self.figures,
            "examples": self.examples,
        }

    def table(self) -> str:
        """Return everything as text."""
        rows = [(check.name, f"{check.figure:g}", check.bound, "ok" if check.ok else "FAILED") for check in self.checks]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines += ["", *(f"{name}: {figure}" for name, figure in self.figures.items())]
        if self.examples:
            lines += ["", "examples:", *(f"  {example}" for example in self.examples)]
        return "\n".join([*lines, "", "everything holds" if self.ok else "FAILED"])


_PLURALS: Final = {
    Outcome.WRONG_ACCEPT: "wrong accepts",
    Outcome.WRONG_REFUSAL: "wrong refusals",
    Outcome.UNINTENDED_5XX: "unintended 5xx",
    Outcome.OTHER: "other reasons than they should be",
}

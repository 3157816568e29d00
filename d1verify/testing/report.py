"""What came of a run of the contract: a record, with a table, JUnit XML and JSON made of it."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from xml.etree import ElementTree as ET

from .case import Case

__all__ = ["Outcome", "Report", "Result"]

_WIDTH = 100


class Outcome(StrEnum):
    """What came of one case."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one case.

    Attributes:
        case_id: the case's id.
        title: the case's title.
        outcome: passed, failed, or skipped because it does not apply or cannot be sent.
        expect: what the app had to answer.
        status: the status of the last answer; None without one.
        detail: what was wrong, or why it was skipped; empty for a pass. Nothing that the
            app said is in it, and nothing of a token.
        risk: what getting it wrong costs, in one sentence.
        source: where the rule is laid down.
        seconds: how long it took.
    """

    case_id: str
    title: str
    outcome: Outcome
    expect: str
    status: int | None
    detail: str
    risk: str
    source: str
    seconds: float

    @classmethod
    def of(cls, case: Case, outcome: Outcome, *, status: int | None, detail: str, seconds: float) -> Result:
        """Return the result of `case`."""
        return cls(
            case_id=case.id,
            title=case.title,
            outcome=outcome,
            expect=case.expect.value,
            status=status,
            detail=detail,
            risk=case.risk,
            source=case.source,
            seconds=seconds,
        )


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a run, in the order of the cases."""

    results: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        """Whether no case failed, and at least one was tried."""
        counts = self.counts
        return counts[Outcome.FAILED] == 0 and counts[Outcome.PASSED] > 0

    @property
    def counts(self) -> Counter[Outcome]:
        """How many cases came out how."""
        return Counter(result.outcome for result in self.results)

    def with_outcome(self, outcome: Outcome) -> tuple[Result, ...]:
        """Return the results that came out so."""
        return tuple(result for result in self.results if result.outcome is outcome)

    @property
    def failed(self) -> tuple[Result, ...]:
        """The results of the cases that failed."""
        return self.with_outcome(Outcome.FAILED)

    @property
    def skipped(self) -> tuple[Result, ...]:
        """The results of the cases that did not apply or could not be sent."""
        return self.with_outcome(Outcome.SKIPPED)

    def table(self) -> str:
        """Return plain text: what failed and what that would let an attacker do, what was skipped, the sum."""
        lines = [*_rows(self.failed), *_reasons(self.skipped), self.summary()]
        return "\n".join(lines) + "\n"

    def summary(self) -> str:
        """Return one line: how many cases came out how."""
        counts = self.counts
        parts = (f"{counts[outcome]} {outcome}" for outcome in Outcome)
        return f"{len(self.results)} cases: {', '.join(parts)}"

    def junit(self) -> str:
        """Return JUnit XML, as continuous integration reads it."""
        counts = self.counts
        suite = ET.Element(
            "testsuite",
            name="d1verify contract",
            tests=str(len(self.results)),
            failures=str(counts[Outcome.FAILED]),
            errors="0",
            skipped=str(counts[Outcome.SKIPPED]),
            time=f"{sum(result.seconds for result in self.results):.3f}",
        )
        for result in self.results:
            _junit_case(suite, result)
        return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"

    def json(self) -> str:
        """Return a JSON object with `ok`, `counts` and `results`."""
        counts = self.counts
        document = {
            "ok": self.ok,
            "counts": {outcome.value: counts[outcome] for outcome in Outcome},
            "results": [{**asdict(result), "seconds": round(result.seconds, 6)} for result in self.results],
        }
        return json.dumps(document, indent=2) + "\n"


def _rows(failed: Iterable[Result]) -> Iterable[str]:
    for result in failed:
        yield f"FAILED  {result.case_id}: {result.title}"
        for text in (result.detail, result.risk, f"[{result.source}]"):
            yield textwrap.fill(text, _WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)
        yield ""


def _reasons(skipped: Iterable[Result]) -> Iterable[str]:
    """Return each reason for which cases were skipped, with their ids."""
    by_reason: dict[str, list[str]] = {}
    for result in skipped:
        by_reason.setdefault(result.detail, []).append(result.case_id)
    for reason, ids in by_reason.items():
        yield f"SKIPPED {len(ids)}: {reason}"
        yield textwrap.fill(
            ", ".join(ids), _WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8, break_on_hyphens=False
        )
        yield ""


def _junit_case(suite: ET.Element, result: Result) -> None:
    element = ET.SubElement(
        suite, "testcase", classname="d1verify.contract", name=result.case_id, time=f"{result.seconds:.3f}"
    )
    if result.outcome is Outcome.FAILED:
        failure = ET.SubElement(element, "failure", message=result.detail)
        failure.text = f"{result.title}\n{result.risk}\n{result.source}"
    elif result.outcome is Outcome.SKIPPED:
        ET.SubElement(element, "skipped", message=result.detail)

"""The report in its three forms."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from d1verify.testing import Report, Result
from d1verify.testing.report import Outcome


def result(case_id: str, outcome: Outcome, detail: str = "", status: int | None = 401) -> Result:
    return Result(
        case_id=case_id,
        title=f"the <{case_id}> case",
        outcome=outcome,
        expect="401",
        status=status,
        detail=detail,
        risk='Anyone "can" do & undo anything.',
        source="RFC 7515 §4; A054",
        seconds=0.25,
    )


REPORT = Report(
    (
        result("one", Outcome.PASSED),
        result("two", Outcome.FAILED, "expected 401, got 200", 200),
        result("three", Outcome.SKIPPED, "no path", None),
        result("four", Outcome.SKIPPED, "no path", None),
    )
)


def test_the_table_says_what_failed_what_that_costs_and_what_was_skipped() -> None:
    assert REPORT.table() == (
        "FAILED  two: the <two> case\n"
        "        expected 401, got 200\n"
        '        Anyone "can" do & undo anything.\n'
        "        [RFC 7515 §4; A054]\n"
        "\n"
        "SKIPPED 2: no path\n"
        "        three, four\n"
        "\n"
        "4 cases: 1 passed, 1 failed, 2 skipped\n"
    )


def test_junit_names_each_case() -> None:
    suite = ET.fromstring(REPORT.junit())
    assert suite.attrib == {
        "name": "d1verify contract",
        "tests": "4",
        "failures": "1",
        "errors": "0",
        "skipped": "2",
        "time": "1.000",
    }
    assert [(case.get("name"), [child.tag for child in case]) for case in suite] == [
        ("one", []),
        ("two", ["failure"]),
        ("three", ["skipped"]),
        ("four", ["skipped"]),
    ]
    failure = suite[1][0]
    assert failure.get("message") == "expected 401, got 200"
    assert failure.text == 'the <two> case\nAnyone "can" do & undo anything.\nRFC 7515 §4; A054'


def test_json_has_everything() -> None:
    document = json.loads(REPORT.json())
    assert (document["ok"], document["counts"]) == (False, {"passed": 1, "failed": 1, "skipped": 2})
    assert document["results"][1] == {
        "case_id": "two",
        "title": "the <two> case",
        "outcome": "failed",
        "expect": "401",
        "status": 200,
        "detail": "expected 401, got 200",
        "risk": 'Anyone "can" do & undo anything.',
        "source": "RFC 7515 §4; A054",
        "seconds": 0.25,
    }


def test_a_report_is_good_if_something_was_tried_and_nothing_failed() -> None:
    assert Report(REPORT.results[:1]).ok
    assert not REPORT.ok
    assert not Report(REPORT.results[2:]).ok
    assert not Report(()).ok

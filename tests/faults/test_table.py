"""The table in the README is the one that the tests see."""

from __future__ import annotations

from pathlib import Path

from .measuring import markdown
from .table import FAULTS

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- faults:begin -->", "<!-- faults:end -->"


def test_no_fault_does_more_harm_than_it_may() -> None:
    table = markdown()
    assert len(table.splitlines()) == len(FAULTS) + 2
    assert "FAIL" not in table


def test_the_readme_shows_the_table_as_it_is() -> None:
    text = README.read_text(encoding="utf-8")
    assert (text.count(BEGIN), text.count(END)) == (1, 1)
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == markdown().strip()

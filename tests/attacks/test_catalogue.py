"""Every row of the catalogue has a test, somewhere under `tests`, or a reason why not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .not_applicable import NOT_APPLICABLE

ROWS = {f"A{number:03}" for number in range(1, 281)}
TESTS = Path(__file__).parents[1]


def rows_in(source: str) -> Iterator[str]:
    """Yield the rows that the tests of a module are named by, and those that the ids of its cases begin with."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield from (row.upper() for row in re.findall(r"(?<=_)a\d{3}(?=_|$)", node.name))
        elif isinstance(node, ast.keyword) and node.arg in ("id", "ids"):
            for written in ids_in(node.value):
                yield from re.findall(r"""^f?['"](A\d{3})-""", ast.unparse(written))


def ids_in(value: ast.expr) -> list[ast.expr]:
    return value.elts if isinstance(value, ast.List | ast.Tuple) else [value]


TESTED = {row for path in TESTS.rglob("test_*.py") for row in rows_in(path.read_text(encoding="utf-8"))}


def test_every_row_is_tested_or_listed() -> None:
    assert ROWS - TESTED - set(NOT_APPLICABLE) == set()


def test_no_row_is_both_tested_and_listed() -> None:
    assert TESTED & set(NOT_APPLICABLE) == set()


def test_no_row_is_made_up() -> None:
    assert TESTED | set(NOT_APPLICABLE) <= ROWS


def test_each_reason_is_given() -> None:
    assert all(len(reason) > 20 for reason in NOT_APPLICABLE.values())


@pytest.mark.parametrize(
    ("source", "rows"),
    [
        ("def test_a123_is(): ...", ["A123"]),
        ("async def test_the_a001_and_a280_are(): ...", ["A001", "A280"]),
        ("class Test:\n def test_a123(self): ...", ["A123"]),
        ("CASES = [param(1, id='A123-x'), param(2, id=f'A124-{x}')]", ["A123", "A124"]),
        ("parametrize('x', [1, 2], ids=['A123-x', 'y'])", ["A123"]),
        ("def helper_a123_(): ...", []),
        ("def test_sa1234_is(): ...", []),
        ("x = 'A123-x'  # test_a124_is", []),
        ("param(1, id='see A123-x')", []),
    ],
)
def test_names_and_ids_are_what_counts(source: str, rows: list[str]) -> None:
    assert sorted(rows_in(source)) == rows

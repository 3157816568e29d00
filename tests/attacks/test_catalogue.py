"""Every row of the catalogue has a test here, or a reason why not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from .not_applicable import NOT_APPLICABLE

ROWS = {f"A{number:03}" for number in range(1, 281)}
HERE = Path(__file__).parent


def rows_in(path: Path) -> Iterator[str]:
    """Yield the rows that a file's tests and the ids of its cases begin with."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_a"):
            yield from (row.upper() for row in re.findall(r"(?<=_)a\d{3}(?=_)", node.name))
        elif isinstance(node, ast.keyword) and node.arg == "id":
            text = ast.unparse(node.value)
            yield from re.findall(r"""^f?['"](A\d{3})-""", text)


TESTED = {row for path in HERE.glob("test_[0-9]*.py") for row in rows_in(path)}


def test_every_row_is_tested_or_listed() -> None:
    assert ROWS - TESTED - set(NOT_APPLICABLE) == set()


def test_no_row_is_both_tested_and_listed() -> None:
    assert TESTED & set(NOT_APPLICABLE) == set()


def test_no_row_is_made_up() -> None:
    assert TESTED | set(NOT_APPLICABLE) <= ROWS


def test_each_reason_is_given() -> None:
    assert all(len(reason) > 20 for reason in NOT_APPLICABLE.values())

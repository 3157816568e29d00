"""The README's table of what others accept: each column holds for the version in its title.

Where that version is installed, the column is compared with what the library just did; `d1verify`'s always is.
`D1VERIFY_STRICTER_TABLE=FILE python -m pytest tests/differential/test_table.py` writes the table anew.
"""

from __future__ import annotations

from pathlib import Path

from .peers import PEERS
from .table import BEGIN, D1VERIFY, END, columns, markdown

README = Path(__file__).parents[2] / "README.md"


def _shown() -> dict[str, list[tuple[str, str]]]:
    text = README.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1, f"README.md has no table between {BEGIN} and {END}"
    return columns(text.partition(BEGIN)[2].partition(END)[0])


def test_d1verify_refuses_all_that_the_table_lists() -> None:
    assert {word for _, word in columns(markdown())[D1VERIFY]} == {"refuses"}


def test_the_readme_shows_each_library_of_this_version_as_it_is() -> None:
    shown, seen = _shown(), columns(markdown())
    assert [title.split()[0] for title in shown] == [D1VERIFY, *(peer.name for peer in PEERS)]
    assert {title: cells for title, cells in shown.items() if title in seen} == {
        title: cells for title, cells in seen.items() if title in shown
    }


def test_each_row_of_the_readme_shows_somebody_who_accepts() -> None:
    words = [cell for title, column in _shown().items() if title != D1VERIFY for cell in column]
    assert {row for row, word in words if word == "accepts"} == {row for row, _ in words}

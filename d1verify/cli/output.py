"""What the commands print: tables for people, JSON for programs, and nothing that a terminal obeys."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from .._log import shown

__all__ = ["ExitCode", "finite", "print_json", "print_table", "safe", "stderr", "stdout"]

PLAIN_WIDTH = 160


class ExitCode(IntEnum):
    """How a command ends; the same for all of them."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNAVAILABLE = 3


def stdout() -> Console:
    """Return a console that is plain where output goes to a file or pipe, or NO_COLOR is set."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def stderr() -> Console:
    """Return a console for what is not the command's result."""
    return Console(stderr=True, highlight=False)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows; what comes from a key source or a token is escaped and shortened by the caller."""
    table = Table(*(Column(name, no_wrap=True) for name in columns), box=box.SIMPLE, pad_edge=False)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    stdout().print(table)


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON object."""
    print(json.dumps(content, indent=2))  # noqa: T201 - as it is, whatever the terminal's width


def finite(value: float | None) -> float | None:
    """Return a time for JSON, which has no infinity."""
    return None if value is None or math.isinf(value) else value


def safe(text: str) -> str:
    """Return somebody else's text, fit for a terminal."""
    return shown(text)

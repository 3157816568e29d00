"""The peers' clocks stand still; and, where `D1VERIFY_STRICTER_TABLE` names a file, the table goes into it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .peers import clocks_held
from .table import markdown


def pytest_sessionfinish() -> None:
    path = os.environ.get("D1VERIFY_STRICTER_TABLE")
    if path:
        Path(path).write_text(markdown(), encoding="utf-8")


@pytest.fixture(autouse=True, scope="package")
def _held_clocks() -> Iterator[None]:
    with clocks_held():
        yield

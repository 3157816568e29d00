"""Fixtures for all tests. Both event loops run every async test."""

from __future__ import annotations

import pytest

from d1verify import D1Verifier, _flood

from .support import Clock, make_verifier

LONGEST_ID = 64


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a key or a token after its parameter: both differ from process to process, and workers have to agree."""
    return argname if isinstance(val, str | bytes) and len(val) > LONGEST_ID else None


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier() -> D1Verifier:
    return make_verifier()


@pytest.fixture(autouse=True)
def _no_counts_left_over() -> None:
    """A count of refusals that an earlier test has caused must not be told in a later one's log."""
    _flood._untold.clear()

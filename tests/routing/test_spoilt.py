"""The generator finds a spoilt middleware, each of many; and in the control, which is whole, it finds nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .apps import SITES
from .exchange import Pair, Twin
from .hostile import Request, requests
from .spoilt import SPOILT, Careful

# Each example is shown to every guard whose hole has not been found yet; usually some 2,000 do.
SAME = settings(
    max_examples=20_000,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
ATTACKED = ("mounts behind the guard", "mounts behind the guard", "guard in a mount", "a catch-all, no redirects")


class AllFoundError(Exception):
    """There is no hole left to find."""


@st.composite
def attacks(draw: st.DrawFn) -> tuple[str, Request]:
    name = draw(st.sampled_from(ATTACKED))
    return name, draw(requests(SITES[name].known, SITES[name].mounts))


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    """How each spoilt guard was found out, by its name; the control is called `careful`."""
    verdicts: dict[str, str] = {}
    with asyncio.Runner() as runner:
        guards: dict[str, type[Careful]] = {"careful": Careful, **SPOILT}
        twins = {site: Twin(SITES[site], runner.get_loop()) for site in ATTACKED}
        pairs = {(name, site): Pair(twins[site], SITES[site], guards[name]) for name in guards for site in twins}

        @SAME
        @given(attacks())
        def attack(case: tuple[str, Any]) -> None:
            site, request = case
            for name in guards.keys() - verdicts.keys():
                try:
                    pairs[name, site].check(request)
                except AssertionError as failure:
                    verdicts[name] = str(failure)
            if not SPOILT.keys() - verdicts.keys():
                raise AllFoundError

        with suppress(AllFoundError):
            attack()
    return verdicts


@pytest.mark.parametrize("name", SPOILT)
def test_the_generator_finds_a_spoilt_middleware(name: str, found: dict[str, str]) -> None:
    assert name in found


def test_the_generator_finds_nothing_in_a_whole_one(found: dict[str, str]) -> None:
    assert "careful" not in found

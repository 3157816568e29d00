"""No request reaches a guarded endpoint without a verified token; with one, it is served as without a guard.

The short form runs with the suite. The long form, for as many examples as are wanted:

    D1VERIFY_ROUTING_EXAMPLES=100000 python -m pytest tests/routing/test_routing.py
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from d1verify.asgi import D1AuthMiddleware

from .apps import SITES, App
from .exchange import Pair, Twin
from .hostile import VERIFIER, Request, requests

EXAMPLES = int(os.environ.get("D1VERIFY_ROUTING_EXAMPLES", "100"))  # for each site
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def guard(app: App, exclude: Sequence[str]) -> App:
    return D1AuthMiddleware(app, VERIFIER, exclude=exclude)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.parametrize("name", SITES)
def test_nobody_reaches_what_is_guarded_without_a_token(name: str, runner: asyncio.Runner) -> None:
    site = SITES[name]
    pair = Pair(Twin(site, runner.get_loop()), site, guard)

    @SETTINGS
    @given(requests(site.known, site.mounts, genuine_with_verifier=not site.by_dependency))
    def property_holds(request: Any) -> None:
        pair.check(request)

    property_holds()


@pytest.mark.parametrize("root_path", ["/zzz", "/v1/v1", "/v1/gw/7"])
def test_a_root_path_that_is_not_in_the_path_opens_nothing_below_a_mount(
    root_path: str, runner: asyncio.Runner
) -> None:
    """Starlette's Mount then looks for the whole path below itself: `/v1/health` would be served by `/v1/v1/health`."""
    site = SITES["mounts behind the guard"]
    place = {"path": "/v1/health", "raw_path": b"/v1/health", "root_path": root_path}
    scope = {"type": "http", "method": "GET", "query_string": b"", "headers": [], **place}
    Pair(Twin(site, runner.get_loop()), site, guard).check(Request(scope, entitled=False))

"""The kit against Starlette apps, in process and over HTTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.applications import Starlette

from d1verify.testing import ASGISender, FakeD1, URLSender, contract_cases, run_contract

from ..serving import uvicorn_server
from . import starlette_apps as apps
from .strict import fake_d1_for_all_cases

WRONG: list[tuple[str, Callable[[FakeD1], Starlette], set[str]]] = [
    ("path-not-compared", apps.path_not_compared, {"path-other-merchant"}),
    ("first-header", apps.behind(apps.HTTPOnlyGuard), {"two-headers-good-first", "websocket-credentials-missing"}),
    ("prefix-exclusion", apps.behind(apps.PrefixGuard), {"open-path-longer", "open-path-post"}),
    ("token-in-the-answer", apps.behind(apps.TalkativeGuard), {"signature-changed", "kid-unknown"}),
    (
        "optional-by-default",
        apps.documented_backend,
        {"credentials-missing", "exp-hour-past", "two-headers-good-first"},
    ),
]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_correct_app_passes_every_case_in_process(backend: str) -> None:
    fake_d1 = fake_d1_for_all_cases()
    with ASGISender(apps.correct(fake_d1), backend=backend) as send:
        report = run_contract(send, fake_d1)
    assert report.table() == f"{len(contract_cases())} cases: {len(contract_cases())} passed, 0 failed, 0 skipped\n"


@pytest.mark.parametrize(("build", "meant"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_catches_a_wrong_app_in_process(build: Callable[[FakeD1], Starlette], meant: set[str]) -> None:
    fake_d1 = fake_d1_for_all_cases()
    with ASGISender(build(fake_d1)) as send:
        report = run_contract(send, fake_d1)
    failed = {result.case_id for result in report.failed}
    assert meant <= failed
    assert not failed & {"baseline", "typ-absent", "aud-array"}


def test_a_correct_app_passes_every_case_over_http() -> None:
    fake_d1 = fake_d1_for_all_cases()
    with uvicorn_server(apps.correct(fake_d1), lifespan="on") as running, URLSender(f"{running.url}/") as send:
        report = run_contract(send, fake_d1)
    assert report.ok, report.table()
    assert [(result.case_id, result.detail) for result in report.skipped] == [
        ("open-path-dot-segments", "the HTTP client would tidy the path up")
    ]

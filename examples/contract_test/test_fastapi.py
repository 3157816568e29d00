"""A merchant's own suite for the app in `examples/fastapi_app.py`: one test per case of the contract.

    python -m pytest examples/contract_test/test_fastapi.py

The app is the one that a server would run, settings and all; `conftest.py` makes them.
"""

# ruff: noqa: S101, PLR2004 - a test suite

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from d1verify.testing import ASGISender, FakeD1, contract_cases, run_contract
from d1verify.testing.pytest_plugin import CaseUnderTest

UPDATE = {"state": "ACTIVE"}


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    """A client of the app, which has started up."""
    with TestClient(app) as client:
        yield client


@pytest.mark.d1_contract
def test_d1_contract(d1_case: CaseUnderTest, fake_d1: FakeD1, client: TestClient) -> None:
    """The app lets through what it must, and refuses everything else as it must."""
    call = d1_case.build(fake_d1)
    response = client.request(call.method or "POST", call.target(""), headers=call.headers, json=UPDATE)
    d1_case.check(response.status_code, response.headers, response.content)


def test_a_call_of_d1_is_served(fake_d1: FakeD1, client: TestClient) -> None:
    """The contract is content with a 409 or any 2xx to a genuine call; this app has one answer."""
    path = fake_d1.call_path("MGW_000001") or ""
    assert client.post(path, headers=fake_d1.headers(), json=UPDATE).status_code == 204


def test_paths_beside_the_open_one_are_guarded(app: FastAPI, fake_d1: FakeD1) -> None:
    """Test clients tidy a path up before they send it, and this sends it as it is."""
    cases = [case for case in contract_cases() if case.id.startswith("open-path-")]
    with ASGISender(app) as send:
        report = run_contract(send, fake_d1, cases=cases)
    assert report.ok, report.table()

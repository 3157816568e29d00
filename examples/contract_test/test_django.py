"""A merchant's own suite for the project in `examples/django_app`: one test per case of the contract, and view.

    python -m pytest examples/contract_test/test_django.py

With pytest-django, the first two lines of `client` are its business.
"""

# ruff: noqa: S101, PLR2004 - a test suite

from __future__ import annotations

from collections.abc import Iterator

import django
import pytest
from django.test import Client, override_settings

from d1verify import D1Verifier
from d1verify.testing import NOTIFY_UPDATE_PATH, FakeD1
from d1verify.testing.pytest_plugin import CaseUnderTest

UPDATE = b'{"state": "ACTIVE"}'
VIEWS = pytest.mark.parametrize("below", ["", "/by-hand", "/rest"], ids=["decorator", "by-hand", "rest"])


@pytest.fixture(scope="module")
def fake_d1() -> FakeD1:
    """A D1 that calls this path; the project leaves /health open."""
    return FakeD1(path=NOTIFY_UPDATE_PATH, open_path="/health")


@pytest.fixture(scope="module")
def client(fake_d1: FakeD1) -> Iterator[Client]:
    """A client of the project, which trusts the keys of the fake D1 for as long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_SETTINGS_MODULE", "merchant.settings")
        django.setup()
        settings = {"STORE": fake_d1.key_store, "AUDIENCE": "stg", "SUBJECT": "MGW_000001"}
        by_hand = D1Verifier(fake_d1.key_store, audience="stg", subject="MGW_000001")
        patch.setattr("merchant.views.verifier", lambda: by_hand)  # One view has a verifier of its own.
        with override_settings(D1VERIFY=settings, ALLOWED_HOSTS=["testserver"]):
            yield Client()


@VIEWS
@pytest.mark.d1_contract
def test_d1_contract(d1_case: CaseUnderTest, fake_d1: FakeD1, client: Client, below: str) -> None:
    """Each view lets through what it must, and refuses everything else as it must."""
    call = d1_case.build(fake_d1)
    method, path = call.method or "POST", f"{below}{call.target('')}"
    response = client.generic(method, path, UPDATE, "application/json", headers=dict(call.headers))
    d1_case.check(response.status_code, response.headers, response.content)


@VIEWS
def test_a_call_of_d1_is_served(fake_d1: FakeD1, client: Client, below: str) -> None:
    """The contract is content with a 409 or any 2xx to a genuine call; these views have one answer."""
    path = f"{below}{fake_d1.call_path('MGW_000001')}"
    assert client.post(path, UPDATE, "application/json", headers=fake_d1.headers()).status_code == 204

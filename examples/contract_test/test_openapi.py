"""The app in `examples/fastapi_app.py`, held to its OpenAPI document by schemathesis.

    python -m pytest examples/contract_test/test_openapi.py

The contract is about tokens; this is about everything else in a request. What comes with a good token is answered as
the document says, and what comes without one is refused. It needs `pip install schemathesis`.
"""

# ruff: noqa: S101 - a test suite

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import Phase, given, settings
from schemathesis import AuthContext, BaseSchema, GenerationMode

from d1verify.testing import FakeD1

Case = schemathesis.Case[Any]

# The same few examples in each run, whatever stands in the app's source; and none is made smaller, which takes long.
FEW = settings(max_examples=25, derandomize=True, deadline=None, phases=[Phase.generate])
CONFIG = schemathesis.Config.from_dict({"analysis": {"constants": {"enabled": False}}})

# FastAPI's own answer to a body that is no text; it is not in the documents that FastAPI makes.
UNDOCUMENTED = b'{"detail":"There was an error parsing the body"}'


@pytest.fixture
def document(app: FastAPI, fake_d1: FakeD1) -> BaseSchema:
    """The app's document, which the app shows to D1 alone."""
    return schemathesis.openapi.from_asgi("/openapi.json", app, headers=fake_d1.headers(), config=CONFIG)


@pytest.fixture
def signed(document: BaseSchema, fake_d1: FakeD1) -> BaseSchema:
    """The document, with the fake D1 to sign its calls."""

    @document.auth(refresh_interval=None)
    class FreshToken:
        def get(self, _case: Case, _context: AuthContext) -> str:
            return fake_d1.token()

        def set(self, case: Case, token: str, _context: AuthContext) -> None:
            case.headers["Authorization"] = f"Bearer {token}"

    return document


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("gateway", [{"merchantGatewayId": "MGW_000001"}, {}], ids=["own", "any"])
def test_a_call_of_d1_is_answered_as_documented(
    signed: BaseSchema, mode: GenerationMode, gateway: dict[str, Any]
) -> None:
    """Never with 5xx. What is let through is sent again without a token, and with a made-up one, and then refused."""

    @FEW
    @given(signed.as_strategy(mode, path_parameters=gateway))
    def check(case: Case) -> None:
        response = case.call()
        if response.content != UNDOCUMENTED:
            case.validate_response(response)

    check()


@pytest.mark.parametrize("mode", GenerationMode)
def test_nobody_elses_call_is_let_through(document: BaseSchema, mode: GenerationMode) -> None:
    """Whatever else is in a call, with no token of D1's it is refused."""

    @FEW
    @given(document.as_strategy(mode))
    def check(case: Case) -> None:
        assert case.call().status_code in (400, 401)

    check()

"""The token endpoint under schemathesis, held to an OpenAPI document written from D1's published fields.

The document says what D1's specification and RFC 6749 §5 say: a form in; `access_token`, `token_type`,
`expires_in`, `expires_at` and `scope` out, or an error code; never stored.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
import schemathesis
from hypothesis import Phase, given, settings
from schemathesis import BaseSchema, GenerationMode
from schemathesis.core.failures import FailureGroup
from starlette.applications import Starlette
from starlette.routing import Route

from tests.support import KEY, make_verifier

from .support import JWT_BEARER, basic, make_access_verifier, make_endpoint

Case = schemathesis.Case[Any]

# The same few examples in each run, whatever stands in the package's source; and none is made smaller.
FEW = settings(max_examples=40, derandomize=True, deadline=None, phases=[Phase.generate])
CONFIG = schemathesis.Config.from_dict(
    {
        "analysis": {"constants": {"enabled": False}},
        "checks": {
            # A form may be as documented and its assertion be worth nothing: an error is an answer, too.
            "positive_data_acceptance": {"enabled": False},
            # A form that is not may become so on its way; what a token was issued for is looked at here, form by form.
            "negative_data_rejection": {"enabled": False},
        },
    }
)

SCOPES = ["d1:notify", "d1:read", "d1:notify d1:read"]
TEXT = {"type": "string", "minLength": 1}
UNSTORED = {"Cache-Control": {"required": True, "schema": {"type": "string", "enum": ["no-store"]}}}
CHALLENGE = {"WWW-Authenticate": {"required": True, "schema": {"type": "string", "pattern": "^Basic "}}}


def answer(description: str, schema: dict[str, Any], **headers: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object", "additionalProperties": False, **schema}}}
    return {"description": description, "headers": {**UNSTORED, **headers}, "content": content}


def error(description: str, *codes: str, **headers: Any) -> dict[str, Any]:
    properties = {
        "error": {"type": "string", "enum": list(codes)},
        "error_description": {"type": "string", "pattern": r"^[\x20-\x21\x23-\x5b\x5d-\x7e]*$"},
    }
    return answer(description, {"required": ["error"], "properties": properties}, **headers)


ISSUED = {
    "required": ["access_token", "token_type", "expires_in", "expires_at", "scope"],
    "properties": {
        "access_token": {"type": "string", "pattern": r"^[\w-]+\.[\w-]+\.[\w-]{86}$"},
        "token_type": {"type": "string", "enum": ["Bearer"]},
        "expires_in": {"type": "integer", "minimum": 900, "maximum": 900},
        "expires_at": {"type": "string", "format": "date-time", "pattern": "Z$"},
        "scope": {"type": "string", "pattern": "^d1:(notify|read)( d1:(notify|read))?$"},
    },
}
FORM = {
    "type": "object",
    "required": ["grant_type"],
    # Others are ignored, but none may be there twice (RFC 6749 §3.2), as a list would be.
    "additionalProperties": {"type": "string"},
    "properties": {
        "grant_type": {"type": "string", "enum": [JWT_BEARER, "client_credentials"]},
        "assertion": TEXT,
        "scope": {"type": "string", "enum": SCOPES},
    },
}
INVALID = ("invalid_request", "invalid_grant", "invalid_scope", "unsupported_grant_type", "unauthorized_client")
OPERATION = {
    "operationId": "getAccessToken",
    "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": FORM}}},
    "responses": {
        "200": answer("An access token (RFC 6749 §5.1)", ISSUED),
        "400": error("A refusal (RFC 6749 §5.2)", *INVALID),
        "401": error("No such client, or not its secret", "invalid_client", **CHALLENGE),
        "405": error("Another method than POST", "invalid_request"),
        "413": error("A body over 16 KiB", "invalid_request"),
    },
}
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "The merchant's token endpoint", "version": "1"},
    "paths": {"/oauth2/token": {"post": OPERATION}},
}


def app_of(**changes: Any) -> Starlette:
    endpoint = make_endpoint(verifier=make_verifier(clock=time.time), clock=time.time, **changes)
    return Starlette(routes=[Route("/oauth2/token", endpoint)])


@pytest.fixture
def document() -> BaseSchema:
    loaded = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)
    loaded.app = app_of()
    return loaded


def mint() -> str:
    return KEY.mint(exp=int(time.time()) + 600)


def answers(
    document: BaseSchema,
    mode: GenerationMode,
    change: Callable[[Case], object],
    granted: list[list[tuple[str, str]]] | None = None,
) -> Counter[int]:
    """Send some requests, `change`d before; hold each answer to the document; count them by status.

    Add the forms, as they were sent, that a token was issued for to `granted`.
    """
    statuses: Counter[int] = Counter()

    @FEW
    @given(document["/oauth2/token"]["POST"].as_strategy(mode))
    def check(case: Case) -> None:
        change(case)
        response = case.call()
        statuses[response.status_code] += 1
        case.validate_response(response)
        if response.status_code == 200:
            make_access_verifier(clock=time.time).verify(response.json()["access_token"])
            if granted is not None:
                body = response.request.body
                assert isinstance(body, str | bytes)
                text = body if isinstance(body, str) else body.decode()
                granted.append(parse_qsl(text, keep_blank_values=True))

    check()
    return statuses


def form_of(case: Case) -> dict[str, Any]:
    """Return the form to be sent, to be changed; nothing comes of that where it is none."""
    if isinstance(case.body, dict):
        return case.body
    return {}


def with_a_good_assertion(case: Case) -> None:
    form_of(case).update(grant_type=JWT_BEARER, assertion=mint())


def with_the_clients_secret(case: Case) -> None:
    form_of(case).update(grant_type="client_credentials", assertion="")
    case.headers["Authorization"] = basic()[1].decode()


def with_a_scope_that_is_not_documented(case: Case) -> None:
    form_of(case).update(grant_type=JWT_BEARER, assertion=mint(), scope="admin")


@pytest.mark.parametrize("right", [with_a_good_assertion, with_the_clients_secret])
def test_a_documented_form_with_a_right_to_it_is_issued_a_token_as_documented(
    document: BaseSchema, right: Callable[[Case], object]
) -> None:
    statuses = answers(document, GenerationMode.POSITIVE, right)
    assert set(statuses) == {200}


@pytest.mark.parametrize("mode", GenerationMode)
def test_nobody_is_issued_a_token_without_a_right_and_each_refusal_is_as_documented(
    document: BaseSchema, mode: GenerationMode
) -> None:
    statuses = answers(document, mode, lambda _case: None)
    assert set(statuses) <= {400, 401, 413}
    assert statuses[400] > 0


def with_a_good_assertion_if_any(case: Case) -> None:
    if "assertion" in form_of(case):
        form_of(case)["assertion"] = mint()


def test_of_forms_that_are_not_as_documented_those_are_granted_that_became_so_on_their_way(
    document: BaseSchema,
) -> None:
    """A number or null becomes a text in a form; whatever else is wrong with one stays wrong."""
    granted: list[list[tuple[str, str]]] = []
    statuses = answers(document, GenerationMode.NEGATIVE, with_a_good_assertion_if_any, granted)
    assert set(statuses) <= {200, 400, 401, 413}
    assert statuses[400] > statuses[200] == len(granted)
    for fields in granted:
        form = dict(fields)
        assert len(form) == len(fields)
        assert (form["grant_type"], form["assertion"].count(".")) == (JWT_BEARER, 2)
        assert form.get("scope", "") in ("", *SCOPES)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_answered_as_documented(document: BaseSchema, method: Any) -> None:
    case = document["/oauth2/token"]["POST"].Case(body={"grant_type": JWT_BEARER, "assertion": mint()}, method=method)
    response = case.call()
    assert response.status_code == 405
    case.validate_response(response)


def test_an_answer_that_is_not_as_documented_would_be_noticed(document: BaseSchema) -> None:
    document.app = app_of(scope="admin")
    with pytest.raises(FailureGroup):
        answers(document, GenerationMode.POSITIVE, with_a_scope_that_is_not_documented)

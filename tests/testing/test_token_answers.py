"""What counts as the right answer of a token endpoint."""

from __future__ import annotations

import json
from typing import Any

import pytest

from d1verify.testing import Call, TokenExpect
from d1verify.testing._answers import faults
from d1verify.testing._token_answers import issued_token
from tests.support import KEY, REMOVE, merged

ISSUED = {
    "access_token": "a.b.c",
    "token_type": "Bearer",
    "expires_in": 900,
    "expires_at": "2027-01-15T08:15:00.000Z",
    "scope": "d1",
}
HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store"}
CHALLENGE = {**HEADERS, "WWW-Authenticate": 'Basic realm="d1"'}
Expect = TokenExpect


def issued(**changes: Any) -> bytes:
    return json.dumps(merged(ISSUED, changes)).encode()


def error(code: str, **more: Any) -> bytes:
    return json.dumps({"error": code, **more}).encode()


GOOD_ANSWERS = {
    "as it is": issued(),
    "nothing that the standard does not ask for": issued(expires_at=REMOVE, scope=REMOVE),
    "token_type in lower case": issued(token_type="bearer"),
    "a shorter life": issued(expires_in=1),
    "an opaque token": issued(access_token="opaque=="),
    "expires_at without a fraction": issued(expires_at="2027-01-15t08:15:00z"),
    "expires_at with an offset of nothing": issued(expires_at="2027-01-15T08:15:00+00:00"),
    "a payload that is no base64url": issued(access_token="a.b~.c"),
}


@pytest.mark.parametrize("body", GOOD_ANSWERS.values(), ids=GOOD_ANSWERS.keys())
def test_a_granted_answer_is_what_rfc_6749_and_d1_have_it_be(body: bytes) -> None:
    for text in (body, body.decode()):
        assert faults(Expect.ISSUED, 200, HEADERS, text, None) == []


LIFE = "expires_in is no whole number of seconds from 1 to 900"
UTC = "expires_at is no time in UTC as RFC 3339 writes it"
NO_TOKEN = "access_token is no text that fits behind Bearer"
BAD_ANSWERS = [
    (issued(access_token=REMOVE), NO_TOKEN),
    (issued(access_token=""), NO_TOKEN),
    (issued(access_token="a b"), NO_TOKEN),
    (issued(access_token=["a"]), NO_TOKEN),
    (issued(token_type=REMOVE), "token_type is not Bearer"),
    (issued(token_type="mac"), "token_type is not Bearer"),
    (issued(token_type=1), "token_type is not Bearer"),
    *((issued(expires_in=one), LIFE) for one in (REMOVE, 0, -1, 901, 3600, 864_000, "900", 900.0, True, None)),
    *((issued(expires_at=one), UTC) for one in ("2027-01-15T08:15:00", "2027-01-15T08:15:00+01:00", "2027-01-15", 900)),
    (issued(expires_at="2027-13-15T08:15:00Z"), UTC),
    (issued(scope=["d1"]), "scope is no text"),
    (issued(refresh_token="x"), "the answer has a refresh_token, which outlives the assertion"),
]


@pytest.mark.parametrize(("body", "fault"), BAD_ANSWERS)
def test_a_granted_answer_that_is_not_is_told_apart(body: bytes, fault: str) -> None:
    assert faults(Expect.ISSUED, 200, HEADERS, body, None) == [fault]


@pytest.mark.parametrize("body", [b"", b"[]", b"access_token=x", issued()[:-1] + b',"scope":"admin"}', b"\xff"])
def test_a_granted_answer_that_is_no_json_object_is_none(body: bytes) -> None:
    assert "the answer is not a JSON object" in faults(Expect.ISSUED, 200, HEADERS, body, None)
    assert issued_token(body) is None


@pytest.mark.parametrize("cached", [{}, {"Cache-Control": "private"}, {"Cache-Control": "max-age=5, no-store-x"}])
def test_a_granted_answer_that_may_be_stored_is_told_apart(cached: dict[str, str]) -> None:
    headers = {"Content-Type": "application/json", **cached}
    fault = "the answer may be stored: it has no Cache-Control: no-store"
    assert faults(Expect.ISSUED, 200, headers, issued(), None) == [fault]
    assert faults(Expect.UNSTORED_REFUSAL, 400, headers, error("invalid_grant"), None) == [fault]
    assert faults(Expect.INVALID_GRANT, 400, headers, error("invalid_grant"), None) == []


@pytest.mark.parametrize("kind", [{}, {"Content-Type": "text/html"}, {"Content-Type": "application/jsonp"}])
def test_an_answer_that_is_not_declared_to_be_json_is_told_apart(kind: dict[str, str]) -> None:
    headers = {"Cache-Control": "private, No-Store", **kind}
    for expect, status, body in ((Expect.ISSUED, 200, issued()), (Expect.INVALID_GRANT, 400, error("invalid_grant"))):
        assert faults(expect, status, headers, body, None) == ["the answer is not declared to be JSON"]
    assert (
        faults(Expect.ISSUED, 200, {**HEADERS, "Content-Type": "Application/JSON;charset=UTF-8"}, issued(), None) == []
    )


@pytest.mark.parametrize(
    ("expect", "status", "code"),
    [
        (Expect.INVALID_REQUEST, 400, "invalid_request"),
        (Expect.INVALID_GRANT, 400, "invalid_grant"),
        (Expect.INVALID_CLIENT, 401, "invalid_client"),
        (Expect.UNSUPPORTED_GRANT_TYPE, 400, "unsupported_grant_type"),
        (Expect.CLIENT_REFUSED, 401, "invalid_client"),
        (Expect.CLIENT_REFUSED, 400, "unsupported_grant_type"),
        (Expect.SCOPE_NOT_GRANTED, 400, "invalid_scope"),
        (Expect.SCOPE_NOT_GRANTED, 200, ""),
        (Expect.REFUSED, 401, "invalid_client"),
        (Expect.REFUSED, 400, "unauthorized_client"),
        (Expect.UNSTORED_REFUSAL, 400, "invalid_grant"),
        (Expect.WRONG_METHOD, 405, "x"),
        (Expect.WRONG_METHOD, 404, ""),
        (Expect.WRONG_FORM, 415, ""),
        (Expect.TOO_LONG, 413, ""),
    ],
)
def test_the_right_refusal_passes(expect: TokenExpect, status: int, code: str) -> None:
    body = issued() if status == 200 else error(code)
    assert faults(expect, status, CHALLENGE, body, None) == []


WRONG = [
    (Expect.INVALID_GRANT, 200, issued(), "expected 400 invalid_grant, got 200 and an access token"),
    (Expect.INVALID_GRANT, 400, error("invalid_request"), "expected 400 invalid_grant, got 400 invalid_request"),
    (Expect.INVALID_GRANT, 400, error("invalid_token"), "expected 400 invalid_grant, got 400"),
    (Expect.INVALID_GRANT, 400, b'{"error": ["invalid_grant"]}', "expected 400 invalid_grant, got 400"),
    (Expect.INVALID_GRANT, 400, b"no", "expected 400 invalid_grant, got 400"),
    (Expect.INVALID_GRANT, 401, error("invalid_client"), "expected 400 invalid_grant, got 401 invalid_client"),
    (Expect.INVALID_GRANT, 500, b"", "expected 400 invalid_grant, and the app failed with 500"),
    (Expect.WRONG_METHOD, 200, issued(), "expected 400, 404 or 405, got 200 and an access token"),
    (Expect.WRONG_METHOD, 501, b"", "expected 400, 404 or 405, and the app failed with 501"),
    (Expect.ISSUED, 201, issued(), "expected 200 and an access token, got 201 and an access token"),
    (Expect.ISSUED, 400, error("invalid_grant"), "expected 200 and an access token, got 400 invalid_grant"),
    (Expect.ISSUED, 302, b"", "expected 200 and an access token, got 302"),
]


@pytest.mark.parametrize(("expect", "status", "body", "fault"), WRONG)
def test_another_answer_fails_and_nothing_unknown_of_it_is_repeated(
    expect: TokenExpect, status: int, body: bytes, fault: str
) -> None:
    assert faults(expect, status, CHALLENGE, body, None) == [fault]


def test_a_401_has_a_basic_challenge() -> None:
    fault = "the 401 has no WWW-Authenticate header with a Basic challenge"
    for challenge in ({}, {"WWW-Authenticate": "Bearer"}, {"WWW-Authenticate": 'Bearer realm="Basic "'}):
        headers = {**HEADERS, **challenge}
        assert faults(Expect.INVALID_CLIENT, 401, headers, error("invalid_client"), None) == [fault]
    both = {**HEADERS, "WWW-Authenticate": 'Bearer realm="x", basic realm="y"'}
    assert faults(Expect.INVALID_CLIENT, 401, both, error("invalid_client"), None) == []


@pytest.mark.parametrize("description", ['say "x"', "a\\b", "ä", "a\nb", ["x"]])
def test_a_description_keeps_to_the_characters_of_the_standard(description: Any) -> None:
    body = error("invalid_grant", error_description=description)
    fault = "error_description has characters that it must not have"
    assert faults(Expect.INVALID_GRANT, 400, HEADERS, body, None) == [fault]


def test_a_refusal_that_hands_out_a_token_all_the_same_is_told_apart() -> None:
    body = error("invalid_grant", access_token="x")
    assert faults(Expect.INVALID_GRANT, 400, HEADERS, body, None) == ["the refusal has an access token with it"]


def request_with(*secrets: str) -> Call:
    return Call(raw_headers=(), expect=Expect.SCOPE_NOT_GRANTED, secrets=secrets)


def test_a_scope_that_was_made_up_is_found_in_the_answer_and_in_the_token() -> None:
    call = request_with("made-up")
    inside = issued(access_token=KEY.mint(scope="d1 made-up"))
    assert faults(Expect.SCOPE_NOT_GRANTED, 200, HEADERS, inside, call) == [
        "the access token has what the request asked for in it"
    ]
    beside = issued(scope="d1 made-up")
    assert faults(Expect.SCOPE_NOT_GRANTED, 200, HEADERS, beside, call) == [
        "the answer repeats a part of the credentials"
    ]
    assert faults(Expect.SCOPE_NOT_GRANTED, 200, HEADERS, issued(), call) == []


def test_naming_the_content_type_that_is_wanted_repeats_no_credentials() -> None:
    kind = b"application/x-www-form-urlencoded"
    call = Call(raw_headers=((b"Content-Type", kind),), expect=Expect.WRONG_FORM)
    assert faults(Expect.WRONG_FORM, 400, HEADERS, b"send " + kind, call) == []

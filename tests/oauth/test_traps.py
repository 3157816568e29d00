"""What Authlib would do otherwise (DESIGN.md 8), one test for each: pinned so that an upgrade cannot bring it back."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest
from authlib.oauth2.rfc6749 import InsecureTransportError, OAuth2Request  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749.util import extract_basic_authorization  # type: ignore[import-untyped]
from authlib.oauth2.rfc6750.token import BearerTokenGenerator  # type: ignore[import-untyped]

from tests.support import KEY, NOW, SUBJECT, unb64

from .support import (
    AUDIENCE,
    CLIENT_ID,
    SECRET,
    Answer,
    assertion_form,
    basic,
    call,
    client_form,
    make_endpoint,
)

ENDPOINT = make_endpoint()
ISSUED = {"assertion": (assertion_form(), []), "client": (client_form(), [basic()])}


@pytest.fixture(params=list(ISSUED.values()), ids=list(ISSUED))
def issued(request: pytest.FixtureRequest) -> Answer:
    body, headers = request.param
    return call(ENDPOINT, body, *headers)


def claims_of(answer: Answer) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(unb64(answer.json["access_token"].split(".")[1]))
    return claims


def test_tokens_do_not_live_for_the_default_lifetimes(issued: Answer) -> None:
    assert BearerTokenGenerator.GRANT_TYPES_EXPIRES_IN["client_credentials"] == 864_000
    assert BearerTokenGenerator.DEFAULT_EXPIRES_IN == 3600
    assert issued.json["expires_in"] == 900
    assert claims_of(issued)["exp"] - claims_of(issued)["iat"] == 900


def test_tokens_are_dated_by_the_clock_that_was_given(issued: Answer) -> None:
    assert abs(time.time() - NOW) > 1000
    assert claims_of(issued)["iat"] == NOW


@pytest.mark.parametrize(("body", "headers"), ISSUED.values(), ids=ISSUED.keys())
def test_no_log_has_a_token_an_assertion_a_secret_or_a_claim(
    body: bytes, headers: list[tuple[bytes, bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = call(ENDPOINT, body, *headers)
    assert answer.status == 200
    assert [record.name for record in caplog.records if record.name.startswith("authlib")], "Authlib logs, and is heard"
    token = answer.json["access_token"]
    for secret in (token, token.rsplit(".", 1)[1], KEY.mint().rsplit(".", 1)[0], SECRET, SUBJECT, "access_token"):
        assert secret not in caplog.text


def test_a_refused_request_is_not_logged_by_authlib_either(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    forged = KEY.mint()[:-4] + "AAAA"
    assert call(ENDPOINT, assertion_form(forged)).error == (400, "invalid_grant")
    assert call(ENDPOINT, client_form(), basic(CLIENT_ID, "wrongwrong")).error == (401, "invalid_client")
    assert call(ENDPOINT, client_form(), basic("nobodynobody", SECRET)).error == (401, "invalid_client")
    told = [record.getMessage() for record in caplog.records if record.name == "d1verify"]
    assert [line.rpartition(": ")[2] for line in told if line.startswith("refused a token request: ")] == [
        "invalid_grant",
        "invalid_client",
        "invalid_client",
    ]
    assert not [record for record in caplog.records if record.name.startswith("authlib")]
    for secret in (forged[:40], "wrongwrong", "nobodynobody", SECRET, SUBJECT):
        assert secret not in caplog.text


def test_an_http_url_behind_a_tls_proxy_is_no_insecure_transport() -> None:
    with pytest.raises(InsecureTransportError):
        OAuth2Request("POST", "http://pay.example.com/oauth2/token")
    assert call(ENDPOINT, assertion_form(), (b"x-forwarded-host", b"pay.example.com")).status == 200


def test_a_basic_header_that_is_not_utf_8_is_an_answer_and_no_exception() -> None:
    with pytest.raises(UnicodeDecodeError):
        extract_basic_authorization({"Authorization": "Basic /////w=="})
    assert call(ENDPOINT, client_form(), (b"authorization", b"Basic /////w==")).error == (401, "invalid_client")


def test_sub_and_aud_are_not_the_client_id(issued: Answer) -> None:
    claims = claims_of(issued)
    assert claims["sub"] == SUBJECT != claims["client_id"]
    assert claims["aud"] == AUDIENCE != claims["client_id"]


def test_the_header_names_the_key(issued: Answer) -> None:
    assert json.loads(unb64(issued.json["access_token"].split(".")[0]))["kid"]


def test_no_refresh_token_is_given(issued: Answer) -> None:
    assert "refresh_token" not in issued.json


def test_the_grant_type_of_the_request_is_not_repeated() -> None:
    assert "some-grant" not in call(ENDPOINT, client_form(grant_type="some-grant")).body.decode()

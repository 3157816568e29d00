"""What counts as the right answer."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from starlette.datastructures import Headers as StarletteHeaders
from werkzeug.datastructures import Headers as WerkzeugHeaders

from d1verify.testing import Call, Expect, FakeD1, contract_cases
from d1verify.testing._answers import faults, header_pairs
from tests import django_settings  # noqa: F401 - it configures Django

BEARER = {"WWW-Authenticate": 'Bearer realm="d1", error="invalid_token"'}
UNAUTHORIZED, ACCEPTED, BAD, FORBIDDEN = Expect.UNAUTHORIZED, Expect.ACCEPTED, Expect.BAD_REQUEST, Expect.FORBIDDEN
LET_THROUGH = "expected that the call is let through, and it was"

ANSWERS: list[tuple[Expect, int, Any, str, list[str]]] = [
    (UNAUTHORIZED, 401, BEARER, "", []),
    (UNAUTHORIZED, 401, {"www-authenticate": "bearer"}, "", []),
    (UNAUTHORIZED, 401, [("WWW-Authenticate", 'Basic realm="x"'), ("WWW-Authenticate", "Bearer")], "", []),
    (UNAUTHORIZED, 401, {"WWW-Authenticate": 'Basic realm="x", Bearer realm="d1"'}, "", []),
    (UNAUTHORIZED, 401, {}, "", ["the 401 has no WWW-Authenticate header with a Bearer challenge"]),
    (UNAUTHORIZED, 401, {"WWW-Authenticate": "BearerX"}, "", ["the 401 has no WWW-Authenticate header with a Bearer challenge"]),
    (UNAUTHORIZED, 401, {"WWW-Authenticate": "Bearer error=invalid_request"}, "", ["the challenge's error code is not invalid_token, which is the one for 401"]),
    (UNAUTHORIZED, 200, {}, "", ["expected 401, got 200"]),
    (UNAUTHORIZED, 403, {}, "", ["expected 401, got 403"]),
    (UNAUTHORIZED, 302, {}, "", ["expected 401, got 302"]),
    (UNAUTHORIZED, 500, {}, "", ["expected 401, and the app failed with 500"]),
    (UNAUTHORIZED, 503, {}, "", ["expected 401, and the app failed with 503"]),
    (BAD, 400, {}, "", []),
    (BAD, 400, {"WWW-Authenticate": 'Bearer error="invalid_request"'}, "", []),
    (BAD, 400, BEARER, "", ["the challenge's error code is not invalid_request, which is the one for 400"]),
    (BAD, 401, BEARER, "", ["expected 400, got 401"]),
    (FORBIDDEN, 403, {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}, "", []),
    (FORBIDDEN, 403, {}, "", []),
    (FORBIDDEN, 401, BEARER, "", ["expected 403, got 401"]),
    (Expect.REFUSED, 431, {}, "", []),
    (Expect.REFUSED, 413, {"WWW-Authenticate": "Bearer error=x"}, "", []),
    (Expect.REFUSED, 401, {}, "", ["the 401 has no WWW-Authenticate header with a Bearer challenge"]),
    (Expect.REFUSED, 404, {}, "", ["expected 400, 401, 413, 414 or 431, got 404"]),
    (Expect.HANDSHAKE_REFUSED, 401, {}, "", []),
    (Expect.HANDSHAKE_REFUSED, 403, {}, "", []),
    (Expect.HANDSHAKE_REFUSED, 101, {}, "", ["expected a refused handshake: 401 or 403, got 101"]),
    (Expect.HANDSHAKE_REJECTED, 400, {}, "", []),
    (Expect.HANDSHAKE_REJECTED, 401, {}, "", []),
    (Expect.HANDSHAKE_REJECTED, 101, {}, "", ["expected a refused handshake: 400, 401 or 403, got 101"]),
    (Expect.NOT_OPEN, 401, BEARER, "", []),
    (Expect.NOT_OPEN, 401, {}, "", ["the 401 has no WWW-Authenticate header with a Bearer challenge"]),
    (Expect.NOT_OPEN, 405, {}, "", []),
    (Expect.NOT_OPEN, 501, {}, "", []),
    (Expect.NOT_OPEN, 500, {}, "", ["expected 401, 403, 404, 405 or 501, and the app failed with 500"]),
    (Expect.NOT_OPEN, 422, {}, "", ["expected 401, 403, 404, 405 or 501, got 422"]),
    (ACCEPTED, 101, {}, "", []),
    (ACCEPTED, 200, {}, "", []),
    (ACCEPTED, 404, {}, "", []),
    (ACCEPTED, 400, {}, '{"error":"no such card"}', []),
    (ACCEPTED, 400, {}, '{"error":"invalid_request"}', [f"{LET_THROUGH} refused with 400"]),
    (ACCEPTED, 400, {"WWW-Authenticate": 'Bearer error="invalid_request"'}, "", [f"{LET_THROUGH} refused with 400"]),
    (ACCEPTED, 401, BEARER, "", [f"{LET_THROUGH} refused with 401"]),
    (ACCEPTED, 403, {}, "", [f"{LET_THROUGH} refused with 403"]),
    (ACCEPTED, 307, {}, "", [f"{LET_THROUGH} sent elsewhere with 307"]),
    (ACCEPTED, 500, {}, "", ["expected accepted, and the app failed with 500"]),
]  # fmt: skip


@pytest.mark.parametrize(("expect", "status", "headers", "body", "wrong"), ANSWERS)
def test_judges_status_and_challenge(expect: Expect, status: int, headers: Any, body: str, wrong: list[str]) -> None:
    assert faults(expect, status, headers, body, None) == wrong
    assert faults(expect, status, headers, body.encode(), None) == wrong


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "1"},
        [("X-A", "1")],
        [(b"X-A", b"1")],
        StarletteHeaders({"X-A": "1"}),
        WerkzeugHeaders([("X-A", "1")]),
    ],
    ids=["dict", "pairs", "bytes", "Starlette", "Werkzeug"],
)
def test_reads_headers_of_every_client(headers: Any) -> None:
    assert header_pairs(headers) == [("x-a", "1")]


def test_reads_headers_of_django() -> None:
    assert ("x-a", "1") in header_pairs(HttpResponse(headers={"X-A": "1"}).headers)


FAKE_D1 = FakeD1()
TOKEN = FAKE_D1.token()
HEADER, PAYLOAD, SIGNATURE = TOKEN.split(".")
REPEATS = "the answer repeats a part of the credentials"


def call_of(value: str, *secrets: str) -> Call:
    fields = ((b"Host", b"a-host-name-of-some-length"), (b"Authorization", value.encode("latin-1")))
    return Call(raw_headers=fields, expect=UNAUTHORIZED, secrets=secrets)


@pytest.mark.parametrize(
    "answer",
    [TOKEN, TOKEN[:-8], HEADER, PAYLOAD, SIGNATURE, f"x{PAYLOAD[3:25]}x", SIGNATURE[-16:], SIGNATURE[5:24]],
    ids=["all", "most", "header", "payload", "signature", "middle", "end", "cut out"],
)
@pytest.mark.parametrize("where", ["body", "header"])
def test_notices_a_part_of_the_token_in_the_answer(answer: str, where: str) -> None:
    headers, body = ({**BEARER, "X": answer}, b"") if where == "header" else (BEARER, answer.encode())
    assert faults(UNAUTHORIZED, 401, headers, body, call_of(f"Bearer {TOKEN}")) == [REPEATS]


def test_notices_a_secret_and_credentials_that_are_no_token() -> None:
    assert faults(UNAUTHORIZED, 401, BEARER, "kid-1234 is unknown", call_of("Bearer x", "kid-1234")) == [REPEATS]
    assert faults(UNAUTHORIZED, 401, BEARER, "abcdefghijklmnop", call_of("Basic abcdefghijklmnop")) == [REPEATS]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        '{"error":"invalid_token"}',
        SIGNATURE[:10],
        HEADER[:30],
        "A" * 40,
        FAKE_D1.subject,
        "a-host-name-of-some-length",
    ],
    ids=["empty", "usual", "a few characters", "how all tokens begin", "filler", "subject", "host"],
)
def test_blames_no_answer_for_what_stands_in_it_anyhow(answer: str) -> None:
    call = call_of(f"Bearer {TOKEN}.{'A' * 60}")
    assert faults(UNAUTHORIZED, 401, BEARER, answer, call) == []


def test_a_check_that_fails_says_what_came_what_was_expected_and_what_is_at_stake() -> None:
    case = next(case for case in contract_cases() if case.id == "alg-none")
    call = case.build(FAKE_D1)
    case.check(401, BEARER)
    case.check(401, BEARER, b"", call=call)
    with pytest.raises(AssertionError) as caught:
        case.check(200, {}, call.headers["Authorization"].encode(), call=call)
    assert str(caught.value) == (
        "alg-none (alg none and no signature): expected 401, got 200; the answer repeats a part of the credentials. "
        "Anyone can make tokens that the app accepts, with no key at all. [RFC 8725 §3.2; A054]"
    )


@pytest.mark.parametrize("status", [400, 404, 405, 415, 422])
def test_a_baseline_that_no_route_has_served_proves_nothing(status: int) -> None:
    baseline = next(case for case in contract_cases() if case.id == "baseline")
    call = baseline.build(FAKE_D1)
    assert faults(call.expect, status, {}, "", call) == [
        f"got {status}: is this the guarded route's URL and method, and a body that it takes?"
    ]
    other = next(case for case in contract_cases() if case.id == "typ-absent").build(FAKE_D1)
    assert faults(other.expect, status, {}, "", other) == []

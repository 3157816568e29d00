"""Chapter 1: getting the `Authorization` header out of a request."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from ..support import KEY, OTHER_KEY, SUBJECT, make_verifier, refused
from .asgi_calls import GOOD, Guarded, status

TOKEN = KEY.mint()
BAD = (b"authorization", f"Bearer {OTHER_KEY.mint()}".encode())
AUTHORIZATION = b"authorization"


@pytest.mark.anyio
@pytest.mark.parametrize("headers", [(GOOD, BAD), (BAD, GOOD), (GOOD, GOOD), (GOOD, (AUTHORIZATION, b""))])
async def test_a001_two_authorization_headers(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    guarded = Guarded()
    assert status(await guarded.call(*headers)) == 400
    assert guarded.reached == []


@pytest.mark.anyio
async def test_a002_two_headers_joined_by_a_comma() -> None:
    value = GOOD[1] + b", " + GOOD[1]
    assert status(await Guarded().call((AUTHORIZATION, value))) == 400


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_a003_scheme_in_any_case(scheme: str) -> None:
    assert make_verifier().verify_header(f"{scheme} {TOKEN}").subject == SUBJECT


HEADER_VALUES = [
    pytest.param(f"Bearer\t{TOKEN}", "missing_token", id="A004-tab"),
    pytest.param(f"Bearer{TOKEN}", "missing_token", id="A004-no space"),
    pytest.param("Bearer", "missing_token", id="A004-no token"),
    pytest.param("Bearer ", "missing_token", id="A004-empty token"),
    pytest.param(f"Bearer {TOKEN} ", "malformed_token", id="A004-trailing space"),
    pytest.param(f"Bearer {TOKEN}\t", "malformed_token", id="A004-trailing tab"),
    pytest.param(f"Bearer\xa0{TOKEN}", "missing_token", id="A004-NBSP"),
    pytest.param(f"Bearer {TOKEN}\x85", "malformed_token", id="A004-NEL"),
    pytest.param(f"Bearer \x1c{TOKEN}", "malformed_token", id="A004-file separator"),
    pytest.param(f"Bearer {TOKEN}\xff", "malformed_token", id="A005-non-ASCII"),
    pytest.param(f"\xff {TOKEN}", "missing_token", id="A005-non-ASCII scheme"),
    pytest.param(f"Bearer {TOKEN}\0", "malformed_token", id="A006-NUL"),
    pytest.param(f"Bearer {TOKEN}\r\nX: y", "malformed_token", id="A006-CRLF"),
    pytest.param("Basic dXNlcjpwYXNz", "missing_token", id="A007-Basic"),
    pytest.param('Digest username="x"', "missing_token", id="A007-Digest"),
    pytest.param(f"DPoP {TOKEN}", "missing_token", id="A007-DPoP"),
    pytest.param(f"Token {TOKEN}", "missing_token", id="A007-Token"),
    pytest.param("Negotiate YII=", "missing_token", id="A007-Negotiate"),
]


@pytest.mark.parametrize(("value", "reason"), HEADER_VALUES)
@pytest.mark.parametrize("form", ["str", "bytes"])
def test_header_values(value: str, reason: str, form: str) -> None:
    sent = value if form == "str" else value.encode("latin-1")
    assert refused(lambda: make_verifier().verify_header(sent)) == reason


def test_a004_two_spaces_are_one_separator() -> None:
    assert make_verifier().verify_header(f"Bearer  {TOKEN}").subject == SUBJECT


@pytest.mark.parametrize("filler", [b".", b"a", b"a.", b" ", b",", b"{", b"\xff"])
def test_a008_a_huge_value_costs_nothing(filler: bytes) -> None:
    value = b"Bearer " + filler * 8_000_000
    verifier = make_verifier()
    refusing = _least_seconds(lambda: refused(lambda: verifier.verify_header(value)))
    copying = _least_seconds(lambda: value + b".")
    assert refusing < copying / 2


def _least_seconds(act: Callable[[], object]) -> float:
    """Return what the quickest of many tries takes, which no collection of garbage and no other thread is in."""
    seconds = []
    for _try in range(30):
        started = time.thread_time()
        act()
        seconds.append(time.thread_time() - started)
    return min(seconds)


@pytest.mark.anyio
async def test_a009_a_token_in_query_or_body_is_never_read() -> None:
    guarded, query = Guarded(), f"access_token={TOKEN}".encode()
    assert status(await guarded.call(query_string=query)) == 401
    assert status(await guarded.call(BAD, query_string=query)) == 401
    assert status(await guarded.call(GOOD, query_string=b"access_token=bad")) == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "expected"),
    [(b"Authorization", 200), (b"AUTHORIZATION", 200), (b"authorization_", 401), (b"http_authorization", 401)],
)
async def test_a010_the_name_in_any_case_and_no_other_spelling(name: bytes, expected: int) -> None:
    assert status(await Guarded().call((name, GOOD[1]))) == expected


@pytest.mark.anyio
async def test_a010_a_second_header_in_another_case_counts() -> None:
    assert status(await Guarded().call(GOOD, (b"Authorization", BAD[1]))) == 400


@pytest.mark.anyio
@pytest.mark.parametrize(
    "name",
    [b"x-forwarded-authorization", b"proxy-authorization", b"x-original-authorization", b"x-authorization", b"cookie"],
)
async def test_a011_other_headers_are_never_read(name: bytes) -> None:
    assert status(await Guarded().call((name, GOOD[1]))) == 401


@pytest.mark.anyio
async def test_a012_identity_comes_from_the_token_alone() -> None:
    guarded = Guarded()
    forged: dict[str, Any] = {"user": "admin", "auth": ["admin"], "d1verify.token": "forged"}
    await guarded.call(GOOD, (b"x-d1-subject", b"MGW_EVIL"), **forged)
    scope = guarded.reached[0]
    assert scope["user"].identity == scope["d1verify.token"].subject == SUBJECT
    assert list(scope["auth"].scopes) == ["d1"]


@pytest.mark.anyio
async def test_a013_nothing_is_kept_from_one_request_to_the_next() -> None:
    guarded = Guarded()
    await guarded.call(GOOD)
    assert status(await guarded.call()) == 401
    assert status(await guarded.call(BAD)) == 401

"""The catalogues about the OAuth 2.0 flow, and the token endpoint of this package under every case of them."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from d1verify import ConfigurationError
from d1verify.oauth import Client
from d1verify.testing import (
    Answer,
    ASGISender,
    Call,
    Case,
    Expect,
    FakeD1,
    TokenExpect,
    access_token_cases,
    contract_cases,
    run_token_contract,
    token_endpoint_cases,
)
from d1verify.testing.case import Need
from d1verify.testing.report import Outcome

from ..support import Clock
from .token_app import CLIENT_ID, GUARDED, GUARDED_TEMPLATE, SECRET, SUBJECT, TOKEN_PATH, Merchant

TOKEN_CASES, ACCESS_CASES = token_endpoint_cases(), access_token_cases()
CASES = (*TOKEN_CASES, *ACCESS_CASES)
BY_ID = {case.id: case for case in CASES}


def test_ids_are_unique_across_all_catalogues() -> None:
    assert len({case.id for case in (*contract_cases(), *CASES)}) == len(contract_cases()) + len(CASES)
    assert [case.id for case in CASES if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", case.id)] == []


def test_ids_tell_what_a_case_is_about() -> None:
    prefixes = Counter(re.match(r"access-token|assertion|token", case.id)[0] for case in CASES)  # type: ignore[index]
    assert prefixes["token"] >= 70
    assert prefixes["assertion"] >= 250
    assert prefixes["access-token"] == len(ACCESS_CASES) == 12


def test_every_case_names_its_source_and_what_is_at_stake() -> None:
    for case in CASES:
        assert re.search(r"RFC \d+ |D1|A\d{3}|FIPS|CVE-\d{4}-\d+|CWE-\d+", case.source), case.id
        assert re.fullmatch(r"[A-Z].*\.", case.risk), case.id
        assert case.risk.count(". ") == 0, case.id
    assert len({case.title for case in CASES}) >= len(CASES) - 3


# A239 (timing), A244, A245 (stores), A252 (a rule of the profile), A255 (a rate limit), A256, A257 and A258 (the
# app around it) show in no answer to one request.
ROWS = {233, 234, 235, 236, 237, 238, 239, 240, 241, 242, 246, 247, 248, 249, 250, 251, 253, 254}


def test_covers_the_rows_of_chapter_16_that_an_answer_can_show() -> None:
    named = {int(row) for case in CASES for row in re.findall(r"A(\d{3})", case.source)}
    assert {row for row in named if 233 <= row <= 258} == ROWS


def test_every_expectation_is_used_and_each_need_is_one_that_can_be_met() -> None:
    assert {case.expect for case in TOKEN_CASES} == set(TokenExpect)
    assert {case.expect for case in ACCESS_CASES} == {Expect.ACCEPTED, Expect.UNAUTHORIZED, Expect.FORBIDDEN}
    assert {case.need for case in CASES} == {None, *Need} - {Need.OPEN_PATH, Need.WEBSOCKET}


def test_every_token_of_the_contract_is_tried_as_an_assertion() -> None:
    about_headers = re.compile(r"(credentials|scheme|comma|two-headers|path|open-path|websocket|method|query)-")
    others = {"forwarded-header", "proxy-header", "cookie", "query-parameter"}
    others |= {"token-not-ascii", "token-then-text", "token-quoted", "token-text", "token-null"}
    for case in contract_cases():
        tried = f"assertion-{case.id}" in BY_ID
        assert tried is not bool(about_headers.match(case.id) or case.id in others), case.id


@pytest.fixture
def fake_d1() -> FakeD1:
    clock = Clock(time.time())
    settings: dict[str, Any] = {"client_id": CLIENT_ID, "client_secret": SECRET, "path": GUARDED_TEMPLATE}
    return FakeD1(subject=SUBJECT, clock=clock, pass_time=clock.advance, **settings)


@pytest.fixture
def send(fake_d1: FakeD1) -> Iterator[ASGISender]:
    with ASGISender(Merchant(fake_d1).app, TOKEN_PATH) as sender:
        yield sender


def test_the_token_endpoint_and_a_route_behind_it_pass_every_case(send: ASGISender, fake_d1: FakeD1) -> None:
    report = run_token_contract(send, fake_d1, guarded=GUARDED)
    assert report.table() == f"{len(CASES)} cases: {len(CASES)} passed, 0 failed, 0 skipped\n"


def test_it_passes_without_client_credentials_too() -> None:
    fake_d1 = FakeD1(subject=SUBJECT)
    with ASGISender(Merchant(fake_d1, clients=()).app, TOKEN_PATH) as send:
        report = run_token_contract(send, fake_d1, guarded=GUARDED)
    assert report.ok, report.table()
    needs = {result.detail for result in report.skipped}
    assert needs == {Need.CLIENT.value, Need.PATH.value, Need.TIME.value}


@pytest.mark.parametrize(
    ("client_id", "secret"), [("c:d", "s:e"), ("C%41+", "p+ %41"), ("d1verify", "d1verify"), ("c", "ü ß"), ("c", "1")]
)
def test_any_client_id_and_secret_will_do_and_an_https_audience(client_id: str, secret: str) -> None:
    audience = "https://d1.example/merchant"
    fake_d1 = FakeD1(subject=SUBJECT, audience=audience, client_id=client_id, client_secret=secret)
    clients = [Client(client_id=client_id, secrets=secret, subject=SUBJECT)]
    with ASGISender(Merchant(fake_d1, audience=audience, clients=clients).app, TOKEN_PATH) as send:
        report = run_token_contract(send, fake_d1, guarded=GUARDED)
    assert report.ok, report.table()
    assert "token-issued-by-secret" not in {result.case_id for result in report.skipped}


@pytest.mark.parametrize("case", [case for case in CASES if case.script is not None], ids=lambda case: case.id)
def test_build_gives_the_last_call_of_several(case: Case) -> None:
    fake_d1 = FakeD1()
    fake_d1.access_token = "a.b.c"
    assert case.build(fake_d1).expect is case.expect
    assert list(case.calls(fake_d1))[-1].expect is case.expect


def test_says_that_it_needs_a_client() -> None:
    case = BY_ID["token-secret-wrong"]
    assert case.missing(FakeD1()) == Need.CLIENT
    assert case.missing(FakeD1(client_id="x", client_secret="y")) is None


def test_says_that_it_needs_an_access_token() -> None:
    fake_d1 = FakeD1()
    assert BY_ID["access-token"].missing(fake_d1) == Need.ACCESS_TOKEN
    fake_d1.access_token = "x"
    assert BY_ID["access-token"].missing(fake_d1) is None


class Told:
    """Answers as it is told."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body

    def send_call(self, call: Call) -> Answer:
        return Answer(self.status, {"Content-Type": "application/json", "WWW-Authenticate": "Bearer"}, self.body)


def test_cases_about_jwts_are_skipped_where_the_access_token_is_none() -> None:
    fake_d1 = FakeD1(path="/{merchantGatewayId}")
    opaque = b'{"access_token":"0123456789abcdef","token_type":"Bearer","expires_in":900}'
    report = run_token_contract(Told(200, opaque), fake_d1, guarded=Told(401, b""), cases=ACCESS_CASES)
    skipped = {result.case_id: result.detail for result in report.with_outcome(Outcome.SKIPPED)}
    assert set(skipped) == {"access-token-by-d1", "access-token-resigned", "access-token-unsigned"}
    assert set(skipped.values()) == {"the access token is no JWT"}


def test_no_case_is_passed_that_needs_a_token_and_has_none() -> None:
    report = run_token_contract(Told(400, b"{}"), FakeD1(path="/{merchantGatewayId}"), guarded="/", cases=ACCESS_CASES)
    assert "access-token-other-merchant" in {result.case_id for result in report.skipped}
    assert len(report.skipped) == 9


@pytest.mark.parametrize(
    "settings",
    [
        {"client_id": "x"},
        {"client_secret": "x"},
        {"client_id": "", "client_secret": ""},
        {"client_id": "x", "client_secret": ""},
    ],
)
def test_a_client_has_an_id_and_a_secret(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="client_id"):
        FakeD1(**settings)  # type: ignore[arg-type]

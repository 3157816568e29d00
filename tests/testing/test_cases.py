"""The catalogue as a whole, and the D1 verifier under every case of it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from d1verify import D1Verifier, StaticKeyStore, TokenError
from d1verify.bearer import authorization_of
from d1verify.testing import Call, Case, Expect, FakeD1, contract_cases
from d1verify.testing.case import Need
from d1verify.testing.cases._table import other_case, row

from ..support import SUBJECT, Clock, unb64

CASES = contract_cases()
BY_ID = {case.id: case for case in CASES}


def test_ids_are_unique_lower_case_words_joined_by_hyphens() -> None:
    assert len(BY_ID) == len(CASES) >= 90
    assert [case.id for case in CASES if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", case.id)] == []


def test_every_group_of_the_contract_is_there() -> None:
    counts = Counter(case.expect for case in CASES)
    assert counts[Expect.ACCEPTED] >= 12
    assert counts[Expect.UNAUTHORIZED] >= 60
    assert counts[Expect.BAD_REQUEST] >= 5
    assert counts[Expect.FORBIDDEN] == 3
    assert {case.need for case in CASES} == {None, *Need} - {Need.CLIENT, Need.ACCESS_TOKEN}


def test_titles_are_unique_and_every_case_names_its_source_and_what_is_at_stake() -> None:
    assert len({case.title for case in CASES}) >= len(CASES) - 3
    for case in CASES:
        assert re.search(r"RFC \d+ |D1|A\d{3}|FIPS|CVE-\d{4}-\d+|CWE-\d+", case.source), case.id
        assert re.fullmatch(r"[A-Z].*\.", case.risk), case.id
        assert case.risk.count(". ") == 0, case.id


def test_a_case_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CASES[0].title = "another"  # type: ignore[misc]


@pytest.mark.parametrize("subject", [SUBJECT, "MGW_999999", "42"])
@pytest.mark.parametrize("leeway", [0, 300])
def test_the_verifier_answers_every_call_as_the_contract_has_it(subject: str, leeway: float) -> None:
    fake_d1 = FakeD1(subject=subject, leeway=leeway, clock=Clock())
    verifier = D1Verifier(fake_d1.key_store, audience="stg", subject=subject, leeway=leeway, clock=Clock())
    for case in CASES:
        if case.missing(fake_d1) is None:
            for call in case.calls(fake_d1):
                assert verdict(verifier, call) == (call.expect is Expect.ACCEPTED), case.id


def test_a_token_that_was_accepted_is_refused_once_its_time_has_passed() -> None:
    clock, passed = Clock(), list[float]()

    def pass_time(seconds: float) -> None:
        passed.append(seconds)
        clock.advance(seconds)

    fake_d1 = FakeD1(leeway=20, clock=clock, pass_time=pass_time)
    verifier = D1Verifier(fake_d1.key_store, audience="stg", subject=SUBJECT, leeway=20, clock=clock)
    verdicts = [verdict(verifier, call) for call in BY_ID["cache-beyond-exp"].calls(fake_d1)]
    assert (verdicts, passed) == ([True, False], [35])


def verdict(verifier: D1Verifier, call: Call) -> bool:
    try:
        verifier.verify_header(authorization_of(call.raw_headers))
    except TokenError:
        return False
    return True


def test_an_https_audience_will_do() -> None:
    audience = "https://d1.example/merchant"
    fake_d1 = FakeD1(audience=audience)
    verifier = D1Verifier(fake_d1.key_store, audience=audience, subject=SUBJECT)
    for case in CASES:
        if case.id.startswith("aud-") or case.id == "baseline":
            for call in case.calls(fake_d1):
                assert verdict(verifier, call) == (call.expect is Expect.ACCEPTED), case.id


@pytest.mark.parametrize(
    ("audience", "subject", "kid"),
    [
        ("https://d1.example/merchant", "a,b", "urn:d1:1"),
        ("stg", "https://a.example:8443/x,y", "a, b : c"),
        ("stg", "\"'", "*"),
    ],
)
def test_punctuation_in_names_changes_no_verdict(audience: str, subject: str, kid: str, tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256")
    (tmp_path / "key.pem").write_bytes(key.as_pem(private=True))
    fake_d1 = FakeD1.from_pem(tmp_path / "key.pem", kid=kid, audience=audience, subject=subject)
    verifier = D1Verifier(StaticKeyStore({kid: fake_d1.public_pem}), audience=audience, subject=subject)
    for case in CASES:
        if case.missing(fake_d1) is None:
            for call in case.calls(fake_d1):
                assert verdict(verifier, call) == (call.expect is Expect.ACCEPTED), case.id


def test_white_space_goes_between_the_parts_of_the_json_and_not_into_its_strings() -> None:
    fake_d1 = FakeD1(audience="https://d1.example/a,b")
    for case_id, part in (("header-white-space", 0), ("claims-white-space", 1)):
        token = BY_ID[case_id].build(fake_d1).headers["Authorization"].partition(" ")[2]
        text = unb64(token.split(".")[part]).decode()
        assert json.loads(text) == (fake_d1.claims() if part else fake_d1.jose_header())
        assert re.search(r'" :\s+"', text)
        assert re.search(r'" ,\s+"', text)
        assert set(" \t\r\n") <= set(text)


@pytest.mark.parametrize("case", [case for case in CASES if case.script is not None], ids=lambda case: case.id)
def test_build_gives_the_last_call_of_several(case: Case) -> None:
    fake_d1 = FakeD1()
    assert case.build(fake_d1).expect is case.expect
    assert list(case.calls(fake_d1))[-1].expect is case.expect


def test_each_call_is_new_and_carries_what_it_must_not_come_back() -> None:
    fake_d1 = FakeD1()
    first, second = (BY_ID["kid-unknown"].build(fake_d1) for _ in range(2))
    assert first.secrets != second.secrets
    assert len(first.secrets) == 1


@pytest.mark.parametrize(
    ("case_id", "settings"),
    [
        ("key-new", {"can_rotate": True}),
        ("path-other-merchant", {"path": "/{merchantGatewayId}"}),
        ("open-path-post", {"open_path": "/health"}),
        ("websocket-baseline", {"websocket_path": "/events"}),
        ("cache-beyond-exp", {"pass_time": print}),
    ],
)
def test_says_what_it_needs_to_be_told(case_id: str, settings: dict[str, Any]) -> None:
    case = BY_ID[case_id]
    assert case.missing(FakeD1()) == case.need
    assert case.missing(FakeD1(**settings)) is None
    assert BY_ID["baseline"].missing(FakeD1()) is None


def test_the_calls_about_routes_go_where_they_were_told_to() -> None:
    fake_d1 = FakeD1(path="/g/{merchantGatewayId}", open_path="/health", websocket_path="/events")
    calls = {
        case.id: case.build(fake_d1) for case in CASES if case.id.startswith(("path-", "open-path-", "websocket-"))
    }
    assert {case_id: (call.kind, call.method, call.path) for case_id, call in calls.items()} == {
        "path-other-merchant": ("http", None, "/g/MGW_999999"),
        "path-longer": ("http", None, f"/g/{SUBJECT}0"),
        "path-swapped-case": ("http", None, "/g/mgw_000001"),
        "open-path-longer": ("http", "GET", "/health-d1verify"),
        "open-path-child": ("http", "GET", "/health/d1verify"),
        "open-path-dot-segments": ("http", "GET", "/health/../d1verify"),
        "open-path-encoded-slash": ("http", "GET", "/health%2f..%2fd1verify"),
        "open-path-double-slash": ("http", "GET", "//health"),
        "open-path-post": ("http", "POST", "/health"),
        "websocket-baseline": ("websocket", None, "/events"),
        "websocket-credentials-missing": ("websocket", None, "/events"),
        "websocket-exp-past": ("websocket", None, "/events"),
        "websocket-sub-other": ("websocket", None, "/events"),
        "websocket-signature-changed": ("websocket", None, "/events"),
        "websocket-alg-none": ("websocket", None, "/events"),
        "websocket-kid-unknown": ("websocket", None, "/events"),
        "websocket-two-headers": ("websocket", None, "/events"),
    }
    assert all(call.elsewhere for call in calls.values())


def test_the_usual_calls_go_to_the_path_with_the_tokens_own_subject() -> None:
    fake_d1 = FakeD1(path="/g/{merchantGatewayId}")
    assert BY_ID["baseline"].build(fake_d1).path == f"/g/{SUBJECT}"
    assert BY_ID["path-other-merchant"].build(fake_d1).path == "/g/MGW_999999"
    assert BY_ID["query-parameter"].build(fake_d1).target("/").startswith(f"/g/{SUBJECT}?access_token=ey")


def test_methods_and_queries_are_tried_on_the_path_that_the_tests_call() -> None:
    calls = {case.id: case.build(FakeD1()) for case in CASES if case.id.startswith(("method-", "query-"))}
    targets = {case_id: (call.method, call.target("/notify")) for case_id, call in calls.items()}
    assert targets.pop("query-parameter")[1].startswith("/notify?access_token=ey")
    methods = {
        f"method-{name.lower()}": (name, "/notify") for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    }
    assert targets == {
        **methods,
        "query-open-path": (None, "/notify?next=/health"),
        "query-open-path-get": ("GET", "/notify?next=/health"),
    }
    assert all(call.elsewhere for call in calls.values())
    assert BY_ID["query-open-path"].build(FakeD1(open_path="/up")).query == "next=/up"


def test_a_row_without_a_call_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="a call or a token"):
        row(Expect.ACCEPTED, "x", "x", "x", "x")


def test_a_text_without_letters_has_another_case_too() -> None:
    assert (other_case("a1"), other_case("1")) == ("A1", "1x")

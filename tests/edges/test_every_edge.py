"""One suite over every web edge: the same call gets the same answer, whatever the framework."""

from __future__ import annotations

import functools
import logging

import pytest

from d1verify import D1Verifier, HeaderVerifier, KeyStoreError
from d1verify.bearer import refusal
from d1verify.errors import Reason, TokenError
from tests.support import KEY, SUBJECT, ScriptedStore, make_verifier

from .cases import (
    ACCEPTED,
    ANSWERS,
    GOOD,
    INVALID_TOKEN,
    NOT_QUITE_EXCLUDED,
    REFUSED,
    Case,
    Expected,
    NoKeys,
    bearer,
    verifier_for_cases,
)
from .edge import Answer, Call, Edge, Options, WebSocketAnswer, WebSocketCall

refused_cases = pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
accepted_cases = pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.id)


@functools.cache
def built(edge: Edge, verifier: HeaderVerifier, options: Options) -> Call:
    """Return the call to one app for all cases, as a server has one for all requests."""
    return edge.build(verifier, options)


@functools.cache
def built_websocket(edge: Edge, verifier: HeaderVerifier) -> WebSocketCall:
    return websocket_call(edge, verifier)


def websocket_call(edge: Edge, verifier: HeaderVerifier) -> WebSocketCall:
    assert edge.build_websocket is not None
    return edge.build_websocket(verifier, Options())


@pytest.fixture
def call(edge: Edge, case_verifier: D1Verifier) -> Call:
    return built(edge, case_verifier, Options())


@pytest.fixture
def call_with_health(edge_with_exclude: Edge, case_verifier: D1Verifier) -> Call:
    return built(edge_with_exclude, case_verifier, Options(exclude=("/health",)))


def handshake(edge: Edge, verifier: D1Verifier, case: Case, *, denial_response: bool) -> WebSocketAnswer:
    return built_websocket(edge, verifier)(case.target, case.headers, denial_response=denial_response)


def assert_is(answer: Answer, expected: Expected, edge: Edge, *, body: bool = True) -> None:
    assert answer.status == expected.status
    assert answer.header("WWW-Authenticate") == expected.challenge
    assert answer.header("Retry-After") == expected.retry_after
    assert answer.header("Content-Type") == "application/json"
    assert answer.header("Cache-Control") == "no-store"
    if not body:
        return
    assert answer.header("Content-Length") == str(len(answer.body))
    content = answer.json if edge.json_member is None else answer.json[edge.json_member]
    assert content == {"error": expected.error}
    if edge.writes_own_bytes:
        assert answer.body == b'{"error":"%s"}' % expected.error.encode()


def test_the_table_has_every_reason() -> None:
    elsewhere = {Reason.INSUFFICIENT_SCOPE, Reason.KEYS_UNAVAILABLE}
    assert {case.reason for case in REFUSED} == {*Reason} - elsewhere


@refused_cases
def test_refuses(case: Case, edge: Edge, call: Call) -> None:
    answer = call("POST", case.target, case.headers)
    assert_is(answer, case.expected, edge)
    if edge.leaves_body_alone:
        assert answer.body_reads == 0


@accepted_cases
def test_accepts(case: Case, call: Call) -> None:
    answer = call("POST", case.target, case.headers)
    assert (answer.status, answer.json) == (200, {"subject": SUBJECT})
    assert answer.body_reads > 0, "body_reads does not move, so the zero of a refusal would mean nothing"


@refused_cases
def test_names_the_reason_only_when_told_to(
    case: Case, edge_with_answer_options: Edge, case_verifier: D1Verifier
) -> None:
    edge = edge_with_answer_options
    answer = built(edge, case_verifier, Options(reveal_reason=True))("POST", case.target, case.headers)
    reason = case.reason
    expected = case.expected
    assert answer.json == {"error": expected.error, "error_description": reason}
    described = "" if reason == "missing_token" else f', error_description="{reason}"'
    assert answer.header("WWW-Authenticate") == f"{expected.challenge}{described}"


def test_names_the_realm_that_it_was_given(edge_with_answer_options: Edge, case_verifier: D1Verifier) -> None:
    answer = edge_with_answer_options.build(case_verifier, Options(realm="merchant"))("GET", "/notify", [])
    assert answer.header("WWW-Authenticate") == 'Bearer realm="merchant"'


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_refuses_whatever_the_method(method: str, edge: Edge, call: Call) -> None:
    assert_is(call(method, "/notify", []), ANSWERS["missing_token"], edge)
    assert_is(call(method, "/notify", bearer("x")), INVALID_TOKEN, edge)


def test_refuses_head_without_a_body(edge: Edge, call: Call) -> None:
    answer = call("HEAD", "/notify", bearer("x"))
    assert_is(answer, INVALID_TOKEN, edge, body=False)
    if edge.writes_own_bytes:
        assert answer.body == b""
        assert answer.header("Content-Length") == str(len(b'{"error":"invalid_token"}'))


def test_a_preflight_is_no_exception(edge: Edge, call: Call) -> None:
    headers = [(b"origin", b"https://elsewhere.example"), (b"access-control-request-method", b"POST")]
    assert_is(call("OPTIONS", "/notify", headers), ANSWERS["missing_token"], edge)


def test_a_method_override_changes_nothing(edge: Edge, call: Call) -> None:
    assert_is(call("POST", "/notify", [(b"x-http-method-override", b"GET")]), ANSWERS["missing_token"], edge)


def test_answers_503_when_keys_cannot_be_had(edge: Edge) -> None:
    answer = edge.build(NoKeys(), Options())("POST", "/notify", bearer(GOOD))
    assert_is(answer, ANSWERS["keys_unavailable"], edge)
    if edge.leaves_body_alone:
        assert answer.body_reads == 0


def test_answers_503_when_the_key_store_is_down_and_recovers_with_it(edge: Edge) -> None:
    down = make_verifier(ScriptedStore(KeyStoreError("the disk is gone")))
    answer = edge.build(down, Options())("POST", "/notify", bearer(GOOD))
    retry_after = answer.header("Retry-After")
    assert answer.status == 503
    assert retry_after is not None
    assert 1 <= int(retry_after) <= 3600


def test_bad_credentials_are_401_also_while_the_key_store_is_down(edge: Edge) -> None:
    store = ScriptedStore(KeyStoreError("the disk is gone"))
    call = edge.build(make_verifier(store), Options())
    assert_is(call("POST", "/notify", []), ANSWERS["missing_token"], edge)
    assert_is(call("POST", "/notify", bearer("a.b.c")), INVALID_TOKEN, edge)
    assert store.loads == 0


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.KEYS_UNAVAILABLE}))
def test_answers_each_reason_as_the_core_does(reason: Reason, edge: Edge) -> None:
    error = TokenError(reason)
    answer = edge.build(NoKeys(error), Options())("GET", "/notify", [])
    written = refusal(error)
    assert answer.status == written.status
    assert answer.header("WWW-Authenticate") == dict(written.headers)["WWW-Authenticate"]
    if edge.writes_own_bytes:
        assert answer.body == written.body
        ours = {(name.lower(), value) for name, value in written.headers}
        assert ours <= {(name.lower(), value) for name, value in answer.headers}


def test_says_nothing_of_the_token(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    call = edge.build(verifier_for_cases(), Options())
    said = ""
    for case in REFUSED:
        said += repr(call("POST", case.target, case.headers))
    said += caplog.text
    assert "refused a call" in caplog.text
    for secret in (*GOOD.split("."), "MGW_000002", "elsewhere", "dTpw"):
        assert secret not in said.replace("https://elsewhere.example", "")


def test_one_call_does_not_speak_for_the_next(edge: Edge, call: Call) -> None:
    assert call("POST", "/notify", bearer(GOOD)).status == 200
    assert_is(call("POST", "/notify", []), ANSWERS["missing_token"], edge)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target", ["/health", "/health?deep=1", "/health?x=/../notify"])
def test_an_excluded_path_is_open(target: str, method: str, call_with_health: Call) -> None:
    assert call_with_health(method, target, []).status == 200


@pytest.mark.parametrize("headers", [[], bearer("x"), bearer(GOOD)], ids=["none", "bad", "good"])
def test_on_an_excluded_path_nobody_is_known(headers: list[tuple[bytes, bytes]], call_with_health: Call) -> None:
    assert call_with_health("GET", "/health", headers).json == {"subject": None}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "BREW"])
def test_an_excluded_path_is_open_to_reading_only(method: str, edge_with_exclude: Edge, call_with_health: Call) -> None:
    assert_is(call_with_health(method, "/health", []), ANSWERS["missing_token"], edge_with_exclude)


@pytest.mark.parametrize("target", NOT_QUITE_EXCLUDED)
def test_a_path_is_excluded_as_it_is_spelt_and_no_other_way(
    target: str, edge_with_exclude: Edge, call_with_health: Call
) -> None:
    assert_is(call_with_health("GET", target, []), ANSWERS["missing_token"], edge_with_exclude)


def test_the_path_has_to_name_the_subject(edge_that_compares: Edge, case_verifier: D1Verifier) -> None:
    call = edge_that_compares.build(case_verifier, Options())
    own, others = (f"/merchant-gateways/{gateway}/notify" for gateway in (SUBJECT, "MGW_000002"))
    assert call("POST", own, bearer(GOOD)).json == {"subject": SUBJECT}
    assert_is(call("POST", others, bearer(GOOD)), ANSWERS["insufficient_scope"], edge_that_compares)
    assert_is(call("POST", others, []), ANSWERS["missing_token"], edge_that_compares)


def test_one_subject_of_several_does_not_open_the_paths_of_the_others(edge_that_compares: Edge) -> None:
    call = edge_that_compares.build(make_verifier(subject=[SUBJECT, "MGW_000002"]), Options())
    target = "/merchant-gateways/MGW_000002/notify"
    assert call("POST", target, bearer(KEY.mint(sub="MGW_000002"))).status == 200
    assert_is(call("POST", target, bearer(GOOD)), ANSWERS["insufficient_scope"], edge_that_compares)


@refused_cases
def test_refuses_a_websocket_by_the_denial_response(
    case: Case, edge_with_websocket: Edge, case_verifier: D1Verifier
) -> None:
    answer = handshake(edge_with_websocket, case_verifier, case, denial_response=True)
    assert answer.denial is not None
    assert_is(answer.denial, case.expected, edge_with_websocket)


@refused_cases
def test_closes_a_refused_websocket_where_no_answer_can_be_sent(
    case: Case, edge_with_websocket: Edge, case_verifier: D1Verifier
) -> None:
    answer = handshake(edge_with_websocket, case_verifier, case, denial_response=False)
    assert (answer.accepted, answer.close_code) == (False, 1008)


@accepted_cases
def test_accepts_a_websocket(case: Case, edge_with_websocket: Edge, case_verifier: D1Verifier) -> None:
    assert handshake(edge_with_websocket, case_verifier, case, denial_response=True).accepted


def test_a_websocket_is_told_to_come_back_when_keys_cannot_be_had(edge_with_websocket: Edge) -> None:
    call, case = websocket_call(edge_with_websocket, NoKeys()), ACCEPTED[0]
    denied = call(case.target, case.headers, denial_response=True)
    assert denied.denial is not None
    assert_is(denied.denial, ANSWERS["keys_unavailable"], edge_with_websocket)
    closed = call(case.target, case.headers, denial_response=False)
    assert closed.close_code == 1013


def test_an_excluded_path_is_not_open_to_websockets(edge_with_both: Edge, case_verifier: D1Verifier) -> None:
    assert edge_with_both.build_websocket is not None
    call = edge_with_both.build_websocket(case_verifier, Options(exclude=("/notify",)))
    assert call("/notify", [], denial_response=False).close_code == 1008

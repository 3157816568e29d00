"""Runs of the contract: what is sent, what is skipped, what counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from d1verify.testing import (
    Answer,
    Call,
    CannotSendError,
    Case,
    Expect,
    FakeD1,
    TokenExpect,
    UnreachableError,
    run_contract,
    run_token_contract,
)
from d1verify.testing.report import Outcome, Result

FAKE_D1 = FakeD1()


def call_of(expect: Expect, **more: Any) -> Call:
    return Call(raw_headers=((b"Authorization", b"Bearer x"),), expect=expect, **more)


def case_of(case_id: str, *calls: Call) -> Case:
    def script(_: FakeD1) -> Iterator[Call]:
        yield from calls

    return Case(case_id, case_id, calls[-1].expect, "D1", lambda _: calls[-1], "Something.", script)


GOOD = case_of("good", call_of(Expect.ACCEPTED))
BAD = case_of("bad", call_of(Expect.UNAUTHORIZED))
ELSEWHERE = case_of("elsewhere", call_of(Expect.FORBIDDEN, elsewhere=True))
CHALLENGE = {"WWW-Authenticate": "Bearer"}


def test_a_function_of_the_raw_headers_will_do() -> None:
    seen: list[list[tuple[bytes, bytes]]] = []

    def send(headers: list[tuple[bytes, bytes]]) -> tuple[int, dict[str, str]]:
        seen.append(headers)
        return 200, {}

    report = run_contract(send, FAKE_D1, cases=[GOOD, BAD, ELSEWHERE])
    assert seen == [[(b"Authorization", b"Bearer x")]] * 2
    assert [(result.outcome, result.status, result.detail) for result in report.results] == [
        ("passed", 200, ""),
        ("failed", 200, "expected 401, got 200"),
        ("skipped", None, "this sender always makes the same request; use one of the ready-made ones"),
    ]


class ClientResponse:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


@pytest.mark.parametrize(
    "returned",
    [
        (401, CHALLENGE),
        (401, list(CHALLENGE.items()), b"no"),
        Answer(401, CHALLENGE),
        ClientResponse(status_code=401, headers=CHALLENGE, content=b"no"),
        ClientResponse(status_code=401, headers=CHALLENGE, data=b"no"),
        ClientResponse(status_code=401, headers=CHALLENGE),
    ],
    ids=["pair", "triple", "Answer", "httpx2", "Flask", "bare"],
)
def test_takes_what_functions_and_test_clients_return(returned: Any) -> None:
    assert run_contract(lambda _: returned, FAKE_D1, cases=[BAD]).ok


def test_what_cannot_send_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="ready-made"):
        run_contract("http://127.0.0.1/", FAKE_D1)  # type: ignore[arg-type]


def test_stops_a_case_at_the_first_wrong_answer() -> None:
    answers = iter([401, 200])
    case = case_of("two", call_of(Expect.ACCEPTED), call_of(Expect.ACCEPTED))
    report = run_contract(lambda _: (next(answers), CHALLENGE), FAKE_D1, cases=[case])
    assert [result.status for result in report.failed] == [401]
    assert next(answers) == 200


def test_a_case_that_does_not_apply_is_skipped_and_not_passed() -> None:
    report = run_contract(lambda _: (200, {}), FakeD1())
    reasons = {result.detail for result in report.skipped}
    assert len(reasons) == 6
    assert not [result for result in report.skipped if result.status is not None]


def test_refused_calls_leave_the_effects_as_they_were() -> None:
    done = [0]

    def send(_: object) -> tuple[int, dict[str, str]]:
        done[0] += 1
        return (200, {}) if done[0] == 1 else (401, CHALLENGE)

    report = run_contract(send, FAKE_D1, cases=[GOOD, BAD], effects=lambda: done[0])
    assert [result.detail for result in report.results] == ["", "the refused call had an effect"]


class FailingSender:
    """Answers as often as it is told, then fails."""

    def __init__(self, answers: int, error: Exception) -> None:
        self.left = answers
        self.error = error

    def send_call(self, call: Call) -> Answer:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return Answer(200, {})


def test_raises_if_nothing_answers_from_the_start() -> None:
    with pytest.raises(UnreachableError):
        run_contract(FailingSender(0, UnreachableError("no answer: ConnectError")), FAKE_D1, cases=[GOOD])


def test_an_app_that_a_call_brings_down_has_failed_the_case() -> None:
    report = run_contract(FailingSender(1, UnreachableError("no answer: ReadError")), FAKE_D1, cases=[GOOD, BAD])
    assert [(result.outcome, result.detail) for result in report.results] == [
        ("passed", ""),
        ("failed", "no answer: ReadError"),
    ]


def test_a_call_that_cannot_be_sent_is_skipped() -> None:
    report = run_contract(FailingSender(0, CannotSendError("not this way")), FAKE_D1, cases=[GOOD])
    assert [(result.outcome, result.detail) for result in report.results] == [("skipped", "not this way")]
    assert not report.ok


def test_tells_of_each_result_as_it_comes() -> None:
    told: list[Result] = []
    report = run_contract(lambda _: (200, {}), FAKE_D1, cases=[GOOD, BAD], on_result=told.append)
    assert tuple(told) == report.results
    assert [result.outcome for result in told] == [Outcome.PASSED, Outcome.FAILED]


ISSUED: tuple[int, dict[str, str], bytes] = (
    200,
    {},
    b'{"access_token":"obtained","token_type":"Bearer","expires_in":900}',
)


class RecordingSender:
    """Keeps what it is sent and answers as it is told."""

    def __init__(self, *answers: Any) -> None:
        self.answers = iter(answers)
        self.calls: list[Call] = []

    def send_call(self, call: Call) -> Answer:
        self.calls.append(call)
        return Answer(*next(self.answers))


AT_ENDPOINT = Case("request", "request", TokenExpect.REFUSED, "D1", lambda _: call_of(Expect.ACCEPTED), "Something.")
AT_ROUTE = Case(
    "use", "use", Expect.ACCEPTED, "D1", lambda d1: call_of(Expect.ACCEPTED, path=d1.call_path("x")), "Something."
)


def test_an_access_token_is_obtained_first_and_each_case_goes_where_it_is_about() -> None:
    fake_d1, endpoint, route = FakeD1(), RecordingSender(ISSUED, (200, {})), RecordingSender((204, {}))
    told: list[Result] = []
    report = run_token_contract(endpoint, fake_d1, guarded=route, cases=[AT_ENDPOINT, AT_ROUTE], on_result=told.append)
    assert fake_d1.access_token == "obtained"
    assert (len(endpoint.calls), len(route.calls)) == (2, 1)
    assert tuple(told) == report.results
    assert [(result.case_id, result.status) for result in report.results] == [("request", 200), ("use", 204)]


def test_the_secret_is_tried_where_the_assertion_obtains_nothing() -> None:
    fake_d1 = FakeD1(client_id="d1", client_secret="s")
    endpoint = RecordingSender((400, {}), ISSUED)
    run_token_contract(endpoint, fake_d1, cases=[])
    assert fake_d1.access_token == "obtained"
    assert [b"client_credentials" in (call.body or b"") for call in endpoint.calls] == [False, True]


def test_where_nothing_is_issued_there_is_no_access_token_left_from_before() -> None:
    fake_d1 = FakeD1(client_id="d1", client_secret="s")
    fake_d1.access_token = "of an earlier run"
    run_token_contract(RecordingSender((400, {}), (401, {})), fake_d1, cases=[])
    assert fake_d1.access_token is None


def test_a_path_serves_as_the_guarded_route_where_the_call_has_none() -> None:
    endpoint = RecordingSender((400, {}), (200, {}), (400, {}), (200, {}))
    run_token_contract(endpoint, FakeD1(), guarded="/guarded", cases=[AT_ROUTE])
    run_token_contract(endpoint, FakeD1(path="/{merchantGatewayId}"), guarded="/guarded", cases=[AT_ROUTE])
    assert [call.path for call in endpoint.calls] == [None, "/guarded", None, "/x"]


def test_without_a_guarded_route_the_cases_about_it_are_skipped() -> None:
    report = run_token_contract(RecordingSender(ISSUED), FakeD1(), cases=[AT_ROUTE])
    assert [result.detail for result in report.skipped] == [
        "the kit must know a route that wants access tokens: run_token_contract(guarded=…)"
    ]


def test_a_function_of_the_headers_cannot_post_a_form() -> None:
    report = run_token_contract(lambda _: (200, {}), FakeD1(), guarded=lambda _: (401, CHALLENGE))
    assert not [result for result in report.results if result.status is not None and result.expect.startswith("400")]
    assert {result.case_id for result in report.results if result.outcome is Outcome.PASSED} == {
        *("access-token-missing", "access-token-d1-jwt", "access-token-d1-jwt-relabelled"),
    }


def test_a_call_with_a_body_of_its_own_is_not_for_a_function_of_the_headers() -> None:
    case = case_of("body", call_of(Expect.ACCEPTED, body=b"x"))
    assert [result.outcome for result in run_contract(lambda _: (200, {}), FAKE_D1, cases=[case]).results] == [
        "skipped"
    ]


def test_raises_if_no_token_endpoint_answers() -> None:
    with pytest.raises(UnreachableError):
        run_token_contract(FailingSender(0, UnreachableError("no answer: ConnectError")), FakeD1())


def test_a_granted_request_may_have_effects() -> None:
    done = [0]

    def send(_: object) -> tuple[int, dict[str, str]]:
        done[0] += 1
        return 401, CHALLENGE

    cases = [case_of("one", call_of(expect)) for expect in (TokenExpect.ISSUED, TokenExpect.REFUSED)]  # type: ignore[arg-type]
    report = run_contract(send, FAKE_D1, cases=cases, effects=lambda: done[0])
    assert ["effect" in result.detail for result in report.results] == [False, True]

"""Run the contract against an app: send each case's calls and judge the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from ._answers import faults
from ._sending import Answer, CannotSendError, Send, Sender, UnreachableError, as_sender
from ._token_answers import issued_token
from .call import Call, Expect, TokenExpect
from .case import Case
from .cases import access_token_cases, contract_cases, token_endpoint_cases
from .cases.token_requests import REQUEST_BY_ASSERTION, REQUEST_BY_SECRET
from .fake_d1 import FakeD1
from .report import Outcome, Report, Result

__all__ = ["run_contract", "run_token_contract"]

Effects = Callable[[], int]

_MAY_HAVE_EFFECTS = frozenset({Expect.ACCEPTED, TokenExpect.ISSUED, TokenExpect.SCOPE_NOT_GRANTED})


def run_contract(
    send: Send,
    fake_d1: FakeD1,
    *,
    cases: Iterable[Case] | None = None,
    effects: Effects | None = None,
    on_result: Callable[[Result], object] | None = None,
) -> Report:
    """Return what came of sending every case to an app.

    Args:
        send: an `ASGISender`, `WSGISender` or `URLSender`, or any function that performs one
            call with the given raw headers and returns (status, headers), (status, headers,
            body), or a test client's response.
        fake_d1: the D1 whose keys the app trusts.
        cases: the cases to try; all of them by default.
        effects: counts what calls have done (rows written, messages sent). With it, a call
            that is refused must leave the count as it was, and an accepted one need not.
        on_result: told of each result as it comes.

    Raises:
        UnreachableError: nothing answers to the first call.
    """
    run = _Run(as_sender(send), fake_d1, effects)
    return _report(contract_cases() if cases is None else cases, run.result, on_result)


def run_token_contract(
    send: Send,
    fake_d1: FakeD1,
    *,
    guarded: Send | str | None = None,
    cases: Iterable[Case] | None = None,
    on_result: Callable[[Result], object] | None = None,
) -> Report:
    """Return what came of the OAuth 2.0 flow: of every case about a token endpoint, and what it opens.

    An access token is obtained first and kept in `fake_d1.access_token`, for the cases that want one.

    Args:
        send: how to reach the token endpoint: an `ASGISender`, `WSGISender` or `URLSender`.
        fake_d1: the D1 whose assertions the endpoint takes, with its client id and secret if it has them.
        guarded: how to reach a route that wants access tokens; a path, where `send` reaches it
            as well. Without it, the cases about it are skipped.
        cases: the cases to try; all of `token_endpoint_cases` and `access_token_cases` by default.
        on_result: told of each result as it comes.

    Raises:
        UnreachableError: nothing answers to the first call.
    """
    endpoint = as_sender(send)
    if guarded is None:
        route: Sender = _Nowhere()
    else:
        route = _Elsewhere(endpoint, guarded) if isinstance(guarded, str) else as_sender(guarded)
    fake_d1.access_token = _by_assertion(endpoint, fake_d1)
    at_endpoint, at_route = _Run(endpoint, fake_d1, None), _Run(route, fake_d1, None)

    def result(case: Case) -> Result:
        return (at_endpoint if isinstance(case.expect, TokenExpect) else at_route).result(case)

    return _report((*token_endpoint_cases(), *access_token_cases()) if cases is None else cases, result, on_result)


def _by_assertion(endpoint: Sender, fake_d1: FakeD1) -> str | None:
    """Return an access token, by whichever grant one is to be had; None if by neither."""
    for case in (REQUEST_BY_ASSERTION, REQUEST_BY_SECRET):
        if case.missing(fake_d1) is None:
            with suppress(CannotSendError):
                obtained = issued_token(endpoint.send_call(case.build(fake_d1)).body)
                if obtained is not None:
                    return obtained
    return None


class _Elsewhere:
    """Sends to a path, by a sender that otherwise sends to another."""

    def __init__(self, sender: Sender, path: str) -> None:
        self._sender = sender
        self._path = path

    def send_call(self, call: Call) -> Answer:
        return self._sender.send_call(replace(call, path=call.path or self._path))


class _Nowhere:
    def send_call(self, _call: Call) -> Answer:
        raise CannotSendError("the kit must know a route that wants access tokens: run_token_contract(guarded=…)")


def _report(
    cases: Iterable[Case], result_of: Callable[[Case], Result], on_result: Callable[[Result], object] | None
) -> Report:
    results = []
    for case in cases:
        result = result_of(case)
        if on_result is not None:
            on_result(result)
        results.append(result)
    return Report(tuple(results))


class _Run:
    def __init__(self, sender: Sender, fake_d1: FakeD1, effects: Effects | None) -> None:
        self._sender = sender
        self._fake_d1 = fake_d1
        self._effects = effects
        self._answered = False

    def result(self, case: Case) -> Result:
        """Return what comes of one case."""
        missing = case.missing(self._fake_d1)
        if missing is not None:
            return Result.of(case, Outcome.SKIPPED, status=None, detail=missing, seconds=0.0)
        started = time.perf_counter()
        status: int | None = None
        found: list[str] = []
        outcome = Outcome.PASSED
        try:
            for call in case.calls(self._fake_d1):
                status, found = self._sent(call)
                if found:
                    outcome = Outcome.FAILED
                    break
        except CannotSendError as error:
            outcome, found = Outcome.SKIPPED, [str(error)]
        except UnreachableError as error:
            if not self._answered:
                raise
            # It has answered before, so it is this call that it did not survive.
            outcome, found = Outcome.FAILED, [str(error)]
        seconds = time.perf_counter() - started
        return Result.of(case, outcome, status=status, detail="; ".join(found), seconds=seconds)

    def _sent(self, call: Call) -> tuple[int, list[str]]:
        """Return the answer's status and what is wrong with the answer."""
        before = None if self._effects is None else self._effects()
        answer = self._sender.send_call(call)
        self._answered = True
        found = faults(call.expect, answer.status, answer.headers, answer.body, call)
        if self._effects is not None and call.expect not in _MAY_HAVE_EFFECTS and self._effects() != before:
            found.append("the refused call had an effect")
        return answer.status, found

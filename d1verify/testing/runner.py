"""Run the contract against an app: send each case's calls and judge the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from ._answers import faults
from ._sending import CannotSendError, Send, Sender, UnreachableError, as_sender
from .call import Call, Expect
from .case import Case
from .cases import contract_cases
from .fake_d1 import FakeD1
from .report import Outcome, Report, Result

__all__ = ["run_contract"]

Effects = Callable[[], int]


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
    sender = as_sender(send)
    run = _Run(sender, fake_d1, effects)
    results = []
    for case in contract_cases() if cases is None else cases:
        result = run.result(case)
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
        if self._effects is not None and call.expect is not Expect.ACCEPTED and self._effects() != before:
            found.append("the refused call had an effect")
        return answer.status, found

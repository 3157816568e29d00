"""What the URLs in hostile tokens lead to."""

from __future__ import annotations

import json
import socketserver
from typing import Any
from urllib.error import URLError

import pytest

from d1verify.testing import CannotSendError, FakeD1, contract_cases, run_contract
from d1verify.testing._loopback import served
from d1verify.testing.pytest_plugin import CaseUnderTest
from d1verify.testing.report import Outcome

from ..planted.key_faults import fetched
from ..planted.strict import StrictApp
from ..support import unb64

FOLLOWED = [case for case in contract_cases() if case.id in ("header-jku-kid-unknown", "header-x5u-kid-unknown")]


def test_serves_for_as_long_as_it_is_asked_to(capfd: pytest.CaptureFixture[str]) -> None:
    with served(b'{"keys":[]}', "application/json") as url:
        assert json.loads(fetched(url)) == {"keys": []}
    with pytest.raises(URLError):
        fetched(url)
    assert capfd.readouterr() == ("", "")


def test_the_plugin_serves_until_the_test_is_over() -> None:
    case = CaseUnderTest(FOLLOWED[0])
    call = case.build(FakeD1())
    url = json.loads(unb64(call.headers["Authorization"].partition(" ")[2].split(".")[0]))["jku"]
    assert b"attacker-" in fetched(url)
    case.close()
    with pytest.raises(URLError):
        fetched(url)


@pytest.fixture
def no_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: Any) -> None:
        raise OSError

    monkeypatch.setattr(socketserver.TCPServer, "__init__", forbid)


@pytest.mark.usefixtures("no_listener")
def test_a_case_is_skipped_and_not_failed_where_nothing_can_be_served() -> None:
    fake_d1 = FakeD1()
    report = run_contract(StrictApp(fake_d1), fake_d1, cases=FOLLOWED)
    assert [(one.outcome, one.detail) for one in report.results] == [
        (Outcome.SKIPPED, "no listener can be opened on 127.0.0.1")
    ] * len(FOLLOWED)
    with pytest.raises(pytest.skip.Exception, match="no listener"):
        CaseUnderTest(FOLLOWED[0]).build(fake_d1)
    with pytest.raises(CannotSendError), served(b"", "text/plain"):
        pass

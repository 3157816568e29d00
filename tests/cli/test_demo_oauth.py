"""`d1verify demo --oauth`: the whole loop, by one command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx2
import pytest
from typer.testing import CliRunner

from d1verify.cli import demo_oauth
from d1verify.cli.app import app
from d1verify.cli.demo import Row
from d1verify.errors import Reason, TokenError

from .shell import heeding_interrupts


def test_every_row_is_as_expected_and_d1_obtained_one_token_for_two_calls() -> None:
    run = CliRunner().invoke(app, ["demo", "--oauth"])
    assert run.exit_code == 0, run.output
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in run.output.splitlines() if line[:1] == "|"]
    rows = [Row(*row) for row in cells[2:]]
    assert len(rows) >= 20
    assert [row for row in rows if row.got != row.expected] == []
    got = {row.call: row.got for row in rows}
    assert [got["D1 obtains an access token and calls with it"], got["D1 calls again"]] == ["204", "204"]
    assert got["token requests for both calls"] == "1"
    assert got["a call with the D1 JWT itself"].startswith("401")
    assert got["the access token as the assertion"] == "400 invalid_grant"
    assert got["the grant password"] == "400 unsupported_grant_type"
    assert re.search(r"The token endpoint was asked \d+ times in all\.", run.output)


def test_prints_json_for_programs() -> None:
    run = CliRunner().invoke(app, ["demo", "--oauth", "--json"])
    assert run.exit_code == 0
    report = json.loads(run.output)
    assert (report["ok"], len(report["rows"]) >= 20, report["token_requests"] > 1) == (True, True, True)


class RefusesAll:
    async def averify_header(self, _value: object) -> object:
        raise TokenError(Reason.UNKNOWN_KEY)

    verify_header = averify_header


def test_exits_1_when_a_row_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_oauth, "AccessTokenVerifier", lambda *_args, **_settings: RefusesAll())
    run = CliRunner().invoke(app, ["demo", "--oauth"])
    assert run.exit_code == 1
    assert re.search(r"\| D1 calls again +\| 204 +\| 401", run.output)


def test_an_answer_without_a_token_gives_a_token_that_nothing_takes() -> None:
    assert demo_oauth._token_in(httpx2.Response(503)) == "none-was-issued"


@pytest.fixture
def served() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "d1verify.cli", "demo", "--oauth", "--serve"]
    with heeding_interrupts():
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process:
        yield process
        process.kill()


def test_serve_prints_a_token_request_and_a_contract_that_work_and_ends_when_interrupted(
    served: subprocess.Popen[str],
) -> None:
    assert served.stdout is not None
    curl = next(line for line in served.stdout if line.startswith("curl"))
    contract = next(line for line in served.stdout if line.startswith("d1verify contract"))
    found = re.fullmatch(r"curl -i -d grant_type=(\S+) -d assertion=(\S+) (\S+)\n", curl)
    assert found is not None
    grant, assertion, url = found.groups()
    form = {"grant_type": grant, "assertion": assertion}
    assert httpx2.post(url, data=form, trust_env=False).json()["expires_in"] == 900
    command = [sys.executable, "-m", "d1verify.cli", *contract.split()[1:]]
    run = subprocess.run([*command, "--only", "access-token"], capture_output=True, text=True, check=False)
    assert "1 passed" in run.stdout, run.stderr
    served.send_signal(2)
    assert served.wait(10) == 0

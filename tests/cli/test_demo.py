from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
from typer.testing import CliRunner

from d1verify.cli import demo, main
from d1verify.cli.app import app
from d1verify.cli.demo_server import DemoServer, guarded_app
from tests.support import make_verifier

from .shell import heeding_interrupts

README = Path(__file__).parents[2] / "README.md"


def test_every_call_is_answered_as_expected_and_the_table_is_in_the_readme() -> None:
    run = CliRunner().invoke(app, ["demo"])
    assert run.exit_code == 0, run.output
    table = [line.rstrip() for line in run.output.splitlines() if line.startswith("|")]
    assert len(table) > 20
    assert "\n".join(table) in README.read_text()


def test_says_so_and_exits_1_when_an_answer_is_not_the_expected_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    wrong = demo.Row("a call", "204", "401 expired")
    monkeypatch.setattr(demo, "_rows", lambda *_: iter([wrong, demo.Row("another", "204", "204")]))
    assert demo.run_demo(serve=False) == 1
    printed = capsys.readouterr().out
    assert "1 of 2" in printed.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "\x1b[1;31m" in printed  # the wrong row, in red


def test_gives_a_late_answer_its_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["204", "204", "401 unknown_key"])
    moments = iter([0.0, 0.0, 1.0, 99.0])
    hand_ticked = SimpleNamespace(monotonic=lambda: next(moments), sleep=lambda _seconds: None)
    monkeypatch.setattr("d1verify.cli.demo.time", hand_ticked)
    assert demo._row_in_time(lambda _headers: next(answers), "", "401 unknown_key", [], 5.0).got == "401 unknown_key"
    moments = iter([0.0, 99.0])
    assert demo._row_in_time(lambda _headers: "204", "", "401 unknown_key", [], 5.0).got == "204"


@pytest.fixture
def served() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "d1verify.cli", "demo", "--serve"]
    with heeding_interrupts():
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process:
        yield process
        process.kill()


def test_serve_prints_a_curl_line_that_works_and_ends_when_interrupted(served: subprocess.Popen[str]) -> None:
    assert served.stdout is not None
    curl = next(line for line in served.stdout if line.startswith("curl"))
    line = re.fullmatch(r"curl -i -X POST -H '([^:]+): ([^']+)' (\S+)\n", curl)
    assert line is not None
    name, value, url = line.groups()
    assert httpx2.post(url, headers={name: value}, trust_env=False).status_code == 204
    assert httpx2.post(url, headers={name: value[:-4]}, trust_env=False).status_code == 401
    served.send_signal(2)
    assert served.wait(10) == 0


def test_a_server_that_does_not_start_is_an_error_and_no_hang() -> None:
    server = DemoServer(guarded_app(make_verifier()))
    server._server.run = lambda: None  # type: ignore[method-assign,assignment,misc]
    server._thread._target = server._server.run  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="did not start"), server:
        pass


def test_without_its_extra_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "d1verify.cli.app", None)
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "d1verify.cli.app")
    with pytest.raises(SystemExit, match=r'pip install "d1verify\[cli\]"'):
        main()


def test_another_missing_module_is_not_blamed_on_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "d1verify.cli.app", None)
    with pytest.raises(ImportError):
        main()


def test_runs_as_a_module_and_shows_its_commands() -> None:
    command = [sys.executable, "-m", "d1verify.cli", "--help"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "demo" in run.stdout


def test_prints_json_for_programs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for got, code in (("204", 0), ("401 expired", 1)):
        monkeypatch.setattr(demo, "_rows", lambda *_, got=got: iter([demo.Row("a call", "204", got)]))
        assert demo.run_demo(serve=False, as_json=True) == code
        assert json.loads(capsys.readouterr().out) == {
            "ok": code == 0,
            "rows": [{"call": "a call", "expected": "204", "got": got}],
        }

"""`python -m tests.fuzz` with a fuzzer that is played by a script: what it prints, writes and ends with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from . import __main__ as command
from . import running
from .harnesses import load
from .running import ROOT, Session, laid_out

LOG = """\
#250	INITED cov: 124 ft: 298 corp: 44/9318b exec/s: 0 rss: 55Mb
#4096	pulse  cov: 125 ft: 299 corp: 45/9320b lim: 4096 exec/s: 2048 rss: 55Mb
Done 5000 runs in 2 second(s)
stat::number_of_executed_units: 5000
stat::average_exec_per_sec:     2500
"""
UNFINISHED = "#9\tNEW    cov: 12 ft: 34 corp: 5/67b exec/s: 0 rss: 55Mb\n"


def played(folder: Path, log: str, status: int = 0, finding: bytes | None = None) -> Session:
    """Return a session whose fuzzer prints `log`, writes `finding` where libFuzzer would, and ends."""
    script = folder / "fuzzer.py"
    script.write_text(
        "import sys\n"
        "prefix = [one.partition('=')[2] for one in sys.argv if one.startswith('-artifact_prefix=')][0]\n"
        f"print({log!r})\n"
        f"finding = {finding!r}\n"
        "if finding is not None: open(prefix + 'crash-1', 'wb').write(finding)\n"
        f"sys.exit({status})\n"
    )
    return Session(seconds=1, findings=folder / "findings", command=lambda _harness: [sys.executable, str(script)])


def test_a_clean_run_leaves_figures_and_nothing_else(tmp_path: Path) -> None:
    outcome = played(tmp_path, LOG).fuzz("codec")
    assert outcome.is_clean
    assert (outcome.executions, outcome.per_second) == (5000, 2500)
    assert (outcome.edges, outcome.features, outcome.corpus) == (125, 299, 45)
    assert list((tmp_path / "findings").iterdir()) == []


def test_a_finding_is_a_file_and_the_log_stays(tmp_path: Path) -> None:
    outcome = played(tmp_path, UNFINISHED, status=77, finding=b"bad").fuzz("codec")
    assert [path.read_bytes() for path in outcome.findings] == [b"bad"]
    assert (outcome.executions, outcome.edges, outcome.is_clean) == (9, 12, False)
    assert (tmp_path / "findings" / "codec.log").exists()


def test_a_process_that_came_to_a_bad_end_is_no_clean_run(tmp_path: Path) -> None:
    outcome = played(tmp_path, "", status=3).fuzz("codec")
    assert (outcome.trouble, outcome.is_clean) == ("it ended with status 3", False)


def test_a_process_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "GRACE_SECONDS", -0.5)
    script = tmp_path / "sleeper.py"
    script.write_text("import threading\nthreading.Event().wait()\n")
    session = Session(seconds=1, findings=tmp_path / "findings", command=lambda _harness: [sys.executable, str(script)])
    assert session.fuzz("codec").trouble == "it did not end in time"


@pytest.mark.parametrize(
    ("finding", "status"), [(None, command.CLEAN), (b"bad", command.FOUND)], ids=["clean", "found"]
)
def test_the_table_has_a_row_for_each_harness_and_the_status_tells(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    finding: bytes | None,
    status: int,
) -> None:
    session = played(tmp_path, LOG, status=0 if finding is None else 77, finding=finding)
    monkeypatch.setattr(command, "Session", lambda **_settings: session)
    monkeypatch.setattr(command, "find_spec", lambda _name: object())
    assert command.main(["codec", "pem", "--jobs", "2", "--findings", str(session.findings)]) == status
    printed = capsys.readouterr().out
    assert [line.split()[:2] for line in printed.splitlines()[1:3]] == [["codec", "5,000"], ["pem", "5,000"]]
    again = f"python -m tests.fuzz codec --replay {session.findings / 'codec-crash-1'}"
    assert (again in printed) is (finding is not None)
    assert session.findings.exists() is (finding is not None)


def test_without_atheris_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _name: None)
    assert command.main(["--seconds", "1"]) == command.CANNOT_RUN
    assert "atheris is not installed" in capsys.readouterr().err


def test_an_unknown_harness_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["nonesuch"]) == command.CANNOT_RUN
    assert "there is no harness nonesuch" in capsys.readouterr().err
    with pytest.raises(ValueError, match="there is no harness nonesuch"):
        load("nonesuch")


@pytest.mark.parametrize(
    "arguments", [["--minimise"], ["--replay", "x"], ["--seconds", "0"], ["--jobs", "0"]], ids=" ".join
)
def test_a_command_line_without_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert "error:" in capsys.readouterr().err


def test_one_input_is_replayed_without_atheris(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"AA")
    run = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "codec", "--replay", path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == f"codec: every invariant holds for {path}\n"


def test_the_fuzzer_gets_the_seeds_the_words_and_a_folder_that_stays(tmp_path: Path) -> None:
    with laid_out("verify_signed", tmp_path) as (words, folders):
        assert folders[0] == tmp_path / "verify_signed"
        assert len(os.listdir(folders[-1])) > 100
        assert '"\\x22alg\\x22:\\x22ES256\\x22,"' in words.read_text().splitlines()
        assert '"\\x1e"' in words.read_text().splitlines()
    assert (tmp_path / "verify_signed").is_dir()
    assert not words.exists()

"""The benchmarks run and say what they should. Whether they are good enough is for a quiet machine."""

from __future__ import annotations

import importlib.util
import json
import math
import time
from pathlib import Path
from typing import Any

import pytest

from . import catalogue, instructions
from .__main__ import main
from .material import bare_check, endless, mint, pool, verifier
from .measuring import Effort, Ratio, interleave, summary
from .peers import PEERS, Peer
from .plain import lets_others_run
from .report import COLUMNS, Report, as_json, as_markdown, as_table
from .rows import Aim, Bar, Row, at_least, at_most

FEW = ["cold", "reused", "garbage-short", "unknown-kid", "starlette-reused", "fastapi-reused"]


def test_every_row_of_an_experiment_is_in_the_catalogue_once() -> None:
    assert len(set(catalogue.NAMES)) == len(catalogue.NAMES)


def test_quick_run_prints_a_table_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "result.json"
    assert main(["--quick", "--json", str(written), "--only", *FEW]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == list(COLUMNS)
    assert len(lines[2 : lines.index("")]) == len(FEW)
    result = json.loads(written.read_text())
    assert sorted(row["name"] for row in result["rows"]) == sorted(FEW)
    assert all(row["rounds"] == 3 and row["median"] is not None and row["aim"] for row in result["rows"])
    assert set(result["checks"]) == {"d1verify", *(peer.name for peer in PEERS)}
    assert result["versions"]["pyjwt"]


def test_markdown_replaces_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--markdown", "--only", "unknown-kid*"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"| {' | '.join(COLUMNS)} |"
    assert [line.count("|") for line in lines[:4]] == [len(COLUMNS) + 1] * 4


def test_chart_is_the_same_twice_and_bears_no_date(tmp_path: Path) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not there")
    from .chart import draw

    rows = [Row(name="a", what="a", unit="µs", median=1.5, bar=Bar("Again", "d1verify"))]
    for name in ("one", "two"):
        draw(rows, tmp_path / name)
    drawn = (tmp_path / "one").read_bytes()
    assert drawn == (tmp_path / "two").read_bytes()
    assert b"d1verify" in drawn
    assert b"<dc:date>" not in drawn


def test_refuses_a_row_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "cold", "warm"])
    assert "no row is called warm" in capsys.readouterr().err


def test_row_that_needs_wrk_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert main(["--quick", "--only", "uvicorn", "hanging"]) == 0
    assert capsys.readouterr().out.count("apt-get install wrk") == 2


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@pytest.mark.parametrize(
    "claims",
    [{"iss": "d2"}, {"aud": "prd"}, {"sub": "another"}, {"exp": 1}, {"exp": 2**40}],
    ids=["issuer", "audience", "subject", "expired", "lifetime"],
)
def test_peer_makes_the_same_checks(peer: Peer, claims: dict[str, Any]) -> None:
    assert peer.verify(mint())["iss"] == "d1"
    token = mint(**claims)
    with pytest.raises(Exception, match=r".+"):
        peer.verify(token)


def test_new_token_each_time_is_never_known() -> None:
    seen = []

    class Watching:
        def notify(self, event: object) -> None:
            seen.append(getattr(event, "cached", False))

    tokens = pool(quick=True)
    judge = verifier(token_cache_size=len(tokens) // 2, observer=Watching())
    turn = endless(tokens)
    for _time in range(3 * len(tokens)):
        judge.verify(next(turn))
    assert True not in seen
    assert len(seen) >= 3 * len(tokens)


def test_ratio_is_taken_within_each_round_and_beyond_the_floor() -> None:
    slow_machine_in_the_middle = {"over": [3.0, 300.0, 30.0], "under": [1.0, 100.0, 10.0]}
    assert Ratio("over", "under").of(slow_machine_in_the_middle) == [3.0, 3.0, 3.0]
    assert Ratio("a", "b", "floor").of({"a": [3.0], "b": [5.0], "floor": [1.0]}) == [0.5]


def test_rounds_go_on_until_the_ratio_is_known() -> None:
    steady = {"over": lambda _repeats: 2.0, "under": lambda _repeats: 1.0}
    ratio = Ratio("over", "under")
    samples = interleave(steady, [ratio], Effort(repeats=1, min_rounds=5, max_rounds=50))
    assert (samples.rounds, samples.settled, samples.ratios[ratio].median) == (5, True, 2.0)
    noise = iter([1.0, 2.0, 3.0] * 50)
    noisy = {"over": lambda _repeats: next(noise), "under": lambda _repeats: 1.0}
    samples = interleave(noisy, [ratio], Effort(repeats=1, min_rounds=5, max_rounds=50))
    assert (samples.rounds, samples.settled) == (50, False)
    assert summary([1.0]).uncertainty == math.inf


@pytest.mark.parametrize(
    ("aim", "ratio", "met"),
    [(at_most(1.15), 1.15, True), (at_most(1.15), 1.16, False), (at_least(40), 40, True), (at_least(40), 39, False)],
    ids=["at most, kept", "at most, missed", "at least, kept", "at least, missed"],
)
def test_aim_is_held_against_the_ratio(aim: Aim, ratio: float, *, met: bool) -> None:
    row = Row(name="a", what="a ÷ b", unit="µs", median=7.0, ratio=ratio, aim=aim, rounds=3)
    report = Report([row], 1.0, quick=False)
    assert row.met is met
    assert ("NO" in as_table(report), "NO" in as_markdown(report)) == (not met, not met)
    assert as_json(report)["rows"][0]["met"] is met


def test_lock_is_seen_to_be_held_by_plain_python_and_let_go_by_waiting() -> None:
    assert not lets_others_run(lambda: sum(range(100)), 0.05)
    assert lets_others_run(lambda: time.sleep(0), 10)


def test_bare_check_is_of_the_tokens_own_signature() -> None:
    token = mint()
    bare_check(token)()
    with pytest.raises(Exception, match=r"^$"):
        bare_check(f"A{token}")()


@pytest.mark.parametrize(
    ("counted", "kept", "said"),
    [(1029, True, "+2.9%"), (1031, False, "OVER"), (960, True, "lower the budget")],
    ids=["within", "over", "under"],
)
def test_budget_of_instructions_is_kept_or_not(counted: int, said: str, *, kept: bool) -> None:
    lines, is_kept = instructions.judge({"reused": counted}, {"reused": 1000})
    assert is_kept is kept
    assert said in lines[0]


def test_counting_without_valgrind_is_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert instructions.main([]) == 0
    assert "apt-get install valgrind" in capsys.readouterr().out

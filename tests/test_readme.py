"""The README is true: its blocks run, and what it says they print they print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .support import KEY

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def _title(block: str) -> str:
    heading = README[: README.index(block)].rpartition("\n#")[2].splitlines()[0]
    return f"{README[: README.index(block)].count(chr(10)) + 1}: {heading.strip('# ')}"


@pytest.mark.parametrize("block", BLOCKS, ids=map(_title, BLOCKS))
def test_block_runs_and_prints_what_it_says(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / f"{KEY.kid}.pem").write_text(KEY.pem)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out
    for said in re.findall(r"^ *print\(.*\)  # (.*)$", block, re.MULTILINE):
        pattern = ".*".join(map(re.escape, said.split("...")))
        assert re.search(f"^{pattern}$", printed, re.MULTILINE), f"{said!r} is not in {printed!r}"


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 4

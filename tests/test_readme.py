"""The README is true: its blocks run, and what it says they print they print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from . import django_settings  # noqa: F401 - it configures Django
from .support import KEY

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCK = r"^```python\n(.*?)^```$"
CONTRACT = re.findall(r"^<!-- contract -->\n" + BLOCK, README, re.DOTALL | re.MULTILINE)
BLOCKS = [block for block in re.findall(BLOCK, README, re.DOTALL | re.MULTILINE) if block not in CONTRACT]

YOUR_APP = """
from fastapi import Depends, FastAPI
from d1verify.fastapi import D1Bearer, install

def build_app(verifier):
    app = FastAPI()
    install(app)
    app.post("/notify", dependencies=[Depends(D1Bearer(verifier))])(lambda: None)
    return app
"""


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


def test_the_contract_suite_runs_as_a_merchant_would_run_it(tmp_path: Path) -> None:
    (tmp_path / "your_app.py").write_text(YOUR_APP)
    (tmp_path / "test_contract.py").write_text(CONTRACT[0])
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir=.", "test_contract.py"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert re.search(r"^2\d\d passed", run.stdout, re.MULTILINE), run.stdout[-300:]


def test_there_are_blocks() -> None:
    assert (len(BLOCKS), len(CONTRACT)) >= (8, 1)

"""Nothing hangs on an assert, on the order of a set, or on a warning being only a warning."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .building import ROOT, bare_environment

RUNS = {
    "-O": (["-O"], {}),
    "-OO, which drops docstrings as well": (["-OO"], {}),
    "PYTHONHASHSEED=0": ([], {"PYTHONHASHSEED": "0"}),
    "PYTHONHASHSEED=1": ([], {"PYTHONHASHSEED": "1"}),
}


def contract(options: list[str], variables: dict[str, str] | None = None) -> str:
    """Return what the contract prints under these options."""
    command = [sys.executable, *options, "-m", "tests.package.contract"]
    environ = {**bare_environment(), **(variables or {})}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environ)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def plain() -> str:
    return contract([])


@pytest.mark.parametrize("run", RUNS)
def test_contract_comes_out_the_same(run: str, plain: str) -> None:
    assert contract(*RUNS[run]) == plain


def test_a265_contract_comes_out_the_same_with_every_warning_an_error(plain: str) -> None:
    assert contract(["-W", "error"]) == plain


def test_contract_script_tells_a_failure_under_o() -> None:
    spoilt = (
        "import tests.package.contract as script\n"
        "script.D1AuthMiddleware = lambda app, verifier: app\n"
        "script.main()"
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-O", "-c", spoilt],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=bare_environment(),
    )
    assert done.returncode == 1
    assert "failed" in done.stderr

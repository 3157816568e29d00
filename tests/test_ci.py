"""What CI calls the lowest versions are those that pyproject.toml allows, and none of them has a known hole."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOWEST = ROOT / ".ci" / "lowest"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CHECKERS = {"django-stubs", "djangorestframework-stubs", "mypy", "ruff"}

needs_ci = pytest.mark.skipif(not LOWEST.exists(), reason="the source distribution comes without .ci")


def _floors() -> dict[str, Version]:
    every = [*PROJECT["dependencies"], *(text for extra in PROJECT["optional-dependencies"].values() for text in extra)]
    wanted = [requirement for requirement in map(Requirement, every) if requirement.name != PROJECT["name"]]
    return {requirement.name: Version(str(requirement.specifier).removeprefix(">=")) for requirement in wanted}


def _run(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)


def _planted(folder: Path, requirement: str) -> Path:
    (folder / ".ci").mkdir()
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "d1verify"\ndependencies = []\n'
        f"[project.optional-dependencies]\ncli = ['{requirement}']\ntest = ['d1verify[cli]']\n"
    )
    return Path(shutil.copy(LOWEST, folder / ".ci"))


@needs_ci
def test_lowest_holds_every_requirement_at_its_floor_but_the_checkers() -> None:
    run = _run(LOWEST)
    pins = [line.split("==") for line in run.stdout.splitlines()]
    wanted = {name: floor for name, floor in _floors().items() if name not in CHECKERS}
    assert (run.returncode, {name: Version(floor) for name, floor in pins}) == (0, wanted)
    assert len(pins) == len(wanted)


@needs_ci
def test_lowest_reads_past_the_extras_of_a_requirement(tmp_path: Path) -> None:
    assert _run(_planted(tmp_path, "uvicorn[standard]>=0.50.1")).stdout == "uvicorn==0.50.1\n"


@needs_ci
@pytest.mark.parametrize(
    "requirement", ["typer", "typer<1", "typer==0.26", "typer>=0.26,<1", "typer>0.26", "typer~=0.26"]
)
def test_lowest_stops_at_a_requirement_without_a_plain_floor(tmp_path: Path, requirement: str) -> None:
    run = _run(_planted(tmp_path, requirement))
    assert (run.returncode, run.stdout) == (1, "")
    assert f"'{requirement}' is not of the form name>=floor" in run.stderr


@pytest.mark.parametrize(
    ("name", "repaired"),
    [
        pytest.param("authlib", "1.7.2", id="authlib: CVE-2026-41425, CVE-2026-44681"),
        pytest.param("joserfc", "1.7.4", id="joserfc: CVE-2026-49852"),
        pytest.param("starlette", "1.3.1", id="starlette: CVE-2026-48710, CVE-2026-54282, CVE-2026-54283"),
        pytest.param("cryptography", "46.0.5", id="cryptography: CVE-2026-26007"),
        pytest.param("h11", "0.16", id="h11: CVE-2025-43859"),
    ],
)
def test_floor_is_not_below_the_release_that_closed_a_hole(name: str, repaired: str) -> None:
    assert _floors()[name] >= Version(repaired)

"""CI: its lowest versions are those that pyproject.toml allows and have no known hole; its workflow trusts little."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from .support import unmeasured

ROOT = Path(__file__).parents[1]
CI = ROOT / ".ci"
LOWEST = CI / "lowest"
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CHECKERS = {"django-stubs", "djangorestframework-stubs", "mypy", "pyright", "ruff"}

needs_ci = pytest.mark.skipif(not LOWEST.exists(), reason="the source distribution comes without .ci")


def _floors() -> dict[str, Version]:
    extras = (texts for name, texts in PROJECT["optional-dependencies"].items() if name != "bench")
    wanted = [
        requirement
        for requirement in map(Requirement, chain(PROJECT["dependencies"], *extras))
        if requirement.name != PROJECT["name"]
    ]
    return {requirement.name: Version(str(requirement.specifier).removeprefix(">=")) for requirement in wanted}


def _run(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, script], env=unmeasured(), capture_output=True, text=True, check=False)


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


# What each release closed, of the holes that can be reached through this package. Sources: the projects' own release
# notes and the advisories by these names.
REPAIRED = [
    # Certificates for a look-alike host name; the key store's TLS streams are anyio's.
    pytest.param("anyio", "4.14.2", id="anyio: CVE-2026-63374"),
    # Transport check fooled by user information in a URL; assertions for another audience.
    pytest.param("authlib", "1.9", id="authlib: CVE-2026-41425, CVE-2026-44681, PYSEC-2026-4354, CVE-2026-114618"),
    # Binary curves; overlong buffers; and the OpenSSL within the wheels.
    pytest.param("cryptography", "48.0.1", id="cryptography: CVE-2026-26007, CVE-2026-39892, GHSA-537c-gmf6-5ccf"),
    # Quadratic parsing of Accept and Content-Type, before any view is asked; 5.2.19 closed five more.
    pytest.param("django", "5.2.19", id="django: CVE-2026-84429"),
    # A small JSON body that unpacks to a huge one, past Django's limit.
    pytest.param("djangorestframework", "3.18.2", id="djangorestframework: CVE-2026-73228, CVE-2026-114136"),
    pytest.param("h11", "0.16", id="h11: CVE-2025-43859"),
    # Bodies unpacked without a bound; TLS left out behind a SOCKS proxy.
    pytest.param("httpx2", "2.12", id="httpx2: GHSA-8xx6-hgc6-gc2m, GHSA-7mj9-2mp8-4m2p"),
    pytest.param("joserfc", "1.7.4", id="joserfc: CVE-2026-49852, CVE-2026-75509, CVE-2026-102946"),
    pytest.param("starlette", "1.3.1", id="starlette: CVE-2026-48710, CVE-2026-48817, CVE-2026-54282, CVE-2026-54283"),
]


@pytest.mark.parametrize(("name", "repaired"), REPAIRED)
def test_floor_is_not_below_the_release_that_closed_a_hole(name: str, repaired: str) -> None:
    assert _floors()[name] >= Version(repaired)


def _ci(script: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CI / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**unmeasured(), **variables})


@needs_ci
def test_requirements_prints_what_pyproject_wants_of_each_name() -> None:
    run = _ci("requirements", "coverage", "h11")
    assert [Requirement(line).name for line in run.stdout.splitlines()] == ["coverage", "h11"]
    assert Version(str(Requirement(run.stdout.splitlines()[1]).specifier)[2:]) == _floors()["h11"]


@needs_ci
def test_requirements_stops_at_a_name_that_is_not_there() -> None:
    run = _ci("requirements", "h12")
    assert (run.returncode, run.stdout) == (1, "")
    assert "'h12'" in run.stderr


@needs_ci
@pytest.mark.parametrize(("marker", "expected"), [("one", (0, "1\n")), ("two", (3, "2\n")), ("three", (1, ""))])
def test_readme_runs_the_block_that_is_marked(tmp_path: Path, marker: str, expected: tuple[int, str]) -> None:
    (tmp_path / ".ci").mkdir()
    script = shutil.copy(CI / "readme", tmp_path / ".ci")
    (tmp_path / "README.md").write_text(
        "<!-- one -->\n```bash\necho 1\n```\ntext\n<!-- two -->\n```bash\necho 2\n(exit 3)\necho never\n```\n"
    )
    run = subprocess.run(["bash", script, marker], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == expected


FAKE_PIP_AUDIT = """
import json, os, sys
answers = json.loads(os.environ["ANSWERS"])
pins = open(sys.argv[sys.argv.index("-r") + 1]).read().split()
if "down" in answers:
    raise SystemExit("cannot reach it")
print(json.dumps({"dependencies": [answers.get(pin.split("==")[0], {"name": pin, "skip_reason": "unknown"}) for pin in pins]}))
"""


def _known(name: str, *holes: str) -> dict[str, Any]:
    vulns = [{"id": f"PYSEC-{hole}", "aliases": [hole], "fix_versions": ["9"]} for hole in holes]
    return {"name": name, "version": "1", "vulns": vulns}


ANSWERS: dict[str, tuple[dict[str, Any], int, str]] = {
    "nothing known": ({"anyio": _known("anyio"), "h11": _known("h11")}, 0, "asked about 2 of 2 projects"),
    "a hole": ({"anyio": _known("anyio"), "h11": _known("h11", "CVE-1")}, 1, "h11 1: PYSEC-CVE-1, CVE-1, repaired in 9; IT COUNTS"),
    "a hole that cannot matter": ({"anyio": _known("anyio", "CVE-2026-69247")}, 0, "harmless: PKCS#7 decryption"),
    "one of each": ({"anyio": _known("anyio", "CVE-2026-69247", "CVE-1")}, 1, "IT COUNTS"),
    "a project unknown": ({"anyio": _known("anyio")}, 0, "asked about 1 of 2 projects"),
    "all unknown": ({}, 0, "NOT AUDITED"),
    "no service": ({"down": {}}, 0, "NOT AUDITED"),
}  # fmt: skip


@needs_ci
@pytest.mark.parametrize("case", ANSWERS)
def test_advisories_fail_for_a_hole_and_say_when_nobody_could_be_asked(tmp_path: Path, case: str) -> None:
    answers, code, said = ANSWERS[case]
    (tmp_path / "pip_audit.py").write_text(FAKE_PIP_AUDIT)
    (tmp_path / "pins.txt").write_text("anyio==1\nh11==1\npytest==1\n")
    run = _ci("advisories", tmp_path / "pins.txt", PYTHONPATH=str(tmp_path), ANSWERS=json.dumps(answers))
    assert run.returncode == code
    assert said in run.stdout
    assert "pytest" not in run.stdout


@needs_ci
def test_a264_the_suite_runs_on_the_newest_versions_and_on_the_lowest() -> None:
    lines = [line.strip() for line in (CI / "run").read_text().splitlines()]
    assert "export PIP_UPGRADE=1 PIP_UPGRADE_STRATEGY=eager" in lines
    assert '.venv-lowest/bin/pip install -q -e ".[test]" -c .venv-lowest/constraints.txt' in lines
    assert ".venv-lowest/bin/python -m pytest -q -n 2" in lines


def test_a265_no_warning_is_only_a_warning() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert settings["filterwarnings"] == ["error"]


needs_workflow = pytest.mark.skipif(not WORKFLOW.exists(), reason="the source distribution comes without .github")


def _workflow() -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text())
    return loaded


def _steps() -> list[dict[str, Any]]:
    return [step for job in _workflow()["jobs"].values() for step in job["steps"]]


@needs_workflow
def test_every_action_is_pinned_to_one_commit_with_its_release_in_a_comment() -> None:
    lines = [line for line in WORKFLOW.read_text().splitlines() if re.search(r"\buses\b", line)]
    pins = [re.fullmatch(r" +(?:- )?uses: (actions/[a-z-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)", line) for line in lines]
    assert len(pins) == sum("uses" in step for step in _steps()) > 0
    assert None not in pins
    assert len({pin.groups() for pin in pins if pin}) == len({pin[1] for pin in pins if pin})


@needs_workflow
def test_matrix_is_the_pythons_of_the_classifiers() -> None:
    classified = [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", text)]
    assert _workflow()["jobs"]["tests"]["strategy"]["matrix"] == {"python": classified}


@needs_workflow
def test_workflow_has_no_permission_and_a_job_may_read_the_code_at_most() -> None:
    workflow = _workflow()
    assert workflow["permissions"] == {}
    assert all(job["permissions"] in ({}, {"contents": "read"}) for job in workflow["jobs"].values())
    checkouts = [step for step in _steps() if "actions/checkout" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert "secrets" not in WORKFLOW.read_text()
    assert "pull_request_target" not in WORKFLOW.read_text()


@needs_workflow
def test_every_job_has_an_end_and_no_command_is_put_together_from_an_event() -> None:
    assert all(0 < job["timeout-minutes"] <= 60 for job in _workflow()["jobs"].values())
    assert not [step["run"] for step in _steps() if "${{" in step.get("run", "")]


@needs_workflow
def test_workflow_runs_the_repositorys_own_scripts() -> None:
    scripts = re.findall(r"bash (\S+)", WORKFLOW.read_text())
    assert scripts == [".ci/readme", ".ci/run"]
    assert all((ROOT / script).exists() for script in scripts)


def _gate() -> dict[str, Any]:
    gate: dict[str, Any] = _workflow()["jobs"]["gate"]
    return gate


@needs_workflow
def test_gate_waits_for_every_other_job_whatever_comes_of_it() -> None:
    assert set(_gate()["needs"]) == set(_workflow()["jobs"]) - {"gate"}
    assert _gate()["if"] == "always()"
    assert _gate()["steps"][0]["env"] == {"RESULTS": "${{ join(needs.*.result, ' ') }}"}


@needs_workflow
@pytest.mark.parametrize(
    ("results", "opens"),
    [
        ("success success", True),
        ("success failure", False),
        ("success cancelled", False),
        ("skipped success", False),
        ("skipped skipped", False),
        ("", False),
    ],
)
def test_gate_opens_only_if_every_job_succeeded(results: str, *, opens: bool) -> None:
    [step] = _gate()["steps"]
    run = subprocess.run(["bash", "-e", "-c", step["run"]], env={"RESULTS": results}, capture_output=True, check=False)
    assert (run.returncode == 0) == opens


SECURITY = ROOT / ".github" / "SECURITY.md"


@pytest.mark.skipif(not SECURITY.exists(), reason="the source distribution comes without .github")
def test_what_is_said_to_hold_a_guarantee_is_there() -> None:
    named = re.findall(r"`(tests/[^`]+)`", SECURITY.read_text())
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).is_file()] == []

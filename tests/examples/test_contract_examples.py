"""The suites under `examples/contract_test`: they pass as their docstrings say, and fail for an app that is wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from d1verify.testing import NOTIFY_UPDATE_PATH, FakeD1, contract_cases

from .serving import ROOT, SETTINGS, command_of, environment

SUITES = Path("examples", "contract_test")
FASTAPI, DJANGO, OPENAPI = "test_fastapi.py", "test_django.py", "test_openapi.py"
DJANGO_VIEWS = ("decorator", "by-hand", "rest")
OWN_TESTS = {FASTAPI: 2, DJANGO: len(DJANGO_VIEWS), OPENAPI: 6}
VIEWS = {FASTAPI: 1, DJANGO: len(DJANGO_VIEWS), OPENAPI: 0}

FAKE_D1 = FakeD1(path=NOTIFY_UPDATE_PATH, open_path="/health", can_rotate=True)
SKIPPED = [case.id for case in contract_cases() if case.missing(FAKE_D1) is not None]
PASSED = len(contract_cases()) - len(SKIPPED)
FOREIGN_PATHS = [case.id for case in contract_cases() if case.id.startswith("path-")]


def run(suite: str, *arguments: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a suite by the command in its docstring, with no setting of d1verify's in the environment.

    schemathesis takes as long to start as a suite to run, and is there for one of them alone.
    """
    plugins = ["-p", "no:cacheprovider", *(() if suite == OPENAPI else ("-p", "no:schemathesis"))]
    command = [*command_of(root / SUITES / suite), *plugins, *arguments]
    clean = environment(PYTEST_ADDOPTS=None, **dict.fromkeys(SETTINGS))
    return subprocess.run(command, cwd=root, env=clean, capture_output=True, text=True, check=False)


def outcomes(output: str) -> dict[str, int]:
    """Return what pytest's last line counts."""
    found = re.findall(r"(\d+) (passed|failed|skipped|error|warning)s?", output.splitlines()[-1])
    return {outcome: int(count) for count, outcome in found}


def failed(output: str) -> set[str]:
    """Return the tests that failed, without the module's name."""
    return set(re.findall(r"^FAILED \S+?::(\S+)", output, re.MULTILINE))


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """A copy of the examples, to plant faults in."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return tmp_path


def plant(root: Path, name: str, *faults: tuple[str, str]) -> None:
    """Replace texts in a file of the examples; each stands there once."""
    file = root / "examples" / name
    text = file.read_text()
    for right, fault in faults:
        assert text.count(right) == 1, right
        text = text.replace(right, fault)
    file.write_text(text)


@pytest.mark.parametrize("suite", [FASTAPI, DJANGO, OPENAPI])
def test_passes_as_its_docstring_says(suite: str) -> None:
    done = run(suite)
    expected = {"passed": VIEWS[suite] * PASSED + OWN_TESTS[suite], "skipped": VIEWS[suite] * len(SKIPPED)}
    assert done.returncode == 0, done.stdout[-2000:]
    assert outcomes(done.stdout) == {outcome: count for outcome, count in expected.items() if count}
    assert "eyJ" not in done.stdout + done.stderr


def test_every_suite_is_run_here() -> None:
    assert {path.name for path in (ROOT / SUITES).glob("test_*.py")} == set(OWN_TESTS)


def test_only_websockets_and_the_passing_of_time_are_skipped() -> None:
    assert {case.partition("-")[0] for case in SKIPPED} == {"websocket", "cache"}


def test_the_fastapi_suite_fails_for_an_app_that_lets_a_token_act_on_another_merchants_path(wrong: Path) -> None:
    plant(wrong, "fastapi_app.py", (', path_param="merchantGatewayId"', ""))
    done = run(FASTAPI, root=wrong)
    assert done.returncode == 1
    assert failed(done.stdout) == {f"test_d1_contract[{case}]" for case in FOREIGN_PATHS}


def test_the_django_suite_fails_for_each_view_that_lets_a_token_act_on_another_merchants_path(wrong: Path) -> None:
    plant(
        wrong,
        "django_app/merchant/views.py",
        ('@d1_required(path_kwarg="merchantGatewayId")', "@d1_required()"),
        ("token.require_subject(merchantGatewayId)", ""),
        ('path_kwarg = "merchantGatewayId"', ""),
    )
    done = run(DJANGO, "-k", "path or baseline", root=wrong)
    assert done.returncode == 1
    assert failed(done.stdout) == {
        f"test_d1_contract[{case}-{view}]" for case in FOREIGN_PATHS for view in DJANGO_VIEWS
    }


ANSWERS, REFUSES = "test_a_call_of_d1_is_answered_as_documented", "test_nobody_elses_call_is_let_through"


@pytest.mark.parametrize(
    ("faults", "run_for", "seen_by"),
    [
        pytest.param(
            [("len(update), token.kid)", 'update["state"], token.kid)')],
            "own-positive",
            {f"{ANSWERS}[own-positive]"},
            id="fails on a body without a state",
        ),
        pytest.param(
            [
                ('app.add_middleware(D1AuthMiddleware, verifier=verifier, exclude=["/health"])', ""),
                ("D1Bearer(verifier, ", "D1Bearer(verifier, auto_error=False, "),
                (", token.kid)", ", token)"),
            ],
            f"own-positive or {REFUSES}",
            {f"{ANSWERS}[own-positive]", f"{REFUSES}[positive]", f"{REFUSES}[negative]"},
            id="lets calls without a token through",
        ),
    ],
)
def test_the_openapi_suite_fails_for_an_app_that(
    wrong: Path, faults: Sequence[tuple[str, str]], run_for: str, seen_by: set[str]
) -> None:
    plant(wrong, "fastapi_app.py", *faults)
    done = run(OPENAPI, "-k", run_for, root=wrong)
    assert done.returncode == 1
    assert failed(done.stdout) == seen_by

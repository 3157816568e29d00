from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from .notify_update import check_body_and_health, check_notify_update
from .serving import ROOT, Server, command_of, environment, serving

PROJECT = ROOT / "examples" / "django_app"


@pytest.mark.parametrize(("module", "program"), [("wsgi", "gunicorn"), ("asgi", "uvicorn")])
def test_does_what_its_docstrings_say(module: str, program: str) -> None:
    command = command_of(PROJECT / "merchant" / f"{module}.py")
    assert Path(command[0]).name == program
    with serving(command) as server:
        check_notify_update(server)
        check_body_and_health(server)
        for way in ("by-hand", "rest"):
            check_notify_update(below(server, way))


def below(server: Server, way: str) -> Any:
    """Return the server as one whose paths all begin with this one."""
    return SimpleNamespace(url=f"{server.url}/{way}")


def check(**changes: str | None) -> tuple[int, str]:
    done = subprocess.run(
        command_of(PROJECT / "manage.py"),
        cwd=ROOT,
        env=environment(**changes),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_its_checks_pass() -> None:
    code, output = check()
    assert (code, output) == (0, "System check identified no issues (0 silenced).\n")


def test_its_checks_name_what_is_wrong() -> None:
    code, output = check(D1VERIFY_SUBJECT=None, D1VERIFY_SUBJEKT="MGW_000001", D1VERIFY_AUDIENCE="prod")
    assert code == 1
    assert "D1VERIFY has no setting 'SUBJEKT' (is SUBJECT meant?)" in output
    assert 'D1VERIFY["SUBJECT"] must be set and not empty' in output
    assert 'D1VERIFY["AUDIENCE"] must be "stg", "prd" or an https URL' in output
    assert "Traceback" not in output

from __future__ import annotations

import subprocess

import pytest

from tests.support import KEY, SUBJECT

from .serving import ROOT, command_of, environment, token_now

EXAMPLE = ROOT / "examples" / "plain_verify.py"


def run(value: str, *arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    command = command_of(EXAMPLE)
    assert command[-1] == SUBJECT
    command[-1:] = arguments or (SUBJECT,)
    return subprocess.run(
        command, input=value, capture_output=True, text=True, cwd=ROOT, env=environment(**changes), check=False
    )


def test_accepts_a_call_of_d1() -> None:
    done = run(f"Bearer {token_now()}\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "accepted\n", "")


@pytest.mark.parametrize(
    ("value", "gateway", "status", "error"),
    [
        ("", SUBJECT, 401, "missing_token"),
        ("\n", SUBJECT, 401, "missing_token"),
        ("Basic dTpw\n", SUBJECT, 401, "missing_token"),
        ("Bearer x\n", SUBJECT, 401, "invalid_token"),
        (f"Bearer {KEY.mint(exp=1)}\n", SUBJECT, 401, "invalid_token"),
        (f"Bearer {token_now()}, Bearer x\n", SUBJECT, 400, "invalid_request"),
        (f"Bearer {token_now()}\n", "MGW_000002", 403, "insufficient_scope"),
    ],
    ids=["nothing", "an empty line", "another scheme", "no JWT", "expired", "two", "another gateway"],
)
def test_prints_what_to_answer(value: str, gateway: str, status: int, error: str) -> None:
    done = run(value, gateway)
    assert done.returncode == 1
    assert "eyJ" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert (lines[0], lines[-1]) == (f"HTTP/1.1 {status}", f'{{"error":"{error}"}}')
    assert "Cache-Control: no-store" in lines


def test_names_the_setting_that_is_missing() -> None:
    done = run("Bearer x\n", D1VERIFY_SUBJECT=None)
    assert done.returncode == 1
    assert "D1VERIFY_SUBJECT must be set" in done.stderr


def test_says_how_it_is_used() -> None:
    done = run("", "one", "two")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage:")

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from d1verify.cli._checkup import Check
from d1verify.cli.doctor import examine
from tests.support import KEY, SUBJECT

from .shell import Shell

JWKS = json.dumps({"keys": [KEY.jwk]})


@pytest.fixture
def d1verify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what sets the variables of a deployment that is well, but for what it is told; None is for unset."""

    def set_up(**changes: str | None) -> None:
        for name in [one for one in os.environ if one.startswith("D1VERIFY_")]:
            monkeypatch.delenv(name)
        for name, value in {"AUDIENCE": "stg", "SUBJECT": SUBJECT, "KEYS": JWKS, **changes}.items():
            if value is not None:
                monkeypatch.setenv(f"D1VERIFY_{name}", value)

    return set_up


@pytest.fixture
def look(environ: Callable[..., None]) -> Callable[..., dict[str, Check]]:
    """Return what gives the doctor's checks of such a deployment, by name."""

    def examined(**changes: str | None) -> dict[str, Check]:
        environ(**changes)
        return {check.name: check for check in examine(os.environ)}

    return examined


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one key in it."""
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o755)
    (folder / f"{KEY.kid}.pem").write_text(KEY.pem)
    return folder

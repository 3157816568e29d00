from __future__ import annotations

from pathlib import Path

import pytest

from .shell import Shell


@pytest.fixture
def d1verify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)

"""That the negative cases are looked at: the type checker of `.ci/run` reads them, in strict mode, with no exception."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_mypy_reads_these_files_in_strict_mode() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert settings["strict"] is True
    assert "tests" in settings["files"]
    assert settings.get("warn_unused_ignores", True)
    assert not {"exclude", "disable_error_code", "ignore_errors"} & settings.keys()
    for override in settings.get("overrides", []):
        modules = override["module"]
        assert not [name for name in ([modules] if isinstance(modules, str) else modules) if name.startswith("tests")]


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "d1verify" / "py.typed").is_file()

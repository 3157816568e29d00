"""The copy in which mutmut works, and running it there."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["MODULES", "ROOT", "TESTS", "environment", "lay_out", "mutmut_command", "run_mutmut", "undecorated"]

ROOT: Final = Path(__file__).resolve().parents[2]
MODULES: Final = ("_codec", "tokens", "claims", "keys", "keycache", "verifier", "_verdicts", "bearer", "asgi")

# The mirrors of the modules and of the rooms through which they work, and the attacks.
TESTS: Final = (
    *(f"tests/test_{module.removeprefix('_')}.py" for module in MODULES),
    "tests/edges/test_starlette.py",
    "tests/test_health.py",
    "tests/test_health_endpoint.py",
    "tests/test_keyformats.py",
    "tests/test_keyloader.py",
    "tests/test_log.py",
    "tests/test_memo.py",
    "tests/test_observer.py",
    "tests/test_paths.py",
    "tests/test_policy.py",
    "tests/test_settings.py",
    "tests/test_wycheproof.py",
    "tests/attacks",
)

_COPIED: Final = ("d1verify", "tests", "examples", ".ci", "README.md", "CHANGELOG.md", "pyproject.toml")
_NOT_COPIED: Final = shutil.ignore_patterns("__pycache__", "node_modules", ".*_cache", ".hypothesis")
_STATUS_SECONDS: Final = 60


def lay_out(folder: Path, modules: Iterable[str]) -> Path:
    """Copy what the tests need into `folder`, mutmut's settings with it, and return where the copy is."""
    copy = folder / "copy"
    copy.mkdir(parents=True)
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=_NOT_COPIED)
        else:
            shutil.copy(source, copy / name)
    shared = ROOT.parent / "shared"
    if shared.is_dir():  # Test vectors are looked for beside the tree, and mutmut works in a folder of the copy.
        (folder / "shared").symlink_to(shared)
        (copy / "shared").symlink_to(shared)
    for module in modules:
        path = copy / "d1verify" / f"{module}.py"
        path.write_text(undecorated(path.read_text(encoding="utf-8")), encoding="utf-8")
    with (copy / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(_settings(modules))
    return copy


def _settings(modules: Iterable[str]) -> str:
    return f"""
[tool.mutmut]
source_paths = ["d1verify"]
only_mutate = {_array(f"d1verify/{module}.py" for module in modules)}
also_copy = {_array(name for name in _COPIED if name != "d1verify")}
use_git_change_detection = false
pytest_add_cli_args = ["-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = {_array(TESTS)}
"""


def _array(texts: Iterable[str]) -> str:
    return json.dumps(list(texts))


def undecorated(source: str) -> str:
    """Return the source with each function's one decorator written as a call below it, which is the same.

    mutmut leaves decorated functions alone, but for class methods. A cache goes: what it
    holds from before a mutant is switched on would hide the mutant.
    """
    lines = source.split("\n")
    for node in sorted(_decorated(ast.parse(source)), key=lambda one: one.lineno, reverse=True):
        decorator = node.decorator_list[0]
        called = ast.unparse(decorator)
        assert node.end_lineno is not None
        if called != "functools.cache":
            lines.insert(node.end_lineno, f"{' ' * node.col_offset}{node.name} = {called}({node.name})")
        del lines[decorator.lineno - 1 : node.lineno - 1]
    return "\n".join(lines)


def _decorated(tree: ast.Module) -> Iterable[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and len(node.decorator_list) == 1:
            decorator = node.decorator_list[0]
            if not (isinstance(decorator, ast.Name) and decorator.id in ("classmethod", "staticmethod")):
                yield node


def environment() -> dict[str, str]:
    """Return the environment of the runs: Hypothesis draws the same in each (its `ci` profile), sets are in one order."""
    return {**os.environ, "CI": "true", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def mutmut_command() -> Path:
    """Return where mutmut's command is if it is installed (`python -m mutmut` is not how it wants to be run)."""
    return Path(sys.executable).with_name("mutmut")


def run_mutmut(copy: Path, jobs: int) -> int:
    """Run mutmut in the copy, its output to `mutmut.log` there, and return its exit status."""
    log = copy / "mutmut.log"
    command = [str(mutmut_command()), "run", "--max-children", str(jobs)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=copy, env=environment(), stdout=output, stderr=subprocess.STDOUT)
        while True:
            try:
                return process.wait(_STATUS_SECONDS)
            except subprocess.TimeoutExpired:
                print(last_line(log), flush=True)


def last_line(log: Path) -> str:
    """Return the last line of a log in which a spinner turns."""
    lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")

"""Mutants of module constants, which mutmut leaves alone: they are read once, before it switches anything.

Each is written into the copy's module and tried in a process of its own.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from .mutants import Change, Mutant, Outcome
from .workshop import TESTS, environment

__all__ = ["constant_changes", "try_constants"]

_SECONDS: Final = 600
_UNCHECKED: Final = frozenset({"__all__"})  # a test compares it with what there is; no verdict hangs on it
_SWAPS: Final = {"+": "-", "-": "+", "**": "*", "*": "/", ">>": "<<", "<<": ">>"}
_OPERATOR: Final = re.compile(r"\*\*|>>|<<|[-+*]")


def try_constants(copy: Path, module: str) -> Iterator[Mutant]:
    """Yield the constants' mutants of a module with their outcomes; `copy` is changed meanwhile."""
    path = copy / "d1verify" / f"{module}.py"
    source = path.read_text(encoding="utf-8")
    mirror = f"tests/test_{module.removeprefix('_')}.py"
    rest = [test for test in TESTS if test != mirror]
    try:
        for change, changed in constant_changes(module, source):
            path.write_text(changed, encoding="utf-8")
            outcome = _outcome(copy, [mirror])
            yield Mutant(change, _outcome(copy, rest) if outcome is Outcome.SURVIVED else outcome)
    finally:
        path.write_text(source, encoding="utf-8")


def _outcome(copy: Path, tests: Sequence[str]) -> Outcome:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=copy, env=environment(), capture_output=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return Outcome.TIMED_OUT
    return Outcome.KILLED if done.returncode else Outcome.SURVIVED


def constant_changes(module: str, source: str) -> Iterator[tuple[Change, str]]:
    """Yield each change to a module's constants, and the whole source with it."""
    lines = source.split("\n")
    stripped = [line.strip() for line in lines]
    for node in _changeable(ast.parse(source)):
        number = node.lineno - 1
        line = lines[number].encode("utf-8")
        start, end = node.col_offset, node.end_col_offset
        for text in _replacements(node, line[start:end].decode("utf-8")):
            new = (line[:start] + text.encode("utf-8") + line[end:]).decode("utf-8")
            nth = stripped[: number + 1].count(stripped[number])
            changed = [*lines[:number], new, *lines[number + 1 :]]
            yield Change(module, "", stripped[number], new.strip(), nth), "\n".join(changed)


def _changeable(tree: ast.Module) -> Iterator[ast.expr]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if not any(isinstance(one, ast.Name) and one.id in _UNCHECKED for one in targets):
                yield from (one for one in ast.walk(statement.value) if isinstance(one, ast.Constant | ast.BinOp))


def _replacements(node: ast.expr, written: str) -> Iterator[str]:
    """Yield what may stand in the place of a one-line expression: another number, text or sign."""
    if node.lineno != node.end_lineno:
        return
    if isinstance(node, ast.BinOp):
        start = (node.left.end_col_offset or 0) - node.col_offset
        yield from (_swapped(written, start, found.group()) for found in [_OPERATOR.search(written, start)] if found)
    elif isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield repr(value + 1)
        elif isinstance(value, str):
            yield from (repr(one) for one in (f"XX{value}XX", value.swapcase()) if one != value)
        elif isinstance(value, bytes):
            yield from (repr(one) for one in (b"XX" + value + b"XX", value.swapcase()) if one != value)


def _swapped(written: str, start: int, sign: str) -> str:
    return written[:start] + written[start:].replace(sign, _SWAPS[sign], 1)

"""Mutants as their text shows them: what was changed where, and what became of it."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

__all__ = ["Change", "Mutant", "Outcome", "outcome", "places", "read_mutants"]


class Outcome(StrEnum):
    """What the tests made of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    """A test ran on for many times its time. Counts as killed."""
    SURVIVED = "survived"
    UNTRIED = "untried"


@dataclass(frozen=True, slots=True)
class Change:
    """What makes a mutant, told by the source and not by a number that shifts with every edit.

    Attributes:
        module: the module's name within the package.
        function: `name` or `Class.name`; empty for the module's own constants.
        before: the changed line or lines, without indentation, joined by a space.
        after: what stands there instead.
        nth: which of the places in the function that read like `before`, from 1.
    """

    module: str
    function: str
    before: str
    after: str
    nth: int = 1


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change and its outcome."""

    change: Change
    outcome: Outcome


# mutmut's own table (its `stats.status_by_exit_code`). A signal other than its time limit, a test
# session that could not even begin, and any other end that is no success were noticed as well.
_KILLED: Final = frozenset({1, 2, 3, -6, -11})
_TIMED_OUT: Final = frozenset({-24, 24, 36, 152, 255, -9})
_SURVIVED: Final = frozenset({0, 5, 33})  # 5 and 33: no test reaches it

_GENERATED: Final = "__mutmut_"
_CLASS_SEPARATOR: Final = "ǁ"


def read_mutants(copy: Path, module: str) -> list[Mutant]:
    """Return the mutants of a module with their outcomes, from what mutmut left in `copy`."""
    generated = copy / "mutants" / "d1verify" / f"{module}.py"
    lines = generated.read_text(encoding="utf-8").split("\n")
    spans = json.loads(_beside(generated, ".spans"))["spans"]
    exit_codes: dict[str, int | None] = json.loads(_beside(generated, ".meta"))["exit_code_by_key"]

    def source_of(generated_name: str, own_name: str) -> list[str]:
        first, last = spans[generated_name]
        return [one.strip().replace(generated_name, own_name) for one in lines[first - 1 : last] if one.strip()]

    mutants = []
    for key, code in exit_codes.items():
        generated_name = key.rpartition(".")[2]
        mangled = generated_name.rpartition(_GENERATED)[0]
        qualified = _qualified(mangled)
        own = qualified.rpartition(".")[2]
        original = source_of(f"{mangled}{_GENERATED}orig", own)
        before, after, nth = _difference(original, source_of(generated_name, own))
        mutants.append(Mutant(Change(module, qualified, before, after, nth), outcome(code)))
    return mutants


def outcome(exit_code: int | None) -> Outcome:
    """Return what an exit status of mutmut's worker says; whatever it does not say is not taken for a kill."""
    if exit_code in _KILLED:
        return Outcome.KILLED
    if exit_code in _TIMED_OUT:
        return Outcome.TIMED_OUT
    return Outcome.SURVIVED if exit_code in _SURVIVED else Outcome.UNTRIED


def places(lines: list[str], text: str) -> int:
    """Return at how many lines `text` begins, be it one line or several joined by a space."""
    return sum(_reads(lines, start, text) for start in range(len(lines)))


def _reads(lines: list[str], start: int, text: str) -> bool:
    joined = ""
    for line in lines[start:]:
        joined = f"{joined} {line}" if joined else line
        if len(joined) >= len(text):
            break
    return joined == text


def _beside(path: Path, ending: str) -> str:
    return path.with_name(path.name + ending).read_text(encoding="utf-8")


def _qualified(mangled: str) -> str:
    """Return `name` for `x_name`, `Class.name` for `xǁClassǁname`."""
    if _CLASS_SEPARATOR in mangled:
        return ".".join(mangled.split(_CLASS_SEPARATOR)[1:])
    return mangled.removeprefix("x_")


def _difference(original: list[str], changed: list[str]) -> tuple[str, str, int]:
    blocks = difflib.SequenceMatcher(None, original, changed, autojunk=False).get_opcodes()
    edits = [block for block in blocks if block[0] != "equal"]
    start, end, new_start, new_end = edits[0][1], edits[-1][2], edits[0][3], edits[-1][4]
    before, after = " ".join(original[start:end]), " ".join(changed[new_start:new_end])
    nth = sum(_reads(original, place, before) for place in range(start + 1))
    return before, after, nth

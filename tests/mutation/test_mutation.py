"""What `python -m tests.mutation` reads, compares and prints, without a run of mutmut; and its list of survivors."""

from __future__ import annotations

import ast
import json
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from . import __main__ as command
from .constants import constant_changes
from .mutants import Change, Mutant, Outcome, outcome, places, read_mutants
from .survivors import SURVIVORS, Survivor
from .verdict import ModuleVerdict, judged, report
from .workshop import MODULES, ROOT, TESTS, lay_out, undecorated

# As mutmut writes it: a function with three mutants, a method with two, and what became of them.
GENERATED = """\
def x_check__mutmut_orig(value):
    if value > 1:
        raise ValueError("no")
    raise ValueError("no")
def x_check__mutmut_1(value):
    if value >= 1:
        raise ValueError("no")
    raise ValueError("no")
def x_check__mutmut_2(value):
    if value > 1:
        raise ValueError("no")
    raise ValueError("NO")
def x_check__mutmut_3(value):
    if value > 2:
        raise ValueError("no")
    raise ValueError("no")
class Set:
    def xǁSetǁload__mutmut_orig(self, age=600):
        return parse(
            self.text,
            age,
        )
    def xǁSetǁload__mutmut_1(self, age=601):
        return parse(
            self.text,
            age,
        )
    def xǁSetǁload__mutmut_2(self, age=600):
        return parse(
            self.text,
            )
"""
EXIT_CODES = {"x_check__mutmut_1": 1, "x_check__mutmut_2": 0, "x_check__mutmut_3": -24}
METHOD_EXIT_CODES = {"xǁSetǁload__mutmut_1": 33, "xǁSetǁload__mutmut_2": None}
READ = [
    Mutant(Change("keys", "check", "if value > 1:", "if value >= 1:"), Outcome.KILLED),
    Mutant(Change("keys", "check", 'raise ValueError("no")', 'raise ValueError("NO")', nth=2), Outcome.SURVIVED),
    Mutant(Change("keys", "check", "if value > 1:", "if value > 2:"), Outcome.TIMED_OUT),
    Mutant(Change("keys", "Set.load", "def load(self, age=600):", "def load(self, age=601):"), Outcome.SURVIVED),
    Mutant(Change("keys", "Set.load", "age,", ""), Outcome.UNTRIED),
]


def spans(generated: str) -> dict[str, list[int]]:
    found = {}
    for node in ast.walk(ast.parse(generated)):
        if isinstance(node, ast.FunctionDef):
            found[node.name] = [node.lineno, node.end_lineno]
    return found  # type: ignore[return-value]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder in which mutmut seems to have worked."""
    folder = tmp_path / "mutants" / "d1verify"
    folder.mkdir(parents=True)
    codes = {f"d1verify.keys.{name}": code for name, code in {**EXIT_CODES, **METHOD_EXIT_CODES}.items()}
    (folder / "keys.py").write_text(GENERATED)
    (folder / "keys.py.spans").write_text(json.dumps({"version": 1, "spans": spans(GENERATED)}))
    (folder / "keys.py.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    return tmp_path


def test_a_mutant_is_told_by_its_function_and_its_lines(copy: Path) -> None:
    assert read_mutants(copy, "keys") == READ


@pytest.mark.parametrize(
    ("code", "expected"),
    [(1, "killed"), (3, "killed"), (0, "survived"), (33, "survived"), (-24, "timed out"), (None, "untried"), (34, "untried"), (99, "untried")],
)  # fmt: skip
def test_what_is_not_known_to_be_a_kill_is_none(code: int | None, expected: str) -> None:
    assert outcome(code) == expected


def verdict_on(*mutants: Mutant, listed: tuple[Change, ...] = ()) -> ModuleVerdict:
    return judged("keys", mutants, [Survivor(change, "why") for change in listed])


KILLED, SURVIVED, TIMED_OUT, UNCOVERED, UNTRIED = READ
MANY = [Mutant(Change("keys", "f", str(number), "x"), Outcome.KILLED) for number in range(38)]


def test_a_survivor_with_its_reason_counts_as_not_killed_and_does_no_harm() -> None:
    verdict = verdict_on(*MANY, SURVIVED, TIMED_OUT, listed=(SURVIVED.change,))
    assert (verdict.ok, verdict.percent) == (True, 97.5)
    assert verdict.row == ("keys", "40", "38", "1", "1", "0", "0", "97.5")


def test_less_than_95_percent_is_not_enough() -> None:
    uncovered = (SURVIVED.change, UNCOVERED.change)
    assert verdict_on(*MANY, SURVIVED, UNCOVERED, listed=uncovered).ok
    assert not verdict_on(*MANY[1:], SURVIVED, UNCOVERED, listed=uncovered).ok


def test_a_survivor_without_a_reason_fails() -> None:
    verdict = verdict_on(*MANY, SURVIVED)
    assert (verdict.ok, verdict.unlisted) == (False, [SURVIVED.change])


def test_the_same_line_elsewhere_is_not_the_one_that_is_listed() -> None:
    change = SURVIVED.change
    elsewhere = Change(change.module, change.function, change.before, change.after, nth=1)
    verdict = verdict_on(*MANY, SURVIVED, listed=(elsewhere,))
    assert (verdict.unlisted, verdict.outdated) == ([change], [elsewhere])


@pytest.mark.parametrize("mutants", [[], [KILLED]], ids=["gone", "killed"])
def test_a_listed_one_that_is_gone_or_killed_fails(mutants: list[Mutant]) -> None:
    verdict = verdict_on(*MANY, *mutants, listed=(KILLED.change,))
    assert (verdict.ok, verdict.outdated) == (False, [KILLED.change])


def test_a_listed_one_that_timed_out_is_neither() -> None:
    assert verdict_on(*MANY, TIMED_OUT, listed=(TIMED_OUT.change,)).ok


def test_one_that_was_not_tried_fails() -> None:
    assert not verdict_on(*MANY, UNTRIED).ok


def test_the_list_of_another_module_is_not_looked_at() -> None:
    assert verdict_on(*MANY, listed=(Change("claims", "f", "a", "b"),)).ok


def test_the_report_names_what_is_to_be_done() -> None:
    text = report([verdict_on(*MANY, SURVIVED, listed=(KILLED.change,))])
    assert "survived without a reason:" in text
    assert "listed, but killed or gone:" in text
    assert repr(SURVIVED.change) in text
    assert text.endswith("FAILED")
    assert report([verdict_on(*MANY)]).endswith("everything holds")


# the copy

DECORATED = '''
class Token:
    @property
    def subject(self):
        """A text."""
        return self._subject

    @classmethod
    def make(cls):
        return cls()


@functools.cache
def scheme():
    return object()


def outer():
    @contextmanager
    def inner():
        yield

    return inner
'''


def test_a_decorator_becomes_a_call_so_that_what_it_decorates_can_be_changed() -> None:
    written = undecorated(DECORATED)
    ast.parse(written)
    assert "    subject = property(subject)\n" in written
    assert "    inner = contextmanager(inner)\n" in written
    assert [line for line in written.split("\n") if line.strip().startswith("@")] == ["    @classmethod"]
    assert "cache" not in written


def test_the_copy_has_the_tests_and_the_settings_and_leaves_the_tree_alone(tmp_path: Path) -> None:
    before = (ROOT / "pyproject.toml").read_text()
    copy = lay_out(tmp_path / "work", ["tokens"])
    assert all((copy / test).exists() for test in TESTS)
    settings = (copy / "pyproject.toml").read_text()
    assert 'only_mutate = ["d1verify/tokens.py"]' in settings
    assert (copy / "d1verify" / "tokens.py").read_text() == undecorated(module_source("tokens"))
    assert (copy / "d1verify" / "keys.py").read_text() == module_source("keys")
    assert (ROOT / "pyproject.toml").read_text() == before


# constants

CONSTANTS = '''\
__all__ = ["LIMIT"]
LIMIT: Final = 8 * 1024
NAMES = ("a", b"B")
TEXT = """
many lines
"""
FLAG = True


def f():
    return 1
'''


def test_numbers_texts_and_signs_of_constants_are_changed_one_at_a_time() -> None:
    changes = list(constant_changes("keys", CONSTANTS))
    assert Counter(change.before for change, _source in changes) == {
        "LIMIT: Final = 8 * 1024": 3,
        'NAMES = ("a", b"B")': 4,
    }
    assert {change.after for change, _source in changes} == {
        "LIMIT: Final = 9 * 1024",
        "LIMIT: Final = 8 * 1025",
        "LIMIT: Final = 8 / 1024",
        "NAMES = ('XXaXX', b\"B\")",
        "NAMES = ('A', b\"B\")",
        "NAMES = (\"a\", b'XXBXX')",
        "NAMES = (\"a\", b'b')",
    }
    for change, source in changes:
        ast.parse(source)
        assert source == CONSTANTS.replace(change.before, change.after)


# the list


def module_source(module: str) -> str:
    return (ROOT / "d1verify" / f"{module}.py").read_text(encoding="utf-8")


def source_lines(module: str, function: str) -> list[str]:
    """Return the stripped lines of a function, or of the module for its constants."""
    source = module_source(module)
    if not function:
        return [line.strip() for line in source.split("\n")]
    scope: ast.AST = ast.parse(source)
    for name in function.split("."):
        (scope,) = (one for one in ast.iter_child_nodes(scope) if getattr(one, "name", None) == name)
    return [line.strip() for line in textwrap.dedent(ast.get_source_segment(source, scope) or "").split("\n")]


@pytest.mark.parametrize("one", SURVIVORS, ids=[f"{n}-{one.change.function}" for n, one in enumerate(SURVIVORS)])
def test_each_survivor_names_a_line_that_there_is_and_says_why(one: Survivor) -> None:
    change = one.change
    assert change.module in MODULES
    assert change.before != change.after
    assert 1 <= change.nth <= places(source_lines(change.module, change.function), change.before)
    assert len(one.why.split()) >= 4


def test_no_survivor_is_listed_twice() -> None:
    assert len({one.change for one in SURVIVORS}) == len(SURVIVORS)


# the command


def test_says_when_mutmut_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "mutmut_command", lambda: Path("/nowhere/mutmut"))
    assert command.main([]) == command.CANNOT_RUN
    assert "mutmut is not installed" in capsys.readouterr().err


@pytest.mark.parametrize(("listed", "status"), [(True, command.HOLDS), (False, command.FAILED)])
def test_holds_the_runs_to_the_list(
    tmp_path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, listed: bool, status: int
) -> None:  # fmt: skip
    mutants = [*MANY, SURVIVED]
    monkeypatch.setattr(command, "mutmut_command", lambda: ROOT)
    monkeypatch.setattr(command, "lay_out", lambda _folder, _modules: copy)
    monkeypatch.setattr(command, "run_mutmut", lambda _copy, _jobs: 0)
    monkeypatch.setattr(command, "read_mutants", lambda _copy, _module: mutants[:30])
    monkeypatch.setattr(command, "try_constants", lambda _copy, _module: iter(mutants[30:]))
    monkeypatch.setattr(command, "SURVIVORS", [Survivor(SURVIVED.change, "why")] if listed else [])
    assert command.main(["--module", "keys", "--folder", str(tmp_path / "work")]) == status
    assert "keys" in capsys.readouterr().out


def test_a_run_that_mutmut_gives_up_is_no_verdict(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "mutmut.log").write_text("Failed to run clean test")
    monkeypatch.setattr(command, "mutmut_command", lambda: ROOT)
    monkeypatch.setattr(command, "lay_out", lambda _folder, _modules: copy)
    monkeypatch.setattr(command, "run_mutmut", lambda _copy, _jobs: 1)
    assert command.main(["--module", "keys"]) == command.CANNOT_RUN
    assert "Failed to run clean test" in capsys.readouterr().err

"""Every harness over its seeds and its corpus, without a fuzzer; and each finds the faults planted for it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from d1verify import Reason
from d1verify._codec import MalformedError, parse_object

from . import judging
from .harnesses import NAMES, Harness, load
from .material import PUBLIC_KEYS
from .oracles import InvariantError, require
from .oracles.token_rules import Rules, Verdict, judge
from .planted import FAULTS, Plant
from .running import COMMITTED
from .seeds import seeds

HERE = Path(__file__).parent
LONGEST_WORD = 64  # libFuzzer drops longer ones without a word.
MOST_COMMITTED_BYTES = 200_000
ANSWERS_OF_OTHERS = {Reason.MISSING_TOKEN, Reason.INVALID_REQUEST, Reason.INSUFFICIENT_SCOPE, Reason.KEYS_UNAVAILABLE}


def inputs(harness: str) -> dict[str, bytes]:
    """Return seeds and corpus by number or file name."""
    folder = COMMITTED / harness
    committed = {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.is_dir() else {}
    return {**{f"seed {number}": seed for number, seed in enumerate(seeds(harness))}, **committed}


@pytest.mark.parametrize("harness", NAMES)
def test_every_invariant_holds_for_seeds_and_corpus(harness: str) -> None:
    module = load(harness)
    for name, data in inputs(harness).items():
        try:
            module.check(data)
        except Exception as error:
            raise AssertionError(f"{harness}: {name}") from error


@pytest.mark.parametrize(
    ("harness", "plant"),
    [
        pytest.param(harness, plant, id=f"{harness}: {name}")
        for harness, faults in FAULTS.items()
        for name, plant in faults.items()
    ],
)
def test_finds_the_planted_fault(harness: str, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    module, tried = load(harness), inputs(harness).values()
    plant(monkeypatch)
    with pytest.raises(InvariantError):
        _check_all(module, tried)


def _check_all(module: Harness, tried: Iterable[bytes]) -> None:
    for data in tried:
        module.check(data)


class _SurpriseError(Exception):
    pass


def test_finds_a_surprise_behind_the_right_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verifier makes `malformed_token` of any error inside; for such a header that is the right reason."""

    def surprised(data: bytes) -> dict[str, Any]:
        try:
            return parse_object(data)
        except MalformedError:
            raise _SurpriseError from None

    monkeypatch.setattr("d1verify.tokens.parse_object", surprised)
    with pytest.raises(InvariantError, match="an error of ours"):
        load("verify_signed").check(b"0{\x1e{}")


def test_every_harness_has_seeds_and_a_planted_fault() -> None:
    modules = {path.stem for path in (HERE / "harnesses").glob("*.py")} - {"__init__"}
    assert set(NAMES) == modules == set(FAULTS)
    assert all(seeds(name) and FAULTS[name] for name in NAMES)


@pytest.mark.parametrize("harness", NAMES)
def test_words_are_short_enough_for_the_fuzzer_to_use(harness: str) -> None:
    assert all(len(word.encode()) <= LONGEST_WORD for word in load(harness).WORDS)


def test_seeds_of_signed_tokens_reach_acceptance_and_every_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    reached: set[str | None] = set()

    def listening(token: bytes, keys: object, rules: Rules) -> Verdict:
        verdict = judge(token, PUBLIC_KEYS, rules)
        reached.add(verdict.reason)
        return verdict

    monkeypatch.setattr(judging, "judge", listening)
    for data in seeds("verify_signed"):
        load("verify_signed").check(data)
    assert reached == {None, *(reason.value for reason in set(Reason) - ANSWERS_OF_OTHERS)}


@pytest.mark.parametrize("path", sorted((HERE / "oracles").glob("*.py")), ids=lambda path: path.stem)
def test_oracles_do_not_import_what_they_judge(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    plain = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    named = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in (*plain, *named) if name.split(".")[0] == "d1verify"]


def test_an_invariant_that_does_not_hold_is_told() -> None:
    with pytest.raises(InvariantError, match=r"^two is one$"):
        require(0, "two is one")


def test_the_committed_corpus_is_small_and_belongs_to_harnesses() -> None:
    folders = list(COMMITTED.iterdir()) if COMMITTED.is_dir() else []
    assert {folder.name for folder in folders} <= set(NAMES)
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) < MOST_COMMITTED_BYTES

"""The log: one record per refusal, one line per change of state, nothing secret and nothing forged (A213 to A215).

What a flood of refusals does is in `test_flood`.
"""

from __future__ import annotations

import ast
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import d1verify
from d1verify import KeyStoreError, Reason, TokenError, _flood
from d1verify._freshness import State
from d1verify._log import KeyLog, Line, RefusalLog, shown
from d1verify.keys import KeySet, SkippedKey
from d1verify.observer import LoadOutcome

from .support import KEY, OTHER_KEY, SigningKey, key_set, make_verifier, refused

HOSTILE = {
    "line ends": ("a\r\nb", "a\\r\\nb"),
    "an escape sequence": ("\x1b[31mred", "\\x1b[31mred"),
    "right to left": ("a\u202eb", "a\\u202eb"),
    "a lone surrogate": ("\udcff", "\\udcff"),
    "formats": ("%s %d {0}", "%s %d {0}"),
    "quotes": ("it's", "it's"),
    "long": ("k" * 300, "k" * 64),
    "long once escaped": ("\n" * 64, "\\n" * 32),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("text", "expected"), HOSTILE.values(), ids=HOSTILE.keys())
def test_shows_what_others_chose_escaped_and_cut_to_64(text: str, expected: str) -> None:
    assert shown(text) == expected
    assert len(shown(text)) <= 64


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="d1verify")
    return caplog


def refusals(log: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    lines = [(record.levelname, record.getMessage()) for record in log.records]
    return [(level, message) for level, message in lines if not message.startswith("keys loaded")]


def test_writes_one_debug_record_for_what_anybody_can_cause(log: pytest.LogCaptureFixture) -> None:
    hostile = SigningKey("k\N{SNOWMAN}" + "x" * 200)
    assert refused(lambda: make_verifier().verify(hostile.mint())) == "unknown_key"
    assert refusals(log) == [("DEBUG", "refused a call: unknown_key (kid k\\u2603" + "x" * 57 + ")")]


def test_writes_a_warning_for_what_d1_signed_and_we_refuse(log: pytest.LogCaptureFixture) -> None:
    assert refused(lambda: make_verifier().verify(KEY.mint(aud="prd"))) == "wrong_environment"
    assert refusals(log) == [("WARNING", "refused a call: wrong_environment (kid d1-key-1)")]


def test_writes_a_dash_for_no_kid(log: pytest.LogCaptureFixture) -> None:
    assert refused(lambda: make_verifier().verify_header(None)) == "missing_token"
    assert refusals(log) == [("DEBUG", "refused a call: missing_token (kid -)")]


def test_names_the_kid_of_a_token_whose_signature_is_bad(log: pytest.LogCaptureFixture) -> None:
    assert refused(lambda: make_verifier().verify(OTHER_KEY.mint({"kid": KEY.kid}))) == "bad_signature"
    assert refusals(log) == [("DEBUG", "refused a call: bad_signature (kid d1-key-1)")]


def test_writes_key_trouble_of_a_call_at_debug(log: pytest.LogCaptureFixture) -> None:
    RefusalLog().write(KeyStoreError("details are logged where the state changes"))
    assert refusals(log) == [("DEBUG", "refused a call: keys_unavailable (kid -)")]


def test_writes_nothing_of_a_kid_when_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="d1verify")
    RefusalLog().write(TokenError(Reason.UNKNOWN_KEY, kid="k"))
    assert caplog.records == []


def test_never_writes_a_token_a_claim_or_a_signature(log: pytest.LogCaptureFixture) -> None:
    token = KEY.mint(sub="another-merchant", secret="s3cret")
    tampered = token[:-8] + ("AAAAAAAA" if not token.endswith("AAAAAAAA") else "BBBBBBBB")
    for bad in (token, tampered, OTHER_KEY.mint({"kid": KEY.kid}), token + "=", token.split(".")[0]):
        refused(lambda bad=bad: make_verifier().verify(bad))  # type: ignore[misc]
    assert len(refusals(log)) == 5
    written = "\n".join(f"{record.getMessage()} {record.args} {record.exc_info}" for record in log.records)
    for secret in (*token.split("."), tampered, "another-merchant", "s3cret"):
        assert secret not in written


# one line per change of state

FAILING = State(failures=1, error="down")


def loaded(*keys: SigningKey, skipped: tuple[SkippedKey, ...] = ()) -> State:
    given = key_set(*keys)
    return State(keys=KeySet(given.keys, skipped=skipped), by_kid=given.keys)


def test_a_lasting_trouble_is_one_line() -> None:
    key_log = KeyLog()
    first = key_log.on_load(LoadOutcome.FAILED, FAILING)
    fields = {"d1_event": "keys_failing", "d1_error": "down"}
    assert first == Line(logging.WARNING, "loading the keys failed: %s", ("down",), fields)
    assert key_log.on_load(LoadOutcome.ABANDONED, FAILING) is None
    assert key_log.on_load(LoadOutcome.FAILED, FAILING) is None


def test_recovery_is_a_line_and_so_is_the_next_trouble() -> None:
    key_log = KeyLog()
    lines = [
        key_log.on_load(outcome, state)
        for outcome, state in [
            (LoadOutcome.ABANDONED, FAILING),
            (LoadOutcome.LOADED, loaded(KEY)),
            (LoadOutcome.LOADED, loaded(KEY)),
            (LoadOutcome.FAILED, FAILING),
        ]
    ]
    assert [line is not None for line in lines] == [True, True, False, True]


def test_a_changed_set_is_a_line() -> None:
    key_log = KeyLog()
    assert key_log.on_load(LoadOutcome.LOADED, loaded(KEY)) is not None
    line = key_log.on_load(LoadOutcome.LOADED, loaded(KEY, OTHER_KEY))
    kids = ["d1-key-1", "d1-key-2"]
    fields = {"d1_event": "keys_loaded", "d1_usable": 2, "d1_kids": kids, "d1_skipped": 0}
    assert line == Line(logging.INFO, "keys loaded: %d usable (%s)", (2, "d1-key-1, d1-key-2"), fields)


def test_skipped_keys_are_a_warning_that_names_them_escaped() -> None:
    state = loaded(KEY, skipped=(SkippedKey("bad\nkid", "it is a private key"),))
    line = KeyLog().on_load(LoadOutcome.LOADED, state)
    assert line is not None
    assert (line.level, line.message % line.args) == (
        logging.WARNING,
        "keys loaded: 1 usable (d1-key-1), 1 skipped (bad\\nkid: it is a private key)",
    )


def test_a_long_list_is_cut_to_eight() -> None:
    keys = [SigningKey(f"k{number}") for number in range(10)]
    line = KeyLog().on_load(LoadOutcome.LOADED, loaded(*keys))
    assert line is not None
    assert line.args == (10, "k0, k1, k2, k3, k4, k5, k6, k7")


def test_keys_grown_too_old_are_an_error_once_and_later_failures_add_nothing() -> None:
    key_log, state = KeyLog(), State(keys=key_set(KEY), by_kid=key_set(KEY).keys, error="down")
    fields = {"d1_event": "keys_expired", "d1_error": "down"}
    assert key_log.on_unusable(state) == Line(logging.ERROR, "the keys are too old to be used: %s", ("down",), fields)
    assert key_log.on_unusable(state) is None
    assert key_log.on_load(LoadOutcome.FAILED, FAILING) is None


def test_a_cache_without_a_set_or_with_all_withdrawn_says_nothing_new() -> None:
    assert KeyLog().on_unusable(FAILING) is None
    assert KeyLog().on_unusable(State(keys=key_set(), revoked=True)) is None


def test_a_withdrawal_of_all_is_an_error_and_what_follows_adds_nothing() -> None:
    key_log = KeyLog()
    levels = [
        None if line is None else line.level
        for line in (
            key_log.on_load(LoadOutcome.EMPTY, loaded(KEY)),
            key_log.on_load(LoadOutcome.EMPTY, loaded(KEY)),
            key_log.on_load(LoadOutcome.REVOKED, loaded()),
            key_log.on_load(LoadOutcome.REVOKED, loaded()),
            key_log.on_load(LoadOutcome.EMPTY, loaded()),
            key_log.on_load(LoadOutcome.FAILED, loaded()),
            key_log.on_load(LoadOutcome.SUPERSEDED, loaded()),
        )
    ]
    assert levels == [logging.WARNING, None, logging.ERROR, None, None, None, None]


def test_a_log_handler_that_fails_is_not_the_callers_trouble(log: pytest.LogCaptureFixture) -> None:
    def fail(_record: logging.LogRecord) -> bool:
        raise RuntimeError("the disk is full")

    logger = logging.getLogger("d1verify")
    logger.addFilter(fail)
    try:
        RefusalLog().write(TokenError(Reason.MALFORMED_TOKEN))
    finally:
        logger.removeFilter(fail)
    assert refusals(log) == []


# fields for programs


class AsJSON(logging.Formatter):
    """Puts what a record has beyond every record's own attributes at the top level, as JSON formatters do."""

    STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        own = {name: value for name, value in vars(record).items() if name not in self.STANDARD}
        return json.dumps({"level": record.levelname, "message": record.getMessage(), **own})


@pytest.fixture
def written(log: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    def read() -> list[dict[str, Any]]:
        lines = [json.loads(AsJSON().format(record)) for record in log.records]
        log.clear()
        return lines

    return read


Written = Callable[[], list[dict[str, Any]]]


def test_a_refusal_has_fields_of_fixed_names_with_what_others_chose_escaped(written: Written) -> None:
    RefusalLog().write(TokenError(Reason.UNKNOWN_KEY, kid="a\nb" + "x" * 100))
    assert written() == [
        {
            "level": "DEBUG",
            "message": "refused a call: unknown_key (kid a\\nb" + "x" * 60 + ")",
            "d1_event": "call_refused",
            "d1_reason": "unknown_key",
            "d1_kid": "a\\nb" + "x" * 60,
            "d1_signed": False,
            "d1_count": 1,
        }
    ]


def test_a_refusal_without_a_kid_has_none(written: Written) -> None:
    RefusalLog().write(KeyStoreError("down"))
    (line,) = written()
    assert (line["d1_kid"], line["d1_reason"], line["d1_signed"]) == (None, "keys_unavailable", False)


def test_what_d1_signed_is_marked_so(written: Written) -> None:
    refused(lambda: make_verifier().verify(KEY.mint(exp=1)))
    assert [(line["level"], line["d1_signed"]) for line in written() if line["d1_event"] == "call_refused"] == [
        ("WARNING", True)
    ]


def test_key_trouble_has_fields(written: Written) -> None:
    key_log = KeyLog()
    lines = [
        key_log.on_load(LoadOutcome.LOADED, loaded(KEY, skipped=(SkippedKey("rsa", "it is no EC key"),))),
        key_log.on_load(LoadOutcome.FAILED, FAILING),
        key_log.on_load(LoadOutcome.EMPTY, loaded(KEY)),
        key_log.on_load(LoadOutcome.REVOKED, loaded()),
    ]
    for line in lines:
        assert line is not None
        line.write()
    fields = [{name: value for name, value in line.items() if name.startswith("d1_")} for line in written()]
    assert fields == [
        {"d1_event": "keys_loaded", "d1_usable": 1, "d1_kids": ["d1-key-1"], "d1_skipped": 1},
        {"d1_event": "keys_failing", "d1_error": "down"},
        {"d1_event": "keys_empty", "d1_error": None},
        {"d1_event": "keys_revoked", "d1_error": None},
    ]


def test_a_failure_inside_has_its_kind_and_no_text(written: Written) -> None:
    verifier = make_verifier(token_cache_size=0)
    verifier._clock = lambda: 1 / 0
    assert refused(lambda: verifier.verify(KEY.mint())) == "malformed_token"
    (failure,) = [line for line in written() if line["d1_event"] == "internal_failure"]
    assert (failure["level"], failure["d1_error"], failure["d1_count"]) == ("ERROR", "ZeroDivisionError", 1)


def test_a_token_that_does_not_speak_for_the_path_is_in_the_log_of_its_verifier(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_flood, "_untold", set())
    busy, quiet = (make_verifier().verify(KEY.mint()) for _verifier in range(2))
    for _call in range(50):
        assert refused(lambda: busy.require_subject("MGW_000002")) == "insufficient_scope"
    log.clear()
    assert refused(lambda: busy.require_subject("MGW_000002")) == "insufficient_scope"
    assert refused(lambda: quiet.require_subject("MGW_000002")) == "insufficient_scope"
    assert refusals(log) == [("WARNING", "refused a call: insufficient_scope (kid d1-key-1)")]


def test_a_token_that_speaks_for_the_path_is_not_in_the_log(log: pytest.LogCaptureFixture) -> None:
    token = make_verifier().verify(KEY.mint())
    log.clear()
    token.require_subject(token.subject)
    assert refusals(log) == []


# what the README lists

ROOT = Path(__file__).parents[1]
PACKAGE = Path(d1verify.__file__).parent
SOURCES = {str(path.relative_to(PACKAGE.parent)): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}
# The one place where the logger itself is called.
WRITER = {"d1verify/_records.py"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def events_in(tree: ast.Module) -> Iterator[str]:
    """Yield each `d1_event` that a module writes; one made of a parameter as often as it is given a text."""
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for value in values_of("d1_event", function):
            names = [node.id for node in ast.walk(value) if isinstance(node, ast.Name)]
            given = [{name: text} for name in names for text in texts_given_to(function.name, tree)] if names else [{}]
            assert given, f"{function.name} writes a d1_event that is not in the sources"
            yield from (eval(ast.unparse(value), dict(one)) for one in given)


def values_of(key: str, function: ast.FunctionDef) -> Iterator[ast.expr]:
    for node in (node for node in ast.walk(function) if isinstance(node, ast.Dict)):
        yield from (value for name, value in zip(node.keys, node.values, strict=True) if is_text(name, key))


def is_text(node: ast.expr | None, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text


def texts_given_to(name: str, tree: ast.Module) -> list[str]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    first = [call.args[0] for call in calls if call.func.attr == name and call.args]  # type: ignore[attr-defined]
    return [node.value for node in first if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def test_the_readme_lists_every_event_and_no_other() -> None:
    (table,) = re.findall(
        r"^\| `d1_event` \|.*\n\|[ -|]+\n((?:\|.*\n)+)", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    names = [row.split("|")[1].partition(":")[0] for row in table.splitlines()]
    listed = [event for name in names for event in re.findall(r"`(\w+)`", name)]
    assert sorted(listed) == sorted({event for tree in SOURCES.values() for event in events_in(tree)})


def test_no_record_is_written_without_fields() -> None:
    calls = [(path, node) for path, tree in SOURCES.items() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    written = [(path, call) for path, call in calls if ast.unparse(call.func) == "Line"]
    assert [path for path, call in written if len(call.args) != 4] == []
    plain = {path for path, call in calls if re.fullmatch(rf"log\(\)\.({'|'.join(LEVELS)})", ast.unparse(call.func))}
    assert plain == WRITER

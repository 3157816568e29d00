"""The log: one record per refusal, one line per change of state, nothing secret and nothing forged (A213 to A215)."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from d1verify import KeyStoreError, Reason, TokenError
from d1verify._freshness import State
from d1verify._log import KeyLog, Line, log_refusal, shown
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
    log_refusal(KeyStoreError("details are logged where the state changes"))
    assert refusals(log) == [("DEBUG", "refused a call: keys_unavailable (kid -)")]


def test_writes_nothing_of_a_kid_when_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="d1verify")
    log_refusal(TokenError(Reason.UNKNOWN_KEY, kid="k"))
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
    assert first == Line(logging.WARNING, "loading the keys failed: %s", ("down",))
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
    assert line == Line(logging.INFO, "keys loaded: %d usable (%s)", (2, "d1-key-1, d1-key-2"))


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
    key_log, state = KeyLog(), replace(loaded(KEY), error="down")
    assert key_log.on_unusable(state) == Line(logging.ERROR, "the keys are too old to be used: %s", ("down",))
    assert key_log.on_unusable(state) is None
    assert key_log.on_load(LoadOutcome.FAILED, FAILING) is None


def test_a_cache_without_a_set_or_with_all_withdrawn_says_nothing_new() -> None:
    assert KeyLog().on_unusable(FAILING) is None
    assert KeyLog().on_unusable(replace(loaded(), revoked=True)) is None


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
        log_refusal(TokenError(Reason.MALFORMED_TOKEN))
    finally:
        logger.removeFilter(fail)
    assert refusals(log) == []

from __future__ import annotations

import copy
import pickle

import pytest

from d1verify import ConfigurationError, D1VerifyError, KeyStoreError, Reason, TokenError

REASONS = [
    "missing_token", "invalid_request", "malformed_token", "disallowed_algorithm", "unknown_key", "bad_signature",
    "missing_claim", "invalid_claim", "wrong_issuer", "wrong_environment", "wrong_audience", "wrong_subject",
    "expired", "lifetime_too_long", "not_yet_valid", "insufficient_scope", "keys_unavailable",
]  # fmt: skip


def test_the_reason_codes_are_stable() -> None:
    assert [reason.value for reason in Reason] == REASONS


@pytest.mark.parametrize("error", [TokenError, KeyStoreError, ConfigurationError])
def test_every_error_is_one_of_ours(error: type[Exception]) -> None:
    assert issubclass(error, D1VerifyError)


def test_the_three_families_do_not_overlap() -> None:
    assert not issubclass(TokenError, KeyStoreError | ConfigurationError)
    assert not issubclass(KeyStoreError, TokenError | ConfigurationError)
    assert not issubclass(ConfigurationError, TokenError | KeyStoreError)
    assert issubclass(ConfigurationError, ValueError)


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_a_message_that_differs_from_the_others(reason: Reason) -> None:
    messages = [str(TokenError(one)) for one in Reason]
    assert messages.count(str(TokenError(reason))) == 1


@pytest.mark.parametrize("reason", Reason)
def test_a_message_holds_nothing_of_what_was_sent(reason: Reason) -> None:
    error = TokenError(reason, kid="chosen-by-the-caller", signed=True)
    assert str(error) == str(TokenError(reason))
    assert "chosen" not in repr(error)


def test_a_token_error_carries_reason_kid_and_whether_it_was_signed() -> None:
    plain, full = TokenError(Reason.EXPIRED), TokenError(Reason.EXPIRED, kid="k", signed=True)
    assert (plain.reason, plain.kid, plain.signed) == (Reason.EXPIRED, None, False)
    assert (full.reason, full.kid, full.signed) == (Reason.EXPIRED, "k", True)


def test_a_key_store_error_has_the_reason_keys_unavailable() -> None:
    error = KeyStoreError("why", retry_after=7.5)
    assert (error.reason, error.retry_after, str(error)) == (Reason.KEYS_UNAVAILABLE, 7.5, "why")
    assert KeyStoreError("why").retry_after == 1.0


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_survive_a_process_pool(duplicate: object) -> None:
    assert callable(duplicate)
    token_error = duplicate(TokenError(Reason.EXPIRED, kid="k", signed=True))
    assert (token_error.reason, token_error.kid, token_error.signed) == (Reason.EXPIRED, "k", True)
    store_error = duplicate(KeyStoreError("why", retry_after=7.5))
    assert (str(store_error), store_error.retry_after) == ("why", 7.5)

"""Settings are judged when a verifier is built, and the message names the argument."""

from __future__ import annotations

import math
from typing import Any

import pytest

from d1verify import ANY_SUBJECT, ConfigurationError, D1Verifier, StaticKeyStore
from d1verify.policy import d1_policy

from .support import KEY, SUBJECT, make_verifier

GOOD: dict[str, Any] = {"audience": "stg", "subject": SUBJECT, "leeway": 30, "max_lifetime": 900}


def shown(value: object) -> str:
    """Return the value, or its type where its repr would be another one in every process."""
    text = repr(value)
    return type(value).__name__ if " at 0x" in text else f"{text:.40}"


REFUSED = [
    *[
        pytest.param({"audience": value}, "audience", id=f"audience {value!r:.40}")
        for value in (
            None, "", "prod", "PRD", "stg ", "stg,prd", b"stg", ["stg"], ("prd",), {"prd": 1}, 1, True,
            "http://merchant.example", "https://", "https:///x", "https://[", "https://a b", "https://a\n.example",
            "ftp://merchant.example", "merchant.example",
        )
    ],
    *[
        pytest.param({"subject": value}, "subject", id=f"subject {shown(value)}")
        for value in (
            None, "", [], (), set(), {}, [""], ["MGW", ""], ["MGW", None], [1], 1, True, b"MGW", bytearray(b"MGW"),
            memoryview(b"MGW"), iter(["MGW"]), (one for one in ["MGW"]), object(), "*", ["MGW", "*"], "MGW\n", "MGW\0",
            ["\ud800"], "\u202emgw",
        )
    ],
    *[
        pytest.param({"leeway": value}, "leeway", id=f"leeway {value!r:.40}")
        for value in (
            -1, -0.001, 300.001, 301, math.nan, math.inf, -math.inf, "30", None, True, False, b"30", 1j, [30], 10**400,
        )
    ],
    *[
        pytest.param({"max_lifetime": value}, "max_lifetime", id=f"max_lifetime {value!r:.40}")
        for value in (0, -900, 900.001, 901, 10**400, math.nan, math.inf, "900", None, True, [900])
    ],
]  # fmt: skip


@pytest.mark.parametrize(("change", "named"), REFUSED)
def test_refuses_a_setting_and_names_it(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        D1Verifier(StaticKeyStore({KEY.kid: KEY.pem}), **{**GOOD, **change})


ACCEPTED = [
    {"audience": "stg"},
    {"audience": "prd"},
    {"audience": "https://merchant.example/d1"},
    {"subject": ["A", "B"]},
    pytest.param({"subject": {"A", "B"}}, id="a set of two"),
    {"subject": frozenset({"A"})},
    {"subject": ("A",)},
    {"subject": ANY_SUBJECT},
    {"subject": "händler 1"},
    {"leeway": 0},
    {"leeway": 300},
    {"leeway": 2.5},
    {"max_lifetime": 1},
    {"max_lifetime": 900.0},
]


@pytest.mark.parametrize("change", ACCEPTED, ids=repr)
def test_accepts_a_setting(change: dict[str, Any]) -> None:
    D1Verifier(StaticKeyStore({KEY.kid: KEY.pem}), **{**GOOD, **change})


def test_a_bare_string_is_one_subject_and_not_its_letters() -> None:
    assert d1_policy(**GOOD).subjects == frozenset({SUBJECT})


def test_any_subject_is_no_set_at_all() -> None:
    assert d1_policy(**{**GOOD, "subject": ANY_SUBJECT}).subjects is None


@pytest.mark.parametrize(("audience", "others"), [("stg", {"prd"}), ("prd", {"stg"})])
def test_the_other_environment_is_the_other_one(audience: str, others: set[str]) -> None:
    assert d1_policy(**{**GOOD, "audience": audience}).other_environments == others


def test_a_policy_cannot_be_changed() -> None:
    policy = d1_policy(**GOOD)
    with pytest.raises(AttributeError):
        policy.audience = "prd"  # type: ignore[misc]


def test_a_collection_that_changes_later_changes_nothing() -> None:
    subjects = ["A"]
    policy = d1_policy(**{**GOOD, "subject": subjects})
    subjects.append("B")
    assert policy.subjects == frozenset({"A"})


@pytest.mark.parametrize("size", [-1, 1.5, "10", None, True, math.nan, math.inf])
def test_refuses_a_token_cache_size(size: Any) -> None:
    with pytest.raises(ConfigurationError, match="token_cache_size"):
        make_verifier(token_cache_size=size)


@pytest.mark.parametrize("clock", [None, 1.0, lambda: None, lambda: "1", lambda: True, object])
def test_refuses_a_clock(clock: Any) -> None:
    with pytest.raises(ConfigurationError, match="clock"):
        make_verifier(clock=clock)


@pytest.mark.parametrize("observer", [object(), print, "notify"])
def test_refuses_an_observer_without_notify(observer: Any) -> None:
    with pytest.raises(ConfigurationError, match="observer"):
        make_verifier(observer=observer)


@pytest.mark.parametrize("store", [object(), "/etc/d1/keys", {}, KEY.pem])
def test_refuses_a_store_without_load(store: Any) -> None:
    with pytest.raises(ConfigurationError, match="store"):
        D1Verifier(store, **GOOD)

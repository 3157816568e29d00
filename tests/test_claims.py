"""Every row of the claims rules, and the order of the rows."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from d1verify import ANY_SUBJECT, TokenError, claims
from d1verify.claims import check, check_time
from d1verify.policy import Policy, d1_policy

from .support import KEY, NOW, REMOVE, SUBJECT, Clock, d1_claims, make_verifier, refused


def policy(**changes: Any) -> Policy:
    return d1_policy(**{"audience": "stg", "subject": SUBJECT, "leeway": 30, "max_lifetime": 900, **changes})


def judge(payload: dict[str, Any], rules: Policy, now: float = NOW) -> tuple[float, float]:
    """Return from when and until when these claims are good, if they are now."""
    window = check(payload, rules)
    check_time(window, now)
    return window[:2]


def reason_of(changes: dict[str, Any], **settings: Any) -> str:
    return refused(lambda: judge(d1_claims(**changes), policy(**settings)))


NO_TIMES: list[Any] = [
    None,
    True,
    False,
    "1800000000",
    "",
    [],
    [NOW],
    {},
    2**53,
    -(2**53),
    2**63,
    10**308,
    1e300,
    math.inf,
    math.nan,
]

REFUSED = [
    *[pytest.param({name: REMOVE}, "missing_claim", id=f"no {name}") for name in ("iss", "sub", "aud", "exp")],
    *[
        pytest.param({name: value}, "invalid_claim", id=f"{name} {value!r}")
        for name in ("iss", "sub")
        for value in (None, "", 1, True, ["d1"], {"d1": 1}, 1.5)
    ],
    *[
        pytest.param({"aud": value}, "invalid_claim", id=f"aud {value!r}")
        for value in (None, 1, True, {"stg": 1}, [["stg"]], ["stg", 1], ["stg", None], ["stg", ["stg"]], 1.5)
    ],
    *[
        pytest.param({name: value}, "invalid_claim", id=f"{name} {value!r:.30}")
        for name in ("exp", "iat", "nbf")
        for value in NO_TIMES
    ],
    *[
        pytest.param({"iss": value}, "wrong_issuer", id=f"iss {value!r}")
        for value in ("d", "D1", "d1 ", " d1", "d1\0", "d1\n", "\uff441", "dl", "d11", "https://d1", "*")
    ],
    pytest.param({"aud": "prd"}, "wrong_environment", id="the other environment"),
    pytest.param({"aud": ["prd"]}, "wrong_environment", id="the other environment in an array"),
    pytest.param({"aud": ["x", "prd"]}, "wrong_environment", id="the other environment beside a third"),
    *[
        pytest.param({"aud": value}, "wrong_audience", id=f"aud {value!r}")
        for value in ("", "st", "stg ", "STG", "stgg", "stg,prd", "dev", "*", "d1", "stg\0", [], [""], ["st", "g"])
    ],
    pytest.param({"aud": ["stg", ""]}, "wrong_audience", id="ours beside an empty string"),
    *[
        pytest.param({"sub": value}, "wrong_subject", id=f"sub {value!r}")
        for value in ("MGW_000002", SUBJECT[:-1], SUBJECT + "0", SUBJECT.lower(), SUBJECT + " ", "\uff21" + SUBJECT[1:], "*")
    ],
    pytest.param({"exp": NOW - 30}, "expired", id="exp with the leeway is now"),
    *[pytest.param({"exp": value}, "expired", id=f"exp {value!r}") for value in (0, -0.0, -1, NOW - 3600, 1 - 2**53, 1e-300)],
    pytest.param({"exp": NOW - 30 - 1e-3}, "expired", id="exp a fraction before"),
    *[
        pytest.param({"exp": NOW + ahead}, "lifetime_too_long", id=f"exp {ahead} ahead")
        for ahead in (931, 930.5, 3600, 315_360_000, NOW * 999)
    ],
    pytest.param({"exp": 2**53 - 1}, "lifetime_too_long", id="the largest exp"),
    *[
        pytest.param({name: NOW + ahead}, "not_yet_valid", id=f"{name} {ahead} ahead")
        for name in ("iat", "nbf")
        for ahead in (31, 30.001, 3600)
    ],
]  # fmt: skip


@pytest.mark.parametrize(("changes", "reason"), REFUSED)
def test_refuses(changes: dict[str, Any], reason: str) -> None:
    assert reason_of(changes) == reason


def as_json(changes: dict[str, Any]) -> bool:
    return not any(isinstance(value, float) and not math.isfinite(value) for value in changes.values())


@pytest.mark.parametrize(("changes", "reason"), [one for one in REFUSED if as_json(one.values[0])])  # type: ignore[arg-type]
def test_a_verifier_refuses_it_signed(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(TokenError) as caught:
        make_verifier().verify(KEY.mint(**changes))
    assert (caught.value.reason.value, caught.value.kid, caught.value.signed) == (reason, KEY.kid, True)


ACCEPTED = [
    {},
    {"aud": ["stg"]},
    {"aud": ["prd", "stg"]},
    {"aud": ["stg", "stg"]},
    {"exp": NOW - 29},
    {"exp": NOW - 29.999},
    {"exp": NOW + 930},
    {"exp": float(NOW + 600)},
    {"exp": NOW + 0.5},
    {"iat": NOW + 30},
    {"nbf": NOW + 30.0},
    {"iat": NOW - 10_000_000},
    {"iat": 0, "nbf": -5},
    {"iat": 1 - 2**53},
    {"scope": "admin", "role": "root", "client_id": "x", "__class__": "y"},
]


@pytest.mark.parametrize("changes", ACCEPTED, ids=repr)
def test_accepts(changes: dict[str, Any]) -> None:
    assert make_verifier().verify(KEY.mint(**changes)).claims == json.loads(json.dumps(d1_claims(**changes)))


# The rows in their order: a token that breaks them from a row on gets the reason of that row.
ROWS = [
    ({"exp": REMOVE}, "missing_claim"),
    ({"nbf": "x"}, "invalid_claim"),
    ({"iss": "d2"}, "wrong_issuer"),
    ({"aud": "prd"}, "wrong_environment"),
    ({"sub": "other"}, "wrong_subject"),
    ({"exp": 0}, "expired"),
    ({"iat": NOW + 3600}, "not_yet_valid"),
]


@pytest.mark.parametrize("first", range(len(ROWS)), ids=[reason for _, reason in ROWS])
def test_the_order_of_the_rows_is_the_order_of_the_checks(first: int) -> None:
    changes: dict[str, Any] = {}
    for broken, _ in reversed(ROWS[first:]):
        changes |= broken
    assert reason_of(changes) == ROWS[first][1]


def test_a_lifetime_too_long_comes_before_not_yet_valid() -> None:
    assert reason_of({"exp": NOW + 9000, "iat": NOW + 9000}) == "lifetime_too_long"


def test_the_audience_is_judged_before_the_subject_when_neither_is_known() -> None:
    assert reason_of({"aud": "dev", "sub": "other"}) == "wrong_audience"


@pytest.mark.parametrize(("audience", "reason"), [("prd", "wrong_environment"), ("stg", None)])
def test_an_https_audience_is_compared_whole(audience: str, reason: str | None) -> None:
    url = "https://merchant.example/d1"
    check(d1_claims(aud=url), policy(audience=url))
    assert refused(lambda: check(d1_claims(aud=url + "/"), policy(audience=url))) == "wrong_audience"
    assert refused(lambda: check(d1_claims(aud=url), policy(audience="stg"))) == "wrong_audience"


@pytest.mark.parametrize("subject", ["A", "B"])
def test_several_subjects_are_each_accepted(subject: str) -> None:
    check(d1_claims(sub=subject), policy(subject=["A", "B"]))
    assert refused(lambda: check(d1_claims(sub="AB"), policy(subject=["A", "B"]))) == "wrong_subject"


def test_any_subject_takes_any_name_and_nothing_else() -> None:
    check(d1_claims(sub="anybody"), policy(subject=ANY_SUBJECT))
    for value, reason in ((REMOVE, "missing_claim"), ("", "invalid_claim"), (5, "invalid_claim")):
        assert reason_of({"sub": value}, subject=ANY_SUBJECT) == reason


@pytest.mark.parametrize("sub", ["\0", "a\nb", "\x1b[31m", "\u202e", "a\u200b"])
def test_any_subject_takes_no_control_characters(sub: str) -> None:
    assert reason_of({"sub": sub}, subject=ANY_SUBJECT) in ("invalid_claim", "wrong_subject")


@pytest.mark.parametrize("value", [5, True, None, ["x"], {}], ids=repr)
def test_refuses_a_jti_that_is_no_text(value: object) -> None:
    assert refused(lambda: check(d1_claims(jti=value), policy())) == "invalid_claim"


@pytest.mark.parametrize("value", ["", "x", "\u20ac" * 300], ids=["empty", "short", "long"])
def test_takes_any_text_as_jti(value: str) -> None:
    judge(d1_claims(jti=value), policy())


def window(now: float = NOW, *, leeway: float = 30, **changes: Any) -> tuple[float, float]:
    return judge(d1_claims(**changes), policy(leeway=leeway), now)


def test_the_window_is_half_open() -> None:
    for now in (NOW - 930, NOW + 29.999):
        assert window(now, exp=NOW) == (NOW - 930, NOW + 30)
    assert refused(lambda: window(NOW + 30, exp=NOW)) == "expired"
    assert refused(lambda: window(NOW - 930.001, exp=NOW)) == "lifetime_too_long"


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_the_window_opens_with_the_latest_of_its_beginnings(name: str) -> None:
    claimed = {"exp": NOW + 600, name: NOW - 5}
    assert window(NOW - 35, **claimed) == (NOW - 35, NOW + 630)
    assert refused(lambda: window(NOW - 35.5, **claimed)) == "not_yet_valid"


@pytest.mark.parametrize(
    ("iat", "nbf", "lo"),
    [
        (NOW - 10_000, NOW - 20_000, NOW + 870 - 900 - 30),
        (NOW + 20, NOW - 20, NOW - 10),
        (NOW - 20, NOW + 20, NOW - 10),
    ],
)
def test_the_window_opens_with_the_latest_whichever_it_is(iat: int, nbf: int, lo: int) -> None:
    assert window(exp=NOW + 870, iat=iat, nbf=nbf)[0] == lo


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
def test_a_clock_that_has_lost_the_time_refuses(now: float) -> None:
    with pytest.raises(TokenError):
        window(now, iat=NOW)


def test_leeway_counts_once_to_each_comparison() -> None:
    assert window(exp=NOW, iat=NOW, leeway=300) == (NOW - 300, NOW + 300)
    assert window(exp=NOW, leeway=300)[0] == NOW - 900 - 300


def test_a_shorter_maximum_lifetime_counts() -> None:
    strict = policy(max_lifetime=60, leeway=0)
    judge(d1_claims(exp=NOW + 60), strict)
    assert refused(lambda: judge(d1_claims(exp=NOW + 61), strict)) == "lifetime_too_long"


def test_time_is_read_at_each_call() -> None:
    clock = Clock()
    verifier, token = make_verifier(clock=clock), KEY.mint(exp=NOW + 1)
    verifier.verify(token)
    clock.advance(30.5)
    verifier.verify(token)
    clock.advance(0.5)
    assert refused(lambda: verifier.verify(token)) == "expired"
    clock.now = NOW - 929.5
    assert refused(lambda: verifier.verify(token)) == "lifetime_too_long"
    clock.now = NOW
    verifier.verify(token)


def test_what_is_as_configured_needs_no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_check_values", lambda *_: pytest.fail("looked at rule by rule"))
    judge(d1_claims(), policy())

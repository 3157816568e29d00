"""Chapters 12 and 13: time, issuer, subject, audience, and tokens that were made for something else."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest

from d1verify import ConfigurationError, D1Verifier, StaticKeyStore
from d1verify.asgi import D1User

from ..support import KEY, NOW, OTHER_KEY, REMOVE, SUBJECT, Clock, SigningKey, make_verifier, refused

MINUTES_15 = 900
NO_TIMES: list[Any] = [None, "1", True, [], {}]

REFUSED = [
    pytest.param({"exp": REMOVE}, "missing_claim", id="A187-missing"),
    pytest.param({"exp": None}, "invalid_claim", id="A187-null"),
    *[
        pytest.param({"exp": value}, "invalid_claim", id=f"A188-{value!r}")
        for value in (True, False, str(NOW + 60), [NOW + 60], {"exp": NOW}, "")
    ],
    *[
        pytest.param({"exp": NOW - 30 + ahead}, reason, id=f"A191-{ahead}")
        for ahead, reason in ((0, "expired"), (-1, "expired"))
    ],
    *[
        pytest.param({"exp": NOW + MINUTES_15 + 30 + ahead}, "lifetime_too_long", id=f"A192-{ahead} over")
        for ahead in (0.001, 1, 315_360_000)
    ],
    pytest.param({"exp": 10**300}, "invalid_claim", id="A192-300 digits"),
    pytest.param({"exp": (NOW + 60) * 1000}, "lifetime_too_long", id="A193-milliseconds"),
    *[pytest.param({"exp": value}, "expired", id=f"A194-{value!r}") for value in (-1, 0, -0.0, -(2**52))],
    *[
        pytest.param({name: NOW + 31}, "not_yet_valid", id=f"A196-{name} in the future") for name in ("iat", "nbf")
    ],
    *[
        pytest.param({name: value}, "invalid_claim", id=f"A196-{name} {value!r}")
        for name in ("iat", "nbf")
        for value in NO_TIMES
    ],
    *[
        pytest.param({"exp": value}, "lifetime_too_long", id=f"A199-{name}")
        for name, value in (("year 2038", 2**31 + NOW), ("year 9999", 253_402_300_800), ("beyond datetime", 2**50))
    ],
    pytest.param({"iss": REMOVE}, "missing_claim", id="A201-missing"),
    pytest.param({"iss": ["d1"]}, "invalid_claim", id="A201-list"),
    *[pytest.param({"iss": iss}, "wrong_issuer", id=f"A201-{iss!a}") for iss in ("d", "D1", "d1 ", "d1\0", "\u05011", "d11")],
    pytest.param({"aud": "prd"}, "wrong_environment", id="A202-prd on stg"),
    *[
        pytest.param({"aud": aud}, reason, id=f"A203-{aud!r}")
        for aud, reason in (
            (["prd"], "wrong_environment"), ([], "wrong_audience"), ([["stg"]], "invalid_claim"), (["stg", 1], "invalid_claim"),
            ({"stg": 1}, "invalid_claim"), ("st", "wrong_audience"), ("stgx", "wrong_audience"), (["stg", ""], "wrong_audience"),
        )
    ],
    pytest.param({"aud": REMOVE}, "missing_claim", id="A204-missing"),
    pytest.param({"aud": None}, "invalid_claim", id="A204-null"),
    pytest.param({"aud": ""}, "wrong_audience", id="A204-empty"),
    pytest.param({"sub": "MGW_000002"}, "wrong_subject", id="A205-another merchant"),
    pytest.param({"sub": REMOVE}, "missing_claim", id="A206-missing"),
    *[pytest.param({"sub": sub}, "invalid_claim", id=f"A206-{sub!r}") for sub in ("", 1, None, [SUBJECT])],
    pytest.param({"sub": "x" * 4000}, "wrong_subject", id="A206-long"),
    pytest.param({"sub": "\uff2dGW_000001"}, "wrong_subject", id="A211-full-width letter"),
    pytest.param({"sub": SUBJECT.lower()}, "wrong_subject", id="A211-lower case"),
]  # fmt: skip


@pytest.mark.parametrize(("claims", "reason"), REFUSED)
def test_claims_are_refused(claims: dict[str, Any], reason: str) -> None:
    assert refused(lambda: make_verifier().verify(KEY.mint(**claims))) == reason


ACCEPTED = [
    pytest.param({"exp": NOW + 0.25}, id="A189-fraction"),
    pytest.param({"exp": NOW - 29}, id="A191-within leeway"),
    pytest.param({"exp": NOW + MINUTES_15 + 30}, id="A192-exactly"),
    pytest.param({"iat": NOW - 10**7, "nbf": NOW + 30}, id="A196-iat does not measure the lifetime"),
    pytest.param({"aud": ["stg", "prd"]}, id="A203-array that has ours"),
]


@pytest.mark.parametrize("claims", ACCEPTED)
def test_claims_are_accepted(claims: dict[str, Any]) -> None:
    assert make_verifier().verify(KEY.mint(**claims)).subject == SUBJECT


@pytest.mark.parametrize("written", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a190_exp_that_is_no_number(written: str) -> None:
    payload = f'{{"iss":"d1","aud":"stg","sub":"{SUBJECT}","exp":{written}}}'.encode()
    assert refused(lambda: make_verifier().verify(KEY.sign(KEY.header(), payload))) == "malformed_token"


@pytest.mark.parametrize("leeway", [-1, math.nan, 301, math.inf, True, "30"])
def test_a195_leeway_out_of_range(leeway: Any) -> None:
    with pytest.raises(ConfigurationError, match="leeway"):
        make_verifier(leeway=leeway)


def test_a195_leeway_is_applied_once() -> None:
    wide = make_verifier(leeway=300)
    assert wide.verify(KEY.mint(exp=NOW + 1200)).subject == SUBJECT
    assert refused(lambda: wide.verify(KEY.mint(exp=NOW + 1201))) == "lifetime_too_long"
    assert refused(lambda: wide.verify(KEY.mint(exp=NOW - 300))) == "expired"


def test_a197_the_wall_clock_is_the_authority() -> None:
    clock = Clock(NOW + 3600)
    verifier, token = make_verifier(clock=clock), KEY.mint()
    assert refused(lambda: verifier.verify(token)) == "expired"
    clock.now = NOW
    assert verifier.verify(token).subject == SUBJECT


@pytest.fixture(params=["Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati"])
def _somewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_somewhere")
def test_a198_the_time_zone_has_no_say() -> None:
    verifier = D1Verifier(StaticKeyStore({KEY.kid: KEY.pem}), audience="stg", subject=SUBJECT)
    now = int(time.time())
    assert verifier.verify(KEY.mint(exp=now + 600)).subject == SUBJECT
    assert refused(lambda: verifier.verify(KEY.mint(exp=now + 5 * 3600))) == "lifetime_too_long"
    assert refused(lambda: verifier.verify(KEY.mint(exp=now - 60))) == "expired"


@pytest.mark.parametrize("clock", [lambda: None, lambda: "1", time.gmtime, lambda: True, 5])
def test_a198_a_clock_that_gives_no_number_is_refused(clock: Any) -> None:
    with pytest.raises(ConfigurationError, match="clock"):
        make_verifier(clock=clock)


def test_a200_a_token_can_be_used_again_while_it_lives() -> None:
    verifier, token = make_verifier(), KEY.mint()
    assert verifier.verify(token).claims == verifier.verify(token).claims


@pytest.mark.parametrize("missing", ["audience", "subject"])
def test_a202_a205_environment_and_merchant_have_to_be_given(missing: str) -> None:
    settings: dict[str, Any] = {"audience": "stg", "subject": SUBJECT}
    del settings[missing]
    with pytest.raises(TypeError, match=missing):
        D1Verifier(StaticKeyStore({KEY.kid: KEY.pem}), **settings)


@pytest.mark.parametrize("subject", [None, "", "*", [], True])
def test_a205_any_merchant_has_to_be_written_out(subject: Any) -> None:
    with pytest.raises(ConfigurationError, match="subject"):
        make_verifier(subject=subject)


def test_a208_a_token_of_the_merchant_s_own_is_none_of_d1_s() -> None:
    access = {"iss": "https://merchant.example", "client_id": "d1"}
    assert refused(lambda: make_verifier().verify(KEY.mint({"typ": "at+jwt"}, **access))) == "malformed_token"
    assert refused(lambda: make_verifier().verify(KEY.mint(**access))) == "wrong_issuer"
    own = SigningKey("merchant")
    assert refused(lambda: make_verifier().verify(own.mint())) == "unknown_key"
    assert refused(lambda: make_verifier().verify(OTHER_KEY.mint({"kid": KEY.kid}))) == "bad_signature"


@pytest.mark.parametrize("typ", ["secevent+jwt", "webhook+jwt", "id_token", "vc+jwt"])
def test_a209_a_token_of_d1_for_another_purpose(typ: str) -> None:
    assert refused(lambda: make_verifier().verify(KEY.mint({"typ": typ}))) == "malformed_token"


def test_a210_extra_claims_are_data_and_no_principal() -> None:
    extra = {"scope": "admin", "role": "root", "client_id": "x", "identity": "MGW_EVIL", "__class__": "y", "kid": "z"}
    token = make_verifier().verify(KEY.mint(**extra))
    user = D1User(token)
    assert (user.identity, user.display_name, token.kid) == (SUBJECT, SUBJECT, KEY.kid)
    assert not hasattr(token, "scope")
    assert token.claims["role"] == "root"

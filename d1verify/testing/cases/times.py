"""`exp`, `nbf`, `iat`: numbers, and the token good now and for no longer than a quarter of an hour."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from ..call import Call, Expect
from ..case import Case, Need
from ..fake_d1 import REMOVE, FakeD1
from ._table import Token, bearer, claims, edited, row, scripted

__all__ = ["CASES"]

_FOREVER = "A stolen token stays good for ever."
_LONGER = "A stolen token stays good for longer than D1's quarter of an hour."
_TYPE = "A claim of the wrong type is not checked, or makes the app fail with 500."
_EARLY = "A token made for later, or by a clock that is wrong, is accepted now."

# Beyond the tolerated clock difference: enough for a call that is under way, or a host whose clock is a little off.
_MARGIN_PAST = 10
_MARGIN_AHEAD = 60
_MAX_LIFETIME = 900
# Long enough to be accepted by a host whose clock is a little ahead, short enough to be waited for.
_SHORT_LIFE = 5

_refuse = partial(row, Expect.UNAUTHORIZED)


def _ahead(seconds: float) -> Any:
    return lambda d1: d1.now + seconds


def _beyond_leeway(fake_d1: FakeD1) -> float:
    return fake_d1.now - fake_d1.leeway - _MARGIN_PAST


def _beyond_ceiling(fake_d1: FakeD1) -> float:
    return fake_d1.now + _MAX_LIFETIME + fake_d1.leeway + _MARGIN_AHEAD


def _soon(fake_d1: FakeD1) -> float:
    return fake_d1.now + fake_d1.leeway + _MARGIN_AHEAD


def _exp_text(number: str) -> Token:
    """Return what makes a token whose exp is written with these very characters."""
    return edited("payload", lambda text: text[: text.index('"exp"')] + f'"exp":{number}}}')


def _outlived(fake_d1: FakeD1) -> Iterator[Call]:
    jwt = fake_d1.token(exp=fake_d1.now + _SHORT_LIFE)
    yield bearer(fake_d1, Expect.ACCEPTED, jwt)
    if fake_d1.pass_time is not None:
        fake_d1.pass_time(_SHORT_LIFE + fake_d1.leeway + _MARGIN_PAST)
    yield bearer(fake_d1, Expect.UNAUTHORIZED, jwt)


def _of_no_kind(name: str) -> list[Case]:
    good = _ahead(600 if name == "exp" else -60)
    source = {"exp": "RFC 7519 §4.1.4; A188", "nbf": "RFC 7519 §4.1.5; A196", "iat": "RFC 7519 §4.1.6; A196"}[name]
    kinds: list[tuple[str, str, Any]] = [
        ("null", "null", None),
        ("string", "a string", lambda d1: str(good(d1))),
        ("true", "true", True),
        ("array", "an array", lambda d1: [good(d1)]),
        ("object", "an object", {}),
    ]
    return [
        _refuse(f"{name}-{kind}", f"{name} {title}", source, _TYPE, jwt=claims(**{name: value}))
        for kind, title, value in kinds
    ]


CASES = (
    _refuse("exp-missing", "no exp", "D1: iss, aud, sub and exp; A187", _FOREVER, jwt=claims(exp=REMOVE)),
    *_of_no_kind("exp"),
    _refuse(
        "exp-just-past",
        "expired, by a little more than clocks may differ",
        "RFC 7519 §4.1.4; A191",
        _LONGER,
        jwt=claims(exp=_beyond_leeway),
    ),
    scripted(
        Expect.UNAUTHORIZED,
        "cache-beyond-exp",
        "a token that was accepted, after it has expired",
        "RFC 7519 §4.1.4; A177",
        _FOREVER,
        _outlived,
        need=Need.TIME,
    ),
    _refuse("exp-hour-past", "expired an hour ago", "RFC 7519 §4.1.4; A191", _FOREVER, jwt=claims(exp=_ahead(-3600))),
    _refuse("exp-zero", "exp 0", "RFC 7519 §4.1.4; A194", _FOREVER, jwt=claims(exp=0)),
    _refuse("exp-negative", "exp below zero", "RFC 7519 §4.1.4; A194", _FOREVER, jwt=claims(exp=-1)),
    _refuse(
        "exp-over-ceiling",
        "exp beyond 15 minutes ahead",
        "D1: exp at most 15 minutes ahead; A192",
        _LONGER,
        jwt=claims(exp=_beyond_ceiling),
    ),
    _refuse(
        "exp-hour-ahead",
        "exp an hour ahead",
        "D1: exp at most 15 minutes ahead; A192",
        _LONGER,
        jwt=claims(exp=_ahead(3600)),
    ),
    _refuse(
        "exp-years-ahead",
        "exp ten years ahead",
        "D1: exp at most 15 minutes ahead; A192",
        _FOREVER,
        jwt=claims(exp=_ahead(10 * 365 * 86_400)),
    ),
    _refuse(
        "exp-milliseconds",
        "exp in milliseconds",
        "D1: exp at most 15 minutes ahead; A193",
        _FOREVER,
        jwt=claims(exp=lambda d1: (d1.now + 600) * 1000),
    ),
    _refuse("exp-nan", "exp NaN", "RFC 8259 §6; A190", _FOREVER, jwt=_exp_text("NaN")),
    _refuse("exp-infinity", "exp Infinity", "RFC 8259 §6; A190", _FOREVER, jwt=_exp_text("Infinity")),
    _refuse("exp-overflow", "exp 1e400", "RFC 8259 §6; A079", _FOREVER, jwt=_exp_text("1e400")),
    _refuse("exp-400-digits", "exp with 400 digits", "RFC 8259 §6; A080", _TYPE, jwt=_exp_text("1" * 400)),
    *_of_no_kind("nbf"),
    _refuse("nbf-ahead", "nbf in the future", "RFC 7519 §4.1.5; A196", _EARLY, jwt=claims(nbf=_soon)),
    *_of_no_kind("iat"),
    _refuse("iat-ahead", "iat in the future", "RFC 7519 §4.1.6; A196", _EARLY, jwt=claims(iat=_soon)),
)

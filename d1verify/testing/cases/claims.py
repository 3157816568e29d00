"""`iss`, `aud` and `sub`: who speaks, to which environment, for which merchant; each to the letter."""

from __future__ import annotations

import secrets
from typing import Any

from ..call import Call, Expect
from ..case import Case
from ..fake_d1 import REMOVE, FakeD1
from ._table import bearer, claims, other_case, row

__all__ = ["CASES"]

_ISSUER = "A token that was not made to be a call from D1 is accepted as one."
_ENVIRONMENT = "A token for the other environment or another service is accepted: staging can act on production."
_MERCHANT = "Another merchant can present the tokens that D1 signs for him, and act on this merchant's cards."
_RISKS = {"iss": _ISSUER, "aud": _ENVIRONMENT, "sub": _MERCHANT}
_SOURCES = {"iss": "RFC 7519 §4.1.1; A201", "aud": "RFC 7519 §4.1.3; A203", "sub": "RFC 7519 §4.1.2; A206"}


def _claim(name: str, what: str, title: str, value: Any, source: str | None = None) -> Case:
    source = source or _SOURCES[name]
    return row(Expect.UNAUTHORIZED, f"{name}-{what}", title, source, _RISKS[name], jwt=claims(**{name: value}))


def _of_no_kind(name: str) -> list[Case]:
    """Return the cases of a claim that is not there, or not of the kind it has to be."""
    missing = "D1: iss, aud, sub and exp"
    return [
        _claim(name, "missing", f"no {name}", REMOVE, missing),
        _claim(name, "null", f"{name} null", None),
        _claim(name, "empty", f"{name} an empty string", ""),
        _claim(name, "number", f"{name} a number", 1),
        _claim(name, "true", f"{name} true", True),  # noqa: FBT003 - a JSON value
        _claim(name, "object", f"{name} an object", lambda d1: {_good(name, d1): True}),
    ]


def _good(name: str, fake_d1: FakeD1) -> str:
    return str(fake_d1.claims()[name])


def _array(name: str) -> Case:
    return _claim(name, "array", f"{name} an array that holds the right one", lambda d1: [_good(name, d1)])


def _telltale(name: str, prefix: str) -> Case:
    """Return a case of a foreign claim that no answer may repeat."""

    def build(fake_d1: FakeD1) -> Call:
        value = f"{prefix}{secrets.token_hex(8)}"
        return bearer(fake_d1, Expect.UNAUTHORIZED, claims(**{name: value})(fake_d1), secrets=(value,))

    return row(Expect.UNAUTHORIZED, f"{name}-other", f"another {name}", _SOURCES[name], _RISKS[name], build)


def _other_environment(fake_d1: FakeD1) -> str:
    return "stg" if fake_d1.audience == "prd" else "prd"


def _full_width(character: str) -> str:
    """Return the look-alike of an ASCII character that NFKC makes that character."""
    return chr(ord(character) + 0xFEE0)


CASES = (
    *_of_no_kind("iss"),
    _array("iss"),
    _telltale("iss", "https://issuer.example/"),
    _claim("iss", "upper-case", "iss D1", "D1"),
    _claim("iss", "longer", "iss that begins with d1", "d1.example"),
    _claim("iss", "part", "iss d", "d"),
    _claim("iss", "trailing-space", "a space after d1", "d1 "),
    *_of_no_kind("aud"),
    _telltale("aud", "https://audience.example/"),
    _claim("aud", "other-environment", "the other environment", _other_environment, "D1: aud is the environment; A202"),
    _claim("aud", "upper-case", "the right audience in upper case", lambda d1: d1.audience.upper()),
    _claim("aud", "longer", "an audience that holds the right one", lambda d1: f"not-{d1.audience}-either"),
    _claim("aud", "part", "a part of the right audience", lambda d1: d1.audience[:-1]),
    _claim("aud", "array-other", "an array of the other environment", lambda d1: [_other_environment(d1)]),
    _claim("aud", "array-empty", "an empty array", []),
    _claim("aud", "array-with-number", "an array with the right one and a number", lambda d1: [d1.audience, 1]),
    _claim("aud", "array-with-empty", "an array with the right one and an empty string", lambda d1: [d1.audience, ""]),
    _claim("aud", "array-nested", "an array in an array", lambda d1: [[d1.audience]]),
    *_of_no_kind("sub"),
    _array("sub"),
    _telltale("sub", "MGW_"),
    _claim("sub", "swapped-case", "the right sub in the other case", lambda d1: other_case(d1.subject)),
    _claim("sub", "longer", "a sub that begins with the right one", lambda d1: f"{d1.subject}0"),
    _claim("sub", "part", "a part of the right sub", lambda d1: d1.subject[:-1]),
    _claim("sub", "trailing-space", "a space after the right sub", lambda d1: f"{d1.subject} "),
    _claim("sub", "nul", "a NUL after the right sub", lambda d1: f"{d1.subject}\0"),
    _claim(
        "sub",
        "full-width",
        "a look-alike that normalisation makes the right one",
        lambda d1: d1.subject[:-1] + _full_width(d1.subject[-1]),
        "RFC 7519 §7.3; A211",
    ),
)

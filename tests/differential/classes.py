"""What d1verify refuses though another library may accept it, by name.

Each class is found in the token's text by `reading`, without a look at what the verifier does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..support import NOW
from .peers import ISSUER, LEEWAY, MAX_LIFETIME, TRUSTED
from .reading import MISSING, Constant, Part, Reading, Written, stray_bits

BASE64URL = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
TIMES = ("exp", "iat", "nbf")
_DATE_LIMIT = 2**53

Found: TypeAlias = Callable[[Reading], bool]


@dataclass(frozen=True)
class Strictness:
    """A class of tokens that d1verify refuses, for one of these reasons."""

    found: Found
    reasons: frozenset[str]


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def _ahead(value: Any, seconds: float) -> bool:
    return _number(value) and value > NOW + seconds


def _fraction_ahead(value: Any) -> bool:
    return _ahead(value, LEEWAY) and not _ahead(value, LEEWAY + 1)


def _claims(found: Callable[[Any], bool], *names: str) -> Found:
    return lambda token: any(found(token.payload.member(name)) for name in names)


def _values(found: Callable[[int, Any], bool]) -> Found:
    return lambda token: any(found(depth, value) for part in token.parts for depth, value in part.values)


def _spelling(found: Callable[[str], bool]) -> Found:
    return lambda token: any(map(found, token.spelt))


def _header(found: Callable[[Any], bool], *names: str) -> Found:
    return lambda token: any(found(token.header.member(name)) for name in names)


def _present(value: Any) -> bool:
    return value is not MISSING


def _doubled(part: Part) -> bool:
    return any(isinstance(value, Written) and value.doubled for _, value in part.values)


def _beyond_double(_depth: int, value: Any) -> bool:
    try:
        return _number(value) and abs(float(value)) == float("inf")
    except OverflowError:
        return True


def _lone_surrogate(_depth: int, value: Any) -> bool:
    return isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value)


def _not_utf8(part: Part) -> bool:
    try:
        part.data.decode()
    except UnicodeDecodeError:
        return True
    return False


def _names_no_signer(token: Reading) -> bool:
    kid = token.header.member("kid")
    return isinstance(kid, str) and not any(key.kid == kid and token.signed_by(key) for key in TRUSTED)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Constant)


def _no_text(value: Any) -> bool:
    return _present(value) and not _is_text(value)


def _jwt(value: Any) -> bool:
    return _is_text(value) and value.lower() in ("jwt", "application/jwt")


def _array(found: Callable[[list[Any]], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and found(value)


def _malformed(found: Found) -> Strictness:
    return Strictness(found, frozenset({"malformed_token"}))


def _invalid(found: Found, *reasons: str) -> Strictness:
    return Strictness(found, frozenset(reasons or ("invalid_claim",)))


CLASSES: dict[str, Strictness] = {
    "over 8,192 bytes": _malformed(lambda token: len(token.text) > 8192),
    "header part over 2,048 bytes": _malformed(lambda token: len(token.spelt[0]) > 2048),
    "JSON serialisation instead of compact": _malformed(lambda token: token.text.lstrip(" \t\r\n").startswith("{")),
    "more than three parts": _malformed(lambda token: token.text.count(".") > 2),
    "base64url with padding": _malformed(_spelling(lambda spelt: "=" in spelt)),
    "base64url with `+` or `/`": _malformed(_spelling(lambda spelt: "+" in spelt or "/" in spelt)),
    "base64url with white space or other bytes": _malformed(_spelling(lambda spelt: bool({*spelt} - BASE64URL - {*"+/=."}))),
    "base64url with stray bits at its end": _malformed(_spelling(stray_bits)),
    "a member twice in the header": _malformed(lambda token: _doubled(token.header)),
    "a member twice in the payload": _malformed(lambda token: _doubled(token.payload)),
    "`NaN` or `Infinity`": _malformed(_values(lambda _depth, value: isinstance(value, Constant))),
    "a number beyond a double": _malformed(_values(_beyond_double)),
    "nested deeper than 16": _malformed(_values(lambda depth, _value: depth > 16)),
    "a lone surrogate": _malformed(_values(_lone_surrogate)),
    "a byte order mark": _malformed(lambda token: any(part.data.startswith(b"\xef\xbb\xbf") for part in token.parts)),
    "UTF-16 or UTF-32": _malformed(lambda token: any(part.encoding[:6] in ("utf-16", "utf-32") for part in token.parts)),
    "bytes that are not UTF-8": _malformed(lambda token: any(map(_not_utf8, token.parts))),
    "no `kid`": _malformed(_header(lambda value: value is MISSING, "kid")),
    "`kid` is no text": _malformed(_header(_no_text, "kid")),
    "`kid` does not name the signing key": _invalid(_names_no_signer, "malformed_token", "unknown_key", "bad_signature"),
    "`typ` of another profile": _malformed(_header(lambda value: _is_text(value) and not _jwt(value), "typ")),
    "`typ` is no text": _malformed(_header(_no_text, "typ")),
    "`cty` of a token within the token": _malformed(_header(_jwt, "cty")),
    "`crit`, here of an unknown extension": _malformed(_header(lambda value: _present(value) and value != [], "crit")),
    "`crit` that lists nothing": _malformed(_header(lambda value: value == [], "crit")),
    "`b64`, even `true`": _malformed(_header(_present, "b64")),
    "`zip` or `enc`": _malformed(_header(_present, "zip", "enc")),
    "`iss` is not the issuer": _invalid(_claims(lambda value: value != ISSUER, "iss"), "wrong_issuer", "invalid_claim"),
    "`aud` array with an empty string": _invalid(_claims(_array(lambda named: "" in named), "aud"), "wrong_audience"),
    "`aud` array with more than strings": _invalid(_claims(_array(lambda named: not all(map(_is_text, named))), "aud")),
    "`exp` as text": _invalid(_claims(_is_text, "exp")),
    "`iat` or `nbf` as text": _invalid(_claims(_is_text, "iat", "nbf")),
    "a date as `true` or `false`": _invalid(_claims(lambda value: isinstance(value, bool), *TIMES)),
    "`iat` or `nbf` of `null`": _invalid(_claims(lambda value: value is None, "iat", "nbf")),
    "`jti` is no text": _invalid(_claims(_no_text, "jti")),
    "a date of 2⁵³ or more": _invalid(_claims(lambda value: _number(value) and abs(value) >= _DATE_LIMIT, *TIMES)),
    "`exp` more than 15 minutes ahead": _invalid(_claims(lambda value: _ahead(value, MAX_LIFETIME + LEEWAY), "exp"), "lifetime_too_long"),
    "`exp` past, at the last second of the leeway": _invalid(_claims(lambda value: _number(value) and value == NOW - LEEWAY, "exp"), "expired"),
    "`iat` or `nbf` in the future": _invalid(_claims(lambda value: _ahead(value, LEEWAY + 1), "iat", "nbf"), "not_yet_valid"),
    "`iat` or `nbf` in the future by less than a second": _invalid(_claims(_fraction_ahead, "iat", "nbf"), "not_yet_valid"),
}  # fmt: skip


def strictnesses(token: str) -> list[str]:
    """Return the classes of strictness that the token falls in."""
    reading = Reading(token)
    return [name for name, strictness in CLASSES.items() if strictness.found(reading)]

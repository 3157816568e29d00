"""The payload's JSON: signed by D1's key, and still refused where two readers could read it differently."""

from __future__ import annotations

from collections.abc import Callable

from ..call import Expect
from ..case import Case
from ._table import edited, row

__all__ = ["CASES"]

_TWO_READERS = "Two readers of one token see different claims, so a check made by the one does not hold for the other."
_FAILS = "One odd token makes the app fail with 500, or costs it a thread or much memory."
_NO_CLAIMS = "A token that says nothing of what must be checked is accepted."


def _json(
    name: str, title: str, source: str, edit: Callable[[str], str | bytes], risk: str = _FAILS, *, prefix: str = "json"
) -> Case:
    return row(Expect.UNAUTHORIZED, f"{prefix}-{name}", title, source, risk, jwt=edited("payload", edit))


def _twice(name: str, first: str | None = None, last: str | None = None) -> Case:
    """Return a case of a claim that comes twice: once as it should be, once as given here, in that place."""
    if first is not None:
        which, edit = "good-last", lambda text: f'{{"{name}":{first},{text[1:]}'
    else:
        which, edit = "good-first", lambda text: f'{text[:-1]},"{name}":{last}}}'
    return _json(
        f"{name}-{which}", f"{name} twice, the {which.replace('-', ' ')}", "RFC 7519 §4; A076", edit, _TWO_READERS,
        prefix="duplicate",
    )  # fmt: skip


def _with(extra: str) -> Callable[[str], str]:
    """Return what appends a member to the object."""
    return lambda text: f"{text[:-1]},{extra}}}"


CASES = (
    _twice("iss", first='"evil"'),
    _twice("iss", last='"evil"'),
    _twice("aud", first='"other"'),
    _twice("aud", last='"other"'),
    _twice("sub", first='"MGW_999999"'),
    _twice("sub", last='"MGW_999999"'),
    _twice("exp", first="1"),
    _twice("exp", last="1"),
    _json(
        "same-value",
        "exp twice with one value",
        "RFC 7519 §4; A076",
        lambda text: f"{text[:-1]},{text[text.index(chr(34) + 'exp') :]}",
        _TWO_READERS,
        prefix="duplicate",
    ),
    _json(
        "escaped",
        "sub twice, once written with an escape",
        "RFC 8259 §8.3; A077",
        _with('"\\u0073ub":"MGW_999999"'),
        _TWO_READERS,
        prefix="duplicate",
    ),
    _json(
        "nested",
        "a member twice within a claim",
        "RFC 8259 §4; A076",
        _with('"x":{"a":1,"a":2}'),
        _TWO_READERS,
        prefix="duplicate",
    ),
    _json("nan", "NaN in a claim", "RFC 8259 §6; A078", _with('"x":NaN')),
    _json("infinity", "-Infinity in a claim", "RFC 8259 §6; A078", _with('"x":-Infinity')),
    _json("number-overflow", "a number beyond any double", "RFC 8259 §6; A079", _with('"x":1e400')),
    _json("number-long", "an integer of 5,000 digits", "RFC 8259 §6; A081", _with(f'"x":{"1" * 5000}')),
    _json("deep", "claims nested 1,000 deep", "RFC 8259 §9; A082", _with(f'"x":{"[" * 1000}{"]" * 1000}')),
    _json("array", "the payload an array", "RFC 7519 §7.2; A088", lambda text: f"[{text}]", _NO_CLAIMS),
    _json("string", "the payload a string", "RFC 7519 §7.2; A088", lambda _: '"d1"', _NO_CLAIMS),
    _json("number", "the payload a number", "RFC 7519 §7.2; A088", lambda _: "1", _NO_CLAIMS),
    _json("null", "the payload null", "RFC 7519 §7.2; A088", lambda _: "null", _NO_CLAIMS),
    _json(
        "empty-object", "the payload without any claim", "D1: iss, aud, sub and exp; A187", lambda _: "{}", _NO_CLAIMS
    ),
    _json("unfinished", "JSON that breaks off", "RFC 7519 §7.2; A089", lambda text: text[:-1]),
    _json(
        "two-objects", "two objects one after the other", "RFC 8259 §2; A089", lambda text: text + text, _TWO_READERS
    ),
    _json("trailing-comma", "a comma after the last claim", "RFC 8259 §4; A089", lambda text: f"{text[:-1]},}}"),
    _json("comment", "a comment", "RFC 8259 §2; A089", lambda text: f"{text[:-1]}/* */}}"),
    _json("single-quotes", "single quotes", "RFC 8259 §7; A089", lambda text: text.replace('"', "'")),
    _json("control-character", "a raw line feed in a string", "RFC 8259 §7; A090", _with('"x":"a\nb"')),
    _json("surrogate", "half a character in a claim", "RFC 8259 §8.2; A084", _with('"x":"\\ud800"')),
    _json("byte-order-mark", "a byte order mark", "RFC 8259 §8.1; A086", lambda text: "\ufeff" + text),
    _json("utf-16", "UTF-16", "RFC 7519 §7.1; A086", lambda text: text.encode("utf-16")),
    _json(
        "not-utf-8",
        "bytes that are not UTF-8",
        "RFC 7519 §7.1; A087",
        lambda text: text[:-1].encode("ascii") + b',"x":"\xc0\xaf"}',
    ),
)

"""`_codec`: the same bytes as base64url and as JSON, beside second readers of both."""

from __future__ import annotations

from typing import Any, Final

from d1verify._codec import MalformedError, decode_base64url, encode_base64url, parse_object

from ..oracles import base64url, require
from ..oracles.json_text import json_object

__all__ = ["MAX_BYTES", "WORDS", "check"]

MAX_BYTES: Final = 4096
WORDS: Final = (
    *('"', '"":', "{}", "[]", "[],", "[[[[", "]]]]", "null", "true,", "false", "NaN", "-Infinity", "1e308"),
    *("1e309,", "-0.0"),
    *("0" * 9, "9" * 60, '"a":1,', '"\\u0061":1,', '"b":{"a":1},', "\\u", "\\ud83d", "\\ude00", "\\uD800", "\\uDFFF"),
    *("\\u0000", "\\n", "\ufeff", "\U0001f600", "\u2028", "\x00"),
)  # fmt: skip


def check(data: bytes) -> None:
    """Return if both readers and both oracles agree on `data`, and encoding is the way back."""
    segment = base64url.decoded(data)
    _check_same(_decoded(data), segment, "base64url")
    _check_same(_parsed(data), json_object(data), "JSON")
    if segment is not None:
        _check_same(_parsed(segment), json_object(segment), "JSON in base64url")
    require(_decoded(encode_base64url(data).encode("ascii")) == data, "what is encoded decodes to itself")


def _decoded(data: bytes) -> bytes | None:
    try:
        return decode_base64url(data)
    except MalformedError as error:
        require(not error.args, "the error carries nothing of the bytes")
        return None


def _parsed(data: bytes) -> dict[str, Any] | None:
    try:
        return parse_object(data)
    except MalformedError as error:
        require(not error.args, "the error carries nothing of the bytes")
        return None


def _check_same(value: object, expected: object, what: str) -> None:
    # `repr` tells 1, 1.0 and True apart, and shows the order of members.
    require(repr(value) == repr(expected), f"{what} is read in the one right way")

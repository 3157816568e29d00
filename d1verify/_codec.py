"""Strict base64url and strict JSON: what a lenient decoder would let pass is refused here.

Two parsers that read the same bytes differently are how a check is walked around, so
each input has exactly one accepted spelling and one meaning.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from typing import Any

__all__ = [
    "BASE64URL_ALPHABET",
    "MalformedError",
    "as_standard_base64",
    "decode_base64url",
    "decode_standard_base64",
    "encode_base64url",
    "parse_object",
]

MAX_DEPTH = 16

BASE64URL_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")
# Whatever is no base64url becomes a byte that is no base64 either, so that one search finds all of it.
# It is searched for as a number: CPython tries that first, and makes an exception of a bytes object on the way.
_STRAY = ord("!")
_TO_STANDARD_ALPHABET = bytes(one if one in BASE64URL_ALPHABET else _STRAY for one in range(256)).translate(
    bytes.maketrans(b"-_", b"+/")
)
# By length modulo 4: the padding to put back, and the last characters that an encoder would write.
# A length of 1 modulo 4 encodes nothing, and unused bits that are not zero would give one value
# several spellings (RFC 4648 §3.5).
_PADDING = (b"", b"", b"==", b"=")
_CANONICAL_ENDINGS = (BASE64URL_ALPHABET, b"", b"AQgw", b"AEIMQUYcgkosw048")

# An int of more digits than this may not fit a double (RFC 8259 §6), so only a longer run of them needs a look.
_DIGITS_OF_LARGEST_DOUBLE = 308
_DIGITS = b"0123456789"
# Possessive, so that an unclosed quote costs one pass and not one per quote.
_JSON_STRING = rb'"(?:[^"\\]++|\\.)*+"?'
_AS_SQUARE_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class MalformedError(ValueError):
    """The bytes are not in the one accepted form. It carries nothing of them."""


def decode_base64url(segment: bytes) -> bytes:
    """Return the bytes that `segment` encodes (RFC 4648 §5, RFC 7515 §2: no padding).

    Raises:
        MalformedError: another character, padding, an impossible length or stray bits.
    """
    return decode_standard_base64(as_standard_base64(segment))


def as_standard_base64(segment: bytes) -> bytes:
    """Return base64url in the alphabet of base64, still encoded and unpadded, with its spelling judged.

    Raises:
        MalformedError: another character, padding, an impossible length or stray bits.
    """
    if segment and segment[-1] not in _CANONICAL_ENDINGS[len(segment) & 3]:
        raise MalformedError
    standard = segment.translate(_TO_STANDARD_ALPHABET)
    if _STRAY in standard:
        raise MalformedError
    return standard


def decode_standard_base64(standard: bytes) -> bytes:
    """Decode what `as_standard_base64` returned."""
    return binascii.a2b_base64(standard + _PADDING[len(standard) & 3])


def encode_base64url(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 §2)."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL_ALPHABET).rstrip(b"=").decode("ascii")


def parse_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object that `data` is, with one possible reading (RFC 8259).

    Refused beyond what the standard library refuses: bytes that are not strict UTF-8
    or start with a BOM, duplicate members at any depth, NaN and Infinity, numbers
    beyond a double, nesting over 16, lone surrogates, anything but an object.

    Raises:
        MalformedError: any of these; nothing else is ever raised.
    """
    try:
        text = data.decode("utf-8").strip(" \t\r\n")
        # A flat object, as nearly all are, has a bracket at its beginning and no other to count.
        if ("[" in text or text.rfind("{") > 0) and data.count(b"{") + data.count(b"[") > MAX_DEPTH:
            _check_depth(data)
        decoder = (
            _DECODER_OF_LONG_NUMBERS
            if len(data) > _DIGITS_OF_LARGEST_DOUBLE and _has_long_run_of_digits(data)
            else _DECODER
        )
        value, end = decoder.scan_once(text, 0)  # type: ignore[attr-defined]  # raw_decode without a call in between
        if end != len(text) or type(value) is not dict:
            raise MalformedError
        if "\\" in text:  # One character is searched for ten times as fast as two.
            # Only an escape can smuggle a surrogate in; encoding finds it in names and values alike.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except MalformedError:
        raise
    except (ValueError, RecursionError, StopIteration):
        raise MalformedError from None
    return value


def _has_long_run_of_digits(data: bytes) -> bool:
    """Look around every 309th byte: a run of 309 digits covers one of them. A search for the run could be made slow."""
    for middle in range(0, len(data), _DIGITS_OF_LARGEST_DOUBLE + 1):
        if data[middle] in _DIGITS:
            before, after = data[max(0, middle - _DIGITS_OF_LARGEST_DOUBLE) : middle], data[middle:]
            digits = len(before) - len(before.rstrip(_DIGITS)) + len(after) - len(after.lstrip(_DIGITS))
            if digits > _DIGITS_OF_LARGEST_DOUBLE:
                return True
    return False


def _check_depth(data: bytes) -> None:
    """Refuse nesting over 16 before the parser recurses, whatever the interpreter's limit is.

    Each round takes the innermost level away; what is left is too deep, or unbalanced.
    """
    brackets = re.sub(_JSON_STRING, b"", data, flags=re.DOTALL).translate(_AS_SQUARE_BRACKETS, _NOT_BRACKETS)
    for _level in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise MalformedError


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedError
    return members


def _finite_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise MalformedError
    return number


def _bounded_int(digits: str) -> int:
    _finite_float(digits)
    return int(digits)


def _no_constant(_name: str) -> None:
    raise MalformedError


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object_without_duplicates, parse_float=_finite_float, parse_constant=_no_constant
)
_DECODER_OF_LONG_NUMBERS = json.JSONDecoder(
    object_pairs_hook=_object_without_duplicates,
    parse_float=_finite_float,
    parse_int=_bounded_int,
    parse_constant=_no_constant,
)

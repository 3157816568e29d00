"""Strict JSON by recursive descent over the grammar of RFC 8259, one function per production.

In Python throughout, unlike the standard library's scanner, so that the fuzzer sees its branches
and is led through the grammar by them.
"""

from __future__ import annotations

import math
import re
from typing import Any

__all__ = ["json_object"]

MAX_DEPTH = 16

_WHITESPACE = " \t\n\r"
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_HEX4 = re.compile(r"[0-9A-Fa-f]{4}", re.ASCII)
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}


class _NotStrictError(Exception):
    pass


def json_object(data: bytes) -> dict[str, Any] | None:
    """Return the object that `data` is by DESIGN.md 2's row JSON, or None if it breaks one of its rules."""
    try:
        text = data.decode("utf-8")
        reader = _Reader(text)
        value = reader.value(depth=0)
        reader.skip_whitespace()
    except (_NotStrictError, UnicodeDecodeError):
        return None
    return value if isinstance(value, dict) and reader.at == len(text) else None


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def skip_whitespace(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in _WHITESPACE:
            self.at += 1

    def peek(self) -> str:
        self.skip_whitespace()
        return self.text[self.at : self.at + 1]

    def take(self, character: str) -> None:
        if self.peek() != character:
            raise _NotStrictError
        self.at += 1

    def value(self, depth: int) -> Any:
        match self.peek():
            case "{":
                return self.object(depth + 1)
            case "[":
                return self.array(depth + 1)
            case '"':
                return self.string()
        for word, meaning in _WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return meaning
        return self.number()

    def object(self, depth: int) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise _NotStrictError
        members: dict[str, Any] = {}
        self.take("{")
        if self.peek() != "}":
            self.member(members, depth)
            while self.peek() == ",":
                self.take(",")
                self.member(members, depth)
        self.take("}")
        return members

    def member(self, members: dict[str, Any], depth: int) -> None:
        if self.peek() != '"':
            raise _NotStrictError
        name = self.string()
        self.take(":")
        if name in members:
            raise _NotStrictError
        members[name] = self.value(depth)

    def array(self, depth: int) -> list[Any]:
        if depth > MAX_DEPTH:
            raise _NotStrictError
        elements = []
        self.take("[")
        if self.peek() != "]":
            elements.append(self.value(depth))
            while self.peek() == ",":
                self.take(",")
                elements.append(self.value(depth))
        self.take("]")
        return elements

    def string(self) -> str:
        self.take('"')
        units: list[int] = []
        while True:
            character = self.text[self.at : self.at + 1]
            self.at += 1
            if character == '"':
                return _without_lone_surrogates(units)
            if character == "" or ord(character) < 0x20:
                raise _NotStrictError
            units.append(self.escaped() if character == "\\" else ord(character))

    def escaped(self) -> int:
        letter = self.text[self.at : self.at + 1]
        self.at += 1
        if letter == "u":
            digits = _HEX4.match(self.text, self.at)
            if digits is None:
                raise _NotStrictError
            self.at += 4
            return int(digits[0], 16)
        if letter not in _ESCAPES:
            raise _NotStrictError
        return ord(_ESCAPES[letter])

    def number(self) -> int | float:
        written = _NUMBER.match(self.text, self.at)
        if written is None:
            raise _NotStrictError
        self.at = written.end()
        if math.isinf(float(written[0])):
            raise _NotStrictError
        return int(written[0]) if written[1] is None and written[2] is None else float(written[0])


def _without_lone_surrogates(units: list[int]) -> str:
    """Return the text of these code points and UTF-16 halves; a half without its other half is refused."""
    try:
        return b"".join(chr(unit).encode("utf-16-le", "surrogatepass") for unit in units).decode("utf-16-le")
    except UnicodeDecodeError:
        raise _NotStrictError from None

"""Request targets by Hypothesis: a path that an app has, written in ways in which nobody should write it."""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import unquote, unquote_to_bytes

from hypothesis import strategies as st

Draw = st.DrawFn
T = TypeVar("T")

# Making and checking a strategy costs more than drawing from it.
below = functools.cache(lambda count: st.integers(0, count - 1))
_few_bytes = st.binary(min_size=1, max_size=3)


def pick(draw: Draw, choices: Sequence[T]) -> T:
    """Return one of `choices`."""
    return choices[draw(below(len(choices)))]


def chance(draw: Draw, one_in: int) -> bool:
    """Return True once in so many times; False is the simpler answer."""
    return draw(below(one_in)) == one_in - 1


SEPARATORS: tuple[bytes, ...] = (
    b"//", b"/./", b"//", b"///", b"\\", b"%2f", b"%2F", b"%5c", b"%252f", b"%c0%af", b"/./", b"/../", b"/x/../",
    b"/%2e/", b"/%2e%2E/", b"/.;/", b"/..;/", b"/;x=1/", b"/%00/", b"/\xe2\x88\x95",
)  # fmt: skip
ENDINGS: tuple[bytes, ...] = (
    b"/", b"//", b"/.", b"/..", b"/../", b".", b";", b";x=1", b";/", b"..;/", b"%3b", b"?", b"?x=1", b"%3f", b"#",
    b"#x", b"%23", b"%00", b"\0", b"%0a", b"\n", b"%0d%0a", b"%20", b" ", b"\t", b"%09", b"%2f", b".json", b"*",
    b"~", b"%c2%a0", b"%e2%80%8b", b"%ff", b"\xff", b"%", b"%2", b"%zz", b"%u002f", b"\x7f", b"z", b"/z", b"&",
)  # fmt: skip
BEGINNINGS: tuple[bytes, ...] = (
    b"/", b"//", b"/./", b"/../", b"%2f", b"\\", b"@evil.example", b"http://evil.example", b"//evil.example", b"*",
    b" ", b"%20", b"\t", b"\xef\xbb\xbf", b"/%00", b"/;", b"/x/..", b"/%2e%2e", b"#", b"?", b".", b"..",
)  # fmt: skip
# Letters that some reader folds into an ASCII one: long s, Kelvin sign, dotless i, full width, a Roman numeral.
LOOKALIKES = {
    b"s": "\u017f",
    b"k": "\u212a",
    b"i": "\u0131",
    b"h": "\uff48",
    b"l": "\u217c",
    b"/": "\u2215",
    b".": "\u2024",
}


def escaped(byte: int, *, lower: bool = False) -> bytes:
    return (b"%%%02x" if lower else b"%%%02X") % byte


def _position(draw: Draw, path: bytes) -> int:
    return draw(below(max(len(path), 1)))


def _escape_one(draw: Draw, path: bytes) -> bytes:
    at = _position(draw, path)
    once = escaped(path[at], lower=chance(draw, 2)) if path else b"%41"
    return path[:at] + pick(draw, [once, once, once.replace(b"%", b"%25")]) + path[at + 1 :]


def _escape_all(draw: Draw, path: bytes) -> bytes:
    whole = b"".join(escaped(byte) for byte in path)
    return pick(draw, [whole, path[:1] + whole[3:], whole.replace(b"%", b"%25")])


def _overlong(draw: Draw, path: bytes) -> bytes:
    """Write one byte in two bytes of UTF-8 (or three), which no strict decoder takes for it."""
    at = _position(draw, path)
    byte = path[at] & 0x7F if path else 0x2F
    two = bytes([0xC0 | byte >> 6, 0x80 | byte & 0x3F])
    three = bytes([0xE0, 0x80 | byte >> 6, 0x80 | byte & 0x3F])
    written = pick(draw, [two, three, b"".join(map(escaped, two)), b"".join(map(escaped, three))])
    return path[:at] + written + path[at + 1 :]


def _separator(draw: Draw, path: bytes) -> bytes:
    places = [match.start() for match in re.finditer(b"/", path)] or [0]
    at = pick(draw, places)
    return path[:at] + pick(draw, SEPARATORS) + path[at + 1 :]


def _ending(draw: Draw, path: bytes) -> bytes:
    return path + pick(draw, ENDINGS)


def _beginning(draw: Draw, path: bytes) -> bytes:
    return pick(draw, BEGINNINGS) + pick(draw, [path, path[1:]])


def _case(draw: Draw, path: bytes) -> bytes:
    at = _position(draw, path)
    return pick(draw, [path.upper(), path.title(), path[:at] + path[at : at + 1].swapcase() + path[at + 1 :]])


def _lookalike(draw: Draw, path: bytes) -> bytes:
    there = [letter for letter in LOOKALIKES if letter in path] or [b"h"]
    letter = pick(draw, there)
    written = LOOKALIKES[letter].encode()
    return path.replace(letter, pick(draw, [written, b"".join(map(escaped, written))]), 1)


def _shorten(draw: Draw, path: bytes) -> bytes:
    return pick(draw, [path[:-1], path[1:], path.rstrip(b"/"), path.rpartition(b"/")[0], b"", b"/", b"*"])


def _noise(draw: Draw, path: bytes) -> bytes:
    at = _position(draw, path)
    return path[:at] + draw(_few_bytes) + path[at:]


MUTATIONS: tuple[Callable[[Draw, bytes], bytes], ...] = (
    _escape_one, _escape_all, _overlong, _separator, _separator, _ending, _ending, _beginning, _case, _lookalike,
    _shorten, _noise,
)  # fmt: skip


@st.composite
def raw_paths(draw: Draw, known: Sequence[bytes]) -> bytes:
    """A path of the app, or two of them joined, with up to three things wrong with it; about a third are as they are."""
    path = pick(draw, known)
    joint = pick(draw, [None] * 24 + [b"", b"/..", b"/../..", b"%2f..", b"/%2e%2e", b";", b"\\..", b"?", b"#"])
    if joint is not None:
        path = pick(draw, known) + joint + path
    for _ in range(pick(draw, [0, 0, 1, 1, 1, 2, 3])):
        path = pick(draw, MUTATIONS)(draw, path)
    return path


def as_the_specification_says(raw: bytes) -> str:
    """Return the path of an ASGI scope: percent-decoded, UTF-8."""
    return unquote_to_bytes(raw).decode("utf-8", "replace")


def _merged(raw: bytes) -> str:
    return posixpath.normpath(re.sub(r"[/\\]+", "/", as_the_specification_says(raw)))


# How servers and proxies, right or wrong, make a path of what was written.
READINGS: dict[str, Callable[[bytes], str]] = {
    "decoded": as_the_specification_says,
    "decoded as latin-1": lambda raw: unquote_to_bytes(raw).decode("latin-1"),
    "decoded twice": lambda raw: unquote(as_the_specification_says(raw)),
    "not decoded": lambda raw: raw.decode("latin-1"),
    "normalised": _merged,
    "in lower case": lambda raw: as_the_specification_says(raw).lower(),
    "cut at the query": lambda raw: re.split("[?#;]", as_the_specification_says(raw))[0],
    "without the origin": lambda raw: re.sub(r"^https?://[^/]*", "", as_the_specification_says(raw)),
}

"""A token as a lenient reader takes it, with nothing dropped: what was written is told, not judged.

This shares no code with the verifier: another way of reading is the point.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from ..support import SigningKey

MISSING: Any = object()
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/_-]")


class Constant(str):
    """`NaN`, `Infinity` or `-Infinity`, as written."""

    __slots__ = ()


@dataclass(frozen=True)
class Written:
    """An object's members in the order in which they stand, each time they stand."""

    members: list[tuple[str, Any]]

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.members}

    @property
    def doubled(self) -> bool:
        return len(self.names) < len(self.members)

    def last(self, name: str) -> Any:
        """Return what Python's parser would take, the last value, or `MISSING`."""
        return next((value for written, value in reversed(self.members) if written == name), MISSING)


@dataclass(frozen=True)
class Part:
    """One part of a token: its base64, the bytes in it, and the JSON in those, or `MISSING`."""

    spelt: str

    @functools.cached_property
    def data(self) -> bytes:
        letters = _NOT_BASE64.sub("", self.spelt).translate(str.maketrans("-_", "+/"))
        whole = letters[:-1] if len(letters) % 4 == 1 else letters
        return base64.b64decode(whole + "=" * (-len(whole) % 4))

    @functools.cached_property
    def encoding(self) -> str:
        return json.detect_encoding(self.data)

    @functools.cached_property
    def json(self) -> Any:
        try:
            text = self.data.decode(self.encoding, "surrogatepass")
            return json.loads(text, object_pairs_hook=Written, parse_constant=Constant)
        except (ValueError, RecursionError):
            return MISSING

    @functools.cached_property
    def values(self) -> list[tuple[int, Any]]:
        """Every value and name in the JSON, with how many arrays and objects are around and at it."""
        return [] if self.json is MISSING else list(_walk(self.json))

    def member(self, name: str) -> Any:
        written = self.json
        return written.last(name) if isinstance(written, Written) else MISSING


def _walk(root: Any) -> Iterator[tuple[int, Any]]:
    waiting = [(0, root)]
    while waiting:
        above, value = waiting.pop()
        depth = above + isinstance(value, list | Written)
        yield depth, value
        if isinstance(value, Written):
            waiting.extend((depth, inner) for member in value.members for inner in member)
        elif isinstance(value, list):
            waiting.extend((depth, inner) for inner in value)


@dataclass(frozen=True)
class Reading:
    """The whole token: `header . payload . signature`, where the payload may hold dots too many."""

    text: str

    @functools.cached_property
    def spelt(self) -> tuple[str, str, str]:
        header, _, rest = self.text.partition(".")
        payload, _, signature = rest.rpartition(".")
        return header, payload, signature

    @functools.cached_property
    def header(self) -> Part:
        return Part(self.spelt[0])

    @functools.cached_property
    def payload(self) -> Part:
        return Part(self.spelt[1])

    @property
    def parts(self) -> tuple[Part, Part]:
        return self.header, self.payload

    def signed_by(self, key: SigningKey) -> bool:
        header, payload, signature = self.spelt
        raw = Part(signature).data
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        try:
            signed = f"{header}.{payload}".encode()
            key.private.public_key().verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


def stray_bits(spelt: str) -> bool:
    """Whether the last character says more than the bytes it stands for need."""
    letters = spelt.rstrip("=")
    try:
        data = base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4))
    except (ValueError, binascii.Error):
        return False
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()[-1:] != letters[-1:]

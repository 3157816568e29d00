"""The three parts of a token and their base64url: every other spelling is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from .. import _forging
from .._signing import to_json
from ..call import Expect
from ..case import Case
from ..fake_d1 import FakeD1
from ._table import Token, row

__all__ = ["CASES"]

_UNSIGNED = "A token that nobody signed is accepted."
_SPELLINGS = "One token has many spellings, so deny-lists and replay checks that know one spelling miss the others."
_PARSERS = "Two parsers read one token differently, and the check is made on the harmless reading."
_FLOOD = "Cheap requests cost the app much memory and time."

_HEADER, _PAYLOAD, _SIGNATURE = range(3)
_PARTS: Final = ("header", "payload", "signature")
# One byte over DESIGN's bounds would depend on how long a key id is; a little more does not.
_TOO_LONG = 8300
_HEADER_TOO_LONG = 2100

_refuse = partial(row, Expect.UNAUTHORIZED)


def _parts(change: Callable[[list[str]], list[str]]) -> Token:
    """Return what makes a good token whose parts went through `change`."""
    return lambda fake_d1: ".".join(change(fake_d1.token().split(".")))


def _in_part(index: int, change: Callable[[str], str]) -> Token:
    """Return what makes a token whose signature holds for the parts as they are written, one of them changed."""

    def make(fake_d1: FakeD1) -> str:
        # Lengths that leave unused bits in the last character of each part.
        header, payload = to_json(_padded(fake_d1.jose_header())), to_json(_padded(fake_d1.claims()))
        parts = [_forging.b64(header), _forging.b64(payload)]
        if index != _SIGNATURE:
            parts[index] = change(parts[index])
        signature = _forging.b64(fake_d1.signature(".".join(parts).encode("ascii")))
        return ".".join([*parts, change(signature) if index == _SIGNATURE else signature])

    return make


def _padded(members: dict[str, object]) -> dict[str, object]:
    """Return members whose JSON has a length of 1 modulo 3, with a filler whose base64url has a `-` in it."""
    filler = "~~~~~~~~"
    while len(to_json({**members, "x": filler})) % 3 != 1:
        filler += "~"
    return {**members, "x": filler}


def _json_form(fake_d1: FakeD1) -> str:
    header, payload, signature = fake_d1.token().split(".")
    return f'{{"payload":"{payload}","protected":"{header}","signature":"{signature}"}}'


def _long_header(fake_d1: FakeD1) -> str:
    return fake_d1.token(header={"x": "abcdefghij" * (_HEADER_TOO_LONG * 3 // 40)})


def _long_token(fake_d1: FakeD1) -> str:
    return fake_d1.token(x="abcdefghij" * (_TOO_LONG * 3 // 40))


def _in_each_part(what: str, title: str, source: str, change: Callable[[str], str]) -> list[Case]:
    return [
        _refuse(
            f"{what}-{_PARTS[index]}",
            f"{title} in the {_PARTS[index]}",
            source,
            _SPELLINGS,
            jwt=_in_part(index, change),
        )
        for index in (_HEADER, _PAYLOAD, _SIGNATURE)
    ]


CASES = (
    _refuse("parts-one", "one part only", "RFC 7515 §5.2; A039", _UNSIGNED, jwt=_parts(lambda parts: parts[1:2])),
    _refuse("parts-two", "no signature part", "RFC 7515 §5.2; A039", _UNSIGNED, jwt=_parts(lambda parts: parts[:2])),
    _refuse(
        "parts-four", "a part too many", "RFC 7515 §5.2; A039", _PARSERS, jwt=_parts(lambda parts: [*parts, "e30"])
    ),
    _refuse(
        "parts-five",
        "five parts, as an encrypted token has",
        "RFC 7516 §3.1; A040",
        "Whoever has the public key can encrypt a token of his own to it.",
        jwt=_parts(lambda parts: [*parts, "e30", "e30"]),
    ),
    _refuse(
        "part-empty-header",
        "an empty header part",
        "RFC 7515 §5.2; A039",
        _UNSIGNED,
        jwt=_parts(lambda parts: ["", *parts[1:]]),
    ),
    _refuse(
        "part-empty-payload",
        "an empty payload part",
        "RFC 7515 App. F; A053",
        _UNSIGNED,
        jwt=_parts(lambda parts: [parts[0], "", parts[2]]),
    ),
    _refuse(
        "part-empty-signature",
        "an empty signature part",
        "RFC 7515 §5.2; A103",
        _UNSIGNED,
        jwt=_parts(lambda parts: [*parts[:2], ""]),
    ),
    _refuse(
        "dot-leading", "a dot before the token", "RFC 7515 §5.2; A039", _PARSERS, jwt=_parts(lambda parts: ["", *parts])
    ),
    _refuse(
        "dot-trailing", "a dot after the token", "RFC 7515 §5.2; A039", _PARSERS, jwt=_parts(lambda parts: [*parts, ""])
    ),
    *_in_each_part("padding", "base64 padding", "RFC 7515 §2; A044", lambda part: part + "=" * (-len(part) % 4)),
    *_in_each_part("stray-bits", "bits that no byte uses", "RFC 4648 §3.5; A048", _forging.with_stray_bits),
    _refuse(
        "alphabet-standard",
        "the standard base64 alphabet",
        "RFC 4648 §5; A045",
        _SPELLINGS,
        jwt=_in_part(_PAYLOAD, _forging.alphabet_beyond),
    ),
    _refuse(
        "character-ignored",
        "a tilde that lenient decoders skip",
        "RFC 4648 §3.3; A047",
        _SPELLINGS,
        jwt=_in_part(_PAYLOAD, lambda part: f"{part[:8]}~~~~{part[8:]}"),
    ),
    _refuse(
        "length-impossible",
        "a part of a length that encodes nothing",
        "RFC 4648 §3.2; A049",
        _SPELLINGS,
        jwt=_in_part(_PAYLOAD, lambda part: part[: len(part) // 4 * 4] + "A"),
    ),
    row(
        Expect.REFUSED, "json-serialization", "the JSON form of a JWS", "RFC 7515 §7.2; A042", _PARSERS, jwt=_json_form
    ),
    row(Expect.REFUSED, "header-too-long", "a header over 2,048 bytes", "D1 profile; A052", _FLOOD, jwt=_long_header),
    row(Expect.REFUSED, "token-too-long", "a token over 8,192 bytes", "D1 profile; A008", _FLOOD, jwt=_long_token),
)

"""The few things that d1verify accepts and PyJWT or joserfc refuse, by name, and why d1verify is right to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..support import NOW
from .peers import JOSERFC, LEEWAY, PYJWT
from .reading import MISSING, Reading, Written

_LONGEST_HEADER_OF_JOSERFC = 512


@dataclass(frozen=True)
class Lenience:
    """A class of tokens that d1verify accepts and these peers refuse."""

    found: Callable[[Reading], bool]
    peers: tuple[str, ...]
    because: str


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://"))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_object(value: Any) -> bool:
    return isinstance(value, Written)


# What joserfc knows of the members that d1verify never reads (RFC 7515 §4.1).
_UNREAD: dict[str, Callable[[Any], bool]] = {
    "jku": _is_url, "jwk": _is_object, "x5u": _is_url, "x5c": _is_texts, "x5t": _is_text, "x5t#S256": _is_text,
}  # fmt: skip
_READ = frozenset({"alg", "kid", "typ", "cty", "crit", "b64"})


def _ill_formed_unread(token: Reading) -> bool:
    written = ((token.header.member(name), is_well_formed) for name, is_well_formed in _UNREAD.items())
    return any(value is not MISSING and not is_well_formed(value) for value, is_well_formed in written)


def _unknown_member(token: Reading) -> bool:
    header = token.header.json
    return isinstance(header, Written) and not header.names <= _READ | _UNREAD.keys()


def _array_audience(token: Reading) -> bool:
    return isinstance(token.payload.member("aud"), list)


def _no_text(value: Any) -> bool:
    return value is not MISSING and not _is_text(value)


LENIENCES = {
    "`aud` is an array that names the audience": Lenience(
        _array_audience, (PYJWT.name,), "some Java libraries write one audience as an array (DESIGN.md 2, aud)"
    ),
    "`exp` less than a second before the end of the leeway": Lenience(
        lambda token: NOW - LEEWAY < token.payload.member("exp") < NOW - LEEWAY + 1,
        (PYJWT.name,),
        "now < exp + leeway, to the fraction; PyJWT cuts fractions off (DESIGN.md 2, exp)",
    ),
    "a header member that RFC 7515 does not list": Lenience(
        _unknown_member, (JOSERFC.name,), "never read (DESIGN.md 2, other members; RFC 7515 §4: ignored)"
    ),
    "`jwk`, `jku` or `x5…` that is not formed as RFC 7515 has it": Lenience(
        _ill_formed_unread, (JOSERFC.name,), "never read (DESIGN.md 2, other members)"
    ),
    "`cty` is no text": Lenience(
        lambda token: _no_text(token.header.member("cty")), (JOSERFC.name,), "it is not JWT (DESIGN.md 2, crit to cty)"
    ),
    "header part over 512 bytes": Lenience(
        lambda token: len(token.spelt[0]) > _LONGEST_HEADER_OF_JOSERFC,
        (JOSERFC.name,),
        "up to 2,048 bytes are taken (DESIGN.md 2, size)",
    ),
}


def leniences(token: str, peer: str) -> list[str]:
    """Return what d1verify does not mind in a token that it accepts, and this peer does."""
    reading = Reading(token)
    return [name for name, lenience in LENIENCES.items() if peer in lenience.peers and lenience.found(reading)]

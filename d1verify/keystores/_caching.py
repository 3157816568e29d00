"""How long an HTTP answer counts as current, and the tag to ask with next time. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["LONGEST", "SHORTEST", "entity_tag", "lifetime"]

SHORTEST: Final = 60.0
LONGEST: Final = 3600.0
DEFAULT: Final = 600.0

_MAX_TAG_CHARACTERS = 256
_TAG = re.compile(r'(?:W/)?"[!#-~]*"')
# Beyond nine digits every number is as good as any other: it is clamped.
_MAX_DIGITS = 9


def lifetime(cache_control: str, ages: Sequence[str], *, default: float = DEFAULT) -> float:
    """Return for how many seconds an answer counts as current, from 60 to 3,600.

    `Cache-Control: max-age` less `Age` (RFC 9111 §4.2); the smallest if there are several,
    nothing for `no-store` and `no-cache`, `default` without any of them. The limits keep a
    server's mistake from being a storm of requests or a key that is never looked at again.
    """
    directives = [directive.strip().partition("=") for directive in cache_control.lower().split(",")]
    offered = [_seconds(value) for name, _, value in directives if name == "max-age"]
    offered += [0 for name, _, value in directives if name in ("no-store", "no-cache") and not value]
    known = [seconds for seconds in offered if seconds is not None]
    if not known:
        return default
    age = max((_seconds(text) or 0 for text in ages), default=0)
    return min(max(min(known) - age, SHORTEST), LONGEST)


def entity_tag(text: str | None) -> str | None:
    """Return the entity tag if it is a well-formed one of sane length (RFC 9110 §8.8.3), else None."""
    if text is None or len(text) > _MAX_TAG_CHARACTERS or not _TAG.fullmatch(text):
        return None
    return text


def _seconds(text: str) -> int | None:
    """Return a delta-seconds value, quoted or not (RFC 9111 §1.2.2); None if it is none."""
    digits = text.strip().strip('"')
    if not digits.isascii() or not digits.isdigit():
        return None
    significant = digits.lstrip("0") or "0"
    return int(significant) if len(significant) <= _MAX_DIGITS else 10**_MAX_DIGITS

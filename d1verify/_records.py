"""The library's logger, and how one record of it is made.

Never a token, a claim or a key; a key id only escaped and shortened. Each record that a
program may want to read has fields beside its text, all of them named `d1_…`; the
README's section on operating lists them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final, NamedTuple

__all__ = ["Line", "log", "shown"]

log: Final = logging.getLogger("d1verify")

MAX_SHOWN_CHARACTERS: Final = 64

_NO_FIELDS: Final[Mapping[str, object]] = MappingProxyType({})


class Line(NamedTuple):
    """A log record to be written once no lock is held."""

    level: int
    message: str
    args: tuple[object, ...] = ()
    fields: Mapping[str, object] = _NO_FIELDS

    def write(self) -> None:
        with suppress(Exception):  # A log handler's trouble is not the caller's.
            log.log(self.level, self.message, *self.args, extra=self.fields)


def shown(text: str) -> str:
    """Return text that somebody else chose, fit for a log line: ASCII, escaped, at most 64 characters."""
    return ascii(text[:MAX_SHOWN_CHARACTERS])[1:-1][:MAX_SHOWN_CHARACTERS]

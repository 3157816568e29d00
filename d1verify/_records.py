"""The library's logger, and how one record of it is made.

Never a token, a claim or a key; a key id only escaped and shortened. Each record that a
program may want to read has fields beside its text, all of them named `d1_…`; the
README's section on operating lists them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import logging

__all__ = ["DEBUG", "ERROR", "INFO", "WARNING", "Line", "log", "shown"]

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40  # logging's own

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
            log().log(self.level, self.message, *self.args, extra=self.fields)


@functools.cache
def log() -> logging.Logger:
    """Return the library's logger. Importing `logging` takes a tenth of the library's import, so it waits for this."""
    import logging

    return logging.getLogger("d1verify")


def shown(text: str) -> str:
    """Return text that somebody else chose, fit for a log line: ASCII, escaped, at most 64 characters."""
    return ascii(text[:MAX_SHOWN_CHARACTERS])[1:-1][:MAX_SHOWN_CHARACTERS]

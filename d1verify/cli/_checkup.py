"""What one look at a part of a deployment gives: a mark, what was seen, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from .output import ExitCode

__all__ = ["Check", "Mark", "days", "failure", "legible", "listed", "passed", "skipped", "soon", "warning"]

MAX_CHARACTERS: Final = 200
MAX_LISTED: Final = 4
DAY: Final = 86_400.0
# Certificates of a week's life are not about to end on their first day.
_SOON_DAYS, _SOON_SHARE = 14, 1 / 3


class Mark(StrEnum):
    """How a check ends."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


class Check(NamedTuple):
    """One line of the examination.

    Attributes:
        name: what was looked at; stable, for programs.
        mark: how it stands.
        seen: in words of ours, with what others chose escaped; never a secret.
        advice: what to do about it; None if there is nothing to do.
        code: how the command ends if this failed.
        details: the same for programs, JSON-ready.
    """

    name: str
    mark: Mark
    seen: str
    advice: str | None = None
    code: ExitCode = ExitCode.REFUSED
    details: dict[str, Any] | None = None


def passed(name: str, seen: str) -> Check:
    """Return a check that found nothing wrong."""
    return Check(name, Mark.OK, seen)


def warning(name: str, seen: str, advice: str) -> Check:
    """Return a check that found something to look at; calls are judged all the same."""
    return Check(name, Mark.WARN, seen, advice)


def failure(name: str, seen: str, advice: str, code: ExitCode = ExitCode.REFUSED) -> Check:
    """Return a check that found something wrong."""
    return Check(name, Mark.FAIL, seen, advice, code)


def skipped(name: str, why: str, advice: str | None = None) -> Check:
    """Return a check that could not be made."""
    return Check(name, Mark.SKIPPED, why, advice)


def legible(text: str) -> str:
    """Return a path or the like, fit for a terminal: as `safe`, but longer."""
    return ascii(text[:MAX_CHARACTERS])[1:-1]


def listed(names: Iterable[str]) -> str:
    """Return the first few names, and how many more there are."""
    every: Sequence[str] = tuple(names)
    more = len(every) - MAX_LISTED
    return ", ".join(map(legible, every[:MAX_LISTED])) + (f" and {more} more" if more > 0 else "")


def soon(begins: float, ends: float, now: float) -> bool:
    """Tell whether a certificate is about to end: in less than 14 days and less than a third of its life."""
    return ends - now < min(_SOON_DAYS * DAY, (ends - begins) * _SOON_SHARE)


def days(seconds: float) -> str:
    """Return the days left, in words."""
    left = int(seconds // DAY)
    return "less than a day left" if left < 1 else f"{left:,} day{'' if left == 1 else 's'} left"

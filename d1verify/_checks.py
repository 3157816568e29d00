"""Checks of numbers that a developer gives, wherever they are given."""

from __future__ import annotations

from .errors import ConfigurationError

__all__ = ["checked_count", "checked_seconds"]


def checked_seconds(value: object, name: str, *, low: float, high: float) -> float:
    """Return `value` if it is a number from `low` to `high`; NaN, bool and text are not."""
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise ConfigurationError(f"{name} must be a number of seconds from {low:g} to {high:g}")


def checked_count(value: object, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ConfigurationError(f"{name} must be a whole number, 0 or more")

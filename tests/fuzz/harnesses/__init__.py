"""One module per reader. Each has `check(data)`, which raises if an invariant does not hold.

`MAX_BYTES` is the longest input that is worth making up, and `WORDS` is what the fuzzer may
put together besides single bytes.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

__all__ = ["NAMES", "Harness", "load"]

NAMES = (
    "codec",
    "verify_signed",
    "verify_raw",
    "bearer",
    "jwks",
    "pem",
    "http_answer",
    "oauth_form",
    "settings",
)


class Harness(Protocol):
    """What a harness module has."""

    MAX_BYTES: int
    WORDS: tuple[str, ...]

    def check(self, data: bytes) -> None:
        """Return if everything that has to hold for this input held."""


def load(name: str) -> Harness:
    """Return the harness of this name; it brings the part of the package that it is about."""
    if name not in NAMES:
        raise ValueError(f"there is no harness {name}; there are {', '.join(NAMES)}")
    return cast("Harness", import_module(f"{__name__}.{name}"))

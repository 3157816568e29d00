"""The catalogue: every call of the contract, in the order in which a verifier meets its rules.

The ids are stable; a changed or dropped one is a breaking change, a new one is not.
"""

from __future__ import annotations

from ..case import Case
from . import accepted, algorithms, claims, credentials, framing, headers, json_text, kids, routes, signatures, times

__all__ = ["contract_cases"]

_CASES: tuple[Case, ...] = (
    *accepted.CASES,
    *credentials.CASES,
    *framing.CASES,
    *algorithms.CASES,
    *headers.CASES,
    *kids.CASES,
    *signatures.CASES,
    *json_text.CASES,
    *claims.CASES,
    *times.CASES,
    *routes.CASES,
)


def contract_cases() -> tuple[Case, ...]:
    """Return every case of the contract; each is sent with calls that a `FakeD1` makes for it."""
    return _CASES

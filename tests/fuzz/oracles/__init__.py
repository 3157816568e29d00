"""The rules once more, written for plainness and not for speed, from DESIGN.md and the RFCs alone.

Nothing here imports the package, so that no mistake of it is repeated here by import.
"""

from __future__ import annotations

__all__ = ["InvariantError", "require"]


class InvariantError(AssertionError):
    """Something that has to hold for every input did not hold for this one."""


def require(held: object, claim: str) -> None:
    """Return if `held`; raise `InvariantError` otherwise, under `python -O` as well."""
    if not held:
        raise InvariantError(claim)

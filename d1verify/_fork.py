"""What must be made anew in a forked child: a lock held in the parent at fork never opens there."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["renew_in_child"]


class _Renewable(Protocol):
    def renew(self) -> None:
        """Replace locks and forget threads; called in a child that has one thread."""
        ...  # pragma: no cover - the body of a protocol is never run


_renewables: WeakSet[_Renewable] = WeakSet()


def renew_in_child(renewable: _Renewable) -> None:
    """Have `renewable.renew()` called in every child that is forked while it lives."""
    _renewables.add(renewable)


def _renew_all() -> None:
    for renewable in list(_renewables):
        renewable.renew()


if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows, where nothing forks
    os.register_at_fork(after_in_child=_renew_all)

"""What the doctor's tests have in common."""

from __future__ import annotations

from collections.abc import Callable

from d1verify.cli._checkup import Check

Environ = Callable[..., None]
Look = Callable[..., dict[str, Check]]

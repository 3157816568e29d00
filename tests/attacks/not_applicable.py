"""The rows that no test is named by, each with the reason. The one place for them. At the moment there is none."""

from __future__ import annotations

__all__ = ["NOT_APPLICABLE"]

NOT_APPLICABLE: dict[str, str] = {}

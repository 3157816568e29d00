"""What the README says in "Rotate keys": its steps, and its table of stores."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

__all__ = ["STEPS_OF_THE_README", "WAITS_OF_THE_README", "seconds"]

_README: Final = (Path(__file__).parents[2] / "README.md").read_text()
_FOUND: Final = re.search(r"^#+ Rotate keys\n(.*?)(?=^#)", _README, re.DOTALL | re.MULTILINE)
_SECTION: Final = _FOUND[1] if _FOUND else ""
_ROW: Final = re.compile(r"^\| (?!store|---)([^|]+) \| [^|]+ \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)

STEPS_OF_THE_README: Final = re.findall(r"^\d+\. \*\*(.+?)\*\*", _SECTION, re.MULTILINE)
WAITS_OF_THE_README: Final = dict(_ROW.findall(_SECTION))
"""By store, how long it says to wait."""


def seconds(plain: str) -> float:
    """Return the number of a time that is written as `7 s`, and as nothing else."""
    found = re.fullmatch(r"(\d+) s", plain)
    assert found, f"{plain!r} is no plain number of seconds"
    return float(found[1])

"""What of a grown corpus is worth committing: the inputs that reach what no seed reaches, the smallest of them."""

from __future__ import annotations

import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Final

from .running import COMMITTED, ROOT, child_command, laid_out

__all__ = ["MOST_BYTES_PER_HARNESS", "minimise"]

MOST_BYTES_PER_HARNESS: Final = 20_000
_DIGITS_OF_NAME: Final = 16


def minimise(harness: str, corpus: Path) -> list[Path]:
    """Replace the committed corpus of a harness by what is left of it and of `corpus`, and return its files.

    The seeds are merged first (`-merge=1` keeps what adds a feature), so nothing is committed
    that code makes anyway.
    """
    with tempfile.TemporaryDirectory(prefix="d1verify-merge-") as place, laid_out(harness, corpus) as (_words, folders):
        kept = Path(place, "kept")
        kept.mkdir()
        _merge(harness, kept, folders[-1])
        of_seeds = set(kept.iterdir())
        if not of_seeds:  # A merge that fails inside ends well outside.
            raise RuntimeError(f"nothing of the seeds of {harness} could be merged")
        _merge(harness, kept, *folders[:-1])
        fresh = sorted((path.read_bytes() for path in set(kept.iterdir()) - of_seeds), key=len)
        return _commit(harness, fresh)


def _merge(harness: str, into: Path, *folders: Path) -> None:
    arguments = [*child_command(harness), "-merge=1", str(into), *map(str, folders)]
    subprocess.run(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, check=True
    )


def _commit(harness: str, inputs: list[bytes]) -> list[Path]:
    folder = COMMITTED / harness
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    written: list[Path] = []
    room = MOST_BYTES_PER_HARNESS
    for data in inputs:
        room -= len(data)
        if room < 0:
            break
        path = folder / sha256(data).hexdigest()[:_DIGITS_OF_NAME]
        path.write_bytes(data)
        written.append(path)
    return written

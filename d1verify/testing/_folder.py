"""Public keys in a folder, kept as the published ones are."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..errors import ConfigurationError
from ._signing import SigningKey

__all__ = ["write_keys"]


def write_keys(folder: Path, keys: Iterable[SigningKey], written: frozenset[str]) -> frozenset[str]:
    """Bring `folder` up to date, each file in one step, and return the names of the files that are ours in it.

    Raises:
        ConfigurationError: a key id cannot be the name of a file.
        OSError: the folder cannot be written.
    """
    wanted = {_file_name(key.kid): key.pem for key in keys}
    for name, pem in wanted.items():
        descriptor, temporary = tempfile.mkstemp(prefix=".", dir=folder)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(pem)
        # Public keys, for an app that may run as another user.
        os.chmod(temporary, 0o644)
        os.replace(temporary, folder / name)
    for name in written - wanted.keys():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(folder / name)
    return frozenset(wanted)


def _file_name(kid: str) -> str:
    if re.fullmatch(r"[\w-][\w.-]*", kid) is None:
        raise ConfigurationError("a key id must be fit for a file name to be written to a folder")
    return f"{kid}.pem"

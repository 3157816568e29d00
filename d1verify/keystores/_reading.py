"""Reading key files without being led astray: regular files only, inside their folder, of bounded size."""

from __future__ import annotations

import os
import stat

from .._records import WARNING, Line, shown
from ..errors import KeyStoreError

__all__ = ["Contents", "FileReader"]

MAX_FILE_BYTES = 256 * 1024
SUFFIXES = (".pem", ".json")

_MAY_CHANGE = "anybody on this machine may change %s, where trusted keys come from"
_SCANS = 3
# O_NONBLOCK: opening a FIFO must not hang. O_NOFOLLOW: the resolved path is opened, not where it leads by then.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)

Contents = dict[str, bytes | KeyStoreError]


class FileReader:
    """Reads a key file or a folder of key files, and warns once of what anybody may change."""

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def read_folder(self, folder: str) -> Contents:
        """Return content by name; an error in its place for a file that is there and cannot be read.

        Kubernetes swaps a folder's content by one symbolic link. A file that vanishes
        between listing and reading therefore means looking again, not a withdrawal,
        unless it stays away.

        Raises:
            KeyStoreError: the folder cannot be listed.
        """
        for _scan in range(_SCANS):
            try:
                names = sorted(os.listdir(folder))
                self._warn_if_writable(folder, os.stat(folder))
            except OSError as error:
                raise KeyStoreError(f"the key folder cannot be listed ({_errno_name(error)})") from None
            wanted = [name for name in names if name.endswith(SUFFIXES) and not name.startswith(".")]
            root = os.path.realpath(folder)
            contents = {name: self.read_file(os.path.join(folder, name), root=root) for name in wanted}
            found = {name: content for name, content in contents.items() if content is not None}
            if len(found) == len(contents):
                break
        return found

    def read_single(self, path: str) -> bytes | KeyStoreError | None:
        """Return what `read_file` does for a file that is configured by its own path, with its folder looked at."""
        content = None
        for _scan in range(_SCANS):
            content = self.read_file(path)
            if content is not None:
                self._warn_if_writable(os.path.dirname(os.path.abspath(path)), os.stat(os.path.dirname(path) or "."))
                break
        return content

    def read_file(self, path: str, *, root: str | None = None) -> bytes | KeyStoreError | None:
        """Return the file's content, an error if it cannot be read, None if it is not there.

        Args:
            path: the file; links are followed.
            root: the resolved folder that it must be in, wherever links lead.
        """
        resolved = os.path.realpath(path)
        if root is not None and os.path.commonpath([root, resolved]) != root:
            return KeyStoreError("it is a link that leads out of the key folder")
        try:
            descriptor = os.open(resolved, _FLAGS)
        except FileNotFoundError:
            return None
        except OSError as error:
            return KeyStoreError(f"it cannot be opened ({_errno_name(error)})")
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return KeyStoreError("it is not a regular file")
            self._warn_if_writable(path, status)
            content = _read_up_to(descriptor, MAX_FILE_BYTES + 1)
        except OSError as error:
            return KeyStoreError(f"it cannot be read ({_errno_name(error)})")
        finally:
            os.close(descriptor)
        if len(content) > MAX_FILE_BYTES:
            return KeyStoreError("it is larger than 256 KiB")
        return content

    def _warn_if_writable(self, path: str, status: os.stat_result) -> None:
        if status.st_mode & stat.S_IWOTH and path not in self._warned:
            self._warned.add(path)
            fields = {"d1_event": "keys_writable", "d1_path": shown(path)}
            Line(WARNING, _MAY_CHANGE, (shown(path),), fields).write()


def _read_up_to(descriptor: int, limit: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(limit) or b""  # None from what would block, as files in /proc may


def _errno_name(error: OSError) -> str:
    return type(error).__name__ if error.errno is None else os.strerror(error.errno)

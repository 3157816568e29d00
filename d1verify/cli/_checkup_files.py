"""Who may change or read the files that trust hangs on. Links are followed to where they lead."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence

from ..errors import KeyStoreError
from ..keystores._reading import FileReader
from ._checkup import Check, failure, legible, listed, passed, skipped, warning

__all__ = ["check_key_files", "check_private", "check_writable"]

_TO_WRITE = "let nobody but the owner write there (chmod go-w): who writes there says whom this app trusts"


def check_key_files(path: str) -> list[Check]:
    """Return what there is to say about the permissions of a key file, or of a folder and the files in it."""
    readable, files = _readable(path)
    return [readable, check_writable([path, *files]), _owner([path, *files])]


def check_writable(paths: Sequence[str]) -> Check:
    """Return who besides the owner may change the files and folders, or swap them in the folders above."""
    if not hasattr(os, "geteuid"):
        return _not_here("writable")
    anybody = [one for one in _with_folders(paths) if _mode(one) & stat.S_IWOTH and not _is_read_only(one)]
    anybody += [one for one in _above(paths) if _mode(one) & stat.S_IWOTH and not _is_sticky_or_read_only(one)]
    if anybody:
        return failure("writable", f"anybody on this machine may change {listed(anybody)}", _TO_WRITE)
    group = [one for one in _with_folders(paths) if _mode(one) & stat.S_IWGRP and not _is_read_only(one)]
    if group:
        return warning("writable", f"a whole group may change {listed(group)}", _TO_WRITE)
    return passed("writable", "by the owner alone")


def check_private(name: str, path: str) -> Check:
    """Return who besides the owner may read a file that is a secret."""
    if not hasattr(os, "geteuid"):
        return _not_here(name)
    status = os.stat(path)
    mode = f"{legible(path)} has mode {stat.S_IMODE(status.st_mode):04o}"
    if status.st_mode & stat.S_IROTH:
        return failure(
            name, f"{mode}: anybody on this machine may read it", "chmod 0400, and renew key and certificate"
        )
    if status.st_uid not in (0, os.geteuid()):
        return warning(name, f"{mode} and belongs to user {status.st_uid}", "give it to root or to the app's user")
    if status.st_mode & stat.S_IRGRP and status.st_uid:
        return warning(name, f"{mode}: a whole group may read it", "chmod 0400, or give it to root")
    return passed(name, mode)


def _readable(path: str) -> tuple[Check, list[str]]:
    """Return whether the store can read what it looks at, and those files' paths."""
    reader = FileReader()
    try:
        contents = reader.read_folder(path) if os.path.isdir(path) else {"": reader.read_single(path)}
    except KeyStoreError as error:
        return failure("readable", str(error), "let the app's user list the folder (chmod u+rx)"), []
    files = [os.path.join(path, name) for name in contents if name]
    trouble = {name or path: content for name, content in contents.items() if isinstance(content, KeyStoreError)}
    if trouble:
        name, why = next(iter(trouble.items()))
        more = f", and {len(trouble) - 1} more" if len(trouble) > 1 else ""
        advice = "let the app's user read it, or move it away if it is no key"
        return failure("readable", f"{legible(name)}: {why}{more}", advice), files
    return passed("readable", f"{len(contents)} file{'' if len(contents) == 1 else 's'}, by this user"), files


def _owner(paths: Sequence[str]) -> Check:
    if not hasattr(os, "geteuid"):
        return _not_here("owner")
    mine = {0, os.geteuid()}
    foreign = {one: uid for one in _with_folders(paths) if (uid := os.stat(one).st_uid) not in mine}
    if foreign:
        users = ", ".join(map(str, sorted(set(foreign.values()))[:4]))
        advice = "give them to root or to the app's user, or run this as the app's user"
        return warning("owner", f"user {users} owns {listed(foreign)}", advice)
    return passed("owner", "root or this user")


def _with_folders(paths: Iterable[str]) -> Iterator[str]:
    """Yield the resolved paths and the folders that the files really lie in; each once."""
    seen: set[str] = set()
    for path in map(os.path.realpath, paths):
        for one in (path,) if os.path.isdir(path) else (path, os.path.dirname(path)):
            if one not in seen and os.path.exists(one):
                seen.add(one)
                yield one


def _above(paths: Iterable[str]) -> Iterator[str]:
    """Yield the folders above those, in which they could be swapped; each once."""
    below = tuple(_with_folders(paths))
    seen = set(below)
    for path in below:
        folder = os.path.dirname(path)
        while folder not in seen:
            seen.add(folder)
            yield folder
            folder = os.path.dirname(folder)


def _mode(path: str) -> int:
    return os.stat(path).st_mode


def _is_read_only(path: str) -> bool:
    """Tell whether nobody can write there, whatever the mode says: Kubernetes mounts secrets so, with mode 1777."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _is_sticky_or_read_only(path: str) -> bool:
    return bool(_mode(path) & stat.S_ISVTX) or _is_read_only(path)


def _not_here(name: str) -> Check:
    return skipped(name, "this system has no such permissions", "look at its access control lists")

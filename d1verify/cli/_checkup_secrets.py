"""Private keys where only public ones belong, found without a byte of them leaving this module."""

from __future__ import annotations

import binascii
import itertools
import os
import re
from collections import deque
from typing import Final, NamedTuple

from ..keystores._reading import FileReader
from ._checkup import Check, failure, listed, passed, skipped, warning

__all__ = ["ADVICE", "check_file", "check_folder", "check_text", "holds_private_key", "is_in_file", "is_in_text"]

MAX_ENTRIES: Final = 1000
MAX_DEPTH: Final = 4
MAX_TOTAL_BYTES: Final = 32 * 1024 * 1024

ADVICE: Final = (
    "move it off this machine; if its public half is trusted anywhere, replace that key: who reads it signs as D1"
)
_APART = "give the key file a folder of its own"

_PEM = re.compile(rb"-{4,5} ?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY")
_JWK = re.compile(rb'"(?:d|k)"\s*:\s*"[A-Za-z0-9_-]{8}')
_KIND = b'"kty"'
# PKCS #8, PKCS #1, SEC 1 and PKCS #12 by their first members, an encrypted PKCS #8 by its algorithm.
_DER = re.compile(
    rb"\x30(?:[\x00-\x80]|\x81.|\x82..|\x83...)"
    rb"(?:\x02\x01(?:\x00[\x30\x02]|\x01\x04|\x03\x30)|\x30.{1,2}\x06.\x2a\x86\x48\x86\xf7\x0d\x01[\x05\x0c])",
    re.DOTALL,
)
_JAVA_KEY_STORES = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_=\s-]+")
_URL_SAFE_AS_STANDARD = bytes.maketrans(b"-_", b"+/")


class _Walk(NamedTuple):
    """What there was to look into: paths of files below the folder, and whether that is all."""

    files: list[str]
    complete: bool


def holds_private_key(content: bytes) -> bool:
    """Tell whether there is a private or symmetric key: PEM, JWK, DER, PKCS #12, Java's, or base64 of one."""
    return _is_secret(content) or _is_secret(_from_base64(content))


def is_in_text(text: str) -> bool:
    """Tell whether a private key is in a variable's value."""
    return holds_private_key(text.encode("utf-8", "replace"))


def is_in_file(path: str) -> bool:
    """Tell whether a private key is in this very file, wherever links lead."""
    content = FileReader().read_file(path)
    return isinstance(content, bytes) and holds_private_key(content)


def check_text(text: str) -> Check:
    """Return whether a private key is in a variable's value."""
    if is_in_text(text):
        return failure("private keys", "there is one in D1VERIFY_KEYS", ADVICE)
    return passed("private keys", "none in D1VERIFY_KEYS")


def check_file(path: str) -> Check:
    """Return whether a private key is in a key file, or in a file beside it, whatever that is called.

    Beside it is where its path says that it lies, and where it does lie if it is a link. Folders
    there are left alone: unlike a folder of keys, this one may be for other things as well.
    """
    itself, named = os.path.realpath(path), os.path.realpath(os.path.dirname(os.path.abspath(path)))
    is_private = is_in_file(path)
    try:
        walks = [_walk(folder, deep=False) for folder in dict.fromkeys((named, os.path.dirname(itself)))]
    except OSError:
        if not is_private:
            return skipped("private keys", "the folder of the key file cannot be listed", "look into it yourself")
        walks = []
    files = list(dict.fromkeys((itself, *(file for walk in walks for file in walk.files))))
    advice = ADVICE if is_private else f"{ADVICE}; if it is for something else, {_APART}"
    return _look_into(_Walk(files, all(walk.complete for walk in walks)), named, advice, _APART)


def check_folder(folder: str) -> Check:
    """Return which files in and below a folder hold a private key, whatever they are called. Links are not followed."""
    root = os.path.realpath(folder)
    try:
        walk = _walk(root)
    except OSError:
        return skipped("private keys", "the key folder cannot be listed", "see the line readable")
    return _look_into(walk, root, ADVICE, "keep nothing but public keys in the key folder")


def _look_into(walk: _Walk, root: str, advice: str, on_more: str) -> Check:
    """Return which of the files hold a private key, named as from `root`."""
    reader = FileReader()
    found: list[str] = []
    unread = total = 0
    for path in walk.files:
        content = reader.read_file(path, root=os.path.dirname(path)) if total < MAX_TOTAL_BYTES else None
        if not isinstance(content, bytes):
            unread += 1
            continue
        total += len(content)
        if holds_private_key(content):
            found.append(os.path.relpath(path, root))
    if found:
        return failure("private keys", f"in {listed(found)}", advice)
    looked_into = f"none in {len(walk.files) - unread} files"
    if unread or not walk.complete:
        more = f"; {unread} could not be read or are too large" if unread else ""
        more += "" if walk.complete else "; there is more than was looked at"
        return warning("private keys", looked_into + more, on_more)
    return passed("private keys", looked_into)


def _walk(folder: str, *, deep: bool = True) -> _Walk:
    """Return the files, those highest up first; other file systems that are mounted below are left alone."""
    files: list[str] = []
    entries, complete, device = 0, True, os.stat(folder).st_dev
    folders = deque([(folder, 0)])
    while folders:
        path, depth = folders.popleft()
        inside = _entries(path, MAX_ENTRIES - entries)
        entries += len(inside)
        files += [entry.path for entry in inside if entry.is_file(follow_symlinks=False)]
        below = [entry for entry in inside if deep and entry.is_dir(follow_symlinks=False)]
        same = [entry.path for entry in below if entry.stat(follow_symlinks=False).st_dev == device]
        deeper = [(one, depth + 1) for one in same if depth < MAX_DEPTH and os.access(one, os.R_OK | os.X_OK)]
        folders.extend(deeper)
        complete = complete and len(deeper) == len(below) and entries < MAX_ENTRIES
    return _Walk(files, complete)


def _entries(folder: str, most: int) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(itertools.islice(entries, most), key=lambda entry: entry.name)


def _is_secret(content: bytes) -> bool:
    if content.startswith(_JAVA_KEY_STORES) or _DER.match(content):
        return True
    text = content.replace(b"\0", b"")  # as UTF-16, too
    return bool(_PEM.search(text) or (_KIND in text and _JWK.search(text)))


def _from_base64(content: bytes) -> bytes:
    if not _BASE64.fullmatch(content):
        return b""
    data = b"".join(content.split()).translate(_URL_SAFE_AS_STANDARD).rstrip(b"=")
    try:
        return binascii.a2b_base64(data + b"=" * (-len(data) % 4))
    except binascii.Error:
        return b""

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

__all__ = ["check_folder", "check_text", "holds_private_key"]

MAX_ENTRIES: Final = 1000
MAX_DEPTH: Final = 4
MAX_TOTAL_BYTES: Final = 32 * 1024 * 1024

_TO_DO = "move it off this machine; if its public half is trusted anywhere, replace that key: who reads it signs as D1"

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


def check_text(text: str) -> Check:
    """Return whether a private key is in a variable's value."""
    if holds_private_key(text.encode("utf-8", "replace")):
        return failure("private keys", "there is one in D1VERIFY_KEYS", _TO_DO)
    return passed("private keys", "none in D1VERIFY_KEYS")


def check_folder(folder: str) -> Check:
    """Return which files in and below a folder hold a private key, whatever they are called. Links are not followed."""
    try:
        walk = _walk(folder)
    except OSError:
        return skipped("private keys", "the key folder cannot be listed", "see the line readable")
    reader, root = FileReader(), os.path.realpath(folder)
    found: list[str] = []
    unread = total = 0
    for path in walk.files:
        content = reader.read_file(path, root=root) if total < MAX_TOTAL_BYTES else None
        if not isinstance(content, bytes):
            unread += 1
            continue
        total += len(content)
        if holds_private_key(content):
            found.append(os.path.relpath(path, folder))
    if found:
        return failure("private keys", f"in {listed(found)}", _TO_DO)
    looked_into = f"none in {len(walk.files) - unread} files"
    if unread or not walk.complete:
        more = f"; {unread} could not be read or are too large" if unread else ""
        more += "" if walk.complete else "; there is more than was looked at"
        return warning("private keys", looked_into + more, "keep nothing but public keys in the key folder")
    return passed("private keys", looked_into)


def _walk(folder: str) -> _Walk:
    """Return the files, those highest up first; other file systems that are mounted below are left alone."""
    files: list[str] = []
    entries, complete, device = 0, True, os.stat(folder).st_dev
    folders = deque([(folder, 0)])
    while folders:
        path, depth = folders.popleft()
        inside = _entries(path, MAX_ENTRIES - entries)
        entries += len(inside)
        files += [entry.path for entry in inside if entry.is_file(follow_symlinks=False)]
        below = [entry for entry in inside if entry.is_dir(follow_symlinks=False)]
        same = [entry.path for entry in below if entry.stat(follow_symlinks=False).st_dev == device]
        deeper = [(one, depth + 1) for one in same if depth < MAX_DEPTH and os.access(one, os.R_OK | os.X_OK)]
        folders.extend(deeper)
        complete = complete and len(deeper) == len(below) and entries < MAX_ENTRIES
    return _Walk(files, complete)


def _entries(folder: str, most: int) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(itertools.islice(entries, most))


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

"""Keys in a file, or in a folder of files as configuration management and Kubernetes lay them out."""

from __future__ import annotations

import itertools
import os
import time
from typing import NamedTuple

from .._keyformats import jwks_entries, parse_json
from ..errors import ConfigurationError, KeyStoreError
from ..keys import KeySet, PublicKey, SkippedKey, checked_key_id, collect_keys
from ._reading import Contents, FileReader

__all__ = ["FileKeyStore"]

MAX_AGE = 5.0
MAX_STALE = 300.0


class _Parsed(NamedTuple):
    """What a file gave: its content, the keys in it, what was skipped, and when it was last seen good."""

    content: bytes
    keys: tuple[tuple[str, PublicKey], ...]
    skipped: tuple[SkippedKey, ...]
    seen_at: float


class FileKeyStore:
    """Keys in a PEM file, a `.json` file with a JWK or JWK Set, or a folder of `<kid>.pem` and `*.json`.

    Looked at again every 5 seconds while requests come in, by content and not by time
    stamps. A file that is gone is a key withdrawn; one that is there but cannot be parsed
    keeps its last good key for up to 300 seconds. Dot-files, other suffixes, links that
    lead out of the folder and anything but regular files up to 256 KiB are left out.

    Args:
        path: the file or folder.
        kid: the key id of a single PEM file, or of a single JWK that has none itself;
            without it, the file's name without its suffix.

    Raises:
        ConfigurationError: an argument is no path or no key id.
    """

    def __init__(self, path: str | os.PathLike[str], kid: str | None = None) -> None:
        text = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
        if not isinstance(text, str) or not text or "\0" in text:
            raise ConfigurationError("path must be the path of a file or folder")
        self._path = os.path.abspath(text)
        self._kid = None if kid is None else checked_key_id(kid)
        self._reader = FileReader()
        self._good: dict[str, _Parsed] = {}
        self._was_there = False
        self._numbers = itertools.count(1)
        self._remembered = 0
        self._timer = time.monotonic

    def load(self) -> KeySet:
        """Return the keys that the file or folder holds now.

        Raises:
            KeyStoreError: it cannot be listed or read, or nothing read just now is usable.
        """
        number, now = next(self._numbers), self._timer()
        good: dict[str, _Parsed] = {}
        kept: dict[str, _Parsed] = {}
        skipped: list[SkippedKey] = []
        for name, content in self._read().items():
            known = self._good.get(name)
            try:
                good[name] = self._parse(name, content, known, now)
            except KeyStoreError as error:
                keep = known is not None and now - known.seen_at < MAX_STALE
                if known is not None and keep:
                    kept[name] = known
                skipped.append(SkippedKey(name, f"{error}{'; its last good key is kept' if keep else ''}"))
        if number > self._remembered:  # A load that comes late must not bring back what was replaced.
            self._remembered, self._good = number, {**good, **kept}
        if kept and not any(parsed.keys for parsed in good.values()):
            # Nothing was confirmed just now, so the set must not count as new.
            raise KeyStoreError(f"no key file can be read: {skipped[0].why}")
        lasting = min((MAX_STALE - (now - parsed.seen_at) for parsed in kept.values()), default=MAX_STALE)
        return _key_set([*good.values(), *kept.values()], skipped, lasting)

    def _read(self) -> Contents:
        if os.path.isdir(self._path):
            if self._kid is not None:
                raise KeyStoreError("kid (D1VERIFY_KID) is for a single file, and the path is a folder")
            return self._reader.read_folder(self._path)
        name = os.path.basename(self._path)
        content = self._reader.read_single(self._path)
        if content is not None:
            self._was_there = True
            return {name: content}
        if self._was_there and os.path.isdir(os.path.dirname(os.path.abspath(self._path))):
            return {}
        raise KeyStoreError(f"the key file or folder does not exist: {os.path.abspath(self._path)!a}")

    def _parse(self, name: str, content: bytes | KeyStoreError, known: _Parsed | None, now: float) -> _Parsed:
        if isinstance(content, KeyStoreError):
            raise content
        if known is not None and known.content == content:
            return known._replace(seen_at=now)
        keys: list[tuple[str, PublicKey]] = []
        skipped: list[SkippedKey] = []
        for candidate in self._candidates(name, content):
            # One by one: whether two files disagree about a kid is judged over all of them.
            usable, unusable = collect_keys([candidate])
            keys.extend(usable.items())
            skipped.extend(unusable)
        return _Parsed(content, tuple(keys), tuple(skipped), now)

    def _candidates(self, name: str, content: bytes) -> list[tuple[str, object, object]]:
        """Return (place, kid, material) of each candidate; what is a single key is parsed, or raises."""
        stem = os.path.splitext(name)[0] if self._kid is None else self._kid
        if not name.endswith(".json"):
            return [(name, stem, PublicKey.from_pem(content))]
        members = parse_json(content)
        if "keys" not in members:
            return [(name, members.get("kid", stem), PublicKey.from_jwk(members))]
        return [
            (f"{name}: keys[{position}]", entry.get("kid") if isinstance(entry, dict) else None, entry)
            for position, entry in enumerate(jwks_entries(members))
        ]


def _key_set(files: list[_Parsed], skipped: list[SkippedKey], max_stale: float) -> KeySet:
    """Return the keys of all files; `max_stale` is what is left to the oldest of the keys that were kept."""
    pairs = [(kid, kid, key) for parsed in files for kid, key in parsed.keys]
    keys, conflicts = collect_keys(pairs)
    of_files = [one for parsed in files for one in parsed.skipped]
    return KeySet(keys, MAX_AGE, max_stale, [*skipped, *of_files, *conflicts])

"""The keys of a fake D1: which are published, which one signs, and who has to hear of a change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..keys import KeySet
from ._folder import write_keys
from ._signing import SigningKey

__all__ = ["KeyRing", "LiveKeyStore"]

# So short that a verifier asks again at each call, and long enough that what it has stays usable.
MAX_AGE: Final = 1e-6
MAX_STALE: Final = 3600.0


class LiveKeyStore:
    """The keys that a `FakeD1` publishes now, as a key store for the app's verifier.

    Its sets come of age at once, so a verifier asks before each answer and sees a rotation
    or withdrawal at the next call, without waiting and without a hook.
    """

    def __init__(self, published: Callable[[], tuple[SigningKey, ...]]) -> None:
        self._published = published

    def load(self) -> KeySet:
        """Return the published keys."""
        return KeySet({key.kid: key.public for key in self._published()}, max_age=MAX_AGE, max_stale=MAX_STALE)


class KeyRing:
    """Keys that are published, in memory and in folders, and the one that signs.

    Args:
        signer: the first key.
        after_change: called after each change.
    """

    def __init__(self, signer: SigningKey, after_change: Callable[[], object] | None) -> None:
        self.signer = signer
        self.published: tuple[SigningKey, ...] = (signer,)
        self.store = LiveKeyStore(lambda: self.published)
        self._after_change = after_change
        self._folders: dict[Path, frozenset[str]] = {}
        self._counter = 1
        self._deferring = False

    def write_to(self, folder: Path) -> None:
        """Write the published keys to `folder`, now and at each change."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folders[folder] = write_keys(folder, self.published, self._folders.get(folder, frozenset()))

    def rotate(self) -> str:
        """Publish a new key beside the others, sign with it from now on, and return its id."""
        taken = {self.signer.kid, *(key.kid for key in self.published)}
        self._counter += 1
        while (kid := f"fake-d1-key-{self._counter}") in taken:
            self._counter += 1
        self.signer = SigningKey.generate(kid)
        self.published = (*self.published, self.signer)
        self._announce()
        return kid

    def withdraw(self, kid: str) -> None:
        """Publish the key with this id no more."""
        remaining = tuple(key for key in self.published if key.kid != kid)
        if len(remaining) == len(self.published):
            raise KeyError(kid)
        self.published = remaining
        self._announce()

    @contextmanager
    def one_change(self) -> Iterator[None]:
        """Make one change of all that is done in the block, so that a slow app is waited for once."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        self._announce()

    def _announce(self) -> None:
        if self._deferring:
            return
        for folder in self._folders:
            self.write_to(folder)
        changed_at = time.monotonic()
        while time.monotonic() - changed_at <= MAX_AGE:  # pragma: no cover - where the clock ticks in milliseconds
            time.sleep(0.001)
        if self._after_change is not None:
            self._after_change()

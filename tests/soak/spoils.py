"""Faults planted into the app, each to be noticed: by its name, what it is noticed as."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Callable
from typing import Any, Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from d1verify import KeySet
from d1verify.keys import KeyStore

__all__ = ["SPOILS", "spoilt_app", "spoilt_store"]

# So seldom that only a load finds it, so often that a short one does.
EVERY: Final = 200

SPOILS: Final = {
    "lets-in": "wrong accepts",
    "refuses": "wrong refusals",
    "fails": "unintended 5xx",
    "leaks-memory": "memory",
    "leaks-files": "file descriptors",
    "leaks-threads": "threads",
    "dies": "workers that ended",
    "keeps-withdrawn": "wrong accepts",
    "never-looks-again": "new keys overlooked",
    "serves-no-stale": "unintended 5xx",
    "logs-tokens": "tokens in the log",
}

_hoard: list[Any] = []


class _Sometimes:
    """Does something else than the app at each so many-th request."""

    def __init__(self, app: ASGIApp, instead: ASGIApp | None, every: int, act: Callable[[Scope], object]) -> None:
        self._app, self._instead, self._every, self._act = app, instead or app, every, act
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve."""
        if scope["type"] != "http" or next(self._numbers) % self._every:
            await self._app(scope, receive, send)
            return
        self._act(scope)
        await self._instead(scope, receive, send)


class _KeepsWithdrawn:
    """Never forgets a key."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._seen: dict[str, Any] = {}

    def load(self) -> KeySet:
        keys = self._store.load()
        self._seen.update(keys.keys)
        return KeySet(self._seen, keys.max_age, keys.max_stale)


class _NeverLooksAgain:
    """Asks once."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._keys: KeySet | None = None

    def load(self) -> KeySet:
        self._keys = self._keys or self._store.load()
        return self._keys


class _ServesNoStale:
    """Has keys that are useless as soon as they come of age."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store

    def load(self) -> KeySet:
        keys = self._store.load()
        return KeySet(keys.keys, keys.max_age, max_stale=0.0)


_STORES: Final[dict[str, Callable[[KeyStore], KeyStore]]] = {
    "keeps-withdrawn": _KeepsWithdrawn,
    "never-looks-again": _NeverLooksAgain,
    "serves-no-stale": _ServesNoStale,
}


def spoilt_store(name: str, store: KeyStore) -> KeyStore:
    """Return the store with the fault of this name, if it is one of stores."""
    return _STORES[name](store) if name in _STORES else store


def spoilt_app(name: str, app: ASGIApp) -> ASGIApp:
    """Return the app with the fault of this name, if it is one of apps."""
    instead, every, act = _APPS.get(name, (None, EVERY, _nothing))
    return _Sometimes(app, instead, every, act)


def _nothing(_scope: Scope) -> None:
    pass


def _open_a_file(_scope: Scope) -> None:
    _hoard.append(open(os.devnull))  # noqa: SIM115 - it is to stay open


def _start_a_thread(_scope: Scope) -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def _print_the_token(scope: Scope) -> None:
    print(dict(scope["headers"]).get(b"authorization"), flush=True)


_APPS: Final[dict[str, tuple[ASGIApp | None, int, Callable[[Scope], object]]]] = {
    "lets-in": (Response(status_code=204), EVERY, _nothing),
    "refuses": (Response('{"error":"invalid_token","error_description":"expired"}', 401), EVERY, _nothing),
    "fails": (Response("{}", 500), EVERY, _nothing),
    "leaks-memory": (None, 1, lambda _scope: _hoard.append(bytearray(2048))),
    "leaks-files": (None, EVERY, _open_a_file),
    "leaks-threads": (None, EVERY, _start_a_thread),
    "dies": (None, 5000, lambda _scope: os.kill(os.getpid(), signal.SIGKILL)),
    "logs-tokens": (None, EVERY, _print_the_token),
}

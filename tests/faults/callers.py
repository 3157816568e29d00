"""Who asks for keys: threads, asyncio tasks, trio tasks; alone or as a crowd; and how long each waited."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

import trio

from d1verify import KeyCache, KeySet, KeyStoreError, PublicKey, TokenError
from d1verify.keys import KeyStore
from d1verify.observer import KeyLoad

KINDS = ("sync", "asyncio", "trio")
# A call that waits for nothing returns within this many seconds on a busy machine too; one that waits takes `max_wait`,
# two seconds, where a test does not say otherwise.
AT_ONCE = 1.0


@dataclass(frozen=True)
class Told:
    """What a caller was told, and after how many seconds."""

    answer: PublicKey | TokenError | KeyStoreError
    seconds: float

    @property
    def key(self) -> PublicKey:
        assert isinstance(self.answer, PublicKey), self.answer
        return self.answer

    @property
    def outcome(self) -> str:
        """`key`, or the reason for which there is none."""
        return "key" if isinstance(self.answer, PublicKey) else self.answer.reason.value

    @property
    def retry_after(self) -> float:
        assert isinstance(self.answer, KeyStoreError), self.answer
        return self.answer.retry_after

    @property
    def at_once(self) -> bool:
        return self.seconds < AT_ONCE


def ask(cache: KeyCache, kid: str, kind: str = "sync") -> Told:
    """Ask from a thread, or from a task on an event loop made for it."""
    if kind == "asyncio":
        return asyncio.run(aask(cache, kid))
    if kind == "trio":
        return trio.run(aask, cache, kid)
    started = time.perf_counter()
    try:
        answer: Any = cache.key(kid)
    except (TokenError, KeyStoreError) as error:
        answer = error
    return Told(answer, time.perf_counter() - started)


async def aask(cache: KeyCache, kid: str) -> Told:
    started = time.perf_counter()
    try:
        answer: Any = await cache.akey(kid)
    except (TokenError, KeyStoreError) as error:
        answer = error
    return Told(answer, time.perf_counter() - started)


class Crowd:
    """So many callers who ask at the same time, from threads, one asyncio loop, one trio run, or all of them."""

    def __init__(self, threads: Executor, cache: KeyCache, kid: str, size: int, kind: str) -> None:
        self.cache, self.kid = cache, kid
        share = size // 3
        shares = {"mix": {"sync": size - 2 * share, "asyncio": share, "trio": share}}.get(kind, {kind: size})
        self._told: list[Future[list[Told]]] = [threads.submit(self._ask) for _ in range(shares.get("sync", 0))]
        if "asyncio" in shares:
            self._told.append(threads.submit(lambda: asyncio.run(self._on_asyncio(shares["asyncio"]))))
        if "trio" in shares:
            self._told.append(threads.submit(trio.run, self._on_trio, shares["trio"]))

    def _ask(self) -> list[Told]:
        return [ask(self.cache, self.kid)]

    async def _on_asyncio(self, count: int) -> list[Told]:
        return await asyncio.gather(*(aask(self.cache, self.kid) for _ in range(count)))

    async def _on_trio(self, count: int) -> list[Told]:
        told: list[Told] = []

        async def one() -> None:
            told.append(await aask(self.cache, self.kid))

        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(one)
        return told

    def told(self) -> list[Told]:
        return [told for future in self._told for told in future.result(60)]


class Watched:
    """A key store that counts its loads, and a cache over it that tells when one has ended."""

    def __init__(self, store: KeyStore, **settings: Any) -> None:
        self._store = store
        self._ended = 0
        self._news = threading.Condition()
        self.loads = 0
        self.cache = KeyCache(self, **settings)
        self.cache.subscribe(self._note)

    def load(self) -> KeySet:
        self.loads += 1
        return self._store.load()

    def _note(self, _event: KeyLoad) -> None:
        with self._news:
            self._ended += 1
            self._news.notify_all()

    def wait_for_loads(self) -> None:
        """Return when every load that was started has ended."""
        with self._news:
            assert self._news.wait_for(lambda: self._ended >= self.cache._loader.state.started, timeout=20)

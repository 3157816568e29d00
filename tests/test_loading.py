"""One load for all threads and event loops: real threads, asyncio and trio, a store that hangs until released."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
import types
from collections.abc import Callable

import anyio
import pytest
import trio

from d1verify import KeyCache, KeySet, KeyStoreError, PublicKey
from d1verify._freshness import Attempt
from d1verify._loading import PendingLoad, _thread_safe_call_soon, pause, start_thread

from .loads import verifier_over, waiters, waiting
from .support import KEY, PATIENCE, Clock, ScriptedStore, auntil, key_set, until


def pending_load() -> PendingLoad:
    return PendingLoad(Attempt(1, 0.0, 2.0, 10.0))


def hanging_store(*answers: KeySet | Exception) -> ScriptedStore:
    store = ScriptedStore(*(answers or (key_set(KEY),)))
    store.released.clear()
    return store


def run_all(*runs: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=run, daemon=True) for run in runs]
    for thread in threads:
        thread.start()
    return threads


def join_all(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_threads_asyncio_and_trio_share_one_load() -> None:
    store = hanging_store()
    cache = KeyCache(store)
    found: list[PublicKey] = []

    async def look_up() -> None:
        async with anyio.create_task_group() as tasks:
            for _task in range(3):
                tasks.start_soon(look_up_once)

    async def look_up_once() -> None:
        found.append(await cache.akey(KEY.kid))

    threads = run_all(
        *[lambda: found.append(cache.key(KEY.kid))] * 4,
        *[lambda: asyncio.run(look_up())] * 2,
        *[lambda: trio.run(look_up)] * 2,
    )
    until(lambda: waiting(cache) == 4 + 3 * 4)
    store.released.set()
    join_all(threads)
    assert found == [KEY.public] * 16
    assert store.loads == 1


def test_one_verifier_serves_one_event_loop_after_the_other() -> None:
    # A224: nothing is bound to the loop that came first.
    verifier, token = verifier_over(KeyCache(ScriptedStore(key_set(KEY)))), KEY.mint()
    for _run in range(2):
        assert asyncio.run(verifier.averify(token)).kid == KEY.kid
        assert trio.run(verifier.averify, token).kid == KEY.kid


@pytest.mark.anyio
async def test_a_waiting_task_does_not_block_its_event_loop() -> None:
    store = hanging_store()
    cache = KeyCache(store)
    steps = 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cache.akey, KEY.kid)
        await auntil(lambda: waiting(cache) == 1)
        for _step in range(5):
            await anyio.lowlevel.checkpoint()
            steps += 1
        store.released.set()
    assert steps == 5


@pytest.mark.anyio
async def test_a_cancelled_waiter_cancels_nobody() -> None:
    # A273
    store = hanging_store()
    cache = KeyCache(store)
    found: list[PublicKey] = []
    first = anyio.CancelScope()

    async def look_up() -> None:
        found.append(await cache.akey(KEY.kid))

    async def look_up_and_be_cancelled() -> None:
        with first:
            await look_up()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look_up_and_be_cancelled)
        tasks.start_soon(look_up)
        tasks.start_soon(look_up)
        await auntil(lambda: waiting(cache) == 3)
        first.cancel()
        await auntil(lambda: waiting(cache) == 2)
        store.released.set()
    assert found == [KEY.public, KEY.public]
    assert store.loads == 1


@pytest.mark.anyio
async def test_a_waiter_that_gives_up_leaves_nothing_behind() -> None:
    store = hanging_store(KeyStoreError("never mind"))
    timer = Clock()
    cache = KeyCache(store, load_timeout=0.01, timer=timer)
    with pytest.raises(KeyStoreError):
        await cache.akey(KEY.kid)
    assert waiting(cache) == 0
    with pytest.raises(KeyStoreError):
        cache.key(KEY.kid)
    assert waiting(cache) == 0
    store.released.set()


@pytest.mark.anyio
async def test_async_twins_do_what_their_sync_ones_do() -> None:
    store = ScriptedStore(key_set(KEY), KeyStoreError("down"))
    cache = KeyCache(store)
    await cache.awarm_up()
    await cache.awarm_up()
    assert store.loads == 1
    assert await cache.akey(KEY.kid) is KEY.public
    with pytest.raises(KeyStoreError, match="down"):
        await cache.arefresh()
    store.answer = KeySet({}, 100.0)
    with pytest.raises(KeyStoreError, match="second look"):
        await cache.arefresh()
    assert await cache.akey(KEY.kid) is KEY.public


@pytest.mark.anyio
async def test_awarm_up_raises_when_there_are_no_keys() -> None:
    with pytest.raises(KeyStoreError, match="down"):
        await KeyCache(ScriptedStore(KeyStoreError("down"))).awarm_up()


def test_an_event_loop_closed_in_mid_flight_disturbs_nobody() -> None:
    store = hanging_store()
    cache = KeyCache(store)
    loop = asyncio.new_event_loop()
    task = loop.create_task(cache.akey(KEY.kid))
    loop.run_until_complete(asyncio.sleep(0))
    until(lambda: waiting(cache) == 1)
    loop.close()  # The task's clean-up has not run, and its callback calls into a loop that is closed.
    found: list[PublicKey] = []
    threads = run_all(lambda: found.append(cache.key(KEY.kid)))
    until(lambda: waiting(cache) == 2)
    store.released.set()
    join_all(threads)
    assert found == [KEY.public]
    with pytest.raises(RuntimeError, match="closed"):
        task.cancel()


def test_wakes_whoever_comes_after_the_end_at_once() -> None:
    pending = pending_load()
    pending.end()
    pending.wait(3600)
    asyncio.run(pending.async_wait(3600))
    trio.run(pending.async_wait, 3600)


def test_gives_up_waiting_after_the_seconds_given() -> None:
    pending = pending_load()
    pending.wait(0)
    asyncio.run(pending.async_wait(0))
    trio.run(pending.async_wait, 0)
    assert waiters(pending) == 0


@pytest.mark.anyio
async def test_ends_while_it_is_waited_for_from_another_thread() -> None:
    pending = pending_load()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pending.async_wait, 3600)
        await auntil(lambda: waiters(pending) == 1)
        join_all(run_all(pending.end))


def test_loads_on_a_daemon_thread_of_its_own() -> None:
    seen: list[threading.Thread] = []
    start_thread(lambda: seen.append(threading.current_thread()))
    until(lambda: bool(seen))
    assert (seen[0].daemon, seen[0].name) == (True, "d1verify-key-load")


def test_a_pause_lasts_as_long_as_it_is_told() -> None:
    started = time.monotonic()
    pause(0.002)
    assert time.monotonic() - started >= 0.002


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE * 3, check=False)


def test_the_interpreter_ends_with_a_load_in_the_air() -> None:
    started = time.monotonic()
    ended = run_python(
        """
        import threading
        from d1verify import KeyCache, KeyStoreError
        class Hanging:
            def load(self):
                threading.Event().wait()
        try:
            KeyCache(Hanging(), load_timeout=0.05).key("k")
        except KeyStoreError:
            print("refused")
        """
    )
    assert (ended.returncode, ended.stdout) == (0, "refused\n")
    assert "Traceback" not in ended.stderr
    assert time.monotonic() - started < PATIENCE


def test_an_event_loop_ends_with_a_load_in_the_air() -> None:
    ended = run_python(
        """
        import asyncio, threading
        from d1verify import KeyCache, KeyStoreError
        class Hanging:
            def load(self):
                threading.Event().wait()
        async def main():
            try:
                await KeyCache(Hanging(), load_timeout=0.05).akey("k")
            except KeyStoreError:
                print("refused")
        asyncio.run(main())
        """
    )
    assert (ended.returncode, ended.stdout) == (0, "refused\n")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("name", ["trio", "trio.lowlevel"])
def test_trio_that_another_thread_is_importing_is_not_running(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "trio.lowlevel", raising=False)
    monkeypatch.setitem(sys.modules, name, types.ModuleType(name))

    async def call_soon() -> object:
        return _thread_safe_call_soon() == asyncio.get_running_loop().call_soon_threadsafe

    assert asyncio.run(call_soon())

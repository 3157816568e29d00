"""Waiters that go away, loops that close, processes that fork, interpreters that end: with a load in the air."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import anyio
import pytest
import trio
import trio.testing

from d1verify import HTTPKeyStore, KeyCache, KeyStoreError

from ..loads import waiting
from ..support import KEY, Clock, ScriptedStore, key_set, until
from .callers import KINDS, Told, Watched, aask, ask
from .servers import RawServer, raw_server, serving
from .test_crowds import Gate

every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def gate() -> Gate:
    gate = Gate()
    gate.open.clear()
    return gate


@pytest.fixture
def server(gate: Gate) -> Iterator[RawServer]:
    with raw_server(gate) as server:
        yield server
        gate.open.set()


@pytest.fixture
def watched(server: RawServer) -> Watched:
    return Watched(HTTPKeyStore(server.url, timeout=30), max_wait=30, load_timeout=60)


# A waiter that is cancelled cancels nobody.


def test_a169_a273_a_cancelled_task_takes_nobody_along_on_asyncio(watched: Watched, gate: Gate) -> None:
    async def main() -> list[Told | BaseException]:
        tasks = [asyncio.create_task(aask(watched.cache, KEY.kid)) for _ in range(10)]
        await anyio.wait_all_tasks_blocked()
        assert waiting(watched.cache) == 10
        tasks[0].cancel()  # The one that started the load.
        await asyncio.wait([tasks[0]])
        assert waiting(watched.cache) == 9
        gate.open.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    cancelled, *others = asyncio.run(main())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert [told.outcome for told in others if isinstance(told, Told)] == ["key"] * 9
    assert watched.loads == 1


def test_a169_a273_a_cancelled_task_takes_nobody_along_on_trio(watched: Watched, gate: Gate) -> None:
    outcomes: list[str] = []

    async def one() -> None:
        outcomes.append((await aask(watched.cache, KEY.kid)).outcome)

    async def main() -> None:
        first = trio.CancelScope()

        async def cancelled() -> None:
            with first:
                await one()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancelled)
            for _ in range(9):
                nursery.start_soon(one)
            await trio.testing.wait_all_tasks_blocked()
            assert waiting(watched.cache) == 10
            first.cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert waiting(watched.cache) == 9
            gate.open.set()

    trio.run(main)
    assert outcomes == ["key"] * 9
    assert watched.loads == 1


def test_a_loop_that_closes_in_mid_flight_leaves_the_load_to_the_next_one(watched: Watched, gate: Gate) -> None:
    loop = asyncio.new_event_loop()
    task = loop.create_task(aask(watched.cache, KEY.kid))

    def waits_after_a_turn() -> bool:
        loop.run_until_complete(asyncio.sleep(0))
        return waiting(watched.cache) == 1

    until(waits_after_a_turn)
    loop.close()  # The waiter is neither cancelled nor woken; its callback will find the loop closed.

    async def next_loop() -> Told:
        waiter = asyncio.create_task(aask(watched.cache, KEY.kid))
        await anyio.wait_all_tasks_blocked()
        assert waiting(watched.cache) == 2
        gate.open.set()
        return await waiter

    told = asyncio.run(next_loop())
    assert told.key == KEY.public
    assert watched.loads == 1
    assert not task.done()
    _throw_away(task)


def _throw_away(task: asyncio.Task[Told]) -> None:
    """Let go of a task whose loop is closed, without the complaints that are its owner's to read."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    coroutine = task.get_coro()
    assert coroutine is not None
    with suppress(BaseException):
        coroutine.close()


def test_a_trio_run_that_is_cancelled_leaves_the_load_to_the_next_one(watched: Watched, gate: Gate) -> None:
    async def first() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(aask, watched.cache, KEY.kid)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    trio.run(first)
    assert waiting(watched.cache) == 0
    gate.open.set()
    assert ask(watched.cache, KEY.kid, "trio").key == KEY.public
    assert watched.loads == 1


# A load that never returns.


@every_kind
def test_a272_a_store_that_never_returns_is_given_up_and_does_not_block_the_next_load(kind: str) -> None:
    clock, store = Clock(0.0), ScriptedStore(key_set(KEY), key_set(KEY), key_set(KEY))
    watched = Watched(store, timer=clock, max_wait=0.2)
    assert ask(watched.cache, KEY.kid, kind).outcome == "key"
    store.released.clear()
    clock.advance(100)
    told = ask(watched.cache, KEY.kid, kind)
    assert told.key == KEY.public
    assert 0.15 < told.seconds < 5
    clock.advance(0.2)
    late = [ask(watched.cache, KEY.kid, kind) for _ in range(5)]  # The load is overdue: nobody waits for it any more.
    assert {told.outcome for told in late} == {"key"}
    assert statistics.median(told.seconds for told in late) < 0.1
    clock.advance(10)
    store.released.set()
    assert ask(watched.cache, KEY.kid, kind).outcome == "key"  # It is given up; the back-off runs.
    clock.advance(1)
    assert ask(watched.cache, KEY.kid, kind).outcome == "key"
    until(lambda: watched.cache.health().state == "fresh")
    assert watched.loads in (2, 3)


def test_gives_up_for_a_while_when_four_look_ups_never_came_back(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr("socket.getaddrinfo", lambda *_args, **_options: over.wait(30) and [])
        store = HTTPKeyStore("http://localhost:9/jwks", timeout=0.01)
        for _ in range(4):
            with pytest.raises(KeyStoreError, match="no complete answer"):
                store.load()
        with pytest.raises(KeyStoreError, match="earlier requests for the keys never came back"):
            store.load()
        over.set()
        until(lambda: not store._errands._lost)
        with pytest.raises(KeyStoreError, match="could not be read"):
            store.load()


# Forks and ends, in processes of their own.

_PRELUDE = """
import json, os, sys, threading, time
from d1verify import HTTPKeyStore, KeyCache
from d1verify.errors import KeyStoreError

cache = KeyCache(HTTPKeyStore(sys.argv[1], timeout=20), max_wait=20, load_timeout=20)

def say(text):
    print(text, flush=True)

def asked():
    started = time.monotonic()
    outcome = "key" if cache.key("d1-key-1") else "none"
    return [outcome, time.monotonic() - started < 10, cache._loader.state.started]

def in_children(count):
    answers = []
    for _ in range(count):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.write(writing, json.dumps(asked()).encode())
            os._exit(0)
        os.close(writing)
        answers.append((child, reading))
    told = []
    for child, reading in answers:
        told.append(json.loads(os.read(reading, 1000)))
        assert os.waitpid(child, 0)[1] == 0
    say(json.dumps(told))
"""


@contextmanager
def script(text: str, url: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script that can be written to and read from."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PRELUDE + text, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore::DeprecationWarning"},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")


@needs_fork
def test_forked_before_the_first_load_each_child_loads_for_itself() -> None:
    with raw_server(serving(KEY)) as server, script("in_children(2)", server.url) as process:
        assert json.loads(line_of(process)) == [["key", True, 1]] * 2
        assert server.connections == 2


@needs_fork
def test_forked_during_the_first_load_no_child_waits_for_the_parents(gate: Gate) -> None:
    text = """
threading.Thread(target=asked, daemon=True).start()
sys.stdin.readline()
in_children(2)
say(json.dumps(asked()))
"""
    with raw_server(gate) as server, script(text, server.url) as process:
        until(lambda: server.connections == 1)
        server.behaviour = serving(KEY)
        go_on(process)
        assert json.loads(line_of(process)) == [["key", True, 1]] * 2
        gate.open.set()
        assert json.loads(line_of(process)) == ["key", True, 1]
        assert server.connections == 3


@needs_fork
def test_forked_after_the_first_load_children_have_the_keys_and_can_load() -> None:
    text = """
asked()
in_children(2)
plain = asked
def asked():
    cache.refresh()
    return plain()
in_children(2)
"""
    with raw_server(serving(KEY)) as server, script(text, server.url) as process:
        assert json.loads(line_of(process)) == [["key", True, 1]] * 2
        assert json.loads(line_of(process)) == [["key", True, 2]] * 2
        assert server.connections == 3


_ENDS = """
import socket
if "{where}" == "DNS":
    socket.getaddrinfo = lambda *_args, **_options: (say("looking up"), time.sleep(60))
threading.Thread(target=asked, daemon=True).start()
sys.stdin.readline()
"""


@pytest.mark.parametrize("where", ["the answer", "DNS"])
def test_the_interpreter_ends_at_once_with_a_load_in_the_air(gate: Gate, where: str) -> None:
    with raw_server(gate) as server, script(_ENDS.replace("{where}", where), server.url) as process:
        if where == "DNS":
            assert line_of(process) == "looking up"
        else:
            until(lambda: bool(server.connections))
        started = time.perf_counter()
        go_on(process)
        assert process.wait(10) == 0
        assert time.perf_counter() - started < 8  # The load itself would take twenty seconds.
        assert process.stderr is not None
        assert process.stderr.read() == ""
        gate.open.set()


def open_sockets() -> set[int]:
    """Return this process's open sockets, by numbers that no two of them share at a time."""
    found = set()
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):  # Closed meanwhile, as the folder's own descriptor is.
            status = os.stat(int(name))
            if stat.S_ISSOCK(status.st_mode):
                found.add(status.st_ino)
    return found


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="open files are not to be listed here")
def test_leaves_no_thread_and_no_socket_behind(server: RawServer, gate: Gate) -> None:
    threads, sockets = set(threading.enumerate()), open_sockets()
    caches = [KeyCache(HTTPKeyStore(server.url, timeout=30), max_wait=30, load_timeout=60) for _ in range(5)]
    for cache in caches:
        threading.Thread(target=cache.warm_up, daemon=True).start()
    until(lambda: server.connections == 5)
    assert len(set(threading.enumerate()) - threads) >= 5
    assert len(open_sockets() - sockets) >= 10  # Both ends of each, and what its event loop has.
    gate.open.set()
    until(lambda: all(cache.health().state == "fresh" for cache in caches))
    until(lambda: set(threading.enumerate()) <= threads)
    until(lambda: open_sockets() <= sockets)

"""A thousand at once, and a hundred thousand junk key ids: one fetch each, and nobody is kept longer than the rest."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest

from d1verify import HTTPKeyStore, KeyStoreError, TokenError

from ..loads import waiting
from ..support import KEY, OTHER_KEY, Clock, until
from .callers import Crowd, Watched, ask
from .certificates import trusting_context
from .servers import Connection, Endpoint, RawServer, raw_server, serving

SIZE = 1000
every_crowd = pytest.mark.parametrize("kind", ["sync", "asyncio", "trio", "mix"])


class Gate:
    """A healthy endpoint whose answers wait behind a gate."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.answer = serving(KEY)

    def __call__(self, connection: Connection) -> None:
        assert self.open.wait(30)
        self.answer(connection)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def server(gate: Gate) -> Iterator[RawServer]:
    with raw_server(gate) as server:
        yield server


@pytest.fixture(scope="module")
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(SIZE) as executor:
        yield executor


class Crowds:
    """Lets a crowd ask while the answer is held back, and tells what they were told."""

    def __init__(self, threads: Executor, watched: Watched, gate: Gate, kind: str) -> None:
        self._threads, self._watched, self._gate, self._kind = threads, watched, gate, kind

    def ask(self, kid: str) -> list[str]:
        self._gate.open.clear()
        crowd = Crowd(self._threads, self._watched.cache, kid, SIZE, self._kind)
        until(lambda: waiting(self._watched.cache) == SIZE)
        self._gate.open.set()
        return [told.outcome for told in crowd.told()]


@every_crowd
def test_a168_cold_start_expiry_and_unknown_kid_cost_one_fetch_each(
    gate: Gate, server: RawServer, threads: Executor, kind: str
) -> None:
    clock = Clock(0.0)
    watched = Watched(HTTPKeyStore(server.url, timeout=60), timer=clock, max_wait=60, load_timeout=120)
    crowds = Crowds(threads, watched, gate, kind)

    assert crowds.ask(KEY.kid) == ["key"] * SIZE
    assert (watched.loads, server.connections) == (1, 1)

    clock.advance(100)  # The set is due.
    assert crowds.ask(KEY.kid) == ["key"] * SIZE
    assert (watched.loads, server.connections) == (2, 2)

    clock.advance(30)  # The gate for unknown key ids is open.
    gate.answer = serving(KEY, OTHER_KEY)
    assert crowds.ask(OTHER_KEY.kid) == ["key"] * SIZE
    assert (watched.loads, server.connections) == (3, 3)

    clock.advance(30)
    assert crowds.ask("junk") == ["unknown_key"] * SIZE
    assert (watched.loads, server.connections) == (4, 4)


@pytest.mark.parametrize("kind", ["sync", "asyncio", "trio"])
def test_nobody_waits_longer_than_max_wait_and_latecomers_not_at_all(gate: Gate, server: RawServer, kind: str) -> None:
    ahead = Clock(0.0)
    watched = Watched(
        HTTPKeyStore(server.url, timeout=30), timer=lambda: time.monotonic() + ahead(), max_wait=0.2, load_timeout=30
    )
    assert ask(watched.cache, KEY.kid, kind).outcome == "key"
    gate.open.clear()
    ahead.advance(100)  # The set is due, and the server holds the connection open.
    told = ask(watched.cache, KEY.kid, kind)
    assert told.key == KEY.public
    assert 0.19 < told.seconds < 5
    latecomers = [ask(watched.cache, KEY.kid, kind) for _ in range(10)]
    assert {told.key for told in latecomers} == {KEY.public}
    assert statistics.median(told.seconds for told in latecomers) < 0.1
    assert watched.loads == 2
    gate.open.set()
    watched.wait_for_loads()
    assert watched.cache.health().state == "fresh"


def test_a165_a166_a167_junk_kids_cost_one_fetch_per_gate_and_do_not_hold_up_a_rotation(endpoint: Endpoint) -> None:
    clock = Clock(0.0)
    endpoint.keys, endpoint.max_age = (KEY,), 600
    watched = Watched(HTTPKeyStore(endpoint.url, ssl_context=trusting_context()), timer=clock, max_wait=30)
    cache = watched.cache
    cache.warm_up()
    rotated_at, seen_at, loaded_at = 20.0, 0.0, [0.0]
    for number in range(100_000):
        clock.now = number * 60 / 100_000
        if number % 1000 == 0:
            endpoint.keys = (KEY,) if clock.now < rotated_at else (OTHER_KEY,)
            if not seen_at and ask(cache, OTHER_KEY.kid).outcome == "key":
                seen_at = clock.now
        with pytest.raises(TokenError) if number % 1000 == 0 else _refusal:
            cache.key(f"junk-{number}")
        if watched.loads > len(loaded_at):
            loaded_at.append(clock.now)
    assert loaded_at == pytest.approx([0.0, 0.0, 30.0], abs=0.001)
    assert rotated_at < seen_at <= rotated_at + 30
    assert ask(cache, KEY.kid).outcome == "unknown_key"


class _Refusal:
    """A `pytest.raises(TokenError)` light enough for a hundred thousand times."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> bool:
        assert kind is TokenError
        return True


_refusal = _Refusal()


def test_a165_a277_junk_kids_during_an_outage_start_no_storm(gate: Gate, server: RawServer) -> None:
    clock = Clock(0.0)
    watched = Watched(HTTPKeyStore(server.url), timer=clock)
    watched.cache.warm_up()
    with server.not_listening():
        for number in range(6000):
            clock.now = 100 + number / 100
            with pytest.raises(KeyStoreError):
                watched.cache.key(f"junk-{number}")
            watched.wait_for_loads()
    # The first look at 100 s, and then once per gate (20 s) in a minute.
    assert 1 < watched.loads <= 1 + 1 + 3

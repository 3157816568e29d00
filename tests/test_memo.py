from __future__ import annotations

import threading

import pytest
from cachetools import FIFOCache

from d1verify._memo import Memo


def test_remembers_the_last_so_many_and_lets_the_oldest_go() -> None:
    memo: Memo[int] = Memo(3)
    for number in range(5):
        memo.put(bytes([number]), number)
    assert [memo.get(bytes([number])) for number in range(5)] == [None, None, 2, 3, 4]


def test_a_read_reorders_nothing() -> None:
    memo: Memo[int] = Memo(2)
    memo.put(b"a", 1)
    memo.put(b"b", 2)
    memo.get(b"a")
    memo.put(b"c", 3)
    assert memo.get(b"a") is None


def test_a_newer_value_replaces_the_older_one() -> None:
    memo: Memo[int] = Memo(2)
    memo.put(b"a", 1)
    memo.put(b"a", 2)
    assert memo.get(b"a") == 2


def test_renewing_starts_over_even_when_the_lock_is_held() -> None:
    memo: Memo[int] = Memo(2)
    memo.put(b"a", 1)
    memo._lock.acquire()
    memo.renew()
    assert memo.get(b"a") is None
    memo.put(b"b", 2)
    assert memo.get(b"b") == 2


def test_a_read_takes_one_step_that_no_eviction_can_come_between(monkeypatch: pytest.MonkeyPatch) -> None:
    memo: Memo[int] = Memo(2)
    memo.put(b"a", 1)
    monkeypatch.setattr(FIFOCache, "__contains__", lambda _self, _key: pytest.fail("looked at twice"))
    assert memo.get(b"b") is None
    assert memo.get(b"a") == 1


def test_readers_and_writers_do_not_disturb_each_other() -> None:
    memo: Memo[int] = Memo(8)
    failures: list[BaseException] = []

    def work(offset: int) -> None:
        try:
            for number in range(3000):
                key = (number + offset) % 32
                memo.put(bytes([key]), key)
                assert memo.get(bytes([key])) in (None, key)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(memo.get(bytes([key])) is not None for key in range(32)) == 8

"""A forked child has the parent's keys and none of its locks, threads and loads (A223, A274)."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from d1verify import KeyCache, KeyStoreError, _fork
from d1verify._fork import renew_in_child

from .loads import verifier_over
from .support import KEY, OTHER_KEY, ScriptedStore, key_set

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here"),
    # The very thing under test; since Python 3.12 the interpreter warns of it.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning"),
]

PATIENCE = 20


def in_child(run: Callable[[], object]) -> str:
    """Return what `run` returns in a forked child, as text; the child never gets back into the test run."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - it runs in the child, which nobody measures
        try:
            answers: list[object] = []
            thread = threading.Thread(target=lambda: answers.append(run()), daemon=True)
            thread.start()
            thread.join(PATIENCE)
            os.write(writing, str(answers[0] if answers else "stuck or failed").encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(child, 0)
    return answer


def kids(cache: KeyCache) -> Callable[[], object]:
    return lambda: (cache.key(KEY.kid) == KEY.public, cache.health().kids)


def test_a_child_forked_before_the_first_load_loads_for_itself() -> None:
    cache = KeyCache(ScriptedStore(key_set(KEY)))
    assert in_child(kids(cache)) == "(True, ('d1-key-1',))"
    assert cache.health().state == "empty"


def test_a_child_forked_after_the_first_load_has_the_keys_without_loading() -> None:
    store = ScriptedStore(key_set(KEY))
    cache = KeyCache(store)
    cache.warm_up()
    assert in_child(lambda: (cache.key(KEY.kid) == KEY.public, store.loads)) == "(True, 1)"


def test_a_child_forked_in_the_middle_of_the_first_load_loads_for_itself() -> None:
    store = ScriptedStore(key_set(KEY), key_set(KEY, OTHER_KEY))
    store.released.clear()
    cache = KeyCache(store)
    cache._loader.plan(KEY.kid)

    def in_the_child() -> object:  # pragma: no cover - it runs in the child, which nobody measures
        store.released = threading.Event()
        store.released.set()
        return kids(cache)()

    while not store.loads:
        pass
    assert in_child(in_the_child) == "(True, ('d1-key-1', 'd1-key-2'))"
    store.released.set()
    assert kids(cache)() == (True, (KEY.kid,))


def test_a_lock_held_in_the_parent_at_fork_opens_in_the_child() -> None:
    cache = KeyCache(ScriptedStore(key_set(KEY)))
    verifier, token = verifier_over(cache), KEY.mint()
    memo: Any = verifier._known_tokens
    with cache._loader._lock, memo._lock:
        assert in_child(lambda: verifier.verify(token).kid) == KEY.kid
    assert verifier.verify(token).kid == KEY.kid


def test_a_child_does_not_inherit_back_off_and_stuck_threads() -> None:
    store = ScriptedStore(KeyStoreError("down"), key_set(KEY))
    cache = KeyCache(store)
    with pytest.raises(KeyStoreError):
        cache.key(KEY.kid)
    with pytest.raises(KeyStoreError):
        cache.key(KEY.kid)  # Backing off.
    assert store.loads == 1
    assert in_child(kids(cache)) == "(True, ('d1-key-1',))"


def test_a_child_loads_by_itself_when_its_inherited_keys_have_aged() -> None:
    store = ScriptedStore(key_set(KEY, max_age=0.001), key_set(KEY, OTHER_KEY))
    cache = KeyCache(store)
    cache.warm_up()

    def wait_for_other_key() -> object:  # pragma: no cover - it runs in the child, which nobody measures
        return cache.key(OTHER_KEY.kid) == OTHER_KEY.public

    assert in_child(wait_for_other_key) == "True"


def test_renews_what_lives_and_forgets_what_is_gone() -> None:
    class Counter:
        renewals = 0

        def renew(self) -> None:
            self.renewals += 1

    counter, gone = Counter(), Counter()
    renew_in_child(counter)
    renew_in_child(gone)
    grave = weakref.ref(gone)
    del gone
    gc.collect()
    _fork._renew_all()
    assert (counter.renewals, grave()) == (1, None)

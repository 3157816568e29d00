"""Chapter 11: the key cache and the cache of verified tokens."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from d1verify import ConfigurationError, KeyCache, KeySet, KeyStoreError
from d1verify._known import KnownToken
from d1verify._memo import _Values

from ..support import KEY, NOW, OTHER_KEY, SUBJECT, Clock, ScriptedStore, key_set, make_verifier, refused


def test_a176_a_cached_token_says_nothing_about_another_that_begins_or_ends_alike() -> None:
    verifier, token = make_verifier(), KEY.mint()
    verifier.verify(token)
    head, body, signature = token.split(".")
    for other in (f"{head}.{body}.{'A' * 86}", f"{head}.{body[:-4]}AAAA.{signature}", KEY.mint(sub="MGW_EVIL")):
        assert refused(lambda other=other: verifier.verify(other)) in ("bad_signature", "wrong_subject")  # type: ignore[misc]


def test_a176_two_verifiers_share_no_verdict() -> None:
    cache, token = KeyCache(ScriptedStore(key_set(KEY))), KEY.mint()
    make_verifier(cache).verify(token)
    assert refused(lambda: make_verifier(cache, subject="MGW_B").verify(token)) == "wrong_subject"
    assert refused(lambda: make_verifier(cache, audience="prd").verify(token)) == "wrong_environment"


def test_a177_a_cached_token_expires_and_dies_with_its_key() -> None:
    clock, store = Clock(), ScriptedStore(key_set(KEY))
    verifier, token = make_verifier(store, clock=clock), KEY.mint(exp=NOW + 10)
    verifier.verify(token)
    clock.advance(40)
    assert refused(lambda: verifier.verify(token)) == "expired"
    clock.now = NOW
    store.answer = KeySet({KEY.kid: OTHER_KEY.public})
    verifier.refresh()
    assert refused(lambda: verifier.verify(token)) == "bad_signature"


def test_a178_a_key_belongs_to_its_own_store() -> None:
    stg, prd = (
        make_verifier(ScriptedStore(key_set(KEY))),
        make_verifier(ScriptedStore(KeySet({KEY.kid: OTHER_KEY.public}))),
    )
    stg.verify(KEY.mint())
    assert refused(lambda: prd.verify(KEY.mint())) == "bad_signature"


def test_a179_a180_kids_of_a_caller_take_no_room_and_push_nothing_out() -> None:
    store = ScriptedStore(key_set(KEY))
    cache = KeyCache(store, timer=Clock(0.0))
    verifier, good = make_verifier(cache), KEY.mint()
    verifier.verify(good)
    loads = store.loads
    for number in range(300):
        refused(lambda number=number: verifier.verify(OTHER_KEY.mint({"kid": f"junk-{number}"})))  # type: ignore[misc]
    assert store.loads <= loads + 1
    assert verifier.health().kids == (KEY.kid,)
    assert verifier._known_tokens is not None
    assert len(verifier._known_tokens._values) == 1
    assert len(verifier._known_headers) == 1


def test_a181_the_token_cache_withstands_threads_and_keeps_working() -> None:
    verifier = make_verifier(token_cache_size=4)
    tokens = [KEY.mint(n=number) for number in range(12)]
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(15):
                for token in tokens:
                    assert verifier.verify(token).subject == SUBJECT
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert verifier.verify(tokens[0]).subject == SUBJECT


def test_a181_the_token_cache_is_written_to_under_its_lock_alone() -> None:
    verifier = make_verifier(token_cache_size=2)
    known = verifier._known_tokens
    assert known is not None
    lock, locked = known._lock, list[bool]()

    class Watched(_Values[KnownToken]):
        def __setitem__(self, key: bytes, value: KnownToken | None) -> None:
            locked.append(lock.locked())
            super().__setitem__(key, value)

        def __delitem__(self, key: bytes) -> None:  # The oldest makes way.
            locked.append(lock.locked())
            super().__delitem__(key)

    known._values = Watched(2)
    for number in range(4):
        verifier.verify(KEY.mint(n=number))
    assert locked == [True] * 6


def test_a182_many_callers_cause_one_load() -> None:
    store = ScriptedStore(key_set(KEY))
    store.released.clear()
    verifier, answers = make_verifier(store), []
    threads = [threading.Thread(target=lambda: answers.append(verifier.verify(KEY.mint()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    store.released.set()
    for thread in threads:
        thread.join()
    assert (len(answers), store.loads) == (8, 1)


def test_a183_ages_do_not_run_on_the_wall_clock() -> None:
    clock, timer, store = Clock(), Clock(0.0), ScriptedStore(key_set(KEY, max_age=100, max_stale=100))
    verifier = make_verifier(KeyCache(store, timer=timer), clock=clock)
    verifier.verify(KEY.mint())
    clock.advance(10**8)
    verifier.verify(KEY.mint(exp=NOW + 10**8 + 60))
    assert store.loads == 1
    store.answer = KeyStoreError("gone")
    clock.now = NOW
    timer.advance(200)
    assert refused(lambda: verifier.verify(KEY.mint())) == "keys_unavailable"


@pytest.mark.parametrize("name", ["cooldown", "max_wait", "load_timeout"])
@pytest.mark.parametrize(
    "value", [math.nan, -1, math.inf, -math.inf, True, "5", None, 10**400], ids=lambda v: f"{v!r:.12}"
)
def test_a184_times_of_the_cache_are_judged_at_construction(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        KeyCache(ScriptedStore(), **{name: value})


def test_a185_what_a_caller_changes_reaches_nobody_else() -> None:
    verifier, token = make_verifier(), KEY.mint(list=[1])
    first = verifier.verify(token)
    first.claims.update(sub="MGW_EVIL")
    first.claims["list"].append(2)
    with pytest.raises(AttributeError):
        first.subject = "MGW_EVIL"  # type: ignore[misc]
    second = verifier.verify(token)
    assert (second.subject, second.claims["sub"], second.claims["list"]) == (SUBJECT, SUBJECT, [1])


def test_a186_a_failure_is_not_remembered_for_good() -> None:
    timer, store = Clock(0.0), ScriptedStore(KeyStoreError("not yet"))
    verifier = make_verifier(KeyCache(store, timer=timer))
    assert refused(lambda: verifier.verify(KEY.mint())) == "keys_unavailable"
    store.answer = key_set(KEY)
    timer.advance(31)
    assert verifier.verify(KEY.mint()).subject == SUBJECT
    clock = Clock()
    verifier = make_verifier(clock=clock)
    early = KEY.mint(nbf=NOW + 60)
    assert refused(lambda: verifier.verify(early)) == "not_yet_valid"
    clock.advance(40)
    assert verifier.verify(early).subject == SUBJECT

"""Chapter 15: threads, loops, forks and interpreters; and whatever anybody may send."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import threading
import time
from typing import Any

import anyio
import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from d1verify import KeyCache, KeyStoreError, PublicKey, Reason, TokenError

from ..support import KEY, OTHER_KEY, SUBJECT, Clock, ScriptedStore, key_set, make_verifier, refused, unmeasured

PROPERTY = settings(max_examples=300, deadline=None, database=None)

FORKED = """
import os, sys
from d1verify import KeyCache
from tests.support import KEY, ScriptedStore, key_set, make_verifier

store = ScriptedStore(key_set(KEY))
verifier = make_verifier(KeyCache(store))
verifier.warm_up()
verifier._keys._loader._lock.acquire()
verifier._known_tokens._lock.acquire()
child = os.fork()
if child == 0:
    verifier.verify(KEY.mint())
    verifier.refresh()
    os._exit(0 if store.loads == 2 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a223_a274_a_forked_child_has_its_own_locks_and_loads() -> None:
    # From 3.12 on Python warns of any fork beside a thread; that this one does no harm is what is shown.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED]
    done = subprocess.run(command, env=unmeasured(), capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a224_one_verifier_serves_loop_after_loop() -> None:
    timer, store = Clock(0.0), ScriptedStore(key_set(KEY))
    verifier = make_verifier(KeyCache(store, timer=timer))
    for _ in range(2):
        timer.advance(5000)
        assert asyncio.run(verifier.averify(KEY.mint())).subject == SUBJECT
        timer.advance(5000)
        assert trio.run(verifier.averify, KEY.mint()).subject == SUBJECT
    assert store.loads == 4


def test_a225_a227_threads_with_good_and_bad_tokens_get_their_own_answers() -> None:
    store = ScriptedStore(key_set(KEY))
    verifier = make_verifier(store, token_cache_size=2)
    tokens = [(KEY.mint(n=number), "ok") for number in range(4)] + [
        (KEY.mint(sub="x"), "wrong_subject"),
        ("x", "malformed_token"),
    ]
    wrong: list[object] = []

    def work() -> None:
        for _ in range(25):
            for token, expected in tokens:
                try:
                    answer = "ok" if verifier.verify(token).subject == SUBJECT else "?"
                except (TokenError, KeyStoreError) as error:
                    answer = error.reason.value
                if answer != expected:
                    wrong.append((answer, expected))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        verifier.refresh()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.anyio
async def test_a226_the_event_loop_runs_on_while_keys_are_loaded() -> None:
    store = ScriptedStore(key_set(KEY))
    store.released.clear()
    verifier, subjects = make_verifier(store), []
    late = threading.Timer(5, store.released.set)  # So that a blocked loop is a failure and no hang.
    late.start()

    async def call() -> None:
        subjects.append((await verifier.averify(KEY.mint())).subject)

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        assert not store.released.is_set(), "the loop stood still until the keys were there"
        store.released.set()
    late.cancel()
    assert subjects == [SUBJECT]


def test_a228_python_without_asserts_refuses_the_same() -> None:
    program = (
        "from tests.support import KEY, OTHER_KEY, make_verifier\n"
        "from d1verify import TokenError\n"
        "for token in (OTHER_KEY.mint({'kid': KEY.kid}), KEY.mint(exp=1), KEY.mint({'alg': 'none'}), 'x'):\n"
        "    try:\n"
        "        make_verifier().verify(token)\n"
        "    except TokenError as error:\n"
        "        print(error.reason)\n"
    )
    command = [sys.executable, "-O", "-c", program]
    done = subprocess.run(command, env=unmeasured(), capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.split() == ["bad_signature", "expired", "disallowed_algorithm", "malformed_token"]


def test_a229_a_verifier_cannot_be_pickled_and_a_key_can() -> None:
    verifier = make_verifier(clock=time.time)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(verifier)
    assert pickle.loads(pickle.dumps(KEY.public)) == KEY.public


def test_a230_what_is_cheap_to_refuse_costs_no_signature_check(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[object] = []
    check = PublicKey.verify

    def counting(key: PublicKey, signature: bytes, signing_input: bytes) -> None:
        checked.append(signature)
        check(key, signature, signing_input)

    monkeypatch.setattr(PublicKey, "verify", counting)
    verifier = make_verifier()
    for token in (OTHER_KEY.mint(), KEY.mint({"alg": "none"}), "a.b.c", "x" * 9000, KEY.mint()[:-2]):
        refused(lambda token=token: verifier.verify(token))  # type: ignore[misc]
    assert checked == []
    verifier.verify(KEY.mint())
    assert len(checked) == 1, "signatures are checked in another way, and nothing was seen"


def test_a232_only_the_clock_that_was_handed_over_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = make_verifier()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert verifier.verify(KEY.mint()).subject == SUBJECT


GOOD = KEY.mint()
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
CHARACTERS = st.one_of(st.sampled_from(ALPHABET), st.sampled_from(". =,+/\n\0ü\ud800"))


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Return a good token with a few characters replaced, added or taken away."""
    text = GOOD
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.sampled_from([0, 1, 1, 1, 2, 40]))
        text = text[:start] + draw(st.text(CHARACTERS, max_size=2)) + text[end:]
    return text


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)
SIGNED = st.builds(
    lambda header, claims: KEY.mint(header, **claims),
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "cty", "crit", "b64", "zip", "x"]), JSON_VALUES, max_size=2),
    st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "iat", "nbf", "x"]), JSON_VALUES, max_size=3),
)
SIGNED_BYTES = st.builds(
    lambda header, body: KEY.sign(header or KEY.header(), body), st.binary(max_size=20), st.binary(max_size=60)
)
ANYTHING = st.one_of(
    st.text(), st.binary(), mutated(), mutated().map(lambda text: text.encode("utf-8", "replace")), SIGNED, SIGNED_BYTES,
    st.lists(st.text(ALPHABET), min_size=3, max_size=3).map(".".join),
)  # fmt: skip
VERIFIERS = [make_verifier(), make_verifier(token_cache_size=0), make_verifier(ScriptedStore(KeyStoreError("none")))]


def judged(call: Any, value: object) -> object:
    """Return the verified token or a reason; anything else that is raised fails the test."""
    try:
        return call(value)
    except (TokenError, KeyStoreError) as error:
        assert isinstance(error.reason, Reason)  # noqa: PT017 - only one of the two ways out
        return error.reason


@PROPERTY
@given(ANYTHING)
@example("")
@example(b"")
@example(b"\xff" * 8192)
@example("." * 8192)
@example("\ud800.\ud800.\ud800")
@example(KEY.sign(KEY.header(), b'{"a":' * 1400))
@example(KEY.sign(KEY.header(), b'{"exp":' + b"9" * 5000))
@example(KEY.sign(KEY.header(), b'{"iss":"d1","sub":"MGW_000001","aud":"stg","exp":' + b"9" * 308 + b"}"))
def test_a218_any_str_or_bytes_gets_a_verdict_and_nothing_else(token: str | bytes) -> None:
    for verifier in VERIFIERS:
        judged(verifier.verify, token)
        judged(verifier.verify_header, token)
        prefixed = b"Bearer " + token if isinstance(token, bytes) else f"Bearer {token}"
        judged(verifier.verify_header, prefixed)


@PROPERTY
@given(mutated())
def test_a218_no_other_spelling_of_a_good_token_is_accepted(token: str) -> None:
    verdict = judged(VERIFIERS[0].verify, token)
    assert isinstance(verdict, Reason) == (token != GOOD)
    assert judged(VERIFIERS[2].verify, token) != SUBJECT

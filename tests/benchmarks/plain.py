"""Tokens verified by plain calls: the signature's own price, what the libraries take, many keys, two threads."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256

from d1verify import StaticKeyStore
from tests.support import KEY, SigningKey

from .material import bare_check, endless, mint, pool, verifier
from .measuring import Batch, Effort, Ratio, interleave, repeated
from .peers import PEERS, PYJWT
from .rows import Bar, Experiment, Row, at_least, at_most, compared

BARE, COLD, REUSED = "bare public_key.verify", "token cache off", "reused token"
NEW, AGAIN = "Verify a new token", "Verify a token again"
NEW_NAMES = tuple(f"new-{name.lower()}" for name in ("bare", "d1verify", *(peer.name for peer in PEERS)))
AGAIN_NAMES = tuple(f"again-{name.lower()}" for name in ("d1verify", *(peer.name for peer in PEERS)))

# Long batches: in short ones most calls come right after another library has had the processor's caches.
_VERIFY = Effort(max_seconds=20, batch_seconds=0.02)


def _effort(effort: Effort, *, quick: bool) -> Effort:
    return effort.shortened() if quick else effort


def one_token(*, quick: bool) -> list[Row]:
    """Measure the same good token by all, so that nobody waits for the processor's caches."""
    token = mint()
    cold, reusing = verifier(token_cache_size=0), verifier()
    contenders: dict[str, Batch] = {
        BARE: repeated(bare_check(token)),
        COLD: repeated(lambda: cold.verify(token)),
        REUSED: repeated(lambda: reusing.verify(token)),
        **{peer.name: repeated(_verifying(peer.verify, token)) for peer in PEERS},
    }
    price, share = Ratio(COLD, BARE), Ratio(REUSED, PYJWT.name)
    gains = {peer.name: Ratio(peer.name, REUSED) for peer in PEERS}
    samples = interleave(contenders, [price, share, *gains.values()], _effort(_VERIFY, quick=quick))
    return [
        compared("cold", "verify, token cache off ÷ bare public_key.verify", samples, price, aim=at_most(1.15)),
        compared(
            "reused", "PyJWT ÷ verify of a reused token", samples, gains[PYJWT.name], shown=REUSED, aim=at_least(40)
        ),
        compared(AGAIN_NAMES[0], "reused token ÷ PyJWT", samples, share, bar=Bar(AGAIN, "d1verify")),
        *(
            compared(name, f"{peer.name} ÷ reused token", samples, gains[peer.name], bar=Bar(AGAIN, peer.name))
            for name, peer in zip(AGAIN_NAMES[1:], PEERS, strict=True)
        ),
    ]


def new_tokens(*, quick: bool) -> list[Row]:
    """Measure a new token each time, our token cache on and never hit."""
    tokens = pool(quick=quick)
    ours = verifier(token_cache_size=len(tokens) // 2)
    contenders: dict[str, Batch] = {
        BARE: repeated(_next_of(endless([bare_check(token) for token in tokens]))),
        "d1verify": repeated(_verifying_each(ours.verify, tokens)),
        **{peer.name: repeated(_verifying_each(peer.verify, tokens)) for peer in PEERS},
    }
    ratios = {name: Ratio(name, BARE) for name in contenders}
    samples = interleave(contenders, list(ratios.values()), _effort(_VERIFY, quick=quick))
    return [
        compared(row, f"{name}, new token each time ÷ bare check", samples, ratio, bar=Bar(NEW, name))
        for row, (name, ratio) in zip(NEW_NAMES, ratios.items(), strict=True)
    ]


def many_keys(*, quick: bool) -> list[Row]:
    """Measure the same token against one key and among ten thousand; then a token of another key each time."""
    count = 50 if quick else 10_000
    token = mint()
    keys = {f"key-{number}": SigningKey(f"key-{number}") for number in range(count - 1)}
    one = verifier(token_cache_size=0)
    many = verifier(
        store=StaticKeyStore({KEY.kid: KEY.pem, **{kid: key.pem for kid, key in keys.items()}}), token_cache_size=0
    )
    each = _verifying_each(many.verify, [mint(key) for key in keys.values()])
    ratio, in_turn = Ratio("many", "one"), Ratio("in turn", "one")
    samples = interleave(
        {
            "one": repeated(lambda: one.verify(token)),
            "many": repeated(lambda: many.verify(token)),
            "in turn": repeated(each),
        },
        [ratio, in_turn],
        _effort(Effort(max_seconds=15, precision=0.003), quick=quick),
    )
    return [
        compared("keys", "verify with 10,000 keys ÷ with 1 key", samples, ratio, aim=at_most(1.03)),
        compared(
            "keys-in-turn", "10,000 keys in turn, a token of each ÷ 1 key", samples, in_turn,
            note="every key and every header out of the processor's caches; headers of more than 64 keys are parsed anew",
        ),
    ]  # fmt: skip


def threads(*, quick: bool) -> list[Row]:
    """Measure how much more two threads get done than one."""
    token, cold = mint(), verifier(token_cache_size=0)
    bare, block = bare_check(token), bytes(65_536)
    calls: dict[str, Callable[[], object]] = {
        "verify": lambda: cold.verify(token),
        "bare": bare,
        "sha256": lambda: sha256(block),
    }
    contenders = {name: repeated(call, time.perf_counter) for name, call in calls.items()}
    contenders |= {f"{name} on two": _on_two_threads(call) for name, call in calls.items()}
    ratios = {name: Ratio(name, f"{name} on two") for name in calls}
    effort = Effort(max_seconds=12, batch_seconds=0.04, min_rounds=20, precision=0.02)
    samples = interleave(contenders, list(ratios.values()), _effort(effort, quick=quick))
    figures = {f"{name} on 2 threads ÷ 1": samples.ratios[ratio].median for name, ratio in ratios.items()}
    holders = [name for name, call in calls.items() if not lets_others_run(call)]
    what = "throughput of verify, token cache off, 2 threads ÷ 1"
    return [compared("threads", what, samples, ratios["verify"], note=_why(holders), figures=figures)]


def _why(holders: list[str]) -> str:
    if "bare" in holders:
        why = "cryptography holds the interpreter's lock while OpenSSL verifies, so one thread at a time does"
    else:
        why = "cryptography lets go of the interpreter's lock while OpenSSL verifies"
    return f"{why}; the control, sha256 of 64 KiB, lets go of it{'' if 'sha256' not in holders else ' not either'}"


def lets_others_run(call: Callable[[], object], seconds: float = 0.5) -> bool:
    """Tell whether another thread gets its turn within `call`, that is whether it lets go of the interpreter's lock."""
    seen, go = threading.Event(), threading.Lock()
    go.acquire()

    def take_a_turn() -> None:
        with go:
            seen.set()

    other = threading.Thread(target=take_a_turn, daemon=True)
    other.start()
    usual = sys.getswitchinterval()
    sys.setswitchinterval(60)  # Nobody is made to let go before that.
    try:
        go.release()
        until = time.perf_counter() + seconds
        while not seen.is_set() and time.perf_counter() < until:
            call()
        return seen.is_set()
    finally:
        sys.setswitchinterval(usual)
        other.join()


def _next_of(calls: Iterator[Callable[[], object]]) -> Callable[[], object]:
    def call_next() -> object:
        return next(calls)()

    return call_next


def _verifying(verify: Callable[[str], object], token: str) -> Callable[[], object]:
    return lambda: verify(token)


def _verifying_each(verify: Callable[[str], object], tokens: list[str]) -> Callable[[], object]:
    turn = endless(tokens)
    return lambda: verify(next(turn))


def _on_two_threads(call: Callable[[], object]) -> Batch:
    def batch(repeats: int) -> float:
        half = max(1, repeats // 2)
        workers = [threading.Thread(target=repeated(call), args=(half,)) for _worker in range(2)]
        started = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return (time.perf_counter() - started) * repeats / (2 * half)

    return batch


EXPERIMENTS = (
    Experiment(("cold", "reused", *AGAIN_NAMES), one_token),
    Experiment(NEW_NAMES, new_tokens),
    Experiment(("keys", "keys-in-turn"), many_keys),
    Experiment(("threads",), threads),
)

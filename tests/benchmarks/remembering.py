"""The process whose memory is watched: `python -m tests.benchmarks.remembering hostile COUNT` or `… cache KIND`.

It prints one JSON object: `mb` is what the resident memory has grown by.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from d1verify import D1Verifier, D1VerifyError, KeyCache, KeySet
from tests.support import KEY, ScriptedStore, b64, d1_claims

from .material import mint, verifier

CACHE_SIZE = 1024
LONGEST_CACHED = 2048
_SIGNATURE = "A" * 86


def resident_mb() -> float:
    """Return the resident memory of this process in megabytes (10⁶ bytes)."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _header(**members: object) -> str:
    return b64(json.dumps({"alg": "ES256", "kid": KEY.kid, **members}))


_PLAIN = _header()
_CLAIMS = b64(json.dumps(d1_claims()))

# By number, so that no two are alike.
HOSTILE: list[Callable[[int], str]] = [
    lambda number: f"Bearer garbage{number}",
    lambda number: f"Bearer {b64(f'noise {number}')}.{number:08}.{_SIGNATURE}",
    lambda number: f"Bearer {number:08}{'A' * 8180}",
    lambda number: f"Bearer {_header(alg=f'HS{number}')}.{_CLAIMS}.{_SIGNATURE}",
    lambda number: f"Bearer {_header(extra=number)}.{_CLAIMS}.A{_SIGNATURE}",
    lambda number: f"Bearer {_header(kid=f'kid-{number}')}.{_CLAIMS}.{_SIGNATURE}",
    lambda number: f"Bearer {_header(kid=f'{number}' + 'x' * 200)}.{_CLAIMS}.{_SIGNATURE}",
    lambda number: f"Basic {number:08}",
    lambda number: f"Bearer token{number}, Bearer token",
    lambda number: f"Bearer {_header(n=number)}.{b64(f'claims {number}')}.{_SIGNATURE[:-8]}{number:08}"[:-1] + "A",
]


def watch_hostile(count: int) -> dict[str, float]:
    """Return what so many hostile tokens leave behind, once a good one and a few of each kind have been seen."""
    store = ScriptedStore(KeySet({KEY.kid: KEY.public}, max_age=5_000_000.0))
    judge = verifier(store=KeyCache(store, cooldown=86_400))
    judge.verify(mint())
    _refuse(judge, range(count, count + 200))
    before, started = resident_mb(), time.monotonic()
    _refuse(judge, range(count))
    return {"mb": resident_mb() - before, "before_mb": before, "seconds": time.monotonic() - started}


def _refuse(judge: D1Verifier, numbers: range) -> None:
    for number in numbers:
        with suppress(D1VerifyError):
            judge.verify_header(HOSTILE[number % len(HOSTILE)](number))
            raise AssertionError("a hostile token was accepted")


# What fills a token up to the longest that is kept: one text, or empty objects, which take far more memory than room.
_FILLED: dict[str, dict[str, object]] = {
    "usual": {},
    "long": {"note": "x" * 1290},
    "dense": {"x": [{} for _number in range(430)]},
}


def watch_cache(kind: str) -> dict[str, float]:
    """Return what a cache full of tokens of this kind takes. The tokens themselves were there before."""
    tokens = [mint(KEY, **_FILLED[kind]) for _number in range(CACHE_SIZE)]
    if not (kind == "usual" or LONGEST_CACHED - 16 <= len(tokens[0]) <= LONGEST_CACHED):
        raise AssertionError(f"the tokens have {len(tokens[0])} bytes, and not just under {LONGEST_CACHED}")
    grown = _growth(tokens, resident_mb)
    tracemalloc.start()
    return {"mb": grown, "traced_mb": _growth(tokens, lambda: tracemalloc.get_traced_memory()[0] / 1e6)}


def _growth(tokens: list[str], used_mb: Callable[[], float]) -> float:
    judge = verifier(token_cache_size=CACHE_SIZE)
    judge.verify(mint())
    before = used_mb()
    for token in tokens:
        judge.verify(token)
    return used_mb() - before


def main() -> None:
    """Watch, and print."""
    kind, argument = sys.argv[1:]
    print(json.dumps(watch_hostile(int(argument)) if kind == "hostile" else watch_cache(argument)))


if __name__ == "__main__":
    main()

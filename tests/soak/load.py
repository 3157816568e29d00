"""The load: wrk, one short run after the other, with calls from a file that is rewritten all the time."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from ..support import SigningKey
from .expectations import HOSTILE, VALID_SECONDS, Answer, Outcome, bearer, judge, mint

__all__ = ["Load", "judged"]

SCRIPT: Final = Path(__file__).with_name("load.lua")
CONNECTIONS: Final = 32
RUN_SECONDS: Final = 30
# An answer may wait for a load of keys, on a machine that is busy with this very load.
TIMEOUT_SECONDS: Final = 15

FRESH, REUSED, OF_EACH_HOSTILE, MISSES = 150, 10, 8, 12
RENEW_REUSED_AFTER: Final = VALID_SECONDS / 2

# What wrk's answers may be, by kind. A key id that may be unknown is judged more closely by the checking lanes.
_STATUSES: Final = {
    "valid": {204},
    "reused": {204},
    "open": {200},
    "unknown": {401, 503},
    "withdrawn": {401, 503},
    **{hostile.name: {hostile.answer.status} for hostile in HOSTILE},
}


class Load:
    """wrk, and the file that it reads.

    Attributes:
        tally: how often each kind got each status.
        errors: connections that failed and answers that did not come, by kind; wrk's own trouble as well.
    """

    def __init__(self) -> None:
        self.tally: Counter[tuple[str, int]] = Counter()
        self.errors: Counter[str] = Counter()
        self._folder = tempfile.TemporaryDirectory(prefix="d1verify-soak-")
        self._file = Path(self._folder.name) / "calls"
        self._reused: list[str] = []
        self._reused_of: tuple[str, float] = ("", 0.0)
        self._hostile: list[str] = []

    def write(self, signer: SigningKey, gone: SigningKey | None, *, calm: bool) -> None:
        """Have these calls sent from within a second on.

        Args:
            signer: the key that D1 signs with.
            gone: a key that no worker trusts any more, if there is one.
            calm: send no key id that could make a worker load keys.
        """
        now = time.time()
        self._renew(signer, now)
        lines = [_line("valid", *bearer(mint(signer, now))) for _ in range(FRESH)]
        lines += self._reused * 10 + self._hostile + ["open"] * 4
        if not calm:
            kids = [f"nobody-knows-{random.getrandbits(32):08x}" for _ in range(MISSES)]
            lines += [_line("unknown", *bearer(mint(signer, now, {"kid": kid}))) for kid in kids]
            if gone is not None:
                lines += [_line("withdrawn", *bearer(mint(gone, now))) for _ in range(MISSES)]
        temporary = self._file.with_suffix(".new")
        temporary.write_text("\n".join(lines) + "\n")
        os.replace(temporary, self._file)

    async def run(self, url: str, until: float) -> None:
        """Load the server until then, on the monotonic clock."""
        while (left := until - time.monotonic()) > 1:
            await self._run_once(url, min(RUN_SECONDS, int(left) or 1))

    def close(self) -> None:
        """Take the file away."""
        self._folder.cleanup()

    async def _run_once(self, url: str, seconds: int) -> None:
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"--timeout={TIMEOUT_SECONDS}s"]
        process = await asyncio.create_subprocess_exec(
            *command,
            f"-s{SCRIPT}",
            url,
            str(self._file),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        self._count(output.decode("utf-8", "replace"))
        if process.returncode:
            self.errors["wrk ended badly"] += 1

    def _count(self, output: str) -> None:
        for line in output.splitlines():
            kind, *fields = line.split("\t")
            if kind == "tally":
                self.tally[fields[0], int(fields[1])] += int(fields[2])
            elif kind == "errors" and int(fields[2]):
                self.errors[fields[0]] += int(fields[2])
            elif "PANIC" in line or "script" in line:
                self.errors["wrk's script failed"] += 1

    def _renew(self, signer: SigningKey, now: float) -> None:
        """Make what is sent over and over again, for as long as the key signs and the tokens live."""
        kid, since = self._reused_of
        if kid == signer.kid and now - since < RENEW_REUSED_AFTER:
            return
        self._reused_of = (signer.kid, now)
        self._reused = [_line("reused", *bearer(mint(signer, now))) for _ in range(REUSED)]
        self._hostile = [
            _line(hostile.name, *hostile.make(signer, now)) for hostile in HOSTILE for _ in range(OF_EACH_HOSTILE)
        ]


def judged(tally: Counter[tuple[str, int]]) -> Counter[tuple[Outcome, str, int]]:
    """Return how many of wrk's answers were what, by kind and status."""
    found: Counter[tuple[Outcome, str, int]] = Counter()
    for (kind, status), count in tally.items():
        allowed = frozenset(Answer(one) for one in _STATUSES.get(kind, ()))
        found[judge(Answer(status), allowed), kind, status] += count
    return found


def _line(kind: str, *values: str) -> str:
    return "\t".join([kind, *values])

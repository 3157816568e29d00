"""The server under load: a real uvicorn with its workers, in a process group of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

from .plan import Plan

__all__ = ["WebServer"]

ROOT: Final = Path(__file__).parents[2]
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 15.0
KEEP_ALIVE_SECONDS: Final = 120

_ADDRESS: Final = re.compile(rb"running on http://127\.0\.0\.1:(\d+)")
_STARTED: Final = "workers that started"
_WORTH_COUNTING: Final = {
    _STARTED: re.compile(rb"Application startup complete"),
    "tokens in the log": re.compile(rb"eyJ[\w-]{8}"),  # a brace and a quote in base64url
    "tracebacks in the log": re.compile(rb"Traceback \(most recent call last\)"),
    "workers that ended": re.compile(rb"Child process \[\d+\] died"),
}
_OVERLAP: Final = 64
_KEPT: Final = 4096


class WebServer:
    """uvicorn with workers on a free port of loopback, and what it writes.

    Attributes:
        seen: how often its output had something that it must not have.
        tail: the end of its output.
    """

    def __init__(self, plan: Plan, jwks_url: str, spoil: str) -> None:
        self.seen: Counter[str] = Counter()
        self.tail = b""
        self.port = 0
        self._plan = plan
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("D1VERIFY_", "SOAK_"))}
        self._environment = {
            **kept,
            "PYTHONUNBUFFERED": "1",
            "SOAK_PLAN": json.dumps(asdict(plan)),
            "SOAK_JWKS_URL": jwks_url,
            "SOAK_SPOIL": spoil,
        }
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    async def start(self) -> None:
        """Start it and wait until it listens.

        Raises:
            RuntimeError: it does not.
        """
        options = ["--host", "127.0.0.1", "--port", "0", "--workers", str(self._plan.workers), "--no-access-log"]
        options += ["--timeout-keep-alive", str(KEEP_ALIVE_SECONDS)]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "uvicorn", "tests.soak.app:app", *options),
            cwd=ROOT,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._reading = asyncio.create_task(self._read(self._process))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._listening.wait(), START_SECONDS)
        if self.seen[_STARTED] < self._plan.workers:
            raise RuntimeError("the server did not start:\n" + self.tail.decode("utf-8", "replace"))

    async def stop(self) -> None:
        """Ask it to end, and end it with all its workers if it does not."""
        process = self._process
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if self._reading is not None:
                self._reading.cancel()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        held = b""
        while chunk := await process.stdout.read(65_536):
            # What straddles two chunks is found with the second, and nothing is counted twice.
            for name, pattern in _WORTH_COUNTING.items():
                self.seen[name] += sum(found.end() > len(held) for found in pattern.finditer(held + chunk))
            self.tail = (self.tail + chunk)[-_KEPT:]
            held = (held + chunk)[-_OVERLAP:]
            address = _ADDRESS.search(self.tail)
            if address and not self.port:
                self.port = int(address[1])
            if self.port and self.seen[_STARTED] >= self._plan.workers:
                self._listening.set()
        self._listening.set()

"""Servers on loopback, loaded by wrk: uvicorn with the app in a process of its own, and an endpoint that may hang."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support import KEY

__all__ = ["NO_WRK", "Load", "Served", "has_wrk", "jwks_endpoint", "serve", "wait_for_state"]

ROOT = Path(__file__).resolve().parents[2]
NO_WRK = "not measured: wrk is missing (Debian and Ubuntu: apt-get install wrk)"
# What the endpoint allows: the least that an HTTPKeyStore keeps keys for.
MAX_AGE = 60

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: how many requests, how many per second, and the latency that 99 % kept, in seconds."""

    requests: int
    per_second: float
    p99: float


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: where it is, and what of uvicorn's choices it is made of."""

    url: str
    made_of: str
    pid: int
    processor_seconds: list[float] = field(default_factory=list)  # per request, one for each load

    def get(self, path: str) -> Any:
        """Return the JSON that a GET gives."""
        with urllib.request.urlopen(self.url + path, timeout=10) as response:
            return json.load(response)

    def load(self, path: str, token: str, *, connections: int, seconds: float) -> Load:
        """Return what wrk sees when it asks for `path` as fast as it is answered."""
        wrk, period = shutil.which("wrk") or "wrk", f"{max(1, round(seconds))}s"
        header = f"Authorization: Bearer {token}"
        command = [wrk, "-t1", f"-c{connections}", f"-d{period}", "--latency", "-H", header, self.url + path]
        before = _processor_seconds(self.pid)
        load = _seen(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        self.processor_seconds.append((_processor_seconds(self.pid) - before) / load.requests)
        return load


def has_wrk() -> bool:
    """Tell whether wrk is to be had."""
    return shutil.which("wrk") is not None


@contextmanager
def serve(**told: object) -> Iterator[Served]:
    """Run a server that is told this, in a process of its own, for as long as the block lasts."""
    command = [sys.executable, "-m", "tests.benchmarks.served"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise AssertionError("the pipes were asked for")
        try:
            process.stdin.write(
                json.dumps({"open": False, "http": "h11", "kid": KEY.kid, "pem": KEY.pem, **told}) + "\n"
            )
            process.stdin.flush()
            said = json.loads(process.stdout.readline())
            served = Served(f"http://127.0.0.1:{said['port']}", said["made_of"], process.pid)
            _wait_until_answered(served)
            yield served
        finally:
            process.kill()


@contextmanager
def jwks_endpoint() -> Iterator[tuple[str, threading.Event, list[float]]]:
    """Serve the key; while the event is set, hang instead. The list tells when it was asked."""
    hanging, closing, asked = threading.Event(), threading.Event(), list[float]()
    body = json.dumps({"keys": [KEY.jwk]}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(time.monotonic())
            if hanging.is_set():
                closing.wait()
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Cache-Control", f"max-age={MAX_AGE}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/jwks.json", hanging, asked
        finally:
            closing.set()
            server.shutdown()


def wait_for_state(served: Served, path: str, state: str, seconds: float = 60) -> None:
    """Return once the server's keys are in this state."""
    until = time.monotonic() + seconds
    while served.get(path)["state"] != state:
        if time.monotonic() > until:
            raise AssertionError(f"the keys did not become {state}")
        time.sleep(0.2)


def _wait_until_answered(served: Served) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"{served.url}/", timeout=1):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _processor_seconds(pid: int) -> float:
    """Return what the first thread of a process, its event loop, has taken so far; NaN where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    except OSError:
        return math.nan


def _seen(printed: str) -> Load:
    """Return what wrk printed; an answer other than 2xx or 3xx is none."""
    total, rate = re.search(r"(\d+) requests in", printed), re.search(r"Requests/sec:\s+([\d.]+)", printed)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", printed)
    if total is None or rate is None or tail is None or "Non-2xx" in printed or "Socket errors" in printed:
        raise AssertionError(f"wrk saw trouble:\n{printed}")
    return Load(int(total[1]), float(rate[1]), float(tail[1]) * _UNITS[tail[2]])

"""Starts an example by the command that its docstring gives, and stops it again; or loads it."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import IO

from tests.support import KEY, SUBJECT, SigningKey, d1_claims, unmeasured

ROOT = Path(__file__).parents[2]
START_TIMEOUT_SECONDS = 30
STOP_TIMEOUT_SECONDS = 10

NOTIFY_UPDATE = "/merchant-gateways/{}/merchants/M_1/tokens/T_1/notify-update"
SETTINGS = {"D1VERIFY_AUDIENCE": "stg", "D1VERIFY_SUBJECT": SUBJECT, "D1VERIFY_KEYS": KEY.pem, "D1VERIFY_KID": KEY.kid}

_SERVERS = ("uvicorn", "gunicorn", "python")
_START_OF_A_JWT = "eyJ"  # a brace and a quote in base64url
# The first is how uvicorn says it, the second how gunicorn does.
_ADDRESS = re.compile(r"(?:running on|Listening at:) (http://127\.0\.0\.1:\d+)")


def load(example: Path) -> ModuleType:
    """Return the example as a module, run anew: what it reads from the environment has to be there."""
    spec = importlib.util.spec_from_file_location(example.stem, example)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Server:
    """A running server: where it listens, and what it has written so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[str] = []
        self._address = ""
        self._said_enough = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def listens(self) -> bool:
        """Wait until it listens, or has ended without having done so."""
        return self._said_enough.wait(START_TIMEOUT_SECONDS) and bool(self._address)

    @property
    def url(self) -> str:
        """The address, once the server listens."""
        assert self.listens(), self.output
        return self._address

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def stop(self) -> None:
        """Ask it to end; end it if it does not."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join(STOP_TIMEOUT_SECONDS)

    def _read(self) -> None:
        stream: IO[str] | None = self._process.stdout
        assert stream is not None
        with stream:
            for line in stream:
                self._lines.append(line)
                found = _ADDRESS.search(line)
                if found:
                    self._address = found[1]
                    self._said_enough.set()
        self._said_enough.set()


def command_of(example: Path) -> list[str]:
    """Return the one command that the docstring of an example gives, ready to run."""
    docstring = ast.get_docstring(ast.parse(example.read_text())) or ""
    lines = [line.strip() for line in docstring.splitlines() if line.startswith("    ")]
    (command,) = [line for line in lines if line.split()[0] in _SERVERS]
    program, *arguments = shlex.split(command.partition(" < ")[0])
    return [sys.executable if program == "python" else installed(program), *arguments]


def installed(program: str) -> str:
    """Return the path of a program that is installed beside this Python."""
    found = shutil.which(program, path=str(Path(sys.executable).parent))
    assert found, f"{program} is not installed"
    return found


def environment(**changes: str | None) -> dict[str, str]:
    """Return this environment with a verifier's settings for `KEY`; None takes one away."""
    kept = {name: value for name, value in unmeasured().items() if not name.startswith("D1VERIFY_")}
    wanted: dict[str, str | None] = {**kept, **SETTINGS, "PYTHONUNBUFFERED": "1", **changes}
    return {name: value for name, value in wanted.items() if value is not None}


@contextmanager
def serving(command: Sequence[str], **changes: str | None) -> Iterator[Server]:
    """Run a uvicorn or gunicorn command on a free loopback port while the block runs.

    Whatever it is sent, it may not write a JWT, or the beginning of one, to its output.
    """
    gunicorn = Path(command[0]).name == "gunicorn"
    address = ["--bind", "127.0.0.1:0"] if gunicorn else ["--host", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen(
        [*command, *address],
        cwd=ROOT,
        env=environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Server(process)
    try:
        yield server
    finally:
        server.stop()
    assert _START_OF_A_JWT not in server.output


def token_now(key: SigningKey = KEY, **changes: object) -> str:
    """Return a token that is good by the wall clock, which is what a server of its own goes by."""
    return key.sign(key.header(), d1_claims(**{"exp": int(time.time()) + 600, **changes}))


def authorized(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}

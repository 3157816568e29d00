"""nginx before an app: finds it or installs it, runs it without any privilege, and an app that notes what it gets."""

from __future__ import annotations

import functools
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import pytest

from .serving import ROOT, STOP_TIMEOUT_SECONDS

FOLDER = ROOT / "examples" / "forward_auth"
LISTEN, AUTH, APP = "listen 8080;", "server 127.0.0.1:8001;", "server 127.0.0.1:9000;"
START_TIMEOUT_SECONDS, INSTALL_TIMEOUT_SECONDS = 10, 300

_SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def nginx() -> str:
    """Return the path of an nginx with auth_request; install Debian's as root, and skip where that is not to be."""
    found = _found()
    if found is None:
        pytest.skip("there is no nginx with auth_request, and only root on Debian can have it installed here")
    return found


@functools.cache
def _found() -> str | None:
    """Look for nginx, and try to install it, once."""
    found = shutil.which("nginx", path=_SEARCHED)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
        found = shutil.which("nginx", path=_SEARCHED)
    if found is None:
        return None
    built = subprocess.run([found, "-V"], capture_output=True, text=True, check=True).stderr
    return found if "http_auth_request_module" in built else None


def _install() -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "nginx"]
    # On a clean machine there are no lists of packages yet.
    for command in (install, ["apt-get", "update", "-qq"], install):
        with suppress(subprocess.TimeoutExpired):
            done = subprocess.run(
                command, env=environment, capture_output=True, timeout=INSTALL_TIMEOUT_SECONDS, check=False
            )
            if command is install and done.returncode == 0:
                return


class Received(NamedTuple):
    """A request as it arrived: its request line, its header fields with lower-case names, its body."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for other, value in self.headers if other == name]


class App(ThreadingHTTPServer):
    """An app behind a proxy: notes each request, and answers 204, or 101 to a handshake, or as it is told."""

    daemon_threads = True

    def __init__(self, status: int = 204, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.headers = status, headers or {}
        self.received: list[Received] = []
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def took(self) -> list[Received]:
        """Return what has arrived since this was last asked."""
        taken, self.received = self.received, []
        return taken

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.shutdown()
        self._thread.join(STOP_TIMEOUT_SECONDS)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: App

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fields = [(name.lower(), value) for name, value in self.headers.items()]
        self.server.received.append(Received(self.requestline, fields, body))
        self.close_connection = True
        handshake = self.headers.get("Upgrade") == "websocket"
        self.send_response(101 if handshake else self.server.status)
        if handshake:
            self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade" if handshake else "close")
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer  # noqa: N815 - as the server calls them

    def log_message(self, *_what: object) -> None:
        """Say nothing: what a caller sent is in `received`."""


@contextmanager
def proxying(
    folder: Path, *, auth: str, app: str, http: str = "", changes: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run nginx with the example's files and these addresses while the block runs; yield its URL.

    Args:
        folder: where it keeps its files; must be new.
        auth: host and port of the one who says yes or no.
        app: host and port of the app behind it.
        http: directives that whoever uses the example has in nginx's http block.
        changes: what to write instead of which text in `d1verify.conf`.
    """
    folder.mkdir()
    process, url = _started(folder, {AUTH: f"server {auth};", APP: f"server {app};", **(changes or {})}, http)
    try:
        yield url
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        finally:
            process.kill()
            process.wait()
    written = (folder / "error.log").read_text()
    assert "[emerg]" not in written
    assert "eyJ" not in written, "a token is in nginx's error log"


def _started(folder: Path, changes: Mapping[str, str], http: str) -> tuple[subprocess.Popen[bytes], str]:
    """Return nginx, once it listens: it writes its pid file after that. A port may be taken just before it."""
    for _attempt in range(5):
        url = f"127.0.0.1:{_free_port()}"
        _write(folder, "d1verify.conf", {LISTEN: f"listen {url};", **changes})
        _write(folder, "nginx.conf", {"include d1verify.conf;": f"{http}\ninclude d1verify.conf;"})
        with (folder / "error.log").open("ab") as log:
            command = [nginx(), "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
            process = subprocess.Popen(command, stdout=log, stderr=log)
        pid_file, deadline = folder / "nginx.pid", time.monotonic() + START_TIMEOUT_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if pid_file.exists() and pid_file.read_text().strip() == str(process.pid):
                return process, f"http://{url}"
            time.sleep(0.005)
        process.kill()
        process.wait()
        if "Address already in use" not in (folder / "error.log").read_text():
            break
        (folder / "error.log").unlink()
    raise AssertionError((folder / "error.log").read_text())


def _write(folder: Path, name: str, changes: Mapping[str, str]) -> None:
    """Write a file of the example with these changes; each text has to be there once."""
    text = (FOLDER / name).read_text()
    for old, new in changes.items():
        assert text.count(old) == 1, f"{name} should have {old!r} once"
        text = text.replace(old, new)
    (folder / name).write_text(text)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def talk(url: str, written: bytes) -> bytes:
    """Write these very bytes to a server and return all that it says."""
    parts = urlsplit(url)
    answer = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(written)
        with suppress(OSError):
            while data := connection.recv(65536):
                answer += data
    return answer

"""A URL of the sender's, for as long as a case runs: an app that follows URLs in tokens finds something there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn

from ._sending import CannotSendError

__all__ = ["served"]

_POLL_SECONDS = 0.01


@contextmanager
def served(content: bytes, content_type: str) -> Iterator[str]:
    """Serve `content` on 127.0.0.1, and give the URL.

    Raises:
        CannotSendError: no listener can be opened here, for want of a network or because something forbids it.
    """
    try:
        server = _Server(content, content_type)
    except (OSError, RuntimeError):
        # The second is how pytest-socket refuses.
        raise CannotSendError("no listener can be opened on 127.0.0.1") from None
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/keys"
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingMixIn, TCPServer):
    """Not `HTTPServer`, which looks its own name up first; that can take seconds."""

    daemon_threads = True

    def __init__(self, content: bytes, content_type: str) -> None:
        self.content = content
        self.content_type = content_type
        super().__init__(("127.0.0.1", 0), _Page)


class _Page(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", self.server.content_type)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_: object) -> None:
        """Write no access log into the middle of a report."""

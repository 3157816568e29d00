"""Calls to a WSGI app in process: no server, no socket."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIApplication, WSGIEnvironment

from ._sending import Answer, CannotSendError, content_of
from .call import Call

__all__ = ["WSGISender"]

_JSON = ((b"Content-Type", b"application/json"),)
_BARE = ("CONTENT_TYPE", "CONTENT_LENGTH")


class WSGISender:
    """Sends calls to a WSGI app in process. An exception of the app counts as 500.

    Two header fields of one name arrive joined by a comma, as WSGI servers join them.

    Args:
        app: the app.
        path: where to call it, unless the call has a path of its own.
        method: the method, unless the call has one of its own.
        body: the request's body.
        headers: further header fields, in bytes; `Content-Type: application/json` by default.
    """

    def __init__(
        self,
        app: WSGIApplication,
        path: str = "/",
        *,
        method: str = "POST",
        body: bytes = b"{}",
        headers: Iterable[tuple[bytes, bytes]] = _JSON,
    ) -> None:
        self._app = app
        self._path = path
        self._method = method
        self._body = body
        self._headers = tuple(headers)

    def send_call(self, call: Call) -> Answer:
        """Send `call` and return the answer.

        Raises:
            CannotSendError: it is a WebSocket handshake.
        """
        if call.kind != "http":
            raise CannotSendError("WSGI has no WebSockets")
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        written = bytearray()

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> Any:
            begun.append((status, headers))
            return written.extend

        try:
            chunks = self._app(self._environ(call), start_response)
            try:
                for chunk in chunks:
                    written.extend(chunk)
            finally:
                if callable(close := getattr(chunks, "close", None)):
                    close()
        except Exception:
            # What a server does.
            return Answer(500, [])
        if not begun:
            return Answer(500, [])
        status, headers = begun[-1]
        return Answer(int(status.split(" ", 1)[0]), headers, bytes(written))

    def _environ(self, call: Call) -> WSGIEnvironment:
        path, _, query = call.target(self._path).partition("?")
        body, headers = content_of(call, self._body, self._headers)
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": call.method or self._method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "testserver",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in headers:
            key = name.decode("ascii").upper().replace("-", "_")
            key = key if key in _BARE else f"HTTP_{key}"
            text = value.decode("latin-1")
            environ[key] = f"{environ[key]},{text}" if key in environ and key not in _BARE else text
        return environ

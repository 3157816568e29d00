"""Calls over HTTP to a running app, in whatever language it is written."""

from __future__ import annotations

import base64
import secrets
import ssl
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from ._sending import Answer, CannotSendError, UnreachableError, content_of
from .call import Call

if TYPE_CHECKING:
    import httpx2

__all__ = ["URLSender"]

_JSON = ((b"Content-Type", b"application/json"),)


class URLSender:
    """Sends calls to a URL, each on a connection of its own; redirects are not followed.

    Args:
        url: where to call, http or https. A call with a path of its own goes to that path
            of the same host.
        method: the method, unless the call has one of its own.
        body: the request's body.
        headers: further header fields, in bytes; `Content-Type: application/json` by default.
        timeout: seconds for each of connecting, sending and receiving.
        ssl_context: for a private CA or mutual TLS.

    Raises:
        ConfigurationError: `url` is no http or https URL.
    """

    def __init__(
        self,
        url: str,
        *,
        method: str = "POST",
        body: bytes = b"{}",
        headers: Iterable[tuple[bytes, bytes]] = _JSON,
        timeout: float = 10.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError("url must be an http or https URL")
        self._url = url
        self._method = method
        self._body = body
        self._headers = tuple(headers)
        self._timeout = timeout
        self._ssl_context = ssl_context
        self._client: httpx2.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open; a later call opens it again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def send_call(self, call: Call) -> Answer:
        """Send `call` and return the answer.

        Raises:
            CannotSendError: the HTTP client would not send it, or not as it is written.
            UnreachableError: there is no connection, or it ends without an answer.
        """
        import httpx2

        client = self._opened()
        try:
            url = httpx2.URL(self._url)
            target = call.target(url.raw_path.decode("ascii")).encode("ascii")
            if target != url.raw_path:
                url = url.copy_with(raw_path=target)
                if url.raw_path != target:
                    raise CannotSendError("the HTTP client would tidy the path up")
            handshake = call.kind == "websocket"
            method = "GET" if handshake else call.method or self._method
            body, headers = content_of(call, self._body, _upgrade() if handshake else self._headers)
            with client.stream(method, url, headers=headers, content=None if handshake else body) as response:
                read = b"" if response.status_code == httpx2.codes.SWITCHING_PROTOCOLS else response.read()
                return Answer(response.status_code, response.headers.raw, read)
        except (httpx2.LocalProtocolError, httpx2.InvalidURL):
            raise CannotSendError("the HTTP client will not send such a request") from None
        except httpx2.TransportError as error:
            unreachable = UnreachableError(f"no answer: {type(error).__name__}")
            unreachable.url = self._url
            raise unreachable from None

    def _opened(self) -> httpx2.Client:
        import httpx2

        if self._client is None:
            self._client = httpx2.Client(
                verify=True if self._ssl_context is None else self._ssl_context,
                timeout=self._timeout,
                trust_env=False,
                follow_redirects=False,
                # A server that refuses early may close a connection that is being used again.
                limits=httpx2.Limits(max_keepalive_connections=0),
            )
        return self._client


def _upgrade() -> tuple[tuple[bytes, bytes], ...]:
    """Return the header fields of an opening handshake (RFC 6455 §4.1)."""
    return (
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"websocket"),
        (b"Sec-WebSocket-Version", b"13"),
        (b"Sec-WebSocket-Key", base64.b64encode(secrets.token_bytes(16))),
    )

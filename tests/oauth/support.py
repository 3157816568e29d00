"""What the OAuth tests share: the merchant's settings, its key, an endpoint, and a way to call it byte by byte."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

import anyio

from d1verify import StaticKeyStore
from d1verify.oauth import AccessTokenVerifier, Client, SigningKey, TokenEndpoint
from tests.support import KEY, NOW, SUBJECT, make_verifier

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
FORM = b"application/x-www-form-urlencoded"

ISSUER = "https://pay.example.com"
AUDIENCE = "https://pay.example.com/merchant-gateways"
URL = "https://pay.example.com/oauth2/token"
SCOPE = "d1:notify d1:read"

SIGNING_KEY = SigningKey.generate()
CLIENT_ID, SECRET = "d1-client", "correct horse battery staple"

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str]:
        return self.status, self.json["error"]


def registered_client(**changes: Any) -> Client:
    return Client(**{"client_id": CLIENT_ID, "secrets": SECRET, "subject": SUBJECT, **changes})


def make_endpoint(**changes: Any) -> TokenEndpoint:
    """Return an endpoint whose clock stands at `NOW`, for D1's `KEY` and one client."""
    settings: dict[str, Any] = {
        "verifier": make_verifier(),
        "signing_key": SIGNING_KEY,
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "url": URL,
        "clients": [registered_client()],
        "scope": SCOPE,
        "clock": lambda: NOW,
        **changes,
    }
    return TokenEndpoint(**settings)


def make_access_verifier(**changes: Any) -> AccessTokenVerifier:
    settings: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "subject": SUBJECT, "clock": lambda: NOW}
    store = changes.pop("store", None) or StaticKeyStore({SIGNING_KEY.kid: SIGNING_KEY.public})
    return AccessTokenVerifier(store, **{**settings, **changes})


def assertion_form(assertion: str | None = None, **more: str) -> bytes:
    return urlencode({"grant_type": JWT_BEARER, "assertion": assertion or KEY.mint(), **more}).encode()


def client_form(**more: str) -> bytes:
    return urlencode({"grant_type": "client_credentials", **more}).encode()


def basic(client_id: str = CLIENT_ID, secret: str = SECRET, *, form_encoded: bool = False) -> tuple[bytes, bytes]:
    """Return a Basic header, as RFC 7617 has it or form-encoded first as RFC 6749 §2.3.1 does."""
    pair = (quote_plus(client_id), quote_plus(secret)) if form_encoded else (client_id, secret)
    return b"authorization", b"Basic " + base64.b64encode(":".join(pair).encode())


def call(
    endpoint: Any,
    body: bytes | Iterable[bytes] = b"",
    *headers: tuple[bytes, bytes],
    method: str = "POST",
    content_type: bytes | None = FORM,
    query: bytes = b"",
    backend: str = "asyncio",
) -> Answer:
    """Call an ASGI app once, with these very bytes."""
    chunks = [body] if isinstance(body, bytes) else list(body)
    return anyio.run(_exchange, endpoint, chunks, _scope(method, content_type, query, headers), backend=backend)


def _scope(method: str, content_type: bytes | None, query: bytes, headers: Headers) -> dict[str, Any]:
    typed = [] if content_type is None else [(b"content-type", content_type)]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
        "method": method,
        "path": "/oauth2/token",
        "raw_path": b"/oauth2/token",
        "query_string": query,
        "headers": [(b"host", b"127.0.0.1"), *typed, *headers],
    }


async def _exchange(app: Any, chunks: list[bytes], scope: dict[str, Any]) -> Answer:
    sent: list[dict[str, Any]] = []
    waiting = list(chunks)

    async def receive() -> dict[str, Any]:
        if not waiting:
            return {"type": "http.disconnect"}
        chunk = waiting.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, body = sent
    headers = [(name.decode(), value.decode()) for name, value in start["headers"]]
    assert len(dict(headers)) == len(headers), headers
    return Answer(start["status"], dict(headers), body["body"])

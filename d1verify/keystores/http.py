"""Keys from an endpoint that serves a JWK Set over HTTPS (RFC 7517 §5).

This module alone touches the HTTP client, and brings an event loop and TLS with it; it is
loaded when `HTTPKeyStore` is first asked for.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx2

from .._checks import checked_count, checked_seconds
from .._fork import renew_in_child
from .._version import __version__
from ..errors import ConfigurationError, KeyStoreError
from ..keys import KeySet
from ._caching import SHORTEST, entity_tag, lifetime
from ._fetching import Errands, checked_headers, checked_proxy, checked_url
from ._running import kind_of, run_to_its_end, verifies

__all__ = ["Answer", "HTTPKeyStore", "client_proxy", "client_tls_context", "system_tls_context"]

MAX_STALE: Final = 3600.0
MAX_CANDIDATES: Final = 100
MAX_TIMEOUT: Final = 60.0
# What closing a connection may take once the deadline has passed.
_TO_CLOSE: Final = 0.1

_OK, _NOT_MODIFIED = 200, 304
_CONTENT_TYPES = ("", "application/json", "application/jwk-set+json")
_OWN_HEADERS = {
    "Accept": "application/jwk-set+json, application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": f"d1verify/{__version__}",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gave: `status`, `headers` and as much of the `body` as was asked for."""

    status: int
    headers: httpx2.Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class _Held:
    """The newest set with keys in it, the tag that it came with, and the number of the load that gave it."""

    number: int = 0
    etag: str | None = None
    keys: KeySet | None = None


class HTTPKeyStore:
    """Keys from an https URL that serves a JWK Set; http is for loopback addresses and `localhost` only.

    The set counts as current for `Cache-Control: max-age` less `Age`, at least 60 and at most
    3,600 seconds, 600 without one, and serves for 3,600 seconds more while no newer one can be
    had. Each load is one GET over a connection of its own. The environment's proxies,
    certificates and `.netrc` are not looked at; redirects are not followed, cookies and
    compressed bodies not taken.

    Args:
        url: where the JWK Set is. The HTTP client logs it at INFO: secrets belong into `headers`.
        ssl_context: what to trust and, for mutual TLS, what to show; a context for this store
            alone. Without it, the system's certificate authorities.
        proxy: the http or https URL of a proxy; the same `ssl_context` holds for an https one.
        headers: what to send besides this library's own headers.
        timeout: seconds that a load may take from the DNS look-up to the last byte, in total.
        max_bytes: how long the body may be.

    Raises:
        ConfigurationError: an argument is out of range, or `ssl_context` does not verify
            certificates and host names; the message names it.
    """

    def __init__(
        self,
        url: str,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,
        max_bytes: int = 262_144,
    ) -> None:
        self._url = httpx2.URL(checked_url(url, "url"))
        self._proxy = None if proxy is None else checked_proxy(proxy, "proxy")
        if proxy is not None and self._url.scheme == "http":
            raise ConfigurationError("proxy needs an https url: through a proxy, http leaves this machine")
        if ssl_context is not None and not verifies(ssl_context):
            raise ConfigurationError("ssl_context must be an SSLContext that verifies certificates and host names")
        self._ssl_context = ssl_context
        self._headers = {**checked_headers(headers), **_OWN_HEADERS}
        self._timeout = checked_seconds(timeout, "timeout", low=0.001, high=MAX_TIMEOUT)
        self._max_bytes = checked_count(max_bytes, "max_bytes")
        self._errands = Errands()
        self._started = 0
        self._held = _Held()
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Replace the lock, as a forked child must. The set and its tag stay."""
        self._lock = threading.Lock()

    def load(self) -> KeySet:
        """Return the keys that the endpoint serves now. On any thread, any number at once.

        Raises:
            KeyStoreError: there was no complete, well-formed answer in time. The message names
                a status or the kind of error, and repeats nothing of the answer.
        """
        with self._lock:
            self._started += 1
            number, held = self._started, self._held
        try:
            answer = self._errands.run(lambda: self._answer(held.etag), self._timeout + _TO_CLOSE)
        except TimeoutError as error:
            answer = self._failure(error)
        if isinstance(answer, KeyStoreError):
            raise answer
        return self._judge(answer, number, held)

    def _answer(self, etag: str | None) -> Answer | KeyStoreError:
        """Return what one GET gives, or what went wrong; on a thread of its own, so nothing is raised."""
        try:
            return run_to_its_end(lambda: self._fetch(etag))
        except BaseException as error:  # Whatever the client does, the load has failed and nothing else.
            return self._failure(error)

    def _failure(self, error: BaseException) -> KeyStoreError:
        if isinstance(error, KeyStoreError):
            return error
        if isinstance(error, TimeoutError):
            return KeyStoreError(f"the JWKS endpoint gave no complete answer in {self._timeout:g} s")
        return KeyStoreError(f"the JWKS endpoint could not be read ({kind_of(error)})")

    def _judge(self, answer: Answer, number: int, held: _Held) -> KeySet:
        cache_control, ages = answer.headers.get("Cache-Control", ""), answer.headers.get_list("Age")
        if answer.status == _NOT_MODIFIED and held.keys is not None and held.etag is not None:
            old = held.keys
            max_age = lifetime(cache_control, ages, default=old.max_age)
            return KeySet(old.keys, max_age, MAX_STALE, old.skipped)
        if answer.status != _OK:
            raise KeyStoreError(f"the JWKS endpoint answered with status {answer.status}")
        max_age = lifetime(cache_control, ages)
        try:
            keys = KeySet.from_jwks(answer.body, max_age=max_age, max_stale=MAX_STALE, max_candidates=MAX_CANDIDATES)
        except KeyStoreError as error:
            raise KeyStoreError(f"the JWKS endpoint's answer cannot be used: {error}") from None
        self._hold(_Held(number, entity_tag(answer.headers.get("ETag")), keys))
        # Nobody can be let in by an empty set, so it is asked about again as soon as any set may be.
        return keys if keys or keys.skipped else KeySet({}, SHORTEST, MAX_STALE)

    def _hold(self, new: _Held) -> None:
        """Remember a set to ask about with its tag; a late load never replaces what a newer one gave.

        Of a set without keys nothing is remembered, so that withdrawing every key takes two full answers.
        """
        if not new.keys:
            new = _Held(new.number)
        with self._lock:
            if new.number > self._held.number:
                self._held = new

    async def _fetch(self, etag: str | None) -> Answer:
        """Return what one GET gives. The deadline is total: slow headers, endless 1xx, trailers, TLS records."""
        conditional = {} if etag is None else {"If-None-Match": etag}
        async with (
            asyncio.timeout(self._timeout),
            self._client() as client,
            client.stream("GET", self._url, headers=conditional) as response,
        ):
            body = await self._body(response) if response.status_code == _OK else b""
            return Answer(response.status_code, response.headers, body)

    def _client(self) -> httpx2.AsyncClient:
        context = self._tls()
        proxy = self._proxy
        return httpx2.AsyncClient(
            verify=context,
            proxy=None if proxy is None else client_proxy(proxy, context),
            headers=self._headers,
            timeout=None,  # The deadline around the whole is tighter.
            trust_env=False,
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=1, max_keepalive_connections=0),
        )

    def _tls(self) -> ssl.SSLContext:
        if self._url.scheme == "http":
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # Trusts nobody, and is not needed.
        if self._ssl_context is None:
            return system_tls_context()
        if not verifies(self._ssl_context):
            raise KeyStoreError("ssl_context has been changed and no longer verifies certificates and host names")
        return self._ssl_context

    async def _body(self, response: httpx2.Response) -> bytes:
        if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise KeyStoreError("the JWKS endpoint sent an encoded body though asked for a plain one")
        if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() not in _CONTENT_TYPES:
            raise KeyStoreError("the JWKS endpoint's answer is not declared to be JSON")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._max_bytes:
                raise KeyStoreError(f"the JWKS endpoint's answer is longer than {self._max_bytes} bytes")
        return bytes(body)


def system_tls_context() -> ssl.SSLContext:
    """Return a context that trusts the system's certificate authorities, whatever `SSL_CERT_FILE` says."""
    return httpx2.create_ssl_context(trust_env=False)


def client_tls_context(
    ca_file: str | None, cert_file: str | None, key_file: str | None = None, *, ca_name: str, cert_name: str
) -> ssl.SSLContext | None:
    """Return what to trust and to show to an endpoint, or None where no file is given: the system's authorities.

    Args:
        ca_file: the only authorities to trust, as PEM; the system's without it.
        cert_file: the client's certificate, as PEM.
        key_file: its key, as PEM; without it, the key is in `cert_file`.
        ca_name: what messages call `ca_file`.
        cert_name: what messages call `cert_file` and `key_file`.

    Raises:
        ConfigurationError: a file is not as it must be; the message names it.
    """
    if ca_file is None and cert_file is None:
        return None
    try:
        # OpenSSL's own default, which listens to SSL_CERT_FILE, is what an empty name would give.
        context = system_tls_context() if ca_file is None else ssl.create_default_context(cafile=ca_file or os.devnull)
    except OSError:  # An SSLError is one, too.
        raise ConfigurationError(f"{ca_name} must be a PEM file of certificates") from None
    if cert_file is not None:
        try:
            # A password of ours, since OpenSSL would ask for one on the terminal, and wait.
            context.load_cert_chain(cert_file, key_file, password="")
        except OSError:
            raise ConfigurationError(
                f"{cert_name} must hold a certificate and its own key as PEM, the key not encrypted"
            ) from None
    return context


def client_proxy(url: str, context: ssl.SSLContext) -> httpx2.Proxy:
    """Return the client's setting for a proxy; the context holds for an https one."""
    return httpx2.Proxy(url, ssl_context=context if url.lower().startswith("https:") else None)

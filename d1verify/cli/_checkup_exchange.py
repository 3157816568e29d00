"""One load from a JWKS endpoint, made as every load is made, with what it looked like on the way."""

from __future__ import annotations

import ssl
import time
from typing import NamedTuple, Self

import httpx2

from ..errors import KeyStoreError
from ..keys import KeySet
from ..keystores.http import HTTPKeyStore

__all__ = ["Exchange", "ObservedStore"]


class Exchange(NamedTuple):
    """What a load looked like. `began` and `answered` are by this machine's clock, in epoch seconds.

    Attributes:
        seconds: how long it took to the last byte; None while it has not come back.
        headers: None without an answer.
        tls: the version and the validity of the certificate, if it was verified.
        errors: what went wrong, with what led to it, if there is no answer.
    """

    began: float
    answered: float
    seconds: float | None = None
    status: int = 0
    headers: httpx2.Headers | None = None
    tls: tuple[str, float, float] | None = None
    errors: tuple[BaseException, ...] = ()


class ObservedStore(HTTPKeyStore):
    """The store that a deployment has, with an eye on what comes and goes."""

    exchange = Exchange(0, 0)

    @classmethod
    def like(cls, store: HTTPKeyStore) -> Self:
        """Return one that loads from where `store` does, as it does."""
        return cls(str(store._url), ssl_context=store._ssl_context, proxy=store._proxy)  # noqa: SLF001 - its own class

    @property
    def seconds_allowed(self) -> float:
        """How long a load may take."""
        return self._timeout

    def load(self) -> KeySet:
        """Do what every load does."""
        self.exchange = Exchange(time.time(), 0)
        started = time.perf_counter()
        try:
            return super().load()
        finally:
            self.exchange = self.exchange._replace(seconds=time.perf_counter() - started)

    def _client(self) -> httpx2.AsyncClient:
        client = super()._client()
        client.event_hooks = {"response": [self._see]}
        return client

    async def _see(self, response: httpx2.Response) -> None:
        stream = response.extensions["network_stream"]
        self.exchange = self.exchange._replace(
            answered=time.time(),
            status=response.status_code,
            headers=response.headers,
            tls=_tls(stream.get_extra_info("ssl_object")),
        )

    def _failure(self, error: BaseException) -> KeyStoreError:
        if not isinstance(error, KeyStoreError):  # That one is about an answer, which there is.
            self.exchange = self.exchange._replace(errors=_with_causes(error))
        return super()._failure(error)


def _tls(connection: ssl.SSLObject | None) -> tuple[str, float, float] | None:
    """Return version, begin and end of the certificate that was verified; None for plain http."""
    certificate = None if connection is None else connection.getpeercert()
    if connection is None or not certificate:
        return None
    begins, ends = (ssl.cert_time_to_seconds(str(certificate[name])) for name in ("notBefore", "notAfter"))
    return connection.version() or "TLS", begins, ends


def _with_causes(error: BaseException) -> tuple[BaseException, ...]:
    """Return the error and everything that led to it, groups opened; what TLS says when it only waits is left out."""
    chain: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or one in chain:
            continue
        chain.append(one)
        waiting += [one.__cause__, one.__context__]
        waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
    return tuple(one for one in chain if not isinstance(one, ssl.SSLWantReadError | ssl.SSLWantWriteError))

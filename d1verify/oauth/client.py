"""The merchant's own calls to D1: an `httpx2.Auth` that obtains an access token and uses it while it is good."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any, Final

import httpx2
from joserfc.jwk import ECKey

from .._checks import checked_seconds
from ..errors import ConfigurationError
from ..keystores._fetching import checked_proxy, checked_url
from ..keystores._running import verifies
from ..policy import MAX_LIFETIME, checked_audience
from ._token_request import Assertion, TokenRequest, TokenRequestError
from ._token_source import HeldToken, TokenSource
from .access_tokens import is_name
from .signing import SigningKey, checked_signing_key

__all__ = ["D1TokenAuth", "TokenRequestError"]

MAX_TIMEOUT: Final = 60.0
_UNAUTHORIZED: Final = 401


class D1TokenAuth(httpx2.Auth):
    """Puts an access token of D1's on each call to D1: `httpx2.Client(auth=D1TokenAuth(...))`.

    One serves any number of clients, threads and event loops (asyncio and trio). The token
    is requested when it is first needed and reused until 30 seconds before it expires, with one
    request in the air however many callers wait. A call that D1 answers with 401 is made once
    more, with another token; so its body is read into memory first. Requests to other origins
    than D1's pass without a token.

    Args:
        token_url: D1's token endpoint, such as `https://api.d1.thalescloud.io/authz/v1/oauth2/token`.
        signing_key: signs the assertion; D1 holds its public half: a `SigningKey`, or what makes one.
        merchant_gateway_id: the `sub` of the assertion, and its `iss`.
        audience: D1's environment, `"stg"` or `"prd"`, or an https URL.
        issuer: the `iss` where it is not the merchant gateway id (for one that plays D1: `"d1"`).
        origin: where the token may go, such as `https://api.d1.thalescloud.io`; the token URL's origin by default.
        assertion_lifetime: for how many seconds an assertion is good, 1 to 900.
        ssl_context: what to trust and, for mutual TLS, what to show at the token URL; the
            system's certificate authorities by default. The calls themselves go by the client's own.
        proxy: the http or https URL of a proxy to the token URL.
        timeout: seconds that a token request may take in total.
        clock: the wall clock, in epoch seconds.
        timer: a monotonic clock, in seconds.

    Raises:
        ConfigurationError: an argument is out of range, or `ssl_context` does not verify certificates
            and host names; the message names it.
        TokenRequestError: when a call is made: no token is to be had.
    """

    def __init__(
        self,
        *,
        token_url: str,
        signing_key: SigningKey | str | bytes | Mapping[str, Any] | ECKey,
        merchant_gateway_id: str,
        audience: str,
        issuer: str | None = None,
        origin: str | None = None,
        assertion_lifetime: int = 300,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        if not is_name(merchant_gateway_id) or not (issuer is None or is_name(issuer)):
            raise ConfigurationError("merchant_gateway_id and issuer must be non-empty printable strings")
        if ssl_context is not None and not verifies(ssl_context):
            raise ConfigurationError("ssl_context must be an SSLContext that verifies certificates and host names")
        self._origin = _checked_origin(token_url, origin)
        if proxy is not None and not token_url.lower().startswith("https:"):
            raise ConfigurationError("proxy needs an https token_url: through a proxy, http leaves this machine")
        request = TokenRequest(
            url=checked_url(token_url, "token_url"),
            assertion=Assertion(
                key=checked_signing_key(signing_key),
                issuer=issuer or merchant_gateway_id,
                subject=merchant_gateway_id,
                audience=checked_audience(audience, "audience"),
                seconds=int(checked_seconds(assertion_lifetime, "assertion_lifetime", low=1, high=MAX_LIFETIME)),
                clock=clock,
            ),
            ssl_context=ssl_context,
            proxy=None if proxy is None else checked_proxy(proxy, "proxy"),
            timeout=checked_seconds(timeout, "timeout", low=0.001, high=MAX_TIMEOUT),
        )
        self._source = TokenSource(request.send, timeout=request.timeout, timer=timer)

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Send the request with a token, and once more with another if D1 does not accept it."""
        if not self._is_for_d1(request.url):
            yield request
            return
        request.read()
        held = self._source.obtain()
        response = yield _with_token(request, held)
        if self._is_to_be_repeated(response, held):
            held = self._source.obtain()
            self._is_to_be_repeated((yield _with_token(request, held)), held)

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Do what `sync_auth_flow` does without blocking the event loop."""
        if not self._is_for_d1(request.url):
            yield request
            return
        await request.aread()
        held = await self._source.aobtain()
        response = yield _with_token(request, held)
        if self._is_to_be_repeated(response, held):
            held = await self._source.aobtain()
            self._is_to_be_repeated((yield _with_token(request, held)), held)

    def _is_for_d1(self, url: httpx2.URL) -> bool:
        return url.origin == self._origin

    def _is_to_be_repeated(self, response: httpx2.Response, held: HeldToken) -> bool:
        """Take note of what became of the token; tell whether the call is worth another try."""
        if not self._is_for_d1(response.request.url):  # A redirect led elsewhere, and the token stayed behind.
            return False
        if response.status_code != _UNAUTHORIZED:
            held.accepted = True
            return False
        return self._source.refused(held)

    def __repr__(self) -> str:
        return "<D1TokenAuth>"


def _with_token(request: httpx2.Request, held: HeldToken) -> httpx2.Request:
    request.headers["Authorization"] = f"Bearer {held.value}"
    return request


def _checked_origin(token_url: str, origin: str | None) -> httpx2.Origin:
    url = httpx2.URL(checked_url(token_url, "token_url"))
    if origin is None:
        return url.origin
    given = httpx2.URL(checked_url(origin, "origin"))
    if given.path not in ("", "/") or given.query:
        raise ConfigurationError("origin must have no path: a scheme, a host and perhaps a port")
    return given.origin

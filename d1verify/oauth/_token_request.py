"""One token request to D1: an assertion signed and posted, and an answer read with suspicion."""

from __future__ import annotations

import asyncio
import re
import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
from authlib.oauth2.rfc7523.assertion import sign_jwt_bearer_assertion  # type: ignore[import-untyped]

from .._codec import MalformedError, parse_object
from .._version import __version__
from ..errors import D1VerifyError, KeyStoreError
from ..keystores import http as https
from ..keystores._fetching import Errands
from ..keystores._running import kind_of, run_to_its_end
from ._forms import JWT_BEARER
from .access_tokens import ACCESS_TOKEN_SECONDS
from .signing import SigningKey

__all__ = ["AccessToken", "Assertion", "TokenRequest", "TokenRequestError", "read_answer"]

MAX_BODY_BYTES: Final = 65_536
MAX_RETRY_AFTER: Final = 3600.0

# What closing a connection may take once the deadline has passed.
_TO_CLOSE: Final = 0.1

_OK: Final = 200
_REDIRECTS: Final = range(300, 400)
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]{1,8192}={0,2}")
_DIGITS = re.compile(r"[0-9]{1,9}")
# RFC 6749 §5.2. A code that is not among these is not repeated in a message.
_ERROR_CODES: Final = frozenset(
    {
        *("invalid_client", "invalid_grant", "invalid_request", "invalid_scope"),
        *("unauthorized_client", "unsupported_grant_type"),
    }
)
_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": f"d1verify/{__version__}",
}


class TokenRequestError(D1VerifyError):
    """D1's token endpoint gave no usable access token, so a call to D1 cannot be made.

    Attributes:
        status: the status that it answered with, or None if there was no answer.
        retry_after: seconds until the next token request; until then this is raised without one.
        correlation_id: the `x-correlation-id` of the request, to name when asking Thales; None if none was sent.
    """

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float = 0.0, correlation_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.correlation_id = correlation_id

    def again(self, retry_after: float) -> TokenRequestError:
        """Return the same error for another caller, who has this long to wait."""
        return TokenRequestError(
            str(self), status=self.status, retry_after=retry_after, correlation_id=self.correlation_id
        )

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_error, (str(self), self.status, self.retry_after, self.correlation_id)


def _rebuild_error(
    message: str, status: int | None, retry_after: float, correlation_id: str | None
) -> TokenRequestError:
    return TokenRequestError(message, status=status, retry_after=retry_after, correlation_id=correlation_id)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token of D1's, and for how many seconds it is good."""

    value: str = field(repr=False)
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """What the merchant says to D1 ("D1: Get an OAuth 2.0 access token"), good for `seconds`."""

    key: SigningKey
    issuer: str
    subject: str
    audience: str
    seconds: int
    clock: Callable[[], float] = time.time

    def sign(self) -> str:
        """Return a fresh one, with a `jti` of its own. Authlib's own default is an hour, which D1 refuses."""
        now = int(self.clock())
        signed: str = sign_jwt_bearer_assertion(
            self.key._signer(),  # noqa: SLF001 - the key shows its private half to this package only
            issuer=self.issuer,
            audience=self.audience,
            subject=self.subject,
            issued_at=now,
            expires_at=now + self.seconds,
            claims={"jti": secrets.token_urlsafe(24)},  # Authlib 1.7 adds none by itself.
            header={"alg": "ES256", "kid": self.key.kid, "typ": "JWT"},
        )
        return signed


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TokenRequest:
    """Where and how to request a token.

    The connection is its own: no redirects, cookies, proxies or certificates of others.
    """

    url: str
    assertion: Assertion
    ssl_context: ssl.SSLContext | None
    proxy: str | None
    timeout: float
    errands: Errands = field(default_factory=Errands)

    def send(self) -> AccessToken:
        """Return a new access token. It blocks; the deadline is total, from the DNS look-up to the last byte.

        Raises:
            TokenRequestError: there is none. The message repeats nothing of the answer.
        """
        correlation_id = secrets.token_hex(16)
        try:
            outcome = self.errands.run(lambda: self._outcome(correlation_id), self.timeout + _TO_CLOSE)
            if isinstance(outcome, BaseException):
                raise outcome
            return read_answer(outcome.status, outcome.headers, outcome.body)
        except TokenRequestError as error:
            error.correlation_id = correlation_id
            raise
        except TimeoutError:
            trouble = f"gave no complete answer in {self.timeout:g} s"
        except KeyStoreError:  # As the errands of the key stores say it.
            trouble = "could not be asked: no thread is to be had, or earlier requests never came back"
        except BaseException as error:
            trouble = f"could not be asked ({kind_of(error)})"
        raise TokenRequestError(f"D1's token endpoint {trouble}", correlation_id=correlation_id) from None

    def _outcome(self, correlation_id: str) -> https.Answer | BaseException:
        """Return the answer or what went wrong; on a thread of its own, so nothing is raised."""
        try:
            return run_to_its_end(lambda: self._post(correlation_id))
        except BaseException as error:
            return error

    async def _post(self, correlation_id: str) -> https.Answer:
        form = {"grant_type": JWT_BEARER, "assertion": self.assertion.sign()}
        headers = {**_HEADERS, "x-correlation-id": correlation_id}
        async with (
            asyncio.timeout(self.timeout),
            self._client() as client,
            client.stream("POST", self.url, data=form, headers=headers) as response,
        ):
            return https.Answer(response.status_code, response.headers, await _body(response))

    def _client(self) -> httpx2.AsyncClient:
        context = self._tls()
        return httpx2.AsyncClient(
            verify=context,
            proxy=None if self.proxy is None else https.client_proxy(self.proxy, context),
            timeout=None,  # The deadline around the whole is tighter.
            trust_env=False,
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=1, max_keepalive_connections=0),
        )

    def _tls(self) -> ssl.SSLContext:
        if self.ssl_context is not None:
            return self.ssl_context
        if self.url.lower().startswith("http:"):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # Trusts nobody, and is not needed.
        return https.system_tls_context()


async def _body(response: httpx2.Response) -> bytes:
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise TokenRequestError("D1's token endpoint sent an encoded body", status=response.status_code)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TokenRequestError("D1's token endpoint sent too long an answer", status=response.status_code)
    return bytes(body)


def read_answer(status: int, headers: httpx2.Headers, body: bytes) -> AccessToken:
    """Return the access token of an answer (RFC 6749 §5.1), which is used for 900 seconds at most.

    Raises:
        TokenRequestError: it is a refusal, a redirect, or not such an answer.
    """
    if status in _REDIRECTS:
        raise TokenRequestError("D1's token endpoint answered with a redirect, which is not followed", status=status)
    try:
        content = parse_object(body)
    except MalformedError:
        content = None
    if status != _OK:
        raise _refusal(status, headers, content or {})
    if content is None:
        raise TokenRequestError("D1's token endpoint answered with something that is not JSON", status=status)
    value, kind, seconds = (content.get(name) for name in ("access_token", "token_type", "expires_in"))
    if not isinstance(value, str) or _TOKEN68.fullmatch(value) is None:
        raise TokenRequestError("D1's token endpoint answered without a usable access_token", status=status)
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenRequestError("D1's token endpoint answered with a token_type other than Bearer", status=status)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not seconds > 0:
        raise TokenRequestError("D1's token endpoint answered with no expires_in above 0", status=status)
    return AccessToken(value, min(seconds, ACCESS_TOKEN_SECONDS))


def _refusal(status: int, headers: httpx2.Headers, content: dict[str, Any]) -> TokenRequestError:
    code = content.get("error")
    named = f" ({code})" if isinstance(code, str) and code in _ERROR_CODES else ""
    wait = headers.get("Retry-After", "")
    retry_after = min(float(wait), MAX_RETRY_AFTER) if _DIGITS.fullmatch(wait) else 0.0
    message = f"D1's token endpoint answered with status {status}{named}"
    return TokenRequestError(message, status=status, retry_after=retry_after)

"""The protocol: Authlib's authorization server with the two grants and the RFC 9068 generator.

What Authlib would do otherwise, and is told not to: let tokens live for 864,000 or 3,600
seconds, write whole tokens to its DEBUG log, take `sub` and `aud` from the client's id,
repeat the request's `grant_type` in the answer, and let a Basic header that is not UTF-8
escape as an exception. It never sees an assertion that has not been verified.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped]
    AuthorizationServer,
    ClientCredentialsGrant,
    ClientMixin,
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload  # type: ignore[import-untyped]
from authlib.oauth2.rfc7523 import JWTBearerGrant  # type: ignore[import-untyped]
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator  # type: ignore[import-untyped]
from joserfc.jwk import KeySet as JoseKeySet

from .._log import TokenRequestLog
from ..errors import ConfigurationError
from ..tokens import D1Token
from ._clients import Clients, basic_credentials
from ._forms import CLIENT_CREDENTIALS, JWT_BEARER
from .access_tokens import ACCESS_TOKEN_SECONDS
from .signing import SigningKey

__all__ = ["NO_STORE", "TokenAnswer", "TokenServer", "checked_scope"]

DEFAULT_SCOPE: Final = "d1"
CHALLENGE: Final = 'Basic realm="d1", charset="UTF-8"'
NO_STORE: Final = {"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"}

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")
_BASIC: Final = "client_secret_basic"
# Fixed texts, in the characters that RFC 6749 §5.2 allows; nothing of the request is repeated.
_DESCRIPTIONS: Final = {
    "invalid_client": "the client could not be authenticated",
    "invalid_grant": "the assertion is not accepted",
    "invalid_scope": "the scope is not one that is granted here",
    "unsupported_grant_type": "the grant type is not supported",
}


class TokenAnswer(NamedTuple):
    """An answer of the token endpoint, to send."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Party(ClientMixin):  # type: ignore[misc]  # Authlib is untyped
    """Who asks, in Authlib's terms: D1 by its assertion, or a registered client."""

    def __init__(self, client_id: str, subject: str, grant_type: str, scope: str) -> None:
        self.client_id = client_id
        self.subject = subject
        self._grant_type = grant_type
        self._scope = scope

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return what was asked for, which has been checked, in the order of the setting; all of it by default."""
        asked = (scope or self._scope).split(" ")
        return " ".join(one for one in self._scope.split(" ") if one in asked)

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method == _BASIC

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == self._grant_type


class _Holder:
    """For whom a token is, and the one reading of the clock that all its times come from."""

    def __init__(self, subject: str, issued_at: int) -> None:
        self.subject = subject
        self.issued_at = issued_at

    def get_user_id(self) -> str:
        return self.subject


class _Request(OAuth2Request):  # type: ignore[misc]  # Authlib is untyped
    def __init__(self, url: str, form: dict[str, str], authorization: bytes | None, assertion: D1Token | None) -> None:
        # The configured URL: behind a proxy that ends TLS, the request's own says http, which Authlib refuses.
        super().__init__("POST", url)
        self.payload = BasicOAuth2Payload(form)
        self.authorization = authorization
        self.assertion = assertion

    @property
    def form(self) -> dict[str, str]:
        form: dict[str, str] = self.payload.data
        return form


class _Issuing:
    """What both grants end with. Authlib's own ending writes the token to its log."""

    server: TokenServer
    request: _Request

    def create_token_response(self) -> tuple[int, dict[str, Any], object]:
        holder: _Holder = self.request.user
        scope = self.request.payload.scope
        issued = self.generate_token(  # type: ignore[attr-defined]  # a method of the grants that this is mixed into
            user=holder, scope=scope, include_refresh_token=False
        )
        expires_at = datetime.fromtimestamp(holder.issued_at + ACCESS_TOKEN_SECONDS, UTC)
        content = {
            "access_token": issued["access_token"],
            "token_type": issued["token_type"],
            "expires_in": ACCESS_TOKEN_SECONDS,
            # With milliseconds, as in D1's own example.
            "expires_at": expires_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "scope": issued["scope"],
        }
        return 200, content, None


class _AssertionGrant(_Issuing, JWTBearerGrant):  # type: ignore[misc]  # Authlib is untyped
    """A D1 JWT for an access token (RFC 7523 §2.1). The verifier has judged it before Authlib comes in."""

    def process_assertion_claims(self, _assertion: str) -> dict[str, str]:
        token = self.request.assertion
        if token is None:  # pragma: no cover - the endpoint hands in a token wherever there is an assertion
            raise InvalidRequestError("assertion is missing")
        return {"iss": token.issuer, "sub": token.subject}

    def resolve_issuer_client(self, issuer: str) -> _Party:
        return _Party(issuer, "", JWT_BEARER, self.server.scope)

    def authenticate_user(self, subject: str) -> _Holder:
        return self.server.holder(subject)

    def has_granted_permission(self, _client: _Party, _user: _Holder) -> bool:
        return True


class _ClientCredentialsGrant(_Issuing, ClientCredentialsGrant):  # type: ignore[misc]  # Authlib is untyped
    """A client's secret for an access token (RFC 6749 §4.4). The subject is the client's setting."""

    TOKEN_ENDPOINT_AUTH_METHODS = (_BASIC,)

    def validate_token_request(self) -> None:
        super().validate_token_request()
        self.request.user = self.server.holder(self.request.client.subject)


class _Generator(JWTBearerTokenGenerator):  # type: ignore[misc]  # Authlib is untyped
    """Access tokens as RFC 9068 has them: ES256, `at+jwt`, with a kid, for 900 seconds."""

    def __init__(self, key: SigningKey, issuer: str, audience: str) -> None:
        super().__init__(issuer=issuer, alg="ES256", expires_generator=ACCESS_TOKEN_SECONDS)
        self._key = key
        self._audience = audience

    def get_jwks(self) -> JoseKeySet:
        return self._key._signers()  # noqa: SLF001 - the key shows its private half to this package only

    def get_audiences(self, _client: _Party, _user: _Holder, _scope: str) -> str:
        return self._audience

    def get_extra_claims(self, _client: _Party, _grant_type: str, user: _Holder, _scope: str) -> dict[str, int]:
        return {"iat": user.issued_at, "exp": user.issued_at + ACCESS_TOKEN_SECONDS}


class TokenServer(AuthorizationServer):  # type: ignore[misc]  # Authlib is untyped
    """Answers token requests that were read strictly and whose assertion was verified. Never blocks."""

    def __init__(
        self,
        *,
        signing_key: SigningKey,
        issuer: str,
        audience: str,
        url: str,
        clients: Clients,
        scope: str,
        clock: Callable[[], float],
    ) -> None:
        super().__init__()
        self.scope = scope
        self._url = url
        self._clients = clients
        self._clock = clock
        self._request_log = TokenRequestLog()
        self.register_token_generator("default", _Generator(signing_key, issuer, audience))
        self.register_grant(_AssertionGrant)
        if len(clients):
            self.register_client_auth_method(_BASIC, self._authenticate)
            self.register_grant(_ClientCredentialsGrant)

    def answer(self, form: dict[str, str], authorization: bytes | None, assertion: D1Token | None) -> TokenAnswer:
        """Return the answer to a request with these parameters, this header and this verified assertion."""
        answer: TokenAnswer = self.create_token_response(_Request(self._url, form, authorization, assertion))
        return answer

    def holder(self, subject: str) -> _Holder:
        return _Holder(subject, int(self._clock()))

    def _authenticate(self, _query_client: object, request: _Request) -> _Party | None:
        client = self._clients.authenticate(basic_credentials(request.authorization))
        if client is None:
            return None
        if request.form.get("client_id", client.client_id) != client.client_id:
            raise InvalidRequestError("client_id is not that of the Authorization header")
        return _Party(client.client_id, client.subject, CLIENT_CREDENTIALS, self.scope)

    def validate_requested_scope(self, scope: str | None) -> None:
        """Return if each scope that is asked for is one of the configured ones (RFC 6749 §3.3)."""
        if scope and not set(scope.split(" ")) <= set(self.scope.split(" ")):
            raise InvalidScopeError

    def query_client(self, _client_id: str) -> None:
        """Return None: clients are found by their secrets, in `_authenticate`."""

    def save_token(self, _token: object, _request: object) -> None:
        """Keep nothing: an access token proves itself."""

    def send_signal(self, *_args: object, **_kwargs: object) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: _Request) -> _Request:
        return request

    def handle_response(self, status: int, body: dict[str, Any], _headers: object) -> TokenAnswer:
        return TokenAnswer(status, NO_STORE, json.dumps(body, separators=(",", ":")).encode("ascii"))

    def handle_error_response(self, _request: object, error: OAuth2Error) -> TokenAnswer:
        return self.refuse(error)

    def refuse(self, error: OAuth2Error) -> TokenAnswer:
        """Return the answer to a request that is refused with `error`, having logged it."""
        self._request_log.write(error.error)
        return _error_answer(error)


def _error_answer(error: OAuth2Error) -> TokenAnswer:
    """Return what RFC 6749 §5.2 has it, in texts of ours."""
    # An invalid_request says what is wrong; all who raise it do so with a fixed text.
    description = _DESCRIPTIONS.get(error.error, error.description)
    content = {"error": error.error, "error_description": description}
    status, headers = error.status_code, NO_STORE
    if isinstance(error, InvalidClientError):
        status, headers = 401, {**NO_STORE, "WWW-Authenticate": CHALLENGE}
    return TokenAnswer(status, headers, json.dumps(content, separators=(",", ":")).encode("ascii"))


def checked_scope(scope: object) -> str:
    """Return the scope of the tokens, `d1` by default (RFC 6749 §3.3: a server has to have a default).

    Raises:
        ConfigurationError: it is not scope names, separated by single spaces.
    """
    if scope is None:
        return DEFAULT_SCOPE
    if not isinstance(scope, str) or _SCOPE.fullmatch(scope) is None:
        raise ConfigurationError("scope must be scope names separated by single spaces")
    return scope

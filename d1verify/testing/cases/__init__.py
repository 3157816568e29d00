"""The catalogues: every call of the contract, in the order in which a verifier meets its rules.

The ids are stable; a changed or dropped one is a breaking change, a new one is not.
"""

from __future__ import annotations

from ..case import Case
from . import (
    accepted,
    access_tokens,
    algorithms,
    claims,
    credentials,
    framing,
    headers,
    json_text,
    kids,
    methods,
    routes,
    signatures,
    times,
    token_assertions,
    token_clients,
    token_grants,
    token_requests,
)

__all__ = ["access_token_cases", "contract_cases", "token_endpoint_cases"]

_CASES: tuple[Case, ...] = (
    *accepted.CASES,
    *credentials.CASES,
    *framing.CASES,
    *algorithms.CASES,
    *headers.CASES,
    *kids.CASES,
    *signatures.CASES,
    *json_text.CASES,
    *claims.CASES,
    *times.CASES,
    *routes.CASES,
    *methods.CASES,
)


def contract_cases() -> tuple[Case, ...]:
    """Return every case of the contract; each is sent with calls that a `FakeD1` makes for it."""
    return _CASES


def token_endpoint_cases() -> tuple[Case, ...]:
    """Return every case about a token endpoint that D1 requests access tokens from (RFC 6749, RFC 7523)."""
    return (*token_requests.CASES, *token_grants.CASES, *token_clients.CASES, *token_assertions.CASES)


def access_token_cases() -> tuple[Case, ...]:
    """Return every case about a guarded route that wants such an access token; most need one to be obtained first."""
    return access_tokens.CASES

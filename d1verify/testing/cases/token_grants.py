"""Which grant is asked for, by which right, and for what: other grants, two ways at once, scopes; nothing repeated."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial

from ..call import Call, TokenExpect
from ..case import Case
from ..fake_d1 import FakeD1
from ._token_table import JWT_BEARER, Fields, basic, by_assertion, posted, request, row

__all__ = ["CASES"]

_OTHER = "A grant that nobody meant to offer hands out access tokens by rules that nobody checked."
_TWO = "One credential is checked and another one decides what is handed out."
_SCOPE = "Whoever may have a token at all can have one for everything."
_ECHO = "What an attacker writes comes back from the merchant's own host, to be run or logged as the merchant's."
_MUDDLE = "D1 cannot tell a request that it should mend from one that it should not repeat."
_CACHE = "A cache on the way keeps the answer and gives it to somebody else."

_unsupported = partial(row, TokenExpect.UNSUPPORTED_GRANT_TYPE)
_refuse = partial(row, TokenExpect.INVALID_REQUEST)


def _grant(name: str, title: str, grant_type: str, source: str = "RFC 6749 §5.2") -> Case:
    fields = partial(_with_grant, grant_type)
    return _unsupported(f"token-grant-{name}", title, f"{source}; A242", _OTHER, posted(fields))


def _with_grant(grant_type: str, fake_d1: FakeD1) -> Fields:
    return [("grant_type", grant_type), *by_assertion(fake_d1)[1:]]


def _marker() -> str:
    return f"d1verify-{secrets.token_hex(8)}"


def _telltale(make: Callable[[FakeD1, str], Fields]) -> Callable[[TokenExpect, FakeD1], Call]:
    """Return what makes a request with a text in it that no answer may repeat."""

    def build(expect: TokenExpect, fake_d1: FakeD1) -> Call:
        marker = _marker()
        return request(expect, make(fake_d1, marker), secrets=[marker])

    return build


def _asking(scope: str) -> Callable[[TokenExpect, FakeD1], Call]:
    """Return what asks for a scope, in which `{}` is a made-up name."""
    return _telltale(lambda d1, marker: [*by_assertion(d1), ("scope", scope.format(marker))])


def _made_up_secret(_fake_d1: FakeD1) -> tuple[bytes, bytes]:
    return basic(f"{_marker()}:{_marker()}".encode())


def _with_client_assertion(fake_d1: FakeD1) -> Fields:
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    unsigned = f"{fake_d1.token().rpartition('.')[0]}."
    return [*by_assertion(fake_d1), ("client_assertion_type", kind), ("client_assertion", unsigned)]


def _with_secret_in_body(fake_d1: FakeD1) -> Fields:
    return [*by_assertion(fake_d1), ("client_id", _marker()), ("client_secret", _marker())]


CASES = (
    _grant("password", "the grant password", "password"),
    _grant("refresh-token", "the grant refresh_token", "refresh_token"),
    _grant("authorization-code", "the grant authorization_code", "authorization_code"),
    _grant(
        "token-exchange", "the grant token-exchange", "urn:ietf:params:oauth:grant-type:token-exchange", "RFC 8693 §2.1"
    ),
    _grant("saml", "the grant saml2-bearer", "urn:ietf:params:oauth:grant-type:saml2-bearer", "RFC 7522 §2.1"),
    _grant("upper-case", "the right grant in upper case", JWT_BEARER.upper()),
    _grant("trailing-space", "a space after the right grant", f"{JWT_BEARER} "),
    _grant("leading-space", "a space before the right grant", f" {JWT_BEARER}"),
    _grant("nul", "a NUL after the right grant", f"{JWT_BEARER}\0"),
    _grant("longer", "a grant that begins as the right one", f"{JWT_BEARER}2"),
    _grant("secret-upper-case", "client_credentials in upper case", "CLIENT_CREDENTIALS"),
    row(
        TokenExpect.UNSUPPORTED_GRANT_TYPE,
        "token-grant-made-up",
        "a made-up grant, which no answer repeats",
        "RFC 6749 §5.2; A242 A250",
        _ECHO,
        _telltale(lambda d1, marker: [("grant_type", f"<b>{marker}"), *by_assertion(d1)[1:]]),
    ),
    _refuse(
        "token-grant-missing", "no grant_type", "RFC 6749 §5.2; A242", _MUDDLE, posted(lambda d1: by_assertion(d1)[1:])
    ),
    _refuse(
        "token-grant-empty", "an empty grant_type", "RFC 6749 §3.2; A236", _MUDDLE, posted(partial(_with_grant, ""))
    ),
    _refuse(
        "token-assertion-missing",
        "no assertion",
        "RFC 7521 §4.1; A253",
        _MUDDLE,
        posted(lambda d1: by_assertion(d1)[:1]),
    ),
    _refuse(
        "token-assertion-empty",
        "an empty assertion",
        "RFC 6749 §3.2; A236",
        _MUDDLE,
        posted(lambda d1: [*by_assertion(d1)[:1], ("assertion", "")]),
    ),
    row(
        TokenExpect.REFUSED,
        "token-two-ways-basic",
        "a good assertion, and made-up Basic credentials",
        "RFC 6749 §2.3; A241",
        _TWO,
        posted(by_assertion, _made_up_secret),
    ),
    row(
        TokenExpect.REFUSED,
        "token-two-ways-body",
        "a good assertion, and a made-up secret in the body",
        "RFC 6749 §2.3; A241",
        _TWO,
        posted(_with_secret_in_body),
    ),
    row(
        TokenExpect.REFUSED,
        "token-two-ways-client-assertion",
        "a good assertion, and an unsigned one for the client",
        "RFC 7521 §4.2; CVE-2026-16093; A241",
        _TWO,
        posted(_with_client_assertion),
    ),
    row(
        TokenExpect.SCOPE_NOT_GRANTED,
        "token-scope-made-up",
        "a made-up scope",
        "RFC 6749 §3.3; A251",
        _SCOPE,
        _asking("{}"),
    ),
    row(
        TokenExpect.SCOPE_NOT_GRANTED,
        "token-scope-beside",
        "a made-up scope beside others",
        "RFC 6749 §3.3; A251",
        _SCOPE,
        _asking("d1 {} admin"),
    ),
    row(
        TokenExpect.SCOPE_NOT_GRANTED,
        "token-scope-malformed",
        "a scope with a quote and a line break",
        "RFC 6749 §3.3; A251",
        _SCOPE,
        _asking('{}"\r\nadmin'),
    ),
    row(
        TokenExpect.INVALID_GRANT,
        "token-assertion-echo",
        "a made-up assertion, which no answer repeats",
        "RFC 6749 §5.2; A250 A253",
        _ECHO,
        _telltale(lambda _d1, marker: [("grant_type", JWT_BEARER), ("assertion", f'{marker}"<b>')]),
    ),
    row(
        TokenExpect.UNSTORED_REFUSAL,
        "token-refusal-unstored",
        "a refusal that no cache keeps",
        "RFC 6749 §5.2; A249",
        _CACHE,
        posted(lambda _d1: [("grant_type", JWT_BEARER), ("assertion", "x")]),
    ),
)

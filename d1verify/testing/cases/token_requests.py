"""How a token request has to look: a POST, a form, each parameter once; and that a good one is granted."""

from __future__ import annotations

import gzip
import json
from functools import partial
from urllib.parse import quote, urlencode

from ..call import Call, TokenExpect
from ..case import Case, Need
from ..fake_d1 import FakeD1
from ._token_table import FORM, JWT_BEARER, Fields, by_assertion, by_client, by_secret, posted, request, row

__all__ = ["CASES", "REQUEST_BY_ASSERTION", "REQUEST_BY_SECRET"]

_LOST = "D1 gets no access token, and its notifications are lost."
_URLS = "Assertions and secrets end up in access logs and histories, where others find them."
_READERS = "What the request is differs between the app and what stands before it, so a check can be walked around."
_BROWSERS = "A page in a browser can be made to send requests that no CORS check stops."
_FLOOD = "Anyone can make the endpoint read and take apart megabytes, at no cost to himself."
_MEBIBYTE = 1_048_576
_BOUNDARY = b"d1verify"

_issued = partial(row, TokenExpect.ISSUED)
_refuse = partial(row, TokenExpect.INVALID_REQUEST)
_wrong_form = partial(row, TokenExpect.WRONG_FORM)
_wrong_method = partial(row, TokenExpect.WRONG_METHOD)


def _secret_of(fake_d1: FakeD1) -> tuple[bytes, bytes]:
    return by_secret(str(fake_d1.client_id), str(fake_d1.client_secret))


def _in_query(method: str, expect: TokenExpect, fake_d1: FakeD1) -> Call:
    fields, type_ = by_assertion(fake_d1), FORM if method == "POST" else None
    return request(expect, b"", content_type=type_, method=method, query=fields)


def _half_in_query(expect: TokenExpect, fake_d1: FakeD1) -> Call:
    grant, assertion = by_assertion(fake_d1)
    return request(expect, [grant], query=[assertion])


def _with_method(method: str, expect: TokenExpect, fake_d1: FakeD1) -> Call:
    return request(expect, by_assertion(fake_d1), method=method)


def _as_json(content_type: bytes, expect: TokenExpect, fake_d1: FakeD1) -> Call:
    body = json.dumps(dict(by_assertion(fake_d1))).encode("ascii")
    return request(expect, body, content_type=content_type)


def _as_multipart(expect: TokenExpect, fake_d1: FakeD1) -> Call:
    part = b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    parts = [part % (_BOUNDARY, name.encode(), str(value).encode()) for name, value in by_assertion(fake_d1)]
    body = b"".join([*parts, b"--%b--\r\n" % _BOUNDARY])
    return request(expect, body, content_type=b"multipart/form-data; boundary=" + _BOUNDARY)


def _as_gzip(expect: TokenExpect, fake_d1: FakeD1) -> Call:
    body = gzip.compress(urlencode(by_assertion(fake_d1)).encode("ascii"))
    return request(expect, body, (b"Content-Encoding", b"gzip"))


def _separated(expect: TokenExpect, fake_d1: FakeD1) -> Call:
    body = urlencode(by_assertion(fake_d1)).replace("&", ";").encode("ascii")
    return request(expect, body)


def _padded(expect: TokenExpect, fake_d1: FakeD1) -> Call:
    return request(expect, [*by_assertion(fake_d1), ("padding", "x" * _MEBIBYTE)])


def _many(expect: TokenExpect, fake_d1: FakeD1) -> Call:
    return request(expect, [*by_assertion(fake_d1), *((f"f{number}", "") for number in range(5_000))])


def _written(template: str, expect: TokenExpect, fake_d1: FakeD1) -> Call:
    """Return a request with this very body, in which `{}` is a good form."""
    return request(expect, template.replace("{}", urlencode(by_assertion(fake_d1))).encode("ascii"))


def _with(*more: tuple[str, str]) -> partial[Fields]:
    return partial(_filled, more)


def _filled(more: tuple[tuple[str, str], ...], fake_d1: FakeD1) -> Fields:
    return [*by_assertion(fake_d1), *more]


def _expired(fake_d1: FakeD1) -> tuple[str, str]:
    return "assertion", fake_d1.token(exp=fake_d1.now - 3600)


def _two_assertions(fake_d1: FakeD1) -> Fields:
    return [*by_assertion(fake_d1), _expired(fake_d1)]


def _two_assertions_good_last(fake_d1: FakeD1) -> Fields:
    grant, good = by_assertion(fake_d1)
    return [grant, _expired(fake_d1), good]


def _two_same_assertions(fake_d1: FakeD1) -> Fields:
    grant, good = by_assertion(fake_d1)
    return [grant, good, good]


REQUEST_BY_ASSERTION = _issued(
    "token-issued",
    "a request by assertion, as D1 makes it",
    "RFC 7523 §2.1; D1: Get an OAuth 2.0 access token; A247 A248 A249",
    _LOST,
    posted(by_assertion),
)

REQUEST_BY_SECRET: Case = _issued(
    "token-issued-by-secret",
    "a request by client_credentials, as D1 makes it",
    "RFC 6749 §4.4.2; D1: outbound specification; A248 A249",
    _LOST,
    posted(lambda _d1: by_client(), _secret_of),
    need=Need.CLIENT,
)

CASES = (
    REQUEST_BY_ASSERTION,
    REQUEST_BY_SECRET,
    _issued(
        "token-form-charset",
        "a form that says it is UTF-8",
        "RFC 6749 App. B; A236",
        _LOST,
        posted(by_assertion, content_type=FORM + b";charset=UTF-8"),
    ),
    _issued(
        "token-form-type-in-capitals",
        "the form's media type in capitals",
        "RFC 9110 §8.3.1",
        _LOST,
        posted(by_assertion, content_type=FORM.upper()),
    ),
    _issued(
        "token-parameter-empty",
        "a scope without a value, which counts as none",
        "RFC 6749 §3.2; A236",
        _LOST,
        posted(_with(("scope", ""))),
    ),
    _issued(
        "token-parameter-unknown",
        "a parameter that nobody knows",
        "RFC 6749 §3.2",
        _LOST,
        posted(_with(("x-d1verify", "1"))),
    ),
    _wrong_method(
        "token-get", "GET with everything in the query", "RFC 6749 §3.2; A234", _URLS, partial(_in_query, "GET")
    ),
    _wrong_method(
        "token-head", "HEAD with everything in the query", "RFC 6749 §3.2; A234", _URLS, partial(_in_query, "HEAD")
    ),
    _wrong_method("token-put", "PUT with a good form", "RFC 6749 §3.2; A234", _READERS, partial(_with_method, "PUT")),
    _refuse(
        "token-query", "POST with everything in the query", "RFC 6749 §3.2; A234", _URLS, partial(_in_query, "POST")
    ),
    _refuse("token-query-assertion", "the assertion in the query", "RFC 6749 §3.2; A234", _URLS, _half_in_query),
    _wrong_form(
        "token-json", "the parameters as JSON", "RFC 6749 §3.2; A234", _READERS, partial(_as_json, b"application/json")
    ),
    _wrong_form(
        "token-json-as-text",
        "the parameters as JSON that says it is text",
        "CVE-2021-32677; A234",
        _BROWSERS,
        partial(_as_json, b"text/plain"),
    ),
    _refuse(
        "token-json-as-form", "JSON that says it is a form", "RFC 6749 §3.2; A234", _READERS, partial(_as_json, FORM)
    ),
    _wrong_form(
        "token-form-as-json",
        "a form that says it is JSON",
        "RFC 6749 §3.2; A234",
        _READERS,
        posted(by_assertion, content_type=b"application/json"),
    ),
    _wrong_form(
        "token-form-as-text",
        "a form that says it is text",
        "RFC 6749 §3.2; A234",
        _BROWSERS,
        posted(by_assertion, content_type=b"text/plain"),
    ),
    _wrong_form(
        "token-form-untyped",
        "a form that does not say what it is",
        "RFC 6749 §3.2; A234",
        _BROWSERS,
        posted(by_assertion, content_type=None),
    ),
    _wrong_form("token-multipart", "the parameters as multipart", "RFC 6749 §3.2; A234", _READERS, _as_multipart),
    _wrong_form("token-gzip", "a compressed form", "RFC 6749 §3.2; A235", _FLOOD, _as_gzip),
    row(TokenExpect.TOO_LONG, "token-body-long", "a form of a mebibyte", "CWE-400; A235", _FLOOD, _padded),
    row(TokenExpect.TOO_LONG, "token-fields-many", "a form of 5,000 parameters", "CWE-400; A235", _FLOOD, _many),
    _refuse("token-body-empty", "a body of no bytes", "RFC 6749 §5.2; A236", _READERS, partial(_written, "")),
    row(
        TokenExpect.REFUSED,
        "token-separator-semicolon",
        "semicolons between the parameters",
        "RFC 6749 App. B; A236",
        _READERS,
        _separated,
    ),
    row(
        TokenExpect.REFUSED,
        "token-grant-not-utf-8",
        "a grant_type that is not UTF-8",
        "RFC 6749 App. B; A236",
        _READERS,
        posted(lambda d1: [("grant_type", b"\xff\xfe"), *by_assertion(d1)[1:]]),
    ),
    row(
        TokenExpect.REFUSED,
        "token-assertion-not-utf-8",
        "bytes after the assertion that are not UTF-8",
        "RFC 6749 App. B; A236",
        _READERS,
        partial(_written, "{}%ff"),
    ),
    _refuse(
        "token-twice-grant-type",
        "the same grant_type twice",
        "RFC 6749 §3.2; A233",
        _READERS,
        posted(_with(("grant_type", JWT_BEARER))),
    ),
    _refuse(
        "token-twice-grant-type-other",
        "two different grant_types",
        "RFC 6749 §3.2; A233",
        _READERS,
        posted(_with(("grant_type", "client_credentials"))),
    ),
    _refuse(
        "token-twice-grant-type-escaped",
        "a second grant_type whose name is escaped",
        "RFC 6749 §3.2; A233",
        _READERS,
        partial(_written, f"{{}}&%67rant_type={quote(JWT_BEARER, safe='')}"),
    ),
    _refuse(
        "token-twice-assertion",
        "the same assertion twice",
        "RFC 6749 §3.2; A233",
        _READERS,
        posted(_two_same_assertions),
    ),
    _refuse(
        "token-twice-assertion-good-first",
        "two assertions, the first one good",
        "RFC 6749 §3.2; A233",
        _READERS,
        posted(_two_assertions),
    ),
    _refuse(
        "token-twice-assertion-good-last",
        "two assertions, the last one good",
        "RFC 6749 §3.2; A233",
        _READERS,
        posted(_two_assertions_good_last),
    ),
    _refuse(
        "token-twice-scope",
        "two scopes",
        "RFC 6749 §3.2; A233",
        _READERS,
        posted(_with(("scope", "d1"), ("scope", "d1"))),
    ),
)

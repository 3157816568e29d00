"""The words in which the token endpoint's catalogue is written: a form per case, filled in when it is sent."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final
from urllib.parse import quote_plus, urlencode

from .._answers import pieces_of
from ..call import Call, TokenExpect
from ..case import Case, Need
from ..fake_d1 import FakeD1

__all__ = [
    "FORM",
    "JWT_BEARER",
    "Fields",
    "basic",
    "by_assertion",
    "by_client",
    "by_secret",
    "posted",
    "request",
    "row",
]

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
FORM: Final = b"application/x-www-form-urlencoded"

Field = tuple[str, str | bytes]
Fields = list[Field]
Headers = Sequence[tuple[bytes, bytes]]

# Fields of a form whose value no answer may repeat, not even in part.
_CREDENTIALS: Final = frozenset({"assertion", "client_assertion", "client_secret"})
_ISSUES_ONE: Final = (TokenExpect.ISSUED, TokenExpect.SCOPE_NOT_GRANTED)


def by_assertion(fake_d1: FakeD1) -> Fields:
    """Return the form by which D1 requests a token with a JWT (RFC 7523 §2.1)."""
    return [("grant_type", JWT_BEARER), ("assertion", fake_d1.token())]


def by_client() -> Fields:
    """Return the form by which D1 requests a token with its secret (RFC 6749 §4.4.2)."""
    return [("grant_type", "client_credentials")]


def basic(pair: bytes) -> tuple[bytes, bytes]:
    """Return the header with these as Basic credentials (RFC 7617 §2)."""
    return b"Authorization", b"Basic " + base64.b64encode(pair)


def by_secret(client_id: str, secret: str | bytes) -> tuple[bytes, bytes]:
    """Return the header with these, each form-encoded first (RFC 6749 §2.3.1); a secret in bytes goes as it is."""
    sent = secret if isinstance(secret, bytes) else quote_plus(secret).encode("ascii")
    return basic(quote_plus(client_id).encode("ascii") + b":" + sent)


def request(
    expect: TokenExpect,
    body: Fields | bytes,
    *headers: tuple[bytes, bytes],
    content_type: bytes | None = FORM,
    method: str = "POST",
    query: Fields | None = None,
    secrets: Iterable[str] = (),
) -> Call:
    """Return a request to the token endpoint.

    Args:
        expect: what it has to answer.
        body: the fields of the form, or the very bytes.
        headers: further header fields.
        content_type: the body's declared type, or None for no such header.
        method: the method.
        query: the fields of the query.
        secrets: texts that the answer must not repeat; those of credentials in fields are found by themselves.
    """
    fields = [*([] if isinstance(body, bytes) else body), *(query or ())]
    return Call(
        raw_headers=(*(() if content_type is None else ((b"Content-Type", content_type),)), *headers),
        expect=expect,
        elsewhere=True,
        method=method,
        body=body if isinstance(body, bytes) else urlencode(body).encode("ascii"),
        query="" if query is None else urlencode(query),
        secrets=(*secrets, *_secrets(expect, fields)),
    )


def _secrets(expect: TokenExpect, fields: Fields) -> Iterator[str]:
    for name, value in fields:
        if name in _CREDENTIALS:
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            # An honest access token may begin as the assertion does: they have claims in common.
            yield from ([text.rpartition(".")[2]] if expect in _ISSUES_ONE else pieces_of(text))


def row(  # noqa: PLR0917 - the columns of a table
    expect: TokenExpect,
    id: str,  # noqa: A002 - as the field is named
    title: str,
    source: str,
    risk: str,
    build: Callable[[TokenExpect, FakeD1], Call],
    *,
    need: Need | None = None,
) -> Case:
    """Return a case of one request, made by `build`."""
    made = partial(build, expect)
    return Case(id=id, title=title, expect=expect, source=source, build=made, risk=risk, need=need)


def posted(
    fields: Callable[[FakeD1], Fields],
    *headers: Callable[[FakeD1], tuple[bytes, bytes]],
    content_type: bytes | None = FORM,
) -> Callable[[TokenExpect, FakeD1], Call]:
    """Return what makes a request with these fields and header fields."""

    def build(expect: TokenExpect, fake_d1: FakeD1) -> Call:
        made = [header(fake_d1) for header in headers]
        return request(expect, fields(fake_d1), *made, content_type=content_type)

    return build

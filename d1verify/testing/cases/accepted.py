"""Calls that have to be let through: what D1 sends, and what the standards let it send tomorrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from .. import _forging
from .._signing import to_json
from ..call import Call, Expect
from ..fake_d1 import REMOVE, FakeD1
from ._table import bearer, call, claims, edited, header, row, scripted

__all__ = ["CASES"]

_ROTTEN = "D1's genuine calls are turned away, and its notifications are lost."

_accept = partial(row, Expect.ACCEPTED)


def _plain(fake_d1: FakeD1) -> Call:
    return bearer(fake_d1, Expect.ACCEPTED, fake_d1.token(), must_be_served=True)


def _scheme(text: str) -> partial[Call]:
    return partial(_with_scheme, text)


def _with_scheme(text: str, fake_d1: FakeD1) -> Call:
    return call(fake_d1, Expect.ACCEPTED, text + fake_d1.token())


def _twice(fake_d1: FakeD1) -> Iterator[Call]:
    jwt = fake_d1.token()
    yield bearer(fake_d1, Expect.ACCEPTED, jwt)
    yield bearer(fake_d1, Expect.ACCEPTED, jwt)


def _signed(*, high: bool) -> partial[str]:
    return partial(_with_half, high=high)


def _with_half(fake_d1: FakeD1, *, high: bool) -> str:
    sign = fake_d1.signature
    return fake_d1.token(signature=lambda signing_input: _forging.mirrored(sign(signing_input), high=high))


def _reordered(fake_d1: FakeD1) -> str:
    return fake_d1.token(payload=to_json(dict(reversed(fake_d1.claims().items()))))


def _header_reordered(fake_d1: FakeD1) -> str:
    return fake_d1.token(header=to_json(dict(reversed(fake_d1.jose_header().items()))))


def _spaced(text: str) -> str:
    """Return the same JSON with white space between its parts, and none within a string: an audience may be a URL."""
    return json.dumps(json.loads(text), indent="\t", separators=(" ,\r ", " :\n\t")) + "\n"


CASES = (
    _accept("baseline", "a token as D1 signs it", "D1: Get an OAuth 2.0 access token", _ROTTEN, _plain),
    _accept("typ-absent", "no typ, as D1's own guide makes it", "RFC 7519 §5.1; A068", _ROTTEN, jwt=header(typ=REMOVE)),
    _accept("typ-lower-case", "typ jwt in lower case", "RFC 7519 §5.1; A068", _ROTTEN, jwt=header(typ="jwt")),
    _accept(
        "typ-media-type", "typ application/jwt", "RFC 7515 §4.1.9; A068", _ROTTEN, jwt=header(typ="application/JWT")
    ),
    _accept(
        "header-extra-member",
        "a header member that nobody knows and crit does not name",
        "RFC 7515 §4; A072",
        _ROTTEN,
        jwt=header(build="7.1", nested={"a": [1, None]}),
    ),
    _accept(
        "header-white-space",
        "white space in the header's JSON",
        "RFC 8259 §2; A073",
        _ROTTEN,
        jwt=edited("header", _spaced),
    ),
    _accept(
        "header-reordered", "the header's members in another order", "RFC 8259 §4; A073", _ROTTEN, jwt=_header_reordered
    ),
    _accept(
        "claims-extra", "claims that nobody knows", "RFC 7519 §4", _ROTTEN, jwt=claims(jti="1", x={"y": [1.5, None]})
    ),
    _accept(
        "claims-not-ascii",
        "a claim in UTF-8 beyond ASCII",
        "RFC 7519 §7.1",
        _ROTTEN,
        jwt=edited("payload", lambda text: text[:-1] + ',"name":"Ĉefa 支付"}'),
    ),
    _accept("claims-reordered", "the claims in another order", "RFC 8259 §4", _ROTTEN, jwt=_reordered),
    _accept(
        "claims-white-space",
        "insignificant white space in the payload's JSON",
        "RFC 8259 §2; A100",
        _ROTTEN,
        jwt=edited("payload", _spaced),
    ),
    _accept(
        "claims-escaped-names",
        "a claim's name written with an escape",
        "RFC 8259 §7",
        _ROTTEN,
        jwt=edited("payload", lambda text: text.replace('"iss"', '"\\u0069ss"')),
    ),
    _accept("iat-present", "iat of a minute ago", "RFC 7519 §4.1.6", _ROTTEN, jwt=claims(iat=lambda d1: d1.now - 60)),
    _accept("nbf-past", "nbf of a minute ago", "RFC 7519 §4.1.5", _ROTTEN, jwt=claims(nbf=lambda d1: d1.now - 60)),
    _accept(
        "exp-ceiling",
        "exp 15 minutes ahead",
        "D1: exp at most 15 minutes ahead; A192",
        _ROTTEN,
        jwt=claims(exp=lambda d1: d1.now + 900),
    ),
    _accept("exp-soon", "exp in a minute", "RFC 7519 §4.1.4", _ROTTEN, jwt=claims(exp=lambda d1: d1.now + 60)),
    _accept(
        "exp-fraction",
        "exp with a fraction of a second",
        "RFC 7519 §2; A189",
        _ROTTEN,
        jwt=claims(exp=lambda d1: d1.now + 600.5),
    ),
    _accept(
        "aud-array",
        "the audience as an array of one",
        "RFC 7519 §4.1.3; A203",
        _ROTTEN,
        jwt=claims(aud=lambda d1: [d1.audience]),
    ),
    _accept(
        "aud-array-of-several",
        "the audience as an array with another beside it",
        "RFC 7519 §4.1.3; A203",
        _ROTTEN,
        jwt=claims(aud=lambda d1: ["https://other.example", d1.audience]),
    ),
    _accept(
        "signature-high-s",
        "a signature whose s is in the upper half",
        "RFC 7518 §3.4; A098",
        "About half of D1's genuine calls are turned away, at random.",
        jwt=_signed(high=True),
    ),
    _accept(
        "signature-low-s",
        "a signature whose s is in the lower half",
        "RFC 7518 §3.4; A098",
        "About half of D1's genuine calls are turned away, at random.",
        jwt=_signed(high=False),
    ),
    _accept("scheme-lower-case", "the scheme as bearer", "RFC 9110 §11.1; A003", _ROTTEN, _scheme("bearer ")),
    _accept("scheme-upper-case", "the scheme as BEARER", "RFC 9110 §11.1; A003", _ROTTEN, _scheme("BEARER ")),
    _accept("scheme-two-spaces", "two spaces after the scheme", "RFC 6750 §2.1; A004", _ROTTEN, _scheme("Bearer  ")),
    scripted(
        Expect.ACCEPTED,
        "token-reused",
        "the same token twice, as D1 uses one for several calls",
        "D1: Get an OAuth 2.0 access token; A200",
        _ROTTEN,
        _twice,
    ),
)

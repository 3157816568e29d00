"""A guarded route that wants access tokens: those that the token endpoint issued, and no D1 JWT."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from .. import _forging
from .._sending import CannotSendError
from .._signing import to_json
from ..call import Call, Expect
from ..case import Need
from ..fake_d1 import FakeD1
from ._table import bearer, call, header, row, scripted

__all__ = ["CASES"]

_LOST = "D1's genuine calls are turned away, and its notifications are lost."
_OPEN = "Anyone can make D1's calls, without any credentials."
_FORGED = "Anyone can make or change access tokens that the app accepts."
_CROSSED = "A token that was made for one purpose serves another, and the merchant's own checks are walked around."
_OTHERS = "One merchant's token acts on another merchant's cards."

_with_access_token = partial(row, need=Need.ACCESS_TOKEN)


def _token(fake_d1: FakeD1) -> str:
    if fake_d1.access_token is None:
        raise CannotSendError(Need.ACCESS_TOKEN.value)
    return fake_d1.access_token


def _parts(fake_d1: FakeD1) -> list[str]:
    parts = _token(fake_d1).split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload and signature
        raise CannotSendError("the access token is no JWT")
    return parts


def _twice(fake_d1: FakeD1) -> Iterator[Call]:
    yield bearer(fake_d1, Expect.ACCEPTED, _token(fake_d1))
    yield bearer(fake_d1, Expect.ACCEPTED, _token(fake_d1))


def _changed(index: int) -> Callable[[FakeD1], str]:
    """Return what makes the access token with another character at this place."""

    def make(fake_d1: FakeD1) -> str:
        token = _token(fake_d1)
        place = index % len(token)
        return token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]

    return make


def _cut(fake_d1: FakeD1) -> str:
    return _token(fake_d1)[:-1]


def _unsigned(fake_d1: FakeD1) -> str:
    return ".".join([_forging.b64(to_json({"alg": "none", "typ": "at+jwt"})), _parts(fake_d1)[1], ""])


def _resigned(fake_d1: FakeD1) -> str:
    """Return the access token with D1's signature in place of the merchant's."""
    head, payload, _ = _parts(fake_d1)
    signature = fake_d1.signature(f"{head}.{payload}".encode("ascii"))
    return ".".join([head, payload, _forging.b64(signature)])


def _by_d1(fake_d1: FakeD1) -> str:
    """Return a token that says what the access token says, by D1's key under D1's own key id."""
    payload = _forging.unb64(_parts(fake_d1)[1])
    return fake_d1.token(header={"typ": "at+jwt"}, payload=payload)


def _elsewhere(fake_d1: FakeD1) -> Call:
    other = "MGW_999999" if fake_d1.subject != "MGW_999999" else "MGW_999998"
    return bearer(fake_d1, Expect.FORBIDDEN, _token(fake_d1), path=fake_d1.call_path(other), elsewhere=True)


CASES = (
    _with_access_token(
        Expect.ACCEPTED,
        "access-token",
        "the access token that D1 has obtained",
        "RFC 6750 §2.1; D1: Get an OAuth 2.0 access token",
        _LOST,
        jwt=_token,
    ),
    scripted(
        Expect.ACCEPTED,
        "access-token-reused",
        "the same access token twice, as D1 uses one for several calls",
        "D1: Get an OAuth 2.0 access token; A200",
        _LOST,
        _twice,
        need=Need.ACCESS_TOKEN,
    ),
    row(
        Expect.UNAUTHORIZED,
        "access-token-missing",
        "no Authorization header where an access token is wanted",
        "RFC 6750 §3; A217",
        _OPEN,
        lambda d1: call(d1, Expect.UNAUTHORIZED),
    ),
    row(
        Expect.UNAUTHORIZED,
        "access-token-d1-jwt",
        "the D1 JWT itself where an access token is wanted",
        "RFC 8725 §3.12; RFC 9068 §5; A246",
        _CROSSED,
        jwt=FakeD1.token,
    ),
    row(
        Expect.UNAUTHORIZED,
        "access-token-d1-jwt-relabelled",
        "a D1 JWT whose typ says that it is an access token",
        "RFC 8725 §3.12; A246",
        _CROSSED,
        jwt=header(typ="at+jwt"),
    ),
    _with_access_token(
        Expect.UNAUTHORIZED,
        "access-token-by-d1",
        "an access token's claims, signed by D1's key",
        "RFC 9068 §5; A246",
        _CROSSED,
        jwt=_by_d1,
    ),
    _with_access_token(
        Expect.UNAUTHORIZED,
        "access-token-resigned",
        "an access token with D1's signature",
        "RFC 9068 §4; A246",
        _FORGED,
        jwt=_resigned,
    ),
    _with_access_token(
        Expect.UNAUTHORIZED,
        "access-token-unsigned",
        "an access token with alg none and no signature",
        "RFC 8725 §3.2; A247",
        _FORGED,
        jwt=_unsigned,
    ),
    _with_access_token(
        Expect.UNAUTHORIZED,
        "access-token-changed",
        "an access token with one character changed near its end",
        "RFC 9068 §4; A247",
        _FORGED,
        jwt=_changed(-10),
    ),
    _with_access_token(
        Expect.UNAUTHORIZED,
        "access-token-changed-inside",
        "an access token with one character changed in the middle",
        "RFC 9068 §4; A247",
        _FORGED,
        jwt=lambda d1: _changed(len(_token(d1)) // 2)(d1),
    ),
    _with_access_token(
        Expect.UNAUTHORIZED,
        "access-token-cut",
        "an access token without its last character",
        "RFC 9068 §4; A247",
        _FORGED,
        jwt=_cut,
    ),
    row(
        Expect.FORBIDDEN,
        "access-token-other-merchant",
        "the access token on another merchant gateway's path",
        "D1: the path names the merchant gateway; A279",
        _OTHERS,
        _elsewhere,
        need=Need.PATH,
    ),
)

"""Assertions: every token of the contract, posted to the token endpoint; and an access token, to obtain the next."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from ..call import Call, Expect, TokenExpect
from ..case import Case, Need
from ..fake_d1 import FakeD1
from . import accepted, algorithms, claims, framing, headers, json_text, kids, signatures, times
from ._token_table import JWT_BEARER, Fields, posted, request, row

__all__ = ["CASES"]

_RENEWAL = "Whoever has an access token once can renew it for ever, without D1."
_PREFIX: Final = b"Bearer "


def _tokens() -> Iterator[Case]:
    """Return the cases of the contract whose point is the token, and not the header around it."""
    rooms = (accepted, framing, algorithms, headers, kids, signatures, json_text, claims, times)
    for case in (case for room in rooms for case in room.CASES):
        if not case.id.startswith("scheme-") and case.need in (None, Need.ROTATION, Need.TIME):
            yield case


def _as_assertion(case: Case) -> Case:
    expect = _expectation(case)
    return Case(
        id=f"assertion-{case.id}",
        title=f"as the assertion: {case.title}",
        expect=expect,
        source=f"{case.source}; A253",
        build=partial(_posted_build, case),
        risk=case.risk,
        script=None if case.script is None else partial(_posted_script, case),
        need=case.need,
    )


def _expectation(case: Case | Call) -> TokenExpect:
    return TokenExpect.ISSUED if case.expect is Expect.ACCEPTED else TokenExpect.INVALID_GRANT


def _posted_build(case: Case, fake_d1: FakeD1) -> Call:
    return _posted(case.build(fake_d1))


def _posted_script(case: Case, fake_d1: FakeD1) -> Iterator[Call]:
    return map(_posted, case.calls(fake_d1))


def _posted(call: Call) -> Call:
    """Return the request that posts the token of `call`."""
    jwt = call.raw_headers[0][1].removeprefix(_PREFIX)
    fields: Fields = [("grant_type", JWT_BEARER), ("assertion", jwt)]
    return request(_expectation(call), fields, secrets=call.secrets)


def _access_token(fake_d1: FakeD1) -> Fields:
    return [("grant_type", JWT_BEARER), ("assertion", str(fake_d1.access_token))]


CASES = (
    row(
        TokenExpect.INVALID_GRANT,
        "assertion-access-token",
        "an access token of the endpoint's own as the assertion",
        "RFC 8725 §3.12; A246",
        _RENEWAL,
        posted(_access_token),
        need=Need.ACCESS_TOKEN,
    ),
    *(_as_assertion(case) for case in _tokens()),
)

"""Calls as test clients of all kinds take them."""

from __future__ import annotations

import httpx2
import pytest
from werkzeug.datastructures import Headers as WerkzeugHeaders

from d1verify.testing import Call, Expect
from d1verify.testing.call import CallHeaders

TWO = Call(raw_headers=((b"Authorization", b"Bearer a"), (b"Authorization", b"Bearer b")), expect=Expect.BAD_REQUEST)
ONE = Call(raw_headers=((b"Authorization", b"Bearer a"), (b"Cookie", b"c=d")), expect=Expect.ACCEPTED)
BYTES = Call(raw_headers=((b"Authorization", b"Bearer \xe9\xa0"),), expect=Expect.REFUSED)


def test_clients_that_take_pairs_send_each_header_as_a_field_of_its_own() -> None:
    assert list(TWO.headers) == [("Authorization", "Bearer a"), ("Authorization", "Bearer b")]
    assert httpx2.Headers(TWO.headers).raw == list(TWO.raw_headers)
    assert WerkzeugHeaders(TWO.headers).getlist("authorization") == ["Bearer a", "Bearer b"]


def test_clients_that_take_a_mapping_see_two_headers_joined_as_servers_join_them() -> None:
    assert dict(TWO.headers) == {"Authorization": "Bearer a, Bearer b"}
    assert dict(TWO.headers.items()) == {"Authorization": "Bearer a, Bearer b"}
    assert {**ONE.headers, "X": "y"} == {"Authorization": "Bearer a", "Cookie": "c=d", "X": "y"}


def test_bytes_beyond_ascii_go_out_as_they_are() -> None:
    assert httpx2.Headers(BYTES.headers).raw == list(BYTES.raw_headers)
    assert BYTES.headers["authorization"] == "Bearer \xe9\xa0"


def test_headers_are_found_by_name_in_any_case_and_by_position() -> None:
    assert ONE.headers["COOKIE"] == "c=d"
    assert ONE.headers[0] == ("Authorization", "Bearer a")
    assert ONE.headers[:1] == (("Authorization", "Bearer a"),)
    with pytest.raises(KeyError):
        ONE.headers["X"]


def test_shows_no_token_when_printed() -> None:
    assert repr(TWO) == "<Call: 400>"
    assert repr(ONE.headers) == "<CallHeaders: Authorization, Cookie>"
    assert isinstance(ONE.headers, CallHeaders)

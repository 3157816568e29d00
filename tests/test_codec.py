"""Strict base64url and strict JSON: one accepted spelling, one meaning."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from typing import Any, Self

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from d1verify import _codec
from d1verify._codec import MalformedError, decode_base64url, encode_base64url, parse_object

PROPERTY = settings(max_examples=300, deadline=None, database=None)
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    """Return an object that nests `depth` deep, itself included."""
    return ('{"a":' + opening * (depth - 1) + closing * (depth - 1) + "}").encode()


REFUSED_BASE64URL = [
    pytest.param(b"QQ==", id="padding of two"),
    pytest.param(b"QUI=", id="padding of one"),
    pytest.param(b"Q=Q=", id="misplaced padding"),
    pytest.param(b"QQ=", id="too little padding"),
    pytest.param(b"+A", id="plus of the standard alphabet"),
    pytest.param(b"/A", id="slash of the standard alphabet"),
    pytest.param(b"QU\nI", id="newline inside"),
    pytest.param(b"QUI\n", id="newline at the end"),
    pytest.param(b" QUI", id="leading space"),
    pytest.param(b"QU\0I", id="NUL"),
    pytest.param(b"QU.I", id="dot"),
    pytest.param(b"QU\xffI", id="byte above 127"),
    pytest.param("QU\uff21".encode(), id="full-width letter"),
    pytest.param(b"QUJDR", id="length of 1 modulo 4"),
    pytest.param(b"A", id="a single character"),
    pytest.param(b"QR", id="stray bits after one byte"),
    pytest.param(b"QUJ", id="stray bits after two bytes"),
]


@pytest.mark.parametrize("segment", REFUSED_BASE64URL)
def test_base64url_refuses(segment: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_base64url(segment)


@pytest.mark.parametrize("data", [b"", b"A", b"AB", b"ABC", b"\xfb\xff\xbf", bytes(range(256))])
def test_base64url_reads_what_an_encoder_writes(data: bytes) -> None:
    assert decode_base64url(base64.urlsafe_b64encode(data).rstrip(b"=")) == data


@PROPERTY
@given(st.one_of(st.binary(max_size=40), st.lists(st.sampled_from(ALPHABET), max_size=12).map(bytes)))
def test_base64url_accepts_exactly_what_encodes_back_to_itself(segment: bytes) -> None:
    try:
        loose = base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
        canonical = base64.urlsafe_b64encode(loose).rstrip(b"=") == segment
    except ValueError:
        canonical = False
    try:
        decoded = decode_base64url(segment)
    except MalformedError:
        assert not canonical
    else:
        assert canonical
        assert decoded == loose


REFUSED_JSON = [
    pytest.param(b"", id="nothing"),
    pytest.param(b" ", id="only whitespace"),
    pytest.param(b"[]", id="array"),
    pytest.param(b'["alg"]', id="array with a member's name"),
    pytest.param(b'"alg"', id="string"),
    pytest.param(b"1", id="number"),
    pytest.param(b"null", id="null"),
    pytest.param(b"true", id="true"),
    pytest.param(b"NaN", id="bare NaN"),
    pytest.param(b'{"a":1,"a":1}', id="duplicate member"),
    pytest.param(b'{"a":1,"\\u0061":2}', id="duplicate member by escape"),
    pytest.param(b'{"b":{"a":1,"a":2}}', id="duplicate member in an object"),
    pytest.param(b'{"b":[{"a":1,"a":2}]}', id="duplicate member in an array"),
    pytest.param(b'{"__proto__":1,"__proto__":2}', id="duplicate dunder"),
    pytest.param(b'{"a":NaN}', id="NaN"),
    pytest.param(b'{"a":Infinity}', id="Infinity"),
    pytest.param(b'{"a":-Infinity}', id="minus Infinity"),
    pytest.param(b'{"a":[NaN]}', id="NaN in an array"),
    pytest.param(b'{"a":1e400}', id="float that overflows"),
    pytest.param(b'{"a":-1e400}', id="negative float that overflows"),
    pytest.param(b'{"a":1' + b"0" * 309 + b".0}", id="long float that overflows"),
    pytest.param(b'{"a":1' + b"0" * 309 + b"}", id="integer beyond a double"),
    pytest.param(b'{"a":-1' + b"0" * 400 + b"}", id="negative integer beyond a double"),
    pytest.param(b'{"a":' + b"9" * 5000 + b"}", id="integer beyond the interpreter's digit limit"),
    pytest.param(nested(17), id="nesting of 17 arrays"),
    pytest.param(nested(17, '{"a":', "}"), id="unbalanced nesting of 17 objects"),
    pytest.param(b'{"a":' * 17 + b"1" + b"}" * 17, id="nesting of 17 objects"),
    pytest.param(b'{"a":' * 5000, id="nesting that never ends"),
    pytest.param(b"[" * 8000, id="8000 brackets"),
    pytest.param(
        b'{"a":"' + b"[" * 20 + b'","b":' + b"[" * 17 + b"]" * 17 + b"}", id="deep after brackets in a string"
    ),
    pytest.param(b'{"a":"\\ud800"}', id="lone high surrogate"),
    pytest.param(b'{"a":"\\udc80"}', id="lone low surrogate"),
    pytest.param(b'{"\\ud800":1}', id="lone surrogate in a name"),
    pytest.param(b'{"a":[{"b":"x\\udfff"}]}', id="lone surrogate deep inside"),
    pytest.param(b'{"a":"\\udc00\\ud800"}', id="surrogates the wrong way round"),
    pytest.param(b"\xef\xbb\xbf{}", id="BOM"),
    pytest.param("{}".encode("utf-16"), id="UTF-16 with BOM"),
    pytest.param("{}".encode("utf-16-le"), id="UTF-16 without BOM"),
    pytest.param("{}".encode("utf-32-be"), id="UTF-32"),
    pytest.param(b'{"a":"\xff"}', id="byte that is no UTF-8"),
    pytest.param(b'{"a":"\xc0\xaf"}', id="overlong UTF-8"),
    pytest.param(b'{"a":"\xed\xa0\x80"}', id="surrogate in UTF-8"),
    pytest.param(b'{"a":1}{"a":1}', id="two objects"),
    pytest.param(b"{} x", id="trailing text"),
    pytest.param(b"{}\0", id="trailing NUL"),
    pytest.param(b"{}\x0b", id="vertical tab is no JSON whitespace"),
    pytest.param(b"{}\xc2\xa0", id="NBSP is no JSON whitespace"),
    pytest.param(b'{"a":1,}', id="trailing comma"),
    pytest.param(b"{'a':1}", id="single quotes"),
    pytest.param(b'{"a":1}//', id="comment"),
    pytest.param(b'{"a":01}', id="leading zero"),
    pytest.param(b'{"a":+1}', id="plus sign"),
    pytest.param(b'{"a":.5}', id="no digit before the point"),
    pytest.param(b'{"a":"\n"}', id="raw control character"),
    pytest.param(b'{"a":"\\x41"}', id="unknown escape"),
    pytest.param(b'{"a":1', id="unclosed object"),
    pytest.param(b'{"a":"' + b'\\"' * 3000, id="unclosed string of escapes"),
    pytest.param(b"{a:1}", id="bare name"),
]


@pytest.mark.parametrize("data", REFUSED_JSON)
def test_json_refuses(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_object(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        pytest.param(b"{}", {}, id="empty object"),
        pytest.param(b' \t\r\n{ "a" : 1 }\n', {"a": 1}, id="JSON whitespace anywhere"),
        pytest.param('{"ü":"\U0001f600"}'.encode(), {"ü": "\U0001f600"}, id="UTF-8"),
        pytest.param(b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}, id="a pair of surrogates"),
        pytest.param(b'{"a":"\\u0000"}', {"a": "\0"}, id="escaped NUL, for the rules above to judge"),
        pytest.param(b'{"a":1e-400}', {"a": 0.0}, id="float that underflows"),
        pytest.param(b'{"a":-0.0}', {"a": -0.0}, id="minus zero"),
        pytest.param(b'{"a":1' + b"0" * 308 + b"}", {"a": 10**308}, id="the longest integer that a double reaches"),
        pytest.param(b'{"a":"' + b"[{" * 40 + b'"}', {"a": "[{" * 40}, id="brackets in a string are no nesting"),
        pytest.param(b'{"a":"\\"' + b"[" * 40 + b'"}', {"a": '"' + "[" * 40}, id="brackets after an escaped quote"),
        pytest.param(b'{"a":[' + b"[]," * 40 + b"[]]}", {"a": [[]] * 41}, id="many brackets side by side"),
        pytest.param(nested(16), json.loads(nested(16)), id="nesting of 16"),
    ],
)
def test_json_reads(data: bytes, value: dict[str, Any]) -> None:
    assert parse_object(data) == value


def test_the_error_carries_nothing_of_the_bytes() -> None:
    with pytest.raises(MalformedError) as caught:
        parse_object(b'{"secret":"\xff"}')
    assert caught.value.args == ()
    assert caught.value.__suppress_context__


@pytest.fixture
def no_digit_limit() -> Iterator[None]:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    yield
    sys.set_int_max_str_digits(before)


@pytest.mark.usefixtures("no_digit_limit")
def test_the_bound_on_integers_is_our_own() -> None:
    with pytest.raises(MalformedError):
        parse_object(b'{"a":' + b"9" * 5000 + b"}")


JSON_PIECES = st.sampled_from(
    [b"{", b"}", b"[", b"]", b":", b",", b'"', b"\\", b"a", b"\\ud800", b"\\u0061", b"1", b"e", b"9" * 320, b"-", b".",
     b"NaN", b"null", b"true", b" ", b"\n", b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"a":', b"{" * 20, b"]" * 20]
)  # fmt: skip
JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=12,
)


@PROPERTY
@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(JSON_PIECES, max_size=30).map(b"".join),
        JSON_VALUES.map(lambda value: json.dumps(value).encode()),
        JSON_VALUES.map(lambda value: json.dumps({"a": value}, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    )
)
@example(b'{"a":' * 100_000)
@example(b'{"":"' + b"\\" * 8001)
def test_any_bytes_give_an_object_or_malformed_and_nothing_else(data: bytes) -> None:
    try:
        value = parse_object(data)
    except MalformedError:
        return
    assert type(value) is dict
    assert json.loads(data) == value
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")


@pytest.mark.parametrize(
    ("digits", "good"),
    [
        pytest.param("1" * 308, True, id="308 digits"),
        pytest.param("1" + "0" * 308, True, id="309 digits, a double"),
        pytest.param("2" + "0" * 308, False, id="309 digits, beyond a double"),
        pytest.param("9" * 309, False, id="309 nines"),
    ],
)
@pytest.mark.parametrize(
    "shape", ['{"a":%s}', '{"a":-%s}', '{"b":[{"c":1},%s],"d":"%%s"}'], ids=["alone", "negative", "nested"]
)
def test_the_length_of_a_number_decides_and_not_that_of_the_text(shape: str, digits: str, *, good: bool) -> None:
    text = (shape % digits).encode()
    if good:
        assert parse_object(text) == json.loads(text)
    else:
        with pytest.raises(MalformedError):
            parse_object(text)


def test_a_long_text_of_short_numbers_is_read_by_the_quick_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_codec, "_DECODER_OF_LONG_NUMBERS", None)
    text = json.dumps({"a": 1, "b": "x" * 1000, "c": [1, 2, 3]}).encode()
    assert parse_object(text) == json.loads(text)


@given(st.integers(0, 700), st.one_of(st.integers(300, 320), st.integers(0, 700)), st.integers(0, 700))
@example(before=0, digits=0, after=400)
@example(before=307, digits=1, after=200)
def test_a_run_of_309_digits_is_found_and_no_shorter_one(before: int, digits: int, after: int) -> None:
    data = b"X" * before + b"7" * digits + b"X" * after
    assert _codec._has_long_run_of_digits(data) is (digits >= 309)


class Watched(bytes):
    """Bytes that remember where they were looked at."""

    def __new__(cls, data: bytes) -> Self:
        watched = super().__new__(cls, data)
        watched.seen = []
        return watched

    seen: list[object]

    def __getitem__(self, place: Any) -> Any:
        self.seen.append((place.start, place.stop) if isinstance(place, slice) else place)
        return super().__getitem__(place)


def test_of_a_long_text_every_309th_byte_is_looked_at_and_what_is_around_a_digit_there() -> None:
    text = Watched(b"7" + b"X" * 308 + b"X" * 309 + b"7" + b"X" * 308)
    assert not _codec._has_long_run_of_digits(text)
    assert text.seen == [0, (0, 0), (0, None), 309, 618, (310, 618), (618, None)]


@given(st.lists(st.integers(1, 320), max_size=12))
def test_runs_of_digits_count_one_by_one(runs: list[int]) -> None:
    data = b",".join(b"7" * run for run in runs)
    assert _codec._has_long_run_of_digits(data) is (max(runs, default=0) >= 309)


def test_what_is_written_may_end_in_any_letter_of_the_alphabet() -> None:
    for number, letter in enumerate(ALPHABET):
        assert encode_base64url(bytes([0, 0, number])) == f"AAA{chr(letter)}"


@pytest.mark.parametrize("length", [2, 3, 4], ids=["one byte", "two bytes", "three bytes"])
def test_of_all_last_letters_those_are_read_that_an_encoder_writes(length: int) -> None:
    for letter in ALPHABET:
        segment = b"A" * (length - 1) + bytes([letter])
        data = base64.urlsafe_b64decode(segment + b"=" * (4 - length))
        if encode_base64url(data).encode() == segment:
            assert decode_base64url(segment) == data
        else:
            with pytest.raises(MalformedError):
                decode_base64url(segment)


def test_a_number_beyond_a_double_is_found_wherever_it_begins() -> None:
    for before in range(2 * 309):
        with pytest.raises(MalformedError):
            parse_object(f'{{"{"x" * before}":{"9" * 309}}}'.encode())


@pytest.mark.parametrize("number", [7, int("7" * 308)], ids=["short", "as long as may be"])
def test_a_text_without_a_long_number_is_read_by_the_quick_decoder(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(_codec, "_DECODER_OF_LONG_NUMBERS", None)
    for before in range(310):
        assert parse_object(f'{{"{"x" * before}":{number},"y":[{"1," * 200}1]}}'.encode()) is not None

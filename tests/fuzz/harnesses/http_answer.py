"""`HTTPKeyStore`'s reading of answers, one after the other: status, caching headers and body.

An input is a list of answers, each a status line, header lines, an empty line and a body.
"""

from __future__ import annotations

import re
from typing import Final

import httpx2

from d1verify import KeyStoreError
from d1verify.keystores._caching import entity_tag, lifetime
from d1verify.keystores.http import Answer, HTTPKeyStore

from ..material import RECORD_END
from ..oracles import require
from ..oracles.json_text import json_object
from ..oracles.key_rules import Point, keys_of_set
from ..oracles.wording import Wording
from .jwks import point_of

__all__ = ["MAX_BYTES", "WORDS", "check"]

MAX_BYTES: Final = 2048
MAX_ANSWERS: Final = 4
MAX_CANDIDATES: Final = 100
OK: Final = 200
NOT_MODIFIED: Final = 304
WORDS: Final = (
    *("Cache-Control: ", "max-age=", "max-age=600", "max-age=99999999999999999999", "no-store", "no-cache"),
    *("no-cache=", "s-maxage=1"),
    *("Age: ", 'ETag: "', 'ETag: W/"a"', "200\n", "304\n", "503\n", "\n\n", "\x1e", '{"keys":[]}', '"', ",", "="),
    *(";", "\xb2", "-1"),
)  # fmt: skip

_OWN_WORDS: Final = Wording(
    "d1verify.keys", "d1verify._keyformats", "d1verify.keystores.http", tolerated=[str(MAX_CANDIDATES)]
)
_SECONDS: Final = re.compile(r"\s*\"*([0-9]+)\"*\s*")
_TAG: Final = re.compile(r'(W/)?"[\x21\x23-\x7e]*"')


def check(data: bytes) -> None:
    """Return if each answer gives the set that it has, for as long as RFC 9111 and our limits say."""
    store, held = HTTPKeyStore("https://keys.example/jwks"), None
    for number, record in enumerate(data.split(RECORD_END)[:MAX_ANSWERS], start=1):
        answer = _answer(record)
        _check_headers(answer.headers)
        expected = held if answer.status == NOT_MODIFIED else _keys_of(answer)
        require(_keys(store, answer, number) == expected, "the set is that of the answer, or the one confirmed by it")
        if answer.status != NOT_MODIFIED and expected is not None:
            # Only a set with keys and a tag can be asked about again.
            held = expected if expected and _tag(answer.headers.get("ETag")) else None


def _keys(store: HTTPKeyStore, answer: Answer, number: int) -> dict[str, Point] | None:
    try:
        keys = store._judge(answer, number, store._held)
    except KeyStoreError as error:
        require(not _OWN_WORDS.foreign(str(error), str(answer.status)), "the message has only words of ours")
        return None
    require(60 <= keys.max_age <= 3600 and keys.max_stale == 3600, "no answer makes a set live longer or shorter")
    return {kid: point_of(key) for kid, key in keys.keys.items()}


def _answer(record: bytes) -> Answer:
    head, _, body = record.partition(b"\n\n")
    status, *lines = head.split(b"\n")
    fields = [line.partition(b":") for line in lines]
    headers = httpx2.Headers([(name.strip(), value.strip()) for name, _colon, value in fields if name.strip()])
    return Answer(int(status) if re.fullmatch(rb"[1-5][0-9][0-9]", status) else 200, headers, body)


def _keys_of(answer: Answer) -> dict[str, Point] | None:
    members = json_object(answer.body) if answer.status == OK else None
    keys = keys_of_set(members)
    return keys if members is not None and keys is not None and len(members["keys"]) <= MAX_CANDIDATES else None


def _check_headers(headers: httpx2.Headers) -> None:
    cache_control, ages = headers.get("Cache-Control", ""), headers.get_list("Age")
    for default in (600.0, 60.0):
        seconds = lifetime(cache_control, ages, default=default)
        require(seconds == _lifetime(cache_control, ages, default), "the lifetime is what the headers give")
    tag = headers.get("ETag")
    require(entity_tag(tag) == _tag(tag), "a tag is one of RFC 9110 §8.8.3, or none")


def _tag(text: str | None) -> str | None:
    return text if text is not None and len(text) <= 256 and _TAG.fullmatch(text) else None


def _lifetime(cache_control: str, ages: list[str], default: float) -> float:
    offers = []
    for directive in cache_control.lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name in ("no-store", "no-cache") and not value:
            offers.append(0)
        elif name == "max-age":
            offers += _seconds(value)
    if not offers:
        return default
    age = max((seconds for text in ages for seconds in _seconds(text)), default=0)
    return min(max(min(offers) - age, 60), 3600)


def _seconds(text: str) -> list[int]:
    """Return the number, if it is one; a thousand million seconds is as long as anything longer."""
    digits = _SECONDS.fullmatch(text)
    return [] if digits is None else [min(int(digits[1]), 10**9)]

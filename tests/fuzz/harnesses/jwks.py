"""`KeySet.from_jwks` and `PublicKey.from_jwk`: a JWK Set's text in, exactly its usable keys out."""

from __future__ import annotations

from typing import Any, Final

from d1verify import KeySet, KeyStoreError, PublicKey

from ..material import jwk
from ..oracles import base64url, require
from ..oracles.json_text import json_object
from ..oracles.key_rules import Point, keys_of_set, point_of_jwk
from ..oracles.p256 import is_on_curve
from ..oracles.wording import Wording

__all__ = ["MAX_BYTES", "WORDS", "check", "point_of"]

MAX_BYTES: Final = 3072
MAX_CANDIDATES: Final = 4
# Members end with a comma, so that one insertion after a brace or another comma leaves an object.
WORDS: Final = (
    *('"kty":"EC",', '"kty":"oct",', '"kty":"RSA",', '"crv":"P-256",', '"crv":"P-384",', '"use":"sig",'),
    '"use":"enc",',
    *('"use":null,', '"alg":"ES256",', '"alg":"ES384",', '"key_ops":["verify"],', '"key_ops":["sign"],'),
    '"key_ops":"verify",',
    *('"d":"AA",', '"d":null,', '"k":"AA",', '"kid":"fuzz-key-1",', '"kid":"fuzz-key-2",', '"kid":"",', '"kid":null,'),
    *(f'"{name}":"{jwk(kid)[name]}",' for kid in ("fuzz-key-1", "fuzz-key-2") for name in ("x", "y")),
    *('"keys":[', "[],", "{},", '"\\u0000"', ",", ":", "{", "}", "[", "]", "AA", "="),
)  # fmt: skip

_OWN_WORDS: Final = Wording("d1verify.keys", "d1verify._keyformats", tolerated=[str(MAX_CANDIDATES)])


def check(data: bytes) -> None:
    """Return if the set has the keys that the RFCs make of it, and the messages have nothing of them."""
    members = json_object(data)
    expected = keys_of_set(members)
    entries = [] if members is None or expected is None else members["keys"]
    require(_keys(data) == expected, "the set has exactly its usable keys")
    require(_keys(data.decode("utf-8", "surrogateescape")) == expected, "text and bytes are read alike")
    few = _keys(data, max_candidates=MAX_CANDIDATES)
    require(few == (expected if len(entries) <= MAX_CANDIDATES else None), "a set of too many entries is refused whole")
    for entry in entries:
        _check_entry(entry)


def point_of(key: PublicKey) -> Point:
    """Return the point of a key, which has to be one of the curve P-256."""
    members = key.as_jwk()
    x, y = (int.from_bytes(base64url.decoded(members[name].encode("ascii")) or b"", "big") for name in ("x", "y"))
    require((members["kty"], members["crv"]) == ("EC", "P-256"), "a key is an EC key of P-256")
    require(is_on_curve(x, y), "a key is a point of P-256")
    return x, y


def _keys(data: str | bytes, max_candidates: int | None = None) -> dict[str, Point] | None:
    try:
        keys = KeySet.from_jwks(data, max_candidates=max_candidates)
    except KeyStoreError as error:
        require(not _OWN_WORDS.foreign(str(error)), "the message has only words of ours")
        return None
    for skipped in keys.skipped:
        require(not _OWN_WORDS.foreign(skipped.why), "why a key is skipped is told in words of ours")
    return {kid: point_of(key) for kid, key in keys.keys.items()}


def _check_entry(entry: Any) -> None:
    try:
        point = point_of(PublicKey.from_jwk(entry))
    except KeyStoreError as error:
        require(not _OWN_WORDS.foreign(str(error)), "the message has only words of ours")
        point = None
    require(point == point_of_jwk(entry), "a JWK is a key or is none")

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import example, given, settings
from hypothesis import strategies as st

from d1verify import ConfigurationError, KeySet, KeyStoreError, PublicKey, TokenError
from d1verify.keys import SkippedKey, _der, collect_keys, is_key_id, parse_key

from .support import KEY, OTHER_KEY, SigningKey, b64, raw_signature

MESSAGE = b"header.payload"
SIGNATURE = KEY.signature(MESSAGE)


def test_a_good_signature_holds() -> None:
    KEY.public.verify(SIGNATURE, MESSAGE)


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        pytest.param(SIGNATURE, MESSAGE + b"x", id="another message"),
        pytest.param(SIGNATURE[:-1] + bytes([SIGNATURE[-1] ^ 1]), MESSAGE, id="a bit flipped"),
        pytest.param(SIGNATURE[32:] + SIGNATURE[:32], MESSAGE, id="s and r changed places"),
        pytest.param(OTHER_KEY.signature(MESSAGE), MESSAGE, id="another key's"),
        pytest.param(
            raw_signature(KEY.private.sign(MESSAGE, ec.ECDSA(hashes.SHA512()))), MESSAGE, id="over another hash"
        ),
    ],
)
def test_refuses_a_signature(signature: bytes, message: bytes) -> None:
    with pytest.raises(TokenError, match="signature"):
        KEY.public.verify(signature, message)


def test_whatever_fails_inside_is_a_bad_signature() -> None:
    with pytest.raises(TokenError) as caught:
        KEY.public.verify(SIGNATURE, None)  # type: ignore[arg-type]
    assert caught.value.reason.value == "bad_signature"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("arguments", [(), (KEY.private.public_key(),), (KEY.pem,)], ids=["nothing", "object", "PEM"])
def test_a_public_key_cannot_be_constructed(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="from_pem"):
        PublicKey(*arguments)


def test_a_public_key_cannot_be_changed() -> None:
    key = PublicKey.from_pem(KEY.pem)
    with pytest.raises(AttributeError, match=r"^a PublicKey is immutable$"):
        key._key = OTHER_KEY.private.public_key()
    with pytest.raises(AttributeError, match=r"^a PublicKey is immutable$"):
        del key._point
    with pytest.raises(AttributeError):
        key.verify = lambda *_: None  # type: ignore[method-assign]


def test_keys_are_equal_when_the_point_is() -> None:
    same = PublicKey.from_jwk(KEY.jwk)
    assert same == KEY.public
    assert hash(same) == hash(KEY.public)
    assert same != OTHER_KEY.public
    assert same != KEY.pem
    assert hash(OTHER_KEY.public) != hash(KEY.public)


def test_a_key_comes_back_from_a_process_pool_checked() -> None:
    assert pickle.loads(pickle.dumps(KEY.public)) == KEY.public


def test_a_key_shows_no_bytes_of_itself() -> None:
    assert repr(KEY.public) == "<PublicKey P-256>"


def test_a_key_gives_its_jwk_back() -> None:
    assert KEY.public.as_jwk() == {name: KEY.jwk[name] for name in ("kty", "crv", "x", "y")}
    assert PublicKey.from_jwk(KEY.public.as_jwk()) == KEY.public


@pytest.mark.parametrize("kid", ["a", "x" * 256, "../../etc/passwd", "__class__", "ключ", "a b", "%s{0}"])
def test_key_ids(kid: str) -> None:
    assert is_key_id(kid)


@pytest.mark.parametrize(
    "kid", ["", "x" * 257, "a\n", "a\0", "\x1b[31m", "\u202e", "\u200b", "\ud800", "\xa0", b"a", 1]
)
def test_no_key_ids(kid: object) -> None:
    assert not is_key_id(kid)


@pytest.mark.parametrize("kid", ["", "x" * 257, "a\n", "\ud800", None, 1])
def test_a_set_refuses_a_key_id(kid: Any) -> None:
    with pytest.raises(ConfigurationError, match="key id"):
        KeySet({kid: KEY.public})


@pytest.mark.parametrize("key", [None, KEY.pem, KEY.jwk, KEY.private, KEY.private.public_key(), b""], ids=type)
def test_a_set_refuses_what_is_no_public_key(key: Any) -> None:
    with pytest.raises(ConfigurationError, match="PublicKey"):
        KeySet({"a": key})


@pytest.mark.parametrize("keys", [None, [("a", KEY.public)], "a", 1], ids=type)
def test_a_set_refuses_what_is_no_mapping(keys: Any) -> None:
    with pytest.raises(ConfigurationError, match="keys"):
        KeySet(keys)


@pytest.mark.parametrize("skipped", [["x"], [None], [("x", "why")]], ids=repr)
def test_a_set_refuses_what_is_no_skipped_key(skipped: Any) -> None:
    with pytest.raises(ConfigurationError, match="skipped"):
        KeySet({}, skipped=skipped)


@pytest.mark.parametrize(
    "value", [0, -1, math.nan, -math.inf, "600", None, True, 1e12, 10**400], ids=lambda v: f"{v!r:.20}"
)
def test_a_set_refuses_a_max_age(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_age"):
        KeySet({}, max_age=value)


@pytest.mark.parametrize("value", [-1, math.nan, "600", None, False, 1e12, 10**400], ids=lambda v: f"{v!r:.20}")
def test_a_set_refuses_a_max_stale(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_stale"):
        KeySet({}, max_stale=value)


def test_a_set_takes_any_age_below_a_million_million_seconds() -> None:
    keys = KeySet({}, 1e12 - 1, 0)
    assert (keys.max_age, keys.max_stale) == (1e12 - 1, 0)


def test_a_set_has_the_documented_defaults() -> None:
    keys = KeySet({"a": KEY.public})
    assert (keys.max_age, keys.max_stale, keys.skipped) == (600.0, 3600.0, ())


def test_a_set_reads_like_a_collection_of_key_ids() -> None:
    keys = KeySet({"a": KEY.public, "b": OTHER_KEY.public})
    assert (len(keys), list(keys), "a" in keys, "c" in keys) == (2, ["a", "b"], True, False)
    assert repr(keys) == "<KeySet: 2 usable, 0 skipped>"


def test_a_set_cannot_be_changed() -> None:
    source = {"a": KEY.public}
    keys = KeySet(source, skipped=[SkippedKey("x", "why")])
    source["b"] = OTHER_KEY.public
    assert list(keys) == ["a"]
    with pytest.raises(TypeError):
        keys.keys["b"] = OTHER_KEY.public  # type: ignore[index]
    with pytest.raises(AttributeError, match=r"^a KeySet is immutable$"):
        keys.max_age = math.inf
    with pytest.raises(AttributeError, match=r"^a KeySet is immutable$"):
        del keys.keys


def test_carrying_over_keeps_the_old_object_where_kid_and_point_are_the_same() -> None:
    old = KeySet({"same": KEY.public, "changed": KEY.public, "gone": KEY.public})
    keys = {"same": PublicKey.from_pem(KEY.pem), "changed": OTHER_KEY.public, "new": KEY.public}
    new = KeySet(keys, 5.0, 6.0, [SkippedKey("rsa", "it is no EC key")])
    merged = new.carrying_over(old)
    assert merged.keys["same"] is old.keys["same"]
    assert merged.keys["changed"] is OTHER_KEY.public
    assert set(merged) == {"same", "changed", "new"}
    assert (merged.max_age, merged.max_stale, merged.skipped) == (5.0, 6.0, new.skipped)


ENTRIES: list[Any] = [
    {**KEY.jwk, "kid": "good"},
    {**KEY.jwk, "kid": "twice"},
    {**KEY.jwk, "kid": "twice"},
    {**KEY.jwk, "kid": "conflict"},
    {**OTHER_KEY.jwk, "kid": "conflict"},
    {**KEY.jwk, "kid": "conflict"},
    {**KEY.jwk, "kid": "private", "d": b64(b"\1" * 32)},
    {**KEY.jwk, "kid": "off curve", "y": KEY.jwk["x"]},
    {"kty": "RSA", "kid": "rsa", "n": "AQ", "e": "AQAB"},
    {"kty": "oct", "kid": "symmetric", "k": "AQ"},
    {name: value for name, value in KEY.jwk.items() if name != "kid"},
    {**KEY.jwk, "kid": 5},
    {**KEY.jwk, "kid": ""},
    {**KEY.jwk, "kid": "a\nb"},
    None, 5, [], "text", {},
]  # fmt: skip


def test_from_jwks_keeps_the_good_and_lists_the_others() -> None:
    keys = KeySet.from_jwks({"keys": ENTRIES}, max_age=5.0, max_stale=6.0)
    assert set(keys) == {"good", "twice"}
    assert {one.name for one in keys.skipped} >= {"private", "off curve", "rsa", "symmetric", "conflict", "keys[10]"}
    assert len(keys.skipped) == 14
    assert (keys.max_age, keys.max_stale) == (5.0, 6.0)
    assert KEY.jwk["x"] not in "".join(one.why for one in keys.skipped)


@pytest.mark.parametrize("form", [json.dumps, lambda value: json.dumps(value).encode()], ids=["str", "bytes"])
def test_from_jwks_reads_text(form: Any) -> None:
    assert list(KeySet.from_jwks(form({"keys": [KEY.jwk]}))) == [KEY.kid]


def test_from_jwks_bounds_the_candidates() -> None:
    jwks = {"keys": [{**KEY.jwk, "kid": str(number)} for number in range(3)]}
    assert len(KeySet.from_jwks(jwks, max_candidates=3)) == 3
    with pytest.raises(KeyStoreError, match="more than 2"):
        KeySet.from_jwks(jwks, max_candidates=2)


@pytest.mark.parametrize("jwks", ['{"keys":[', "[]", {}, {"keys": None}, None, 5, [KEY.jwk]], ids=lambda v: f"{v!r:.9}")
def test_from_jwks_refuses_what_is_no_set(jwks: Any) -> None:
    with pytest.raises(KeyStoreError):
        KeySet.from_jwks(jwks)


def test_from_jwks_of_an_empty_set_is_an_empty_set() -> None:
    assert len(KeySet.from_jwks('{"keys":[]}')) == 0


@pytest.mark.parametrize(
    "material", [KEY.public, KEY.pem, KEY.pem.encode(), KEY.jwk], ids=["key", "str", "bytes", "JWK"]
)
def test_parse_key_takes_every_form(material: object) -> None:
    assert parse_key(material) == KEY.public


@pytest.mark.parametrize("material", [None, 5, [KEY.jwk], KEY.private, KEY.private.public_key(), object()], ids=type)
def test_parse_key_refuses_other_objects(material: object) -> None:
    with pytest.raises(KeyStoreError, match="neither"):
        parse_key(material)


def test_three_different_keys_under_one_kid_are_all_refused() -> None:
    third = SigningKey("third")
    keys, skipped = collect_keys([("1", "k", KEY.pem), ("2", "k", OTHER_KEY.pem), ("3", "k", third.pem)])
    assert keys == {}
    assert skipped == [SkippedKey("k", "two different keys have this key id")]


@given(st.binary(min_size=64, max_size=64))
@example(bytes(64))
@example(b"\x7f" + bytes(31) + b"\x80" + bytes(31))
@example(b"\x80" + bytes(31) + b"\x7f" + bytes(31))
@example(b"\x00\x80" + bytes(30) + b"\xff" * 32)
@example(b"\x00\x7f" * 16 + b"\xff" * 32)
@example(b"\xff" * 32 + b"\x00\x7f" * 16)
@example(b"\xff" * 64)
@settings(max_examples=300, deadline=None, database=None)
def test_a_signature_in_der_is_what_the_library_makes_of_it(signature: bytes) -> None:
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    assert _der(signature) == encode_dss_signature(r, s)


def test_from_jwks_has_the_defaults_of_a_set() -> None:
    keys = KeySet.from_jwks({"keys": [KEY.jwk]})
    assert (keys.max_age, keys.max_stale, keys.skipped) == (600.0, 3600.0, ())


def test_a_candidate_without_a_usable_key_id_is_named_by_its_place() -> None:
    skipped = SkippedKey("keys[0]", "it has no key id of 1 to 256 printable characters")
    for kid in (None, 5, "", "a\nb", "x" * 257):
        assert collect_keys([("keys[0]", kid, KEY.pem)]) == ({}, [skipped])


def test_a_candidate_that_gives_no_key_is_named_by_its_key_id_and_says_why() -> None:
    why = "it is neither a PEM text nor a JWK"
    assert collect_keys([("keys[0]", "k", 5)]) == ({}, [SkippedKey("k", why)])
    assert collect_keys([("keys[0]", "a\nb", 5)]) == ({}, [SkippedKey("keys[0]", why)])

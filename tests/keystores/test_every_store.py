"""What every key store does. A new store is one line in `STORES`, with its source beside it."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from d1verify import (
    ConfigurationError,
    EnvKeyStore,
    FileKeyStore,
    HTTPKeyStore,
    KeyCache,
    KeySet,
    KeyStoreError,
    StaticKeyStore,
)
from d1verify.keys import KeyStore

from ..faults.servers import RawServer, answering, message
from ..support import KEY, OTHER_KEY, Clock, SigningKey, b64, make_verifier, refused

PRIVATE_KEY = SigningKey("private")


class Source(Protocol):
    """Where a store gets its keys from. Entries are JWKs with a kid; what is no JWK is written as it is."""

    def __init__(self, folder: Path) -> None: ...

    def publish(self, *jwks: dict[str, Any]) -> None:
        """Hold these keys from now on, and no other."""

    def store(self) -> KeyStore:
        """Return a store over this source."""


class StaticSource:
    """Keys in hand: they cannot change, and one dict cannot have two keys under one kid."""

    def __init__(self, folder: Path) -> None:
        self.jwks: dict[str, Any] = {}

    def publish(self, *jwks: dict[str, Any]) -> None:
        self.jwks = {jwk["kid"]: jwk for jwk in jwks}

    def store(self) -> KeyStore:
        return StaticKeyStore(self.jwks)


class EnvSource:
    def __init__(self, folder: Path) -> None:
        self.environ: dict[str, str] = {}

    def publish(self, *jwks: dict[str, Any]) -> None:
        self.environ["D1VERIFY_KEYS"] = json.dumps({"keys": jwks})

    def store(self) -> KeyStore:
        return EnvKeyStore(environ=self.environ)


class FileSource:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "keys.json"

    def publish(self, *jwks: dict[str, Any]) -> None:
        self.path.write_text(json.dumps({"keys": jwks}))

    def store(self) -> KeyStore:
        return FileKeyStore(self.path)


class FolderSource:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def publish(self, *jwks: dict[str, Any]) -> None:
        for file in self.folder.iterdir():
            file.unlink()
        for position, jwk in enumerate(jwks):
            (self.folder / f"{position}.json").write_text(json.dumps(jwk))

    def store(self) -> KeyStore:
        return FileKeyStore(self.folder)


class HTTPSource:
    def __init__(self, folder: Path) -> None:
        self.server = RawServer(answering(message(b"", status="404 Not Found")))
        weakref.finalize(self, self.server.close)

    def publish(self, *jwks: dict[str, Any]) -> None:
        self.server.behaviour = answering(message(json.dumps({"keys": jwks}).encode()))

    def store(self) -> KeyStore:
        return HTTPKeyStore(self.server.url)


STORES: dict[str, Callable[[Path], Source]] = {
    "static": StaticSource,
    "env": EnvSource,
    "file": FileSource,
    "folder": FolderSource,
    "http": HTTPSource,
}
# Keys that are handed over are judged where they are handed over.
IMMEDIATE = ("static",)
LOADED = [name for name in STORES if name not in IMMEDIATE]
RELOADED = ["file", "folder", "http"]
LASTING = {"file": (5.0, 300.0), "folder": (5.0, 300.0), "http": (600.0, 3600.0)}


@pytest.fixture(params=STORES)
def name(request: pytest.FixtureRequest) -> str:
    of_store: str = request.param
    return of_store


@pytest.fixture
def source(name: str, tmp_path: Path) -> Source:
    return STORES[name](tmp_path)


def private_jwk(key: SigningKey) -> dict[str, Any]:
    number = key.private.private_numbers().private_value
    return {**key.jwk, "d": b64(number.to_bytes(32, "big"))}


SYMMETRIC_JWK = {"kty": "oct", "kid": "symmetric", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "alg": "HS256"}


def test_gives_every_key_by_its_id(source: Source) -> None:
    source.publish(KEY.jwk, OTHER_KEY.jwk)
    keys = source.store().load()
    assert isinstance(keys, KeySet)
    assert dict(keys.keys) == {KEY.kid: KEY.public, OTHER_KEY.kid: OTHER_KEY.public}
    assert keys.skipped == ()


def test_two_loads_and_two_stores_give_equal_sets(source: Source) -> None:
    source.publish(KEY.jwk, OTHER_KEY.jwk)
    store = source.store()
    assert dict(store.load().keys) == dict(store.load().keys) == dict(source.store().load().keys)


def test_verifies_tokens(source: Source) -> None:
    source.publish(KEY.jwk, OTHER_KEY.jwk)
    verifier = make_verifier(source.store())
    assert verifier.verify(KEY.mint()).kid == KEY.kid
    assert verifier.verify(OTHER_KEY.mint()).kid == OTHER_KEY.kid
    assert refused(lambda: verifier.verify(PRIVATE_KEY.mint())) == "unknown_key"


def test_never_tries_another_key_than_the_one_that_is_named(source: Source) -> None:
    source.publish(KEY.jwk, OTHER_KEY.jwk)
    assert refused(lambda: make_verifier(source.store()).verify(KEY.mint({"kid": OTHER_KEY.kid}))) == "bad_signature"


UNUSABLE: dict[str, dict[str, Any]] = {
    "private": private_jwk(PRIVATE_KEY),
    "symmetric": SYMMETRIC_JWK,
    "for encryption": {**OTHER_KEY.jwk, "use": "enc"},
    "for signing only": {**OTHER_KEY.jwk, "key_ops": ["sign"]},
    "for another algorithm": {**OTHER_KEY.jwk, "alg": "ES384"},
    "RSA": {"kty": "RSA", "kid": "rsa", "n": "AQAB", "e": "AQAB"},
    "off the curve": {**OTHER_KEY.jwk, "x": OTHER_KEY.jwk["y"]},
    "short coordinate": {**OTHER_KEY.jwk, "x": OTHER_KEY.jwk["x"][:-2]},
}


@pytest.mark.parametrize("jwk", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_refuses_an_unusable_key_alone_and_says_nothing_of_its_bytes(
    name: str, source: Source, jwk: dict[str, Any]
) -> None:
    source.publish(jwk)
    if name in IMMEDIATE:
        with pytest.raises(ConfigurationError) as caught:
            source.store()
    else:
        cache = KeyCache(source.store(), timer=Clock())
        with pytest.raises(KeyStoreError) as caught:  # type: ignore[assignment]
            cache.warm_up()
    for member in ("d", "k", "x", "n"):
        assert str(jwk.get(member, "no such member"))[:12] not in str(caught.value)


@pytest.mark.parametrize("name", LOADED)  # keys in hand are all good, or refused
@pytest.mark.parametrize("jwk", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_unusable_key_beside_a_good_one_is_skipped_and_named(name: str, source: Source, jwk: dict[str, Any]) -> None:
    source.publish(KEY.jwk, jwk)
    keys = source.store().load()
    assert list(keys) == [KEY.kid]
    assert len(keys.skipped) == 1
    assert jwk["kid"] not in keys


@pytest.mark.parametrize("name", LOADED)  # a dict has each key id once
def test_refuses_two_different_keys_with_one_id(name: str, source: Source) -> None:
    source.publish(KEY.jwk, {**OTHER_KEY.jwk, "kid": "twin"}, {**PRIVATE_KEY.jwk, "kid": "twin"})
    keys = source.store().load()
    assert list(keys) == [KEY.kid]
    assert [(one.name, one.why) for one in keys.skipped] == [("twin", "two different keys have this key id")]


def test_the_same_key_twice_is_no_conflict(name: str, source: Source) -> None:
    source.publish(KEY.jwk, KEY.jwk)
    assert dict(source.store().load().keys) == {KEY.kid: KEY.public}


def test_refuses_a_key_id_that_is_none(name: str, source: Source) -> None:
    source.publish({**KEY.jwk, "kid": "a\nb"})
    if name in IMMEDIATE:
        with pytest.raises(ConfigurationError, match="key id"):
            source.store()
    else:
        assert refused(KeyCache(source.store(), timer=Clock()).warm_up) == "keys_unavailable"


def test_no_key_at_all_is_key_trouble_at_start_up(name: str, source: Source) -> None:
    source.publish()
    if name in IMMEDIATE:
        with pytest.raises(ConfigurationError):
            source.store()
    else:
        assert refused(KeyCache(source.store(), timer=Clock()).warm_up) == "keys_unavailable"


@pytest.mark.parametrize("name", LOADED)  # keys in hand are there
def test_a_source_that_is_not_there_is_key_trouble_at_start_up(name: str, tmp_path: Path) -> None:
    source = STORES[name](tmp_path / "absent")
    with pytest.raises(KeyStoreError):
        source.store().load()


@pytest.mark.parametrize("name", RELOADED)  # read once, at start-up
def test_a_withdrawn_key_is_gone_and_a_new_one_there(name: str, source: Source) -> None:
    source.publish(KEY.jwk)
    store = source.store()
    assert list(store.load()) == [KEY.kid]
    source.publish(OTHER_KEY.jwk)
    assert list(store.load()) == [OTHER_KEY.kid]


@pytest.mark.parametrize("name", RELOADED)  # read once, at start-up
def test_withdrawing_every_key_revokes_them_after_a_second_look(name: str, source: Source) -> None:
    timer = Clock()
    source.publish(KEY.jwk)
    cache = KeyCache(source.store(), timer=timer)
    cache.warm_up()
    source.publish()
    assert refused(cache.refresh) == "keys_unavailable"
    assert cache.key(KEY.kid) == KEY.public
    timer.advance(1)
    cache.refresh()
    assert cache.health().state == "revoked"
    assert refused(lambda: cache.key(KEY.kid)) == "keys_unavailable"


def test_states_how_long_its_keys_count_as_current(name: str, source: Source) -> None:
    source.publish(KEY.jwk)
    keys = source.store().load()
    assert (keys.max_age, keys.max_stale) == LASTING.get(name, (float("inf"), 0.0))

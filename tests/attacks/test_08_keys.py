"""Chapters 8 and 9: key material, and the file, folder and environment stores."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from d1verify import ConfigurationError, EnvKeyStore, FileKeyStore, KeySet, KeyStoreError, PublicKey, StaticKeyStore

from ..support import KEY, OTHER_KEY, P256_PRIME, ScriptedStore, b64, key_set, make_verifier, refused
from ..test_keyformats import P256_GENERATOR, explicit_parameters, pem

X, Y = KEY.jwk["x"], KEY.jwk["y"]
PRIVATE_JWK = {**KEY.jwk, "d": b64(b"\7" * 32)}

REFUSED_KEYS = [
    pytest.param(KEY.private_pem, "private", id="A126-PEM"),
    pytest.param(PRIVATE_JWK, "private", id="A126-JWK"),
    pytest.param({"kty": "oct", "kid": "a", "k": b64(b"secret")}, "symmetric", id="A127-oct"),
    pytest.param({"kty": "RSA", "n": "AQ", "e": "AQAB"}, "P-256", id="A128-RSA"),
    pytest.param({"kty": "OKP", "crv": "Ed25519", "x": X}, "P-256", id="A128-OKP"),
    pytest.param({**KEY.jwk, "y": X}, "on the curve", id="A130-off the curve"),
    pytest.param({**KEY.jwk, "x": b64(bytes(32)), "y": b64(bytes(32))}, "on the curve", id="A130-zero"),
    pytest.param({**KEY.jwk, "x": b64(P256_PRIME.to_bytes(32, "big"))}, "on the curve", id="A130-x = p"),
    *[
        pytest.param({**KEY.jwk, "x": value}, "32 bytes", id=f"A131-{name}")
        for name, value in (
            ("31 bytes", b64(b"\1" * 31)), ("33 bytes", b64(b"\0" * 33)), ("5000 bytes", b64(b"\1" * 5000)), ("empty", ""),
            ("padded", X + "="), ("number", 5), ("null", None),
        )
    ],
    pytest.param(pem(explicit_parameters(P256_GENERATOR)), "named curve", id="A132-equal to P-256"),
    pytest.param(pem(explicit_parameters(b"\x04" + bytes(64))), "named curve", id="A132-another generator"),
    pytest.param(pem(explicit_parameters(P256_GENERATOR)[:-65] + b"\x02" + bytes(32)), "named curve", id="A133-compressed"),
    pytest.param(KEY.pem + OTHER_KEY.pem, "more than one", id="A138-two blocks"),
    pytest.param("# our key\n" + KEY.pem, "exactly one", id="A138-leading text"),
    pytest.param(KEY.pem + "trailing", "exactly one", id="A138-trailing junk"),
    pytest.param("\ufeff" + KEY.pem, "exactly one", id="A138-BOM"),
    pytest.param("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "PUBLIC KEY", id="A139-certificate"),
    pytest.param("ecdsa-sha2-nistp256 AAAA a@b", "PUBLIC KEY", id="A139-OpenSSH"),
    pytest.param("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n", "PUBLIC KEY", id="A139-EC PARAMETERS"),
    pytest.param("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----", "private", id="A139-encrypted"),
    pytest.param("-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----", "PUBLIC KEY", id="A139-RSA"),
    pytest.param("<!doctype html><title>Sign-in-to-the-key-server</title>", "PUBLIC KEY", id="A141-login page"),
    pytest.param({"error": "key-server-is-down-for-now"}, "P-256", id="A141-another object"),
]  # fmt: skip


@pytest.mark.parametrize(("material", "why"), REFUSED_KEYS)
def test_a_key_is_refused_in_words_of_ours(material: Any, why: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        StaticKeyStore({"the-kid": material})
    assert "the-kid" in str(caught.value)
    name, text = ("k.pem", material) if isinstance(material, str) else ("k.json", json.dumps({**material, "kid": "k"}))
    (tmp_path / name).write_text(text)
    (skipped,) = FileKeyStore(tmp_path).load().skipped
    assert re.search(why, skipped.why)
    secrets = re.findall(r"[A-Za-z0-9+/_-]{20,}", text)
    assert not [one for one in secrets if one in f"{caught.value} {skipped.why}"]


def test_a129_a_bad_key_does_not_poison_the_set() -> None:
    bad: list[Any] = [
        None,
        {"kty": "EC", "crv": "P-999", "kid": "x"},
        {"kty": ["EC"]},
        {**KEY.jwk, "kid": "off", "y": X},
    ]
    assert list(KeySet.from_jwks({"keys": [*bad, KEY.jwk, *bad]})) == [KEY.kid]
    assert (
        refused(lambda: make_verifier(ScriptedStore(KeySet.from_jwks({"keys": bad}))).warm_up()) == "keys_unavailable"
    )


def test_a134_two_keys_under_one_kid_are_both_refused() -> None:
    for keys in ([KEY.jwk, {**OTHER_KEY.jwk, "kid": KEY.kid}], [{**OTHER_KEY.jwk, "kid": KEY.kid}, KEY.jwk]):
        assert len(KeySet.from_jwks({"keys": keys})) == 0
    assert len(KeySet.from_jwks({"keys": [KEY.jwk, KEY.jwk]})) == 1


@pytest.mark.parametrize(
    "text", ["{}", '{"keys":null}', '{"keys":{}}', '{"keys":"x"}', "[]", '{"keys":{"keys":[]}}', '{"kty":["EC"]}']
)
def test_a135_another_shape_keeps_the_old_set(text: str, tmp_path: Path) -> None:
    file = tmp_path / "set.json"
    file.write_text(json.dumps({"keys": [KEY.jwk]}))
    verifier = make_verifier(FileKeyStore(file))
    verifier.verify(KEY.mint())
    file.write_text(text)
    with pytest.raises(KeyStoreError):
        verifier.refresh()
    verifier.verify(KEY.mint())


def test_a136_a_key_without_a_kid_cannot_be_addressed() -> None:
    keys = KeySet.from_jwks({"keys": [KEY.public.as_jwk(), OTHER_KEY.jwk]})
    assert (list(keys), [one.name for one in keys.skipped]) == ([OTHER_KEY.kid], ["keys[0]"])


def test_a137_size_and_number_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(KeyStoreError, match="more than 100"):
        KeySet.from_jwks({"keys": [KEY.jwk] * 101}, max_candidates=100)
    (tmp_path / "big.json").write_text(json.dumps({"keys": [KEY.jwk], "padding": "x" * 262_144}))
    assert "larger" in FileKeyStore(tmp_path).load().skipped[0].why


def test_a138_line_ends_may_be_written_out_in_a_variable() -> None:
    escaped = KEY.pem.replace("\n", "\\n")
    assert list(EnvKeyStore("K", KEY.kid, environ={"K": escaped}).load()) == [KEY.kid]
    assert PublicKey.from_pem(KEY.pem.replace("\n", "\r\n")) == KEY.public
    with pytest.raises(KeyStoreError):
        PublicKey.from_pem(escaped)


def test_a140_a_duplicate_member_of_a_jwk_is_refused(tmp_path: Path) -> None:
    text = json.dumps(KEY.jwk).replace("{", f'{{"x":"{OTHER_KEY.jwk["x"]}",', 1)
    (tmp_path / "k.json").write_text(text)
    assert "strict JSON" in FileKeyStore(tmp_path).load().skipped[0].why
    with pytest.raises(KeyStoreError, match="strict JSON"):
        KeySet.from_jwks(f'{{"keys":[{text}]}}')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.mkdir(mode=0o755)
    (path / f"{KEY.kid}.pem").write_text(KEY.pem)
    return path


def test_a142_a_link_that_leaves_the_folder_is_refused_and_kubernetes_works(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.pem").write_text(OTHER_KEY.pem)
    (folder / "evil.pem").symlink_to(tmp_path / "outside.pem")
    keys = FileKeyStore(folder).load()
    assert (set(keys), [one.name for one in keys.skipped]) == ({KEY.kid}, ["evil.pem"])
    mount = tmp_path / "mount"
    (mount / "..2026_1").mkdir(parents=True)
    (mount / "..2026_1" / "a.pem").write_text(KEY.pem)
    (mount / "..data").symlink_to("..2026_1")
    (mount / "a.pem").symlink_to("..data/a.pem")
    store = FileKeyStore(mount)
    assert store.load().keys["a"] == KEY.public
    (mount / "..2026_2").mkdir()
    (mount / "..2026_2" / "a.pem").write_text(OTHER_KEY.pem)
    (mount / "..tmp").symlink_to("..2026_2")
    (mount / "..tmp").rename(mount / "..data")
    assert store.load().keys["a"] == OTHER_KEY.public
    (tmp_path / "link").symlink_to(mount)
    assert set(FileKeyStore(tmp_path / "link").load()) == {"a"}


def test_a143_only_regular_files_are_read(folder: Path) -> None:
    os.mkfifo(folder / "fifo.pem")
    (folder / "folder.pem").mkdir()
    server = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(folder)  # A socket's path has to be short.
    server.bind("socket.pem")
    os.chdir(here)
    server.close()
    keys = FileKeyStore(folder).load()
    assert set(keys) == {KEY.kid}
    why = {one.name: one.why for one in keys.skipped}
    assert why.keys() == {"fifo.pem", "folder.pem", "socket.pem"}
    assert why["fifo.pem"] == why["folder.pem"] == "it is not a regular file"
    assert why["socket.pem"].startswith("it cannot be opened")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev"])
def test_a143_a_device_is_no_key_file(device: str) -> None:
    with pytest.raises(KeyStoreError):
        make_verifier(FileKeyStore(device)).warm_up()


def test_a144_a_half_written_file_keeps_its_last_good_key(folder: Path) -> None:
    (folder / "second.pem").write_text(OTHER_KEY.pem)
    store = FileKeyStore(folder)
    store.load()
    (folder / "second.pem").write_text(OTHER_KEY.pem[:60])
    assert set(store.load()) == {KEY.kid, "second"}
    (folder / "second.pem").unlink()
    assert set(store.load()) == {KEY.kid}


def test_a145_an_unmounted_folder_keeps_the_keys_and_an_empty_one_at_start_is_an_error(
    folder: Path, tmp_path: Path
) -> None:
    verifier = make_verifier(FileKeyStore(folder))
    verifier.verify(KEY.mint())
    folder.rename(tmp_path / "away")
    with pytest.raises(KeyStoreError):
        verifier.refresh()
    verifier.verify(KEY.mint())
    (tmp_path / "empty").mkdir()
    with pytest.raises(KeyStoreError):
        make_verifier(FileKeyStore(tmp_path / "empty")).warm_up()


@pytest.mark.parametrize(
    "name", ["k.pem~", ".k.pem", ".k.pem.swp", "k.pem.bak", "k.crt", "k.PEM", "k", ".DS_Store", "k.json.tmp"]
)
def test_a146_backup_and_hidden_files_are_left_out(folder: Path, name: str) -> None:
    (folder / name).write_text(OTHER_KEY.pem)
    keys = FileKeyStore(folder).load()
    assert (set(keys), keys.skipped) == ({KEY.kid}, ())


def test_a147_a_file_that_anybody_may_change_is_warned_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / f"{KEY.kid}.pem").chmod(0o666)
    store = FileKeyStore(folder)
    store.load()
    store.load()
    assert [one.levelno for one in caplog.records if "anybody" in one.getMessage()] == [logging.WARNING]


def test_a148_content_counts_and_not_the_time_stamp(folder: Path) -> None:
    file, store = folder / f"{KEY.kid}.pem", FileKeyStore(folder)
    store.load()
    before = file.stat()
    file.write_text(OTHER_KEY.pem)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns - 10**9))
    assert file.stat().st_size == before.st_size
    assert store.load().keys[KEY.kid] == OTHER_KEY.public


ENVIRONMENT = [
    pytest.param({}, id="A149-unset"),
    pytest.param({"D1VERIFY_KEYS": ""}, id="A149-empty"),
    pytest.param({"D1VERIFY_KEYS": " \n\t"}, id="A149-whitespace"),
    pytest.param({"D1VERIFY_KEYS": '{"keys":[]}'}, id="A149-no keys"),
    pytest.param({"D1VERIFY_KEYS": "/etc/d1/keys/a.pem"}, id="A150-path"),
    pytest.param({"D1VERIFY_KEYS": "https://d1.example/jwks"}, id="A150-URL"),
    pytest.param({"D1VERIFY_KEYS": base64.b64encode(b"/etc/d1/keys").decode()}, id="A150-base64 of a path"),
    pytest.param({"D1VERIFY_KEYS": KEY.private_pem}, id="A126-private key in a variable"),
]


@pytest.mark.parametrize("environ", ENVIRONMENT)
def test_a_variable_without_keys_is_an_error_at_start_that_names_it(environ: dict[str, str]) -> None:
    verifier = make_verifier(EnvKeyStore(environ=environ))
    with pytest.raises(KeyStoreError, match="D1VERIFY_KEYS") as caught:
        verifier.warm_up()
    assert "etc" not in str(caught.value)
    assert refused(lambda: verifier.verify(KEY.mint())) == "keys_unavailable"


def test_a151_a_request_with_fresh_keys_touches_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    really_open = os.open

    def noting(*args: Any, **kwargs: Any) -> int:
        opened.append(args[0])
        return really_open(*args, **kwargs)

    verifier = make_verifier(FileKeyStore(folder), token_cache_size=0)
    verifier.warm_up()
    monkeypatch.setattr(os, "open", noting)
    for _ in range(3):
        verifier.verify(KEY.mint())
    assert opened == []
    verifier.refresh()
    assert opened, "the store opens its files in another way, and nothing was seen"


def test_a151_keys_are_loaded_on_a_thread_of_their_own() -> None:
    threads: list[int] = []

    class Noting:
        def load(self) -> KeySet:
            threads.append(threading.get_ident())
            return key_set(KEY)

    make_verifier(Noting()).verify(KEY.mint())
    assert threads != [threading.get_ident()]

"""Keys in a file or a folder, as operators, Kubernetes and attackers leave them (chapter 9 of the attack catalogue)."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from d1verify import ConfigurationError, FileKeyStore, KeyCache, KeySet, KeyStoreError
from d1verify._records import shown
from d1verify.keystores import _reading

from ..support import KEY, OTHER_KEY, Clock, SigningKey, refused

THIRD_KEY = SigningKey("d1-key-3")
TRUNCATED = KEY.pem[:60]


def write(folder: Path, **pems: str) -> None:
    for stem, text in pems.items():
        (folder / f"{stem}.pem").write_text(text)


def skipped(keys: KeySet) -> dict[str, str]:
    return {one.name: one.why for one in keys.skipped}


class TimedStore(FileKeyStore):
    """A store whose own timer is moved by hand, as its cache's is."""

    def __init__(self, path: Path, timer: Clock) -> None:
        super().__init__(path)
        self._timer = timer


# what is a key file, and which key id it has


def test_a_pem_file_has_its_stem_for_a_key_id(tmp_path: Path) -> None:
    write(tmp_path, **{"d1.2026-01": KEY.pem})
    assert dict(FileKeyStore(tmp_path / "d1.2026-01.pem").load().keys) == {"d1.2026-01": KEY.public}
    assert dict(FileKeyStore(str(tmp_path)).load().keys) == {"d1.2026-01": KEY.public}


def test_a_kid_given_counts_instead_of_the_stem(tmp_path: Path) -> None:
    write(tmp_path, x=KEY.pem)
    assert list(FileKeyStore(tmp_path / "x.pem", kid="k1").load()) == ["k1"]
    (tmp_path / "x.json").write_text(json.dumps(KEY.public.as_jwk()))
    assert list(FileKeyStore(tmp_path / "x.json", kid="k1").load()) == ["k1"]
    assert list(FileKeyStore(tmp_path / "x.json").load()) == ["x"]


def test_a_jwk_keeps_the_kid_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(KEY.jwk))
    assert list(FileKeyStore(tmp_path / "x.json", kid="k1").load()) == [KEY.kid]


def test_a_single_file_may_have_any_suffix(tmp_path: Path) -> None:
    (tmp_path / "d1.pub").write_text(KEY.pem)
    assert list(FileKeyStore(tmp_path / "d1.pub").load()) == ["d1"]


def test_a_folder_holds_pems_jwks_and_jwk_sets(tmp_path: Path) -> None:
    write(tmp_path, a=KEY.pem)
    (tmp_path / "b.json").write_text(json.dumps(OTHER_KEY.jwk))
    (tmp_path / "c.json").write_text(json.dumps({"keys": [THIRD_KEY.jwk, {"kty": "RSA", "kid": "r"}, 5]}))
    keys = FileKeyStore(tmp_path).load()
    assert dict(keys.keys) == {"a": KEY.public, OTHER_KEY.kid: OTHER_KEY.public, THIRD_KEY.kid: THIRD_KEY.public}
    assert set(skipped(keys)) == {"r", "c.json: keys[2]"}


@pytest.mark.parametrize(
    "name",
    [".hidden.pem", ".d1.pem.swp", "d1.pem~", "d1.pem.bak", "d1.PEM", "#d1.pem#", "README", "d1.crt", "..data", ".pem"],
)
def test_leaves_out_dot_files_backups_and_other_suffixes(tmp_path: Path, name: str) -> None:
    # A146
    write(tmp_path, a=KEY.pem)
    (tmp_path / name).write_text(OTHER_KEY.pem)
    keys = FileKeyStore(tmp_path).load()
    assert (list(keys), keys.skipped) == (["a"], ())


def test_does_not_look_into_folders_within(tmp_path: Path) -> None:
    (tmp_path / "within").mkdir()
    write(tmp_path / "within", b=OTHER_KEY.pem)
    write(tmp_path, a=KEY.pem)
    assert list(FileKeyStore(tmp_path).load()) == ["a"]


@pytest.mark.parametrize(
    "content", [KEY.private_pem, "", "<html>", '{"error": "login"}', "\ufeff" + KEY.pem, KEY.pem + OTHER_KEY.pem]
)
def test_skips_what_holds_no_key_and_says_nothing_of_its_content(tmp_path: Path, content: str) -> None:
    write(tmp_path, a=KEY.pem, b=content)
    keys = FileKeyStore(tmp_path).load()
    assert list(keys) == ["a"]
    assert list(skipped(keys)) == ["b.pem"]
    assert KEY.private_pem[30:50] not in skipped(keys)["b.pem"]
    assert "<html>" not in skipped(keys)["b.pem"]


@pytest.mark.parametrize("content", ["[]", "{", '{"keys": null}', '{"kid": 1}', '{"keys": [], "keys": []}', "\udcff"])
def test_skips_json_that_is_no_jwk_and_no_jwk_set(tmp_path: Path, content: str) -> None:
    write(tmp_path, a=KEY.pem)
    (tmp_path / "b.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert list(skipped(FileKeyStore(tmp_path).load())) == ["b.json"]


def test_two_files_that_disagree_about_a_kid_are_both_refused(tmp_path: Path) -> None:
    write(tmp_path, a=KEY.pem, b=OTHER_KEY.pem)
    (tmp_path / "c.json").write_text(json.dumps({**THIRD_KEY.jwk, "kid": "a"}))
    keys = FileKeyStore(tmp_path).load()
    assert list(keys) == ["b"]
    assert skipped(keys) == {"a": "two different keys have this key id"}


def test_two_files_that_agree_about_a_kid_do_not_conflict(tmp_path: Path) -> None:
    write(tmp_path, **{KEY.kid: KEY.pem})
    (tmp_path / "c.json").write_text(json.dumps(KEY.jwk))
    assert dict(FileKeyStore(tmp_path).load().keys) == {KEY.kid: KEY.public}


# links


def kubernetes(folder: Path, generation: str, **pems: str) -> None:
    """Lay `folder` out as the kubelet does: a new generation beside the old one, then one link swapped over."""
    new = folder / f"..{generation}"
    new.mkdir()
    write(new, **pems)
    pointer = folder / "..data_tmp"
    pointer.symlink_to(new.name)
    old = os.path.realpath(folder / "..data")
    pointer.replace(folder / "..data")
    for stem in pems:
        link = folder / f"{stem}.pem"
        if not link.is_symlink():
            link.symlink_to(f"..data/{stem}.pem")
    for link in folder.glob("*.pem"):
        if link.stem not in pems:
            link.unlink()
    if os.path.basename(old) != "..data":
        for file in os.listdir(old):
            os.unlink(os.path.join(old, file))
        os.rmdir(old)


def test_kubernetes_symlink_swap_works(tmp_path: Path) -> None:
    # A142
    store = FileKeyStore(tmp_path)
    kubernetes(tmp_path, "2026_01", a=KEY.pem, b=OTHER_KEY.pem)
    assert dict(store.load().keys) == {"a": KEY.public, "b": OTHER_KEY.public}
    kubernetes(tmp_path, "2026_02", a=THIRD_KEY.pem)
    keys = store.load()
    assert (dict(keys.keys), keys.skipped) == ({"a": THIRD_KEY.public}, ())


def test_kubernetes_swap_between_listing_and_reading_is_no_withdrawal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubernetes(tmp_path, "2026_01", a=KEY.pem)
    store = FileKeyStore(tmp_path)
    real = os.path.realpath
    swaps: Iterator[str] = iter(["2026_02"])

    def swapped_once_resolved(path: str) -> str:
        resolved = real(path)
        if str(path).endswith("a.pem"):
            for generation in swaps:
                monkeypatch.setattr(os.path, "realpath", real)
                kubernetes(tmp_path, generation, a=OTHER_KEY.pem)
        return resolved

    monkeypatch.setattr(os.path, "realpath", swapped_once_resolved)
    assert dict(store.load().keys) == {"a": OTHER_KEY.public}


def test_a_file_that_stays_away_after_three_looks_is_withdrawn(tmp_path: Path) -> None:
    write(tmp_path, a=KEY.pem)
    (tmp_path / "b.pem").symlink_to("nowhere.pem")
    keys = FileKeyStore(tmp_path).load()
    assert (list(keys), keys.skipped) == (["a"], ())


@pytest.mark.parametrize("target", ["outside/b.pem", "outside", "/dev/zero", "/etc/passwd"])
def test_links_that_lead_out_of_the_folder_are_skipped(tmp_path: Path, target: str) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "keys"
    outside.mkdir()
    folder.mkdir()
    write(outside, b=OTHER_KEY.pem)
    write(folder, a=KEY.pem)
    (folder / "b.pem").symlink_to(tmp_path / target)
    (folder / "c.pem").symlink_to(f"../outside/{'b.pem'}")
    keys = FileKeyStore(folder).load()
    assert list(keys) == ["a"]
    assert set(skipped(keys).values()) == {"it is a link that leads out of the key folder"}


def test_a_link_into_a_sibling_whose_name_begins_alike_leads_out(tmp_path: Path) -> None:
    folder, sibling = tmp_path / "keys", tmp_path / "keys-old"
    folder.mkdir()
    sibling.mkdir()
    write(sibling, b=OTHER_KEY.pem)
    (folder / "b.pem").symlink_to(sibling / "b.pem")
    assert list(skipped(FileKeyStore(folder).load())) == ["b.pem"]


def test_the_folder_itself_may_be_a_link_and_so_may_a_single_file(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    write(real, a=KEY.pem)
    (tmp_path / "keys").symlink_to("real")
    (tmp_path / "current.pem").symlink_to("real/a.pem")
    assert list(FileKeyStore(tmp_path / "keys").load()) == ["a"]
    assert list(FileKeyStore(tmp_path / "current.pem").load()) == ["current"]


def test_a_link_in_a_circle_is_skipped(tmp_path: Path) -> None:
    write(tmp_path, a=KEY.pem)
    (tmp_path / "b.pem").symlink_to("b.pem")
    assert "cannot be opened" in skipped(FileKeyStore(tmp_path).load())["b.pem"]


# what is no regular file


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path.name)  # In the working directory: a socket's path is limited to 107 bytes.


@pytest.mark.parametrize("make", [make_fifo, make_socket])
def test_skips_what_is_no_regular_file_without_hanging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    # A143
    monkeypatch.chdir(tmp_path)
    write(tmp_path, a=KEY.pem)
    make(tmp_path / "b.pem")
    keys = FileKeyStore(tmp_path).load()
    assert list(keys) == ["a"]
    assert list(skipped(keys)) == ["b.pem"]
    with pytest.raises(KeyStoreError):
        KeyCache(FileKeyStore(tmp_path / "b.pem")).warm_up()


def test_a_device_is_no_key_file() -> None:
    with pytest.raises(KeyStoreError, match="not a regular file"):
        KeyCache(FileKeyStore("/dev/zero")).warm_up()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no list of open descriptors here")
def test_skips_a_folder_that_is_named_like_a_key_file_and_leaves_nothing_open(tmp_path: Path) -> None:
    write(tmp_path, a=KEY.pem)
    (tmp_path / "b.pem").mkdir()
    store, before = FileKeyStore(tmp_path), open_descriptors()
    try:
        for _load in range(3):
            assert list(skipped(store.load())) == ["b.pem"]
    finally:
        assert open_descriptors() == before


@pytest.mark.parametrize("excess", [0, 1])
def test_reads_256_kib_and_no_more(tmp_path: Path, excess: int) -> None:
    padding = " " * (256 * 1024 - len(KEY.pem) + excess)
    write(tmp_path, a=KEY.pem + padding, b=OTHER_KEY.pem)
    keys = FileKeyStore(tmp_path).load()
    assert list(keys) == (["b"] if excess else ["a", "b"])
    assert skipped(keys) == ({"a.pem": "it is larger than 256 KiB"} if excess else {})


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="no file here that opens and cannot be read")
def test_a_file_that_opens_and_cannot_be_read_is_key_trouble() -> None:
    keys = FileKeyStore("/proc/self/mem").load()
    assert (len(keys), skipped(keys)) == (0, {"mem": "it cannot be read (Input/output error)"})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_skipped(tmp_path: Path) -> None:
    write(tmp_path, a=KEY.pem, b=OTHER_KEY.pem)
    (tmp_path / "b.pem").chmod(0)
    assert skipped(FileKeyStore(tmp_path).load()) == {"b.pem": "it cannot be opened (Permission denied)"}


def test_a_file_that_the_system_refuses_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, a=KEY.pem, b=OTHER_KEY.pem)
    real_open = os.open

    def refuse_b(path: str, *rest: Any) -> int:
        if path.endswith("b.pem"):
            raise PermissionError(13, "Permission denied", path)
        return real_open(path, *rest)

    monkeypatch.setattr(os, "open", refuse_b)
    assert skipped(FileKeyStore(tmp_path).load()) == {"b.pem": "it cannot be opened (Permission denied)"}


def test_an_error_without_a_number_is_named_by_its_class() -> None:
    assert _reading._errno_name(OSError("odd")) == "OSError"


def test_a_name_that_is_no_text_gives_no_key_id_and_no_error(tmp_path: Path) -> None:
    write(tmp_path, a=KEY.pem)
    with open(os.fsencode(tmp_path) + b"/\xff\xfe.pem", "w") as file:
        file.write(OTHER_KEY.pem)
    keys = FileKeyStore(tmp_path).load()
    assert list(keys) == ["a"]
    assert len(keys.skipped) == 1
    cache = KeyCache(FileKeyStore(tmp_path))
    cache.warm_up()
    assert cache.health().kids == ("a",)


@pytest.mark.parametrize("stem", ["a\nb", "\x1b[31m", "a\u202eb"], ids=ascii)
def test_a_hostile_name_gives_no_key_id_that_could_forge_a_log_line(
    tmp_path: Path, stem: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, a=KEY.pem, **{stem: OTHER_KEY.pem})
    caplog.set_level(logging.DEBUG, logger="d1verify")
    KeyCache(FileKeyStore(tmp_path)).warm_up()
    assert not any(set("\n\x1b\u202e") & set(record.getMessage()) for record in caplog.records)


# what changes


def test_sees_a_replacement_of_the_same_size_and_time(tmp_path: Path) -> None:
    # A148
    store = FileKeyStore(tmp_path)
    write(tmp_path, a=KEY.pem)
    before = (tmp_path / "a.pem").stat()
    assert store.load().keys["a"] == KEY.public
    write(tmp_path, a=OTHER_KEY.pem)
    os.utime(tmp_path / "a.pem", ns=(before.st_atime_ns, before.st_mtime_ns))
    after = (tmp_path / "a.pem").stat()
    assert (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    assert store.load().keys["a"] == OTHER_KEY.public


def test_a_file_that_has_not_changed_is_not_parsed_again(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path)
    write(tmp_path, a=KEY.pem)
    assert store.load().keys["a"] is store.load().keys["a"]


def test_a_half_written_file_keeps_its_last_good_key_while_that_is_within_max_stale(tmp_path: Path) -> None:
    # A144
    timer = Clock()
    store = TimedStore(tmp_path, timer)
    write(tmp_path, a=KEY.pem, b=OTHER_KEY.pem)
    store.load()
    written_at = timer.now
    write(tmp_path, a=TRUNCATED)
    for _load in range(3):
        timer.advance(99)
        keys = store.load()
        assert keys.keys["a"] == KEY.public
        assert skipped(keys)["a.pem"].endswith("; its last good key is kept")
        # A set with such a key in it is not good for longer than the key.
        assert timer.now + keys.max_stale == written_at + 300
    timer.advance(3)
    keys = store.load()
    assert list(keys) == ["b"]
    assert "kept" not in skipped(keys)["a.pem"]
    write(tmp_path, a=KEY.pem)
    assert store.load().keys["a"] == KEY.public


def test_a_half_written_file_that_was_never_good_has_no_key_to_keep(tmp_path: Path) -> None:
    write(tmp_path, a=TRUNCATED, b=OTHER_KEY.pem)
    assert list(FileKeyStore(tmp_path).load()) == ["b"]


def test_a_kept_key_is_withdrawn_with_its_file(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path)
    write(tmp_path, a=KEY.pem, b=OTHER_KEY.pem)
    store.load()
    write(tmp_path, a=TRUNCATED)
    store.load()
    (tmp_path / "a.pem").unlink()
    assert list(store.load()) == ["b"]
    write(tmp_path, a=TRUNCATED)
    assert list(store.load()) == ["b"]


def test_when_every_file_is_half_written_the_load_fails_and_the_set_is_not_renewed(tmp_path: Path) -> None:
    timer = Clock()
    write(tmp_path, a=KEY.pem)
    cache = KeyCache(TimedStore(tmp_path, timer), timer=timer)
    cache.warm_up()
    write(tmp_path, a=TRUNCATED)
    with pytest.raises(KeyStoreError, match="no key file can be read"):
        cache.refresh()
    timer.advance(300)
    assert cache.key("a") == KEY.public
    timer.advance(5)
    assert refused(lambda: cache.key("a")) == "keys_unavailable"


def single(folder: Path) -> Path:
    return folder / "a.pem"


def whole(folder: Path) -> Path:
    return folder


@pytest.mark.parametrize(
    "path_of",
    [
        single,
        whole,
    ],
)
def test_removing_the_last_file_withdraws_its_key_after_a_second_look(
    tmp_path: Path, path_of: Callable[[Path], Path]
) -> None:
    # A276
    timer = Clock()
    write(tmp_path, a=KEY.pem)
    cache = KeyCache(FileKeyStore(path_of(tmp_path)), timer=timer)
    cache.warm_up()
    (tmp_path / "a.pem").unlink()
    for _look in range(2):
        try:
            cache.refresh()
        except KeyStoreError:
            timer.advance(1)
    assert cache.health().state == "revoked"


def test_a_single_file_that_comes_back_is_trusted_again(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path / "a.pem")
    write(tmp_path, a=KEY.pem)
    store.load()
    (tmp_path / "a.pem").unlink()
    assert len(store.load()) == 0
    write(tmp_path, a=OTHER_KEY.pem)
    assert dict(store.load().keys) == {"a": OTHER_KEY.public}


@pytest.mark.parametrize("path", ["a.pem", ""])
def test_a_folder_that_is_gone_is_a_fault_and_no_withdrawal(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    write(folder, a=KEY.pem)
    store = FileKeyStore(folder / path)
    store.load()
    (folder / "a.pem").unlink()
    folder.rmdir()
    for _look in range(2):
        with pytest.raises(KeyStoreError, match="does not exist"):
            store.load()


def test_a_folder_that_vanishes_before_it_is_listed_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.isdir", lambda _path: True)
    with pytest.raises(KeyStoreError, match=r"cannot be listed \(No such file or directory\)"):
        FileKeyStore(tmp_path / "absent").load()


def test_a_folder_that_vanishes_after_it_was_listed_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_listdir = os.listdir

    def listed_for_the_last_time(folder: str) -> list[str]:
        names = real_listdir(folder)
        os.rmdir(folder)
        return names

    folder = tmp_path / "keys"
    folder.mkdir()
    monkeypatch.setattr(os, "listdir", listed_for_the_last_time)
    with pytest.raises(KeyStoreError):
        FileKeyStore(folder).load()


def test_a_load_that_comes_late_does_not_bring_back_what_was_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, a=KEY.pem, b=THIRD_KEY.pem)
    store = FileKeyStore(tmp_path)
    read, was_read, may_go_on = store._reader.read_folder, threading.Event(), threading.Event()

    def hang_after_reading(folder: str) -> Any:
        monkeypatch.setattr(store._reader, "read_folder", read)
        contents = read(folder)
        was_read.set()
        assert may_go_on.wait(10)
        return contents

    monkeypatch.setattr(store._reader, "read_folder", hang_after_reading)
    late = threading.Thread(target=store.load, daemon=True)
    late.start()
    assert was_read.wait(10)
    write(tmp_path, a=OTHER_KEY.pem)
    assert store.load().keys["a"] == OTHER_KEY.public
    may_go_on.set()
    late.join(10)
    write(tmp_path, a=TRUNCATED)
    assert store.load().keys["a"] == OTHER_KEY.public


# who may write


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_warns_once_of_a_file_and_a_folder_that_anybody_may_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # A147
    write(tmp_path, a=KEY.pem, b=OTHER_KEY.pem)
    (tmp_path / "a.pem").chmod(0o666)
    tmp_path.chmod(0o777)
    store = FileKeyStore(tmp_path)
    for _load in range(3):
        assert list(store.load()) == ["a", "b"]
    assert len(warnings_of(caplog)) == 2
    assert all("anybody on this machine may change" in message for message in warnings_of(caplog))
    paths = {shown(str(tmp_path)), shown(str(tmp_path / "a.pem"))}
    assert {vars(record)["d1_path"] for record in caplog.records} == paths
    assert {vars(record)["d1_event"] for record in caplog.records} == {"keys_writable"}


def test_does_not_warn_of_what_only_owner_and_group_may_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, a=KEY.pem)
    (tmp_path / "a.pem").chmod(0o664)
    tmp_path.chmod(0o775)
    FileKeyStore(tmp_path).load()
    assert warnings_of(caplog) == []


def test_warns_of_a_sticky_folder_to_which_anybody_may_add_a_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, a=KEY.pem)
    tmp_path.chmod(0o777 | stat.S_ISVTX)
    FileKeyStore(tmp_path).load()
    assert len(warnings_of(caplog)) == 1


# arguments


@pytest.mark.parametrize("path", ["", None, 5, b"/etc", "a\0b", []], ids=repr)
def test_refuses_what_is_no_path(path: Any) -> None:
    with pytest.raises(ConfigurationError, match="path"):
        FileKeyStore(path)


def test_refuses_a_path_object_that_is_bytes() -> None:
    class BytesPath(os.PathLike[bytes]):
        def __fspath__(self) -> bytes:
            return b"/etc"

    with pytest.raises(ConfigurationError, match="path"):
        FileKeyStore(BytesPath())  # type: ignore[arg-type]


@pytest.mark.parametrize("kid", ["", "a\nb", "k" * 257, 5], ids=["empty", "line end", "long", "int"])
def test_refuses_what_is_no_key_id(tmp_path: Path, kid: Any) -> None:
    with pytest.raises(ConfigurationError, match="kid"):
        FileKeyStore(tmp_path, kid=kid)


def test_a_kid_for_a_folder_is_key_trouble_that_says_so(tmp_path: Path) -> None:
    write(tmp_path, a=KEY.pem)
    with pytest.raises(KeyStoreError, match="is for a single file"):
        FileKeyStore(tmp_path, kid="k1").load()


def test_construction_reads_nothing(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path / "later.pem")
    write(tmp_path, later=KEY.pem)
    assert list(store.load()) == ["later"]


def test_a_file_whose_reading_would_block_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pem").write_text(KEY.pem)

    class Blocking(io.BytesIO):
        def read(self, _size: int | None = -1) -> Any:
            return None

    monkeypatch.setattr(_reading, "open", lambda *_args, **_kwargs: Blocking(), raising=False)
    assert skipped(FileKeyStore(tmp_path).load()) == {"a.pem": "it is not exactly one PEM block labelled PUBLIC KEY"}

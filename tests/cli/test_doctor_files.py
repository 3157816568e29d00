"""What the doctor says of files: who may change and read them, and private keys among the public ones."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)

from d1verify.cli import _checkup_secrets, doctor
from d1verify.cli._checkup import Check, Mark
from d1verify.cli._checkup_files import check_private
from d1verify.cli._checkup_secrets import ADVICE, check_file, check_folder, holds_private_key
from tests.support import KEY, OTHER_KEY, b64

from .checkup import Look

NOBODY = 65_534
Of = Callable[[str], Check]

as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def of_folder(look: Look, folder: Path) -> Of:
    """Return what gives the check of that name for the folder with one key."""
    return lambda name: look(KEYS=None, KEYS_PATH=str(folder))[name]


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


class TestPermissions:
    def test_a_folder_that_is_the_owners_alone_is_well(self, of_folder: Of) -> None:
        assert [of_folder(name).mark for name in ("readable", "writable", "owner")] == [Mark.OK] * 3
        assert of_folder("readable").seen == "1 file, by this user"

    @pytest.mark.parametrize("what", ["folder", "file"])
    @pytest.mark.parametrize(("mode", "mark"), [(0o777, Mark.FAIL), (0o1777, Mark.FAIL), (0o775, Mark.WARN)])
    def test_what_others_may_change_is_told(
        self, of_folder: Of, folder: Path, what: str, mode: int, mark: Mark
    ) -> None:
        path = folder if what == "folder" else folder / f"{KEY.kid}.pem"
        path.chmod(mode)
        check = of_folder("writable")
        assert check.mark is mark
        assert str(path) in check.seen

    def test_a_folder_above_counts_unless_it_is_sticky(self, of_folder: Of, folder: Path) -> None:
        folder.parent.chmod(0o777)
        assert (of_folder("writable").mark, of_folder("writable").seen) == (
            Mark.FAIL,
            f"anybody on this machine may change {folder.parent}",
        )
        folder.parent.chmod(0o1777)
        assert of_folder("writable").mark is Mark.OK

    def test_where_a_link_leads_counts(self, of_folder: Of, folder: Path) -> None:
        """As Kubernetes lays them out, `..data` being swapped whole."""
        real = folder / "..2026"
        real.mkdir()
        shutil.move(folder / f"{KEY.kid}.pem", real)
        (folder / "..data").symlink_to("..2026")
        (folder / f"{KEY.kid}.pem").symlink_to(f"..data/{KEY.kid}.pem")
        assert of_folder("writable").mark is Mark.OK
        real.chmod(0o777)
        assert str(real) in of_folder("writable").seen

    def test_on_a_read_only_mount_the_modes_say_nothing(
        self, of_folder: Of, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Kubernetes mounts a secret with mode 1777, read-only."""
        folder.chmod(0o1777)
        folder.parent.chmod(0o777)
        monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_flag=os.ST_RDONLY))
        assert of_folder("writable").mark is Mark.OK

    def test_the_folder_of_a_single_file_counts(self, look: Look, folder: Path) -> None:
        path = str(folder / f"{KEY.kid}.pem")
        assert look(KEYS=None, KEYS_PATH=path)["writable"].mark is Mark.OK
        folder.chmod(0o775)
        assert look(KEYS=None, KEYS_PATH=path)["writable"].mark is Mark.WARN
        folder.chmod(0o777)
        checks = look(KEYS=None, KEYS_PATH=path)
        assert checks["writable"].mark is Mark.FAIL
        assert checks["readable"].mark is Mark.OK

    @as_root
    def test_a_file_of_somebody_else_is_a_warning(self, of_folder: Of, folder: Path) -> None:
        os.chown(folder / f"{KEY.kid}.pem", NOBODY, NOBODY)
        check = of_folder("owner")
        assert (check.mark, check.seen) == (Mark.WARN, f"user {NOBODY} owns {folder / f'{KEY.kid}.pem'}")

    def test_a_file_that_cannot_be_read_is_a_failure(self, of_folder: Of, folder: Path) -> None:
        (folder / "loop.pem").symlink_to("loop.pem")
        check = of_folder("readable")
        assert check.mark is Mark.FAIL
        assert check.seen.startswith("loop.pem: it cannot be opened (")
        os.mkfifo(folder / "pipe.pem")
        assert of_folder("readable").seen.endswith("and 1 more")

    def test_a_folder_that_cannot_be_listed_is_a_failure(self, of_folder: Of, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(_path: str) -> list[str]:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "listdir", denied)
        monkeypatch.setattr(os, "scandir", denied)
        assert of_folder("readable").seen == "the key folder cannot be listed (Permission denied)"
        assert of_folder("keys").mark is Mark.FAIL
        assert of_folder("private keys").mark is Mark.SKIPPED

    def test_where_there_are_no_such_permissions_the_checks_are_skipped(
        self, of_folder: Of, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(os, "geteuid")
        assert [of_folder(name).mark for name in ("writable", "owner")] == [Mark.SKIPPED] * 2
        assert check_private("client key", str(folder)).mark is Mark.SKIPPED


class TestSecretFiles:
    @pytest.mark.parametrize(
        ("mode", "mark"), [(0o600, Mark.OK), (0o400, Mark.OK), (0o644, Mark.FAIL), (0o604, Mark.FAIL)]
    )
    def test_may_be_read_by_the_owner_alone(self, tmp_path: Path, mode: int, mark: Mark) -> None:
        path = tmp_path / "key.pem"
        path.touch()
        path.chmod(mode)
        check = check_private("client key", str(path))
        assert check.mark is mark
        assert f"{mode:04o}" in check.seen

    @as_root
    @pytest.mark.parametrize(
        ("owner", "me", "mode", "mark"),
        [
            pytest.param(0, 0, 0o640, Mark.OK, id="root's, for a group"),
            pytest.param(NOBODY, 0, 0o600, Mark.WARN, id="somebody else's"),
            pytest.param(NOBODY, NOBODY, 0o600, Mark.OK, id="one's own"),
            pytest.param(NOBODY, NOBODY, 0o640, Mark.WARN, id="one's own, for a group"),
        ],
    )
    def test_belong_to_root_or_to_the_app(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, owner: int, me: int, mode: int, mark: Mark
    ) -> None:
        path = tmp_path / "key.pem"
        path.touch()
        path.chmod(mode)
        os.chown(path, owner, -1)
        monkeypatch.setattr(os, "geteuid", lambda: me)
        assert check_private("client key", str(path)).mark is mark


EC = load_pem_private_key(KEY.private_pem.encode(), None)
assert isinstance(EC, ec.EllipticCurvePrivateKey)
RSA = rsa.generate_private_key(65_537, 2048)
LOCKED = BestAvailableEncryption(b"password")
PLAIN = NoEncryption()


def ec_bytes(encoding: Encoding, form: PrivateFormat, lock: KeySerializationEncryption = PLAIN) -> bytes:
    assert isinstance(EC, ec.EllipticCurvePrivateKey)
    return EC.private_bytes(encoding, form, lock)


PRIVATE = {
    "PKCS #8, PEM": KEY.private_pem.encode(),
    "PKCS #8, PEM, behind other things": b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n" + KEY.private_pem.encode(),
    "PKCS #8, PEM, in UTF-16": KEY.private_pem.encode("utf-16"),
    "PKCS #8, PEM, in base64": b64(KEY.private_pem.encode()).encode(),
    "PKCS #8, PEM, encrypted": ec_bytes(Encoding.PEM, PrivateFormat.PKCS8, LOCKED),
    "SEC 1, PEM": ec_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL),
    "OpenSSH": ec_bytes(Encoding.PEM, PrivateFormat.OpenSSH),
    "PGP": b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n",
    "PKCS #8, DER": ec_bytes(Encoding.DER, PrivateFormat.PKCS8),
    "PKCS #8, DER, encrypted": ec_bytes(Encoding.DER, PrivateFormat.PKCS8, LOCKED),
    "SEC 1, DER": ec_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL),
    "RSA, PKCS #8, DER": RSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, PLAIN),
    "RSA, PKCS #8, DER, encrypted": RSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, LOCKED),
    "RSA, PKCS #1, DER": RSA.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, PLAIN),
    "PKCS #12": pkcs12.serialize_key_and_certificates(b"d1", RSA, None, None, LOCKED),
    "Java's": b"\xfe\xed\xfe\xed\x00\x00\x00\x02",
    "JWK": b'{"kty":"EC", "d" : "c2VjcmV0c2VjcmV0"}',
    "JWK Set": b'{"keys":[{"kty":"RSA","n":"AQAB"},{"d":"c2VjcmV0c2VjcmV0","kty":"RSA"}]}',
    "symmetric JWK": b'{"kty":"oct","k":"c2VjcmV0c2VjcmV0"}',
    "JWK that is no JSON": b'jwk = {"kty":"EC","d":"c2VjcmV0c2VjcmV0",}',
}  # fmt: skip
PUBLIC = {
    "nothing": b"",
    "PEM": KEY.pem.encode(),
    "DER": EC.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "RSA, DER": RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "RSA, PKCS #1, DER": RSA.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1),
    "JWK": b'{"kty":"EC","crv":"P-256","x":"aaaaaaaaaaaaaaa","y":"bbbbbbbbbbbbbb","kid":"d"}',
    "JSON": b'{"d":"c2VjcmV0c2VjcmV0"}',
    "base64": b"aGVsbG8=",
    "letters that are no base64": b"a",
    "text": b"BEGIN PRIVATE KEY is what such a file begins with.",
}


class TestPrivateKeys:
    @pytest.mark.parametrize("content", PRIVATE.values(), ids=PRIVATE)
    def test_is_known_in_any_form(self, content: bytes) -> None:
        assert holds_private_key(content)

    @pytest.mark.parametrize("content", PUBLIC.values(), ids=PUBLIC)
    def test_what_is_public_is_not_taken_for_one(self, content: bytes) -> None:
        assert not holds_private_key(content)

    @pytest.mark.parametrize(
        "name", ["k.key", ".k.pem", "k.pem", "notes", "below/k.key", ".git/objects/k", "a/b/c/d/k"]
    )
    def test_is_found_whatever_the_file_is_called(self, of_folder: Of, folder: Path, name: str) -> None:
        assert of_folder("private keys").seen == "none in 1 files"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(OTHER_KEY.private_pem)
        check = of_folder("private keys")
        assert (check.mark, check.seen) == (Mark.FAIL, f"in {name}")

    def test_what_keygen_makes_is_found(self, of_folder: Of, folder: Path) -> None:
        from d1verify.cli.material import generate

        generate("k-1", folder, as_json=False)
        assert of_folder("private keys").seen == "in k-1.key, k-1.private.jwk"

    def test_links_are_not_followed(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "k.key").write_text(KEY.private_pem)
        (folder / "link").symlink_to(tmp_path / "elsewhere")
        (folder / "link.key").symlink_to(tmp_path / "elsewhere" / "k.key")
        assert check_folder(str(folder)).mark is Mark.OK

    def test_what_is_too_large_is_told(self, folder: Path) -> None:
        (folder / "large").write_bytes(b"x" * 300_000)
        check = check_folder(str(folder))
        assert (check.mark, check.seen) == (Mark.WARN, "none in 1 files; 1 could not be read or are too large")

    @pytest.mark.parametrize(("limit", "value"), [("MAX_ENTRIES", 2), ("MAX_DEPTH", 0)])
    def test_it_ends_at_a_sane_number(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
    ) -> None:
        (folder / "below").mkdir()
        for name in ("a", "b", "below/c"):
            (folder / name).touch()
        assert check_folder(str(folder)).mark is Mark.OK
        monkeypatch.setattr(_checkup_secrets, limit, value)
        check = check_folder(str(folder))
        assert check.mark is Mark.WARN
        assert check.seen.endswith("there is more than was looked at")

    def test_it_ends_at_a_sane_size(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "a").touch()
        monkeypatch.setattr(_checkup_secrets, "MAX_TOTAL_BYTES", 0)
        assert check_folder(str(folder)).seen.startswith("none in 0 files; 2 could not")

    def test_other_file_systems_are_left_alone(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "below").mkdir()
        real = os.stat
        monkeypatch.setattr(os, "stat", lambda path: SimpleNamespace(st_dev=-1) if path == str(folder) else real(path))
        assert check_folder(str(folder)).seen == "none in 1 files; there is more than was looked at"


class TestPrivateKeysAtASingleFile:
    @pytest.fixture
    def file(self, folder: Path) -> Path:
        return folder / f"{KEY.kid}.pem"

    @pytest.fixture
    def of_file(self, look: Look, file: Path) -> Of:
        """Return what gives the check of that name for the file alone."""
        return lambda name: look(KEYS=None, KEYS_PATH=str(file))[name]

    def test_is_told_where_there_is_none(self, of_file: Of, folder: Path) -> None:
        (folder / "notes").touch()
        assert (of_file("private keys").mark, of_file("private keys").seen) == (Mark.OK, "none in 2 files")

    @pytest.mark.parametrize("suffix", ["pem", "json"])
    def test_what_keygen_makes_is_found_beside_the_public_half(self, look: Look, folder: Path, suffix: str) -> None:
        from d1verify.cli.material import generate

        generate("k-1", folder, as_json=False)
        checks = look(KEYS=None, KEYS_PATH=str(folder / f"k-1.{suffix}"))
        assert checks["keys"].mark is Mark.OK
        check = checks["private keys"]
        assert (check.mark, check.seen) == (Mark.FAIL, "in k-1.key, k-1.private.jwk")
        assert check.advice == f"{ADVICE}; if it is for something else, give the key file a folder of its own"

    @pytest.mark.parametrize("content", [KEY.private_pem, '{"kty":"EC","d":"c2VjcmV0c2VjcmV0"}'], ids=["PEM", "JWK"])
    @pytest.mark.parametrize("suffix", ["pem", "json", "key"])
    def test_a_file_that_is_one_itself_is_to_be_moved_off(
        self, look: Look, folder: Path, suffix: str, content: str
    ) -> None:
        file = folder / f"k.{suffix}"
        file.write_text(content)
        checks = look(KEYS=None, KEYS_PATH=str(file))
        assert (checks["private keys"].seen, checks["private keys"].advice) == (f"in {file.name}", ADVICE)
        assert (checks["keys"].mark, checks["keys"].code) == (Mark.FAIL, 3)
        assert str(checks["keys"].advice).startswith(f"{ADVICE}; then put D1's public keys there")

    def test_a_file_that_is_no_key_at_all_is_to_be_replaced(self, of_file: Of, file: Path) -> None:
        file.write_text("junk")
        assert str(of_file("keys").advice).startswith("put D1's public keys there")
        assert of_file("private keys").mark is Mark.OK

    def test_one_among_public_ones_is_found(self, look: Look, folder: Path) -> None:
        file = folder / "keys.json"
        file.write_text(json.dumps({"keys": [KEY.jwk, {**OTHER_KEY.jwk, "d": "c2VjcmV0c2VjcmV0"}]}))
        checks = look(KEYS=None, KEYS_PATH=str(file))
        assert (checks["keys"].mark, checks["private keys"].seen) == (Mark.OK, "in keys.json")

    def test_folders_beside_it_are_left_alone(self, of_file: Of, folder: Path) -> None:
        (folder / "below").mkdir()
        (folder / "below" / "k.key").write_text(OTHER_KEY.private_pem)
        assert (of_file("private keys").mark, of_file("private keys").seen) == (Mark.OK, "none in 1 files")

    def test_beside_it_is_also_where_its_link_leads(self, of_file: Of, file: Path, folder: Path) -> None:
        """As Kubernetes lays a secret out in which both halves are."""
        real = folder / "..2026"
        real.mkdir()
        shutil.move(file, real)
        (real / "k.key").write_text(KEY.private_pem)
        (folder / "..data").symlink_to("..2026")
        for name in (file.name, "k.key"):
            (folder / name).symlink_to(f"..data/{name}")
        assert of_file("keys").mark is Mark.OK
        assert of_file("private keys").seen == "in ..2026/k.key"

    def test_a_path_from_where_the_app_runs_is_looked_at(
        self, look: Look, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "k.key").write_text(KEY.private_pem)
        monkeypatch.chdir(folder)
        assert look(KEYS=None, KEYS_PATH=f"{KEY.kid}.pem")["private keys"].seen == "in k.key"

    def test_what_could_not_be_looked_at_is_told(
        self, of_file: Of, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "large").write_bytes(b"x" * 300_000)
        check = of_file("private keys")
        assert (check.mark, check.seen) == (Mark.WARN, "none in 1 files; 1 could not be read or are too large")
        assert check.advice == "give the key file a folder of its own"
        monkeypatch.setattr(_checkup_secrets, "MAX_ENTRIES", 1)
        assert of_file("private keys").seen.endswith("there is more than was looked at")

    def test_in_a_folder_that_cannot_be_listed_the_file_itself_is_looked_at(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def denied(_path: str) -> list[str]:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "scandir", denied)
        assert check_file(str(file)).mark is Mark.SKIPPED
        file.write_text(KEY.private_pem)
        assert (check_file(str(file)).mark, check_file(str(file)).seen) == (Mark.FAIL, f"in {file.name}")


def test_a_folder_that_goes_away_meanwhile_breaks_one_check_and_no_more(
    look: Look, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: str) -> list[Check]:
        raise FileNotFoundError(2, "No such file", path)

    monkeypatch.setattr(doctor, "check_key_files", gone)
    checks = look(KEYS=None, KEYS_PATH=str(folder))
    assert checks["files"].seen == "this check broke off (FileNotFoundError)"
    assert checks["private keys"].mark is Mark.OK

"""FakeD1: tokens that are D1's, tokens that are not, and keys that come and go."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from d1verify import ConfigurationError, D1Verifier, FileKeyStore, KeySet, PublicKey
from d1verify.testing import NOTIFY_UPDATE_PATH, REMOVE, FakeD1
from d1verify.testing._signing import SigningKey

from ..support import NOW, SUBJECT, Clock, refused, unb64, unmeasured


def verifier_of(fake_d1: FakeD1, **settings: Any) -> D1Verifier:
    return D1Verifier(fake_d1.key_store, audience="stg", subject=SUBJECT, **settings)


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, payload, _ = token.split(".")
    return json.loads(unb64(header)), json.loads(unb64(payload))


def test_signs_tokens_that_a_verifier_with_its_key_store_accepts() -> None:
    fake_d1 = FakeD1()
    token = verifier_of(fake_d1).verify(fake_d1.token())
    assert (token.issuer, token.audience, token.subject, token.kid) == ("d1", ("stg",), SUBJECT, fake_d1.kid)


def test_goes_by_its_own_clock_audience_and_subject() -> None:
    fake_d1 = FakeD1(audience="prd", subject="MGW_7", clock=Clock())
    assert parts_of(fake_d1.token())[1] == {"iss": "d1", "sub": "MGW_7", "aud": "prd", "exp": NOW + 600}
    verifier = D1Verifier(fake_d1.key_store, audience="prd", subject="MGW_7", clock=Clock())
    assert verifier.verify_header(fake_d1.headers()["Authorization"]).subject == "MGW_7"


def test_changes_and_removes_claims_and_header_members() -> None:
    fake_d1 = FakeD1(clock=Clock())
    token = fake_d1.token(header={"typ": REMOVE, "x": 1}, aud=REMOVE, exp=5, jti="a")
    assert parts_of(token) == (
        {"alg": "ES256", "kid": fake_d1.kid, "x": 1},
        {"iss": "d1", "sub": SUBJECT, "exp": 5, "jti": "a"},
    )


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": REMOVE},
        {"alg": 5},
        {"kid": [1]},
        {"typ": None},
        {"crit": ["x"], "x": 1},
        {"b64": False, "crit": ["b64"]},
        {"x": "y" * 1000},
    ],
    ids=repr,
)
def test_signs_any_header_whatever_by_the_current_key(header: dict[str, Any]) -> None:
    fake_d1 = FakeD1()
    token = fake_d1.token(header=header)
    signing_input, _, signature = token.rpartition(".")
    PublicKey.from_pem(fake_d1.public_pem).verify(unb64(signature), signing_input.encode())
    expected = {name: value for name, value in fake_d1.jose_header(**header).items() if value is not REMOVE}
    assert parts_of(token)[0] == expected


def test_injects_bytes_and_replaces_the_signature() -> None:
    fake_d1 = FakeD1()
    header, payload, signature = fake_d1.token(header=b"\xff", payload=b"[1]", signature=b"abc").split(".")
    assert (unb64(header), unb64(payload), unb64(signature)) == (b"\xff", b"[1]", b"abc")
    *_, signature = fake_d1.token(signature=lambda signing_input: signing_input[:2]).split(".")
    assert unb64(signature) == b"ey"


def test_takes_a_payload_or_claims_but_not_both() -> None:
    with pytest.raises(TypeError, match="payload or claims"):
        FakeD1().token(payload=b"{}", exp=1)


def test_a_rotation_and_a_withdrawal_hold_at_the_next_call_under_default_timing() -> None:
    fake_d1 = FakeD1()
    verifier = verifier_of(fake_d1)
    old, old_kid = fake_d1.token(), fake_d1.kid
    for _ in range(20):
        verifier.verify(old)
        assert refused(lambda: verifier.verify(fake_d1.token(header={"kid": "unknown"}))) == "unknown_key"
        new_kid = fake_d1.rotate()
        assert fake_d1.kids == (old_kid, new_kid)
        new = fake_d1.token()
        assert verifier.verify(new).kid == new_kid
        assert verifier.verify(old).kid == old_kid
        fake_d1.withdraw(old_kid)
        assert refused(partial(verifier.verify, old)) == "unknown_key"
        old, old_kid = new, new_kid


def test_signs_by_the_newest_key_also_when_it_is_withdrawn() -> None:
    fake_d1 = FakeD1()
    verifier = verifier_of(fake_d1)
    first = fake_d1.kid
    second = fake_d1.rotate()
    fake_d1.withdraw(second)
    assert (fake_d1.kid, fake_d1.kids) == (second, (first,))
    assert refused(lambda: verifier.verify(fake_d1.token())) == "unknown_key"
    assert fake_d1.rotate() not in {first, second}


def test_a_new_key_never_takes_an_id_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(PKCS8)
    fake_d1 = FakeD1.from_pem(tmp_path / "key.pem", kid="fake-d1-key-2")
    assert (fake_d1.rotate(), fake_d1.rotate()) == ("fake-d1-key-3", "fake-d1-key-4")


def test_withdrawing_an_unknown_key_is_an_error() -> None:
    with pytest.raises(KeyError):
        FakeD1().withdraw("nobody")


def test_publishes_its_keys_as_a_jwk_set() -> None:
    fake_d1 = FakeD1()
    fake_d1.rotate()
    keys = KeySet.from_jwks(fake_d1.jwks())
    assert (tuple(keys), keys.skipped) == (fake_d1.kids, ())
    assert fake_d1.public_jwk == fake_d1.jwks()["keys"][1]


def test_keeps_a_folder_as_its_keys_are(tmp_path: Path) -> None:
    fake_d1 = FakeD1(after_key_change=lambda: verifier.refresh())  # noqa: PLW0108 - it is made further down
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "other.pem").write_text(FakeD1().public_pem)
    folder = fake_d1.write_to(tmp_path / "keys")
    verifier = D1Verifier(FileKeyStore(folder), audience="stg", subject=SUBJECT)
    old, old_kid = fake_d1.token(), fake_d1.kid
    verifier.verify(old)
    fake_d1.rotate()
    verifier.verify(fake_d1.token())
    fake_d1.withdraw(old_kid)
    assert refused(lambda: verifier.verify(old)) == "unknown_key"
    assert sorted(path.name for path in folder.iterdir()) == sorted(["other.pem", f"{fake_d1.kid}.pem"])
    assert fake_d1.can_rotate


def test_a_file_that_somebody_else_removed_is_no_error(tmp_path: Path) -> None:
    fake_d1 = FakeD1()
    fake_d1.write_to(tmp_path)
    first = fake_d1.kid
    (tmp_path / f"{first}.pem").unlink()
    with fake_d1.one_change():
        fake_d1.rotate()
        fake_d1.withdraw(first)
    assert [path.name for path in tmp_path.iterdir()] == [f"{fake_d1.kid}.pem"]


def test_tells_of_several_changes_once() -> None:
    told: list[tuple[str, ...]] = []
    fake_d1 = FakeD1(after_key_change=lambda: told.append(fake_d1.kids))
    with fake_d1.one_change():
        old, new = fake_d1.kid, fake_d1.rotate()
        fake_d1.withdraw(old)
    assert told == [(new,)]


def test_knows_whether_an_app_follows_its_keys(tmp_path: Path) -> None:
    assert not FakeD1().can_rotate
    written = FakeD1()
    written.write_to(tmp_path)
    assert not written.can_rotate
    handed_out = FakeD1()
    assert handed_out.key_store is handed_out.key_store
    assert handed_out.can_rotate
    assert FakeD1(can_rotate=True).can_rotate
    denied = FakeD1(can_rotate=False)
    assert denied.key_store.load()
    assert not denied.can_rotate


PRIVATE_KEY = ec.generate_private_key(ec.SECP256R1())
SEC1 = PRIVATE_KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
PKCS8 = PRIVATE_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PUBLIC = PRIVATE_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("pem", [SEC1, PKCS8], ids=["SEC1", "PKCS #8"])
def test_signs_with_a_private_key_from_a_file(pem: bytes, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(pem)
    fake_d1 = FakeD1.from_pem(tmp_path / "key.pem", kid="mine", path=NOTIFY_UPDATE_PATH, leeway=5)
    assert (fake_d1.kid, fake_d1.path, fake_d1.leeway) == ("mine", NOTIFY_UPDATE_PATH, 5)
    assert fake_d1.public_pem == PUBLIC.decode()
    assert verifier_of(fake_d1).verify(fake_d1.token()).kid == "mine"


@pytest.mark.parametrize(
    "content",
    [
        PUBLIC,
        PRIVATE_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        ec.generate_private_key(ec.SECP384R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        b"a secret that is no key",
    ],
    ids=["public", "encrypted", "P-384", "RSA", "text"],
)
def test_refuses_any_other_file_and_says_nothing_of_what_is_in_it(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        FakeD1.from_pem(tmp_path / "key.pem", kid="mine")
    assert str(caught.value) == "the file must hold one private P-256 key as PEM, not encrypted"
    with pytest.raises(FileNotFoundError):
        FakeD1.from_pem(tmp_path / "nothing.pem", kid="mine")


@pytest.mark.parametrize("kid", ["", "a\nb", "k" * 257])
def test_refuses_a_key_id_that_no_verifier_takes(kid: str, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(PKCS8)
    with pytest.raises(ConfigurationError, match="kid"):
        FakeD1.from_pem(tmp_path / "key.pem", kid=kid)


@pytest.mark.parametrize("kid", ["../evil", ".hidden", "a/b", "a b"])
def test_writes_no_file_outside_the_folder(kid: str, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(PKCS8)
    fake_d1 = FakeD1.from_pem(tmp_path / "key.pem", kid=kid)
    with pytest.raises(ConfigurationError, match="file name"):
        fake_d1.write_to(tmp_path / "keys")
    assert list((tmp_path / "keys").iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "/notify"}, "merchantGatewayId"),
        ({"path": "x/{merchantGatewayId}"}, "path must start"),
        ({"open_path": "health"}, "open_path must start"),
        ({"websocket_path": "events"}, "websocket_path must start"),
        ({"leeway": 301}, "leeway"),
        ({"leeway": "30"}, "leeway"),
    ],
)
def test_refuses_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        FakeD1(**settings)


def test_fills_the_path_template_in() -> None:
    assert FakeD1().call_path("MGW_1") is None
    assert (
        FakeD1(path=NOTIFY_UPDATE_PATH).call_path("MGW/1")
        == "/merchant-gateways/MGW%2F1/merchants/merchantId-000001/tokens/tokenId-000001/notify-update"
    )


def test_shows_no_key_and_no_token_when_printed() -> None:
    fake_d1 = FakeD1()
    key = SigningKey.generate("k")
    assert [repr(one) for one in (fake_d1, key, REMOVE)] == ["<FakeD1 stg MGW_000001>", "<SigningKey P-256>", "REMOVE"]
    with contextlib.suppress(AttributeError):
        assert "PRIVATE" not in repr(vars(key))


def test_importing_the_kit_loads_no_signing_library_no_http_client_and_no_framework() -> None:
    heavy = "{'joserfc', 'httpx2', 'starlette', 'anyio', 'asyncio', 'pytest', 'd1verify.testing.fake_d1'}"
    script = f"import sys, d1verify.testing; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], env=unmeasured(), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_names_that_do_not_exist_are_attribute_errors() -> None:
    import d1verify.testing

    for name in d1verify.testing.__all__:
        assert getattr(d1verify.testing, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        d1verify.testing.nothing_of_this_name  # noqa: B018

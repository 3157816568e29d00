"""The commands as a shell runs them: what they print, and how they end."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from d1verify import D1Verifier, FileKeyStore, KeySet
from d1verify.cli.explain import STEPS
from tests.faults.certificates import authority, mutual_context
from tests.faults.servers import raw_server, serving
from tests.support import KEY, OTHER_KEY, REMOVE, SUBJECT, b64

from .shell import Shell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / f"{KEY.kid}.pem").write_text(KEY.pem)
    return tmp_path / "keys"


class TestKeys:
    @pytest.mark.usefixtures("folder")
    def test_shows_what_a_folder_gives_and_for_how_long(self, d1verify: Shell) -> None:
        shown = d1verify("keys", "keys")
        assert shown.code == 0
        for text in (KEY.kid, "folder keys", "5 s", "7 s"):
            assert text in shown.out

    def test_a_source_too_long_for_a_path_is_a_usage_error(self, d1verify: Shell) -> None:
        assert d1verify("keys", "a" * 5000).code == 2

    def test_the_thumbprint_is_that_of_rfc_7638(self, d1verify: Shell, tmp_path: Path) -> None:
        import hashlib

        (tmp_path / "key.json").write_text(json.dumps(KEY.jwk))
        members = {name: KEY.jwk[name] for name in ("crv", "kty", "x", "y")}
        digest = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
        assert d1verify("keys", "key.json", "--json").json["keys"] == [{"kid": KEY.kid, "thumbprint": b64(digest)}]

    def test_tells_what_was_skipped_and_why_without_the_key(self, d1verify: Shell, folder: Path) -> None:
        (folder / "private.pem").write_text(OTHER_KEY.private_pem)
        shown = d1verify("keys", "keys")
        assert shown.code == 0
        assert "private.pem" in shown.out
        assert "private key" in shown.out
        assert OTHER_KEY.private_pem.splitlines()[1] not in shown.out

    def test_ends_with_3_when_nothing_is_usable(self, d1verify: Shell, tmp_path: Path) -> None:
        (tmp_path / "bad.json").write_text(json.dumps({"keys": [{"kty": "RSA", "kid": "r"}]}))
        shown = d1verify("keys", "bad.json")
        assert shown.code == 3
        assert "No usable key in file bad.json" in shown.out
        assert d1verify("keys", "bad.json", "--json").json["skipped"] == [
            {"name": "r", "why": "it is not an EC key on the curve P-256"}
        ]

    def test_a_source_that_says_nothing_ends_with_3(self, d1verify: Shell, tmp_path: Path) -> None:
        (tmp_path / "junk.pem").write_text("hello")
        shown = d1verify("keys", "junk.pem", "--json")
        assert (shown.code, shown.json["keys"]) == (3, [])
        assert shown.json["error"]

    def test_an_environment_variable_never_expires(self, d1verify: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MY_KEY", KEY.pem)
        shown = d1verify("keys", "MY_KEY", "--kid", "k")
        assert shown.code == 0
        assert "a restart" in shown.out
        report = d1verify("keys", "MY_KEY", "--kid", "k", "--json").json
        assert (report["max_age"], report["withdrawal_bound"]) == (None, None)

    def test_a_kid_cannot_move_the_cursor(self, d1verify: Shell, tmp_path: Path) -> None:
        (tmp_path / "keys.json").write_text(json.dumps({"keys": [{**KEY.jwk, "kid": "[red]\u202e"}]}))
        shown = d1verify("keys", "keys.json")
        assert "\u202e" not in shown.out

    def test_a_url_that_nobody_serves_ends_with_3(self, d1verify: Shell) -> None:
        shown = d1verify("keys", "http://127.0.0.1:9/jwks.json", "--json")
        assert (shown.code, shown.json["kind"]) == (3, "URL")

    @pytest.mark.parametrize("arguments", [("nowhere",), ("keys", "--ca-file", "x"), ("keys", "--client-cert", "x")])
    @pytest.mark.usefixtures("folder")
    def test_a_bad_source_is_a_usage_error(self, d1verify: Shell, arguments: tuple[str, ...]) -> None:
        shown = d1verify("keys", *arguments)
        assert (shown.code, shown.out) == (2, "")
        assert shown.err.startswith("Error: ")

    @pytest.fixture
    def client_certificate(self, tmp_path: Path) -> trustme.LeafCert:
        """Of the fault servers' authority, which is in `ca.pem`; certificate and key are in `me.pem`."""
        authority().cert_pem.write_to_path(tmp_path / "ca.pem")
        certificate = authority().issue_cert("merchant.example")
        certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "me.pem")
        return certificate

    @pytest.mark.usefixtures("client_certificate")
    def test_certificates_for_a_url_are_trusted_and_shown(self, d1verify: Shell) -> None:
        with raw_server(serving(KEY), mutual_context()) as server:
            shown = d1verify("keys", server.url, "--ca-file", "ca.pem", "--client-cert", "me.pem", "--json")
            assert (shown.code, [key["kid"] for key in shown.json["keys"]]) == (0, [KEY.kid])
            assert d1verify("keys", server.url, "--ca-file", "ca.pem").code == 3

    @pytest.mark.usefixtures("client_certificate")
    def test_a_client_certificate_changes_nothing_about_who_is_trusted(
        self, d1verify: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))  # It has no say with a verifier either.
        with raw_server(serving(KEY), mutual_context()) as server:
            shown = d1verify("keys", server.url, "--client-cert", "me.pem", "--json")
        assert shown.code == 3
        assert "SSLCertVerificationError" in shown.json["error"]

    @pytest.mark.parametrize("name", ["absent.pem", "me.pem", ""])
    @pytest.mark.parametrize("option", ["--ca-file", "--client-cert"])
    def test_a_certificate_file_that_is_no_good_is_a_usage_error_that_names_the_option(
        self, d1verify: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, name: str
    ) -> None:
        authority().cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        (tmp_path / "me.pem").write_text("junk")
        shown = d1verify("keys", "https://localhost/jwks.json", option, name)
        assert (shown.code, shown.out) == (2, "")
        assert shown.err.startswith(f"Error: {option} must ")

    def test_an_encrypted_client_key_is_refused_and_no_pass_phrase_asked_for(
        self, client_certificate: trustme.LeafCert, tmp_path: Path
    ) -> None:
        key = load_pem_private_key(client_certificate.private_key_pem.bytes(), None)
        locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
        (tmp_path / "me.pem").write_bytes(locked + client_certificate.cert_chain_pems[0].bytes())
        # In a session of its own there is no terminal, so OpenSSL would ask on standard error and read the input.
        run = subprocess.run(
            [sys.executable, "-m", "d1verify.cli", "keys", "https://localhost:9/", "--client-cert", "me.pem"],
            cwd=tmp_path,
            input="password\n",
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        expected = "Error: --client-cert must hold a certificate and its own key as PEM, the key not encrypted\n"
        assert (run.returncode, run.stdout, run.stderr) == (2, "", expected)


class TestKeygen:
    def test_what_it_makes_can_be_trusted_and_is_for_the_owner_alone(self, d1verify: Shell, tmp_path: Path) -> None:
        made = d1verify("keygen", "k-1", "--json")
        assert made.code == 0
        assert made.json["files"] == ["k-1.key", "k-1.private.jwk", "k-1.pem", "k-1.json"]
        assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in made.json["files"]} == {0o600}
        loaded = FileKeyStore(tmp_path).load()
        assert (list(loaded), loaded.skipped) == (["k-1"], ())
        assert "d" in json.loads((tmp_path / "k-1.private.jwk").read_text())

    def test_never_overwrites_and_leaves_nothing_half_made(self, d1verify: Shell, tmp_path: Path) -> None:
        (tmp_path / "k-1.pem").write_text("mine")
        made = d1verify("keygen", "k-1")
        assert made.code == 2
        assert sorted(os.listdir(tmp_path)) == ["k-1.pem"]
        assert (tmp_path / "k-1.pem").read_text() == "mine"

    @pytest.mark.parametrize("kid", ["../up", "a\\b", ".hidden", "x" * 257])
    def test_a_kid_that_is_no_file_name_is_a_usage_error(self, d1verify: Shell, kid: str) -> None:
        assert d1verify("keygen", kid).code == 2


class TestJwks:
    def test_what_it_prints_is_a_key_set(self, d1verify: Shell, tmp_path: Path) -> None:
        (tmp_path / "one.pem").write_text(KEY.pem)
        (tmp_path / "two.pem").write_text(OTHER_KEY.pem)
        printed = d1verify("jwks", "one.pem", "two.pem")
        assert printed.code == 0
        assert KeySet.from_jwks(printed.out).keys == {"one": KEY.public, "two": OTHER_KEY.public}

    def test_refuses_what_is_no_public_key(self, d1verify: Shell, tmp_path: Path) -> None:
        (tmp_path / "private.pem").write_text(KEY.private_pem)
        assert d1verify("jwks", "private.pem").code == 2
        assert d1verify("jwks", "absent.pem").code == 2

    def test_refuses_two_keys_of_one_name(self, d1verify: Shell, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "k.pem").write_text(KEY.pem)
        (tmp_path / "a" / "k.pem").write_text(OTHER_KEY.pem)
        assert d1verify("jwks", "k.pem", "a/k.pem").code == 2
        assert d1verify("jwks", "k.pem", "k.pem").code == 0


class TestMint:
    def test_mints_a_token_that_verifies_and_says_what_it_is(self, d1verify: Shell, tmp_path: Path) -> None:
        d1verify("keygen", "k-1")
        minted = d1verify("mint", "--key", "k-1.key", "--kid", "k-1", "--claim", "n=1", "--claim", "who=me")
        verifier = D1Verifier(FileKeyStore(tmp_path / "k-1.pem"), audience="stg", subject=SUBJECT)
        claims = verifier.verify(minted.out.strip()).claims
        assert (claims["d1verify_test_token"], claims["n"], claims["who"]) == (True, 1, "me")
        assert "test token" in minted.err
        assert d1verify("mint", "--key", "k-1.key", "--kid", "k-1", "--json").json["test_token"] is True

    def test_bad_arguments_are_usage_errors(self, d1verify: Shell) -> None:
        d1verify("keygen", "k-1")
        assert d1verify("mint", "--key", "absent", "--kid", "k").code == 2
        assert d1verify("mint", "--key", "k-1.pem", "--kid", "k").code == 2
        assert d1verify("mint", "--key", "k-1.key", "--kid", "k", "--claim", "novalue").code == 2


@pytest.fixture
def real_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command line's verifier stand at `NOW`, where the tests' tokens are good."""
    from tests.support import NOW

    made = D1Verifier.from_env.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(D1Verifier, "from_env", classmethod(lambda cls, **given: made(cls, clock=lambda: NOW, **given)))


@pytest.mark.usefixtures("real_now", "folder")
class TestVerify:
    options = ("--keys", "keys", "--aud", "stg", "--sub", SUBJECT)

    @pytest.mark.parametrize(
        ("token", "step", "verdict"),
        [
            pytest.param("opaque", 1, "malformed_token", id="no dots"),
            pytest.param(KEY.mint().replace(".", "..", 1), 1, "malformed_token", id="four parts"),
            pytest.param("a.b.c", 1, "malformed_token", id="impossible base64url"),
            pytest.param(KEY.mint({"alg": "none"}), 2, "disallowed_algorithm", id="alg none"),
            pytest.param(KEY.mint({"crit": ["exp"]}), 2, "malformed_token", id="crit"),
            pytest.param(KEY.mint().rpartition(".")[0] + ".AAAA", 2, "malformed_token", id="short signature"),
            pytest.param(OTHER_KEY.mint(), 3, "unknown_key", id="unknown kid"),
            pytest.param(OTHER_KEY.mint({"kid": KEY.kid}), 4, "bad_signature", id="another key"),
            pytest.param(KEY.sign(KEY.header(), b"[]"), 5, "malformed_token", id="payload is no object"),
            pytest.param(KEY.mint(exp=REMOVE), 6, "missing_claim", id="no exp"),
            pytest.param(KEY.mint(sub="MGW_2"), 6, "wrong_subject", id="another merchant"),
        ],
    )
    def test_names_the_step_that_refused(self, d1verify: Shell, token: str, step: int, verdict: str) -> None:
        shown = d1verify("verify", *self.options, "--json", stdin=token)
        assert (shown.code, shown.json["verdict"], shown.json["claims"]) == (1, verdict, None)
        outcomes = [one["outcome"] for one in shown.json["steps"]]
        assert outcomes == ["passed"] * (step - 1) + [verdict] + ["not reached"] * (len(STEPS) - step)
        assert verdict in d1verify("verify", *self.options, stdin=token).out

    def test_a_good_token_passes_all_six(self, d1verify: Shell) -> None:
        shown = d1verify("verify", *self.options, stdin=KEY.mint() + "\n")
        assert shown.code == 0
        assert shown.out.count("passed") == 6
        assert f"sub: {SUBJECT}" in shown.out

    def test_any_subject_has_to_be_written(self, d1verify: Shell) -> None:
        token = KEY.mint(sub="MGW_2")
        assert d1verify("verify", "--keys", "keys", "--aud", "stg", "--sub", "*", stdin=token).code == 0
        assert d1verify("verify", "--keys", "keys", "--aud", "stg", stdin=token).code == 2

    def test_a_kid_without_keys_is_a_usage_error(self, d1verify: Shell) -> None:
        shown = d1verify("verify", "--kid", "k", "--aud", "stg", "--sub", SUBJECT, stdin=KEY.mint())
        assert (shown.code, "--kid goes with --keys" in shown.err) == (2, True)

    def test_settings_come_from_the_environment(self, d1verify: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {"AUDIENCE": "stg", "SUBJECT": SUBJECT, "KEYS_PATH": "keys"}.items():
            monkeypatch.setenv(f"D1VERIFY_{name}", value)
        assert d1verify("verify", stdin=KEY.mint()).code == 0

    def test_key_trouble_ends_with_3(self, d1verify: Shell, tmp_path: Path) -> None:
        (tmp_path / "junk.pem").write_text("hello")
        options = ("--keys", "junk.pem", "--aud", "stg", "--sub", SUBJECT)
        shown = d1verify("verify", *options, "--json", stdin=KEY.mint())
        assert (shown.code, shown.json["steps"][2]["outcome"]) == (3, "keys_unavailable")


def test_the_installed_command_is_this_one() -> None:
    run = subprocess.run([sys.executable, "-m", "d1verify.cli", "keys", "nowhere"], capture_output=True, check=False)
    assert run.returncode == 2

"""An HTTP key store by environment variables."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from d1verify import ConfigurationError, D1Verifier, HTTPKeyStore, KeyStoreError
from d1verify._settings import key_store_from

from ..faults.certificates import mutual_context, server_contexts, write_tls_files
from ..faults.servers import RawServer, raw_server, serving
from ..support import KEY

URL = "https://keys.example/jwks"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    write_tls_files(folder)
    return folder


@pytest.fixture
def server() -> Iterator[RawServer]:
    with raw_server(serving(KEY), server_contexts().good) as server:
        yield server


def store_from(url: str, /, **files: Path | str) -> HTTPKeyStore:
    variables = {f"D1VERIFY_JWKS_{name}": str(value) for name, value in files.items()}
    store = key_store_from({"D1VERIFY_JWKS_URL": url, **variables})
    assert isinstance(store, HTTPKeyStore)
    return store


def trouble(url: str = URL, /, **files: Path | str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        store_from(url, **files)
    return str(caught.value)


def test_trusts_the_systems_authorities_without_a_ca_file(server: RawServer) -> None:
    with pytest.raises(KeyStoreError, match="SSLCertVerificationError"):
        store_from(server.url).load()


def test_trusts_the_ca_file_alone(server: RawServer, folder: Path) -> None:
    assert list(store_from(server.url, CA_FILE=folder / "ca.pem").load()) == [KEY.kid]
    with raw_server(serving(KEY), server_contexts().unknown_authority) as stranger:
        store = store_from(stranger.url, CA_FILE=folder / "ca.pem")
        with pytest.raises(KeyStoreError, match="SSLCertVerificationError"):
            store.load()


def test_shows_the_client_certificate(folder: Path) -> None:
    files = {"CA_FILE": folder / "ca.pem", "CERT_FILE": folder / "cert.pem", "KEY_FILE": folder / "key.pem"}
    with raw_server(serving(KEY), mutual_context()) as server:
        assert list(store_from(server.url, **files).load()) == [KEY.kid]


def test_shows_a_client_certificate_to_a_server_of_a_public_authority(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))  # It has no say.
    with raw_server(serving(KEY), mutual_context()) as server:
        store = store_from(server.url, CERT_FILE=folder / "cert.pem", KEY_FILE=folder / "key.pem")
        with pytest.raises(KeyStoreError, match="SSLCertVerificationError"):
            store.load()


def test_goes_through_the_proxy(server: RawServer, folder: Path) -> None:
    with raw_server(serving(KEY)) as proxy:
        store = store_from(server.url, CA_FILE=folder / "ca.pem", PROXY=f"http://localhost:{proxy.port}")
        with pytest.raises(KeyStoreError, match="could not be read"):
            store.load()
        assert proxy.requests[0].startswith(b"CONNECT localhost:")
        assert server.connections == 0


def test_makes_a_verifier(server: RawServer, folder: Path) -> None:
    verifier = D1Verifier.from_env(
        {
            "D1VERIFY_AUDIENCE": "prd",
            "D1VERIFY_SUBJECT": "MGW_000001",
            "D1VERIFY_JWKS_URL": server.url,
            "D1VERIFY_JWKS_CA_FILE": str(folder / "ca.pem"),
        }
    )
    verifier.warm_up()
    assert verifier.health().kids == (KEY.kid,)


@pytest.mark.parametrize("url", ["http://keys.example/", "https://me:pw@keys.example/", "https://keys.example/#x", "x"])
def test_refuses_a_url_by_the_variables_name(url: str) -> None:
    assert trouble(url).startswith("D1VERIFY_JWKS_URL must ")
    assert "pw" not in trouble(url)


def test_refuses_a_proxy_by_the_variables_name() -> None:
    assert trouble(PROXY="socks5://me:pw@proxy").startswith("D1VERIFY_JWKS_PROXY must ")
    assert "pw" not in trouble(PROXY="socks5://me:pw@proxy")
    assert trouble("http://localhost/", PROXY="http://proxy").startswith("D1VERIFY_JWKS_PROXY needs an https ")
    assert trouble(PROXY=" ") == "D1VERIFY_JWKS_PROXY must be set and not empty"


def test_refuses_a_certificate_without_its_key_and_a_key_without_its_certificate(folder: Path) -> None:
    both = "D1VERIFY_JWKS_CERT_FILE and D1VERIFY_JWKS_KEY_FILE must be set together"
    assert trouble(CERT_FILE=folder / "cert.pem") == both
    assert trouble(KEY_FILE=folder / "key.pem", CA_FILE=folder / "ca.pem") == both


@pytest.mark.parametrize("name", ["CA_FILE", "CERT_FILE", "KEY_FILE"])
def test_refuses_what_is_no_readable_file(name: str, folder: Path) -> None:
    for path in (folder / "missing.pem", folder, "a\0b"):
        assert trouble(**{name: path}) == f"D1VERIFY_JWKS_{name} must be the path of a readable file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_refuses_a_fifo_without_waiting_on_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ca.pem")
    assert trouble(CA_FILE=tmp_path / "ca.pem") == "D1VERIFY_JWKS_CA_FILE must be the path of a readable file"


def test_refuses_a_ca_file_without_certificates(folder: Path) -> None:
    for name in ("junk.pem", "key.pem"):
        assert trouble(CA_FILE=folder / name) == "D1VERIFY_JWKS_CA_FILE must be a PEM file of certificates"


@pytest.mark.parametrize("key", ["other-key.pem", "junk.pem", "locked-key.pem", "cert.pem"])
def test_refuses_a_key_that_does_not_open_or_fit(folder: Path, key: str) -> None:
    message = trouble(CERT_FILE=folder / "cert.pem", KEY_FILE=folder / key)
    assert message.startswith("D1VERIFY_JWKS_CERT_FILE and D1VERIFY_JWKS_KEY_FILE must hold a certificate")


def test_refuses_a_kid_since_a_jwk_set_names_its_keys() -> None:
    with pytest.raises(ConfigurationError, match="D1VERIFY_KID has no meaning with D1VERIFY_JWKS_URL"):
        key_store_from({"D1VERIFY_JWKS_URL": URL, "D1VERIFY_KID": "x"})


def test_never_loosens_verification(folder: Path) -> None:
    store = store_from(URL, CA_FILE=folder / "ca.pem", CERT_FILE=folder / "cert.pem", KEY_FILE=folder / "key.pem")
    context = store._ssl_context
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)

"""TLS for the fault servers: one authority that the stores trust, and certificates and files with something wrong."""

from __future__ import annotations

import datetime as dt
import functools
import ssl
from pathlib import Path
from types import SimpleNamespace

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

HOST = "localhost"


@functools.cache
def authority() -> trustme.CA:
    return trustme.CA()


@functools.cache
def stranger() -> trustme.CA:
    """An authority that nobody trusts."""
    return trustme.CA()


def trusting_context() -> ssl.SSLContext:
    """Return a client context that trusts `authority` alone, as a private CA is set up."""
    context = ssl.create_default_context(cadata=authority().cert_pem.bytes().decode())
    assert context.verify_mode == ssl.CERT_REQUIRED
    return context


def _server_context(leaf: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if leaf is not None:
        leaf.configure_cert(context)
    return context


@functools.cache
def server_contexts() -> SimpleNamespace:
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    self_signed = _server_context()
    with stranger().private_key_pem.tempfile() as key, stranger().cert_pem.tempfile() as certificate:
        self_signed.load_cert_chain(certificate, key)
    return SimpleNamespace(
        good=_server_context(authority().issue_cert(HOST)),
        wrong_host=_server_context(authority().issue_cert("keys.example")),
        expired=_server_context(authority().issue_cert(HOST, not_before=now - 2 * day, not_after=now - day)),
        unknown_authority=_server_context(stranger().issue_cert(HOST)),
        self_signed=self_signed,
    )


def mutual_context() -> ssl.SSLContext:
    """Return a server context that asks for a client certificate of the same authority."""
    context = _server_context(authority().issue_cert(HOST))
    context.verify_mode = ssl.CERT_REQUIRED
    authority().configure_trust(context)
    return context


def write_tls_files(folder: Path) -> None:
    """Write what mutual TLS needs of files, the authority's among them, and files that are no good for it."""
    leaf, other = authority().issue_cert("merchant.example"), authority().issue_cert("other.example")
    authority().cert_pem.write_to_path(folder / "ca.pem")
    leaf.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    other.private_key_pem.write_to_path(folder / "other-key.pem")
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    (folder / "locked-key.pem").write_bytes(locked)
    (folder / "junk.pem").write_text("junk")

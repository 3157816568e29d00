"""Where keys come from, by one word on the command line."""

from __future__ import annotations

import os

from ..errors import ConfigurationError
from ..keys import KeySet, KeyStore
from ..keystores.env import EnvKeyStore
from ..keystores.file import FileKeyStore

__all__ = ["WatchedStore", "describe", "store_from"]


class WatchedStore:
    """A store that remembers its last answer, so that what was skipped can be told also of a useless one."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self.answer: KeySet | None = None

    def load(self) -> KeySet:
        """Return what the store returns."""
        self.answer = self._store.load()
        return self.answer


def describe(source: str) -> str:
    """Return what kind of source this is.

    Raises:
        ConfigurationError: it is no URL, no path that exists, and no variable that is set.
    """
    if source.startswith(("https://", "http://")):
        return "URL"
    if os.path.isdir(source):
        return "folder"
    if os.path.exists(source):
        return "file"
    if source in os.environ:
        return "environment variable"
    raise ConfigurationError(
        "SOURCE must be a URL, a file or folder that exists, or an environment variable that is set"
    )


def store_from(
    source: str, *, kid: str | None = None, ca_file: str | None = None, client_certificate: str | None = None
) -> KeyStore:
    """Return the key store for `source`.

    Args:
        source: as for `describe`.
        kid: the key id of a single PEM.
        ca_file: for a URL: a private certificate authority.
        client_certificate: for a URL: a PEM file with the certificate and its key.

    Raises:
        ConfigurationError: an argument is out of range.
    """
    kind = describe(source)
    if kind != "URL" and (ca_file or client_certificate):
        raise ConfigurationError("certificates are for a URL only")
    if kind == "environment variable":
        return EnvKeyStore(source, kid)
    if kind != "URL":
        return FileKeyStore(source, kid)
    from ..keystores.http import HTTPKeyStore, client_tls_context

    context = client_tls_context(ca_file, client_certificate, ca_name="--ca-file", cert_name="--client-cert")
    return HTTPKeyStore(source, ssl_context=context)

"""Authentication of the calls that Thales D1 makes to merchants' back ends.

    verifier = D1Verifier(FileKeyStore("/etc/d1/keys"), audience="prd", subject="MGW_000001")
    token = verifier.verify(jwt)

Importing this loads no web framework and no HTTP client, reads no environment and does no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._version import __version__ as __version__
from .bearer import Refusal, refusal
from .errors import ConfigurationError, D1VerifyError, KeyStoreError, Reason, TokenError
from .keycache import KeyCache
from .keys import KeySet, KeyStore, PublicKey, SkippedKey
from .keystores.env import EnvKeyStore
from .keystores.file import FileKeyStore
from .keystores.static import StaticKeyStore
from .policy import ANY_SUBJECT
from .tokens import D1Token
from .verifier import D1Verifier, HeaderVerifier

if TYPE_CHECKING:
    from .keystores.http import HTTPKeyStore

__all__ = [
    "ANY_SUBJECT",
    "ConfigurationError",
    "D1Token",
    "D1Verifier",
    "D1VerifyError",
    "EnvKeyStore",
    "FileKeyStore",
    "HTTPKeyStore",
    "HeaderVerifier",
    "KeyCache",
    "KeySet",
    "KeyStore",
    "KeyStoreError",
    "PublicKey",
    "Reason",
    "Refusal",
    "SkippedKey",
    "StaticKeyStore",
    "TokenError",
    "refusal",
]


def __getattr__(name: str) -> object:
    """Load `HTTPKeyStore` when it is first asked for (PEP 562): it brings an HTTP client with it."""
    if name == "HTTPKeyStore":
        from .keystores.http import HTTPKeyStore

        return HTTPKeyStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

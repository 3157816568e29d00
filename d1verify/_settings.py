"""Settings by environment variables: names and texts in, arguments of a verifier out."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._checks import checked_seconds
from ._log import shown
from .errors import ConfigurationError
from .keys import KeyStore, checked_key_id
from .keystores.env import EnvKeyStore
from .keystores.file import FileKeyStore
from .policy import ANY_SUBJECT, MAX_LEEWAY, Subject, checked_audience, checked_subjects

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["VARIABLES", "unknown_variables", "verifier_arguments"]

_PLAIN_NUMBER = r"[0-9]+(\.[0-9]+)?"
_SOURCES = ("D1VERIFY_KEYS", "D1VERIFY_KEYS_PATH", "D1VERIFY_JWKS_URL")
_FOR_JWKS_ONLY = (
    "D1VERIFY_JWKS_CA_FILE",
    "D1VERIFY_JWKS_CERT_FILE",
    "D1VERIFY_JWKS_KEY_FILE",
    "D1VERIFY_JWKS_PROXY",
)

VARIABLES = frozenset(
    {*_SOURCES, *_FOR_JWKS_ONLY, "D1VERIFY_AUDIENCE", "D1VERIFY_SUBJECT", "D1VERIFY_KID", "D1VERIFY_LEEWAY"}
)


# Kubernetes tells each pod of a Service named d1verify by such variables.
_OF_A_SERVICE = re.compile(
    r"D1VERIFY_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)", re.ASCII
)


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the names that look like a setting and are none, sorted: each may be a misspelt one."""
    ours = (name for name in environ if name.startswith("D1VERIFY_") and name not in VARIABLES)
    return sorted(name for name in ours if not _OF_A_SERVICE.fullmatch(name))


def verifier_arguments(environ: Mapping[str, str], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a `D1Verifier` that the variables and `overrides` make up.

    Raises:
        ConfigurationError: a variable is missing, contradictory or out of range; the message names it.
    """
    unknown = unknown_variables(environ)
    if unknown:
        raise ConfigurationError(f"{shown(unknown[0])} is not a variable of this library; is it misspelt?")
    arguments = dict(overrides)
    if "store" not in arguments:
        arguments["store"] = key_store_from(environ)
    if "audience" not in arguments:
        arguments["audience"] = checked_audience(_required(environ, "D1VERIFY_AUDIENCE"), "D1VERIFY_AUDIENCE")
    if "subject" not in arguments:
        arguments["subject"] = _subject(_required(environ, "D1VERIFY_SUBJECT"))
    if "leeway" not in arguments and "D1VERIFY_LEEWAY" in environ:
        arguments["leeway"] = _leeway(_required(environ, "D1VERIFY_LEEWAY"))
    return arguments


def key_store_from(environ: Mapping[str, str]) -> KeyStore:
    """Return the key store that exactly one of the three source variables names."""
    named = [name for name in _SOURCES if name in environ]
    if len(named) != 1:
        found = "none is" if not named else f"{' and '.join(named)} are"
        raise ConfigurationError(f"exactly one of {', '.join(_SOURCES)} must be set, and {found}")
    source = named[0]
    value = _required(environ, source)
    if source == "D1VERIFY_JWKS_URL":
        return _http_key_store(value, environ)
    _refuse_with(environ, source, _FOR_JWKS_ONLY)
    kid = _optional(environ, "D1VERIFY_KID")
    if kid is not None:
        checked_key_id(kid, "D1VERIFY_KID")
    if source == "D1VERIFY_KEYS":
        return EnvKeyStore(source, kid, environ=environ)
    return FileKeyStore(value, kid)


def _http_key_store(url: str, environ: Mapping[str, str]) -> KeyStore:
    from .keystores._fetching import checked_proxy, checked_url
    from .keystores.http import HTTPKeyStore

    _refuse_with(environ, "D1VERIFY_JWKS_URL", ("D1VERIFY_KID",))
    checked_url(url, "D1VERIFY_JWKS_URL")
    proxy = _optional(environ, "D1VERIFY_JWKS_PROXY")
    if proxy is not None:
        checked_proxy(proxy, "D1VERIFY_JWKS_PROXY")
        if url.lower().startswith("http:"):
            raise ConfigurationError("D1VERIFY_JWKS_PROXY needs an https D1VERIFY_JWKS_URL")
    return HTTPKeyStore(url, ssl_context=_tls_context(environ), proxy=proxy)


def _tls_context(environ: Mapping[str, str]) -> SSLContext | None:
    """Return what the variables say to trust and to show, or None for the system's certificate authorities."""
    authorities = _optional_file(environ, "D1VERIFY_JWKS_CA_FILE")
    certificate = _optional_file(environ, "D1VERIFY_JWKS_CERT_FILE")
    key = _optional_file(environ, "D1VERIFY_JWKS_KEY_FILE")
    if (certificate is None) != (key is None):
        raise ConfigurationError("D1VERIFY_JWKS_CERT_FILE and D1VERIFY_JWKS_KEY_FILE must be set together")
    from .keystores.http import client_tls_context

    return client_tls_context(
        authorities,
        certificate,
        key,
        ca_name="D1VERIFY_JWKS_CA_FILE",
        cert_name="D1VERIFY_JWKS_CERT_FILE and D1VERIFY_JWKS_KEY_FILE",
    )


def _optional_file(environ: Mapping[str, str], name: str) -> str | None:
    path = _optional(environ, name)
    if path is not None and not (os.path.isfile(path) and os.access(path, os.R_OK)):
        raise ConfigurationError(f"{name} must be the path of a readable file")
    return path


def _subject(text: str) -> Subject:
    ids = [one.strip() for one in text.split(",")]
    if ids == ["*"]:
        return ANY_SUBJECT
    try:
        return checked_subjects(ids) or ids
    except ConfigurationError:
        raise ConfigurationError(
            "D1VERIFY_SUBJECT must be merchant gateway ids separated by commas, none of them empty, or * alone"
        ) from None


def _leeway(text: str) -> float:
    seconds = float(text) if re.fullmatch(_PLAIN_NUMBER, text) else None
    return checked_seconds(seconds, "D1VERIFY_LEEWAY", low=0, high=MAX_LEEWAY)


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise ConfigurationError(f"{name} must be set and not empty")
    return value


def _optional(environ: Mapping[str, str], name: str) -> str | None:
    return _required(environ, name) if name in environ else None


def _refuse_with(environ: Mapping[str, str], source: str, names: tuple[str, ...]) -> None:
    for name in names:
        if name in environ:
            raise ConfigurationError(f"{name} has no meaning with {source}")

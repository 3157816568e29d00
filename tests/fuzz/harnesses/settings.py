"""`_settings`: an environment in, the arguments of a verifier out, or a message that names the variable.

An input is a list of records `NAME=value`.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from d1verify import ANY_SUBJECT, ConfigurationError, D1Verifier, EnvKeyStore, KeyStoreError
from d1verify._settings import VARIABLES, verifier_arguments

from ..material import RECORD_END
from ..oracles import require
from ..oracles.token_rules import is_printable
from ..oracles.wording import Wording
from .jwks import point_of

__all__ = ["MAX_BYTES", "WORDS", "check"]

MAX_BYTES: Final = 2048
WORDS: Final = (
    *(f"\x1e{name}=" for name in sorted(VARIABLES)),
    *("\x1eD1VERIFY_X=", "stg", "prd", "https://", "http://localhost", "http://127.0.0.1:8000/", "MGW_000001", ","),
    *("*", "30", "1e2"),
    *("NaN", "\\n", "-----BEGIN PUBLIC KEY-----", '{"keys":[', "@", "#", "[::1]", ":0", ":65536"),
)  # fmt: skip

_OWN_WORDS: Final = Wording(
    *("d1verify._settings", "d1verify._checks", "d1verify.policy", "d1verify.keys", "d1verify._keyformats"),
    *("d1verify.keystores._fetching", "d1verify.keystores.env", "d1verify.keystores.http", "d1verify.keystores.file"),
    tolerated=("0", "300"),
)
_SOURCES: Final = {"D1VERIFY_KEYS", "D1VERIFY_KEYS_PATH", "D1VERIFY_JWKS_URL"}
_LOOPBACK_NET: Final = 127
_LOOPBACK_6: Final = bytes(15) + b"\1"
_MAPPED: Final = bytes(10) + b"\xff\xff"
# What Kubernetes sets for a Service of this name; none of our variables begins so.
_SERVICE_LINK: Final = re.compile(r"D1VERIFY_(SERVICE|PORT)(_|$)")
_LEEWAY: Final = re.compile(r"\s*[0-9]+(\.[0-9]+)?\s*")


def check(data: bytes) -> None:
    """Return if the environment makes a verifier by DESIGN.md 7, or is refused in words of ours."""
    environ = _environ(data)
    try:
        arguments = verifier_arguments(environ, {})
    except ConfigurationError as error:
        _check_message(error, environ)
        return
    _check_arguments(arguments, environ)
    store = arguments["store"]
    D1Verifier(**arguments)
    if isinstance(store, EnvKeyStore):
        _check_keys(store, environ)


def _environ(data: bytes) -> dict[str, str]:
    """Return the records as an environment; no path in it leads out of the working directory."""
    pairs = (record.decode("utf-8", "surrogateescape").partition("=") for record in data.split(RECORD_END))
    environ = {name: value.replace("\0", "") for name, _, value in pairs if name and "\0" not in name}
    return {name: value.replace("/", "_") if name.endswith("_FILE") else value for name, value in environ.items()}


def _check_message(error: Exception, environ: dict[str, str]) -> None:
    misspelt = [ascii(name[:64])[1:-1][:64] for name in environ if name.startswith("D1VERIFY_")]
    names = sorted((*misspelt, *VARIABLES), key=len, reverse=True)
    foreign = _OWN_WORDS.foreign(str(error), *names)
    require(not foreign, "the message names variables and repeats no value")


def _check_arguments(arguments: dict[str, Any], environ: dict[str, str]) -> None:
    own = {name for name in environ if name.startswith("D1VERIFY_") and not _SERVICE_LINK.match(name)}
    require(own <= VARIABLES, "no variable is misspelt")
    require(len(_SOURCES & set(environ)) == 1, "one source of keys is named")
    audience, subject = arguments["audience"], arguments["subject"]
    require(audience == environ["D1VERIFY_AUDIENCE"].strip(), "the audience is the one that was written")
    require(audience in ("stg", "prd") or _is_url(audience, {"https"}), "an audience is stg, prd or an https URL")
    ids = [one.strip() for one in environ["D1VERIFY_SUBJECT"].split(",")]
    if subject is ANY_SUBJECT:
        require(ids == ["*"], "any subject is accepted only where a star alone says so")
    else:
        require(set(subject) == set(ids) and all(ids) and "*" not in ids, "the subjects are the ones that were written")
        require(all(is_printable(one) for one in ids), "a subject is printable")
    if "leeway" in arguments:
        written = environ["D1VERIFY_LEEWAY"]
        require(
            _LEEWAY.fullmatch(written) and arguments["leeway"] == float(written.strip()), "the leeway is a plain number"
        )
        require(0 <= arguments["leeway"] <= 300, "the leeway is in its range")
    if "D1VERIFY_JWKS_URL" in environ:
        _check_url(environ["D1VERIFY_JWKS_URL"].strip())


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    require(_is_url(url, {"https", "http"}) and parts.username is None and not parts.fragment, "keys come from a URL")
    require(parts.scheme == "https" or _is_here(parts.hostname or ""), "keys come over TLS or from this machine")


def _is_here(host: str) -> bool:
    """Tell whether the host is this machine, as the system reads addresses: ::1 has many spellings."""
    with suppress(OSError):
        return socket.inet_pton(socket.AF_INET, host)[0] == _LOOPBACK_NET
    with suppress(OSError):
        address = socket.inet_pton(socket.AF_INET6, host)
        return address == _LOOPBACK_6 or (address.startswith(_MAPPED) and address[len(_MAPPED)] == _LOOPBACK_NET)
    return host == "localhost"


def _is_url(text: str, schemes: set[str]) -> bool:
    parts = urlsplit(text)
    return parts.scheme in schemes and bool(parts.hostname)


def _check_keys(store: EnvKeyStore, environ: dict[str, str]) -> None:
    try:
        keys = store.load()
    except KeyStoreError as error:
        _check_message(error, environ)
        return
    require(len(keys) > 0, "a set that was loaded has a key")
    for key in keys.keys.values():
        point_of(key)

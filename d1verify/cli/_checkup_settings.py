"""The settings: each `D1VERIFY_…` variable by itself, so that one wrong one does not hide the next."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from .._settings import VARIABLES, unknown_variables, verifier_arguments
from ..errors import ConfigurationError
from ..keys import KeyStore
from ..policy import ANY_SUBJECT
from ._checkup import Check, failure, legible, listed, passed, warning
from .output import ExitCode

__all__ = ["DEFAULT_LEEWAY", "Settings", "address", "read_settings"]

DEFAULT_LEEWAY: Final = 30.0

_OTHERWISE: Final[Mapping[str, Any]] = {
    "store": None,
    "audience": "stg",
    "subject": ANY_SUBJECT,
    "leeway": DEFAULT_LEEWAY,
}
_TO_DO = {
    "audience": "set it to stg or prd, whichever environment of D1 calls this app",
    "subject": "set it to your merchant gateway id, as D1 gave it to you",
    "leeway": "set it to seconds from 0 to 300, or leave it out for 30",
    "store": "name one source of keys, and only the variables that go with it",
}
_ID = re.compile(r"[A-Za-z0-9._:-]{1,40}")
_NAMES = {"store": "source"}


class Settings(NamedTuple):
    """What the variables say: a check of each, and what of it can be used further."""

    checks: tuple[Check, ...]
    store: KeyStore | None
    variable: str
    value: str
    leeway: float


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return what the variables say, judged as `D1Verifier.from_env` would, each apart from the others."""
    known = {name: value for name, value in environ.items() if name in VARIABLES}
    checks, found = [_unknown(environ)], dict(_OTHERWISE)
    for name in _OTHERWISE:
        others = {other: value for other, value in _OTHERWISE.items() if other != name}
        try:
            arguments = {**_OTHERWISE, **verifier_arguments(known, others)}
        except ConfigurationError as error:
            checks.append(failure(_NAMES.get(name, name), str(error), _TO_DO[name], ExitCode.USAGE))
            continue
        found[name] = arguments[name]
        checks.append(_described(name, arguments[name], known))
    variable = next((one for one in ("D1VERIFY_JWKS_URL", "D1VERIFY_KEYS_PATH") if one in known), "D1VERIFY_KEYS")
    return Settings(tuple(checks), found["store"], variable, known.get(variable, "").strip(), found["leeway"])


def address(url: str) -> str:
    """Return a URL without what may be a secret in it."""
    parts = urlsplit(url)
    return legible(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}") + ("?..." if parts.query else "")


def _unknown(environ: Mapping[str, str]) -> Check:
    unknown = unknown_variables(environ)
    if not unknown:
        return passed("variables", "none that this library does not know")
    known = {name.removeprefix("D1VERIFY_"): name for name in sorted(VARIABLES)}
    meant = difflib.get_close_matches(unknown[0].removeprefix("D1VERIFY_")[:100], known, 1)
    guess = f"; is {known[meant[0]]} meant?" if meant else ""
    return failure("variables", f"unknown: {listed(unknown)}", f"correct or unset them{guess}", ExitCode.USAGE)


def _described(name: str, value: Any, environ: Mapping[str, str]) -> Check:
    match name:
        case "audience":
            return passed(name, value if "/" not in value else address(value))
        case "subject" if value is ANY_SUBJECT:
            return warning(
                name, "any", "name your id, or compare the subject yourself: D1 signs for other merchants, too"
            )
        case "subject":
            return passed(name, listed(map(_plain_id, sorted(value))))
        case "leeway":
            return passed(name, f"{value:g} s" + ("" if "D1VERIFY_LEEWAY" in environ else ", the default"))
        case _:
            return passed("source", _source(environ))


def _plain_id(subject: str) -> str:
    """Return an id, or how long it is: in the wrong variable, a key or a password may be taken for one."""
    return subject if _ID.fullmatch(subject) else f"an id of {len(subject)} characters"


def _source(environ: Mapping[str, str]) -> str:
    if "D1VERIFY_JWKS_URL" in environ:
        proxy = ", through a proxy" if "D1VERIFY_JWKS_PROXY" in environ else ""
        return f"{address(environ['D1VERIFY_JWKS_URL'].strip())}{proxy}"
    if "D1VERIFY_KEYS_PATH" in environ:
        path = environ["D1VERIFY_KEYS_PATH"].strip()
        return legible(path) if os.path.exists(path) else "a path that leads nowhere"
    return "the variable D1VERIFY_KEYS"

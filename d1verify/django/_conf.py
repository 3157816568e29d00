"""The `D1VERIFY` settings: a dict in, a guard out, or everything that is wrong with it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from django.apps import apps

from .._checks import checked_seconds
from .._settings import verifier_arguments
from ..errors import ConfigurationError
from ..keycache import KeyCache
from ..policy import MAX_LEEWAY, checked_subjects
from ..verifier import D1Verifier, HeaderVerifier
from ._guard import Guard

__all__ = ["APP_LABEL", "configured_guard", "guard_from", "read_settings", "relabelled"]

APP_LABEL: Final = "d1verify"

_SOURCES: Final = ("KEYS", "KEYS_PATH", "JWKS_URL")
_FOR_SOURCES: Final = ("KID", "JWKS_CA_FILE", "JWKS_CERT_FILE", "JWKS_KEY_FILE", "JWKS_PROXY")
_POLICY: Final = ("AUDIENCE", "SUBJECT", "LEEWAY")
_ANSWERS: Final = ("REALM", "REVEAL_REASON")
_NAMES: Final = ("VERIFIER", "STORE", *_SOURCES, *_FOR_SOURCES, *_POLICY, *_ANSWERS)
_PARTS: Final = ("store", "audience", "subject", "leeway")

T = TypeVar("T")


def configured_guard() -> Guard:
    """Return the one guard of this process that the `D1VERIFY` settings make up.

    Raises:
        ConfigurationError: the app is not installed, or its settings are wrong.
    """
    try:
        guard: Guard = apps.get_app_config(APP_LABEL).guard  # type: ignore[attr-defined]  # of our own AppConfig
    except LookupError:
        raise ConfigurationError(
            'put "d1verify.django" into INSTALLED_APPS to use the D1VERIFY settings, or give a verifier'
        ) from None
    return guard


def guard_from(given: object) -> Guard:
    """Return the guard that the settings make up.

    Raises:
        ConfigurationError: they are wrong; the message names everything that is.
    """
    guard, problems = read_settings(given)
    if guard is None:
        raise ConfigurationError("; ".join(problems))
    return guard


def read_settings(given: object) -> tuple[Guard | None, list[str]]:
    """Return the guard that the settings make up and no problem, or None and every problem. No I/O."""
    if not isinstance(given, Mapping):
        return None, ["D1VERIFY must be set to a dict"]
    problems = [_unknown(name) for name in given if name not in _NAMES]
    # os.environ.get() gives None for what is not set; none of these opens anything by its absence.
    values = {name: value for name, value in given.items() if name in _NAMES and value is not None}

    def attempt(step: Callable[[dict[str, Any]], T]) -> T | None:
        try:
            return step(values)
        except ConfigurationError as error:
            problems.append(relabelled(str(error)))
            return None

    verifier = attempt(_given_verifier) if "VERIFIER" in values else _verifier(attempt)
    guard = attempt(lambda values: _guard(verifier or _Placeholder(), values))
    return (None, problems) if problems or verifier is None else (guard, [])


def relabelled(text: str) -> str:
    """Return a message of ours with variables named as keys of the dict they stand in here."""
    return re.sub(r"(?:the environment variable )?D1VERIFY_([A-Z_]+)", r'D1VERIFY["\1"]', text)


class _Placeholder:
    """Stands for a verifier that could not be made, so that the settings beside it can still be judged. Never used."""

    verify_header = averify_header = print


def _unknown(name: object) -> str:
    close = get_close_matches(str(name).upper(), _NAMES, n=1)
    return f"D1VERIFY has no setting {str(name)!a:.66}" + (f" (is {close[0]} meant?)" if close else "")


def _given_verifier(values: dict[str, Any]) -> HeaderVerifier:
    _refuse_beside("VERIFIER", values, _NAMES[1 : -len(_ANSWERS)])
    verifier: HeaderVerifier = values["VERIFIER"]
    return verifier


def _verifier(attempt: Callable[[Callable[[dict[str, Any]], Any]], Any]) -> HeaderVerifier | None:
    arguments = {part: attempt(step) for part, step in _STEPS.items()}
    if arguments["leeway"] is None:
        del arguments["leeway"]
    if None in arguments.values():
        return None
    verifier: HeaderVerifier | None = attempt(lambda _values: D1Verifier(**arguments))
    return verifier


def _guard(verifier: Any, values: dict[str, Any]) -> Guard:
    try:
        return Guard(verifier, realm=values.get("REALM", "d1"), reveal_reason=values.get("REVEAL_REASON", False))
    except ConfigurationError as error:
        name, _, rest = str(error).partition(" ")
        raise ConfigurationError(f'D1VERIFY["{name.upper()}"] {rest}') from None


def _store(values: dict[str, Any]) -> Any:
    if "STORE" not in values:
        return _part("store", values)
    _refuse_beside("STORE", values, (*_SOURCES, *_FOR_SOURCES))
    store = values["STORE"]
    if not isinstance(store, KeyCache) and not callable(getattr(store, "load", None)):
        raise ConfigurationError('D1VERIFY["STORE"] must be a KeyStore, with a load() method, or a KeyCache')
    return store


def _audience(values: dict[str, Any]) -> Any:
    return _part("audience", values)


def _subject(values: dict[str, Any]) -> Any:
    value = values.get("SUBJECT")
    if value is None or isinstance(value, str):
        return _part("subject", values)
    try:
        checked_subjects(value)
    except ConfigurationError as error:
        raise ConfigurationError(f'D1VERIFY["SUBJECT"]: {error}') from None
    return value


def _leeway(values: dict[str, Any]) -> Any:
    value = values.get("LEEWAY")
    if isinstance(value, str):
        return _part("leeway", values)
    return None if value is None else checked_seconds(value, 'D1VERIFY["LEEWAY"]', low=0, high=MAX_LEEWAY)


_STEPS: Final = {"store": _store, "audience": _audience, "subject": _subject, "leeway": _leeway}


def _part(part: str, values: dict[str, Any]) -> Any:
    """Return one argument of a `D1Verifier`, read from the values as from environment variables."""
    others = dict.fromkeys(other for other in _PARTS if other != part)
    names = {"store": (*_SOURCES, *_FOR_SOURCES)}.get(part, (part.upper(),))
    environ = {f"D1VERIFY_{name}": _text(name, values[name]) for name in names if name in values}
    return verifier_arguments(environ, others)[part]


def _text(name: str, value: object) -> str:
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        raise ConfigurationError(f'D1VERIFY["{name}"] must be a string')
    return text


def _refuse_beside(name: str, values: dict[str, Any], others: tuple[str, ...]) -> None:
    for other in others:
        if other in values:
            raise ConfigurationError(f'D1VERIFY["{other}"] has no meaning with D1VERIFY["{name}"]')

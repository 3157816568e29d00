"""Faults to plant, each by taking one check away: a harness whose inputs do not find it checks nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from d1verify import ANY_SUBJECT, ConfigurationError, D1Verifier, KeyStoreError
from d1verify._codec import MalformedError
from d1verify._settings import verifier_arguments

__all__ = ["FAULTS", "Plant"]

Plant = Callable[[pytest.MonkeyPatch], None]
_HARNESSES: Final = "tests.fuzz.harnesses"


def _instead(target: str, replacement: object) -> Plant:
    return lambda monkeypatch: monkeypatch.setattr(target, replacement)


def _set_up_with(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Plant:
    def build(store: Any, **settings: Any) -> D1Verifier:
        return D1Verifier(store, **{**settings, **change(settings)})

    return _instead("tests.fuzz.judging.D1Verifier", build)


def _lenient_base64(segment: bytes) -> bytes:
    try:
        return base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except ValueError:
        raise MalformedError from None


def _any_json(data: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(data))
    except (TypeError, ValueError, RecursionError):
        raise MalformedError from None


def _whatever_comes_last(value: str | bytes) -> bytes:
    return (value.encode("utf-8") if isinstance(value, str) else value).rpartition(b" ")[2]


def _any_p256_pem(text: str | bytes) -> bytes:
    try:
        key = load_pem_public_key(text.encode() if isinstance(text, str) else text)
    except ValueError:
        raise KeyStoreError("it is not exactly one PEM block labelled PUBLIC KEY") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise KeyStoreError("it is not an EC public key on the named curve P-256")
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _telling(jwk: Mapping[str, Any]) -> None:
    if "d" in jwk:
        raise KeyStoreError(f"it is a private key: {jwk['d']}")


def _last_of_two(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True))


def _repeating(environ: Mapping[str, str], overrides: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return verifier_arguments(environ, overrides)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}, not {environ.get('D1VERIFY_JWKS_URL')}") from None


def _nothing(*_args: object, **_kwargs: object) -> None:
    return None


# By harness, then by what is wrong.
FAULTS: Final[dict[str, dict[str, Plant]]] = {
    "codec": {
        "lenient base64url": _instead(f"{_HARNESSES}.codec.decode_base64url", _lenient_base64),
        "any JSON": _instead(f"{_HARNESSES}.codec.parse_object", _any_json),
    },
    "verify_signed": {
        "no signature check": _instead("d1verify.keys.PublicKey.verify", _nothing),
        "a second too much": _set_up_with(lambda settings: {"leeway": min(settings["leeway"] + 1, 300)}),
        "another subject": _set_up_with(lambda _settings: {"subject": ANY_SUBJECT}),
        "any JSON in the header": _instead("d1verify.tokens.parse_object", _any_json),
    },
    "verify_raw": {
        "no signature check": _instead("d1verify.keys.PublicKey.verify", _nothing),
        "no limit of length": _instead("d1verify.tokens.MAX_TOKEN_BYTES", 100_000),
        "no limit of the header": _instead("d1verify.tokens.MAX_HEADER_BYTES", 100_000),
    },
    "bearer": {
        "the first of two": _instead(f"{_HARNESSES}.bearer.authorization_of", lambda headers: headers[0][1]),
        "whatever comes last": _instead(f"{_HARNESSES}.bearer.token_from_header", _whatever_comes_last),
    },
    "jwks": {
        "any purpose": _instead("d1verify._keyformats._check_purpose", _nothing),
        "a key in the message": _instead("d1verify._keyformats._check_kind", _telling),
    },
    "pem": {
        "whatever the library reads": _instead("d1verify.keys.point_from_pem", _any_p256_pem),
    },
    "http_answer": {
        "no upper limit": _instead("d1verify.keystores.http.lifetime", lambda *_headers, **_default: 7200.0),
        "any tag": _instead(f"{_HARNESSES}.http_answer.entity_tag", lambda tag: tag),
    },
    "oauth_form": {
        "the last of two": _instead(f"{_HARNESSES}.oauth_form.parse_form", _last_of_two),
        "any two mechanisms": _instead(f"{_HARNESSES}.oauth_form.check_mechanism", _nothing),
    },
    "settings": {
        "a value in the message": _instead(f"{_HARNESSES}.settings.verifier_arguments", _repeating),
        "any leeway": _instead("d1verify._settings._leeway", float),
    },
}

"""The files that TLS hangs on: whom to trust besides the system, and what to show for mutual TLS."""

from __future__ import annotations

import os
import ssl
import time
import warnings
from collections.abc import Mapping

from cryptography import x509

from ._checkup import Check, days, failure, legible, passed, skipped, soon, warning
from ._checkup_files import check_private, check_writable

__all__ = ["check_tls_files"]

MAX_FILE_BYTES = 4 * 1024 * 1024

_AUTHORITIES, _CERTIFICATE, _KEY = (f"D1VERIFY_JWKS_{name}_FILE" for name in ("CA", "CERT", "KEY"))


def check_tls_files(environ: Mapping[str, str]) -> list[Check]:
    """Return what there is to say about the files that `environ` names, whether or not they are of use."""
    paths = {name: environ[name].strip() for name in (_AUTHORITIES, _CERTIFICATE, _KEY) if name in environ}
    there = [path for path in paths.values() if os.path.isfile(path)]
    checks = [check_writable(there)] if there else []
    if _AUTHORITIES in paths:
        checks.append(_authorities(paths[_AUTHORITIES], time.time()))
    if _CERTIFICATE in paths:
        checks.append(_certificate(paths[_CERTIFICATE], paths.get(_KEY), time.time()))
    if _KEY in paths:
        checks.append(_private_key(paths[_KEY]))
    return checks


def _authorities(path: str, now: float) -> Check:
    content = _read(path)
    if content is None:
        return failure("ca file", *_unreadable(_AUTHORITIES))
    spans = _spans(content)
    if not spans:
        return failure(
            "ca file", f"no certificate in {legible(path)}", "put the authorities' certificates there, as PEM"
        )
    ended = sum(ends <= now for _, ends in spans)
    if ended == len(spans):
        return failure("ca file", "every certificate in it has expired", "put the authorities' current ones there")
    begins, ends = min((span for span in spans if span[1] > now), key=lambda span: span[1])
    seen = f"{len(spans)} certificate{'' if len(spans) == 1 else 's'}, {ended} expired, the next: {days(ends - now)}"
    if ended or soon(begins, ends, now):
        return warning("ca file", seen, "put the authorities' current ones there")
    return passed("ca file", seen)


def _certificate(path: str, key: str | None, now: float) -> Check:
    name = "client certificate"
    content = _read(path)
    if content is None:
        return failure(name, *_unreadable(_CERTIFICATE))
    spans = _spans(content)
    if not spans:
        return failure(name, f"no certificate in {legible(path)}", "put the certificate there, as PEM")
    begins, ends = spans[0]
    if not begins <= now < ends:
        seen = "it has expired" if ends <= now else "it is not valid yet"
        return failure(name, seen, "have it renewed, or look at this machine's clock")
    if key is None or not os.path.isfile(key):
        return skipped(name, f"{days(ends - now)}; there is no key to compare with", f"set {_KEY}")
    if not _belong_together(path, key):
        advice = "have both files be of one pair, the key as PEM and not encrypted"
        return failure(name, "the key is not this certificate's, or cannot be used", advice)
    seen = f"with its own key, {days(ends - now)}"
    return warning(name, seen, "have it renewed") if soon(begins, ends, now) else passed(name, seen)


def _private_key(path: str) -> Check:
    if _read(path) is None:
        return failure("client key", *_unreadable(_KEY))
    return check_private("client key", path)


def _read(path: str) -> bytes | None:
    """Return what is in a regular file of a sane size, or None."""
    if not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError:
        return None
    return content if len(content) <= MAX_FILE_BYTES else None


def _unreadable(variable: str) -> tuple[str, str]:
    return (
        f"{variable} names no file of up to 4 MiB that can be read",
        "have it name a PEM file that the app's user may read",
    )


def _spans(content: bytes) -> list[tuple[float, float]]:
    """Return from when to when each certificate in a PEM file is valid; none if one of them cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of certificates that are a little wrong; that is for TLS to judge.
        try:
            certificates = x509.load_pem_x509_certificates(content)
            return [(one.not_valid_before_utc.timestamp(), one.not_valid_after_utc.timestamp()) for one in certificates]
        except ValueError:
            return []


def _belong_together(certificate: str, key: str) -> bool:
    """Tell whether TLS can use both, by having it take them as a load does."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except OSError:  # An SSLError is one, too.
        return False
    return True

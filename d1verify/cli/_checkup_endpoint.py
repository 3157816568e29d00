"""What one load from a JWKS endpoint tells of it: connection, TLS, declared type, caching, latency, clock. Pure."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import httpx2

from ..keystores._caching import LONGEST, SHORTEST, entity_tag, lifetime
from ..keystores._running import kind_of
from ._checkup import Check, days, failure, passed, skipped, soon, warning
from ._checkup_exchange import Exchange
from .output import safe

__all__ = ["MAX_WAIT", "check_exchange"]

MAX_WAIT: Final = 2.0  # `KeyCache`: what a request waits for keys at most
# What a missing Cache-Control counts as cannot be taken for a lifetime.
_NONE: Final = -1.0

_NO_ANSWER = "no answer came"
_MAX_AGE = re.compile(r'(?:^|,)\s*max-age="?([0-9]+)"?\s*(?=,|$)')
_MANY_DIGITS = 9
_OPENSSL_REASON = re.compile(r"[A-Z0-9_]{1,80}")

# X509_V_ERR_… of OpenSSL's x509_vfy.h.
_NOT_VERIFIED: Final[Mapping[int, tuple[str, str]]] = {
    9: ("its certificate is not valid yet", "look at this machine's clock, or at the endpoint's certificate"),
    10: ("its certificate has expired", "have it renewed; if it was, look at this machine's clock"),
    18: ("its certificate is self-signed", "name the certificate's authority in D1VERIFY_JWKS_CA_FILE"),
    19: ("its authority is not trusted here", "name that authority's certificate in D1VERIFY_JWKS_CA_FILE"),
    20: ("its authority is not trusted here", "name that authority's certificate in D1VERIFY_JWKS_CA_FILE"),
    62: ("its certificate is for another host", "use the name that the certificate has in D1VERIFY_JWKS_URL"),
    64: ("its certificate is for another address", "use the name that the certificate has in D1VERIFY_JWKS_URL"),
}
_STATUSES: Final[Mapping[int, str]] = {
    401: "the endpoint wants credentials: ask for an open one, or set HTTPKeyStore(headers=...) up in code",
    403: "the endpoint does not let this machine in: ask its operator, or show a certificate (D1VERIFY_JWKS_CERT_FILE)",
    404: "correct the path in D1VERIFY_JWKS_URL",
}


def check_exchange(exchange: Exchange, *, is_plain: bool, seconds_allowed: float, leeway: float) -> list[Check]:
    """Return what one load tells.

    Args:
        exchange: what it looked like.
        is_plain: whether it went over http, which only this machine is asked by.
        seconds_allowed: how long a load may take.
        leeway: the tolerated clock difference, in seconds.
    """
    headers = exchange.headers
    of_headers: Mapping[str, Callable[[httpx2.Headers], Check]] = {
        "content type": _content_type,
        "caching": _caching,
        "clock": lambda given: _clock(exchange, given, leeway),
    }
    return [
        _connection(exchange, seconds_allowed),
        skipped("tls", "plain http, which does not leave this machine") if is_plain else _tls(exchange),
        _latency(exchange, seconds_allowed),
        *(skipped(name, _NO_ANSWER) if headers is None else check(headers) for name, check in of_headers.items()),
    ]


def _connection(exchange: Exchange, seconds_allowed: float) -> Check:
    if exchange.errors:
        return failure("connection", *_trouble(exchange.errors, seconds_allowed))
    if exchange.headers is None:
        return skipped("connection", _NO_ANSWER, "see the line keys")
    if exchange.status == httpx2.codes.OK:
        return passed("connection", "answered with status 200")
    redirects = "name the address that it redirects to in D1VERIFY_JWKS_URL: redirects are not followed"
    usual = redirects if exchange.status // 100 == 3 else "ask the endpoint's operator"  # noqa: PLR2004 - RFC 9110 §15
    return failure("connection", f"answered with status {exchange.status}", _STATUSES.get(exchange.status, usual))


def _trouble(errors: tuple[BaseException, ...], seconds_allowed: float) -> tuple[str, str]:
    kinds: tuple[tuple[type[BaseException], str, str], ...] = (
        (ssl.SSLError, "TLS was not agreed on", "see the line tls"),
        (socket.gaierror, "the host name cannot be looked up", "correct it in D1VERIFY_JWKS_URL, or look at the DNS"),
        (httpx2.ProxyError, "the proxy does not let this through", "look at D1VERIFY_JWKS_PROXY and the proxy's rules"),
        (ConnectionRefusedError, "nobody listens there", "correct host and port in D1VERIFY_JWKS_URL or start it"),
        (TimeoutError, f"no complete answer in {seconds_allowed:g} s", "look at routes, firewall, proxy and endpoint"),
    )
    for kind, seen, advice in kinds:
        if any(isinstance(error, kind) for error in errors):
            return seen, advice
    # With TLS 1.3 the refusal of a client comes after the handshake, and the hanging up may overtake the alert.
    advice = (
        "ask the endpoint's operator; some hang up like that when they want a certificate (D1VERIFY_JWKS_CERT_FILE)"
    )
    return f"no answer that can be read ({kind_of(errors[0])})", advice


def _tls(exchange: Exchange) -> Check:
    for error in exchange.errors:
        if isinstance(error, ssl.SSLCertVerificationError):
            code = getattr(error, "verify_code", 0)  # Only those that OpenSSL raises have one.
            usual = f"its certificate cannot be verified (OpenSSL's code {code})", "have it replaced"
            return failure("tls", *_NOT_VERIFIED.get(code, usual))
        if isinstance(error, ssl.SSLError):
            given = getattr(error, "reason", None) or ""
            reason = given if _OPENSSL_REASON.fullmatch(given) else "for an unknown reason"
            advice = "if it wants a certificate, set D1VERIFY_JWKS_CERT_FILE and D1VERIFY_JWKS_KEY_FILE"
            return failure("tls", f"refused: {reason}", advice)
    if exchange.tls is None:
        return skipped("tls", _NO_ANSWER)
    version, begins, ends = exchange.tls
    seen = f"verified, {version}, {days(ends - exchange.answered)}"
    if soon(begins, ends, exchange.answered):
        return warning("tls", seen, "have the endpoint's certificate renewed")
    if version not in ("TLSv1.2", "TLSv1.3"):
        return warning("tls", seen, "have the endpoint speak TLS 1.2 or newer")
    return passed("tls", seen)


def _latency(exchange: Exchange, seconds_allowed: float) -> Check:
    seconds, in_time = exchange.seconds, not any(isinstance(error, TimeoutError) for error in exchange.errors)
    if seconds is None or (in_time and exchange.headers is None):
        return skipped("latency", _NO_ANSWER)
    if seconds >= seconds_allowed or not in_time:
        return failure(
            "latency", f"given up after {seconds:.2f} s", f"it has {seconds_allowed:g} s in all: make it faster"
        )
    seen = f"{seconds:.2f} s to the last byte"
    if seconds >= MAX_WAIT:
        return warning("latency", seen, f"a call waits {MAX_WAIT:g} s for keys at most, then gets 503: make it faster")
    return passed("latency", seen)


def _content_type(headers: httpx2.Headers) -> Check:
    declared = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    encoding = headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        return failure("content type", f"encoded as {safe(encoding)}", "have it sent as it is: no encoding is taken")
    if not declared:
        return warning("content type", "none", "have it declared as application/jwk-set+json")
    if declared not in ("application/json", "application/jwk-set+json"):
        return failure("content type", safe(declared), "have it declared as application/jwk-set+json")
    return passed("content type", declared)


def _caching(headers: httpx2.Headers) -> Check:
    cache_control, ages = headers.get("Cache-Control", ""), headers.get_list("Age")
    current = f"keys count as current for {lifetime(cache_control, ages):g} s"
    extras = (", Age" if ages else "") + (", ETag" if entity_tag(headers.get("ETag")) else "")
    seen = f"{safe(cache_control) or 'no Cache-Control'}{extras}; {current}"
    if lifetime(cache_control, ages, default=_NONE) == _NONE:
        return warning("caching", seen, "have it say Cache-Control: max-age, from 60 to 3600")
    given = [digits.lstrip("0") or "0" for digits in _MAX_AGE.findall(cache_control.lower())]
    if not given or not all(len(one) <= _MANY_DIGITS and SHORTEST <= int(one) <= LONGEST for one in given):
        return warning(
            "caching", seen, "have it say max-age from 60 to 3600; what is outside counts as the nearer limit"
        )
    return passed("caching", seen)


def _clock(exchange: Exchange, headers: httpx2.Headers, leeway: float) -> Check:
    shown = _shown_by_date(headers)
    if shown is None:
        return skipped("clock", "the endpoint sends no Date to compare with", "compare it with a time server")
    earliest, latest = shown
    # The Date was written at some moment between asking and the answer: only what that cannot explain counts.
    ahead, behind = exchange.began - latest, earliest - exchange.answered
    off = max(ahead, behind, 0.0)
    if not off:
        return passed("clock", "agrees with the endpoint's Date")
    seen = f"{off:.1f} s {'ahead of' if ahead > behind else 'behind'} the endpoint's Date; leeway is {leeway:g} s"
    advice = "have a time service set this machine's clock, or the endpoint's"
    if off > leeway:
        return failure("clock", seen, advice)
    return warning("clock", seen, advice) if off > leeway / 2 else passed("clock", seen)


def _shown_by_date(headers: httpx2.Headers) -> tuple[float, float] | None:
    """Return from when to when it can be by the endpoint's clock: Date has whole seconds, and so has Age."""
    try:
        date = parsedate_to_datetime(headers.get("Date", ""))
        begins = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    ages = [int(age) for age in headers.get_list("Age") if re.fullmatch(r"[0-9]{1,9}", age.strip())]
    age = max(ages, default=None)
    return (begins, begins + 1) if age is None else (begins + age, begins + age + 2)

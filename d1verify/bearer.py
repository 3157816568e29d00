"""An `Authorization` header in, an answer out. Pure, and shared by every web edge.

The rules are RFC 6750 §2.1 and §3 and RFC 9110 §11, read strictly: when it is not
plain which credentials were meant, none are taken.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from .errors import ConfigurationError, D1VerifyError, KeyStoreError, Reason, TokenError

__all__ = ["MAX_HEADER_VALUE_BYTES", "Refusal", "authorization_of", "check_realm", "refusal", "token_from_header"]

# The longest token, the scheme, and room for the spaces between them.
MAX_HEADER_VALUE_BYTES: Final = 8192 + 64
# Two values of that length, joined. Beyond it nothing is looked at.
MAX_JOINED_BYTES: Final = 2 * MAX_HEADER_VALUE_BYTES
MAX_RETRY_AFTER: Final = 3600
SCHEME: Final = b"bearer "
SEVERAL_CREDENTIALS: Final = b"Bearer ,"

_NAME: Final = b"authorization"
_NAME_BYTES: Final = len(_NAME)
_COMMA: Final = ord(",")  # As a number it is found faster than as bytes.
_TO_BE_QUOTED: Final = frozenset('"\\')
# One of the values that commas join; a comma beside such a one means two sets of credentials.
_BEARER_VALUE: Final = rb"(?:^|,)[ \t]*bearer "


class Refusal(NamedTuple):
    """An answer to send: `status`, `headers` as (name, value) pairs, and `body`, which HEAD leaves out."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def authorization_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return the `Authorization` value among the header fields of an ASGI scope.

    Several are combined with a comma, as any hop may do (RFC 9110 §5.3), so that
    `token_from_header` refuses them as `invalid_request`: taking either would be taking
    the one that another hop did not look at.
    """
    found = None
    for name, value in headers:
        # Lengths are compared first: that is cheaper than lower() on every name.
        if len(name) == _NAME_BYTES and name.lower() == _NAME:
            if found is not None:
                return SEVERAL_CREDENTIALS
            found = value
    return found


def token_from_header(value: str | bytes | None) -> bytes:
    """Return the token of an `Authorization` header's value (RFC 6750 §2.1).

    The scheme in any case, one or more spaces, then the token to the end. Which characters
    a token may have is for its parser to say, which is stricter than b64token.

    Raises:
        TokenError: `missing_token` for no credentials or another scheme, `invalid_request`
            for a comma (two headers joined on the way), `malformed_token` for one too long.
        TypeError: `value` is neither str, bytes nor None.
    """
    if value is None:
        raise TokenError(Reason.MISSING_TOKEN)
    if not isinstance(value, str | bytes):
        raise TypeError(f"an Authorization value is str, bytes or None, not {type(value).__name__}")
    looked_at = _as_bytes(value if len(value) <= MAX_JOINED_BYTES else value[: len(SCHEME)])
    if _COMMA in looked_at and re.search(_BEARER_VALUE, looked_at, re.IGNORECASE) is not None:
        raise TokenError(Reason.INVALID_REQUEST)
    if looked_at[: len(SCHEME)].lower() != SCHEME:
        raise TokenError(Reason.MISSING_TOKEN)
    if len(value) > MAX_HEADER_VALUE_BYTES:
        raise TokenError(Reason.MALFORMED_TOKEN)
    token = looked_at[len(SCHEME) :].lstrip(b" ")
    if not token:
        raise TokenError(Reason.MISSING_TOKEN)
    return token


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else value


def check_realm(realm: str) -> str:
    """Return `realm` if it may stand in a quoted-string as it is (RFC 9110 §5.6.4).

    Raises:
        ConfigurationError: it holds a quote, a backslash, or anything but printable ASCII.
    """
    if (
        not isinstance(realm, str)
        or not realm.isascii()
        or not realm.isprintable()
        or not _TO_BE_QUOTED.isdisjoint(realm)
    ):
        raise ConfigurationError("realm must be printable ASCII without quotes and backslashes")
    return realm


def refusal(error: D1VerifyError, *, realm: str = "d1", reveal_reason: bool = False) -> Refusal:
    """Return the answer to a call that was refused with `error` (RFC 6750 §3).

    Args:
        error: a `TokenError` or a `KeyStoreError`.
        realm: the protection space named in the challenge.
        reveal_reason: add the reason to challenge and body. It helps whoever probes the
            service as much as whoever integrates it, so it belongs on staging.

    Raises:
        TypeError: `error` is no refusal but, say, a `ConfigurationError`.
        ConfigurationError: `realm` cannot stand in a quoted-string.
    """
    check_realm(realm)
    if isinstance(error, KeyStoreError):
        status, code, challenge = 503, "temporarily_unavailable", None
    elif isinstance(error, TokenError):
        status, code = _STATUS_AND_CODE.get(error.reason, (401, "invalid_token"))
        challenge = f'Bearer realm="{realm}"'
        if error.reason is not Reason.MISSING_TOKEN:
            challenge += f', error="{code}"'
    else:
        raise TypeError(f"{type(error).__name__} is not an answer to a call")
    content = {"error": code}
    if reveal_reason:
        content["error_description"] = error.reason.value
        if challenge is not None and error.reason is not Reason.MISSING_TOKEN:
            challenge += f', error_description="{error.reason.value}"'
    body = json.dumps(content, separators=(",", ":")).encode()
    return Refusal(status, _headers(error, challenge, len(body)), body)


def _headers(error: D1VerifyError, challenge: str | None, length: int) -> tuple[tuple[str, str], ...]:
    headers = [
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        ("Content-Length", str(length)),
    ]
    if challenge is not None:
        headers.append(("WWW-Authenticate", challenge))
    if isinstance(error, KeyStoreError):
        headers.append(("Retry-After", str(_whole_seconds(error.retry_after))))
    return tuple(headers)


def _whole_seconds(retry_after: float) -> int:
    """Round up to whole seconds (RFC 9110 §10.2.3), from 1 to an hour."""
    if not retry_after < MAX_RETRY_AFTER:
        return MAX_RETRY_AFTER
    return math.ceil(max(1.0, retry_after))


_STATUS_AND_CODE: Final = {
    Reason.MISSING_TOKEN: (401, "missing_token"),
    Reason.INVALID_REQUEST: (400, "invalid_request"),
    Reason.INSUFFICIENT_SCOPE: (403, "insufficient_scope"),
}

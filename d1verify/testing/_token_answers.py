"""Whether a token endpoint's answer is the one that was expected: a token, or an error as RFC 6749 §5.2 has it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from .._codec import MalformedError, decode_base64url, parse_object
from .call import TokenExpect

__all__ = ["MAX_SECONDS", "issued_token", "token_faults"]

MAX_SECONDS: Final = 900
_OK, _UNAUTHORIZED, _SERVER_ERROR = 200, 401, 500

_TOKEN68: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_BASIC: Final = re.compile(r"(?:^|,)\s*basic\s", re.IGNORECASE)
_DESCRIPTION: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*")
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_NO_STORE: Final = re.compile(r"(?:^|,)\s*no-store\s*(?:$|,)", re.IGNORECASE)
_CODES: Final = frozenset(
    {
        *("invalid_client", "invalid_grant", "invalid_request", "invalid_scope"),
        *("unauthorized_client", "unsupported_grant_type"),
    }
)
# Status -> the error codes that may go with it; None where the app may not have seen the request at all.
_REFUSALS: Final[Mapping[TokenExpect, Mapping[int, Collection[str] | None]]] = {
    TokenExpect.INVALID_REQUEST: {400: {"invalid_request"}},
    TokenExpect.INVALID_GRANT: {400: {"invalid_grant"}},
    TokenExpect.INVALID_CLIENT: {401: {"invalid_client"}},
    TokenExpect.UNSUPPORTED_GRANT_TYPE: {400: {"unsupported_grant_type"}},
    TokenExpect.CLIENT_REFUSED: {400: {"unsupported_grant_type"}, 401: {"invalid_client"}},
    TokenExpect.SCOPE_NOT_GRANTED: {400: {"invalid_scope"}},
    TokenExpect.REFUSED: {400: _CODES, 401: {"invalid_client"}},
    TokenExpect.UNSTORED_REFUSAL: {400: _CODES},
    TokenExpect.WRONG_METHOD: {400: None, 404: None, 405: None},
    TokenExpect.WRONG_FORM: {400: None, 415: None},
    TokenExpect.TOO_LONG: {400: None, 413: None},
}

Pairs = list[tuple[str, str]]


def token_faults(
    expect: TokenExpect, status: int, pairs: Pairs, body: bytes | str, secrets: Collection[str]
) -> list[str]:
    """Return in words of ours what is wrong with an answer; nothing that the endpoint has said is in them.

    Args:
        expect: what it had to answer.
        status: the status it answered with.
        pairs: its header fields, with lower-case names.
        body: its body.
        secrets: texts of the request that no token may contain.
    """
    content = _json_object(body)
    if status == _OK and expect in (TokenExpect.ISSUED, TokenExpect.SCOPE_NOT_GRANTED):
        return list(_grant_faults(pairs, content, secrets))
    if status >= _SERVER_ERROR:
        return [f"expected {expect}, and the app failed with {status}"]
    allowed = _REFUSALS.get(expect, {})
    if status not in allowed:
        return [f"expected {expect}, got {_said(status, content)}"]
    codes = allowed[status]
    return [] if codes is None else list(_error_faults(expect, status, pairs, content, codes))


def issued_token(body: bytes | str) -> str | None:
    """Return the access token of an answer that grants one, or None."""
    value = _json_object(body).get("access_token")
    return value if isinstance(value, str) and _TOKEN68.fullmatch(value) else None


def _json_object(body: bytes | str) -> dict[str, Any]:
    try:
        return parse_object(body if isinstance(body, bytes) else body.encode("utf-8", "replace"))
    except MalformedError:
        return {}


def _said(status: int, content: dict[str, Any]) -> str:
    if "access_token" in content:
        return f"{status} and an access token"
    code = _code_in(content)
    return f"{status} {code}" if code in _CODES else str(status)


def _code_in(content: dict[str, Any]) -> str:
    code = content.get("error")
    return code if isinstance(code, str) else ""


def _grant_faults(pairs: Pairs, content: dict[str, Any], secrets: Collection[str]) -> Iterator[str]:
    """RFC 6749 §5.1, and D1's published answer: `expires_in` is 900 at most, `expires_at` is RFC 3339 in UTC."""
    yield from _form_faults(pairs, content)
    kind, seconds = content.get("token_type"), content.get("expires_in")
    expires_at, scope = content.get("expires_at"), content.get("scope", "")
    value = content.get("access_token")
    if not isinstance(value, str) or _TOKEN68.fullmatch(value) is None:
        yield "access_token is no text that fits behind Bearer"
    elif any(secret in _claims_of(value) for secret in secrets):
        yield "the access token has what the request asked for in it"
    if not isinstance(kind, str) or kind.lower() != "bearer":
        yield "token_type is not Bearer"
    if type(seconds) is not int or not 0 < seconds <= MAX_SECONDS:
        yield f"expires_in is no whole number of seconds from 1 to {MAX_SECONDS}"
    if "expires_at" in content and not _is_utc(expires_at):
        yield "expires_at is no time in UTC as RFC 3339 writes it"
    if not isinstance(scope, str):
        yield "scope is no text"
    if "refresh_token" in content:
        yield "the answer has a refresh_token, which outlives the assertion"
    if not _is_unstored(pairs):
        yield "the answer may be stored: it has no Cache-Control: no-store"


def _error_faults(
    expect: TokenExpect, status: int, pairs: Pairs, content: dict[str, Any], codes: Collection[str]
) -> Iterator[str]:
    """RFC 6749 §5.2; a 401 has a challenge (RFC 9110 §15.5.2)."""
    if _code_in(content) not in codes:
        yield f"expected {expect}, got {_said(status, content)}"
        return
    yield from _form_faults(pairs, content)
    description = content.get("error_description", "")
    if not isinstance(description, str) or _DESCRIPTION.fullmatch(description) is None:
        yield "error_description has characters that it must not have"
    if "access_token" in content:
        yield "the refusal has an access token with it"
    if status == _UNAUTHORIZED and not any(
        name == "www-authenticate" and _BASIC.search(value) for name, value in pairs
    ):
        yield "the 401 has no WWW-Authenticate header with a Basic challenge"
    if expect is TokenExpect.UNSTORED_REFUSAL and not _is_unstored(pairs):
        yield "the answer may be stored: it has no Cache-Control: no-store"


def _form_faults(pairs: Pairs, content: dict[str, Any]) -> Iterator[str]:
    types = [value.partition(";")[0].strip().lower() for name, value in pairs if name == "content-type"]
    if types != ["application/json"]:
        yield "the answer is not declared to be JSON"
    if not content:
        yield "the answer is not a JSON object"


def _is_unstored(pairs: Pairs) -> bool:
    return any(name == "cache-control" and _NO_STORE.search(value) for name, value in pairs)


def _is_utc(value: object) -> bool:
    if not isinstance(value, str) or _RFC_3339.fullmatch(value) is None:
        return False
    try:
        return datetime.fromisoformat(value.upper()).utcoffset() == timedelta(0)
    except ValueError:
        return False


def _claims_of(token: str) -> str:
    """Return the payload of a JWT as text; of anything else, nothing."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload and signature
        return ""
    try:
        return decode_base64url(parts[1].encode("ascii")).decode("utf-8", "replace")
    except MalformedError:
        return ""

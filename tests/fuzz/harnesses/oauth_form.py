"""`oauth._forms`: a token request's content types and body in, one reading of its parameters out.

An input is the lines of its `Content-Type` headers, an empty line, and the body.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from authlib.oauth2.rfc6749 import InvalidRequestError  # type: ignore[import-untyped]

from d1verify.oauth._forms import JWT_BEARER, check_content_type, check_mechanism, parse_form

from ..oracles import require
from ..oracles.wording import Wording

__all__ = ["MAX_BYTES", "WORDS", "check"]

MAX_BYTES: Final = 2048
WORDS: Final = (
    *("application/x-www-form-urlencoded", "; charset=utf-8", ';charset="utf-8"', "multipart/form-data", "grant_type="),
    *(JWT_BEARER, JWT_BEARER.replace(":", "%3A"), "client_credentials", "assertion=", "client_id=", "client_secret="),
    *("client_assertion=", "client_assertion_type=", "scope=", "&", "=", ";", "%", "%00", "%26", "%3D", "%C3%A9"),
    *("%ff", "+"),
)  # fmt: skip

_MAX_FIELDS: Final = 32
_OWN_WORDS: Final = Wording("d1verify.oauth._forms")
_ESCAPED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_FORM: Final = re.compile(
    rb"[ \t]*application/x-www-form-urlencoded[ \t]*(;[ \t]*charset=(utf-8|\"utf-8\")[ \t]*)*", re.IGNORECASE
)


def check(data: bytes) -> None:
    """Return if the request is read as RFC 6749 §2.3, §3.2 and Appendix B say, and refused otherwise."""
    head, _, body = data.partition(b"\n\n")
    types = head.split(b"\n")
    is_form = len(types) == 1 and len(types[0]) <= 128 and _FORM.fullmatch(types[0]) is not None
    require(_holds(partial(check_content_type, types)) is is_form, "one form in UTF-8 is one")
    form, expected = _form(body), _parameters(body)
    require(form == expected, "a well-formed form is read, each parameter once, and no other")
    if form is not None:
        for has_header in (False, True):
            proved = _holds(partial(check_mechanism, form, has_header=has_header))
            may_pass = "grant_type" in form and _mechanisms(form) + has_header <= 1
            require(proved is may_pass, "one way of proof at most")


def _form(body: bytes) -> dict[str, str] | None:
    try:
        return parse_form(body)
    except InvalidRequestError as error:
        _check_description(error)
        return None


def _holds(check_: Callable[[], None]) -> bool:
    try:
        check_()
    except InvalidRequestError as error:
        _check_description(error)
        return False
    return True


def _check_description(error: Any) -> None:
    require(not _OWN_WORDS.foreign(error.description), "the description has only words of ours")


def _parameters(body: bytes) -> dict[str, str] | None:
    pieces = body.split(b"&") if body else []
    found: dict[str, str] = {}
    if len(pieces) > _MAX_FIELDS or not body.isascii():
        return None
    for piece in pieces:
        name, equals, value = (_unescaped(part) for part in piece.partition(b"="))
        if not equals or name is None or value is None or name in found:
            return None
        found[name] = value
    return {name: value for name, value in found.items() if value}


def _unescaped(part: bytes) -> str | None:
    data = _ESCAPED.sub(lambda digits: bytes.fromhex(digits[1].decode("ascii")), part.replace(b"+", b" "))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _mechanisms(form: dict[str, str]) -> int:
    secret = {"client_secret", "client_assertion", "client_assertion_type"} & set(form)
    grant = form.get("grant_type")
    return bool(secret) + (grant == JWT_BEARER or (grant == "client_credentials" and "assertion" in form))

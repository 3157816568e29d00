"""A token request's body in, its parameters out, or the error that answers it. Pure.

Read strictly, so that no two readers see two requests: RFC 6749 §3.2 and Appendix B.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import InvalidRequestError  # type: ignore[import-untyped]

__all__ = ["CLIENT_CREDENTIALS", "JWT_BEARER", "check_content_type", "check_mechanism", "parse_form"]

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_CREDENTIALS: Final = "client_credentials"

MAX_FIELDS: Final = 32
MAX_CONTENT_TYPE_BYTES: Final = 128
_MEDIA_TYPE: Final = b"application/x-www-form-urlencoded"
_CHARSETS: Final = (b"charset=utf-8", b'charset="utf-8"')
# Ways to authenticate a client that this endpoint does not have (RFC 6749 §2.3.1, RFC 7521 §4.2).
_BODY_CREDENTIALS: Final = ("client_secret", "client_assertion", "client_assertion_type")


def check_content_type(values: list[bytes]) -> None:
    """Return if the `Content-Type` headers are one and name a form in UTF-8.

    Raises:
        InvalidRequestError: they do not.
    """
    if len(values) == 1 and len(values[0]) <= MAX_CONTENT_TYPE_BYTES:
        media_type, *parameters = (part.strip(b" \t").lower() for part in values[0].split(b";"))
        if media_type == _MEDIA_TYPE and all(parameter in _CHARSETS for parameter in parameters):
            return
    raise InvalidRequestError("the content type must be application/x-www-form-urlencoded")


def parse_form(body: bytes) -> dict[str, str]:
    """Return the parameters of a form; one without a value counts as not there (RFC 6749 §3.2).

    Raises:
        InvalidRequestError: it is not well-formed, not UTF-8, has more than 32 fields, or one twice.
    """
    if not body:
        return {}
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_FIELDS,
            separator="&",
        )
    except ValueError:
        raise InvalidRequestError("the body is not a well-formed form") from None
    form = dict(fields)
    if len(form) != len(fields):
        raise InvalidRequestError("a parameter is there more than once")
    return {name: value for name, value in form.items() if value}


def check_mechanism(form: dict[str, str], *, has_header: bool) -> None:
    """Return if the request names a grant and proves its right to it in one way only (RFC 6749 §2.3).

    Args:
        form: the parameters.
        has_header: there is an `Authorization` header, whatever is in it.

    Raises:
        InvalidRequestError: it names none, or there are two ways.
    """
    grant_type = form.get("grant_type")
    if grant_type is None:
        raise InvalidRequestError("grant_type is missing")
    by_body = any(name in form for name in _BODY_CREDENTIALS)
    by_assertion = grant_type == JWT_BEARER or (grant_type == CLIENT_CREDENTIALS and "assertion" in form)
    if by_body + by_assertion + has_header > 1:
        raise InvalidRequestError("there is more than one way of authentication")

"""`bearer`: one or several `Authorization` values in, a token or a fixed answer out."""

from __future__ import annotations

import json
from typing import Final

from d1verify import TokenError, refusal
from d1verify.bearer import authorization_of, token_from_header

from ..judging import verifier
from ..material import RECORD_END, RULES
from ..oracles import InvariantError, require
from ..oracles.wording import Wording

__all__ = ["MAX_BYTES", "WORDS", "check"]

MAX_BYTES: Final = 18_000
MAX_VALUES: Final = 3
WORDS: Final = (
    "Bearer ",
    "bearer ",
    "BEARER",
    "Basic ",
    ",",
    ", Bearer ",
    ",\tbearer ",
    "  ",
    "\t",
    "=",
    "==",
    "\x1e",
    ".",
)

_OWN_WORDS: Final = Wording("d1verify.errors")
_TOKEN68: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/")
_VERIFIER: Final = verifier(RULES[0])
_LONGEST: Final = 8192 + 64
_CHALLENGES: Final = {401: ("missing_token", "invalid_token"), 400: ("invalid_request",)}


def check(data: bytes) -> None:
    """Return if each value is read by RFC 6750 §2.1 and RFC 9110 §11.4, and several are refused."""
    values = data.split(RECORD_END, MAX_VALUES - 1)
    for value in values:
        expected = _verdict(value)
        require(_outcome(value) == expected, "the value is read in the one right way")
        text = value.decode("latin-1")
        if value.isascii() and len(value) <= _LONGEST:
            require(_outcome(text) == expected, "text and bytes are read alike")
        else:
            require(isinstance(_outcome(text), str), "what is no ASCII has no token")
    require(
        _outcome(authorization_of([(b"Authorization", value) for value in values]))
        == (_verdict(data) if len(values) == 1 else "invalid_request"),
        "of several none is taken",
    )
    joined = _outcome(b", ".join(values))
    require(len(values) == 1 or isinstance(joined, str), "values that a hop has joined are refused")


def _outcome(value: str | bytes | None) -> bytes | str:
    """Return the token, or the reason for which there is none; the answer that it leads to is checked."""
    try:
        token = token_from_header(value)
    except TokenError as error:
        require(not _OWN_WORDS.foreign(str(error)), "the message says nothing of the value")
        answer = refusal(error)
        code = json.loads(answer.body)["error"]
        require(code in _CHALLENGES[answer.status], "the answer is one of the fixed ones")
        require(all(text.isprintable() for pair in answer.headers for text in pair), "no header can be split")
        return error.reason.value
    raw = value.encode("utf-8") if isinstance(value, str) else value or b""
    require(raw.endswith(token), "the token is what was sent")
    if not _is_token68(token):
        return _refused(token)
    require(token_from_header(b"Bearer " + token) == token, "and is read again as it is")
    return token


def _refused(token: bytes) -> str:
    """Return why the verifier refuses what no `Authorization` header may carry; it has to."""
    try:
        _VERIFIER.verify(token)
    except TokenError as error:
        return error.reason.value
    raise InvariantError("a token has characters of RFC 6750 §2.1 only")


def _verdict(value: bytes) -> bytes | str:
    """Return the same by hand: schemes are looked for around commas, then the one that is there is read."""
    pieces = [piece.lstrip(b" \t") for piece in value.split(b",")] if len(value) <= 2 * _LONGEST else []
    if len(pieces) > 1 and any(_is_bearer(piece) for piece in pieces):
        return "invalid_request"
    if not _is_bearer(value):
        return "missing_token"
    if len(value) > _LONGEST:
        return "malformed_token"
    token = value[7:]
    while token.startswith(b" "):
        token = token[1:]
    if not token:
        return "missing_token"
    return token if _is_token68(token) else "malformed_token"


def _is_token68(token: bytes) -> bool:
    body = token.rstrip(b"=")
    return body != b"" and set(body) <= _TOKEN68


def _is_bearer(piece: bytes) -> bool:
    return piece[:6].upper() == b"BEARER" and piece[6:7] == b" "

"""Whether an answer is the one that was expected: its status, its challenge, and what it must not repeat."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from ._token_answers import token_faults
from .call import Call, Expect, TokenExpect

__all__ = ["Headers", "faults", "header_pairs", "pieces_of"]

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]

_BEARER: Final = re.compile(r"(?:^|,)\s*bearer(?:\s+(?P<parameters>[^\r\n]*))?(?:$|,)", re.IGNORECASE)
_ERROR: Final = re.compile(r'\berror\s*=\s*"?([\w-]*)', re.IGNORECASE)
_ERROR_CODES: Final = {401: "invalid_token", 400: "invalid_request", 403: "insufficient_scope"}
# No route, not this method, not this body or type of body.
_NOT_SERVED: Final = frozenset({400, 404, 405, 415, 422})
_SERVER_ERROR: Final = 500
_HANDSHAKES: Final = frozenset({Expect.HANDSHAKE_REFUSED, Expect.HANDSHAKE_REJECTED})

# An answer that repeats this many characters of a credential in a row has it from there.
ECHO_WINDOW: Final = 16
_ECHO_STRIDE: Final = 4
# Filler such as AAAA… may stand in any answer.
_TELLING_CHARACTERS: Final = 6
# Header fields that an answer may well name: they hold no credentials.
_NO_CREDENTIALS: Final = frozenset({b"host", b"content-type", b"content-encoding"})


def faults(
    expect: Expect | TokenExpect, status: int, headers: Headers, body: bytes | str, call: Call | None
) -> list[str]:
    """Return in words of ours what is wrong with an answer; nothing that the app has said is in them.

    Args:
        expect: what the app had to answer.
        status: the status it answered with; for a WebSocket 101 when it was accepted.
        headers: its header fields, as a mapping or as pairs.
        body: its body, as far as there is one.
        call: what it was the answer to, to see whether the answer repeats it.
    """
    pairs = header_pairs(headers)
    text = body.decode("latin-1") if isinstance(body, bytes) else body
    if isinstance(expect, TokenExpect):
        found = token_faults(expect, status, pairs, body, () if call is None else call.secrets)
    else:
        found = _guard_faults(expect, status, pairs, text)
    if call is not None and call.must_be_served and status in _NOT_SERVED:
        found.append(f"got {status}: is this the guarded route's URL and method, and a body that it takes?")
    if call is not None and _repeats(call, "\n".join([text, *(value for _, value in pairs)])):
        found.append("the answer repeats a part of the credentials")
    return found


def _guard_faults(expect: Expect, status: int, pairs: list[tuple[str, str]], text: str) -> list[str]:
    challenges = [value for name, value in pairs if name == "www-authenticate"]
    found = list(_status_faults(expect, status, challenges, text))
    if not found and expect is not Expect.ACCEPTED:
        found += _challenge_faults(expect, status, challenges)
    return found


def header_pairs(headers: Headers) -> list[tuple[str, str]]:
    """Return header fields with lower-case names, whatever a client's response keeps them in."""
    items = getattr(headers, "items", None)
    pairs: Iterable[tuple[str | bytes, str | bytes]] = items() if callable(items) else headers  # type: ignore[assignment]
    return [(_text(name).lower(), _text(value)) for name, value in pairs]


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _status_faults(expect: Expect, status: int, challenges: list[str], text: str) -> Iterator[str]:
    if status in expect.statuses:
        return
    if status >= _SERVER_ERROR:
        yield f"expected {expect}, and the app failed with {status}"
    elif expect is not Expect.ACCEPTED:
        yield f"expected {expect}, got {status}"
    elif status in (401, 403, 407) or (status == 400 and _says_invalid_request(challenges, text)):  # noqa: PLR2004
        yield f"expected that the call is let through, and it was refused with {status}"
    elif 300 <= status < 400:  # noqa: PLR2004 - the statuses of a redirect
        yield f"expected that the call is let through, and it was sent elsewhere with {status}"


def _says_invalid_request(challenges: list[str], text: str) -> bool:
    return any("invalid_request" in said for said in (*challenges, text))


def _challenge_faults(expect: Expect, status: int, challenges: list[str]) -> Iterator[str]:
    """A 401 has a challenge (RFC 9110 §15.5.2) and it is a Bearer one; a code fits its status (RFC 6750 §3.1)."""
    found = next((match for match in map(_BEARER.search, challenges) if match), None)
    if found is None:
        if status == 401 and expect not in _HANDSHAKES:  # noqa: PLR2004
            yield "the 401 has no WWW-Authenticate header with a Bearer challenge"
        return
    code = _ERROR.search(found["parameters"] or "")
    if code is not None and code[1] != _ERROR_CODES.get(status, code[1]):
        yield f"the challenge's error code is not {_ERROR_CODES[status]}, which is the one for {status}"


def _repeats(call: Call, answer: str) -> bool:
    return any(piece in answer for piece in _telling_pieces(call))


def _telling_pieces(call: Call) -> Iterator[str]:
    yield from call.secrets
    for name, value in call.raw_headers:
        if name.lower() not in _NO_CREDENTIALS:
            yield from pieces_of(value.decode("latin-1"))


def pieces_of(credentials: str) -> Iterator[str]:
    """Return what nobody writes by chance: stretches of each part of each credential.

    Of a token's first part only the whole counts, since all tokens begin alike; and of the
    rest overlapping stretches, so that an answer with a part cut out is noticed too.
    """
    for word in re.split(r"[\s,]+", credentials):
        first, *rest = word.split(".")
        if rest and len(first) > ECHO_WINDOW:
            yield first
        for part in rest or [first]:
            yield from _stretches(part)


def _stretches(part: str) -> Iterator[str]:
    last = len(part) - ECHO_WINDOW
    for start in {*range(0, last + 1, _ECHO_STRIDE), last} if last >= 0 else ():
        stretch = part[start : start + ECHO_WINDOW]
        if len(set(stretch)) >= _TELLING_CHARACTERS:
            yield stretch

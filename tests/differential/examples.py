"""One token for each class of strictness: good but for the one thing, and signed with that thing in it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from ..support import NOW, SUBJECT, b64
from .peers import KEY, OTHER_KEY

_CLAIMS = {"iss": "d1", "aud": "stg", "sub": SUBJECT, "exp": NOW + 600}
_REST = f'"aud":"stg","sub":"{SUBJECT}","exp":{NOW + 600}'


def good() -> str:
    return _token()


def _token(header: dict[str, Any] | None = None, /, **claims: Any) -> str:
    return KEY.sign({"alg": "ES256", "kid": KEY.kid, **(header or {})}, {**_CLAIMS, **claims})


def _header(text: str) -> str:
    return KEY.sign(text.encode(), _CLAIMS)


def _payload(text: str | bytes) -> str:
    return KEY.sign({"alg": "ES256", "kid": KEY.kid}, text.encode() if isinstance(text, str) else text)


def _with(member: str) -> str:
    return _payload(f'{{"iss":"d1",{_REST},"note":{member}}}')


def _parts() -> tuple[str, str, str]:
    header, payload, signature = good().split(".")
    return header, payload, signature


def _signature(change: Callable[[str], str]) -> str:
    """Spell the signature otherwise, which is over the other two parts, and not over itself."""
    header, payload, signature = _parts()
    changed = change(signature)
    assert changed != signature
    return f"{header}.{payload}.{changed}"


def _next(letter: str) -> str:
    return chr(ord(letter) + 1)


def _serialised() -> str:
    protected, payload, signature = _parts()
    # jwcrypto's JWT counts the dots before it looks at the form.
    return json.dumps({"protected": protected, "payload": payload, "signature": signature, "dots": ".."})


def _more_parts() -> str:
    header, payload, _ = _parts()
    signed = f"{header}.{payload[:40]}....{payload[40:]}"  # Four, so that a decoder that skips them pads rightly.
    return f"{signed}.{b64(KEY.signature(signed.encode()))}"


@functools.cache
def examples() -> dict[str, str]:
    """Return a token by the name of its class."""
    claims = json.dumps(_CLAIMS)
    return {
        "over 8,192 bytes": _token(note="x" * 6200),
        "header part over 2,048 bytes": _token({"x5c": ["x" * 1600]}),
        "JSON serialisation instead of compact": _serialised(),
        "more than three parts": _more_parts(),
        "base64url with padding": _signature(lambda spelt: spelt + "=="),
        "base64url with `+` or `/`": _signature(lambda spelt: spelt.replace("-", "+").replace("_", "/")),
        "base64url with white space or other bytes": _signature(lambda spelt: f"{spelt[:76]}\r\n\r\n{spelt[76:]}"),
        # 64 bytes leave four bits of the last character unused.
        "base64url with stray bits at its end": _signature(lambda spelt: spelt[:-1] + _next(spelt[-1])),
        "a member twice in the header": _header(f'{{"alg":"none","alg":"ES256","kid":"{KEY.kid}"}}'),
        "a member twice in the payload": _payload(f'{{"iss":"evil","iss":"d1",{_REST}}}'),
        "`NaN` or `Infinity`": _with("NaN"),
        "a number beyond a double": _with("1e400"),
        "nested deeper than 16": _with("[" * 16 + "]" * 16),
        "a lone surrogate": _with('"\\ud800"'),
        "a byte order mark": _payload(claims.encode("utf-8-sig")),
        "UTF-16 or UTF-32": _payload(claims.encode("utf-16")),
        "bytes that are not UTF-8": _payload(f'{{"iss":"d1",{_REST},"note":"'.encode() + b'\xed\xa0\x80"}'),
        "no `kid`": KEY.sign({"alg": "ES256"}, _CLAIMS),
        "`kid` is no text": _token({"kid": None}),
        "`kid` does not name the signing key": _token({"kid": OTHER_KEY.kid}),
        "`typ` of another profile": _token({"typ": "at+jwt"}),
        "`typ` is no text": _token({"typ": 5}),
        "`cty` of a token within the token": _token({"cty": "JWT"}),
        "`crit`, here of an unknown extension": _token({"crit": ["unheard-of"], "unheard-of": 1}),
        "`crit` that lists nothing": _token({"crit": []}),
        "`b64`, even `true`": _token({"b64": True}),
        "`zip` or `enc`": _token({"zip": "DEF"}),
        "`iss` is not the issuer": _token(iss="d"),
        "`aud` array with an empty string": _token(aud=["stg", ""]),
        "`aud` array with more than strings": _token(aud=["stg", 1]),
        "`exp` as text": _token(exp=str(NOW + 600)),
        "`iat` or `nbf` as text": _token(iat=str(NOW)),
        "a date as `true` or `false`": _token(iat=True),
        "`iat` or `nbf` of `null`": _token(iat=None),
        "`jti` is no text": _token(jti=5),
        "a date of 2⁵³ or more": _token(iat=-(2**53)),
        "`exp` more than 15 minutes ahead": _token(exp=NOW + 10 * 365 * 86_400),
        "`exp` past, at the last second of the leeway": _token(exp=NOW - 30),
        "`iat` or `nbf` in the future": _token(iat=NOW + 600),
        "`iat` or `nbf` in the future by less than a second": _token(iat=NOW + 30.5),
    }

"""The table: what a client may send, and what every edge answers. DESIGN.md 2 and 6 in examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from d1verify import D1Token, D1Verifier, KeyStoreError
from tests.support import KEY, NOW, OTHER_KEY, b64, make_verifier

from .edge import Headers

STRANGER = OTHER_KEY


@dataclass(frozen=True, slots=True)
class Expected:
    """An answer as DESIGN.md 6 writes it down: nothing here is computed by the code under test."""

    status: int
    challenge: str | None
    error: str
    retry_after: str | None = None


ANSWERS = {
    "missing_token": Expected(401, 'Bearer realm="d1"', "missing_token"),
    "invalid_request": Expected(400, 'Bearer realm="d1", error="invalid_request"', "invalid_request"),
    "insufficient_scope": Expected(403, 'Bearer realm="d1", error="insufficient_scope"', "insufficient_scope"),
    "keys_unavailable": Expected(503, None, "temporarily_unavailable", retry_after="8"),
}
INVALID_TOKEN = Expected(401, 'Bearer realm="d1", error="invalid_token"', "invalid_token")


@dataclass(frozen=True, slots=True)
class Case:
    """Headers, and the reason for which they are refused; "" when they are accepted."""

    id: str
    reason: str
    headers: Headers
    target: str = "/notify"

    @property
    def expected(self) -> Expected:
        return ANSWERS.get(self.reason, INVALID_TOKEN)


def authorization(*values: str | bytes) -> Headers:
    return [(b"authorization", value.encode() if isinstance(value, str) else value) for value in values]


def bearer(token: str) -> Headers:
    return authorization(f"Bearer {token}")


def token_of_length(length: int) -> str:
    """Return a token of exactly this many bytes that is good but, perhaps, for its length."""
    return next(token for token in _padded(length) if len(token) == length)


def _padded(length: int) -> Iterator[str]:
    for header_padding in range(4):
        for padding in range(length * 3 // 4 - 300, length * 3 // 4 - 100):
            yield KEY.mint({"x": "x" * header_padding}, x="x" * padding)


def corrupted(token: str) -> str:
    """Return the token with another signature of the right form."""
    return f"{token.rpartition('.')[0]}.{b64(bytes(63) + bytes([1]))}"


GOOD = KEY.mint()

REFUSED = (
    Case("no header", "missing_token", []),
    Case("another scheme", "missing_token", authorization("Basic dTpw")),
    Case("another token scheme", "missing_token", authorization(f"DPoP {GOOD}")),
    Case("the scheme alone", "missing_token", authorization("Bearer")),
    Case("the scheme and a space", "missing_token", authorization("Bearer ")),
    Case("no space after the scheme", "missing_token", authorization(f"Bearer{GOOD}")),
    Case("a tab after the scheme", "missing_token", authorization(f"Bearer\t{GOOD}")),
    Case("the token alone", "missing_token", authorization(GOOD)),
    Case("an empty value", "missing_token", authorization("")),
    Case("a token in another header", "missing_token", [(b"x-forwarded-authorization", f"Bearer {GOOD}".encode())]),
    Case("a token for the proxy", "missing_token", [(b"proxy-authorization", f"Bearer {GOOD}".encode())]),
    Case("a token in the query", "missing_token", [], target=f"/notify?access_token={GOOD}"),
    Case("two headers, both good", "invalid_request", authorization(f"Bearer {GOOD}", f"Bearer {GOOD}")),
    Case("two headers, the first good", "invalid_request", authorization(f"Bearer {GOOD}", "Bearer x")),
    Case("two headers, the second good", "invalid_request", authorization("Bearer x", f"Bearer {GOOD}")),
    Case("a good token, then Basic", "invalid_request", authorization(f"Bearer {GOOD}", "Basic dTpw")),
    Case("Basic, then a good token", "invalid_request", authorization("Basic dTpw", f"Bearer {GOOD}")),
    Case("two joined by a comma", "invalid_request", authorization(f"Bearer {GOOD}, Bearer {GOOD}")),
    Case("a trailing comma", "invalid_request", authorization(f"Bearer {GOOD},")),
    Case("non-ASCII bytes", "malformed_token", authorization(b"Bearer \xff\xfe" + GOOD.encode())),
    Case("UTF-8", "malformed_token", authorization(f"Bearer {GOOD}é")),
    Case("a no-break space", "malformed_token", authorization(b"Bearer \xa0" + GOOD.encode())),
    Case("a space after the token", "malformed_token", authorization(f"Bearer {GOOD} ")),
    Case("a control character", "malformed_token", authorization(f"Bearer {GOOD}\x01")),
    Case("no JWT", "malformed_token", bearer("opaque")),
    Case("four parts", "malformed_token", bearer(f"{GOOD}.e30")),
    Case("padding", "malformed_token", bearer(f"{GOOD}=")),
    Case("8 KiB and 1 byte", "malformed_token", bearer(token_of_length(8193))),
    Case("a megabyte", "malformed_token", bearer("." * 1_000_000)),
    Case("alg none", "disallowed_algorithm", bearer(KEY.mint({"alg": "none"}))),
    Case("alg HS256", "disallowed_algorithm", bearer(KEY.mint({"alg": "HS256"}))),
    Case("an unknown kid", "unknown_key", bearer(STRANGER.mint())),
    Case("another key under a known kid", "bad_signature", bearer(STRANGER.mint({"kid": KEY.kid}))),
    Case("another signature", "bad_signature", bearer(corrupted(GOOD))),
    Case("no subject", "missing_claim", bearer(KEY.sign(KEY.header(), {"iss": "d1", "aud": "stg", "exp": NOW + 600}))),
    Case("exp as text", "invalid_claim", bearer(KEY.mint(exp=str(NOW + 600)))),
    Case("another issuer", "wrong_issuer", bearer(KEY.mint(iss="d2"))),
    Case("the other environment", "wrong_environment", bearer(KEY.mint(aud="prd"))),
    Case("another audience", "wrong_audience", bearer(KEY.mint(aud="elsewhere"))),
    Case("another merchant gateway", "wrong_subject", bearer(KEY.mint(sub="MGW_000002"))),
    Case("expired", "expired", bearer(KEY.mint(exp=NOW - 31))),
    Case("a lifetime of a day", "lifetime_too_long", bearer(KEY.mint(exp=NOW + 86_400))),
    Case("not valid yet", "not_yet_valid", bearer(KEY.mint(nbf=NOW + 60))),
)

ACCEPTED = (
    Case("a good token", "", bearer(GOOD)),
    Case("scheme in lower case", "", authorization(f"bearer {GOOD}")),
    Case("scheme in upper case", "", authorization(f"BEARER {GOOD}")),
    Case("scheme in odd case", "", authorization(f"bEaReR {GOOD}")),
    Case("several spaces", "", authorization(f"Bearer   {GOOD}")),
    Case("header name in capitals", "", [(b"AUTHORIZATION", f"Bearer {GOOD}".encode())]),
    Case("8 KiB", "", bearer(token_of_length(8192))),
    Case("another token in the query", "", bearer(GOOD), target="/notify?access_token=x"),
)

# Not open when /health is excluded: other spellings, and paths that mention it.
NOT_QUITE_EXCLUDED = (
    "/health/",
    "/HEALTH",
    "//health",
    "/./health",
    "/health/../notify",
    "/%68ealth",
    "/health%2f",
    "/health%2f..%2fnotify",
    "/health%00",
    "/health%0a",
    "/health;x=1",
    "/health%20",
    "/health%ff",
    "/health-admin",
    "/notify?x=/health",
)


@dataclass(slots=True)
class NoKeys:
    """A verifier whose keys cannot be had; it counts how often it was asked."""

    error: Exception = field(default_factory=lambda: KeyStoreError("the key store is down", retry_after=7.2))
    asked: int = 0

    def verify_header(self, value: str | bytes | None) -> D1Token:
        self.asked += 1
        raise self.error

    async def averify_header(self, value: str | bytes | None) -> D1Token:
        return self.verify_header(value)


def verifier_for_cases(**settings: Any) -> D1Verifier:
    return make_verifier(**settings)

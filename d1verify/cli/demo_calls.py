"""What the demo calls with: tokens as D1 signs them, and one for each reason to refuse a call."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Final, NamedTuple

from joserfc.jwk import ECKey

from ..errors import Reason
from ..testing import REMOVE, FakeD1

__all__ = ["ACCEPTED", "GATEWAYS", "Call", "Headers", "accepted_calls", "bearer", "make_d1", "refused_calls"]

GATEWAYS: Final = ("MGW_000001", "MGW_000002")
ACCEPTED: Final = "204"

Headers = list[tuple[str, str]]


class Call(NamedTuple):
    """One row of the demo: what is called with, and what must come back."""

    title: str
    expected: str
    headers: Headers


def make_d1(key_file: Path) -> FakeD1:
    """Return a D1 with a new key, named after `key_file`; the private half is written there, for the owner alone."""
    key_file.touch(mode=0o600)
    key_file.write_bytes(ECKey.generate_key("P-256", private=True).as_pem(private=True))
    return FakeD1.from_pem(key_file, kid=key_file.stem, subject=GATEWAYS[0])


def bearer(token: str) -> Headers:
    """Return the header that carries `token`."""
    return [("Authorization", f"Bearer {token}")]


def accepted_calls(d1: FakeD1) -> list[Call]:
    """Return a good call, and the same once more, which the verified-token cache answers."""
    headers = bearer(d1.token())
    return [Call("a valid token", ACCEPTED, headers), Call("the same token again", ACCEPTED, headers)]


def refused_calls(d1: FakeD1) -> list[Call]:
    """Return one call, or two, for each reason to refuse one."""
    good, other, now, stranger = d1.token(), d1.token(sub=GATEWAYS[1]), d1.now, FakeD1(subject=GATEWAYS[0])
    forged = stranger.token(header={"kid": d1.kid})
    return [
        _refused("no Authorization header", "401", Reason.MISSING_TOKEN, []),
        _refused("Basic instead of Bearer", "401", Reason.MISSING_TOKEN, [("Authorization", "Basic ZDE6ZDE=")]),
        _refused("two Authorization headers", "400", Reason.INVALID_REQUEST, bearer(good) * 2),
        _refused("two tokens joined by a comma", "400", Reason.INVALID_REQUEST, bearer(f"{good}, Bearer {good}")),
        _refused("not a JWT", "401", Reason.MALFORMED_TOKEN, bearer("opaque")),
        _refused("HS256, the public key as the secret", "401", Reason.DISALLOWED_ALGORITHM, bearer(_hmac_token(d1))),
        _refused("a key id nobody knows", "401", Reason.UNKNOWN_KEY, bearer(stranger.token())),
        _refused("signed with a stranger's key", "401", Reason.BAD_SIGNATURE, bearer(forged)),
        _refused("no exp", "401", Reason.MISSING_CLAIM, bearer(d1.token(exp=REMOVE))),
        _refused("exp as a string", "401", Reason.INVALID_CLAIM, bearer(d1.token(exp=str(now + 600)))),
        _refused("another issuer", "401", Reason.WRONG_ISSUER, bearer(d1.token(iss="d2"))),
        _refused("for production, sent to staging", "401", Reason.WRONG_ENVIRONMENT, bearer(d1.token(aud="prd"))),
        _refused("for another audience", "401", Reason.WRONG_AUDIENCE, bearer(d1.token(aud="dev"))),
        _refused("for a merchant that is not ours", "401", Reason.WRONG_SUBJECT, bearer(d1.token(sub="MGW_999999"))),
        _refused("expired a minute ago", "401", Reason.EXPIRED, bearer(d1.token(exp=now - 60))),
        _refused("valid for a day", "401", Reason.LIFETIME_TOO_LONG, bearer(d1.token(exp=now + 86_400))),
        _refused("issued ten minutes from now", "401", Reason.NOT_YET_VALID, bearer(d1.token(iat=now + 600))),
        _refused("for our other merchant, on this path", "403", Reason.INSUFFICIENT_SCOPE, bearer(other)),
    ]


def _hmac_token(d1: FakeD1) -> str:
    """Return the classic forgery: an HMAC with the public key's PEM as the secret."""
    secret = d1.public_pem.encode()
    return d1.token(header={"alg": "HS256"}, signature=lambda data: hmac.digest(secret, data, "sha256"))


def _refused(title: str, status: str, reason: Reason, headers: Headers) -> Call:
    return Call(title, f"{status} {reason.value}", headers)

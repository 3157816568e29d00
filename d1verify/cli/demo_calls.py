"""What the demo calls with: tokens as D1 signs them, and one for each reason to refuse a call."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from joserfc import jws
from joserfc.jwk import ECKey

from .._codec import encode_base64url
from ..errors import Reason

__all__ = ["ACCEPTED", "GATEWAYS", "Call", "DemoKey", "accepted_calls", "refused_calls"]

GATEWAYS: Final = ("MGW_000001", "MGW_000002")
ACCEPTED: Final = "204"

Headers = list[tuple[str, str]]


class Call(NamedTuple):
    """One row of the demo: what is called with, and what must come back."""

    title: str
    expected: str
    headers: Headers


class DemoKey:
    """A P-256 key pair that plays D1: its public half goes to a key folder, its private half signs."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self._key = ECKey.generate_key("P-256", private=True)

    @property
    def pair(self) -> ECKey:
        """The key pair itself, for what signs on its own."""
        return self._key

    def publish(self, folder: Path) -> None:
        """Write the public key as `<kid>.pem`, in one step as a deployment should."""
        beside = folder / f".{self.kid}.pem"
        beside.write_bytes(self._key.as_pem(private=False))
        beside.rename(folder / f"{self.kid}.pem")

    def withdraw(self, folder: Path) -> None:
        """Remove the public key."""
        (folder / f"{self.kid}.pem").unlink()

    def save(self, path: Path) -> None:
        """Write the private key, for the owner alone."""
        path.touch(mode=0o600)
        path.write_bytes(self._key.as_pem(private=True))

    def token(self, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """Return a signed token; a claim given as None is left out."""
        now = int(time.time())
        whole = {"iss": "d1", "aud": "stg", "sub": GATEWAYS[0], "iat": now, "exp": now + 600, **claims}
        payload = json.dumps({name: value for name, value in whole.items() if value is not None})
        protected = {"alg": "ES256", "kid": self.kid, **(header or {})}
        return jws.serialize_compact(protected, payload, self._key, algorithms=["ES256"])

    def hmac_token(self) -> str:
        """Return the classic forgery: an HMAC with the public key's PEM as the secret.

        By hand, since no honest library signs such a thing.
        """
        header = encode_base64url(json.dumps({"alg": "HS256", "kid": self.kid}).encode())
        signing_input = f"{header}.{self.token().split('.')[1]}"
        mac = hmac.digest(self._key.as_pem(private=False), signing_input.encode(), "sha256")
        return f"{signing_input}.{encode_base64url(mac)}"


def bearer(token: str) -> Headers:
    """Return the header that carries `token`."""
    return [("Authorization", f"Bearer {token}")]


def accepted_calls(key: DemoKey) -> list[Call]:
    """Return a good call, and the same once more, which the verified-token cache answers."""
    headers = bearer(key.token())
    return [Call("a valid token", ACCEPTED, headers), Call("the same token again", ACCEPTED, headers)]


def refused_calls(key: DemoKey, stranger: DemoKey) -> list[Call]:
    """Return one call, or two, for each reason to refuse one."""
    good, other, now = key.token(), key.token(sub=GATEWAYS[1]), int(time.time())
    return [
        _refused("no Authorization header", "401", Reason.MISSING_TOKEN, []),
        _refused("Basic instead of Bearer", "401", Reason.MISSING_TOKEN, [("Authorization", "Basic ZDE6ZDE=")]),
        _refused("two Authorization headers", "400", Reason.INVALID_REQUEST, bearer(good) * 2),
        _refused("two tokens joined by a comma", "400", Reason.INVALID_REQUEST, bearer(f"{good}, Bearer {good}")),
        _refused("not a JWT", "401", Reason.MALFORMED_TOKEN, bearer("opaque")),
        _refused("HS256, the public key as the secret", "401", Reason.DISALLOWED_ALGORITHM, bearer(key.hmac_token())),
        _refused("a key id nobody knows", "401", Reason.UNKNOWN_KEY, bearer(stranger.token())),
        _refused("signed with a stranger's key", "401", Reason.BAD_SIGNATURE, bearer(stranger.token({"kid": key.kid}))),
        _refused("no exp", "401", Reason.MISSING_CLAIM, bearer(key.token(exp=None))),
        _refused("exp as a string", "401", Reason.INVALID_CLAIM, bearer(key.token(exp=str(now + 600)))),
        _refused("another issuer", "401", Reason.WRONG_ISSUER, bearer(key.token(iss="d2"))),
        _refused("for production, sent to staging", "401", Reason.WRONG_ENVIRONMENT, bearer(key.token(aud="prd"))),
        _refused("for another audience", "401", Reason.WRONG_AUDIENCE, bearer(key.token(aud="dev"))),
        _refused("for a merchant that is not ours", "401", Reason.WRONG_SUBJECT, bearer(key.token(sub="MGW_999999"))),
        _refused("expired a minute ago", "401", Reason.EXPIRED, bearer(key.token(exp=now - 60))),
        _refused("valid for a day", "401", Reason.LIFETIME_TOO_LONG, bearer(key.token(exp=now + 86_400))),
        _refused("issued ten minutes from now", "401", Reason.NOT_YET_VALID, bearer(key.token(iat=now + 600))),
        _refused("for our other merchant, on this path", "403", Reason.INSUFFICIENT_SCOPE, bearer(other)),
    ]


def _refused(title: str, status: str, reason: Reason, headers: Headers) -> Call:
    return Call(title, f"{status} {reason.value}", headers)

"""A correct app, written without d1verify: the ground on which each planted fault takes one stone away."""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from d1verify.testing import Answer, Call, FakeD1

from ..support import Clock

PATH = "/merchant-gateways/{merchantGatewayId}/notify"
OPEN_PATH = "/health"
WEBSOCKET_PATH = "/events"


class RefusedError(Exception):
    def __init__(self, status: int = 401, body: bytes = b"") -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class StrictApp:
    """Guards everything but GET /health; counts what it has done in `done`."""

    leeway: float = 30

    def __init__(self, fake_d1: FakeD1) -> None:
        self.d1 = fake_d1
        self.done = 0

    def effects(self) -> int:
        return self.done

    # The server's side.

    def send_call(self, call: Call) -> Answer:
        path, _, query = call.target("/").partition("?")
        fields = [(name.decode().lower(), value.decode("latin-1")) for name, value in call.raw_headers]
        try:
            if call.kind == "websocket":
                self.check_handshake(fields)
                return Answer(101, [])
            if not self.is_open(call.method or "POST", path):
                claims = self.authenticate(fields, query)
                self.check_path(path, claims)
            self.done += 1
            return self.let_through(fields)
        except RefusedError as refused:
            return self.refuse(refused, fields)
        except Exception:
            return Answer(500, [])

    def let_through(self, fields: list[tuple[str, str]]) -> Answer:
        return Answer(200, {"Content-Type": "application/json"}, b'{"received":true}')

    def refuse(self, refused: RefusedError, fields: list[tuple[str, str]]) -> Answer:
        code = {400: "invalid_request", 401: "invalid_token", 403: "insufficient_scope"}[refused.status]
        return Answer(refused.status, {"WWW-Authenticate": f'Bearer realm="d1", error="{code}"'}, refused.body)

    # The guard.

    def is_open(self, method: str, path: str) -> bool:
        return method == "GET" and path == OPEN_PATH

    def check_handshake(self, fields: list[tuple[str, str]]) -> None:
        self.authenticate(fields, "")

    def check_path(self, path: str, claims: Mapping[str, Any]) -> None:
        gateway = path.split("/")[2] if path.startswith("/merchant-gateways/") else None
        if gateway is not None and gateway != claims["sub"]:
            raise RefusedError(403)

    def authenticate(self, fields: list[tuple[str, str]], query: str) -> dict[str, Any]:
        return self.verify(self.token_of([value for name, value in fields if name == "authorization"]))

    def token_of(self, values: list[str]) -> str:
        if len(values) > 1:
            raise RefusedError(400)
        scheme, _, token = (values[0] if values else "").partition(" ")
        token = token.lstrip(" ")
        if scheme.lower() != "bearer" or not token:
            raise RefusedError
        if "," in token:
            raise RefusedError(400)
        return token

    # The verifier.

    def verify(self, jwt: str) -> dict[str, Any]:
        if len(jwt) > 8192 or jwt.count(".") != 2 or not jwt.isascii():
            raise RefusedError
        header, payload, signature = jwt.split(".")
        if len(header) > 2048:
            raise RefusedError
        kid = self.check_header(self.parse(self.decode(header)))
        self.check_signature(kid, self.decode(signature), f"{header}.{payload}".encode())
        claims = self.parse(self.decode(payload))
        self.check_claims(claims)
        return claims

    def decode(self, segment: str) -> bytes:
        try:
            data = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise RefusedError from None
        if not segment or base64.urlsafe_b64encode(data).rstrip(b"=").decode() != segment:
            raise RefusedError
        return data

    def parse(self, data: bytes) -> dict[str, Any]:
        try:
            text = data.decode("utf-8")
            members = json.loads(text, object_pairs_hook=self.object_of, parse_constant=self.constant)
            json.dumps(members, ensure_ascii=False).encode("utf-8")
        except (ValueError, RecursionError):
            raise RefusedError from None
        if not isinstance(members, dict) or text.count("[") > 16 or "e400" in text:
            raise RefusedError
        return members

    def object_of(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise RefusedError
        return dict(pairs)

    def constant(self, name: str) -> Any:
        raise RefusedError

    def check_header(self, header: dict[str, Any]) -> Any:
        if header.get("alg") != "ES256" or {"crit", "b64", "zip", "enc"} & header.keys() or header.get("cty") == "JWT":
            raise RefusedError
        self.check_type(header)
        return self.key_id(header)

    def check_type(self, header: dict[str, Any]) -> None:
        if "typ" in header and str(header["typ"]).lower() not in ("jwt", "application/jwt"):
            raise RefusedError

    def key_id(self, header: dict[str, Any]) -> Any:
        kid = header.get("kid")
        if not isinstance(kid, str) or kid not in self.d1.kids:
            raise RefusedError
        return kid

    def keys(self) -> dict[str, dict[str, str]]:
        return {jwk["kid"]: jwk for jwk in self.d1.jwks()["keys"]}

    def check_signature(self, kid: Any, signature: bytes, signing_input: bytes) -> None:
        self.check_es256(self.keys()[kid], signature, signing_input)

    def check_es256(self, jwk: Mapping[str, str], signature: bytes, signing_input: bytes) -> None:
        if len(signature) != 64:
            raise RefusedError
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            public_key(jwk).verify(encode_dss_signature(r, s), signing_input, ec.ECDSA(SHA256()))
        except InvalidSignature:
            raise RefusedError from None

    def check_claims(self, claims: dict[str, Any]) -> None:
        self.check_issuer(claims.get("iss"))
        self.check_audience(claims.get("aud"))
        self.check_subject(claims.get("sub"))
        self.check_times(claims)

    def check_issuer(self, issuer: Any) -> None:
        if issuer != "d1":
            raise RefusedError

    def check_audience(self, audience: Any) -> None:
        listed = audience if isinstance(audience, list) else [audience]
        if self.d1.audience not in listed or not all(isinstance(one, str) and one for one in listed):
            raise RefusedError

    def check_subject(self, subject: Any) -> None:
        if subject != self.d1.subject:
            raise RefusedError

    def check_times(self, claims: dict[str, Any]) -> None:
        now = self.d1.clock()
        expires_at = self.number(claims.get("exp"))
        self.check_expiry(expires_at, now)
        self.check_ceiling(expires_at, now)
        for name in ("iat", "nbf"):
            if name in claims:
                self.check_start(self.number(claims[name]), now)

    def number(self, value: Any) -> float:
        if type(value) not in (int, float) or not -(2**53) < value < 2**53:
            raise RefusedError
        return float(value)

    def check_expiry(self, expires_at: float, now: float) -> None:
        if not now < expires_at + self.leeway:
            raise RefusedError

    def check_ceiling(self, expires_at: float, now: float) -> None:
        if not expires_at <= now + 900 + self.leeway or math.isnan(expires_at):
            raise RefusedError

    def check_start(self, start: float, now: float) -> None:
        if not start <= now + self.leeway:
            raise RefusedError


def public_key(jwk: Mapping[str, str]) -> ec.EllipticCurvePublicKey:
    x, y = (int.from_bytes(base64.urlsafe_b64decode(jwk[name] + "="), "big") for name in "xy")
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def fake_d1_for_all_cases() -> FakeD1:
    """Return a FakeD1 under which no case is skipped for want of something."""
    clock = Clock(time.time())
    ways: dict[str, Any] = {"path": PATH, "open_path": OPEN_PATH, "websocket_path": WEBSOCKET_PATH}
    return FakeD1(**ways, can_rotate=True, clock=clock, pass_time=clock.advance)

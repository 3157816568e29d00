"""A D1 of one's own: it makes keys at run time, signs tokens as D1 does, and forges them on demand."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from enum import Enum
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from .._checks import checked_seconds
from ..errors import ConfigurationError
from ..policy import MAX_LEEWAY
from . import _forging
from ._keyring import KeyRing, LiveKeyStore
from ._signing import SigningKey, to_json

__all__ = ["NOTIFY_UPDATE_PATH", "REMOVE", "FakeD1", "LiveKeyStore"]

NOTIFY_UPDATE_PATH: Final = (
    "/merchant-gateways/{merchantGatewayId}/merchants/{merchantId}/tokens/{tokenId}/notify-update"
)
"""The path of D1's notify-update call, as a template."""

GATEWAY_PLACEHOLDER: Final = "{merchantGatewayId}"


class _Remove(Enum):
    REMOVE = "remove"

    def __repr__(self) -> str:
        return "REMOVE"


REMOVE: Final = _Remove.REMOVE
"""As the value of a claim or header member: leave it out."""


class FakeD1:
    """Stands in for D1 towards one app: for one environment, one merchant gateway, with keys of its own.

    Args:
        audience: the `aud` of its tokens.
        subject: the `sub` of its tokens.
        clock: the wall clock in epoch seconds; the app's own, if that is not the real time.
        leeway: the clock difference in seconds that the app is meant to tolerate. A token
            expired for longer, or good for longer than 900 s and this, has to be refused.
        path: the template of the path that D1 calls, with `{merchantGatewayId}` in it, such
            as `NOTIFY_UPDATE_PATH`. It enables the cases about another merchant's path.
        open_path: a path that the app's guard leaves open, such as `/health`, if the whole
            app is guarded otherwise. It enables the cases about what lies beside it.
        websocket_path: a WebSocket of the app that wants a token. It enables the cases about it.
        can_rotate: whether the app follows `rotate()` and `withdraw()` at once. By default it
            does if `key_store` was handed out, or `write_to` was called and there is an
            `after_key_change`; otherwise the cases about keys that change are skipped.
        after_key_change: called after each change of the keys, for an app that does not follow
            at once: `verifier.refresh`, or a function that waits until it has.
        pass_time: lets this many seconds pass, for the app and for `clock`: the `advance` of a clock that
            both tell the time by, or `time.sleep` where a suite may take `leeway` and 15 s longer. It
            enables the case about a token that was accepted and has expired since.
        client_id: what D1 calls itself at a token endpoint, if the merchant gave it a secret.
            It enables the cases about `client_credentials`.
        client_secret: that secret.

    Attributes:
        access_token: the access token that it has obtained, for the cases that call with one;
            `run_token_contract` sets it.

    Raises:
        ConfigurationError: an argument is out of range; the message names it.
    """

    def __init__(
        self,
        *,
        audience: str = "stg",
        subject: str = "MGW_000001",
        clock: Callable[[], float] = time.time,
        leeway: float = 30,
        path: str | None = None,
        open_path: str | None = None,
        websocket_path: str | None = None,
        can_rotate: bool | None = None,
        after_key_change: Callable[[], object] | None = None,
        pass_time: Callable[[float], object] | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
    ) -> None:
        if path is not None and GATEWAY_PLACEHOLDER not in path:
            raise ConfigurationError("path must be a template with {merchantGatewayId} in it")
        for name, value in (("path", path), ("open_path", open_path), ("websocket_path", websocket_path)):
            if value is not None and not value.startswith("/"):
                raise ConfigurationError(f"{name} must start with a slash")
        if (client_id is None) is not (client_secret is None) or "" in (client_id, client_secret):
            raise ConfigurationError("client_id and client_secret come together, and neither is empty")
        self.audience = audience
        self.subject = subject
        self.clock = clock
        self.leeway: float = checked_seconds(leeway, "leeway", low=0, high=MAX_LEEWAY)
        self.path = path
        self.open_path = open_path
        self.websocket_path = websocket_path
        self.pass_time = pass_time
        self.client_id = client_id
        self.client_secret = client_secret
        self.access_token: str | None = None
        self._can_rotate = can_rotate
        self._handed_out = False
        self._after_key_change = after_key_change
        self._keys = KeyRing(SigningKey.generate("fake-d1-key-1"), after_key_change)

    @classmethod
    def from_pem(cls, path: str | os.PathLike[str], /, *, kid: str, **settings: Any) -> FakeD1:
        """Return a FakeD1 that signs with the private key of a PEM file, for an app that trusts its public half.

        Args:
            path: a P-256 private key, SEC1 or PKCS #8, not encrypted.
            kid: the id under which the app knows the key.
            settings: as for the constructor.

        Raises:
            ConfigurationError: the file holds anything else, or an argument is out of range.
            OSError: the file cannot be read.
        """
        key = SigningKey.read(path, kid)
        fake_d1 = cls(**settings)
        fake_d1._keys = KeyRing(key, fake_d1._after_key_change)
        return fake_d1

    @property
    def kid(self) -> str:
        """The id of the key that signs now."""
        return self._keys.signer.kid

    @property
    def public_pem(self) -> str:
        """The public half of the key that signs now, as SPKI PEM."""
        return self._keys.signer.pem

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public half of the key that signs now, as a JWK."""
        return dict(self._keys.signer.jwk)

    @property
    def kids(self) -> tuple[str, ...]:
        """The ids of the published keys, the oldest first."""
        return tuple(key.kid for key in self._keys.published)

    @property
    def now(self) -> int:
        """The time by its clock, in whole epoch seconds."""
        return int(self.clock())

    @property
    def key_store(self) -> LiveKeyStore:
        """The key store for the app's verifier; it follows `rotate()` and `withdraw()` at once."""
        self._handed_out = True
        return self._keys.store

    @property
    def can_rotate(self) -> bool:
        """Whether the app follows a rotation, as said or as far as can be seen."""
        return self._handed_out if self._can_rotate is None else self._can_rotate

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the published keys as a JWK Set (RFC 7517 §5)."""
        return {"keys": [key.jwk for key in self._keys.published]}

    def write_to(self, folder: str | os.PathLike[str]) -> Path:
        """Write the published keys to `folder` as `<kid>.pem`, and keep them so at each rotation and withdrawal.

        Raises:
            ConfigurationError: a key id cannot be the name of a file.
            OSError: the folder cannot be written.
        """
        target = Path(folder)
        self._keys.write_to(target)
        # A folder is looked at now and then, so somebody has to see to it that it was.
        self._handed_out = self._handed_out or self._after_key_change is not None
        return target

    def rotate(self) -> str:
        """Publish a new key beside the others, sign with it from now on, and return its id."""
        return self._keys.rotate()

    def withdraw(self, kid: str) -> None:
        """Publish the key with this id no more. The key that signs still signs: its tokens must be refused now.

        Raises:
            KeyError: no published key has this id.
        """
        self._keys.withdraw(kid)

    def one_change(self) -> AbstractContextManager[None]:
        """Make one change of all rotations and withdrawals in a `with` block; what follows changes is told once."""
        return self._keys.one_change()

    def signature(self, signing_input: bytes) -> bytes:
        """Return the current key's ES256 signature over any bytes: r‖s, 64 bytes."""
        return self._keys.signer.signature(signing_input)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a valid token with `changes` made; `REMOVE` leaves one out."""
        base = {"iss": "d1", "sub": self.subject, "aud": self.audience, "exp": self.now + 600}
        return _merged(base, changes)

    def jose_header(self, **changes: Any) -> dict[str, Any]:
        """Return the header of a valid token with `changes` made; `REMOVE` leaves a member out."""
        return _merged({"alg": "ES256", "kid": self.kid, "typ": "JWT"}, changes)

    def token(
        self,
        *,
        header: Mapping[str, Any] | bytes | None = None,
        payload: bytes | None = None,
        signature: bytes | Callable[[bytes], bytes] | None = None,
        **claims: Any,
    ) -> str:
        """Return a token, signed by the current key whatever its header says.

        Args:
            header: members to change in the header, `REMOVE` to leave one out; or the header's very bytes.
            payload: the payload's very bytes, instead of claims.
            signature: another signature, or a function that makes one from the signing input.
            claims: claims to change; `REMOVE` to leave one out.

        Raises:
            TypeError: both `payload` and claims are given.
        """
        if payload is not None and claims:
            raise TypeError("a token has a payload or claims, not both")
        body = to_json(self.claims(**claims)) if payload is None else payload
        sign = self._keys.signer.signature if signature is None else signature
        made = (lambda _signing_input: sign) if isinstance(sign, bytes) else sign
        if isinstance(header, bytes):
            return _forging.assemble(header, body, made)
        members = self.jose_header(**(header or {}))
        honest = self._keys.signer.honest_token(members, body) if signature is None else None
        return honest or _forging.assemble(to_json(members), body, made)

    def headers(self, **claims: Any) -> dict[str, str]:
        """Return the `Authorization` header of a call, for a test client; the arguments are those of `token`."""
        return {"Authorization": f"Bearer {self.token(**claims)}"}

    def call_path(self, merchant_gateway_id: str) -> str | None:
        """Return the path of D1's call for this merchant gateway, or None without a template."""
        if self.path is None:
            return None
        path = self.path.replace(GATEWAY_PLACEHOLDER, quote(merchant_gateway_id, safe=""))
        return re.sub(r"\{(\w+)\}", lambda name: f"{name[1]}-000001", path)

    def __repr__(self) -> str:
        return f"<FakeD1 {self.audience} {self.subject}>"


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**base, **changes}.items() if value is not REMOVE}

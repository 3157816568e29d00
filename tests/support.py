"""What the tests share: keys made once, tokens minted at will, clocks ticked by hand, stores that obey."""

from __future__ import annotations

import base64
import functools
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from d1verify import D1Verifier, KeyCache, KeySet, KeyStoreError, PublicKey, StaticKeyStore, TokenError
from d1verify.keys import KeyStore
from d1verify.observer import DormantObserver, KeyLoad, Verification

NOW = 1_800_000_000
SUBJECT = "MGW_000001"
PATIENCE = 20.0  # Seconds; a bound on a broken test, never waited out by a good one.


class _Remove:
    """Stands for a member that is taken away. Its repr is the same in every process, as test ids have to be."""

    def __repr__(self) -> str:
        return "REMOVE"


REMOVE: Any = _Remove()

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P256_PRIME = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF


def b64(data: bytes | str) -> str:
    """Return unpadded base64url."""
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def raw_signature(der: bytes) -> bytes:
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class SigningKey:
    """A P-256 key pair with a key id, that signs whatever bytes it is given."""

    def __init__(self, kid: str, curve: ec.EllipticCurve | None = None) -> None:
        self.kid = kid
        self.private = ec.generate_private_key(curve or ec.SECP256R1())

    @functools.cached_property
    def pem(self) -> str:
        """The public key as SPKI PEM."""
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @functools.cached_property
    def private_pem(self) -> str:
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @functools.cached_property
    def public(self) -> PublicKey:
        return PublicKey.from_pem(self.pem)

    @functools.cached_property
    def jwk(self) -> dict[str, Any]:
        return {**self.public.as_jwk(), "kid": self.kid}

    def signature(self, signing_input: bytes) -> bytes:
        """Return r‖s, 64 bytes."""
        return raw_signature(self.private.sign(signing_input, ec.ECDSA(hashes.SHA256())))

    def sign(self, header: Mapping[str, Any] | bytes, payload: Mapping[str, Any] | bytes) -> str:
        """Return a JWS whose header and payload are these bytes, or the JSON of these members."""
        head, body = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload))
        signing_input = f"{b64(head)}.{b64(body)}"
        return f"{signing_input}.{b64(self.signature(signing_input.encode()))}"

    def header(self, **changes: Any) -> dict[str, Any]:
        return merged({"alg": "ES256", "kid": self.kid}, changes)

    def mint(self, header: Mapping[str, Any] | None = None, /, **claims: Any) -> str:
        """Return a token that is valid at `NOW` but for what the header and claims given here change."""
        return self.sign(self.header(**(header or {})), d1_claims(**claims))


def merged(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**base, **changes}.items() if value is not REMOVE}


def d1_claims(**changes: Any) -> dict[str, Any]:
    return merged({"iss": "d1", "aud": "stg", "sub": SUBJECT, "exp": NOW + 600}, changes)


KEY = SigningKey("d1-key-1")
OTHER_KEY = SigningKey("d1-key-2")


class Clock:
    """A clock that moves when it is told to. Serves as wall clock and as monotonic timer."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def make_verifier(store: KeyStore | KeyCache | None = None, **settings: Any) -> D1Verifier:
    """Return a verifier for `KEY` whose wall clock stands at `NOW`."""
    arguments: dict[str, Any] = {"audience": "stg", "subject": SUBJECT, "clock": lambda: NOW, **settings}
    return D1Verifier(store or StaticKeyStore({KEY.kid: KEY.pem}), **arguments)


def refused(call: Callable[[], object]) -> str:
    """Return the reason for which `call` is refused; it must be refused."""
    with pytest.raises((TokenError, KeyStoreError)) as caught:
        call()
    error = caught.value
    assert isinstance(error, TokenError | KeyStoreError)
    return error.reason.value


def until(holds: Callable[[], bool]) -> None:
    """Return as soon as `holds()`; another thread or process brings it about, and has to."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.001)  # A turn for the others, and not a guess at how long they take.


async def auntil(holds: Callable[[], bool]) -> None:
    """Do what `until` does and let the other tasks of this event loop go on meanwhile."""
    with anyio.fail_after(PATIENCE):
        while not holds():
            await anyio.lowlevel.checkpoint()


class ScriptedStore:
    """A key store that does what it is told: give a set, raise, or hang until released."""

    def __init__(self, *answers: KeySet | Exception) -> None:
        self.answer: KeySet | Exception = answers[0] if answers else KeyStoreError("nothing scripted")
        self.script = list(answers)
        self.loads = 0
        self.released = threading.Event()
        self.released.set()

    def load(self) -> KeySet:
        self.loads += 1
        if self.script:
            self.answer = self.script.pop(0)
        answer = self.answer
        self.released.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer


class Recorder:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Verification | KeyLoad] = []

    def notify(self, event: Verification | KeyLoad) -> None:
        self.events.append(event)

    @property
    def verdicts(self) -> list[Verification]:
        return [event for event in self.events if isinstance(event, Verification)]

    @property
    def outcomes(self) -> list[tuple[str, bool]]:
        """Of each verdict, the reason of a refusal or `ok`, and whether the token was known."""
        return [("ok" if one.error is None else one.error.reason.value, one.cached) for one in self.verdicts]


class Sleeper(Recorder, DormantObserver):
    """A recorder that hears of verdicts from when it is woken."""

    def attach(self, verifier: object, begin: Callable[[], None]) -> None:
        self.verifier, self.wake = verifier, begin


def unmeasured() -> dict[str, str]:
    """Return an environment for processes that coverage leaves alone: what they run is measured elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


def key_set(*keys: SigningKey, max_age: float = 100.0, max_stale: float = 1000.0) -> KeySet:
    return KeySet({key.kid: key.public for key in keys}, max_age=max_age, max_stale=max_stale)

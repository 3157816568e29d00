"""What is verified: one key, tokens as D1 writes them, pools of distinct ones, and the bare check of one signature."""

from __future__ import annotations

import functools
import itertools
import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from d1verify import D1Verifier
from tests.support import KEY, SigningKey, d1_claims, make_verifier, unb64

__all__ = ["POOL", "bare_check", "endless", "mint", "pool", "verifier"]

_Item = TypeVar("_Item")

POOL = 2000
_SHORT_POOL = 60


def mint(key: SigningKey = KEY, **claims: Any) -> str:
    """Return a token as D1 writes them, without spaces, good for the next ten minutes and like no other."""
    now = int(time.time())
    payload = d1_claims(**{"iat": now, "exp": now + 600, "jti": str(uuid.uuid4()), **claims})
    return key.sign(_compact(key.header(typ="JWT")), _compact(payload))


def _compact(members: dict[str, Any]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()


@functools.lru_cache(maxsize=1)
def _minted(size: int, _minutes: int) -> list[str]:
    return [mint() for _number in range(size)]


def pool(*, quick: bool = False) -> list[str]:
    """Return distinct tokens, more than a token cache holds."""
    return _minted(_SHORT_POOL if quick else POOL, int(time.time()) // 240)


def endless(items: list[_Item]) -> Iterator[_Item]:
    """Return the items in turn, for ever: none comes back before all the others have been seen."""
    return itertools.cycle(items)


def bare_check(token: str, key: SigningKey = KEY) -> Callable[[], None]:
    """Return the least that anybody has to do: OpenSSL's check of this signature, all parsing done before."""
    signing_input, _, signature = token.rpartition(".")
    raw = unb64(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    signed, es256, public = signing_input.encode(), ec.ECDSA(hashes.SHA256()), key.private.public_key()
    return lambda: public.verify(der, signed, es256)


def verifier(**settings: Any) -> D1Verifier:
    """Return a verifier with the defaults of the package and the system's clock."""
    return make_verifier(**{"clock": time.time, **settings})

"""What the contract's catalogue presents to an app, taken apart into seeds.

A `FakeD1` makes the tokens, with the harnesses' own key and by their standing clock.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from d1verify.testing import FakeD1, contract_cases

from .harnesses.verify_raw import PLACEHOLDER
from .material import NOW, PUBLIC_KEYS, SIGNER_KID, SUBJECT, signer_pem
from .oracles import base64url
from .oracles.token_rules import is_signed

__all__ = ["authorization_values", "signed_parts", "with_placeholder"]

SIGNATURE_BYTES: Final = 64


@functools.cache
def authorization_values() -> tuple[bytes, ...]:
    """Return every `Authorization` value that the contract's catalogue presents."""
    fake_d1 = _fake_d1()
    applicable = [case for case in contract_cases() if case.missing(fake_d1) is None]
    fields = [field for case in applicable for call in case.calls(fake_d1) for field in call.raw_headers]
    return tuple(value for name, value in fields if name == b"Authorization")


def _fake_d1() -> FakeD1:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "key.pem")
        path.write_bytes(signer_pem())
        return FakeD1.from_pem(path, kid=SIGNER_KID, audience="stg", subject=SUBJECT, clock=lambda: NOW)


def signed_parts() -> Iterator[tuple[bytes, bytes]]:
    """Yield header and payload of every token of the catalogue that the signer has signed."""
    for value in authorization_values():
        token = value.partition(b" ")[2]
        if _is_signed(token):
            header, _, payload = token.rpartition(b".")[0].partition(b".")
            yield base64url.decoded(header) or b"", base64url.decoded(payload) or b""


def with_placeholder(token: bytes) -> bytes:
    """Return the token with its signature to be put in by the harness, if the signer has signed it."""
    return token.rpartition(b".")[0] + PLACEHOLDER if _is_signed(token) else token


def _is_signed(token: bytes) -> bool:
    signing_input, _, end = token.rpartition(b".")
    signature = base64url.decoded(end) or b""
    return len(signature) == SIGNATURE_BYTES and is_signed(PUBLIC_KEYS[SIGNER_KID], signature, signing_input)

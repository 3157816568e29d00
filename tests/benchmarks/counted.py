"""The process whose instructions are counted: `python -m tests.benchmarks.counted WHAT REPEATS`.

Key, token and clock are fixed, so that every run does the same. It imports the package, and telemetry where that is
what is counted.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from d1verify import D1Verifier, StaticKeyStore
from d1verify._codec import decode_base64url
from d1verify.observer import Observer

__all__ = ["CALLS", "main"]

# Enough for the interpreter to have specialised what it runs (PEP 659).
WARM_UP = 100

_NOW = 1_800_000_000
_KID = "d1-key-1"
_X, _Y = "VOeWmdeS9mKSYLh_3TqcjEt_wi3PphoyZ4-GVWwNdTU", "SNB4MNRRFW510lRL7jgvLY7Vego_ssapLCp4EZTEQXk"
_HEADER = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImQxLWtleS0xIiwidHlwIjoiSldUIn0"
_PAYLOAD = (
    "eyJpc3MiOiJkMSIsImF1ZCI6InN0ZyIsInN1YiI6Ik1HV18wMDAwMDEiLCJleHAiOjE4MDAwMDA2MDAsImlhdCI6MT"
    "gwMDAwMDAwMCwianRpIjoiMGIyMzc1YmQtYmQwOS00ZTY5LTgzYmQtM2VjYmU3ZTdkNmNjIn0"
)
_SIGNATURE = "-8omGg9LVPHR8lSqeICg0iPJl5Sz6E3ryU31nzzl_HZdVoQvGy3nxMFYK0Yt89GT2zbkRgjI_RFH50F7Q4HxEg"
_TOKEN = f"{_HEADER}.{_PAYLOAD}.{_SIGNATURE}"


def _verifier(token_cache_size: int, observer: Observer | None = None) -> D1Verifier:
    store = StaticKeyStore({_KID: {"kty": "EC", "crv": "P-256", "x": _X, "y": _Y}})
    return D1Verifier(
        store,
        audience="stg",
        subject="MGW_000001",
        token_cache_size=token_cache_size,
        clock=lambda: _NOW,
        observer=observer,
    )


def _bare() -> Callable[[], object]:
    x, y = (int.from_bytes(decode_base64url(one.encode())) for one in (_X, _Y))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    signing_input, _, signature = _TOKEN.rpartition(".")
    raw = decode_base64url(signature.encode())
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    signed, es256 = signing_input.encode(), ec.ECDSA(hashes.SHA256())
    return lambda: public.verify(der, signed, es256)


def _verifying(token_cache_size: int) -> Callable[[], object]:
    verifier = _verifier(token_cache_size)
    return lambda: verifier.verify(_TOKEN)


def _verifying_unheard() -> Callable[[], object]:
    """Verify a known token with metrics set up and no meter provider to send them to."""
    from d1verify.telemetry import OpenTelemetryObserver

    verifier = _verifier(1024, OpenTelemetryObserver())
    return lambda: verifier.verify(_TOKEN)


CALLS: dict[str, Callable[[], Callable[[], object]]] = {
    "bare": _bare,
    "cold": lambda: _verifying(0),
    "reused": lambda: _verifying(1024),
    "unheard": _verifying_unheard,
}


def main() -> None:
    """Make one call so many times."""
    what, repeats = sys.argv[1:]
    call = CALLS[what]()
    gc.disable()
    call()
    for thread in threading.enumerate():  # The one that loaded the keys has a line to write, and logging to import.
        if thread is not threading.current_thread():
            thread.join()
    for _repeat in range(WARM_UP + int(repeats)):
        call()


if __name__ == "__main__":
    main()

"""`python -m tests.benchmarks`: what verification costs beside the bare signature check, and beside PyJWT."""

from __future__ import annotations

import time
from collections.abc import Callable

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.support import KEY, SUBJECT, make_verifier, unb64

from .measuring import measure

BARE = "bare public_key.verify, DER signature"
COLD = "D1Verifier.verify, token cache off"
REUSED = "D1Verifier.verify, reused token"
PYJWT = "PyJWT decode, parsed key, same claim checks"


def contenders() -> dict[str, Callable[[], object]]:
    """Return what is measured, each checking the same good token."""
    now = int(time.time())
    token = KEY.mint(exp=now + 600, iat=now)
    signing_input, _, signature = token.rpartition(".")
    raw = unb64(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    signed, es256 = signing_input.encode(), ec.ECDSA(hashes.SHA256())
    public = KEY.private.public_key()
    cold = make_verifier(clock=time.time, token_cache_size=0)
    reusing = make_verifier(clock=time.time)
    return {
        BARE: lambda: public.verify(der, signed, es256),
        COLD: lambda: cold.verify(token),
        REUSED: lambda: reusing.verify(token),
        PYJWT: lambda: jwt.decode(
            token,
            public,
            algorithms=["ES256"],
            audience="stg",
            issuer="d1",
            subject=SUBJECT,
            leeway=30,
            options={"require": ["iss", "sub", "aud", "exp"], "strict_aud": True},
        ),
    }


def main() -> None:
    """Measure and print."""
    measured = measure(contenders())
    for name, result in measured.items():
        print(f"{name:45} {result.median:8.2f} µs   ±{result.spread:5.1%}")
    bare, cold = measured[BARE].median, measured[COLD].median
    pyjwt, reused = measured[PYJWT].median, measured[REUSED].median
    print(f"\nuncached ÷ bare signature check   {cold / bare:6.3f}   (aim: at most 1.15)")
    print(f"PyJWT ÷ uncached                  {pyjwt / cold:6.2f}")
    print(f"PyJWT ÷ reused                    {pyjwt / reused:6.1f}   (aim: at least 35)")


if __name__ == "__main__":
    main()

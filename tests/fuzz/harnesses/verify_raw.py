"""`D1Verifier.verify` of any bytes at all, after a digit that chooses the rules.

Where the text has `{signature}` after a dot, the harness puts an honest signature over what is
before that dot, so that no stored input has to hold one.
"""

from __future__ import annotations

from typing import Final

from ..judging import check_token
from ..material import sign
from ..oracles import base64url

__all__ = ["MAX_BYTES", "PLACEHOLDER", "WORDS", "check"]

MAX_BYTES: Final = 9216
PLACEHOLDER: Final = b".{signature}"
WORDS: Final = ("eyJ", "e30", ".", "..", "=", "==", "{signature}", ".{signature}", "A" * 43, "-", "_", "+", "/", "%2E")


def check(data: bytes) -> None:
    """Return if the token gets the verdict that the rules ask for."""
    chosen, text = data[:1], data[1:]
    before, placeholder, after = text.partition(PLACEHOLDER)
    if placeholder:
        text = before + b"." + base64url.encoded(sign(before)) + after
    check_token(text, chosen[0] if chosen else 0)

"""Names under which a guard leaves what it has verified, for whoever comes after it in the same request."""

from __future__ import annotations

from typing import Final

__all__ = ["TOKEN_KEY", "VERIFIER_KEY"]

TOKEN_KEY: Final = "d1verify.token"  # noqa: S105 - a key in the ASGI scope or the WSGI environ
VERIFIER_KEY: Final = "d1verify.verifier"
"""Who verified it, so that a guard with another policy does not take it over."""

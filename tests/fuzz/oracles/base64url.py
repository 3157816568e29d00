"""Strict base64url by the standard library: what is accepted encodes back to itself (RFC 4648 §3.5)."""

from __future__ import annotations

import base64

__all__ = ["decoded", "encoded"]


def encoded(data: bytes) -> bytes:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def decoded(segment: bytes) -> bytes | None:
    """Return the bytes that `segment` stands for, or None if an encoder would not write it so."""
    try:
        data = base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except ValueError:
        return None
    return data if encoded(data) == segment else None

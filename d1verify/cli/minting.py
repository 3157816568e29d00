"""`d1verify mint`: a token to test with, that says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..testing import FakeD1
from .output import ExitCode, print_json, stderr

__all__ = ["mint"]

MARK = "d1verify_test_token"


def mint(
    key: Path, *, kid: str, audience: str, subject: str, lifetime: int, claims: list[str], as_json: bool
) -> ExitCode:
    """Print a token signed with a private key of one's own; its claim `d1verify_test_token` says what it is.

    Raises:
        ConfigurationError: the key cannot be used, or a claim is not NAME=VALUE.
    """
    try:
        fake_d1 = FakeD1.from_pem(key, kid=kid, audience=audience, subject=subject)
    except OSError:
        raise ConfigurationError(f"{key} cannot be read") from None
    extra = dict(map(_claim, claims))
    token = fake_d1.token(**{"exp": fake_d1.now + lifetime, MARK: True, **extra})
    if as_json:
        print_json({"token": token, "test_token": True})
    else:
        print(token)  # noqa: T201 - as it is, on one line
        stderr().print("A test token, not one of D1's: it carries the claim d1verify_test_token.", style="dim")
    return ExitCode.OK


def _claim(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; VALUE is JSON where it is JSON, else text."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ConfigurationError("a claim is given as NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value

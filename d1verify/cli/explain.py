"""`d1verify verify`: a token's way through the six steps, and where it ended."""

from __future__ import annotations

from typing import Any, Final

from .. import tokens
from ..errors import KeyStoreError, Reason, TokenError
from ..policy import Policy
from ..verifier import TokenVerifier
from .output import ExitCode, print_json, print_table, safe, stdout

__all__ = ["failed_step", "show_verdict"]

STEPS: Final = ("size and shape", "header and signature length", "key", "signature", "payload JSON", "claims")

_STEP_OF_REASON: Final = {
    Reason.DISALLOWED_ALGORITHM: 2,
    Reason.UNKNOWN_KEY: 3,
    Reason.KEYS_UNAVAILABLE: 3,
    Reason.BAD_SIGNATURE: 4,
}


def show_verdict(token: str, verifier: TokenVerifier, *, as_json: bool) -> ExitCode:
    """Print what came of each step, and the verdict."""
    claims: dict[str, Any] | None = None
    error: TokenError | KeyStoreError | None = None
    try:
        claims = verifier.verify(token).claims
    except (TokenError, KeyStoreError) as refusal:
        error = refusal
    steps = _outcomes(None if error is None else failed_step(error, token, verifier.policy), error)
    verdict = "verified" if error is None else error.reason.value
    if as_json:
        print_json({"verdict": verdict, "steps": steps, "claims": claims})
    else:
        print_table(("step", "", "outcome"), [(str(n), *step.values()) for n, step in enumerate(steps, 1)])
        for name, value in (claims or {}).items():
            stdout().print(f"{safe(name)}: {safe(str(value))}", markup=False)
        stdout().print(f"{verdict}: {error}" if error else verdict, markup=False, soft_wrap=True)
    if error is None:
        return ExitCode.OK
    return ExitCode.UNAVAILABLE if isinstance(error, KeyStoreError) else ExitCode.REFUSED


def failed_step(error: TokenError | KeyStoreError, token: str, policy: Policy) -> int:
    """Return the number of the step that refused the token."""
    if isinstance(error, TokenError) and error.reason is Reason.MALFORMED_TOKEN:
        if error.signed:
            return 5
        try:
            # With the header taken for judged, only size and shape (no key id yet) and what follows are.
            tokens.parse(tokens.as_bytes(token), policy, lambda _header: "judged")
        except TokenError as shape:
            return 1 if shape.kid is None else 2
        return 2
    return _STEP_OF_REASON.get(error.reason, 6)


def _outcomes(failed: int | None, error: TokenError | KeyStoreError | None) -> list[dict[str, str]]:
    def outcome(number: int) -> str:
        if failed is None or number < failed:
            return "passed"
        return "not reached" if number > failed or error is None else error.reason.value

    return [{"name": name, "outcome": outcome(number)} for number, name in enumerate(STEPS, 1)]

"""The claims rules: pure, over a payload whose signature holds."""

from __future__ import annotations

from typing import Any

from .errors import Reason, TokenError
from .policy import Policy

__all__ = ["Window", "check", "check_time"]

_OPTIONAL_TIMES = ("iat", "nbf")
_EXACT_IN_A_DOUBLE = 2**53


# When a token is good, in epoch seconds: (lo, hi, ceiling), while `lo <= now < hi`. The ceiling is when its `exp` comes
# within the maximum lifetime; it tells the two ways of being too early apart. A plain tuple, as one is made per call.
Window = tuple[float, float, float]


def check(payload: dict[str, Any], policy: Policy) -> Window:
    """Return the window in which claims that satisfy `policy` are good.

    Raises:
        TokenError: `missing_claim`, `invalid_claim`, `wrong_issuer`, `wrong_environment`,
            `wrong_audience` or `wrong_subject`, the first that applies in this order.
    """
    try:
        issuer, subject, audience, expires_at = (payload["iss"], payload["sub"], payload["aud"], payload["exp"])
    except KeyError:
        raise TokenError(Reason.MISSING_CLAIM) from None
    # What equals the configured strings is of their type, too; only another token goes rule by rule.
    as_configured = (
        issuer == policy.issuer
        and audience == policy.audience
        and type(subject) is str
        and policy.subjects is not None
        and subject in policy.subjects
    )
    if not (as_configured or (_is_text(issuer) and _is_name(subject) and _is_audience(audience))):
        raise TokenError(Reason.INVALID_CLAIM)
    if type(payload.get("jti", "")) is not str:  # Nothing reads it, but RFC 7519 §4.1.7 has it so.
        raise TokenError(Reason.INVALID_CLAIM)
    window = _window(payload, expires_at, policy)
    if not as_configured:
        _check_values(issuer, audience, subject, policy)
    return window


def check_time(window: Window, now: float) -> None:
    """Return if a token with this window is good at `now`.

    Written in the positive form, so that a clock that says NaN refuses.

    Raises:
        TokenError: `expired`, `lifetime_too_long` or `not_yet_valid` (RFC 7519 §4.1.4 to §4.1.6).
    """
    lo, hi, ceiling = window
    if not now < hi:
        raise TokenError(Reason.EXPIRED)
    if not ceiling <= now:
        raise TokenError(Reason.LIFETIME_TOO_LONG)
    if not lo <= now:
        raise TokenError(Reason.NOT_YET_VALID)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _is_audience(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _is_time(value: object) -> bool:
    """Tell whether `value` is a NumericDate that arithmetic leaves exact: no bool, no NaN, below 2⁵³."""
    return (type(value) is int or type(value) is float) and -_EXACT_IN_A_DOUBLE < value < _EXACT_IN_A_DOUBLE


def _window(payload: dict[str, Any], expires_at: float, policy: Policy) -> Window:
    if not _is_time(expires_at):
        raise TokenError(Reason.INVALID_CLAIM)
    leeway = policy.leeway
    lo = ceiling = expires_at - policy.max_lifetime - leeway
    for name in _OPTIONAL_TIMES:
        if name in payload:
            time = payload[name]
            if not _is_time(time):
                raise TokenError(Reason.INVALID_CLAIM)
            if time - leeway > lo:  # noqa: PLR1730 - max() would cost more than the rest of the loop
                lo = time - leeway
    return lo, expires_at + leeway, ceiling


def _check_values(issuer: str, audience: str | list[str], subject: str, policy: Policy) -> None:
    if issuer != policy.issuer:
        raise TokenError(Reason.WRONG_ISSUER)
    if audience != policy.audience:
        _check_array_audience(audience, policy)
    if policy.subjects is not None and subject not in policy.subjects:
        raise TokenError(Reason.WRONG_SUBJECT)


def _check_array_audience(audience: str | list[str], policy: Policy) -> None:
    named = [audience] if isinstance(audience, str) else audience
    if policy.audience in named:
        if "" not in named:
            return
    elif not policy.other_environments.isdisjoint(named):
        raise TokenError(Reason.WRONG_ENVIRONMENT)
    raise TokenError(Reason.WRONG_AUDIENCE)

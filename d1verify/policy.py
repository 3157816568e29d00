"""What a token must satisfy, checked once when it is built."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from ._checks import checked_seconds
from .errors import ConfigurationError

__all__ = [
    "ANY_SUBJECT",
    "D1_ENVIRONMENTS",
    "D1_ISSUER",
    "MAX_LEEWAY",
    "MAX_LIFETIME",
    "AnySubject",
    "Policy",
    "Subject",
    "checked_audience",
    "checked_subjects",
    "d1_policy",
]

D1_ISSUER: Final = "d1"
D1_ENVIRONMENTS: Final = frozenset({"stg", "prd"})
MAX_LIFETIME: Final = 900
MAX_LEEWAY: Final = 300


class AnySubject(Enum):
    """The type of `ANY_SUBJECT`, the written-out wish not to pin the merchant gateway."""

    ANY_SUBJECT = "any subject"


ANY_SUBJECT: Final = AnySubject.ANY_SUBJECT
"""Accept a token for any merchant gateway. `aud` names an environment only, so with this
a token that D1 signed for another merchant is accepted too: compare the subject yourself."""

Subject: TypeAlias = str | Collection[str] | AnySubject


class Policy(NamedTuple):
    """What a token must satisfy. Times are in seconds.

    Attributes:
        issuer: the one accepted `iss`.
        audience: the one accepted `aud`.
        other_environments: audiences that get `wrong_environment` instead of `wrong_audience`.
        subjects: the accepted `sub` values, or None for any.
        types: the accepted `typ` header values in lower case; None in it accepts an absent one.
        leeway: tolerated clock difference, applied once to each comparison.
        max_lifetime: how far ahead `exp` may be.
    """

    issuer: str
    audience: str
    other_environments: frozenset[str]
    subjects: frozenset[str] | None
    types: frozenset[str | None]
    leeway: float
    max_lifetime: float


def d1_policy(*, audience: str, subject: Subject, leeway: float, max_lifetime: float) -> Policy:
    """Return the D1 token profile for one environment and merchant.

    Raises:
        ConfigurationError: an argument is out of range; the message names it.
    """
    return Policy(
        issuer=D1_ISSUER,
        audience=checked_audience(audience, "audience"),
        other_environments=D1_ENVIRONMENTS - {audience},
        subjects=checked_subjects(subject),
        types=frozenset({None, "jwt", "application/jwt"}),
        leeway=checked_seconds(leeway, "leeway", low=0, high=MAX_LEEWAY),
        max_lifetime=checked_seconds(max_lifetime, "max_lifetime", low=1, high=MAX_LIFETIME),
    )


def checked_audience(audience: object, name: str) -> str:
    """Return `audience` if D1 may sign for it.

    Args:
        audience: `"stg"`, `"prd"` or an https URL.
        name: what the message calls it.

    Returns:
        The same string.

    Raises:
        ConfigurationError: it is anything else.
    """
    if isinstance(audience, str) and (audience in D1_ENVIRONMENTS or _is_https_url(audience)):
        return audience
    raise ConfigurationError(f'{name} must be "stg", "prd" or an https URL')


def checked_subjects(subject: object) -> frozenset[str] | None:
    """Return the merchant gateway ids that `subject` stands for.

    Args:
        subject: an id, several of them, or `ANY_SUBJECT`.

    Returns:
        The ids, at least one, or None for any.

    Raises:
        ConfigurationError: it is none of these, or an id is empty, not printable, or `"*"`.
    """
    if subject is ANY_SUBJECT:
        return None
    listed = (subject,) if isinstance(subject, str) else subject
    if not isinstance(listed, Collection) or isinstance(listed, bytes | bytearray | memoryview) or not listed:
        raise ConfigurationError("subject must be a merchant gateway id, several of them, or ANY_SUBJECT")
    for one in listed:
        if not isinstance(one, str) or not one or not one.isprintable():
            raise ConfigurationError("subject must hold non-empty printable strings only")
        if one == "*":
            raise ConfigurationError('subject "*" matches nothing; write subject=ANY_SUBJECT to accept any')
    return frozenset(listed)


def _is_https_url(text: str) -> bool:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and text.isprintable() and " " not in text

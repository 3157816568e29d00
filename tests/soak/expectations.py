"""What each kind of call must be answered with. Tokens are made here, and judged by the ledger alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from ..support import REMOVE, SigningKey, b64
from .ledger import Ledger

__all__ = [
    "HOSTILE",
    "OPEN_PATH",
    "VALID_SECONDS",
    "Answer",
    "Hostile",
    "Outcome",
    "bearer",
    "expected",
    "judge",
    "mint",
]

OPEN_PATH: Final = "/health"
VALID_SECONDS: Final = 600


class Answer(NamedTuple):
    """A status and the reason that a staging app reveals, empty for none."""

    status: int
    reason: str = ""


LET_IN: Final = Answer(204)
UNKNOWN: Final = Answer(401, "unknown_key")
UNAVAILABLE: Final = Answer(503, "keys_unavailable")


class Outcome(StrEnum):
    """What an answer turned out to be."""

    RIGHT = "right"
    WRONG_ACCEPT = "wrong accept"
    WRONG_REFUSAL = "wrong refusal"
    UNINTENDED_5XX = "unintended 5xx"
    OTHER = "another reason than it should"


def judge(answer: Answer, allowed: frozenset[Answer]) -> Outcome:
    """Return what the answer is, when only these are allowed."""
    if answer in allowed:
        return Outcome.RIGHT
    if answer.status >= 500:
        return Outcome.UNINTENDED_5XX
    if answer.status < 400:
        return Outcome.WRONG_ACCEPT
    return Outcome.OTHER if any(one.status >= 400 for one in allowed) else Outcome.WRONG_REFUSAL


def expected(ledger: Ledger, worker: int, kid: str, sent: float, answered: float) -> frozenset[Answer]:
    """Return what a flawless token with this key id may be answered by this worker.

    A worker accepts what it was served last, and refuses everything else: with 401, or
    with 503 while the source is down, for then it cannot know. Whatever it was served,
    a key withdrawn longer ago than the documented bound is refused.
    """
    trusted = ledger.trusts(worker, kid, sent, answered)
    refusals = {UNKNOWN, UNAVAILABLE} if ledger.is_troubled(worker, sent, answered) else {UNKNOWN}
    if trusted is False or ledger.is_overdue(kid, sent):
        return frozenset(refusals)
    return frozenset({LET_IN}) if trusted else frozenset({LET_IN, *refusals})


def mint(key: SigningKey, now: float, header: dict[str, object] | None = None, /, **claims: object) -> str:
    """Return a token that is valid from `now` on, but for the given changes. Epoch seconds."""
    return key.mint(header, **{"exp": int(now) + VALID_SECONDS, "iat": int(now), **claims})


def bearer(token: str) -> tuple[str, ...]:
    """Return the one `Authorization` value that carries the token."""
    return (f"Bearer {token}",)


@dataclass(frozen=True, slots=True)
class Hostile:
    """A call that D1 would never make.

    Attributes:
        name: what is wrong with it.
        answer: what it must be answered with, whatever the key server does.
        make: its `Authorization` values, from the key that signs now and the epoch time.
    """

    name: str
    answer: Answer
    make: Callable[[SigningKey, float], tuple[str, ...]]


_STRANGER = SigningKey("stranger")


def _hostile_token(name: str, reason: str, make: Callable[[SigningKey, float], str]) -> Hostile:
    return Hostile(name, Answer(401, reason), lambda key, now: bearer(make(key, now)))


def _tampered(key: SigningKey, now: float) -> str:
    header, _payload, signature = mint(key, now, sub="MGW_000002").split(".")
    return f"{header}.{mint(key, now).split('.')[1]}.{signature}"


def _unsigned(key: SigningKey, now: float) -> str:
    header = b64('{"alg":"none","kid":"x"}')
    return f"{header}.{mint(key, now).split('.')[1]}."


HOSTILE: Final = (
    Hostile("no header", Answer(401, "missing_token"), lambda _key, _now: ()),
    Hostile("Basic", Answer(401, "missing_token"), lambda _key, _now: ("Basic ZDE6c2VjcmV0",)),
    Hostile("two headers", Answer(400, "invalid_request"), lambda key, now: bearer(mint(key, now)) * 2),
    Hostile(
        "two joined by a comma",
        Answer(400, "invalid_request"),
        lambda key, now: (f"Bearer {mint(key, now)}, Bearer {mint(key, now)}",),
    ),
    _hostile_token("not a JWT", "malformed_token", lambda _key, _now: "a.b.c"),
    _hostile_token("alg none", "malformed_token", _unsigned),
    _hostile_token("HS256", "disallowed_algorithm", lambda key, now: mint(key, now, {"alg": "HS256"})),
    _hostile_token("crit", "malformed_token", lambda key, now: mint(key, now, {"crit": ["b64"]})),
    _hostile_token("no kid", "malformed_token", lambda key, now: mint(key, now, {"kid": REMOVE})),
    _hostile_token("too long", "malformed_token", lambda key, now: mint(key, now, pad="x" * 8192)),
    _hostile_token("tampered payload", "bad_signature", _tampered),
    _hostile_token("a stranger's key", "bad_signature", lambda key, now: mint(_STRANGER, now, {"kid": key.kid})),
    _hostile_token("no sub", "missing_claim", lambda key, now: mint(key, now, sub=REMOVE)),
    _hostile_token("exp as text", "invalid_claim", lambda key, now: mint(key, now, exp="4102444800")),
    _hostile_token("another issuer", "wrong_issuer", lambda key, now: mint(key, now, iss="d2")),
    _hostile_token("for production", "wrong_environment", lambda key, now: mint(key, now, aud="prd")),
    _hostile_token("another audience", "wrong_audience", lambda key, now: mint(key, now, aud="https://else.example")),
    _hostile_token("another merchant", "wrong_subject", lambda key, now: mint(key, now, sub="MGW_000002")),
    _hostile_token("expired", "expired", lambda key, now: mint(key, now, exp=int(now) - 60)),
    _hostile_token("for a day", "lifetime_too_long", lambda key, now: mint(key, now, exp=int(now) + 86_400)),
    _hostile_token("from the future", "not_yet_valid", lambda key, now: mint(key, now, iat=int(now) + 300)),
)

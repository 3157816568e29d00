"""One token before several verifiers and the oracle: all say the same, and nothing else shows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from d1verify import ANY_SUBJECT, D1Token, D1Verifier, KeyCache, KeyStoreError, StaticKeyStore, TokenError

from .material import PUBLIC_KEYS, RULES, pem
from .oracles import require
from .oracles.token_rules import Rules, Verdict, judge

__all__ = ["check_token", "verifier"]

# A segment shorter than this may be part of any text.
SHORTEST_SECRET: Final = 16

_KEYS: Final = KeyCache(StaticKeyStore({kid: pem(kid) for kid in PUBLIC_KEYS}))
_KEYS.warm_up()


def verifier(rules: Rules, *, token_cache_size: int = 0) -> D1Verifier:
    """Return a verifier that goes by these rules, its caches empty."""
    return D1Verifier(
        _KEYS,
        audience=rules.audience,
        subject=ANY_SUBJECT if rules.subjects is None else rules.subjects,
        leeway=rules.leeway,
        max_lifetime=rules.max_lifetime,
        token_cache_size=token_cache_size,
        clock=lambda: rules.now,
    )


def check_token(token: bytes, rules_number: int) -> None:
    """Return if `token` meets the verdict that DESIGN.md 2 asks for, with caches empty, filled and off."""
    rules = RULES[rules_number % len(RULES)]
    verdict = judge(token, PUBLIC_KEYS, rules)
    caching = verifier(rules, token_cache_size=4)
    with _overheard(token):
        _check(verifier(rules), token, verdict)
        _check(caching, token, verdict)
        _check(caching, token.decode("latin-1"), verdict)
        if verdict.reason is None:
            # The caches know this header now, and this token: its forged twin is still judged afresh.
            twin = _forged_twin(token)
            _check(caching, twin, judge(twin, PUBLIC_KEYS, rules))
            _check(caching, token, verdict)
    if verdict.reason is None:
        _reached(rules_number % len(RULES))


def _reached(rules_number: int) -> str:
    """Have a branch for each set of rules: the fuzzer keeps, and changes, one good token for each branch."""
    match rules_number:
        case 0:
            return "stg"
        case 1:
            return "prd"
        case 2:
            return "URL"
    return "none is good while the clock says NaN"


def _check(judge_of: D1Verifier, token: str | bytes, verdict: Verdict) -> None:
    try:
        verified = judge_of.verify(token)
    except TokenError as error:
        require(error.reason.value == verdict.reason, f"refused as {error.reason.value}, not as {verdict.reason}")
        require(error.signed is verdict.signed, "`signed` says whether the signature held")
    except KeyStoreError as error:
        raise AssertionError("keys that never change cannot become unavailable") from error
    else:
        require(verdict.reason is None, f"accepted, though {verdict.reason}")
        _check_accepted(verified, verdict)


def _check_accepted(verified: D1Token, verdict: Verdict) -> None:
    claims = verdict.claims or {}
    require(verified.kid == verdict.kid, "the token names the key that signed it")
    # `repr` tells 1, 1.0 and True apart, and 0.0 from -0.0.
    require(repr(verified.claims) == repr(claims), "the claims are those that were signed")
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    require(verified.audience == tuple(audience), "audience is aud")
    named = (verified.issuer, verified.subject, verified.expires_at, verified.issued_at, verified.not_before)
    require(named == tuple(claims.get(name) for name in ("iss", "sub", "exp", "iat", "nbf")), "each claim is its own")


def _forged_twin(token: bytes) -> bytes:
    """Return the token with another first character of its signature."""
    at = token.rindex(b".") + 1
    return token[:at] + (b"B" if token[at : at + 1] == b"A" else b"A") + token[at + 1 :]


class _Ear(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record)


@contextmanager
def _overheard(token: bytes) -> Iterator[None]:
    """Read what is logged meanwhile: no error of ours, and no part of the token as it was sent."""
    logger = logging.getLogger("d1verify")
    ear, level, propagate = _Ear(), logger.level, logger.propagate
    logger.addHandler(ear)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(ear)
        logger.setLevel(level)
        logger.propagate = propagate
    secrets = [part.decode("latin-1") for part in token.split(b".") if len(part) >= SHORTEST_SECRET]
    for record in ear.heard:
        # The verifier turns a surprise into a refusal and says so here: that is a finding.
        require(record.levelno < logging.ERROR, f"an error of ours: {record.getMessage()}")
        text = repr({**vars(record), "message": record.getMessage()})
        require(not any(secret in text for secret in secrets), "a part of the token is in the log")

"""The verifier: six numbered steps from a text to a token that can be trusted.

    (1) size and shape    (2) header and signature length    (3) key
    (4) signature         (5) payload JSON                   (6) claims

Nothing of the payload is parsed, logged or branched on before (4) holds, and nothing
refused in (1) or (2) causes a key load.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from . import bearer, claims, tokens
from ._checks import checked_count
from ._codec import MalformedError, decode_standard_base64, parse_object
from ._known import MAX_KNOWN_TOKEN_BYTES, KnownToken, KnownTokens
from ._settings import verifier_arguments
from ._verdicts import Verdicts
from .errors import ConfigurationError, Reason, TokenError
from .keycache import Health, KeyCache
from .keys import KeyStore, PublicKey
from .observer import Observer, attach
from .policy import MAX_LIFETIME, Policy, Subject, d1_policy
from .tokens import D1Token, UnverifiedToken

__all__ = ["D1Verifier", "HeaderVerifier", "TokenVerifier"]

# In practice there is one encoded header per key; this leaves room for keys that follow each other.
HEADER_CACHE_SIZE = 64
_USUAL_SCHEME = b"Bearer "
_LONGEST_SHORTCUT = len(_USUAL_SCHEME) + MAX_KNOWN_TOKEN_BYTES


class HeaderVerifier(Protocol):
    """What every web edge takes: something that judges an `Authorization` header's value."""

    def verify_header(self, value: str | bytes | None) -> D1Token:
        """Return the verified token, or raise `TokenError` or `KeyStoreError`."""
        ...  # pragma: no cover - the body of a protocol is never run

    async def averify_header(self, value: str | bytes | None) -> D1Token:
        """Return what `verify_header` returns without blocking the event loop."""
        ...  # pragma: no cover - the body of a protocol is never run


class TokenVerifier:
    """Judges tokens by a policy and by keys. `D1Verifier` is this with D1's own policy.

    Thread-safe; one instance serves threads and event loops alike.
    """

    def __init__(
        self,
        store: KeyStore | KeyCache,
        policy: Policy,
        *,
        token_cache_size: int = 1024,
        clock: Callable[[], float] = time.time,
        observer: Observer | None = None,
    ) -> None:
        size = checked_count(token_cache_size, "token_cache_size")
        if not callable(clock) or type(clock()) not in (int, float):
            raise ConfigurationError("clock must be a function that returns epoch seconds as a number")
        if observer is not None and not callable(getattr(observer, "notify", None)):
            raise ConfigurationError("observer must have a notify() method")
        self._policy = policy
        self._clock = clock
        self._keys = store if isinstance(store, KeyCache) else KeyCache(store)
        self._known_tokens = KnownTokens(size) if size else None
        self._known_headers: dict[bytes, str] = {}
        # A subclass that overrides verify() or averify() has to be asked each time.
        own = type(self)
        may_reuse = own.verify is TokenVerifier.verify and own.averify is TokenVerifier.averify
        self._shortcut = self._known_tokens if may_reuse else None
        self._verdicts = Verdicts()
        if observer is not None:
            self._given_observer = observer
            self._keys.subscribe(observer.notify)
            attach(observer, self, self._begin_reporting)

    @property
    def policy(self) -> Policy:
        """What a token must satisfy. It cannot be exchanged: remembered tokens were judged by it."""
        return self._policy

    def verify(self, token: str | bytes) -> D1Token:
        """Return the verified token.

        Raises:
            TokenError: it breaks a rule; `reason` says which.
            KeyStoreError: the keys cannot be had, so no verdict is possible.
            TypeError: `token` is neither str nor bytes.
        """
        if not isinstance(token, (str, bytes)):
            raise TypeError(f"a token is str or bytes, not {type(token).__name__}")
        started = 0.0 if self._verdicts.observer is None else time.perf_counter()
        try:
            raw = tokens.as_bytes(token)
            opened = self._open(raw)
            verified = self._close(raw, opened, self._keys.key(opened.kid))
        except Exception as error:
            refused = self._verdicts.refused(error, started)
        else:
            if self._verdicts.observer is not None:
                self._verdicts.accepted(verified, opened, started)
            return verified
        raise refused

    async def averify(self, token: str | bytes) -> D1Token:
        """Return what `verify` returns; never blocks the event loop (asyncio or trio)."""
        if not isinstance(token, (str, bytes)):
            raise TypeError(f"a token is str or bytes, not {type(token).__name__}")
        started = 0.0 if self._verdicts.observer is None else time.perf_counter()
        try:
            raw = tokens.as_bytes(token)
            opened = self._open(raw)
            key = self._keys.fresh_key(opened.kid) or await self._keys.akey(opened.kid)
            verified = self._close(raw, opened, key)
        except Exception as error:
            refused = self._verdicts.refused(error, started)
        else:
            if self._verdicts.observer is not None:
                self._verdicts.accepted(verified, opened, started)
            return verified
        raise refused

    def verify_header(self, value: str | bytes | None) -> D1Token:
        """Return the verified token of an `Authorization` header's value; None for no header.

        Raises:
            TokenError: also `missing_token` and `invalid_request`, and all that `verify` raises.
            KeyStoreError: as `verify`.
            TypeError: `value` is neither str, bytes nor None.
        """
        return self._reused(value) or self.verify(self._token_of(value))

    async def averify_header(self, value: str | bytes | None) -> D1Token:
        """Return what `verify_header` returns; never blocks the event loop."""
        return self._reused(value) or await self.averify(self._token_of(value))

    def warm_up(self) -> None:
        """Load keys if none are usable; `KeyStoreError` if none are then."""
        self._keys.warm_up()

    async def awarm_up(self) -> None:
        """Do what `warm_up` does without blocking the event loop."""
        await self._keys.awarm_up()

    def refresh(self) -> None:
        """Load keys now, whatever the state; see `KeyCache.refresh`."""
        self._keys.refresh()

    async def arefresh(self) -> None:
        """Do what `refresh` does without blocking the event loop."""
        await self._keys.arefresh()

    def health(self) -> Health:
        """Return how the keys stand; see `Health`."""
        return self._keys.health()

    def probe(self) -> Health:
        """Return how the keys stand after having loaded them if that is due; see `KeyCache.probe`."""
        return self._keys.probe()

    async def aprobe(self) -> Health:
        """Do what `probe` does without blocking the event loop."""
        return await self._keys.aprobe()

    def _reused(self, value: str | bytes | None) -> D1Token | None:
        """Return the token of a header as ASGI hands it on, if it was verified before and nothing has changed since.

        The most frequent call, made short: a text that was judged before needs no second
        look. Whatever differs goes the whole way, which says what is wrong with it.
        """
        if self._shortcut is None or type(value) is not bytes or len(value) > _LONGEST_SHORTCUT:
            return None
        if value[: len(_USUAL_SCHEME)] != _USUAL_SCHEME:
            return None
        try:
            known = self._shortcut.find(value[len(_USUAL_SCHEME) :])
            good = known is not None and known.holds(self._keys.fresh_key(known.kid), self._clock())
        except Exception:
            return None
        return known.token if known is not None and good else None

    def _open(self, raw: bytes) -> UnverifiedToken | KnownToken:
        # (1) size and shape, (2) header and signature length; a known token has passed both before
        known = None if self._known_tokens is None else self._known_tokens.find(raw)
        if known is not None:
            return known
        return tokens.parse(raw, self._policy, self._known_headers.get)

    def _close(self, raw: bytes, opened: UnverifiedToken | KnownToken, key: PublicKey) -> D1Token:
        # (3) `key` was trusted a moment ago, for a known token as for a new one
        if isinstance(opened, KnownToken):
            if opened.holds(key, self._clock()):
                return opened.token
            opened = tokens.parse(raw, self._policy, self._known_headers.get)
        signed = False
        try:
            # (4) signature
            key.verify(decode_standard_base64(opened.signature), opened.signing_input)
            signed = True
            if opened.new_header is not None:
                self._learn(opened.new_header, opened.kid)
            # (5) payload JSON, (6) claims
            payload = decode_standard_base64(opened.payload)
            members = parse_object(payload)
            window = claims.check(members, self._policy)
            claims.check_time(window, self._clock())
        except MalformedError:
            raise TokenError(Reason.MALFORMED_TOKEN, kid=opened.kid, signed=signed) from None
        except TokenError as error:
            raise TokenError(error.reason, kid=opened.kid, signed=signed) from None
        verified = tokens.seal(opened.kid, payload, members, self._verdicts.note_refusal)
        if self._known_tokens is not None:
            self._known_tokens.keep(raw, KnownToken(verified, key, window))
        return verified

    def _learn(self, header: bytes, kid: str) -> None:
        """Remember an encoded header that D1 has signed, so that its like need not be parsed again."""
        if len(self._known_headers) >= HEADER_CACHE_SIZE:
            self._known_headers.clear()
        self._known_headers[header] = kid

    def _token_of(self, value: str | bytes | None) -> bytes:
        started = 0.0 if self._verdicts.observer is None else time.perf_counter()
        try:
            return bearer.token_from_header(value)
        except TokenError as error:
            refused = self._verdicts.refused(error, started)
        raise refused

    def _begin_reporting(self) -> None:
        self._verdicts.observer, self._shortcut = self._given_observer, None


class D1Verifier(TokenVerifier):
    """Decides whether a call comes from D1, for this merchant, for this environment, now.

    Args:
        store: where trusted keys come from: a `KeyStore`, or a `KeyCache` around one.
        audience: the environment, `"stg"` or `"prd"`, or an https URL.
        subject: the merchant gateway id, several of them, or `ANY_SUBJECT`.
        leeway: tolerated clock difference in seconds, 0 to 300.
        max_lifetime: how far ahead `exp` may be in seconds, at most 900.
        token_cache_size: how many verified tokens to remember; 0 turns that off.
        clock: the wall clock, in epoch seconds.
        observer: told of each outcome and each key load.

    Raises:
        ConfigurationError: an argument is out of range; the message names it.
    """

    def __init__(
        self,
        store: KeyStore | KeyCache,
        *,
        audience: str,
        subject: Subject,
        leeway: float = 30,
        max_lifetime: float = MAX_LIFETIME,
        token_cache_size: int = 1024,
        clock: Callable[[], float] = time.time,
        observer: Observer | None = None,
    ) -> None:
        policy = d1_policy(audience=audience, subject=subject, leeway=leeway, max_lifetime=max_lifetime)
        super().__init__(store, policy, token_cache_size=token_cache_size, clock=clock, observer=observer)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> D1Verifier:
        """Return a verifier set up from `D1VERIFY_…` variables, as the README lists them.

        Args:
            environ: where to read; the process's environment by default.
            overrides: arguments of the constructor that count instead of the variables.

        Raises:
            ConfigurationError: a variable is missing, contradictory or out of range; the message names it.
        """
        return cls(**verifier_arguments(os.environ if environ is None else environ, overrides))

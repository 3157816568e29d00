"""Types of the core: verifiers, tokens, stores, keys, refusals."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true, reportUnusedFunction=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_type

from d1verify import (
    ANY_SUBJECT,
    D1Token,
    D1Verifier,
    EnvKeyStore,
    FileKeyStore,
    HeaderVerifier,
    KeyCache,
    KeySet,
    KeyStore,
    KeyStoreError,
    PublicKey,
    Reason,
    Refusal,
    SkippedKey,
    StaticKeyStore,
    TokenError,
    refusal,
)
from d1verify.keycache import Health
from d1verify.observer import KeyLoad, Verification

from ..support import KEY, NOW, SUBJECT


def clock() -> float:
    return NOW


STORE = StaticKeyStore({KEY.kid: KEY.pem})
VERIFIER = D1Verifier(STORE, audience="stg", subject=SUBJECT, clock=clock)


def test_a_verifier_gives_tokens() -> None:
    token = VERIFIER.verify(KEY.mint())
    assert_type(token, D1Token)
    assert_type(VERIFIER.verify(KEY.mint().encode()), D1Token)
    assert_type(VERIFIER.verify_header(f"Bearer {KEY.mint()}"), D1Token)
    assert_type(token.kid, str)
    assert_type(token.issuer, str)
    assert_type(token.subject, str)
    assert_type(token.audience, tuple[str, ...])
    assert_type(token.expires_at, float)
    assert_type(token.issued_at, float | None)
    assert_type(token.not_before, float | None)
    assert_type(token.claims, dict[str, Any])
    token.require_subject(SUBJECT)


async def _what_is_awaited() -> None:
    assert_type(await VERIFIER.averify(b""), D1Token)
    assert_type(await VERIFIER.averify_header(None), D1Token)
    await VERIFIER.awarm_up()
    await VERIFIER.arefresh()


def test_health_is_a_record() -> None:
    assert_type(VERIFIER.health(), Health)
    assert_type(VERIFIER.health().kids, tuple[str, ...])
    assert_type(VERIFIER.health().age, float | None)


def test_a_subject_is_one_id_several_or_any() -> None:
    one = "MGW_000001"
    for subject in (one, [one], (one,), {one}, frozenset({one}), {one: 1}.keys(), ANY_SUBJECT):
        assert_type(D1Verifier(STORE, audience="stg", subject=subject), D1Verifier)


def test_whatever_loads_a_key_set_is_a_store() -> None:
    class Vault:
        def load(self) -> KeySet:
            return KeySet({KEY.kid: KEY.public}, max_age=60.0, max_stale=0, skipped=[SkippedKey("a", "b")])

    stores: list[KeyStore] = [Vault(), STORE, FileKeyStore("/"), EnvKeyStore("NAME")]
    for store in stores:
        assert_type(D1Verifier(store, audience="prd", subject="a"), D1Verifier)
    assert_type(D1Verifier(KeyCache(Vault(), cooldown=1, max_wait=2.5), audience="prd", subject="a"), D1Verifier)
    assert_type(Vault().load().keys, Mapping[str, PublicKey])
    assert_type(Vault().load().skipped, tuple[SkippedKey, ...])


def test_keys_come_as_pem_or_jwk() -> None:
    assert_type(PublicKey.from_pem(KEY.pem), PublicKey)
    assert_type(PublicKey.from_pem(KEY.pem.encode()), PublicKey)
    assert_type(PublicKey.from_jwk(KEY.jwk), PublicKey)
    assert_type(KeySet.from_jwks({"keys": [KEY.jwk]}), KeySet)
    StaticKeyStore({"a": KEY.pem, "b": KEY.pem.encode(), "c": KEY.jwk, "d": KEY.public})


def test_a_refusal_is_an_answer() -> None:
    answer = refusal(TokenError(Reason.EXPIRED), realm="d1", reveal_reason=True)
    assert_type(answer, Refusal)
    assert_type(answer.status, int)
    assert_type(answer.headers, tuple[tuple[str, str], ...])
    assert_type(answer.body, bytes)
    assert_type(refusal(KeyStoreError("down", retry_after=3)), Refusal)
    assert_type(TokenError(Reason.EXPIRED).kid, str | None)
    assert_type(TokenError(Reason.EXPIRED).reason, Reason)
    assert_type(KeyStoreError("down").retry_after, float)


def test_an_observer_has_one_method() -> None:
    class Counter:
        def notify(self, event: Verification | KeyLoad) -> None:
            if isinstance(event, Verification):
                assert_type(event.token, D1Token | None)
                assert_type(event.error, TokenError | KeyStoreError | None)
            else:
                assert_type(event.usable, int)

    assert_type(D1Verifier(STORE, audience="stg", subject="a", observer=Counter()), D1Verifier)


def test_a_verifier_judges_headers() -> None:
    judge: HeaderVerifier = VERIFIER
    assert_type(judge.verify_header(b"Bearer " + KEY.mint().encode()), D1Token)


# What a type checker refuses.


class _Bytes:
    def load(self) -> bytes:
        return b""


class _Deaf:
    def notify(self) -> None: ...


class _Sync:
    def verify_header(self, value: str | bytes | None) -> D1Token:
        raise NotImplementedError


class _Anything:
    def verify_header(self, value: str | bytes | None) -> object:
        return value

    async def averify_header(self, value: str | bytes | None) -> object:
        return value


def _refused(token: D1Token, keys: KeySet, answer: Refusal) -> None:
    VERIFIER.verify(None)  # type: ignore[arg-type]
    VERIFIER.verify(memoryview(b""))  # type: ignore[arg-type]
    VERIFIER.verify_header([b""])  # type: ignore[arg-type]
    VERIFIER.verify("", leeway=300)  # type: ignore[call-arg]

    D1Verifier(STORE)  # type: ignore[call-arg]
    D1Verifier(STORE, audience="stg")  # type: ignore[call-arg]
    D1Verifier(STORE, subject="a")  # type: ignore[call-arg]
    D1Verifier(STORE, "stg", "a")  # type: ignore[call-arg]
    D1Verifier(STORE, audience=None, subject="a")  # type: ignore[arg-type]
    D1Verifier(STORE, audience=["stg", "prd"], subject="a")  # type: ignore[arg-type]
    D1Verifier(STORE, audience="stg", subject=None)  # type: ignore[arg-type]
    D1Verifier(STORE, audience="stg", subject=b"MGW_000001")  # type: ignore[arg-type]
    D1Verifier(STORE, audience="stg", subject=[b"MGW_000001"])  # type: ignore[list-item]
    D1Verifier(STORE, audience="stg", subject=1)  # type: ignore[arg-type]
    D1Verifier(STORE, audience="stg", subject="a", leeway="30")  # type: ignore[arg-type]
    D1Verifier(STORE, audience="stg", subject="a", verify_signature=False)  # type: ignore[call-arg]
    D1Verifier(STORE, audience="stg", subject="a", observer=_Deaf())  # type: ignore[arg-type]
    D1Verifier({KEY.kid: KEY.pem}, audience="stg", subject="a")  # type: ignore[arg-type]
    D1Verifier(_Bytes(), audience="stg", subject="a")  # type: ignore[arg-type]
    KeyCache(STORE, 30.0)  # type: ignore[call-arg]

    PublicKey.from_jwk(KEY.pem)  # type: ignore[arg-type]
    KeySet({"a": KEY.pem})  # type: ignore[dict-item]
    StaticKeyStore([KEY.jwk])  # type: ignore[arg-type]
    keys.keys["a"] = KEY.public  # type: ignore[index]

    D1Token()  # type: ignore[call-arg]
    D1Token("jwt")  # type: ignore[arg-type]
    PublicKey()  # type: ignore[call-arg]
    PublicKey(KEY.pem)  # type: ignore[arg-type]

    token.subject = "MGW_000002"  # type: ignore[misc]
    token.claims = {}  # type: ignore[misc]
    token.require_subject(None)  # type: ignore[arg-type]
    answer.status = 200  # type: ignore[misc]

    refusal(ValueError())  # type: ignore[arg-type]
    TokenError("expired")  # type: ignore[arg-type]
    TokenError(Reason.EXPIRED, "kid")  # type: ignore[call-arg]

    judge: HeaderVerifier = _Sync()  # type: ignore[assignment]
    judge = _Anything()  # type: ignore[assignment]
    judge = STORE  # type: ignore[assignment]
    del judge


def _final() -> None:
    class _Token(D1Token):  # type: ignore[misc]
        pass

    class _Key(PublicKey):  # type: ignore[misc]
        pass

    class _Keys(KeySet):  # type: ignore[misc]
        pass

    del _Token, _Key, _Keys

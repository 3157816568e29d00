"""The six steps, every public method, and what never happens before a signature holds."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d1verify import (
    D1Token,
    D1Verifier,
    HeaderVerifier,
    KeyCache,
    KeySet,
    KeyStoreError,
    PublicKey,
    Reason,
    StaticKeyStore,
    TokenError,
    bearer,
    tokens,
)
from d1verify import (
    verifier as verifier_module,
)
from d1verify.verifier import HEADER_CACHE_SIZE

from .support import (
    KEY,
    NOW,
    OTHER_KEY,
    SUBJECT,
    Clock,
    Recorder,
    ScriptedStore,
    SigningKey,
    b64,
    d1_claims,
    key_set,
    make_verifier,
    refused,
)

PROPERTY = settings(max_examples=200, deadline=None, database=None)


def tampered(token: str, part: int) -> str:
    """Return the token with the first character of a part changed."""
    parts = token.split(".")
    parts[part] = ("A" if parts[part][0] != "A" else "B") + parts[part][1:]
    return ".".join(parts)


@pytest.mark.parametrize("form", [str, str.encode], ids=["str", "bytes"])
def test_returns_the_claims_of_a_good_token(verifier: D1Verifier, form: Any) -> None:
    token = verifier.verify(form(KEY.mint()))
    assert (token.kid, token.issuer, token.subject, token.audience) == (KEY.kid, "d1", SUBJECT, ("stg",))


STEPS = [
    pytest.param(lambda: "a.b", "malformed_token", id="1 size and shape"),
    pytest.param(lambda: KEY.mint({"alg": "none"}), "disallowed_algorithm", id="2 header"),
    pytest.param(lambda: KEY.mint() + "AA", "malformed_token", id="2 signature length"),
    pytest.param(OTHER_KEY.mint, "unknown_key", id="3 key"),
    pytest.param(lambda: OTHER_KEY.mint({"kid": KEY.kid}), "bad_signature", id="4 signature of another key"),
    pytest.param(lambda: tampered(KEY.mint(), 1), "bad_signature", id="4 payload changed"),
    pytest.param(lambda: KEY.sign(KEY.header(), b"[]"), "malformed_token", id="5 payload JSON"),
    pytest.param(lambda: KEY.mint(iss="d2"), "wrong_issuer", id="6 claims"),
]


@pytest.mark.parametrize(("token", "reason"), STEPS)
def test_each_step_refuses(verifier: D1Verifier, token: Any, reason: str) -> None:
    assert refused(lambda: verifier.verify(token())) == reason


@pytest.mark.anyio
@pytest.mark.parametrize(("token", "reason"), STEPS)
async def test_each_step_refuses_asynchronously(verifier: D1Verifier, token: Any, reason: str) -> None:
    with pytest.raises(TokenError) as caught:
        await verifier.averify(token())
    assert caught.value.reason.value == reason


@pytest.mark.parametrize("step", [0, 1, 2])
def test_what_is_refused_in_steps_1_and_2_loads_no_key(step: int) -> None:
    store = ScriptedStore(key_set(KEY))
    refused(lambda: make_verifier(store).verify(STEPS[step].values[0]()))  # type: ignore[operator]
    assert store.loads == 0


def test_nothing_of_the_payload_is_read_before_the_signature_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    monkeypatch.setattr(verifier_module, "parse_object", read.append)
    verifier = make_verifier()
    refused(lambda: verifier.verify(tampered(KEY.mint(), 1)))
    refused(lambda: verifier.verify(OTHER_KEY.mint()))
    assert read == []
    refused(lambda: verifier.verify(KEY.mint()))
    assert len(read) == 1


@pytest.mark.parametrize(
    ("token", "kid", "signed"),
    [
        pytest.param("a.b", None, False, id="no header"),
        pytest.param(OTHER_KEY.mint(), OTHER_KEY.kid, False, id="unknown key"),
        pytest.param(OTHER_KEY.mint({"kid": KEY.kid}), KEY.kid, False, id="bad signature"),
        pytest.param(KEY.sign(KEY.header(), b"[]"), KEY.kid, True, id="payload"),
        pytest.param(KEY.mint(exp=1), KEY.kid, True, id="claims"),
    ],
)
def test_an_error_says_which_key_was_named_and_whether_it_signed(token: str, kid: str | None, *, signed: bool) -> None:
    with pytest.raises(TokenError) as caught:
        make_verifier().verify(token)
    assert (caught.value.kid, caught.value.signed) == (kid, signed)


def test_a_payload_that_is_no_json_is_refused_by_its_signature_first(verifier: D1Verifier) -> None:
    assert refused(lambda: verifier.verify(f"{b64('{}')}.!.x")) == "malformed_token"
    assert refused(lambda: verifier.verify(OTHER_KEY.sign(KEY.header(), b"no json"))) == "bad_signature"


@pytest.mark.parametrize(
    "token", [None, 5, 1.5, True, [], ["a"], {}, bytearray(b"a.b.c"), memoryview(b"a.b.c"), object()]
)
@pytest.mark.anyio
async def test_another_type_is_a_mistake_of_the_programmer(verifier: D1Verifier, token: Any) -> None:
    with pytest.raises(TypeError, match=type(token).__name__):
        verifier.verify(token)
    with pytest.raises(TypeError, match=type(token).__name__):
        await verifier.averify(token)


@pytest.mark.parametrize("value", [f"Bearer {KEY.mint()}", f"bearer   {KEY.mint()}".encode()])
@pytest.mark.anyio
async def test_verify_header_reads_the_header(verifier: D1Verifier, value: str | bytes) -> None:
    assert verifier.verify_header(value).subject == SUBJECT
    assert (await verifier.averify_header(value)).subject == SUBJECT


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing_token"),
        ("", "missing_token"),
        ("Basic eA==", "missing_token"),
        ("Bearer a.b.c, Bearer d.e.f", "invalid_request"),
        ("Bearer not a token", "malformed_token"),
        (f"Bearer {KEY.mint()}=", "malformed_token"),
        (KEY.mint(), "missing_token"),
        (f"Bearer {OTHER_KEY.mint()}", "unknown_key"),
    ],
)
@pytest.mark.anyio
async def test_verify_header_refuses(verifier: D1Verifier, value: str | None, reason: str) -> None:
    assert refused(lambda: verifier.verify_header(value)) == reason
    with pytest.raises(TokenError) as caught:
        await verifier.averify_header(value)
    assert caught.value.reason.value == reason


@pytest.mark.parametrize("value", [5, ["Bearer a"], object()])
@pytest.mark.anyio
async def test_verify_header_takes_no_other_type(verifier: D1Verifier, value: Any) -> None:
    with pytest.raises(TypeError, match="Authorization"):
        verifier.verify_header(value)
    with pytest.raises(TypeError, match="Authorization"):
        await verifier.averify_header(value)


@pytest.mark.anyio
async def test_warm_up_loads_once_and_refresh_every_time() -> None:
    store = ScriptedStore(key_set(KEY))
    verifier = make_verifier(store)
    assert verifier.health().state == "empty"
    verifier.warm_up()
    await verifier.awarm_up()
    assert (store.loads, verifier.health().state, verifier.health().kids) == (1, "fresh", (KEY.kid,))
    verifier.refresh()
    await verifier.arefresh()
    assert store.loads == 3


@pytest.mark.anyio
async def test_warm_up_and_refresh_say_when_there_are_no_keys() -> None:
    verifier = make_verifier(ScriptedStore(KeyStoreError("the disk is gone")))
    with pytest.raises(KeyStoreError, match="the disk is gone"):
        verifier.warm_up()
    with pytest.raises(KeyStoreError):
        await verifier.awarm_up()
    with pytest.raises(KeyStoreError):
        verifier.refresh()
    with pytest.raises(KeyStoreError):
        await verifier.arefresh()
    assert refused(lambda: verifier.verify(KEY.mint())) == "keys_unavailable"
    assert "disk" in str(verifier.health().last_error)


def test_refresh_withdraws_a_key_at_once_from_the_token_cache_too() -> None:
    store = ScriptedStore(key_set(KEY))
    verifier, token = make_verifier(store), KEY.mint()
    verifier.verify(token)
    store.answer = key_set(OTHER_KEY)
    verifier.refresh()
    assert refused(lambda: verifier.verify(token)) == "unknown_key"


def test_a_key_that_changed_under_its_kid_invalidates_what_it_signed() -> None:
    store = ScriptedStore(key_set(KEY))
    verifier, token = make_verifier(store), KEY.mint()
    verifier.verify(token)
    store.answer = KeySet({KEY.kid: OTHER_KEY.public})
    verifier.refresh()
    assert refused(lambda: verifier.verify(token)) == "bad_signature"


def test_a_reload_that_changes_nothing_invalidates_nothing() -> None:
    store, recorder = ScriptedStore(key_set(KEY)), Recorder()
    verifier, token = make_verifier(store, observer=recorder), KEY.mint()
    verifier.verify(token)
    store.answer = KeySet({KEY.kid: PublicKey.from_pem(KEY.pem)})
    verifier.refresh()
    verifier.verify(token)
    assert recorder.outcomes == [("ok", False), ("ok", True)]


@pytest.mark.parametrize(("size", "second"), [(1024, True), (1, True), (0, False)])
def test_the_token_cache_can_be_turned_off(size: int, *, second: bool) -> None:
    recorder = Recorder()
    verifier, token = make_verifier(observer=recorder, token_cache_size=size), KEY.mint()
    assert [verifier.verify(token).subject for _ in range(2)] == [SUBJECT] * 2
    assert recorder.outcomes == [("ok", False), ("ok", second)]


def test_str_and_bytes_share_the_cache_and_large_tokens_stay_out_of_it() -> None:
    recorder = Recorder()
    verifier, large = make_verifier(observer=recorder), KEY.mint(extra="x" * 2000)
    token = KEY.mint()
    for one in (token, token.encode(), large, large):
        verifier.verify(one)
    assert [cached for _, cached in recorder.outcomes] == [False, True, False, False]


@pytest.mark.anyio
async def test_a_task_whose_key_is_fresh_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = make_verifier()
    verifier.warm_up()
    monkeypatch.setattr(verifier._keys, "akey", lambda _kid: pytest.fail("asked"))
    assert (await verifier.averify(KEY.mint())).kid == KEY.kid


@pytest.mark.anyio
async def test_a_header_of_a_known_token_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier, header = make_verifier(), b"Bearer " + KEY.mint().encode()
    first = verifier.verify_header(header)
    monkeypatch.setattr(bearer, "token_from_header", lambda _value: pytest.fail("read again"))
    assert verifier.verify_header(header) is first
    assert await verifier.averify_header(header) is first


@pytest.mark.parametrize("value", [
    pytest.param(b"bearer %s", id="scheme in another case"),
    pytest.param(b"Bearer  %s", id="two spaces"),
    pytest.param(b"Bearer %s", id="as usual"),
])  # fmt: skip
def test_every_spelling_of_a_header_gives_the_token_that_is_known(value: bytes) -> None:
    verifier, token = make_verifier(), KEY.mint().encode()
    assert verifier.verify_header(value % token) is verifier.verify(token) is verifier.verify_header(value % token)


@pytest.mark.parametrize(
    "scheme", [b"Basic  ", b"DPoP   ", b"Bearer:", b"Bearer\t", b"Custom ", b"BearerX", b"       "]
)
def test_a_known_token_is_let_in_by_no_other_scheme(scheme: bytes) -> None:
    verifier, token = make_verifier(), KEY.mint().encode()
    verifier.verify_header(b"Bearer " + token)
    assert refused(lambda: verifier.verify_header(scheme + token)) == "missing_token"


def test_an_encoded_header_that_was_signed_before_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    verifier, first, second = make_verifier(clock=clock), KEY.mint(), KEY.mint(exp=NOW + 300)
    verifier.verify(first)
    monkeypatch.setattr(tokens, "read_key_id", lambda *_: pytest.fail("parsed again"))
    assert verifier.verify(second).kid == KEY.kid
    clock.advance(700)
    assert refused(lambda: verifier.verify(first)) == "expired"  # It was known, and is judged anew.


def test_a_known_token_whose_header_was_forgotten_is_judged_anew_all_the_same() -> None:
    clock = Clock()
    verifier, token = make_verifier(clock=clock), KEY.mint()
    verifier.verify(token)
    verifier._known_headers.clear()
    clock.advance(700)
    assert refused(lambda: verifier.verify(token)) == "expired"


def test_a_header_of_a_known_token_falls_with_its_key() -> None:
    store = ScriptedStore(key_set(KEY, OTHER_KEY))
    verifier, header = make_verifier(store), b"Bearer " + KEY.mint().encode()
    verifier.verify_header(header)
    store.answer = key_set(OTHER_KEY)
    verifier.refresh()
    assert refused(lambda: verifier.verify_header(header)) == "unknown_key"


@pytest.mark.parametrize("broken", ["NaN", None, OSError()], ids=["text", "None", "no number"])
def test_a_header_of_a_known_token_is_refused_while_the_clock_is_broken(broken: Any) -> None:
    clock = Clock()
    verifier, header = make_verifier(clock=clock), b"Bearer " + KEY.mint().encode()
    verifier.verify_header(header)
    clock.now = broken
    assert refused(lambda: verifier.verify_header(header)) == "malformed_token"


@pytest.mark.parametrize("broken", [None, "soon"])
@pytest.mark.parametrize("size", [0, 8])
def test_a_clock_that_breaks_later_refuses(broken: Any, size: int, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    verifier, token = make_verifier(clock=clock, token_cache_size=size), KEY.mint()
    verifier.verify(token)
    clock.now = broken
    assert refused(lambda: verifier.verify(token)) == "malformed_token"
    assert "refused a call: an unexpected TypeError" in caplog.messages


def test_a_cache_may_be_handed_over_and_shared() -> None:
    store = ScriptedStore(key_set(KEY))
    cache = KeyCache(store)
    first, second = make_verifier(), D1Verifier(cache, audience="stg", subject="other", clock=lambda: NOW)
    third = D1Verifier(cache, audience="stg", subject=SUBJECT, clock=lambda: NOW)
    assert first.health().state == "empty"
    assert refused(lambda: second.verify(KEY.mint())) == "wrong_subject"
    assert third.verify(KEY.mint()).subject == SUBJECT
    assert store.loads == 1


def test_a_verifier_is_a_header_verifier_and_cannot_be_pickled(verifier: D1Verifier) -> None:
    edge: HeaderVerifier = verifier
    assert callable(edge.averify_header)
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(verifier)


# Any sequence of calls, clock moves and key-set swaps: the cache never changes an answer.
TOKENS = [
    KEY.mint(), KEY.mint(exp=NOW + 5, nbf=NOW - 5), KEY.mint(exp=NOW + 900.5, iat=NOW + 20), KEY.mint(aud=["prd", "stg"]),
    OTHER_KEY.mint(), OTHER_KEY.mint({"kid": KEY.kid}), KEY.mint(sub="other"), KEY.mint(exp=NOW - 31), "x.y.z",
    KEY.mint(iat=NOW + 100), KEY.mint(exp=NOW + 880, iat=NOW - 9000, nbf=NOW - 9000),
]  # fmt: skip
KEY_SETS = [
    key_set(KEY), key_set(KEY, OTHER_KEY), key_set(OTHER_KEY), KeySet({KEY.kid: OTHER_KEY.public}, 100.0),
    KeySet({KEY.kid: PublicKey.from_jwk(KEY.jwk), "more": KEY.public}, 100.0),
]  # fmt: skip
MOVES = [0.0, 1.0, -1.0, 4.999, 29.5, 31.0, -40.0, 600.0, -600.0, 900.0, math.nan, math.inf, -math.inf]
ACTIONS = st.one_of(
    st.tuples(st.just("verify"), st.sampled_from(TOKENS)),
    st.tuples(st.just("verify"), st.sampled_from(TOKENS)),
    st.tuples(st.just("at"), st.sampled_from(MOVES)),
    st.tuples(st.just("keys"), st.sampled_from(KEY_SETS)),
)


def outcome(verify: Callable[[Any], D1Token], token: str | bytes) -> object:
    try:
        return verify(token).claims
    except (TokenError, KeyStoreError) as error:
        return error.reason, getattr(error, "kid", None), getattr(error, "signed", None)


@PROPERTY
@given(st.lists(ACTIONS, min_size=1, max_size=25))
def test_a_cached_verifier_answers_as_an_uncached_one(actions: list[tuple[str, Any]]) -> None:
    clock, timer, store = Clock(), Clock(0.0), ScriptedStore(KEY_SETS[0])
    cached, uncached = (
        make_verifier(KeyCache(store, timer=timer), clock=clock, token_cache_size=size) for size in (2, 0)
    )
    for action, value in actions:
        if action == "at":
            clock.now = NOW + value
        elif action == "keys":
            store.answer = value
            cached.refresh()
            uncached.refresh()
        else:
            timer.advance(0.1)
            header = b"Bearer " + value.encode()
            expected = outcome(uncached.verify, value)
            assert outcome(cached.verify_header, header) == outcome(cached.verify, value) == expected
            assert outcome(cached.verify_header, header) == outcome(uncached.verify_header, header) == expected


def test_static_keys_never_ask_again() -> None:
    verifier = make_verifier(StaticKeyStore({KEY.kid: KEY.jwk}))
    verifier.verify(KEY.mint())
    health = verifier.health()
    assert (health.state, health.withdrawal_bound) == ("immutable", math.inf)
    assert refused(lambda: verifier.verify(OTHER_KEY.mint())) == Reason.UNKNOWN_KEY


def test_remembers_a_bounded_number_of_headers() -> None:
    keys = [SigningKey(f"rotated-{n}") for n in range(3)]
    verifier = make_verifier(StaticKeyStore({key.kid: key.pem for key in keys}))
    headers = [keys[n % 3].header(n=n) for n in range(2 * HEADER_CACHE_SIZE)]
    for n, header in enumerate(headers):
        assert verifier.verify(keys[n % 3].sign(header, d1_claims())).kid == keys[n % 3].kid
        assert len(verifier._known_headers) <= 64


def test_a_subclass_that_overrides_verify_is_asked_each_time() -> None:
    class Once(D1Verifier):
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings)
            self.seen: set[str | bytes] = set()

        def verify(self, token: str | bytes) -> D1Token:
            verified = super().verify(token)
            if token in self.seen:
                raise TokenError(Reason.EXPIRED)
            self.seen.add(token)
            return verified

    verifier = Once(StaticKeyStore({KEY.kid: KEY.pem}), audience="stg", subject=SUBJECT, clock=lambda: NOW)
    header = b"Bearer " + KEY.mint().encode()
    assert verifier.verify_header(header).subject == SUBJECT
    assert refused(lambda: verifier.verify_header(header)) == "expired"
    assert refused(lambda: verifier.verify_header(header)) == "expired"


def test_the_policy_cannot_be_exchanged_since_remembered_tokens_were_judged_by_it(verifier: D1Verifier) -> None:
    with pytest.raises(AttributeError):
        verifier.policy = make_verifier(audience="prd").policy  # type: ignore[misc]

"""A healthy endpoint: who waits, how many fetches there are, and how soon a change takes effect."""

from __future__ import annotations

import pytest

from d1verify import D1Verifier, HTTPKeyStore, _loading

from ..support import KEY, NOW, OTHER_KEY, SUBJECT, Clock, SigningKey, refused
from .callers import KINDS, Watched, ask
from .certificates import trusting_context
from .measuring import LogOfKeys
from .servers import Endpoint

every_kind = pytest.mark.parametrize("kind", KINDS)


def watched_over(endpoint: Endpoint, clock: Clock, *keys: SigningKey) -> Watched:
    endpoint.keys = keys
    return Watched(HTTPKeyStore(endpoint.url, ssl_context=trusting_context()), timer=clock)


@every_kind
def test_first_load_is_waited_for_once_and_then_nobody_waits(
    endpoint: Endpoint, clock: Clock, key_log: LogOfKeys, kind: str
) -> None:
    cache = watched_over(endpoint, clock, KEY).cache
    assert ask(cache, KEY.kid, kind).key == KEY.public
    for _ in range(20):
        told = ask(cache, KEY.kid, kind)
        assert told.key == KEY.public
        assert told.at_once
    assert endpoint.statuses == [200]
    assert key_log.lines == [("INFO", f"keys loaded: 1 usable ({KEY.kid})")]


@every_kind
def test_an_ageing_set_is_renewed_in_the_background(endpoint: Endpoint, clock: Clock, kind: str) -> None:
    watched = watched_over(endpoint, clock, KEY)
    before = ask(watched.cache, KEY.kid, kind).key
    clock.advance(95)
    told = ask(watched.cache, KEY.kid, kind)
    assert told.key is before
    assert told.at_once
    watched.wait_for_loads()
    assert endpoint.statuses == [200, 304]
    assert watched.cache.health().age == 0
    # The 304 kept the set, and the very key objects, so verified tokens stay verified.
    assert ask(watched.cache, KEY.kid, kind).key is before


@every_kind
def test_a_rotation_is_seen_by_an_unknown_kid_within_one_fetch(
    endpoint: Endpoint, clock: Clock, key_log: LogOfKeys, kind: str
) -> None:
    watched = watched_over(endpoint, clock, KEY)
    ask(watched.cache, KEY.kid)
    endpoint.keys = (KEY, OTHER_KEY)
    assert ask(watched.cache, OTHER_KEY.kid, kind).key == OTHER_KEY.public
    assert endpoint.statuses == [200, 200]
    assert [line for _level, line in key_log.lines] == [
        f"keys loaded: 1 usable ({KEY.kid})",
        f"keys loaded: 2 usable ({KEY.kid}, {OTHER_KEY.kid})",
    ]


@every_kind
def test_a171_a_removed_key_is_refused_once_its_set_is_due(endpoint: Endpoint, clock: Clock, kind: str) -> None:
    watched = watched_over(endpoint, clock, KEY, OTHER_KEY)
    assert ask(watched.cache, KEY.kid, kind).outcome == "key"
    endpoint.keys = (OTHER_KEY,)
    clock.advance(endpoint.max_age or 0)
    assert watched.cache.health().withdrawal_bound == 100 + 2.0
    told = ask(watched.cache, KEY.kid, kind)
    assert told.outcome == "unknown_key"
    assert told.seconds < 2.0
    assert endpoint.statuses == [200, 200]


def test_a171_a271_a_removed_key_is_refused_though_its_token_was_verified_before(
    endpoint: Endpoint, clock: Clock
) -> None:
    watched = watched_over(endpoint, clock, KEY, OTHER_KEY)
    verifier = D1Verifier(watched.cache, audience="stg", subject=SUBJECT, clock=lambda: NOW)
    token = KEY.mint()
    assert verifier.verify(token) is verifier.verify(token)
    endpoint.keys = (OTHER_KEY,)
    clock.advance(100)
    assert refused(lambda: verifier.verify(token)) == "unknown_key"


@every_kind
def test_an_empty_answer_changes_nothing_once_and_revokes_everything_when_confirmed(
    endpoint: Endpoint, clock: Clock, key_log: LogOfKeys, kind: str
) -> None:
    watched = watched_over(endpoint, clock, KEY)
    ask(watched.cache, KEY.kid, kind)
    endpoint.keys = ()
    clock.advance(95)
    for loads in (2, 3):  # Two background looks, a second apart; the set is ageing and still counts.
        told = ask(watched.cache, KEY.kid, kind)
        assert (told.outcome, told.at_once) == ("key", True)
        watched.wait_for_loads()
        assert watched.loads == loads
        clock.advance(1)
    told = ask(watched.cache, KEY.kid, kind)
    assert (told.outcome, told.at_once) == ("keys_unavailable", True)
    assert watched.cache.health().state == "revoked"
    # Withdrawing every key took two full answers: nothing was asked with the empty one's tag.
    assert endpoint.statuses == [200, 200, 200]

    endpoint.keys = (KEY,)
    clock.advance(told.retry_after)
    assert ask(watched.cache, KEY.kid, kind).outcome == "keys_unavailable"  # It starts the load, and does not wait.
    watched.wait_for_loads()
    assert ask(watched.cache, KEY.kid, kind).key == KEY.public
    assert [level for level, _line in key_log.lines] == ["INFO", "WARNING", "ERROR", "INFO"]


@every_kind
def test_an_empty_answer_to_a_request_that_waits_is_confirmed_before_it_is_answered(
    endpoint: Endpoint, clock: Clock, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(_loading, "pause", clock.advance)
    watched = watched_over(endpoint, clock, KEY)
    ask(watched.cache, KEY.kid, kind)
    endpoint.keys = ()
    clock.advance(100)
    told = ask(watched.cache, KEY.kid, kind)
    assert told.outcome == "keys_unavailable"
    assert told.seconds < 2.0
    assert watched.cache.health().state == "revoked"
    assert endpoint.statuses == [200, 200, 200]


def test_a_passing_empty_answer_leaves_no_trace(
    endpoint: Endpoint, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(seconds: float) -> None:
        clock.advance(seconds)
        endpoint.keys = (KEY,)

    monkeypatch.setattr(_loading, "pause", meanwhile)
    watched = watched_over(endpoint, clock, KEY)
    before = ask(watched.cache, KEY.kid).key
    endpoint.keys = ()
    clock.advance(100)
    assert ask(watched.cache, KEY.kid).key is before
    assert endpoint.statuses == [200, 200, 200]
    assert watched.cache.health().last_error is None
    assert watched.cache.health().state == "fresh"


def test_the_servers_lifetime_is_what_the_set_lives_by(endpoint: Endpoint, clock: Clock) -> None:
    endpoint.max_age = 250
    watched = watched_over(endpoint, clock, KEY)
    ask(watched.cache, KEY.kid)
    clock.advance(249)
    assert watched.cache.health().state == "ageing"
    clock.advance(1)
    assert watched.cache.health().state == "due"


def test_warm_up_and_refresh_load_as_requests_do(endpoint: Endpoint, clock: Clock) -> None:
    watched = watched_over(endpoint, clock, KEY)
    watched.cache.warm_up()
    watched.cache.warm_up()
    assert endpoint.statuses == [200]
    endpoint.keys = (OTHER_KEY,)
    watched.cache.refresh()
    assert endpoint.statuses == [200, 200]
    assert ask(watched.cache, KEY.kid).outcome == "unknown_key"

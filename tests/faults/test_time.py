"""Time on its own: a source that flaps for an hour, and a wall clock that leaps by a day."""

from __future__ import annotations

import itertools

import pytest

from d1verify import D1Verifier, HTTPKeyStore

from ..support import KEY, NOW, OTHER_KEY, SUBJECT, Clock, refused
from .callers import Watched, ask
from .certificates import trusting_context
from .measuring import LogOfKeys
from .servers import Endpoint


def test_flapping_for_an_hour_refuses_nobody_and_loads_no_more_than_it_should(
    endpoint: Endpoint, key_log: LogOfKeys
) -> None:
    clock = Clock(0.0)
    endpoint.keys, endpoint.max_age = (KEY, OTHER_KEY), 60
    endpoint.failing = lambda count: count % 2 == 0
    watched = Watched(HTTPKeyStore(endpoint.url, ssl_context=trusting_context()), timer=clock)
    withdrawn_at, refused_from = 1800, 0
    for second in range(3600):
        clock.now = float(second)
        if second == withdrawn_at:
            endpoint.keys = (KEY,)
        told = ask(watched.cache, KEY.kid)
        assert told.outcome == "key"
        assert told.at_once or second == 0
        if second % 10 == 0 and not refused_from:
            outcome = ask(watched.cache, OTHER_KEY.kid).outcome
            assert (outcome == "key") or second > withdrawn_at
            refused_from = second if outcome != "key" else 0
        watched.wait_for_loads()
    # A set is renewed after 42 to 54 s, and each time the first attempt fails and the second one, a second later, does
    # not: a pair of loads in 43 to 56 s.
    assert 2 * 3600 / 57 < watched.loads <= 2 * 3600 / 43 + 2
    assert withdrawn_at < refused_from <= withdrawn_at + 60 + 2 + 10
    changes = [level for level, _line in key_log.lines]
    assert "ERROR" not in changes
    assert all(one != other for one, other in itertools.pairwise(changes))


@pytest.mark.parametrize("step", [86_400, -86_400], ids=["a day ahead", "a day back"])
def test_a_leap_of_the_wall_clock_moves_tokens_and_not_keys(endpoint: Endpoint, step: int) -> None:
    wall, timer = Clock(NOW), Clock(0.0)
    endpoint.keys = (KEY,)
    watched = Watched(HTTPKeyStore(endpoint.url, ssl_context=trusting_context()), timer=timer)
    verifier = D1Verifier(watched.cache, audience="stg", subject=SUBJECT, clock=wall)
    token = KEY.mint()
    assert verifier.verify(token).kid == KEY.kid
    wall.advance(step)
    assert refused(lambda: verifier.verify(token)) == ("expired" if step > 0 else "lifetime_too_long")
    assert verifier.verify(KEY.mint(exp=NOW + step + 600)).kid == KEY.kid
    assert verifier.health().state == "fresh"
    wall.advance(-step)
    assert verifier.verify(token).kid == KEY.kid
    assert endpoint.statuses == [200]

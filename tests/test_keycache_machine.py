"""The key cache against a model that is simple: loads that succeed, fail, hang and come late, sets that change.

Nothing sleeps and no thread runs. The model knows nothing of phases: it keeps what the loads
brought, in which order they were started, and what the source held when.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from d1verify import KeySet, KeyStoreError

from .loads import DOWN, HandLoads
from .support import KEY, OTHER_KEY

MAX_AGE, MAX_STALE, GATE = 50.0, 200.0, 10.0  # A fifth of max_age is less than the cooldown of 30 s.
LIMIT, MAX_WAIT, LOAD_TIMEOUT = MAX_AGE + MAX_STALE, 2.0, 10.0
CONFIRMATION = 1.0
PUBLIC = {KEY.kid: KEY.public, OTHER_KEY.kid: OTHER_KEY.public}
JUNK = "junk"

kids = st.sampled_from([*PUBLIC, JUNK])
contents = st.sampled_from([frozenset(PUBLIC), frozenset({KEY.kid}), frozenset({OTHER_KEY.kid}), frozenset[str]()])
# Binary fractions, so that sums of them are exact and a bound is a bound.
ticks = st.sampled_from(
    [0.0, 0.25, 0.9375, 1.0, 1.875, 2.125, 5.0, 9.875, 10.0, 11.0, 24.0, 45.0, 50.0, 120.0, 250.0, 1000.0]
)
endings = st.sampled_from(["gives", "gives what it saw at first", "fails", "raises"])
# What happens while somebody waits: nothing, or the newest load ends after so many seconds.
arrivals = st.one_of(st.none(), st.tuples(st.sampled_from([0.0, 0.25, 1.5, 1.9375, 6.0]), endings))
Arrival = tuple[float, str] | None


@dataclass(eq=False)
class Load:
    number: int
    started_at: float
    saw: frozenset[str]


def set_of(content: frozenset[str]) -> KeySet:
    return KeySet({kid: PUBLIC[kid] for kid in content}, MAX_AGE, MAX_STALE)


class Model:
    """What must be true of the keys, from what the loads brought."""

    def __init__(self) -> None:
        self.held: frozenset[str] = frozenset()
        self.held_since = -math.inf  # When the load was started that brought them.
        self.applied = 0
        self.revoked = False
        self.first_seen_empty: float | None = None
        self.failures = 0
        self.rested_from = -math.inf  # No load that nobody asked for is started before.
        self.failed_at = -math.inf
        self.missed_at = -math.inf
        self.healthy_since = math.inf

    def usable(self, now: float) -> bool:
        return self.applied > 0 and not self.revoked and now - self.held_since < LIMIT

    def current(self, now: float) -> bool:
        return self.usable(now) and now - self.held_since < MAX_AGE

    def brought(self, load: Load, content: frozenset[str], now: float) -> None:
        if now - load.started_at > MAX_WAIT:
            self.healthy_since = math.inf
        if load.number <= self.applied:
            return
        if not content and not self._confirms(load):
            return
        self.held, self.held_since, self.applied = content, load.started_at, load.number
        self.revoked, self.failures, self.rested_from = not content, 0, -math.inf
        if content:
            self.first_seen_empty = None
        self.healthy_since = min(self.healthy_since, now)

    def _confirms(self, load: Load) -> bool:
        if self.first_seen_empty is None:
            self.first_seen_empty = load.started_at
        # The source has answered, whatever failed before: the second look need not wait for a back-off.
        self.rested_from = self.first_seen_empty + CONFIRMATION
        return abs(load.started_at - self.first_seen_empty) >= CONFIRMATION

    def failed(self, when: float) -> None:
        self.failures += 1
        self.failed_at = when
        self.rested_from = when + 0.75 * min(30.0, 2.0 ** (self.failures - 1))
        self.healthy_since = math.inf


class KeyCacheMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.patches = pytest.MonkeyPatch()
        self.hand = HandLoads(self.patches)
        self.patches.setattr("d1verify._loading.start_thread", self.start)
        self.patches.setattr("d1verify._loading.pause", self.pause)
        self.looked_again = False
        self.model = Model()
        self.source = frozenset(PUBLIC)
        self.withdrawn_at: dict[str, float] = {}
        self.loads: list[Load] = []  # Those in the air, in the order of their start.
        self.current: Load | None = None
        self.starts = 0

    def teardown(self) -> None:
        self.patches.undo()

    @property
    def now(self) -> float:
        return self.hand.clock()

    # what the world does

    def start(self, run: Callable[[], None]) -> None:
        assert self.current is None, "two loads at once"
        self.starts += 1
        self.current = Load(self.starts, self.now, self.source)
        self.loads.append(self.current)
        self.hand.in_the_air.append(run)

    def give_up_what_takes_too_long(self) -> None:
        if self.current is not None and self.now >= self.current.started_at + LOAD_TIMEOUT:
            self.model.failed(self.current.started_at + LOAD_TIMEOUT)
            self.current = None

    def pause(self, seconds: float) -> None:
        """A load that found the source empty takes its second look."""
        self.looked_again = True
        self.hand.clock.advance(seconds)
        self.hand.answer = set_of(self.source)

    def end(self, index: int, ending: str) -> None:
        load = self.loads.pop(index)
        self.looked_again = False
        content = self.source if ending == "gives" else load.saw
        was_current, ended_at = load is self.current, self.now
        if was_current:
            self.current = None
        if ending.startswith("gives"):
            self.hand.finish(set_of(content), index)
            self.model.brought(load, content, ended_at)
        else:
            self.hand.finish(DOWN if ending == "fails" else SystemExit("odd"), index)
            if was_current:
                self.model.failed(self.now)
        if self.looked_again:
            load.started_at = self.now
            self.model.brought(load, self.source, self.now)

    def expect(self, arrival: Arrival) -> None:
        """Lay down what happens if somebody waits."""

        def wait(seconds: float) -> None:
            # A load that finds the source empty may look again a second later, and then ends too late.
            soon = arrival is not None and arrival[0] + (0.0 if self.source else CONFIRMATION) < seconds
            if arrival is not None and soon and self.loads:
                self.hand.clock.advance(arrival[0])
                self.end(-1, arrival[1])
            else:
                self.hand.clock.advance(seconds)
            self.give_up_what_takes_too_long()

        self.hand.while_waiting = wait
        self.hand.waits.clear()

    # rules

    @initialize(content=contents, seed=st.integers(0, 2**16))
    def begin(self, content: frozenset[str], seed: int) -> None:
        self.patches.setattr("d1verify._keyloader._RANDOM", random.Random(seed))  # so that a failure comes again
        self.publish(content)

    @rule(seconds=ticks)
    def tick(self, seconds: float) -> None:
        self.hand.clock.advance(seconds)

    @rule(content=contents)
    def publish(self, content: frozenset[str]) -> None:
        for kid in PUBLIC:
            if kid in content:
                self.withdrawn_at.pop(kid, None)
            else:
                self.withdrawn_at.setdefault(kid, self.now)
        self.source = content

    @precondition(lambda self: self.loads)
    @rule(data=st.data(), ending=endings)
    def a_load_ends(self, data: st.DataObject, ending: str) -> None:
        index = data.draw(st.integers(0, len(self.loads) - 1))
        self.give_up_what_takes_too_long()
        self.hand.cache.health()
        self.end(index, ending)

    @rule(arrival=arrivals)
    def refresh(self, arrival: Arrival) -> None:
        self.give_up_what_takes_too_long()
        if self.current is not None:
            self.model.healthy_since = math.inf  # It may be the fifth in the air, and then none starts.
        self.current = None
        self.expect(arrival)
        starts = self.starts
        try:
            self.hand.cache.refresh()
        except KeyStoreError:
            assert self.model.applied <= starts
        else:
            assert self.model.applied > starts
            assert self.starts == starts + 1

    @rule(arrival=arrivals)
    def warm_up(self, arrival: Arrival) -> None:
        self.give_up_what_takes_too_long()
        usable, starts = self.model.usable(self.now), self.starts
        self.expect(arrival)
        try:
            self.hand.cache.warm_up()
        except KeyStoreError:
            assert not self.model.usable(self.now)
        else:
            assert self.model.usable(self.now)
        assert self.starts == starts or not usable
        assert sum(self.hand.waits) <= (0 if usable else LOAD_TIMEOUT)

    @rule(kid=kids, arrival=arrivals)
    def ask(self, kid: str, arrival: Arrival) -> None:
        self.give_up_what_takes_too_long()
        asked_at, starts, model = self.now, self.starts, self.model
        usable, current, held = model.usable(asked_at), model.current(asked_at), model.held
        may_start_from = model.rested_from
        gate_opens_at = max(model.missed_at, model.failed_at) + GATE
        self.expect(arrival)
        answer = self.answer_for(kid)
        started = self.starts - starts
        assert started <= 1
        if started and usable:
            # Unknown kids cause one load per gate; without them a load waits for the back-off.
            assert asked_at >= (gate_opens_at if kid not in held and current else may_start_from)
            if kid not in held:
                model.missed_at = asked_at
        self.check_waits(usable=usable, first=starts == 0 or self.loads_of_first_only(starts))
        if current and kid in held:
            assert answer == "accepted"
            assert self.hand.waits == []

    def loads_of_first_only(self, starts: int) -> bool:
        return starts == 1 and self.model.applied <= 1

    def answer_for(self, kid: str) -> str:
        answer = self.hand.ask(kid)
        if answer == "unknown_key":
            # Never "no" from a set that has the key, and never from one that is past max_age.
            assert kid not in self.model.held
            assert self.model.current(self.now)
        elif answer == "keys_unavailable":
            assert not (self.model.usable(self.now) and kid in self.model.held) or self.may_be_withheld()
        else:
            assert answer is PUBLIC[kid]
            self.check_accepted(kid)
        return answer if isinstance(answer, str) else "accepted"

    def may_be_withheld(self) -> bool:
        """Past max_age, with the source last seen empty: whether the old set says yes is nobody's promise."""
        return self.model.first_seen_empty is not None and not self.model.current(self.now)

    def check_accepted(self, kid: str) -> None:
        assert kid in self.model.held
        assert self.model.usable(self.now)
        if kid not in self.source:
            withdrawn_at = self.withdrawn_at[kid]
            assert self.now < withdrawn_at + LIMIT
            if self.source_is_healthy_since(withdrawn_at):
                assert self.now <= withdrawn_at + MAX_AGE + MAX_WAIT

    def source_is_healthy_since(self, moment: float) -> bool:
        in_time = all(self.now - load.started_at < MAX_WAIT for load in self.loads)
        return self.model.healthy_since <= moment and in_time

    def check_waits(self, *, usable: bool, first: bool) -> None:
        assert len(self.hand.waits) <= 1
        assert all(seconds > 0 for seconds in self.hand.waits)  # Nobody waits for a load that is old.
        longest = LOAD_TIMEOUT if first and not usable else MAX_WAIT
        assert sum(self.hand.waits) <= longest

    # what always holds

    @invariant()
    def at_most_four_loads_are_in_the_air(self) -> None:
        assert len(self.loads) <= 4

    @invariant()
    def health_tells_what_the_model_knows(self) -> None:
        self.give_up_what_takes_too_long()
        health = self.hand.cache.health()
        assert (health.state == "revoked") == self.model.revoked
        assert (health.state in ("revoked", "empty")) != self.model.usable(self.now)
        assert (health.state in ("fresh", "ageing")) == self.model.current(self.now)
        assert set(health.kids) == (self.model.held if self.model.usable(self.now) else frozenset())
        assert (health.withdrawal_bound is not None) == self.model.usable(self.now)
        assert health.next_attempt is None or health.next_attempt >= 0


KeyCacheMachine.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestKeyCache = KeyCacheMachine.TestCase

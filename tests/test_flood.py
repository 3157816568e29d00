"""A flood of refusals: the first ones in full, then a count per reason every ten seconds, and no count lost (A221)."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from d1verify import D1Verifier, KeyStoreError, Reason, TokenError, _flood
from d1verify._flood import BURST, WINDOW_SECONDS, tell_counts
from d1verify._refusal_log import FailureLog, RefusalLog, TokenRequestLog
from d1verify.observer import Observers

from .loads import HandLoads
from .support import KEY, OTHER_KEY, Clock, key_set, make_verifier, refused

BAD_SIGNATURE = TokenError(Reason.BAD_SIGNATURE, kid="k")
EXPIRED = TokenError(Reason.EXPIRED, kid="k", signed=True)


@pytest.fixture(autouse=True)
def _no_counts_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_flood, "_untold", set())


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="d1verify")
    return caplog


@pytest.fixture
def refusal_log(clock: Clock) -> RefusalLog:
    return RefusalLog(clock)


def lines(log: pytest.LogCaptureFixture) -> list[str]:
    """Return what was written since this was last asked."""
    messages = [f"{record.levelname}: {record.getMessage()}" for record in log.records]
    log.clear()
    return messages


def times(count: int, refusal_log: RefusalLog, error: TokenError | KeyStoreError = BAD_SIGNATURE) -> None:
    for _call in range(count):
        refusal_log.write(error)


ONE = "DEBUG: refused a call: bad_signature (kid k)"


def test_writes_the_first_of_each_reason_at_once_and_in_full(
    refusal_log: RefusalLog, log: pytest.LogCaptureFixture
) -> None:
    times(1000, refusal_log)
    times(3, refusal_log, EXPIRED)
    times(1, refusal_log, KeyStoreError("down"))
    assert lines(log) == [
        *[ONE] * BURST,
        *["WARNING: refused a call: expired (kid k)"] * 3,
        "DEBUG: refused a call: keys_unavailable (kid -)",
    ]


def test_writes_a_count_per_reason_every_ten_seconds_while_the_flood_goes_on(
    refusal_log: RefusalLog, log: pytest.LogCaptureFixture, clock: Clock
) -> None:
    written = []
    for _second in range(60):
        times(100, refusal_log)
        clock.advance(1)
        written += lines(log)
    assert written[:BURST] == [ONE] * BURST
    assert written[BURST:] == [
        f"DEBUG: refused {1000 - BURST} more calls: bad_signature (in 10 s)",
        *["DEBUG: refused 1,000 more calls: bad_signature (in 10 s)"] * 4,
    ]


def test_every_refusal_is_in_some_record(refusal_log: RefusalLog, log: pytest.LogCaptureFixture, clock: Clock) -> None:
    for calls in (1, 500, 0, 7, 11, 0, 0, 10, 12, 3):
        times(calls, refusal_log)
        clock.advance(7)
    clock.advance(100)
    tell_counts()
    assert sum(record.__dict__["d1_count"] for record in log.records) == 544


def test_writes_each_one_again_when_the_flood_has_passed(
    refusal_log: RefusalLog, log: pytest.LogCaptureFixture, clock: Clock
) -> None:
    times(100, refusal_log)
    clock.advance(WINDOW_SECONDS)
    times(2, refusal_log)  # too few for a flood; but that shows only when the ten seconds are over
    clock.advance(WINDOW_SECONDS)
    lines(log)
    times(2, refusal_log)
    assert lines(log) == ["DEBUG: refused 2 more calls: bad_signature (in 10 s)", ONE, ONE]


def test_a_quiet_spell_ends_a_flood(refusal_log: RefusalLog, log: pytest.LogCaptureFixture, clock: Clock) -> None:
    times(100, refusal_log)
    clock.advance(2 * WINDOW_SECONDS)
    lines(log)
    times(1, refusal_log)
    assert lines(log)[-1] == ONE


def test_what_comes_slowly_is_never_counted(
    refusal_log: RefusalLog, log: pytest.LogCaptureFixture, clock: Clock
) -> None:
    for _call in range(200):
        times(1, refusal_log)
        clock.advance(1)
    assert lines(log) == [ONE] * 200


def test_a_count_comes_out_with_the_next_refusal_of_any_kind(
    refusal_log: RefusalLog, log: pytest.LogCaptureFixture, clock: Clock
) -> None:
    times(1244, refusal_log)
    lines(log)
    clock.advance(180)
    times(1, refusal_log, EXPIRED)
    fields = vars(log.records[0])
    assert lines(log) == [
        "DEBUG: refused 1,234 more calls: bad_signature (in 10 s, 170 s ago)",
        "WARNING: refused a call: expired (kid k)",
    ]
    assert {name: value for name, value in fields.items() if name.startswith("d1_")} == {
        "d1_event": "calls_refused",
        "d1_reason": "bad_signature",
        "d1_signed": False,
        "d1_count": 1234,
        "d1_seconds": 10.0,
        "d1_seconds_ago": 170.0,
    }


def test_no_count_is_told_twice_or_before_its_time(
    refusal_log: RefusalLog, log: pytest.LogCaptureFixture, clock: Clock
) -> None:
    times(20, refusal_log)
    times(20, refusal_log, EXPIRED)
    lines(log)
    clock.advance(WINDOW_SECONDS - 0.001)
    tell_counts()
    assert lines(log) == []
    clock.advance(0.001)
    tell_counts()
    assert lines(log) == [
        "DEBUG: refused 10 more calls: bad_signature (in 10 s)",
        "WARNING: refused 10 more calls: expired (in 10 s)",
    ]
    clock.advance(1000)
    tell_counts()
    assert lines(log) == []
    assert not _flood._untold


def test_of_two_counts_the_later_one_waits_for_its_own_time(
    refusal_log: RefusalLog, log: pytest.LogCaptureFixture, clock: Clock
) -> None:
    times(20, refusal_log)
    clock.advance(6)
    times(20, refusal_log, EXPIRED)
    lines(log)
    clock.advance(4)
    tell_counts()
    assert lines(log) == ["DEBUG: refused 10 more calls: bad_signature (in 10 s)"]
    clock.advance(6)
    tell_counts()
    assert lines(log) == ["WARNING: refused 10 more calls: expired (in 10 s)"]


LETS_IT_OUT: dict[str, Callable[[HandLoads], object]] = {
    "a look at the health": lambda hand: hand.cache.health(),
    "the end of a load": lambda hand: hand.finish(key_set(KEY)),
    "an accepted call that looks for newer keys": lambda hand: hand.ask(KEY.kid),
}


@pytest.mark.parametrize("happens", LETS_IT_OUT.values(), ids=LETS_IT_OUT.keys())
def test_a_count_comes_out_with(
    happens: Callable[[HandLoads], object],
    monkeypatch: pytest.MonkeyPatch,
    refusal_log: RefusalLog,
    clock: Clock,
    log: pytest.LogCaptureFixture,
) -> None:
    hand = HandLoads(monkeypatch).holding(key_set(KEY))
    hand.clock.advance(95)  # Ageing: the next call starts a load and does not wait for it.
    hand.ask(KEY.kid)
    times(20, refusal_log)
    lines(log)
    clock.advance(WINDOW_SECONDS)
    happens(hand)
    assert lines(log) == ["DEBUG: refused 10 more calls: bad_signature (in 10 s)"]


def test_a_count_outlives_its_verifier(log: pytest.LogCaptureFixture, clock: Clock) -> None:
    times(20, RefusalLog(clock))
    gc.collect()
    lines(log)
    clock.advance(WINDOW_SECONDS)
    tell_counts()
    assert lines(log) == ["DEBUG: refused 10 more calls: bad_signature (in 10 s)"]


AT_EXIT = """
import logging
logging.basicConfig(level=logging.DEBUG, format="%(message)s")
from d1verify import Reason, TokenError
from d1verify._refusal_log import RefusalLog
refusal_log = RefusalLog(lambda: 5.0)
for _ in range(1244):
    refusal_log.write(TokenError(Reason.BAD_SIGNATURE))
"""


def test_the_last_count_comes_out_when_the_interpreter_ends() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, text=True, check=True, env=environ)
    assert done.stderr.splitlines()[-1] == "refused 1,234 more calls: bad_signature (in 0 s)"


def test_all_there_is_can_be_told_before_its_time(
    refusal_log: RefusalLog, log: pytest.LogCaptureFixture, clock: Clock
) -> None:
    times(20, refusal_log)
    lines(log)
    clock.advance(3)
    _flood.tell_all_counts()
    assert lines(log) == ["DEBUG: refused 10 more calls: bad_signature (in 3 s)"]
    _flood.tell_all_counts()
    assert lines(log) == []


def test_nothing_is_counted_at_a_level_that_nobody_listens_to(
    refusal_log: RefusalLog, log: pytest.LogCaptureFixture, clock: Clock
) -> None:
    log.set_level(logging.INFO, logger="d1verify")
    times(1000, refusal_log)
    clock.advance(WINDOW_SECONDS)
    log.set_level(logging.DEBUG, logger="d1verify")
    times(1, refusal_log)
    assert lines(log) == [ONE]


def test_signed_and_unsigned_refusals_of_one_reason_are_counted_apart(
    refusal_log: RefusalLog, log: pytest.LogCaptureFixture
) -> None:
    times(50, refusal_log, TokenError(Reason.MALFORMED_TOKEN))
    times(1, refusal_log, TokenError(Reason.MALFORMED_TOKEN, kid="k", signed=True))
    assert lines(log)[-1] == "WARNING: refused a call: malformed_token (kid k)"


def test_a_kid_that_changes_from_call_to_call_opens_no_new_count(
    refusal_log: RefusalLog, log: pytest.LogCaptureFixture
) -> None:
    for number in range(1000):
        refusal_log.write(TokenError(Reason.UNKNOWN_KEY, kid=f"k{number}"))
    assert len(lines(log)) == BURST


def test_each_verifier_counts_for_itself(log: pytest.LogCaptureFixture) -> None:
    busy, quiet, foreign = make_verifier(), make_verifier(), OTHER_KEY.mint()
    quiet.warm_up()
    for _call in range(50):
        refused(lambda: busy.verify(foreign))
    lines(log)
    refused(lambda: busy.verify(foreign))
    refused(lambda: quiet.verify(foreign))
    assert lines(log) == ["DEBUG: refused a call: unknown_key (kid d1-key-2)"]


def test_a_child_does_not_tell_what_its_parent_counted(
    refusal_log: RefusalLog, log: pytest.LogCaptureFixture, clock: Clock
) -> None:
    times(50, refusal_log)
    refusal_log._flood.renew()  # As in a forked child; see test_fork.
    lines(log)
    clock.advance(WINDOW_SECONDS)
    tell_counts()
    assert lines(log) == []
    times(1, refusal_log)
    assert lines(log) == [ONE]


def test_a_child_renews_its_counts_and_locks(refusal_log: RefusalLog, log: pytest.LogCaptureFixture) -> None:
    times(50, refusal_log)
    assert (len(refusal_log._flood._windows), len(_flood._untold)) == (1, 1)
    reading, writing = os.pipe()
    before = refusal_log._flood._lock
    with before:
        child = os.fork()
        if child == 0:  # pragma: no cover - it runs in the child, which nobody measures
            free = refusal_log._flood._lock is not before
            os.write(writing, f"{free} {len(refusal_log._flood._windows)} {len(_flood._untold)}".encode())
            os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        assert pipe.read() == "True 0 0"
    os.waitpid(child, 0)


def test_a_log_handler_may_itself_be_refused(
    refusal_log: RefusalLog, log: pytest.LogCaptureFixture, clock: Clock
) -> None:
    class Calling(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "kid k" in record.getMessage():
                refusal_log.write(EXPIRED if record.levelno == logging.DEBUG else KeyStoreError("down"))

    logger, handler = logging.getLogger("d1verify"), Calling()
    logger.addHandler(handler)
    try:
        times(1, refusal_log)
    finally:
        logger.removeHandler(handler)
    assert len(lines(log)) == 3


def test_threads_lose_no_refusal(refusal_log: RefusalLog, log: pytest.LogCaptureFixture, clock: Clock) -> None:
    threads = [threading.Thread(target=times, args=(2000, refusal_log)) for _thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.advance(WINDOW_SECONDS)
    tell_counts()
    assert lines(log) == [*[ONE] * BURST, f"DEBUG: refused {8000 - BURST:,} more calls: bad_signature (in 10 s)"]


def test_a_failure_inside_does_not_fill_the_log_either(log: pytest.LogCaptureFixture, clock: Clock) -> None:
    failures = FailureLog(clock)
    for _call in range(100):
        failures.write("nothing works: %s", "NoSuchError")
    assert lines(log) == ["ERROR: nothing works: NoSuchError"] * BURST
    clock.advance(WINDOW_SECONDS)
    tell_counts()
    assert lines(log) == [f"ERROR: nothing works: NoSuchError, {100 - BURST} times more (in 10 s)"]


def test_a_hook_that_fails_at_each_call_does_not_fill_the_log_either(log: pytest.LogCaptureFixture) -> None:
    class Broken:
        def notify(self, _event: object) -> None:
            raise RuntimeError

    for observer in (Broken(), Observers(Broken())):
        verifier = make_verifier(observer=observer)
        for _call in range(100):
            refused(lambda: verifier.verify("x"))  # noqa: B023 - called at once
        assert lines(log).count("ERROR: an observer failed: RuntimeError") == BURST


def test_a_flood_through_a_verifier_is_small(log: pytest.LogCaptureFixture, verifier: D1Verifier) -> None:
    for number in range(2000):
        refused(lambda: verifier.verify(f"garbage-{number}"))  # noqa: B023 - called at once
    assert len([line for line in lines(log) if "malformed_token" in line]) <= 2 * BURST


def test_a_flood_of_token_requests_is_counted_by_the_code_of_its_answer(
    log: pytest.LogCaptureFixture, clock: Clock
) -> None:
    requests = TokenRequestLog(clock)
    for _request in range(BURST + 5):
        requests.write("invalid_client")
    requests.write("invalid_grant")
    assert log.messages == ["refused a token request: invalid_client"] * BURST + [
        "refused a token request: invalid_grant"
    ]
    log.clear()
    clock.advance(WINDOW_SECONDS)
    tell_counts()
    assert log.messages == ["refused 5 more token requests: invalid_client (in 10 s)"]
    told = vars(log.records[0])
    assert (told["d1_event"], told["d1_error"], told["d1_count"]) == ("token_requests_refused", "invalid_client", 5)


def test_token_requests_are_not_counted_where_nobody_listens(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    caplog.set_level(logging.INFO, logger="d1verify")
    requests = TokenRequestLog(clock)
    for _request in range(BURST + 5):
        requests.write("invalid_client")
    assert _flood._untold == set()
    assert caplog.records == []

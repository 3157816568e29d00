"""The README's runbook, "Rotate keys", carried out for each store: no valid call refused, the old key refused in time."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from d1verify import D1Verifier, FileKeyStore, KeyCache, KeyStoreError, TokenError, _loading
from d1verify.asgi import health_endpoint
from d1verify.keystores import file

from ..support import SUBJECT, Clock, SigningKey, refused
from .deployments import DEPLOYMENTS, Deployment, Restarted
from .readme import STEPS_OF_THE_README, WAITS_OF_THE_README
from .runbook import STEPS, Runbook

RELOADING = [name for name, kind in DEPLOYMENTS.items() if not issubclass(kind, Restarted)]
# The command cannot look into these.
IN_CODE = {DEPLOYMENTS["own store"], DEPLOYMENTS["static"]}
OLD, NEW = SigningKey("d1-2026"), SigningKey("d1-2027")


@pytest.fixture(params=DEPLOYMENTS)
def deployment(
    request: pytest.FixtureRequest, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployment]:
    """Two processes that trust the old key. Their loads take place at once, so that time is the test's alone."""
    monkeypatch.setattr(_loading, "start_thread", lambda run: run())
    monkeypatch.setattr(_loading, "pause", clock.advance)
    deployment = DEPLOYMENTS[request.param](clock, tmp_path, (OLD,))
    yield deployment
    deployment.close()


def test_steps_carried_out_here_are_those_of_the_readme() -> None:
    assert list(STEPS) == STEPS_OF_THE_README


def test_stores_rotated_here_are_those_of_the_readme() -> None:
    assert {kind.row for kind in DEPLOYMENTS.values()} == WAITS_OF_THE_README.keys()


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_runbook_refuses_no_valid_call_and_the_withdrawn_key_in_time(deployment: Deployment, busy: object) -> None:
    runbook = Runbook(deployment, OLD, NEW, busy=bool(busy))
    runbook.carry_out(STEPS)
    assert runbook.accepted > (500 if busy else 10)


# Where keys are read once the restart is the wait, and cannot be left out.
@pytest.mark.parametrize("deployment", RELOADING, indirect=True)
@pytest.mark.parametrize("left_out", ["Wait", "Let the old tokens expire", "Withdraw"])
def test_step_left_out_is_noticed(deployment: Deployment, left_out: str) -> None:
    runbook = Runbook(deployment, OLD, NEW, busy=True)
    with pytest.raises((AssertionError, TokenError)):
        runbook.carry_out(name for name in STEPS if name != left_out)


def test_keys_are_seen_where_the_runbook_says_to_look(deployment: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    runbook = Runbook(deployment, OLD, NEW, busy=True)
    with caplog.at_level(logging.INFO, "d1verify"):
        runbook.publish()
        runbook.wait()
        assert_seen(deployment, caplog.messages, OLD, NEW)
        runbook.switch()
        runbook.let_old_tokens_expire()
        caplog.clear()
        runbook.withdraw()
        runbook.check()
        assert_seen(deployment, caplog.messages, NEW)


def assert_seen(deployment: Deployment, log: list[str], *keys: SigningKey) -> None:
    """See that every place to look at, of every process, shows these keys and no other."""
    kids = [key.kid for key in keys]
    assert log.count(f"keys loaded: {len(kids)} usable ({', '.join(kids)})") == len(deployment.verifiers)
    for verifier in deployment.verifiers:
        assert TestClient(health_endpoint(verifier)).get("/").json()["usable_keys"] == len(kids)
        assert deployment.usable_by_metric(verifier) == len(kids)
        assert list(verifier.health().kids) == kids
    assert deployment.listed() == (None if type(deployment) in IN_CODE else set(kids))


def test_emergency_withdrawal_holds_at_once(deployment: Deployment) -> None:
    runbook = Runbook(deployment, OLD, NEW, busy=True)
    runbook.publish()
    runbook.wait()
    verified_before = OLD.mint()
    for verifier in deployment.verifiers:
        verifier.verify(verified_before)
    runbook.give_old_tokens_up()
    runbook.withdraw()
    for verifier in deployment.verifiers:
        verifier.refresh()
        assert runbook.refuses_old(verifier)
        assert refused(partial(verifier.verify, verified_before)) == "unknown_key"
    runbook.calls()


# A process that is restarted without any key does not start.
@pytest.mark.parametrize("deployment", RELOADING, indirect=True)
def test_emergency_withdrawal_of_the_only_key_takes_two_looks(deployment: Deployment) -> None:
    deployment.write(())
    for verifier in deployment.verifiers:
        with pytest.raises(KeyStoreError, match="second look"):
            verifier.refresh()
        deployment.clock.advance(1)
        verifier.refresh()
        assert refused(partial(verifier.verify, OLD.mint())) == "keys_unavailable"


def test_files_rotate_in_real_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # With the figures of the store and of the tokens made small, and nothing else.
    max_age, max_wait, leeway, life = 0.05, 0.25, 0, 0.3
    monkeypatch.setattr(file, "MAX_AGE", max_age)
    (tmp_path / "d1-2026.pem").write_text(OLD.pem)
    cache = KeyCache(FileKeyStore(tmp_path), max_wait=max_wait)
    verifier = D1Verifier(cache, audience="stg", subject=SUBJECT, leeway=leeway)

    def call_for(seconds: float, *keys: SigningKey) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for key in keys:
                verifier.verify(key.mint(exp=time.time() + life))
            time.sleep(0.01)

    call_for(max_age, OLD)
    (tmp_path / ".new").write_text(NEW.pem)
    (tmp_path / ".new").rename(tmp_path / "d1-2027.pem")
    call_for(max_age + max_wait, OLD)
    call_for(life, OLD, NEW)
    (tmp_path / "d1-2026.pem").unlink()
    call_for(max_age + max_wait, NEW)
    with pytest.raises(TokenError) as caught:
        verifier.verify(OLD.mint(exp=time.time() + life))
    assert caught.value.reason.value == "unknown_key"

from __future__ import annotations

import shlex
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from d1verify._freshness import Phase
from tests.loads import DOWN, HandLoads, verifier_over
from tests.support import KEY, OTHER_KEY, key_set

from .serving import ROOT, SETTINGS, authorized, command_of, load, serving, token_now

EXAMPLE = ROOT / "examples" / "prometheus_observer.py"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the example as a module."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    return load(EXAMPLE)


def test_serves_what_it_has_counted() -> None:
    token = token_now()
    with serving(command_of(EXAMPLE)) as server, httpx2.Client(base_url=server.url, trust_env=False) as client:
        for _call in range(3):
            assert client.post("/notify", headers=authorized(token)).status_code == 204
        assert client.post("/notify").status_code == 401
        assert client.post("/notify", headers=authorized(token_now(OTHER_KEY))).status_code == 401
        answer = client.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=")
        lines = answer.text.splitlines()
        assert 'd1verify_verifications_total{outcome="accepted",reason=""} 3.0' in lines
        assert 'd1verify_verifications_total{outcome="refused",reason="missing_token"} 1.0' in lines
        assert 'd1verify_verifications_total{outcome="refused",reason="unknown_key"} 1.0' in lines
        assert 'd1verify_verification_seconds_count{cached="true"} 2.0' in lines
        assert 'd1verify_key_loads_total{outcome="loaded"} 1.0' in lines
        assert "d1verify_keys_usable 1.0" in lines
        assert 'd1verify_keys_status{state="immutable"} 1.0' in lines
        assert 'd1verify_keys_status{state="stale"} 0.0' in lines
        assert not {KEY.kid, OTHER_KEY.kid} & set(answer.text.replace('"', " ").split())
        assert client.post("/metrics").status_code == 401
        assert client.get("/health").json()["status"] == "ready"


def test_shows_how_the_keys_stand_and_no_age_without_keys(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hand, registry = HandLoads(monkeypatch), CollectorRegistry()
    verifier = verifier_over(hand.cache)
    registry.register(example.KeyGauges(verifier))

    def shown() -> dict[str, str]:
        """Return the samples, of the states the one that holds."""
        lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
        states = {line.split('"')[1] for line in lines if "{" in line}
        assert states == {phase.value for phase in Phase}
        return dict(line.split() for line in lines if not line.endswith("} 0.0"))

    assert shown() == {"d1verify_keys_usable": "0.0", 'd1verify_keys_status{state="empty"}': "1.0"}
    hand.holding(key_set(KEY, OTHER_KEY))
    hand.clock.advance(42)
    fresh = {"d1verify_keys_age_seconds": "42.0", "d1verify_keys_usable": "2.0"}
    assert shown() == {**fresh, 'd1verify_keys_status{state="fresh"}': "1.0"}
    hand.clock.advance(60)
    verifier.verify(KEY.mint())
    hand.finish(DOWN)
    assert shown()['d1verify_keys_status{state="stale"}'] == "1.0"


def test_its_docstring_says_what_to_install_and_where_to_look(example: Any) -> None:
    commands = [shlex.split(line) for line in example.__doc__.splitlines() if line.startswith("    ")]
    assert [command[0] for command in commands] == ["pip", "uvicorn", "curl"]
    assert commands[0][2:] == [".[cli]", "prometheus-client"]
    assert commands[2][1].endswith("/metrics")

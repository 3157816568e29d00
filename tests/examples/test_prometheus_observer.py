from __future__ import annotations

import httpx2

from tests.support import KEY, OTHER_KEY

from .serving import ROOT, authorized, command_of, serving, token_now

EXAMPLE = ROOT / "examples" / "prometheus_observer.py"


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
        assert not {KEY.kid, OTHER_KEY.kid} & set(answer.text.replace('"', " ").split())
        assert client.post("/metrics").status_code == 401
        assert client.get("/health").json()["status"] == "ready"

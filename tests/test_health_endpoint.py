"""`health_endpoint`: status and body by readiness, nothing that helps an attacker, and good manners on ASGI."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from d1verify import ConfigurationError, D1Verifier, KeyStoreError
from d1verify.asgi import D1AuthMiddleware, health_endpoint

from .loads import DOWN, HandLoads, verifier_over
from .support import KEY, OTHER_KEY, ScriptedStore, key_set, make_verifier

SECRET = "https://user:pw@keys.example/jwks"


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandLoads:
    return HandLoads(monkeypatch)


class Exchange:
    """One ASGI connection, played by hand."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = list(events)
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> Any:
        return self.events.pop(0)

    async def send(self, message: Any) -> None:
        self.sent.append(message)


async def ask(verifier: D1Verifier, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body."""
    exchange = Exchange()
    await health_endpoint(verifier)({"type": "http", "method": method}, exchange.receive, exchange.send)
    start, body = exchange.sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert len(headers) == len(start["headers"])
    return start["status"], headers, body["body"]


@pytest.mark.anyio
async def test_ready(hand: HandLoads) -> None:
    hand.holding(key_set(KEY, OTHER_KEY))
    hand.clock.advance(3.25)
    status, headers, body = await ask(verifier_over(hand.cache))
    assert status == 200
    assert headers == {
        "content-type": "application/json",
        "cache-control": "no-store",
        "content-length": str(len(body)),
    }
    answer = json.loads(body)
    assert 60 <= answer.pop("next_attempt_seconds") <= 90
    assert answer == {
        "status": "ready",
        "state": "fresh",
        "usable_keys": 2,
        "age_seconds": 3.25,
        "withdrawal_bound_seconds": 102.0,
    }


@pytest.mark.anyio
async def test_degraded_still_serves(hand: HandLoads) -> None:
    hand.holding(key_set(KEY))
    hand.clock.advance(100)
    verifier = verifier_over(hand.cache)
    assert (await ask(verifier))[0] == 200
    hand.finish(DOWN)
    for _minute in range(16):
        hand.clock.advance(60)
        status, _headers, body = await ask(verifier)
        assert (status, json.loads(body)["status"], json.loads(body)["state"]) == (200, "degraded", "stale")
        if hand.in_the_air:
            hand.finish(DOWN)


@pytest.mark.anyio
async def test_unready_is_503_and_tells_no_error_text() -> None:
    status, headers, body = await ask(make_verifier(ScriptedStore(KeyStoreError(f"cannot read {SECRET}"))))
    assert status == 503
    assert headers["cache-control"] == "no-store"
    answer = json.loads(body)
    assert (answer["status"], answer["state"], answer["usable_keys"], answer["age_seconds"]) == (
        "unready", "empty", 0, None,
    )  # fmt: skip
    assert SECRET not in body.decode()


@pytest.mark.anyio
async def test_tells_no_key_id_and_no_error_text(hand: HandLoads) -> None:
    hand.holding(key_set(KEY))
    hand.clock.advance(95)
    verifier = verifier_over(hand.cache)
    await ask(verifier)
    hand.finish(KeyStoreError(SECRET))
    _status, _headers, body = await ask(verifier)
    assert json.loads(body)["status"] == "degraded"
    assert KEY.kid not in body.decode()
    assert SECRET not in body.decode()


@pytest.mark.anyio
async def test_infinity_is_written_as_null(verifier: D1Verifier) -> None:
    status, _headers, body = await ask(verifier)
    assert (status, json.loads(body)["state"]) == (200, "immutable")
    assert json.loads(body)["withdrawal_bound_seconds"] is None
    assert json.loads(body)["next_attempt_seconds"] is None
    assert b"Infinity" not in body


@pytest.mark.anyio
async def test_head_gets_the_headers_of_get_and_no_body(verifier: D1Verifier) -> None:
    await ask(verifier)
    (status, headers, body), (status_of_get, headers_of_get, _body) = (
        await ask(verifier, "HEAD"), await ask(verifier),
    )  # fmt: skip
    assert (status, body) == (status_of_get, b"")
    assert headers.keys() == headers_of_get.keys()
    assert headers["content-type"] == "application/json"


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get", "TRACE"])
async def test_other_methods_are_405_and_load_nothing(method: str) -> None:
    store = ScriptedStore(key_set(KEY))
    status, headers, body = await ask(make_verifier(store), method)
    assert (status, headers["allow"], headers["cache-control"]) == (405, "GET, HEAD", "no-store")
    assert body == b'{"error":"method_not_allowed"}'
    assert store.loads == 0


@pytest.mark.anyio
async def test_a_websocket_is_closed_and_one_that_has_gone_is_left_alone(verifier: D1Verifier) -> None:
    for event, answer in (
        ("websocket.connect", [{"type": "websocket.close", "code": 1008, "reason": ""}]),
        ("websocket.disconnect", []),
    ):
        exchange = Exchange({"type": event})
        await health_endpoint(verifier)({"type": "websocket"}, exchange.receive, exchange.send)
        assert exchange.sent == answer


@pytest.mark.anyio
async def test_as_an_app_of_its_own_it_starts_and_stops(verifier: D1Verifier) -> None:
    exchange = Exchange({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    await health_endpoint(verifier)({"type": "lifespan"}, exchange.receive, exchange.send)
    assert exchange.sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


@pytest.mark.anyio
async def test_refuses_scope_types_it_does_not_know(verifier: D1Verifier) -> None:
    exchange = Exchange()
    with pytest.raises(ValueError, match="http"):
        await health_endpoint(verifier)({"type": "telepathy"}, exchange.receive, exchange.send)


@pytest.mark.parametrize("other", [None, object(), "verifier"], ids=["None", "object", "text"])
def test_refuses_what_cannot_be_probed(other: Any) -> None:
    with pytest.raises(ConfigurationError, match="aprobe"):
        health_endpoint(other)


def on_starlette_route(verifier: D1Verifier) -> Any:
    return Starlette(
        routes=[Route("/health", health_endpoint(verifier))],
        middleware=[Middleware(D1AuthMiddleware, verifier=verifier, exclude=["/health"])],
    )


def on_starlette_mount(verifier: D1Verifier) -> Any:
    return Starlette(routes=[Mount("/health", health_endpoint(verifier))])


def on_fastapi(verifier: D1Verifier) -> Any:
    app = FastAPI()
    app.add_middleware(D1AuthMiddleware, verifier=verifier, exclude=["/health"])
    app.router.routes.append(Route("/health", health_endpoint(verifier)))
    return app


def by_itself(verifier: D1Verifier) -> Any:
    return health_endpoint(verifier)


@pytest.mark.parametrize("build", [on_starlette_route, on_starlette_mount, on_fastapi, by_itself])
def test_answers_where_it_is_put(build: Callable[[D1Verifier], Any], verifier: D1Verifier) -> None:
    with TestClient(build(verifier)) as client:
        answer = client.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (200, "ready")
        assert client.head("/health").content == b""
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/health"):
            pass

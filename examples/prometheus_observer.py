"""Metrics for Prometheus: an observer of one's own, in a Starlette app that serves `/metrics`.

It needs uvicorn and prometheus_client; in a clone:

    pip install ".[cli]" prometheus-client

Settings come from the `D1VERIFY_…` variables: D1VERIFY_AUDIENCE, D1VERIFY_SUBJECT and one
of D1VERIFY_KEYS_PATH, D1VERIFY_KEYS and D1VERIFY_JWKS_URL. Run it with

    uvicorn --app-dir examples prometheus_observer:app

and look, from another terminal, with

    curl http://127.0.0.1:8000/metrics

Worth an alert, among others: `d1verify_keys_status{state="stale"} == 1` and
`d1verify_keys_usable == 0`. Each process counts for itself; for several workers see
prometheus_client's multiprocess mode, in which the gauges stay those of the worker that
answers. Where the app can be reached from outside, keep `/metrics` from there at the proxy.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from d1verify import D1Verifier
from d1verify.asgi import D1AuthMiddleware, d1_lifespan, health_endpoint
from d1verify.observer import KeyLoad, Verification

STATES = ("empty", "fresh", "ageing", "due", "stale", "immutable", "revoked")  # of `Health.state`
BUCKETS = (1e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0, 2.0)


class PrometheusObserver:
    """Counts verdicts and key loads. Labels come from the library's enums, never from a caller."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._verifications = Counter("d1verify_verifications", "Verdicts.", ["outcome", "reason"], registry=registry)
        self._seconds = Histogram(
            "d1verify_verification_seconds", "How long a verdict took.", ["cached"], buckets=BUCKETS, registry=registry
        )
        self._key_loads = Counter("d1verify_key_loads", "Attempts to load keys.", ["outcome"], registry=registry)

    def notify(self, event: Verification | KeyLoad) -> None:
        """Count `event`."""
        if isinstance(event, KeyLoad):
            self._key_loads.labels(event.outcome.value).inc()
            return
        if event.error is None:
            self._verifications.labels("accepted", "").inc()
        else:
            self._verifications.labels("refused", event.error.reason.value).inc()
        self._seconds.labels(str(event.cached).lower()).observe(event.seconds)


class KeyGauges(Collector):
    """Shows how a verifier's keys stand, by one look whenever Prometheus asks. Looking loads nothing."""

    def __init__(self, verifier: D1Verifier) -> None:
        self._verifier = verifier

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give the gauges. Without keys there is no age: zero would say that they are perfectly fresh."""
        health = self._verifier.health()
        age = GaugeMetricFamily("d1verify_keys_age_seconds", "Since the load that gave the keys began.")
        if health.age is not None:
            age.add_metric([], health.age)
        yield age
        yield GaugeMetricFamily("d1verify_keys_usable", "Keys that may say yes now.", len(health.kids))
        status = GaugeMetricFamily("d1verify_keys_status", "1 for the state that holds.", labels=["state"])
        for state in STATES:
            status.add_metric([state], state == health.state)
        yield status


registry = CollectorRegistry()
verifier = D1Verifier.from_env(observer=PrometheusObserver(registry))
registry.register(KeyGauges(verifier))


async def metrics(_request: Request) -> Response:
    """Show the metrics as they stand."""
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


async def notify(_request: Request) -> Response:
    """Take note that a card or its token has changed."""
    # Update your records here.
    return Response(status_code=204)


app = Starlette(
    routes=[
        Route("/notify", notify, methods=["POST"]),
        Route("/metrics", metrics),
        Route("/health", health_endpoint(verifier)),
    ],
    middleware=[Middleware(D1AuthMiddleware, verifier=verifier, exclude=["/metrics", "/health"])],
    lifespan=d1_lifespan(verifier),
)

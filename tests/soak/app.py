"""The app under load: one route behind `D1AuthMiddleware`, keys from an `HTTPKeyStore`.

    uvicorn tests.soak.app:app --workers 4

The driver sets `SOAK_JWKS_URL`, `SOAK_PLAN` (the figures) and perhaps `SOAK_SPOIL` (a fault to be noticed).
"""

from __future__ import annotations

import json
import logging
import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from d1verify import D1Verifier, HTTPKeyStore, KeyCache, KeySet
from d1verify.asgi import D1AuthMiddleware, d1_lifespan, get_token
from d1verify.keys import KeyStore

from ..support import SUBJECT
from . import spoils
from .expectations import OPEN_PATH
from .keyserver import WORKER_HEADER
from .plan import Plan

logging.basicConfig(level=logging.INFO)
# One line per load, from the HTTP client.
logging.getLogger("httpx2").setLevel(logging.WARNING)


class ShortLived:
    """The sets of another store with less time to live, since an HTTP store takes none below 60 s."""

    def __init__(self, store: KeyStore, max_age: float) -> None:
        self._store, self._max_age = store, max_age

    def load(self) -> KeySet:
        """Return the other store's keys."""
        keys = self._store.load()
        return KeySet(keys.keys, min(keys.max_age, self._max_age), keys.max_stale, keys.skipped)


class Labels:
    """Marks each answer with the worker that gave it and with what the client called its call."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve."""
        marks = [(b"x-soak-worker", str(os.getpid()).encode())]
        marks += [(name, value) for name, value in scope.get("headers", ()) if name == b"x-soak"]

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *marks]}
            await send(message)

        await self._app(scope, receive, send_marked)


async def notify(request: Request) -> Response:
    """Take the notification."""
    get_token(request).require_subject(SUBJECT)
    return Response(status_code=204)


async def health(_request: Request) -> Response:
    """Tell how the keys stand."""
    return JSONResponse({"state": verifier.health().state})


plan = Plan(**json.loads(os.environ["SOAK_PLAN"]))
spoil = os.environ.get("SOAK_SPOIL", "")
store: KeyStore = HTTPKeyStore(
    os.environ["SOAK_JWKS_URL"], headers={WORKER_HEADER: str(os.getpid())}, timeout=plan.timeout
)
if plan.tempo < 1:
    store = ShortLived(store, plan.max_age)
keys = KeyCache(spoils.spoilt_store(spoil, store), cooldown=plan.cooldown, max_wait=plan.max_wait)
verifier = D1Verifier(keys, audience="stg", subject=SUBJECT)

routes = [Route("/notify", notify, methods=["POST"]), Route(OPEN_PATH, health)]
guard = Middleware(D1AuthMiddleware, verifier=verifier, exclude=[OPEN_PATH], reveal_reason=True)
app = Labels(spoils.spoilt_app(spoil, Starlette(routes=routes, middleware=[guard], lifespan=d1_lifespan(verifier))))

"""D1's notify-update call in a Starlette app, guarded as a whole but for `/health`.

Settings come from the `D1VERIFY_…` variables: D1VERIFY_AUDIENCE, D1VERIFY_SUBJECT and one
of D1VERIFY_KEYS_PATH, D1VERIFY_KEYS and D1VERIFY_JWKS_URL. Run it with

    uvicorn --app-dir examples starlette_app:app
"""

from __future__ import annotations

import json
import logging

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from d1verify import D1Verifier, D1VerifyError, TokenError, refusal
from d1verify.asgi import D1AuthMiddleware, d1_lifespan, get_token

log = logging.getLogger("merchant")
verifier = D1Verifier.from_env()


async def notify_update(request: Request) -> Response:
    """Take note that a card or its token has changed."""
    # The middleware has checked who calls; this is whether the path is the caller's own.
    get_token(request).require_subject(request.path_params["merchantGatewayId"])
    try:
        update = json.loads(await request.body())
    except ValueError:
        return PlainTextResponse("the body is no JSON", status_code=400)
    if not isinstance(update, dict):
        return PlainTextResponse("the body is no JSON object", status_code=400)
    # Update your records here. The same call may come twice, and within a quarter of an
    # hour anybody who has seen it can send it again: make this idempotent.
    log.info("an update with %d members", len(update))
    return Response(status_code=204)


async def health(_request: Request) -> Response:
    """Tell a load balancer that the process is up."""
    return PlainTextResponse("up")


async def refuse(_request: Request, exc: Exception) -> Response:
    """Answer `require_subject` with 403, in the form of every other refusal."""
    if not isinstance(exc, D1VerifyError):
        raise exc
    answer = refusal(exc)
    return Response(answer.body, answer.status, dict(answer.headers))


app = Starlette(
    routes=[
        Route(
            "/merchant-gateways/{merchantGatewayId}/merchants/{merchantId}/tokens/{tokenId}/notify-update",
            notify_update,
            methods=["POST"],
        ),
        Route("/health", health),
    ],
    middleware=[Middleware(D1AuthMiddleware, verifier=verifier, exclude=["/health"])],
    exception_handlers={TokenError: refuse},
    lifespan=d1_lifespan(verifier),
)

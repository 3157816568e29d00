"""D1's notify-update call in a FastAPI app: the dependency gives the route its token.

FastAPI reads a declared body before it asks dependencies, so the middleware stands in
front: a stranger's body is not read, and the dependency takes the token over.

Settings come from the `D1VERIFY_…` variables: D1VERIFY_AUDIENCE, D1VERIFY_SUBJECT and one
of D1VERIFY_KEYS_PATH, D1VERIFY_KEYS and D1VERIFY_JWKS_URL. Run it with

    gunicorn --chdir examples --worker-class uvicorn_worker.UvicornWorker fastapi_app:app

(`pip install gunicorn uvicorn-worker`), or with `uvicorn --app-dir examples fastapi_app:app`.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any

from fastapi import Depends, FastAPI

from d1verify import D1Token, D1Verifier
from d1verify.asgi import D1AuthMiddleware, d1_lifespan
from d1verify.fastapi import RESPONSES, D1Bearer, install

log = logging.getLogger("merchant")
verifier = D1Verifier.from_env()
d1 = D1Bearer(verifier, path_param="merchantGatewayId")

app = FastAPI(title="Merchant back end", lifespan=d1_lifespan(verifier))
app.add_middleware(D1AuthMiddleware, verifier=verifier, exclude=["/health"])
install(app)


@app.post(
    "/merchant-gateways/{merchantGatewayId}/merchants/{merchantId}/tokens/{tokenId}/notify-update",
    status_code=204,
    responses=RESPONSES,
)
async def notify_update(
    merchantGatewayId: str,  # noqa: N803, ARG001 - D1's spelling; d1 has compared it with the subject
    merchantId: str,  # noqa: N803, ARG001
    tokenId: str,  # noqa: N803, ARG001
    update: dict[str, Any],
    token: Annotated[D1Token, Depends(d1)],
) -> None:
    """Take note that a card or its token has changed."""
    # Update your records here. The same call may come twice, and within a quarter of an
    # hour anybody who has seen it can send it again: make this idempotent.
    log.info("an update with %d members, signed with the key %s", len(update), token.kid)


@app.get("/health", include_in_schema=False)
async def health() -> str:
    """Tell a load balancer that the process is up."""
    return "up"

"""The merchant's side of the OAuth 2.0 flow: D1 obtains an access token here and calls notify-update with it.

Settings come from the `D1VERIFY_…` variables (D1's keys, its environment and one merchant gateway id) and

    MERCHANT_KEY_PATH       a private P-256 key as PEM, which signs the access tokens
    MERCHANT_URL            where D1 reaches this app, such as https://pay.example.com
    MERCHANT_CLIENT_SECRET  if D1 uses client_credentials: the secret of the client "d1-client"

Run it with

    uvicorn --app-dir examples oauth_app:app
"""

from __future__ import annotations

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from d1verify import D1Verifier, D1VerifyError, StaticKeyStore, TokenError, refusal
from d1verify.asgi import D1AuthMiddleware, d1_lifespan, get_token
from d1verify.oauth import AccessTokenVerifier, Client, SigningKey, TokenEndpoint, merchant_jwks

own_url = os.environ["MERCHANT_URL"]
subject = os.environ["D1VERIFY_SUBJECT"]
secret = os.environ.get("MERCHANT_CLIENT_SECRET")

key = SigningKey(Path(os.environ["MERCHANT_KEY_PATH"]).read_bytes())
d1 = D1Verifier.from_env()
token_endpoint = TokenEndpoint(
    verifier=d1,
    signing_key=key,
    issuer=own_url,
    audience=f"{own_url}/merchant-gateways",
    url=f"{own_url}/oauth2/token",
    clients=[] if secret is None else [Client(client_id="d1-client", secrets=secret, subject=subject)],
)
access_tokens = AccessTokenVerifier(
    StaticKeyStore({key.kid: key.public}),
    issuer=own_url,
    audience=f"{own_url}/merchant-gateways",
    subject=subject,
)


async def notify_update(request: Request) -> Response:
    """Take note that a card or its token has changed."""
    get_token(request).require_subject(request.path_params["merchantGatewayId"])
    # Read the body and update your records here, so that a repeated call does no harm.
    return Response(status_code=204)


async def jwks(_request: Request) -> Response:
    """Publish the public half of the key, for whoever else has to verify the access tokens."""
    return JSONResponse(merchant_jwks(key))


async def refuse(_request: Request, exc: Exception) -> Response:
    """Answer `require_subject` with 403, in the form of every other refusal."""
    if not isinstance(exc, D1VerifyError):
        raise exc
    answer = refusal(exc)
    return Response(answer.body, answer.status, dict(answer.headers))


guarded = Starlette(
    routes=[
        Route(
            "/{merchantGatewayId}/merchants/{merchantId}/tokens/{tokenId}/notify-update",
            notify_update,
            methods=["POST"],
        ),
    ],
    exception_handlers={TokenError: refuse},
)

# Two exact routes are open, and everything else is behind the access tokens.
app = Starlette(
    routes=[
        Route("/oauth2/token", token_endpoint),
        Route("/.well-known/jwks.json", jwks),
        Mount("/merchant-gateways", app=D1AuthMiddleware(guarded, access_tokens)),
    ],
    lifespan=d1_lifespan(d1),
)

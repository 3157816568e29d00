"""The merchant's side of the OAuth 2.0 flow in a Django project, through its ASGI handler.

The token endpoint is an ASGI app, so it stands beside Django's handler and not in `urls.py`;
views are guarded as ever, with a verifier of access tokens. This file is a whole project; its
settings come from the environment as in `oauth_app.py`. Run it with

    uvicorn --app-dir examples oauth_django:app
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from d1verify import D1Verifier, StaticKeyStore
from d1verify.asgi import d1_lifespan
from d1verify.django import d1_required
from d1verify.oauth import AccessTokenVerifier, SigningKey, TokenEndpoint

own_url = os.environ["MERCHANT_URL"]
key = SigningKey(Path(os.environ["MERCHANT_KEY_PATH"]).read_bytes())
d1 = D1Verifier.from_env()
token_endpoint = TokenEndpoint(
    verifier=d1,
    signing_key=key,
    issuer=own_url,
    audience=f"{own_url}/merchant-gateways",
    url=f"{own_url}/oauth2/token",
)
access_tokens = AccessTokenVerifier(
    StaticKeyStore({key.kid: key.public}),
    issuer=own_url,
    audience=f"{own_url}/merchant-gateways",
    subject=os.environ["D1VERIFY_SUBJECT"],
)

if not settings.configured:
    settings.configure(
        SECRET_KEY=secrets.token_urlsafe(),  # Yours comes from the environment and stays the same.
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
    )
    django.setup()


@d1_required(access_tokens, path_kwarg="merchant_gateway_id")
def notify_update(_request: HttpRequest, **_path: str) -> HttpResponse:
    """Take note that a card or its token has changed."""
    # Read the body and update your records here, so that a repeated call does no harm.
    return HttpResponse(status=204)


urlpatterns = [
    path(
        "merchant-gateways/<merchant_gateway_id>/merchants/<merchant_id>/tokens/<token_id>/notify-update",
        notify_update,
    ),
]

# Django's type for an ASGI app is narrower than Starlette's; what runs is the same.
django_app: Any = get_asgi_application()
app = Starlette(
    routes=[Route("/oauth2/token", token_endpoint), Mount("/", app=django_app)],
    lifespan=d1_lifespan(d1),
)

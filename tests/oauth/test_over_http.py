"""Authlib's own OAuth 2.0 clients as D1, over real HTTP; and the whole loop with `D1TokenAuth` playing D1."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.httpx_client import (  # type: ignore[import-untyped]
    AssertionClient,
    AsyncAssertionClient,
    AsyncOAuth2Client,
    OAuth2Client,
)
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from d1verify import StaticKeyStore
from d1verify.asgi import D1AuthMiddleware, get_token
from d1verify.oauth import D1TokenAuth, SigningKey, merchant_jwks
from tests.serving import uvicorn_server
from tests.support import SUBJECT, make_verifier

from .support import CLIENT_ID, SCOPE, SECRET, SIGNING_KEY, make_access_verifier, make_endpoint

D1_KEY = ECKey.generate_key("P-256", {"kid": "d1-key"}, private=True)
D1_SIGNER = SigningKey(D1_KEY)


def merchant_app() -> Starlette:
    """Return a merchant's app that goes by the wall clock: the endpoint, the public keys, one guarded route."""
    d1 = make_verifier(StaticKeyStore({D1_SIGNER.kid: D1_SIGNER.public}), clock=time.time)
    issued: list[None] = []
    endpoint = make_endpoint(verifier=d1, clock=time.time)

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        issued.append(None)
        await endpoint(scope, receive, send)

    async def notify(request: Request) -> Response:
        return JSONResponse({"subject": get_token(request).subject, "issued": len(issued)})

    class Counted:
        __call__ = staticmethod(counted)

    guarded = D1AuthMiddleware(Starlette(routes=[Route("/notify", notify)]), make_access_verifier(clock=time.time))
    return Starlette(
        routes=[
            Route("/oauth2/token", Counted()),
            Route("/jwks.json", lambda _request: JSONResponse(merchant_jwks(SIGNING_KEY))),
            Mount("/api", app=guarded),
        ]
    )


@pytest.fixture
def url() -> Iterator[str]:
    with uvicorn_server(merchant_app()) as running:
        yield running.url


def assertion_settings(url: str, **changes: Any) -> dict[str, Any]:
    return {
        "token_endpoint": f"{url}/oauth2/token",
        "issuer": "d1",
        "subject": SUBJECT,
        "audience": "stg",
        "key": D1_KEY,
        "header": {"alg": "ES256", "kid": "d1-key"},
        "expires_in": 600,
        "trust_env": False,
        **changes,
    }


def test_authlibs_assertion_client_obtains_a_token_and_calls_with_it(url: str) -> None:
    with AssertionClient(**assertion_settings(url, scope="d1:read")) as client:
        answers = [client.get(f"{url}/api/notify") for _ in range(2)]
        assert client.token["expires_in"] == 900
        assert client.token["scope"] == "d1:read"
    assert [answer.json() for answer in answers] == [{"subject": SUBJECT, "issued": 1}] * 2


@pytest.mark.anyio
async def test_authlibs_async_assertion_client_obtains_a_token_and_calls_with_it(url: str) -> None:
    async with AsyncAssertionClient(**assertion_settings(url)) as client:
        answers = [await client.get(f"{url}/api/notify") for _ in range(2)]
    assert [answer.json() for answer in answers] == [{"subject": SUBJECT, "issued": 1}] * 2


def test_authlibs_assertion_client_is_told_that_its_assertion_is_refused(url: str) -> None:
    settings = assertion_settings(url, expires_in=3600)  # Authlib's default, which is too long for D1's profile.
    with AssertionClient(**settings) as client, pytest.raises(OAuthError) as caught:
        client.get(f"{url}/api/notify")
    assert caught.value.error == "invalid_grant"


def test_authlibs_client_credentials_client_obtains_a_token_and_calls_with_it(url: str) -> None:
    with OAuth2Client(CLIENT_ID, SECRET, trust_env=False) as client:
        token = client.fetch_token(f"{url}/oauth2/token", grant_type="client_credentials")
        assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 900, SCOPE)
        answers = [client.get(f"{url}/api/notify") for _ in range(2)]
    assert [answer.json() for answer in answers] == [{"subject": SUBJECT, "issued": 1}] * 2


@pytest.mark.anyio
async def test_authlibs_async_client_credentials_client_obtains_a_token_and_calls_with_it(url: str) -> None:
    async with AsyncOAuth2Client(CLIENT_ID, SECRET, trust_env=False) as client:
        await client.fetch_token(f"{url}/oauth2/token", grant_type="client_credentials")
        assert (await client.get(f"{url}/api/notify")).json() == {"subject": SUBJECT, "issued": 1}


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
def test_authlibs_client_is_told_that_its_credentials_are_refused(url: str, method: str) -> None:
    secret = SECRET if method == "client_secret_post" else "wrong"
    with (
        OAuth2Client(CLIENT_ID, secret, token_endpoint_auth_method=method, trust_env=False) as client,
        pytest.raises(OAuthError) as caught,
    ):
        client.fetch_token(f"{url}/oauth2/token", grant_type="client_credentials")
    assert caught.value.error == "invalid_client"


def d1_playing(url: str) -> D1TokenAuth:
    return D1TokenAuth(
        token_url=f"{url}/oauth2/token",
        signing_key=D1_SIGNER,
        issuer="d1",
        merchant_gateway_id=SUBJECT,
        audience="stg",
    )


def test_the_whole_loop_d1_obtains_one_token_and_calls_twice(url: str) -> None:
    with httpx2.Client(auth=d1_playing(url), base_url=url, trust_env=False) as d1:
        answers = [d1.get("/api/notify") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[1].json() == {"subject": SUBJECT, "issued": 1}


@pytest.mark.anyio
async def test_the_whole_loop_on_an_event_loop(url: str) -> None:
    async with httpx2.AsyncClient(auth=d1_playing(url), base_url=url, trust_env=False) as d1:
        assert [(await d1.get("/api/notify")).status_code for _ in range(2)] == [200, 200]


def test_a_worker_elsewhere_needs_the_published_keys_and_nothing_else(url: str) -> None:
    with httpx2.Client(base_url=url, trust_env=False) as client:
        jwks = client.get("/jwks.json").json()
        issued = client.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=(CLIENT_ID, SECRET))
    elsewhere = make_access_verifier(store=StaticKeyStore({jwk["kid"]: jwk for jwk in jwks["keys"]}), clock=time.time)
    assert elsewhere.verify(issued.json()["access_token"]).subject == SUBJECT


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_other_methods_are_answered_properly_by_a_real_server(url: str, method: str) -> None:
    with httpx2.Client(base_url=url, trust_env=False) as client:
        answer = client.request(method, "/oauth2/token")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert client.get("/jwks.json").status_code == 200  # The connection is still in step.


def test_a_body_that_is_too_long_is_answered_by_a_real_server(url: str) -> None:
    with httpx2.Client(base_url=url, trust_env=False) as client:
        assert client.post("/oauth2/token", data={"grant_type": "x" * 100_000}).status_code == 413

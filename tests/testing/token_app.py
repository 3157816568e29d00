"""A merchant's app with a token endpoint and a route that wants its access tokens, for one `FakeD1`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from d1verify import D1Verifier, StaticKeyStore, TokenError, refusal
from d1verify.asgi import D1AuthMiddleware, get_token
from d1verify.oauth import AccessTokenVerifier, Client, SigningKey, TokenEndpoint
from d1verify.testing import FakeD1

SUBJECT = "MGW_000001"
CLIENT_ID, SECRET = "d1-client", "correct horse battery staple"
TOKEN_PATH = "/oauth2/token"
GUARDED_TEMPLATE = "/api/{merchantGatewayId}/notify"
GUARDED = f"/api/{SUBJECT}/notify"
ISSUER = "https://pay.example.com"
KEY = SigningKey.generate(kid="merchant-key")
CLIENT = Client(client_id=CLIENT_ID, secrets=SECRET, subject=SUBJECT)


async def notify(request: Request) -> Response:
    try:
        get_token(request).require_subject(request.path_params["gateway"])
    except TokenError as error:
        answer = refusal(error)
        return Response(answer.body, answer.status, dict(answer.headers))
    return Response(status_code=204)


class Merchant:
    """The app and its parts; `verifier` and `guard` may be others, as some merchant might have them."""

    def __init__(
        self,
        fake_d1: FakeD1,
        *,
        audience: str = "stg",
        clients: Iterable[Client] = (CLIENT,),
        guard: Any = None,
        verifier: Any = None,
    ) -> None:
        self.d1 = D1Verifier(fake_d1.key_store, audience=audience, subject=SUBJECT, clock=fake_d1.clock)
        self.access = AccessTokenVerifier(
            StaticKeyStore({KEY.kid: KEY.public}), issuer=ISSUER, audience="api", subject=SUBJECT
        )
        self.endpoint = TokenEndpoint(
            verifier=self.d1 if verifier is None else verifier(self.d1, self.access),
            signing_key=KEY,
            issuer=ISSUER,
            audience="api",
            url=ISSUER + TOKEN_PATH,
            clients=clients,
        )
        api = Starlette(routes=[Route("/{gateway}/notify", notify, methods=["POST"])])
        self.guard = self.access if guard is None else guard(self.d1, self.access)
        self._api = D1AuthMiddleware(api, self.guard)
        self.app = self.with_endpoint(self.endpoint)

    def with_endpoint(self, endpoint: Any) -> Starlette:
        """Return the app with another ASGI app in the endpoint's place."""
        return Starlette(routes=[Route(TOKEN_PATH, endpoint), Mount("/api", app=self._api)])

"""`d1verify demo --oauth`: D1 obtains an access token from the merchant and calls with it, over real HTTP."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx2
from rich.console import Console
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..asgi import D1AuthMiddleware
from ..errors import Reason
from ..keystores.static import StaticKeyStore
from ..oauth import AccessTokenVerifier, Client, D1TokenAuth, SigningKey, TokenEndpoint
from ..oauth._forms import JWT_BEARER
from ..testing import NOTIFY_UPDATE_PATH, FakeD1
from ..verifier import D1Verifier
from .demo import Row, path_of, print_rows, wait_until_interrupted
from .demo_calls import ACCEPTED, GATEWAYS, bearer, make_d1
from .demo_server import DemoServer, notify_update
from .output import stdout

__all__ = ["CLIENT_ID", "TOKEN_PATH", "Merchant", "run_oauth_demo"]

TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 - a path
ISSUED: Final = "200 Bearer, 900 s"
_MERCHANT: Final = "https://pay.example.com"
_API: Final = f"{_MERCHANT}/merchant-gateways"
_PATH: Final = path_of(GATEWAYS[0])
CLIENT_ID: Final = "d1-client"

Form = Mapping[str, Any]


class Merchant:
    """A merchant's app: the token endpoint, with a count of its requests, and the route behind its tokens.

    Attributes:
        requests: how often the token endpoint was called.
        app: the ASGI app.
    """

    def __init__(self, d1: FakeD1, secret: str) -> None:
        key = SigningKey.generate()
        d1_keys = StaticKeyStore({d1.kid: d1.public_pem})
        self.requests: int = 0
        self._endpoint = TokenEndpoint(
            verifier=D1Verifier(d1_keys, audience="stg", subject=GATEWAYS),
            signing_key=key,
            issuer=_MERCHANT,
            audience=_API,
            url=_MERCHANT + TOKEN_PATH,
            clients=[Client(client_id=CLIENT_ID, secrets=secret, subject=GATEWAYS[0])],
        )
        own_keys = StaticKeyStore({key.kid: key.public})
        access = AccessTokenVerifier(own_keys, issuer=_MERCHANT, audience=_API, subject=GATEWAYS)
        guard = Middleware(D1AuthMiddleware, verifier=access, reveal_reason=True)
        self.app: Starlette = Starlette(
            routes=[
                Route(TOKEN_PATH, self),
                Route(NOTIFY_UPDATE_PATH, notify_update, methods=["POST"], middleware=[guard]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a request and let the token endpoint answer it (ASGI 3)."""
        self.requests += 1
        await self._endpoint(scope, receive, send)


def run_oauth_demo(*, serve: bool, as_json: bool = False) -> int:
    """Run the demo and print its table; return 0 if every row came out as expected, else 1."""
    console, secret = stdout(), secrets.token_urlsafe()
    with tempfile.TemporaryDirectory(prefix="d1verify-demo-") as name:
        key_file = Path(name) / "demo-key-1.key"
        d1 = make_d1(key_file)
        merchant = Merchant(d1, secret)
        with DemoServer(merchant.app) as server:
            if serve:
                return _serve(console, server.url, d1, key_file)
            signing_key = SigningKey(key_file.read_bytes(), kid=d1.kid)
            with httpx2.Client(base_url=server.url, trust_env=False) as client:
                rows = [*_by_d1(server.url, merchant, signing_key), *_by_hand(client, d1, secret)]
    failed = print_rows(console, rows, as_json=as_json, token_requests=merchant.requests)
    if not as_json:
        console.print(f"The token endpoint was asked {merchant.requests} times in all.")
    return failed


def _by_hand(client: httpx2.Client, d1: FakeD1, secret: str) -> Iterator[Row]:
    assertion = {"grant_type": JWT_BEARER, "assertion": d1.token()}
    issued = client.post(TOKEN_PATH, data=assertion)
    yield Row("an access token, requested by hand", ISSUED, _got(issued))
    access_token = _token_in(issued)
    yield from _calls(client, d1, access_token)
    yield from _refused_requests(client, d1, assertion, access_token)
    yield from _by_secret(client, secret)


def _by_d1(url: str, merchant: Merchant, signing_key: SigningKey) -> Iterator[Row]:
    """Let `D1TokenAuth` play D1: it signs an assertion, obtains a token with it, and calls twice."""
    auth = D1TokenAuth(
        token_url=url + TOKEN_PATH,
        signing_key=signing_key,
        issuer="d1",
        merchant_gateway_id=GATEWAYS[0],
        audience="stg",
    )
    with httpx2.Client(base_url=url, auth=auth, trust_env=False) as client:
        yield Row("D1 obtains an access token and calls with it", ACCEPTED, _called(client))
        yield Row("D1 calls again", ACCEPTED, _called(client))
    yield Row("token requests for both calls", "1", str(merchant.requests))


def _calls(client: httpx2.Client, d1: FakeD1, access_token: str) -> Iterator[Row]:
    """Call the guarded route with the access token, and with what is none."""
    changed = access_token[:-10] + ("B" if access_token[-10] == "A" else "A") + access_token[-9:]
    yield Row("a call with it", ACCEPTED, _called(client, access_token))
    yield Row("a call without a token", f"401 {Reason.MISSING_TOKEN}", _called(client))
    yield Row("a call with the D1 JWT itself", f"401 {Reason.MALFORMED_TOKEN}", _called(client, d1.token()))
    relabelled = d1.token(header={"typ": "at+jwt"})
    yield Row("the D1 JWT, its typ changed to at+jwt", f"401 {Reason.UNKNOWN_KEY}", _called(client, relabelled))
    yield Row("the access token, a character changed", f"401 {Reason.BAD_SIGNATURE}", _called(client, changed))
    elsewhere = _called(client, access_token, path_of(GATEWAYS[1]))
    yield Row("the access token, on another's path", f"403 {Reason.INSUFFICIENT_SCOPE}", elsewhere)


def _refused_requests(client: httpx2.Client, d1: FakeD1, assertion: Form, access_token: str) -> Iterator[Row]:
    """Ask for access tokens as nobody may."""
    now, forged = d1.now, FakeD1(subject=GATEWAYS[0]).token(header={"kid": d1.kid})
    no_grant, no_request = "400 invalid_grant", "400 invalid_request"
    forms: list[tuple[str, str, Form]] = [
        ("the access token as the assertion", no_grant, {**assertion, "assertion": access_token}),
        ("an assertion that is no JWT", no_grant, {**assertion, "assertion": "opaque"}),
        ("signed with a stranger's key", no_grant, {**assertion, "assertion": forged}),
        ("expired a minute ago", no_grant, {**assertion, "assertion": d1.token(exp=now - 60)}),
        ("for production, sent to staging", no_grant, {**assertion, "assertion": d1.token(aud="prd")}),
        ("for a merchant that is not ours", no_grant, {**assertion, "assertion": d1.token(sub="MGW_999999")}),
        ("no assertion", no_request, {**assertion, "assertion": ""}),
        ("two assertions", no_request, {**assertion, "assertion": [assertion["assertion"], "opaque"]}),
        ("the grant password", "400 unsupported_grant_type", {**assertion, "grant_type": "password"}),
        ("a scope that nobody gave D1", "400 invalid_scope", {**assertion, "scope": "admin"}),
    ]
    for title, expected, form in forms:
        yield Row(title, expected, _got(client.post(TOKEN_PATH, data=form)))
    yield Row("as JSON", no_request, _got(client.post(TOKEN_PATH, json=assertion)))
    yield Row("in the query, by GET", "405 invalid_request", _got(client.get(TOKEN_PATH, params=assertion)))


def _by_secret(client: httpx2.Client, secret: str) -> Iterator[Row]:
    """Request a token with D1's secret, as D1's outbound specification has it."""
    form = {"grant_type": "client_credentials"}
    wrong = client.post(TOKEN_PATH, data=form, auth=(CLIENT_ID, "wrong"))
    yield Row("client_credentials, the secret wrong", "401 invalid_client", _got(wrong))
    issued = client.post(TOKEN_PATH, data=form, auth=(CLIENT_ID, secret))
    yield Row("client_credentials, the secret right", ISSUED, _got(issued))
    yield Row("a call with what came of that", ACCEPTED, _called(client, _token_in(issued)))


def _called(client: httpx2.Client, token: str | None = None, path: str = _PATH) -> str:
    """Call the notify-update route; return the status, and the reason if there is one."""
    headers = [] if token is None else bearer(token)
    response = client.post(path, headers=headers, json={"operation": "UPDATE"})
    return _status(response, _content(response).get("error_description"))


def _got(response: httpx2.Response) -> str:
    """Return what the token endpoint has answered, in a word."""
    content = _content(response)
    if "access_token" in content:
        return _status(response, f"{content.get('token_type')}, {content.get('expires_in')} s")
    return _status(response, content.get("error"))


def _status(response: httpx2.Response, said: object) -> str:
    return str(response.status_code) if said is None else f"{response.status_code} {said}"


def _content(response: httpx2.Response) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(response.content) if response.content else {}
    return content


def _token_in(response: httpx2.Response) -> str:
    """Return the access token that was issued; without one, what is refused wherever it is tried."""
    return str(_content(response).get("access_token", "none-was-issued"))


def _serve(console: Console, url: str, d1: FakeD1, key_file: Path) -> int:
    """Keep the server running, and print what to try on it."""
    token = d1.token(exp=d1.now + 900)
    console.print(f"Listening on {url} until interrupted. A token request that succeeds for the next 15 minutes:\n")
    console.out(f"curl -i -d grant_type={JWT_BEARER} -d assertion={token} {url}{TOKEN_PATH}\n")
    console.print("The contract, sent to it:\n")
    console.out(
        f"d1verify contract {url}{_PATH} --token-url {url}{TOKEN_PATH} "
        f"--key {key_file} --kid {d1.kid} --sub {GATEWAYS[0]}"
    )
    return wait_until_interrupted()

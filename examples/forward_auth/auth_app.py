"""Says yes or no for a proxy, so that nginx, Traefik, Envoy or Caddy can guard an app in any language.

The proxy asks here before it passes a call on. A call of D1 is answered with 204 and says who
called in `X-D1-Subject` and by which key in `X-D1-Kid`, both percent-encoded where they hold
anything but letters, digits and `-._~`; any other is refused as everywhere, and the proxy hands
the refusal to the caller. Settings come from the `D1VERIFY_…` variables. Run it with

    uvicorn --app-dir examples/forward_auth auth_app:app --port 8001 --no-access-log --timeout-keep-alive 75

and put a proxy before it and your app: `d1verify.conf` for nginx (`nginx.conf` runs it for a
try), `traefik.yml`, `envoy.yaml`, `Caddyfile`. Two more variables belong to the proxy:

ORIGINAL_URI_HEADER  where the proxy writes the path and query that it was asked for: `X-Original-URI` with
                     d1verify.conf, `X-Forwarded-Uri` with Traefik and Caddy. Every path then has to begin with
                     `/merchant-gateways/<the token's subject>/`. Name only a header that your proxy overwrites.
                     Without it the app has to compare its path with `X-D1-Subject`.
ACCEPTED_STATUS      204, or 200 for Envoy, which takes any other status for a refusal.

What this cannot see is the body. And the app must be reachable through the proxy alone: whoever
reaches it directly writes `X-D1-Subject` himself. A call without it was not let through here.
"""

from __future__ import annotations

import os
import re
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from d1verify import D1Verifier, D1VerifyError, TokenError, refusal
from d1verify.asgi import D1AuthMiddleware, d1_lifespan, get_token

GATEWAYS = "merchant-gateways"
# Unreserved characters and single slashes (RFC 3986 §2.3): a path that no proxy and no framework
# decodes, folds or cuts, so that the one judged here is the one the app serves.
PLAIN_PATH = re.compile(r"(?:/(?!\.+(?:/|$))[A-Za-z0-9._~-]+)+")

verifier = D1Verifier.from_env()
uri_header = os.environ.get("ORIGINAL_URI_HEADER", "")
accepted_status = {"200": 200, "204": 204}[os.environ.get("ACCEPTED_STATUS", "204")]


class Judge:
    """Answers whatever the middleware has let through. A class, as Starlette gives those every method."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call (ASGI 3)."""
        request = Request(scope)
        token = get_token(request)
        if uri_header:
            token.require_subject(gateway_of(request.headers.getlist(uri_header)))
        headers = {
            "X-D1-Subject": quote(token.subject, safe=""),
            "X-D1-Kid": quote(token.kid, safe=""),
            "Cache-Control": "no-store",
        }
        await Response(status_code=accepted_status, headers=headers)(scope, receive, send)


def gateway_of(uris: list[str]) -> str:
    """Return the merchant gateway that a path names; empty, which no token speaks for, if that is not plain."""
    path = uris[0].partition("?")[0] if len(uris) == 1 else ""
    if PLAIN_PATH.fullmatch(path) is None:
        return ""
    _, first, *rest = path.split("/")
    return rest[0] if first == GATEWAYS and len(rest) > 1 else ""


async def refuse(_request: Request, exc: Exception) -> Response:
    """Answer `require_subject` with 403, in the form of every other refusal."""
    if not isinstance(exc, D1VerifyError):
        raise exc
    answer = refusal(exc)
    return Response(answer.body, answer.status, dict(answer.headers))


# No path is left open, not even for health checks: Envoy asks by the app's own paths.
app = Starlette(
    routes=[Route("/{path:path}", Judge())],
    middleware=[Middleware(D1AuthMiddleware, verifier=verifier)],
    exception_handlers={TokenError: refuse},
    lifespan=d1_lifespan(verifier),
)

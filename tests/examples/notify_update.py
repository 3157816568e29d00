"""What every example with D1's notify-update route has to do, over HTTP."""

from __future__ import annotations

import httpx2

from tests.support import SUBJECT

from .serving import NOTIFY_UPDATE, Server, authorized, token_now

OWN, OTHERS = NOTIFY_UPDATE.format(SUBJECT), NOTIFY_UPDATE.format("MGW_000002")
UPDATE = {"state": "ACTIVE"}


def check_notify_update(server: Server) -> None:
    """Call the route as D1 does, and in the ways that have to fail."""
    good, expired, elsewhere = token_now(), token_now(exp=1), token_now(aud="prd")
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=20) as client:

        def post(path: str, *headers: tuple[str, str]) -> tuple[int, str | None, bytes]:
            answer = client.post(path, json=UPDATE, headers=list(headers))
            return answer.status_code, answer.headers.get("WWW-Authenticate"), answer.content

        def bearer(token: str) -> tuple[str, str]:
            return "Authorization", f"Bearer {token}"

        invalid = (401, 'Bearer realm="d1", error="invalid_token"', b'{"error":"invalid_token"}')
        assert post(OWN, bearer(good))[0] == 204
        assert post(OWN) == (401, 'Bearer realm="d1"', b'{"error":"missing_token"}')
        assert post(OWN, bearer(expired)) == invalid
        assert post(OWN, bearer(elsewhere)) == invalid
        assert post(OWN, bearer(good), bearer(good)) == (
            400,
            'Bearer realm="d1", error="invalid_request"',
            b'{"error":"invalid_request"}',
        )
        assert post(OTHERS, bearer(good)) == (
            403,
            'Bearer realm="d1", error="insufficient_scope"',
            b'{"error":"insufficient_scope"}',
        )
        assert client.get("/elsewhere").status_code == 401


def check_body_and_health(server: Server) -> None:
    """Send bodies that are no JSON object, and ask for /health without a token."""
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=20) as client:
        for body in (b"", b"{", b"[]", b"\xff"):
            headers = {**authorized(token_now()), "Content-Type": "application/json"}
            assert client.post(OWN, content=body, headers=headers).status_code in (400, 422)
        assert client.get("/health").status_code == 200
        assert client.post("/health").status_code == 401
        assert client.get("/%68ealth").status_code == 401

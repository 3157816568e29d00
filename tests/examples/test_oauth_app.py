"""Both OAuth examples, under uvicorn: D1 obtains a token with its JWT, or with its secret, and calls with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from d1verify import PublicKey
from tests.support import SUBJECT, SigningKey

from .serving import NOTIFY_UPDATE, ROOT, Server, authorized, command_of, serving, token_now

OWN, OTHERS = NOTIFY_UPDATE.format(SUBJECT), NOTIFY_UPDATE.format("MGW_000002")
MERCHANT = SigningKey("merchant")
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SECRET = "a secret of the client's"


@pytest.fixture(params=["oauth_app.py", "oauth_django.py"])
def example(request: pytest.FixtureRequest) -> Path:
    return ROOT / "examples" / str(request.param)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str | None]:
    path = tmp_path / "merchant.pem"
    path.write_text(MERCHANT.private_pem)
    return {
        "MERCHANT_KEY_PATH": str(path),
        "MERCHANT_URL": "https://pay.example.com",
        "MERCHANT_CLIENT_SECRET": SECRET,
        "DJANGO_SETTINGS_MODULE": None,
    }


@pytest.fixture
def server(example: Path, settings: dict[str, str | None]) -> Iterator[Server]:
    with serving(command_of(example), **settings) as running:
        yield running


def test_d1_obtains_a_token_with_its_jwt_and_calls_with_it(server: Server) -> None:
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=20) as client:

        def post(path: str, token: str | None = None) -> int:
            return client.post(path, json={}, headers={} if token is None else authorized(token)).status_code

        form = {"grant_type": JWT_BEARER, "assertion": token_now()}
        issued = client.post("/oauth2/token", data=form)
        assert (issued.status_code, issued.json()["expires_in"]) == (200, 900)
        token = issued.json()["access_token"]
        assert [post(OWN, token), post(OWN, token), post(OTHERS, token)] == [204, 204, 403]
        assert post(OWN) == 401
        assert post(OWN, token_now()) == 401, "D1's JWT is no access token"
        for expired in ("x", token_now(exp=1), token_now(aud="prd"), token):
            refused = client.post("/oauth2/token", data={**form, "assertion": expired})
            assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        assert post("/oauth2/token/", token) in (307, 404)
        assert client.get("/oauth2/token").status_code == 405


@pytest.mark.parametrize("example", [ROOT / "examples" / "oauth_app.py"])
def test_d1_obtains_a_token_with_its_secret_and_the_public_key_is_published(server: Server) -> None:
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=20) as client:
        form = {"grant_type": "client_credentials"}
        issued = client.post("/oauth2/token", data=form, auth=("d1-client", SECRET))
        assert client.post(OWN, headers=authorized(issued.json()["access_token"])).status_code == 204
        assert client.post("/oauth2/token", data=form, auth=("d1-client", "wrong")).status_code == 401
        (published,) = client.get("/.well-known/jwks.json").json()["keys"]
        assert PublicKey.from_jwk(published) == MERCHANT.public
        assert "d" not in published


def test_does_not_start_without_d1s_keys(example: Path, settings: dict[str, str | None]) -> None:
    changes = {**settings, "D1VERIFY_KEYS": None, "D1VERIFY_KEYS_PATH": "/nonexistent"}
    with serving(command_of(example), **changes) as server:
        assert not server.listens()
    assert "KeyStoreError" in server.output

"""Neither verifier accepts the other's tokens: key, iss, aud and typ each suffice alone, in both directions."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from d1verify import ANY_SUBJECT, ConfigurationError, D1Verifier, StaticKeyStore
from d1verify.asgi import D1AuthMiddleware, get_token
from d1verify.fastapi import D1Bearer
from d1verify.oauth import AccessTokenVerifier, SigningKey
from d1verify.wsgi import D1WSGIMiddleware
from tests.support import KEY, NOW, REMOVE, SUBJECT, make_verifier, refused
from tests.support import SigningKey as AnyKey

from .support import AUDIENCE, ISSUER, SIGNING_KEY, assertion_form, call, make_access_verifier, make_endpoint

MERCHANT = AnyKey("merchant-key")
ACCESS = make_access_verifier(store=StaticKeyStore({MERCHANT.kid: MERCHANT.pem}))
D1 = make_verifier()

D1_CLAIMS = {"iss": "d1", "aud": "stg"}
ACCESS_CLAIMS = {"iss": ISSUER, "aud": AUDIENCE}


def access_token(header: dict[str, Any] | None = None, key: AnyKey = MERCHANT, **claims: Any) -> str:
    return key.mint({"typ": "at+jwt", **(header or {})}, **{**ACCESS_CLAIMS, "iat": NOW, **claims})


# One property of D1's, everything else as an access token has it.
TO_ACCESS = {
    "key": (access_token(key=KEY), "unknown_key"),
    "key, under the merchant's kid": (access_token({"kid": MERCHANT.kid}, KEY), "bad_signature"),
    "iss": (access_token(iss="d1"), "wrong_issuer"),
    "aud": (access_token(aud="stg"), "wrong_audience"),
    "aud as an array": (access_token(aud=["stg"]), "wrong_audience"),
    "typ absent": (access_token({"typ": REMOVE}), "malformed_token"),
    "typ JWT": (access_token({"typ": "JWT"}), "malformed_token"),
    "all of it": (KEY.mint(), "malformed_token"),
}
# One property of the merchant's, everything else as a D1 token has it.
TO_D1 = {
    "key": (MERCHANT.mint(), "unknown_key"),
    "key, under D1's kid": (MERCHANT.mint({"kid": KEY.kid}), "bad_signature"),
    "iss": (KEY.mint(iss=ISSUER), "wrong_issuer"),
    "aud": (KEY.mint(aud=AUDIENCE), "wrong_audience"),
    "typ at+jwt": (KEY.mint({"typ": "at+jwt"}), "malformed_token"),
    "typ application/at+jwt": (KEY.mint({"typ": "application/AT+jwt"}), "malformed_token"),
    "all of it": (access_token(), "malformed_token"),
}


@pytest.mark.parametrize(("token", "reason"), TO_ACCESS.values(), ids=TO_ACCESS.keys())
def test_a246_access_tokens_are_not_taken_with_one_property_of_d1s(token: str, reason: str) -> None:
    assert refused(lambda: ACCESS.verify(token)) == reason


@pytest.mark.parametrize(("token", "reason"), TO_D1.values(), ids=TO_D1.keys())
def test_a246_d1s_tokens_are_not_taken_with_one_property_of_the_merchants(token: str, reason: str) -> None:
    assert refused(lambda: D1.verify(token)) == reason


def test_what_the_tables_change_would_be_accepted_unchanged() -> None:
    assert ACCESS.verify(access_token()).subject == SUBJECT
    assert ACCESS.verify(access_token({"typ": "application/at+JWT"})).subject == SUBJECT
    assert D1.verify(KEY.mint()).subject == SUBJECT


def test_a246_even_with_every_key_in_every_store_neither_takes_the_others() -> None:
    both = {KEY.kid: KEY.public, SIGNING_KEY.kid: SIGNING_KEY.public}
    d1, access = make_verifier(StaticKeyStore(both)), make_access_verifier(store=StaticKeyStore(both))
    issued = call(make_endpoint(), assertion_form()).json["access_token"]
    assert access.verify(issued).subject == SUBJECT
    assert refused(lambda: d1.verify(issued)) == "malformed_token"
    assert refused(lambda: access.verify(KEY.mint())) == "malformed_token"


PINNED = {
    "another subject": (access_token(sub="MGW_000002"), "wrong_subject"),
    "no subject": (access_token(sub=REMOVE), "missing_claim"),
    "expired": (access_token(exp=NOW - 30), "expired"),
    "good for longer than 900 s": (access_token(exp=NOW + 931), "lifetime_too_long"),
    "issued in the future": (access_token(iat=NOW + 31), "not_yet_valid"),
    "HS256": (access_token({"alg": "HS256"}), "disallowed_algorithm"),
    "no kid": (access_token({"kid": REMOVE}), "malformed_token"),
}


@pytest.mark.parametrize(("token", "reason"), PINNED.values(), ids=PINNED.keys())
def test_an_access_token_keeps_to_every_other_rule(token: str, reason: str) -> None:
    assert refused(lambda: ACCESS.verify(token)) == reason


def test_two_keys_verify_while_the_signing_key_rotates() -> None:
    old, new = SigningKey.generate(), SigningKey.generate()
    verifier = make_access_verifier(store=StaticKeyStore({key.kid: key.public for key in (old, new)}))
    for key in (old, new):
        issued = call(make_endpoint(signing_key=key), assertion_form()).json["access_token"]
        assert verifier.verify(issued).kid == key.kid
    without_old = make_access_verifier(store=StaticKeyStore({new.kid: new.public}))
    issued = call(make_endpoint(signing_key=old), assertion_form()).json["access_token"]
    assert refused(lambda: without_old.verify(issued)) == "unknown_key"


SETTINGS = {
    "issuer d1": {"issuer": "d1"},
    "no issuer": {"issuer": ""},
    "audience stg": {"audience": "stg"},
    "audience prd": {"audience": "prd"},
    "subject ''": {"subject": ""},
    "subject *": {"subject": "*"},
    "leeway": {"leeway": 301},
    "token_cache_size": {"token_cache_size": -1},
}


@pytest.mark.parametrize(("named", "changes"), SETTINGS.items(), ids=SETTINGS.keys())
def test_refuses_settings_that_are_out_of_range_or_could_be_d1s(named: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=named.split(maxsplit=1)[0]):
        make_access_verifier(**changes)


def test_any_subject_has_to_be_written() -> None:
    store = StaticKeyStore({MERCHANT.kid: MERCHANT.pem})
    with pytest.raises(TypeError):
        AccessTokenVerifier(store, issuer=ISSUER, audience=AUDIENCE)  # type: ignore[call-arg]
    anyone = make_access_verifier(store=store, subject=ANY_SUBJECT)
    assert anyone.verify(access_token(sub="MGW_000009")).subject == "MGW_000009"


def served_by_asgi(token: str) -> int:
    async def subject(request: Request) -> JSONResponse:
        return JSONResponse(get_token(request).subject)

    app = D1AuthMiddleware(Starlette(routes=[Route("/", subject)]), ACCESS)
    return TestClient(app).get("/", headers={"Authorization": f"Bearer {token}"}).status_code


def served_by_fastapi(token: str) -> int:
    from fastapi import Depends, FastAPI

    app = FastAPI(dependencies=[Depends(D1Bearer(ACCESS))])
    app.get("/")(lambda: None)
    return TestClient(app).get("/", headers={"Authorization": f"Bearer {token}"}).status_code


def served_by_wsgi(token: str) -> int:
    statuses: list[str] = []

    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    environ: Any = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_AUTHORIZATION": f"Bearer {token}"}
    D1WSGIMiddleware(app, ACCESS)(environ, lambda status, _headers: statuses.append(status))  # type: ignore[arg-type]
    return int(statuses[0][:3])


@pytest.mark.parametrize("served", [served_by_asgi, served_by_fastapi, served_by_wsgi])
def test_the_web_edges_take_it_in_place_of_a_d1verifier(served: Any) -> None:
    assert served(access_token()) == 200
    assert served(KEY.mint()) == 401


def test_is_no_d1verifier() -> None:
    assert not isinstance(ACCESS, D1Verifier)

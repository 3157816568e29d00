"""Types of the contract kit, of the pytest plugin's fixtures, and of the OAuth flow's parts."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true, reportUnusedFunction=false

from __future__ import annotations

from typing import Any, assert_type

import httpx2

from d1verify import D1Token, D1Verifier, KeyStore
from d1verify.oauth import AccessTokenVerifier, Client, D1TokenAuth, SigningKey, TokenEndpoint, merchant_jwks
from d1verify.testing import (
    REMOVE,
    Answer,
    ASGISender,
    Call,
    Case,
    Expect,
    FakeD1,
    LiveKeyStore,
    Report,
    Sender,
    TokenExpect,
    URLSender,
    WSGISender,
    contract_cases,
    run_contract,
)
from d1verify.testing import pytest_plugin as plugin
from d1verify.testing.pytest_plugin import CaseUnderTest

from .test_core_types import VERIFIER

FAKE = FakeD1(audience="stg", subject="MGW_000001")


def test_a_fake_d1_mints_for_a_verifier_of_its_own() -> None:
    store: KeyStore = FAKE.key_store
    assert_type(FAKE.key_store, LiveKeyStore)
    assert_type(FAKE.token(exp=REMOVE), str)
    assert_type(FAKE.headers(), dict[str, str])
    assert_type(FAKE.rotate(), str)
    assert_type(FAKE.claims(sub=1), dict[str, Any])
    token = D1Verifier(store, audience=FAKE.audience, subject=FAKE.subject).verify(FAKE.token())
    assert_type(token, D1Token)


def test_cases_say_what_they_expect() -> None:
    cases = contract_cases()
    assert_type(cases[0], Case)
    assert_type(cases[0].expect, Expect | TokenExpect)
    assert_type(cases[0].build(FAKE), Call)


def test_a_function_of_headers_is_a_sender() -> None:
    def send(headers: list[tuple[bytes, bytes]]) -> tuple[int, dict[str, str]]:
        return 401, {}

    assert_type(run_contract(send, FAKE, cases=[], effects=lambda: 0, on_result=print), Report)


def test_there_are_three_senders() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError

    def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
        raise NotImplementedError

    senders: list[Sender] = [
        ASGISender(app, "/notify"),
        WSGISender(wsgi_app, "/notify"),
        URLSender("http://127.0.0.1:1/"),
    ]
    assert len(senders) == 3


def _of_a_sender(sender: Sender, call: Call) -> None:
    assert_type(sender.send_call(call), Answer)


def test_the_fixtures_are_what_a_test_annotates() -> None:
    returned = {name: getattr(plugin, name).__wrapped__.__annotations__["return"] for name in ("fake_d1", "d1_case")}
    assert returned == {"fake_d1": "FakeD1", "d1_case": "CaseUnderTest"}


def _of_the_fixtures(d1_case: CaseUnderTest, fake_d1: FakeD1) -> None:
    call = d1_case.build(fake_d1)
    assert_type(call, Call)
    assert_type(d1_case.case, Case)
    response = httpx2.Client().post("/notify", headers=call.headers)
    assert_type(d1_case.check(response.status_code, response.headers, response.content), None)


def test_the_oauth_parts_fit_each_other() -> None:
    key = SigningKey.generate()
    issuer = audience = "https://merchant.example"
    clients = [Client(client_id="d1", secrets="a secret of forty-three random characters", subject="MGW_000001")]
    url = f"{issuer}/oauth2/token"
    endpoint = TokenEndpoint(
        verifier=VERIFIER, signing_key=key, issuer=issuer, audience=audience, url=url, clients=clients
    )
    assert_type(endpoint, TokenEndpoint)
    assert_type(merchant_jwks(key), dict[str, list[dict[str, str]]])
    auth = D1TokenAuth(token_url=url, signing_key=key, merchant_gateway_id="MGW_000001", audience="prd")
    client: httpx2.Client = httpx2.Client(auth=auth)
    client.close()


# What a type checker refuses.


def _refused(fake_d1: FakeD1, d1_case: CaseUnderTest, access: AccessTokenVerifier, key: SigningKey) -> None:
    FakeD1("stg", "MGW_000001")  # type: ignore[call-arg]
    FakeD1(subject=b"MGW_000001")  # type: ignore[arg-type]
    FakeD1(subject=["MGW_000001"])  # type: ignore[arg-type]
    run_contract(fake_d1)  # type: ignore[arg-type,call-arg]
    run_contract("https://merchant.example", fake_d1)  # type: ignore[arg-type]
    run_contract(lambda: None, fake_d1)  # type: ignore[arg-type,misc]
    run_contract(print, None)  # type: ignore[arg-type]
    run_contract(print, fake_d1, cases=["expired"])  # type: ignore[list-item]
    d1_case.build()  # type: ignore[call-arg]
    d1_case.check("401", {})  # type: ignore[arg-type]
    AccessTokenVerifier(fake_d1.key_store, issuer="a", audience="b")  # type: ignore[call-arg]
    AccessTokenVerifier(fake_d1.key_store, issuer="a", audience="b", subject=b"c")  # type: ignore[arg-type]
    AccessTokenVerifier(fake_d1.key_store, issuer="a", audience="b", subject="c", max_lifetime=1)  # type: ignore[call-arg]
    TokenEndpoint(verifier=None, signing_key=key, issuer="a", audience="b", url="c")  # type: ignore[arg-type]
    TokenEndpoint(access, key, "a", "b", "c")  # type: ignore[call-arg]
    merchant_jwks("pem")  # type: ignore[arg-type]

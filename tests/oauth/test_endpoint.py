"""The token endpoint, row by row of the attack catalogue's chapter 16, and the answers it gives."""

from __future__ import annotations

import base64
import json
import logging
from datetime import datetime
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from d1verify import ConfigurationError, D1Verifier, KeyStoreError, TokenError
from d1verify.oauth import TokenEndpoint
from d1verify.oauth.endpoint import MAX_BODY_BYTES
from tests.support import KEY, NOW, OTHER_KEY, REMOVE, SUBJECT, Clock, ScriptedStore, key_set, make_verifier, unb64

from .support import (
    AUDIENCE,
    CLIENT_ID,
    FORM,
    ISSUER,
    JWT_BEARER,
    SCOPE,
    SECRET,
    SIGNING_KEY,
    Answer,
    assertion_form,
    basic,
    call,
    client_form,
    make_access_verifier,
    make_endpoint,
    registered_client,
)

ENDPOINT = make_endpoint()
INVALID_REQUEST = (400, "invalid_request")
INVALID_CLIENT = (401, "invalid_client")
INVALID_GRANT = (400, "invalid_grant")


def claims_of(answer: Answer) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(unb64(answer.json["access_token"].split(".")[1]))
    return claims


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_issues_an_access_token_for_an_assertion_and_answers_as_d1s_specification_has_it(backend: str) -> None:
    answer = call(ENDPOINT, assertion_form(), backend=backend)
    assert answer.status == 200
    assert list(answer.json) == ["access_token", "token_type", "expires_in", "expires_at", "scope"]
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["scope"] == SCOPE
    assert answer.json["expires_at"] == "2027-01-15T08:15:00.000Z"
    assert datetime.fromisoformat(answer.json["expires_at"]).timestamp() == NOW + 900
    token = make_access_verifier().verify(answer.json["access_token"])
    assert (token.subject, token.claims["client_id"]) == (SUBJECT, "d1")


def test_issues_an_access_token_for_a_clients_secret() -> None:
    answer = call(ENDPOINT, client_form(), basic())
    assert answer.status == 200
    token = make_access_verifier().verify(answer.json["access_token"])
    assert (token.subject, token.claims["client_id"]) == (SUBJECT, CLIENT_ID)


@pytest.mark.parametrize(
    "body",
    [
        assertion_form() + b"&grant_type=client_credentials",
        assertion_form() + b"&grant_type=" + JWT_BEARER.encode(),
        assertion_form() + b"&assertion=x",
        assertion_form() + b"&assertion=",
        b"scope=&scope=d1%3Aread&" + assertion_form(),
        b"unheard-of=1&unheard-of=2&" + assertion_form(),
        assertion_form() + b"&%67rant_type=x",
    ],
)
def test_a233_refuses_duplicate_parameters(body: bytes) -> None:
    assert call(ENDPOINT, body).error == INVALID_REQUEST


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "post"])
def test_a234_takes_post_only(method: str) -> None:
    answer = call(ENDPOINT, assertion_form(), method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    assert answer.body == b"" if method == "HEAD" else answer.json["error"] == "invalid_request"


@pytest.mark.parametrize("query", [assertion_form(), b"a=b", b"access_token=x", b"&"])
def test_a234_takes_nothing_in_the_query(query: bytes) -> None:
    assert call(ENDPOINT, assertion_form(), query=query).error == INVALID_REQUEST
    assert call(ENDPOINT, b"", query=query).error == INVALID_REQUEST


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        b"",
        b"application/json",
        b"text/plain",
        b"multipart/form-data; boundary=x",
        b"application/x-www-form-urlencoded-not",
        b"application/x-www-form-urlencoded, application/json",
        b"application/x-www-form-urlencoded; charset=utf-16",
        b"application/x-www-form-urlencoded; boundary=x",
        b"application/x-www-form-urlencoded;" + b" " * 1000,
        b"\xff",
    ],
)
def test_a234_takes_forms_only(content_type: bytes | None) -> None:
    body = json.dumps({"grant_type": JWT_BEARER, "assertion": KEY.mint()}).encode()
    assert call(ENDPOINT, body, content_type=content_type).error == INVALID_REQUEST
    assert call(ENDPOINT, assertion_form(), content_type=content_type).error == INVALID_REQUEST


@pytest.mark.parametrize(
    "content_type",
    [FORM + b"; charset=UTF-8", FORM + b';charset="utf-8"', b"Application/X-WWW-Form-URLEncoded"],
)
def test_takes_a_form_however_its_type_is_spelt(content_type: bytes) -> None:
    assert call(ENDPOINT, assertion_form(), content_type=content_type).status == 200


def test_a234_refuses_two_content_types() -> None:
    second = (b"content-type", b"application/json")
    assert call(ENDPOINT, assertion_form(), second).error == INVALID_REQUEST


def padded(size: int) -> bytes:
    body = assertion_form() + b"&padding="
    return body + b"x" * (size - len(body))


def test_a235_reads_16_kib_and_not_a_byte_more() -> None:
    assert MAX_BODY_BYTES == 16_384
    assert call(ENDPOINT, padded(MAX_BODY_BYTES)).status == 200
    assert call(ENDPOINT, padded(MAX_BODY_BYTES + 1)).error == (413, "invalid_request")


def test_a235_stops_reading_where_the_body_is_too_long() -> None:
    taken = []

    def endless() -> Any:
        for number in range(100):
            taken.append(number)
            yield b"x" * 1024

    answer: list[dict[str, Any]] = []
    chunks = endless()

    async def receive() -> Any:
        return {"type": "http.request", "body": next(chunks), "more_body": True}

    async def send(message: Any) -> None:
        answer.append(message)

    headers = [(b"content-type", FORM)]
    scope: Any = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    anyio.run(ENDPOINT, scope, receive, send)
    assert answer[0]["status"] == 413
    assert len(taken) == 17


def test_a235_refuses_many_fields() -> None:
    fields = b"".join(b"&f%d=x" % number for number in range(30))
    assert call(ENDPOINT, assertion_form() + fields).status == 200
    assert call(ENDPOINT, assertion_form() + fields + b"&f30=x").error == INVALID_REQUEST


def test_a235_takes_no_encoded_body() -> None:
    assert call(ENDPOINT, assertion_form(), (b"content-encoding", b"gzip")).error == INVALID_REQUEST
    assert call(ENDPOINT, assertion_form(), (b"content-encoding", b"Identity")).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"grant_type=%ff",
        b"%ff=x&" + assertion_form(),
        b"padding=%c3%28&" + assertion_form(),
        "padding=ä&".encode() + assertion_form(),
        assertion_form() + b"&",
        b"&" + assertion_form(),
        b"flag&" + assertion_form(),
        b"\x00\x01",
        b"{}",
    ],
)
def test_a236_refuses_what_is_not_a_well_formed_form(body: bytes) -> None:
    assert call(ENDPOINT, body).error == INVALID_REQUEST


def test_a236_takes_an_empty_value_for_no_value() -> None:
    assert call(ENDPOINT, b"grant_type=&assertion=x").error == INVALID_REQUEST
    assert call(ENDPOINT, f"grant_type={JWT_BEARER}&assertion=".encode()).error == INVALID_REQUEST
    assert call(ENDPOINT, assertion_form() + b"&scope=&client_secret=").status == 200
    assert call(ENDPOINT, b"").error == INVALID_REQUEST


def test_a236_a_semicolon_is_part_of_a_value() -> None:
    assert call(ENDPOINT, assertion_form(padding="x;assertion=y")).status == 200
    assert call(ENDPOINT, assertion_form() + b";assertion=y").error == INVALID_GRANT
    assert call(ENDPOINT, assertion_form().replace(b"&", b";")).error == (400, "unsupported_grant_type")


def test_reads_plus_as_a_space_in_the_form() -> None:
    assert call(ENDPOINT, assertion_form(scope=SCOPE)).json["scope"] == SCOPE
    assert b"+" in assertion_form(scope=SCOPE)


MALFORMED_BASIC = {
    "nothing": b"",
    "another scheme": b"Bearer " + base64.b64encode(f"{CLIENT_ID}:{SECRET}".encode()),
    "scheme alone": b"Basic",
    "no value": b"Basic ",
    "no base64": b"Basic !!!!",
    "impossible length": b"Basic YWJjZ",
    "no colon": b"Basic " + base64.b64encode(CLIENT_ID.encode()),
    "no id": b"Basic " + base64.b64encode(f":{SECRET}".encode()),
    "no secret": b"Basic " + base64.b64encode(f"{CLIENT_ID}:".encode()),
    "neither": b"Basic Og==",
    "not UTF-8": b"Basic " + base64.b64encode(CLIENT_ID.encode() + b":\xff\xfe"),
    "not UTF-8 in the id": b"Basic " + base64.b64encode(b"\xff:" + SECRET.encode()),
    "not UTF-8 once form-decoded": b"Basic " + base64.b64encode(f"{CLIENT_ID}:%ff".encode()),
    "a NUL after the secret": b"Basic " + base64.b64encode(f"{CLIENT_ID}:{SECRET}\x00".encode()),
    "a tab": b"Basic\t" + base64.b64encode(f"{CLIENT_ID}:{SECRET}".encode()),
    "very long": b"Basic " + base64.b64encode(f"{CLIENT_ID}:{SECRET}".encode() + b"x" * 5000),
    "bytes above ASCII": b"Basic \xe4\xf6\xfc",
}


@pytest.mark.parametrize("value", MALFORMED_BASIC.values(), ids=MALFORMED_BASIC.keys())
def test_a237_refuses_malformed_basic_credentials_with_a_challenge(value: bytes) -> None:
    answer = call(ENDPOINT, client_form(), (b"authorization", value))
    assert answer.error == INVALID_CLIENT
    assert answer.headers["www-authenticate"] == 'Basic realm="d1", charset="UTF-8"'


def test_a237_wants_credentials_for_client_credentials() -> None:
    assert call(ENDPOINT, client_form()).error == INVALID_CLIENT
    assert call(ENDPOINT, client_form(client_id=CLIENT_ID, client_secret=SECRET)).error == INVALID_CLIENT


@pytest.mark.parametrize(
    ("client_id", "secret"),
    [("d1:client", "a:b"), ("d1", "50% + 50%"), ("d1", "%41"), ("d1", "a+b"), ("d1", "ß€😀"), ("a+b%20c", "x y")],
)
def test_a237_reads_form_encoded_credentials_and_plain_ones_where_they_can_be_told_apart(
    client_id: str, secret: str
) -> None:
    endpoint = make_endpoint(clients=[registered_client(client_id=client_id, secrets=secret)])
    assert call(endpoint, client_form(), basic(client_id, secret, form_encoded=True)).status == 200
    plain = call(endpoint, client_form(), basic(client_id, secret))
    assert plain.status == (401 if ":" in client_id else 200)


def test_a237_takes_base64url_which_d1s_specification_names() -> None:
    secret = "»»>>??"
    endpoint = make_endpoint(clients=[registered_client(secrets=secret)])
    standard = base64.b64encode(f"{CLIENT_ID}:{secret}".encode())
    in_urls = base64.urlsafe_b64encode(f"{CLIENT_ID}:{secret}".encode())
    assert standard != in_urls
    for value in (standard, in_urls, in_urls.rstrip(b"=")):
        assert call(endpoint, client_form(), (b"authorization", b"bAsIc  " + value)).status == 200


def test_a238_compares_secrets_beyond_ascii() -> None:
    assert call(ENDPOINT, client_form(), basic(secret="pässwörd")).error == INVALID_CLIENT
    assert call(ENDPOINT, client_form(), basic(client_id="dö")).error == INVALID_CLIENT


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (client_form(client_id=CLIENT_ID, client_secret=SECRET), [basic()]),
        (client_form(client_assertion="x", client_assertion_type="y"), [basic()]),
        (client_form(assertion=KEY.mint()), [basic()]),
        (client_form(assertion=KEY.mint(), client_secret=SECRET), []),
        (assertion_form(), [basic()]),
        (assertion_form(), [(b"authorization", b"")]),
        (assertion_form(), [(b"authorization", b"Bearer " + KEY.mint().encode())]),
        (assertion_form(client_secret=SECRET), []),
        (assertion_form(client_assertion=KEY.mint()), []),
        (assertion_form(client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), []),
        (client_form(), [basic(), basic()]),
        (client_form(), [basic(), (b"Authorization", b"Basic x")]),
        (client_form(client_id="another"), [basic()]),
    ],
)
def test_a241_refuses_two_ways_of_authentication(body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    assert call(ENDPOINT, body, *headers).error == INVALID_REQUEST


def test_takes_a_client_id_in_the_body_that_is_the_headers() -> None:
    assert call(ENDPOINT, client_form(client_id=CLIENT_ID), basic()).status == 200


@pytest.mark.parametrize(
    "grant_type",
    [
        "password",
        "refresh_token",
        "authorization_code",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:saml2-bearer",
        "CLIENT_CREDENTIALS",
        "client_credentials ",
        " client_credentials",
        JWT_BEARER.upper(),
        JWT_BEARER + " ",
        JWT_BEARER + "\x00",
        "None",
        "default",
    ],
)
def test_a242_refuses_every_other_grant(grant_type: str) -> None:
    body = client_form(grant_type=grant_type)
    assert call(ENDPOINT, body, basic()).error == (400, "unsupported_grant_type")
    assert call(ENDPOINT, assertion_form(grant_type=grant_type)).error == (400, "unsupported_grant_type")


def test_a242_has_no_client_credentials_without_clients() -> None:
    endpoint = make_endpoint(clients=())
    assert call(endpoint, client_form(), basic()).error == (400, "unsupported_grant_type")
    assert call(endpoint, assertion_form()).status == 200


def test_a243_and_a245_keep_no_memory_of_assertions_so_the_exposure_is_its_exp_and_900_seconds() -> None:
    clock = Clock()
    endpoint = make_endpoint(verifier=make_verifier(clock=clock), clock=clock)
    assertion = KEY.mint(exp=NOW + 900)
    tokens = {call(endpoint, assertion_form(assertion)).json["access_token"] for _ in range(3)}
    assert len(tokens) == 3
    clock.advance(900 + 29)  # The last moment at which it is granted: its exp and the leeway.
    last = call(endpoint, assertion_form(assertion))
    assert last.status == 200
    clock.advance(1)
    assert call(endpoint, assertion_form(assertion)).error == INVALID_GRANT
    access = make_access_verifier(clock=clock)
    clock.now = NOW + 900 + 29 + 900 + 29  # The last moment at which the access token is good.
    access.verify(last.json["access_token"])
    clock.advance(1)
    with pytest.raises(TokenError):
        access.verify(last.json["access_token"])


def test_a244_a_forged_assertion_burns_nothing() -> None:
    good = KEY.mint()
    forged = good[: good.rindex(".")] + "." + OTHER_KEY.mint().split(".")[2]
    assert call(ENDPOINT, assertion_form(forged)).error == INVALID_GRANT
    assert call(ENDPOINT, assertion_form(good)).status == 200


def test_a246_an_access_token_is_no_grant_for_another() -> None:
    access_token = call(ENDPOINT, assertion_form()).json["access_token"]
    assert call(ENDPOINT, assertion_form(access_token)).error == INVALID_GRANT
    with pytest.raises(ConfigurationError, match="verifier"):
        make_endpoint(verifier=make_access_verifier())


def test_a247_the_token_is_es256_with_every_claim_of_rfc_9068() -> None:
    answer = call(ENDPOINT, assertion_form())
    header = json.loads(unb64(answer.json["access_token"].split(".")[0]))
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": SIGNING_KEY.kid}
    claims = claims_of(answer)
    jti = claims.pop("jti")
    assert claims == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": SUBJECT,
        "client_id": "d1",
        "iat": NOW,
        "exp": NOW + 900,
        "scope": SCOPE,
    }
    assert len(jti) >= 16
    assert claims_of(call(ENDPOINT, assertion_form()))["jti"] != jti


@pytest.mark.parametrize(("body", "headers"), [(assertion_form(), []), (client_form(), [basic()])])
def test_a248_every_time_comes_from_one_reading_of_the_clock(body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    readings = iter([NOW + 0.9, NOW + 5000])
    answer = call(make_endpoint(clock=lambda: next(readings)), body, *headers)
    claims = claims_of(answer)
    assert answer.json["expires_in"] == 900
    assert type(answer.json["expires_in"]) is int
    assert (claims["iat"], claims["exp"]) == (NOW, NOW + 900)
    assert datetime.fromisoformat(answer.json["expires_at"]).timestamp() == NOW + 900
    assert next(readings) == NOW + 5000


def broken_endpoint() -> TokenEndpoint:
    return make_endpoint(verifier=make_verifier(ScriptedStore(KeyStoreError("down"))))


ANSWERS = {
    "issued": (200, ENDPOINT, assertion_form(), {}),
    "refused": (400, ENDPOINT, b"", {}),
    "refused assertion": (400, ENDPOINT, assertion_form("x"), {}),
    "refused client": (401, ENDPOINT, client_form(), {}),
    "too long": (413, ENDPOINT, padded(MAX_BODY_BYTES + 1), {}),
    "refused method": (405, ENDPOINT, b"", {"method": "GET"}),
    "no keys": (503, None, assertion_form(), {}),
}


@pytest.mark.parametrize(("status", "endpoint", "body", "how"), ANSWERS.values(), ids=ANSWERS.keys())
def test_a249_no_answer_is_stored(status: int, endpoint: TokenEndpoint | None, body: bytes, how: Any) -> None:
    answer = call(endpoint or broken_endpoint(), body, **how)
    assert answer.status == status
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))


MARK = 'markmark"\\\r\n<b>\u20ac'


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (client_form(grant_type=MARK), []),
        (assertion_form(MARK), []),
        (assertion_form(scope=MARK), []),
        (client_form(), [basic(MARK, MARK)]),
        (client_form(client_id=MARK), [basic()]),
        (client_form(), [(b"authorization", MARK.encode())]),
    ],
)
def test_a250_an_error_repeats_nothing_of_the_request(body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    answer = call(ENDPOINT, body, *headers)
    assert answer.status in (400, 401)
    assert set(answer.json) == {"error", "error_description"}
    assert "markmark" not in answer.body.decode() + str(answer.headers)
    assert answer.json["error_description"].isascii()
    assert not set(answer.json["error_description"]) & set('"\\')


@pytest.mark.parametrize(
    ("asked", "granted"),
    [("d1:read", "d1:read"), ("d1:read d1:notify", SCOPE), (SCOPE, SCOPE), ("d1:read d1:read", "d1:read")],
)
def test_a251_grants_the_part_of_the_scope_that_is_asked_for(asked: str, granted: str) -> None:
    for answer in (
        call(ENDPOINT, assertion_form(scope=asked)),
        call(ENDPOINT, client_form(scope=asked), basic()),
    ):
        assert answer.json["scope"] == granted
        assert claims_of(answer)["scope"] == granted


@pytest.mark.parametrize(
    "asked", ["admin", f"{SCOPE} admin", "D1:READ", "d1:read  d1:notify", " d1:read", "d1:read\td1:notify", '"', "*"]
)
def test_a251_grants_no_scope_that_is_not_configured(asked: str) -> None:
    assert call(ENDPOINT, assertion_form(scope=asked)).error == (400, "invalid_scope")
    assert call(ENDPOINT, client_form(scope=asked), basic()).error == (400, "invalid_scope")


def test_without_a_scope_of_its_own_the_scope_is_d1() -> None:
    endpoint = make_endpoint(scope=None)
    assert claims_of(call(endpoint, assertion_form()))["scope"] == "d1"
    assert call(endpoint, assertion_form(scope="admin")).error == (400, "invalid_scope")


@pytest.mark.parametrize(
    "assertion",
    [
        KEY.mint(aud="prd"),
        KEY.mint(aud="https://pay.example.com/oauth2/token"),
        KEY.mint(aud=["stg", ""]),
        KEY.mint(aud=REMOVE),
        KEY.mint(sub="MGW_000002"),
        KEY.mint(iss=SUBJECT),
    ],
)
def test_a252_environment_and_subject_are_pinned_where_aud_is_no_url(assertion: str) -> None:
    assert call(ENDPOINT, assertion_form(assertion)).error == INVALID_GRANT


@pytest.mark.parametrize(
    "assertion",
    [
        "x",
        "a.b.c",
        ".." + "A" * 86,
        "ä.b.c",
        KEY.mint() + "=",
        KEY.mint({"alg": "none"}),
        KEY.mint({"alg": "HS256"}),
        KEY.mint({"kid": REMOVE}),
        KEY.mint({"kid": 7}),
        KEY.mint({"typ": "at+jwt"}),
        KEY.sign(KEY.header(), b"[]"),
        KEY.sign(KEY.header(), b"\xff"),
        KEY.sign(b'["alg"]', b"{}"),
        KEY.sign(KEY.header(crit=None), b"{}"),
        KEY.sign(KEY.header(), b"[" * 2000),
        KEY.mint(exp=NOW - 3600),
        KEY.mint(exp=NOW + 100_000),
        KEY.mint(exp=REMOVE),
        KEY.mint(exp="soon"),
        KEY.mint(iss=7),
        KEY.mint(iss=REMOVE),
        KEY.mint(sub=REMOVE),
        OTHER_KEY.mint(),
        OTHER_KEY.mint({"kid": KEY.kid}),
        "x" * 9000,
    ],
)
def test_a253_an_assertion_that_is_no_good_is_an_invalid_grant(assertion: str) -> None:
    assert call(ENDPOINT, assertion_form(assertion)).error == INVALID_GRANT


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_key_trouble_is_503_with_the_time_to_come_back(backend: str) -> None:
    answer = call(broken_endpoint(), assertion_form(), backend=backend)
    assert answer.error == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_awaits_keys_that_have_to_be_loaded_first(backend: str) -> None:
    store = ScriptedStore(key_set(KEY))
    assert call(make_endpoint(verifier=make_verifier(store)), assertion_form(), backend=backend).status == 200
    assert store.loads == 1


def test_a254_a_client_that_is_called_like_a_gateway_speaks_for_its_own_gateway_alone() -> None:
    endpoint = make_endpoint(clients=[registered_client(client_id="MGW_000002")])
    answer = call(endpoint, client_form(), basic("MGW_000002"))
    claims = claims_of(answer)
    assert (claims["client_id"], claims["sub"]) == ("MGW_000002", SUBJECT)
    with pytest.raises(TokenError, match="subject"):
        make_access_verifier(subject="MGW_000002").verify(answer.json["access_token"])
    for name in ("sub", "subject", "client_id", "username"):
        body = client_form(**{name: "MGW_000003"})
        assert "MGW_000003" not in call(endpoint, body, basic("MGW_000002")).body.decode()


def test_a255_a_rate_limit_around_it_sees_every_guess() -> None:
    class Limit:
        """Three wrong guesses, then 429, as any ASGI rate limit would have it."""

        guesses = 0

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def watched(message: Any) -> None:
                self.guesses += message.get("status") == 401
                await send(message)

            if self.guesses >= 3:
                await send({"type": "http.response.start", "status": 429, "headers": []})
                await send({"type": "http.response.body", "body": b""})
            else:
                await ENDPOINT(scope, receive, watched)

    client = TestClient(Starlette(routes=[Route("/oauth2/token", Limit())]))
    form = {"grant_type": "client_credentials"}
    answers = [client.post("/oauth2/token", data=form, auth=(CLIENT_ID, str(n))).status_code for n in range(5)]
    assert answers == [401, 401, 401, 429, 429]


def test_a256_is_one_exact_path_beside_the_guarded_ones() -> None:
    from d1verify.asgi import D1AuthMiddleware

    guarded = D1AuthMiddleware(Starlette(routes=[Route("/{rest:path}", ENDPOINT)]), make_access_verifier())
    app = Starlette(routes=[Route("/oauth2/token", ENDPOINT), Mount("/", app=guarded)])
    client = TestClient(app, follow_redirects=False)

    def post(path: str) -> int:
        return client.post(path, content=assertion_form(), headers={"Content-Type": FORM.decode()}).status_code

    assert post("/oauth2/token") == 200
    for path in ("/oauth2/tokens", "/oauth2/token/x", "/oauth2", "/OAUTH2/token", "/oauth2//token", "/x/oauth2/token"):
        assert post(path) == 401, path


def test_as_a_mount_it_answers_under_its_own_path_too() -> None:
    client = TestClient(Starlette(routes=[Mount("/oauth2/token", app=ENDPOINT)]))
    answer = client.post("/oauth2/token", content=assertion_form(), headers={"Content-Type": FORM.decode()})
    assert answer.status_code == 200


def test_a258_has_no_cors_and_takes_no_cookie_for_credentials() -> None:
    origin = (b"origin", b"https://evil.example")
    preflight = call(ENDPOINT, b"", origin, (b"access-control-request-method", b"POST"), method="OPTIONS")
    assert preflight.status == 405
    issued = call(ENDPOINT, assertion_form(), origin)
    assert not [name for name in {**preflight.headers, **issued.headers} if name.startswith("access-control")]
    cookie = (b"cookie", b"authorization=" + basic()[1])
    assert call(ENDPOINT, client_form(), cookie, origin).error == INVALID_CLIENT


def test_logs_a_refusal_without_a_word_of_the_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    call(ENDPOINT, client_form(grant_type="markmark"), basic("markmark", "markmark"))
    assert "refused a token request: unsupported_grant_type" in caplog.messages
    assert "markmark" not in caplog.text


def test_says_nothing_to_a_caller_that_has_gone() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", FORM)]
    scope: Any = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    anyio.run(ENDPOINT, scope, receive, send)
    assert sent == []


def test_closes_websockets_and_refuses_other_scope_types() -> None:
    sent: list[Any] = []
    came = iter(["websocket.connect", "websocket.disconnect"])

    async def receive() -> Any:
        return {"type": next(came)}

    async def send(message: Any) -> None:
        sent.append(message)

    anyio.run(ENDPOINT, {"type": "websocket"}, receive, send)
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 1008)]
    anyio.run(ENDPOINT, {"type": "websocket"}, receive, send)
    assert len(sent) == 1, "a client that has gone is not answered"
    for kind in ("lifespan", "webtransport"):
        with pytest.raises(ValueError, match="http only"):
            anyio.run(ENDPOINT, {"type": kind}, receive, send)


SETTINGS = {
    "an issuer of d1": ({"issuer": "d1"}, "issuer"),
    "an issuer nearly d1": ({"issuer": " D1"}, "issuer"),
    "no issuer": ({"issuer": ""}, "issuer"),
    "an issuer of spaces": ({"issuer": "  "}, "issuer"),
    "an issuer that is no text": ({"issuer": None}, "issuer"),
    "an audience of stg": ({"audience": "stg"}, "audience"),
    "an audience of prd": ({"audience": "PRD"}, "audience"),
    "no audience": ({"audience": ""}, "audience"),
    "several audiences": ({"audience": ["a", "b"]}, "audience"),
    "an http url": ({"url": "http://pay.example.com/oauth2/token"}, "url"),
    "a path for a url": ({"url": "/oauth2/token"}, "url"),
    "no verifier": ({"verifier": object()}, "verifier"),
    "an empty scope": ({"scope": ""}, "scope"),
    "a scope with a quote": ({"scope": 'a"b'}, "scope"),
    "a scope with two spaces": ({"scope": "a  b"}, "scope"),
    "a list of scopes": ({"scope": ["a"]}, "scope"),
    "no clock": ({"clock": NOW}, "clock"),
    "a client that is none": ({"clients": [("id", "secret")]}, "clients"),
    "clients that are one": ({"clients": registered_client()}, None),
    "two clients of one name": ({"clients": [registered_client(), registered_client()]}, "client_id"),
    "a public key": ({"signing_key": KEY.pem}, "signing_key"),
}


@pytest.mark.parametrize(("changes", "named"), SETTINGS.values(), ids=SETTINGS.keys())
def test_refuses_settings_that_are_out_of_range_or_could_be_d1s(changes: dict[str, Any], named: str | None) -> None:
    if named is None:
        assert call(make_endpoint(**changes), client_form(), basic()).status == 200
        return
    with pytest.raises(ConfigurationError, match=named):
        make_endpoint(**changes)


@pytest.mark.parametrize(
    "url",
    ["HTTPS://pay.example.com/oauth2/token", "http://127.0.0.1:8000/oauth2/token", "http://127.9.9.9/oauth2/token"],
)
def test_takes_a_url_in_capitals_and_one_of_this_machine(url: str) -> None:
    assert call(make_endpoint(url=url), assertion_form()).status == 200


def test_takes_a_verifier_for_any_subject_and_gives_tokens_for_each() -> None:
    verifier: D1Verifier = make_verifier(subject=["MGW_000001", "MGW_000002"])
    answer = call(make_endpoint(verifier=verifier), assertion_form(KEY.mint(sub="MGW_000002")))
    assert claims_of(answer)["sub"] == "MGW_000002"

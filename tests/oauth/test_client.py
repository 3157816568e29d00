"""`D1TokenAuth` from the outside: a real token endpoint on loopback, and a D1 that checks what it is sent."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx2
import pytest
import trustme

from d1verify import ConfigurationError, D1Verifier, StaticKeyStore
from d1verify.keystores import _fetching
from d1verify.oauth import D1TokenAuth, TokenRequestError
from tests.loads import waiters
from tests.support import NOW, PATIENCE, SUBJECT, Clock, auntil, make_verifier, unb64, until

from .servers import TokenServer, http_answer, token_answer, token_server
from .support import JWT_BEARER, SIGNING_KEY


def make_auth(server: TokenServer | None = None, **changes: Any) -> D1TokenAuth:
    """Return an auth for a token server, whose token may go to `https://d1.example`."""
    settings: dict[str, Any] = {
        "token_url": "https://d1.example/authz/v1/oauth2/token" if server is None else server.url,
        "signing_key": SIGNING_KEY,
        "merchant_gateway_id": SUBJECT,
        "audience": "stg",
        "origin": "https://d1.example",
        "clock": lambda: NOW,
        **changes,
    }
    return D1TokenAuth(**settings)


def waiting(auth: D1TokenAuth) -> int:
    """Return how many callers hang on the token request in the air."""
    return waiters(auth._source._pending)


class D1:
    """D1's API as a transport: it accepts the tokens that it is told to accept, and remembers what came."""

    def __init__(self, *accepted: str) -> None:
        self.accepted = set(accepted)
        self.seen: list[tuple[str, str | None, bytes]] = []
        self.redirects: dict[str, str] = {}

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        credentials = request.headers.get("Authorization")
        self.seen.append((str(request.url), credentials, request.content))
        if request.url.path in self.redirects:
            return httpx2.Response(307, headers={"Location": self.redirects[request.url.path]})
        good = credentials is not None and credentials.removeprefix("Bearer ") in self.accepted
        return httpx2.Response(200 if good else 401, json={"with": credentials})

    @property
    def credentials(self) -> list[str | None]:
        return [credentials for _, credentials, _ in self.seen]

    def client(self, auth: D1TokenAuth, **settings: Any) -> httpx2.Client:
        transport = httpx2.MockTransport(self)
        return httpx2.Client(auth=auth, transport=transport, base_url="https://d1.example/banking/v1", **settings)

    def async_client(self, auth: D1TokenAuth, **settings: Any) -> httpx2.AsyncClient:
        transport = httpx2.MockTransport(self)
        return httpx2.AsyncClient(auth=auth, transport=transport, base_url="https://d1.example/banking/v1", **settings)


Get = Callable[[D1, D1TokenAuth, int], list[int]]


def get_sync(d1: D1, auth: D1TokenAuth, times: int) -> list[int]:
    with d1.client(auth) as client:
        return [client.get("/cards").status_code for _ in range(times)]


def get_async(d1: D1, auth: D1TokenAuth, times: int, backend: str) -> list[int]:
    async def run() -> list[int]:
        async with d1.async_client(auth) as client:
            return [(await client.get("/cards")).status_code for _ in range(times)]

    return anyio.run(run, backend=backend)


@pytest.fixture(params=["sync", "asyncio", "trio"])
def get(request: pytest.FixtureRequest) -> Get:
    """Each behaviour holds for the sync client and for the async one on both event loops."""
    if request.param == "sync":
        return get_sync
    backend: str = request.param
    return lambda d1, auth, times: get_async(d1, auth, times, backend)


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with token_server(token_answer("T1"), token_answer("T2"), token_answer("T3")) as running:
        yield running


def test_obtains_one_token_and_uses_it_for_every_call(server: TokenServer, get: Get) -> None:
    d1 = D1("T1")
    assert get(d1, make_auth(server), 3) == [200, 200, 200]
    assert d1.credentials == ["Bearer T1"] * 3
    assert len(server.requests) == 1


def test_signs_the_assertion_that_d1_asks_for(server: TokenServer) -> None:
    get_sync(D1("T1"), make_auth(server), 1)
    headers, form = server.requests[0]
    assert headers[":request-line"] == "POST /authz/v1/oauth2/token HTTP/1.1"
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert 0 < len(headers["x-correlation-id"]) <= 64
    assert headers["x-correlation-id"].isalnum()
    assert set(form) == {"grant_type", "assertion"}
    assert form["grant_type"] == JWT_BEARER
    header, payload = (json.loads(unb64(part)) for part in form["assertion"].split(".")[:2])
    assert header == {"alg": "ES256", "kid": SIGNING_KEY.kid, "typ": "JWT"}
    assert payload.pop("jti")
    assert payload == {"iss": SUBJECT, "sub": SUBJECT, "aud": "stg", "iat": NOW, "exp": NOW + 300}


def test_the_assertion_is_one_that_a_d1verifier_takes_when_the_issuer_is_d1(server: TokenServer) -> None:
    get_sync(D1("T1"), make_auth(server, issuer="d1", assertion_lifetime=900), 1)
    verifier: D1Verifier = make_verifier(StaticKeyStore({SIGNING_KEY.kid: SIGNING_KEY.public}))
    token = verifier.verify(server.requests[0][1]["assertion"])
    assert (token.subject, token.expires_at) == (SUBJECT, NOW + 900)


def test_each_request_has_an_assertion_and_a_correlation_id_of_its_own(server: TokenServer) -> None:
    auth = make_auth(server)
    get_sync(D1("T2"), auth, 1)
    (first, first_form), (second, second_form) = server.requests
    assert first["x-correlation-id"] != second["x-correlation-id"]
    assert first_form["assertion"].split(".")[1] != second_form["assertion"].split(".")[1]


@pytest.mark.parametrize(("seconds", "end"), [(900, 870), (120, 90), (40, 20), (1, 0.5), (3600, 870), (899.5, 869.5)])
def test_uses_a_token_until_shortly_before_it_expires_and_for_900_seconds_at_most(seconds: float, end: float) -> None:
    timer = Clock(0)
    with token_server(token_answer("T1", expires_in=seconds), token_answer("T2")) as server:
        d1, auth = D1("T1", "T2"), make_auth(server, timer=timer)
        get_sync(d1, auth, 1)
        timer.now = end - 0.01
        get_sync(d1, auth, 1)
        assert len(server.requests) == 1
        timer.now = end
        get_sync(d1, auth, 1)
    assert d1.credentials == ["Bearer T1", "Bearer T1", "Bearer T2"]


def test_a_401_is_answered_with_one_retry_and_a_fresh_token(server: TokenServer, get: Get) -> None:
    d1, auth = D1("T1"), make_auth(server)
    assert get(d1, auth, 1) == [200]
    d1.accepted = {"T2"}
    assert get(d1, auth, 2) == [200, 200]
    assert d1.credentials == ["Bearer T1", "Bearer T1", "Bearer T2", "Bearer T2"]
    d1.accepted = {"T3"}
    assert get(d1, auth, 1) == [200]
    assert len(server.requests) == 3


def test_a_401_to_the_retry_as_well_is_the_answer(server: TokenServer, get: Get) -> None:
    d1 = D1()
    assert get(d1, make_auth(server), 1) == [401]
    assert d1.credentials == ["Bearer T1", "Bearer T2"]


def test_a_d1_that_refuses_every_token_does_not_cause_a_token_request_per_call(server: TokenServer, get: Get) -> None:
    d1, timer = D1(), Clock(0)
    auth = make_auth(server, timer=timer)
    assert get(d1, auth, 5) == [401] * 5
    assert len(server.requests) == 2
    timer.advance(30)
    assert get(d1, auth, 5) == [401] * 5
    assert len(server.requests) == 3


def test_a_token_requested_because_the_last_one_ran_out_may_be_replaced_at_once(server: TokenServer) -> None:
    d1, timer = D1("T2"), Clock(0)
    auth = make_auth(server, timer=timer)
    assert get_sync(d1, auth, 1) == [200]  # T1 was refused, T2 issued instead.
    timer.advance(900)
    server.answer = lambda number: token_answer(f"T{number}")
    d1.accepted = {"T4"}
    assert get_sync(d1, auth, 1) == [200]
    assert d1.credentials == ["Bearer T1", "Bearer T2", "Bearer T3", "Bearer T4"]


def test_the_environments_proxies_do_not_see_the_token_request(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with token_server(token_answer("STOLEN")) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/authz/v1/oauth2/token"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert get_sync(D1("T1"), make_auth(server), 1) == [200]
        assert not proxy.requests


class OneWay(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Sends a body as a network does: it is read once, from the stream. Accepts T2."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def answer(self, request: httpx2.Request, body: bytes) -> httpx2.Response:
        self.bodies.append(body)
        return httpx2.Response(200 if request.headers["Authorization"] == "Bearer T2" else 401)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.answer(request, b"".join(request.stream))  # type: ignore[arg-type]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.answer(request, b"".join([part async for part in request.stream]))  # type: ignore[union-attr]


def test_the_retry_sends_the_same_body_from_a_stream(server: TokenServer) -> None:
    def body() -> Iterator[bytes]:
        yield b"once "
        yield b"only"

    transport = OneWay()
    with httpx2.Client(auth=make_auth(server), transport=transport) as client:
        assert client.post("https://d1.example/cards", content=body()).status_code == 200
    assert transport.bodies == [b"once only", b"once only"]


@pytest.mark.anyio
async def test_the_retry_sends_the_same_body_from_an_async_stream(server: TokenServer) -> None:
    async def body() -> Any:
        yield b"once "
        yield b"only"

    transport = OneWay()
    async with httpx2.AsyncClient(auth=make_auth(server), transport=transport) as client:
        assert (await client.post("https://d1.example/cards", content=body())).status_code == 200
    assert transport.bodies == [b"once only", b"once only"]


def test_a_refused_token_that_is_no_longer_the_current_one_costs_no_new_one(server: TokenServer) -> None:
    d1, auth = D1("T1"), make_auth(server)
    get_sync(d1, auth, 1)
    slow = auth.sync_auth_flow(httpx2.Request("GET", "https://d1.example/slow"))
    request = next(slow)
    assert request.headers["Authorization"] == "Bearer T1"
    d1.accepted = {"T2"}
    get_sync(d1, auth, 1)  # Another call meets the 401 first and has T2 issued.
    assert slow.send(httpx2.Response(401, request=request)).headers["Authorization"] == "Bearer T2"
    assert len(server.requests) == 2


def test_many_callers_who_meet_the_401_at_once_cause_one_new_token(server: TokenServer) -> None:
    d1, auth = D1("T1"), make_auth(server)
    get_sync(d1, auth, 1)
    flows = [auth.sync_auth_flow(httpx2.Request("GET", "https://d1.example/")) for _ in range(20)]
    requests = [next(flow) for flow in flows]
    retries = [flow.send(httpx2.Response(401, request=request)) for flow, request in zip(flows, requests, strict=True)]
    assert {request.headers["Authorization"] for request in retries} == {"Bearer T2"}
    assert len(server.requests) == 2


ELSEWHERE = [
    "https://evil.example/cards",
    "http://d1.example/cards",
    "https://d1.example:8443/cards",
    "https://d1.example.evil.example/cards",
    "https://sub.d1.example/cards",
    "https://evil.example/?https://d1.example/",
    "https://d1.example@evil.example/cards",
]


@pytest.mark.parametrize("url", ELSEWHERE)
def test_no_other_origin_gets_the_token(url: str, server: TokenServer) -> None:
    d1, auth = D1("T1"), make_auth(server)
    with d1.client(auth) as client:
        client.get("/cards")
        client.get(url)
    assert d1.credentials == ["Bearer T1", None]
    assert len(server.requests) == 1


@pytest.mark.anyio
async def test_no_other_origin_gets_the_token_from_the_async_client(server: TokenServer) -> None:
    d1 = D1("T1")
    async with d1.async_client(make_auth(server)) as client:
        await client.get("https://evil.example/")
    assert d1.credentials == [None]
    assert not server.requests


@pytest.mark.parametrize("url", ["https://d1.example:443/cards", "https://D1.Example/cards", "HTTPS://d1.example/"])
def test_the_origin_may_be_spelt_in_other_ways(url: str, server: TokenServer) -> None:
    d1 = D1("T1")
    with d1.client(make_auth(server)) as client:
        client.get(url)
    assert d1.credentials == ["Bearer T1"]


def test_a_redirect_to_another_origin_leaves_the_token_behind(server: TokenServer) -> None:
    d1, auth = D1("T1"), make_auth(server)
    d1.redirects = {"/banking/v1/cards": "https://evil.example/"}
    with d1.client(auth, follow_redirects=True) as client:
        assert client.get("/cards").status_code == 401
    assert d1.credentials == ["Bearer T1", None]
    assert len(server.requests) == 1


def test_the_token_urls_origin_is_the_default(server: TokenServer) -> None:
    d1, auth = D1("T1"), make_auth(server, origin=None)
    with d1.client(auth) as client:
        client.get(server.url)
        client.get("https://d1.example/")
    assert d1.credentials == ["Bearer T1", None]


def test_a_redirect_at_the_token_url_is_refused_whatever_the_client_does() -> None:
    with token_server(token_answer("STOLEN")) as elsewhere:
        for status in ("301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"):
            answer = http_answer({}, status, f"Location: {elsewhere.url}")
            d1 = D1("STOLEN")
            with (
                token_server(answer) as server,
                d1.client(make_auth(server), follow_redirects=True) as client,
                pytest.raises(TokenRequestError, match="redirect") as caught,
            ):
                client.get("/cards")
            assert caught.value.status == int(status[:3])
            assert not d1.seen
        assert not elsewhere.requests


HOSTILE: dict[str, tuple[bytes, str]] = {
    "garbage": (b"\x00\xff\r\n\r\n", "could not be asked"),
    "a closed connection": (b"", "could not be asked"),
    "half a body": (http_answer(b"x" * 100)[:-50], "could not be asked"),
    "no JSON": (http_answer(b"<html>"), "not JSON"),
    "an array": (http_answer(b"[]"), "not JSON"),
    "two access tokens": (http_answer(b'{"access_token":"a","access_token":"b"}'), "not JSON"),
    "NaN": (http_answer(b'{"access_token":"a","token_type":"Bearer","expires_in":NaN}'), "not JSON"),
    "nothing": (http_answer({}), "access_token"),
    "no access_token": (token_answer("a", access_token=None), "access_token"),
    "an access_token that is a number": (token_answer("a", access_token=7), "access_token"),
    "an empty access_token": (token_answer(""), "access_token"),
    "an access_token with a line end": (token_answer("a\r\nX-Evil: 1"), "access_token"),
    "an access_token with a space": (token_answer("a b"), "access_token"),
    "an access_token beyond ASCII": (token_answer("ä"), "access_token"),
    "a huge access_token": (token_answer("a" * 9000), "access_token"),
    "no token_type": (token_answer("a", token_type=None), "token_type"),
    "an unknown token_type": (token_answer("a", token_type="DPoP"), "token_type"),
    "a token_type that is a list": (token_answer("a", token_type=["Bearer"]), "token_type"),
    "no expires_in": (token_answer("a", expires_in=None), "expires_in"),
    "expires_in 0": (token_answer("a", expires_in=0), "expires_in"),
    "expires_in below 0": (token_answer("a", expires_in=-1), "expires_in"),
    "expires_in as a string": (token_answer("a", expires_in="900"), "expires_in"),
    "expires_in true": (token_answer("a", expires_in=True), "expires_in"),
    "expires_in as a list": (token_answer("a", expires_in=[900]), "expires_in"),
    "a long answer": (http_answer(b" " * 70_000), "too long"),
    "an encoded answer": (http_answer(b"x", "200 OK", "Content-Encoding: gzip"), "encoded"),
    "400": (http_answer({"error": "invalid_grant"}, "400 Bad Request"), r"status 400 \(invalid_grant\)"),
    "400 with a text of its own": (http_answer({"error": "markmark"}, "400 Bad Request"), "status 400$"),
    "400 with an error that is no text": (http_answer({"error": ["invalid_grant"]}, "400 Bad Request"), "status 400$"),
    "401": (http_answer({}, "401 Unauthorized"), "status 401$"),
    "500 with HTML": (http_answer(b"<h1>markmark</h1>", "500 Oops"), "status 500$"),
    "201": (http_answer({"access_token": "a"}, "201 Created"), "status 201$"),
}


@pytest.mark.parametrize(("answer", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_answer_becomes_a_clear_error(answer: bytes, message: str) -> None:
    d1 = D1("a", "b")
    with (
        token_server(answer) as server,
        d1.client(make_auth(server)) as client,
        pytest.raises(TokenRequestError, match=message) as caught,
    ):
        client.get("/cards")
    assert str(caught.value).startswith("D1's token endpoint ")
    assert "markmark" not in str(caught.value)
    assert caught.value.correlation_id == server.requests[0][0]["x-correlation-id"]
    assert not d1.seen


def test_a_token_endpoint_that_is_down_becomes_a_clear_error(get: Get) -> None:
    with token_server(b"") as server:
        auth = make_auth(server)
    with pytest.raises(TokenRequestError, match="could not be asked \\(ConnectError") as caught:
        get(D1(), auth, 1)
    assert caught.value.status is None


def test_a_token_endpoint_that_is_slow_becomes_a_clear_error_at_the_deadline(get: Get) -> None:
    with (
        token_server(None) as server,
        pytest.raises(TokenRequestError, match=r"gave no complete answer in 0\.2 s"),
    ):
        get(D1(), make_auth(server, timeout=0.2), 1)


def test_the_deadline_is_for_the_whole_answer_and_not_for_each_byte() -> None:
    drip = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(5))

    class Dripping(TokenServer):
        def _serve(self, connection: Any) -> None:
            with connection:
                connection.recv(65_536)
                for byte in drip:
                    try:
                        connection.sendall(bytes([byte]))
                    except OSError:
                        return
                    if self._stopped.wait(0.05):
                        return

    server = Dripping(lambda _number: None)
    try:
        with pytest.raises(TokenRequestError, match=r"in 0\.3 s"):
            get_sync(D1(), make_auth(server, timeout=0.3), 1)
    finally:
        server.stop()


def test_no_thread_to_be_had_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_run: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_fetching, "start_thread", none_left)
    with pytest.raises(TokenRequestError, match="no thread is to be had"):
        get_sync(D1(), make_auth(), 1)


def test_a_good_answer_after_a_bad_one_is_taken(get: Get) -> None:
    with token_server(http_answer(b"?"), token_answer("T1", token_type="bearer")) as server:
        d1, auth = D1("T1"), make_auth(server)
        with pytest.raises(TokenRequestError):
            get(d1, auth, 1)
        assert get(d1, auth, 1) == [200]


def test_a_thousand_concurrent_callers_cause_one_token_request(server: TokenServer) -> None:
    d1, auth = D1("T1"), make_auth(server, timeout=60)
    server.released.clear()
    statuses: list[int] = []

    async def on_the_loop(client: httpx2.AsyncClient) -> None:
        statuses.append((await client.get("/cards")).status_code)

    async def tasks(number: int) -> None:
        async with d1.async_client(auth) as client, anyio.create_task_group() as group:
            for _ in range(number):
                group.start_soon(on_the_loop, client)

    def loop(backend: str) -> None:
        anyio.run(tasks, 475, backend=backend)

    threads = [threading.Thread(target=loop, args=(backend,)) for backend in ("asyncio", "trio")]
    threads += [threading.Thread(target=lambda: statuses.extend(get_sync(d1, auth, 1))) for _ in range(50)]
    for thread in threads:
        thread.start()
    until(lambda: waiting(auth) == 1000)
    server.released.set()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert statuses == [200] * 1000
    assert len(server.requests) == 1
    assert d1.credentials == ["Bearer T1"] * 1000


def test_a_thousand_concurrent_callers_share_one_failure() -> None:
    with token_server(http_answer({}, "500 Oops")) as server:
        d1, auth = D1(), make_auth(server, timeout=60)
        server.released.clear()

        async def tasks() -> list[object]:
            async with d1.async_client(auth) as client:
                calls = [asyncio.ensure_future(client.get("/cards")) for _ in range(1000)]
                await auntil(lambda: waiting(auth) == 1000)
                server.released.set()
                return list(await asyncio.gather(*calls, return_exceptions=True))

        errors = asyncio.run(tasks())
    assert {str(error) for error in errors} == {"D1's token endpoint answered with status 500"}
    assert len({id(error) for error in errors}) == 1000
    assert len(server.requests) == 1


def test_a_caller_that_is_cancelled_cancels_nobody_else(server: TokenServer) -> None:
    d1, auth = D1("T1"), make_auth(server, timeout=60)
    server.released.clear()

    async def run() -> int:
        async with d1.async_client(auth) as client:
            impatient = asyncio.create_task(client.get("/cards"))
            patient = asyncio.create_task(client.get("/cards"))
            await auntil(lambda: waiting(auth) == 2)
            impatient.cancel()
            with pytest.raises(asyncio.CancelledError):
                await impatient
            assert waiting(auth) == 1
            server.released.set()
            return (await patient).status_code

    assert asyncio.run(run()) == 200
    assert len(server.requests) == 1


def test_no_log_and_no_text_has_a_token_an_assertion_or_a_key(
    server: TokenServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer = lambda _number: token_answer("markmark")
    d1, auth = D1("markmark"), make_auth(server)
    get_sync(d1, auth, 1)
    shown = caplog.text + repr(auth) + str(auth) + repr(auth._source._held)
    assert "markmark" not in shown
    assert str(SIGNING_KEY._signer().as_dict(private=True)["d"]) not in shown
    assert server.requests[0][1]["assertion"].split(".")[2] not in shown
    assert "HTTP Request: POST" in caplog.text


def unverifying() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    return context


SETTINGS: dict[str, dict[str, Any]] = {
    "token_url": {"token_url": "http://d1.example/oauth2/token"},
    "token_url ": {"token_url": "https://user:password@d1.example/"},
    "origin": {"origin": "http://d1.example"},
    "origin ": {"origin": "https://d1.example/banking"},
    "origin  ": {"origin": "https://d1.example?x"},
    "merchant_gateway_id": {"merchant_gateway_id": ""},
    "merchant_gateway_id ": {"merchant_gateway_id": "a\nb"},
    "issuer": {"issuer": ""},
    "audience": {"audience": "dev"},
    "assertion_lifetime": {"assertion_lifetime": 901},
    "assertion_lifetime ": {"assertion_lifetime": 0},
    "signing_key": {"signing_key": SIGNING_KEY.jwk},
    "ssl_context": {"ssl_context": unverifying()},
    "ssl_context ": {"ssl_context": True},
    "proxy": {"proxy": "ftp://proxy.example"},
    "proxy ": {"proxy": "http://proxy.example", "token_url": "http://127.0.0.1/", "origin": None},
    "timeout": {"timeout": 0},
    "timeout ": {"timeout": 61},
}


@pytest.mark.parametrize(("named", "changes"), SETTINGS.items(), ids=SETTINGS.keys())
def test_refuses_settings_that_are_out_of_range(named: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=named.strip()):
        make_auth(**changes)


class TlsParty:
    """A certificate authority, a token server's certificate and a merchant's, for mutual TLS as D1 has it."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.server.verify_mode = ssl.CERT_REQUIRED
        self.authority.issue_cert("127.0.0.1").configure_cert(self.server)
        self.authority.configure_trust(self.server)

    def client(self, *, with_certificate: bool) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if with_certificate:
            self.authority.issue_cert("merchant.example").configure_cert(context)
        return context


def test_shows_its_certificate_to_a_token_endpoint_that_wants_mutual_tls() -> None:
    party = TlsParty()
    with token_server(token_answer("T1"), tls=party.server) as server:
        assert get_sync(D1("T1"), make_auth(server, ssl_context=party.client(with_certificate=True)), 1) == [200]
        for context in (party.client(with_certificate=False), None):
            with pytest.raises(TokenRequestError, match="could not be asked"):
                get_sync(D1("T1"), make_auth(server, ssl_context=context), 1)
    assert len(server.requests) == 1


@pytest.mark.parametrize("ssl_context", [None, ssl.create_default_context()])
def test_sends_the_token_request_through_the_proxy(ssl_context: ssl.SSLContext | None) -> None:
    lines: list[bytes] = []

    class Proxy(TokenServer):
        def _serve(self, connection: Any) -> None:
            with connection:
                lines.append(connection.recv(65_536).split(b"\r\n")[0])
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    server = Proxy(lambda _number: None)
    try:
        url = server.url.removesuffix("/authz/v1/oauth2/token")
        with pytest.raises(TokenRequestError, match=r"could not be asked \(ProxyError"):
            get_sync(D1(), make_auth(proxy=url, ssl_context=ssl_context), 1)
    finally:
        server.stop()
    assert lines == [b"CONNECT d1.example:443 HTTP/1.1"]

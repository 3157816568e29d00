from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import httpx2
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from d1verify.testing import NOTIFY_UPDATE_PATH, FakeD1, URLSender, run_contract
from d1verify.testing.case import Need
from tests.support import KEY, OTHER_KEY, SUBJECT

from .proxying import FOLDER, App, Received, proxying, talk
from .serving import NOTIFY_UPDATE, SETTINGS, authorized, command_of, load, serving, token_now

EXAMPLE = FOLDER / "auth_app.py"
OWN, OTHERS = NOTIFY_UPDATE.format(SUBJECT), NOTIFY_UPDATE.format("MGW_000002")
EVENTS = f"/merchant-gateways/{SUBJECT}/events"
FROM_NGINX = {"ORIGINAL_URI_HEADER": "X-Original-URI"}
UNAVAILABLE = b'{"error":"temporarily_unavailable"}'


class Site:
    """nginx, who it asks and what it guards, all running."""

    def __init__(self, url: str, app: App, d1: FakeD1) -> None:
        self.url, self.app, self.d1 = url, app, d1
        self.client = httpx2.Client(base_url=url, trust_env=False, timeout=20)

    def headers(self, *more: tuple[str, str]) -> list[tuple[str, str]]:
        return [*self.d1.headers().items(), *more]

    def one(self) -> Received:
        """Return the one request that has reached the app."""
        (received,) = self.app.took()
        return received


@contextmanager
def whole_site(folder: Path) -> Iterator[Site]:
    """Run all of it, with keys in the folder `keys`."""
    d1 = FakeD1(subject=SUBJECT, path=NOTIFY_UPDATE_PATH, open_path="/health", websocket_path=EVENTS)
    (folder / "keys").mkdir()
    keys = str(d1.write_to(folder / "keys"))
    settings = {"D1VERIFY_KEYS": None, "D1VERIFY_KID": None, "D1VERIFY_KEYS_PATH": keys, **FROM_NGINX}
    with serving(command_of(EXAMPLE), **settings) as auth, App() as app:
        address = auth.url.removeprefix("http://")
        with proxying(folder / "nginx", auth=address, app=app.address) as url:
            site = Site(url, app, d1)
            with site.client:
                yield site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with whole_site(tmp_path_factory.mktemp("forward_auth")) as running:
        yield running


@pytest.fixture(scope="module")
def client() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=20) as one:
        yield one


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> None:
    if "site" in request.fixturenames:
        request.getfixturevalue("site").app.took()


def test_the_contract_holds_through_nginx(site: Site) -> None:
    with URLSender(site.url + OWN) as sender:
        report = run_contract(sender, site.d1, effects=lambda: len(site.app.received))
    assert report.ok, report.table()
    skipped = {
        result.case_id for result in report.skipped if result.detail not in {Need.ROTATION.value, Need.TIME.value}
    }
    assert skipped == {"open-path-dot-segments"}, "the client cannot send it; another test does"
    assert site.app.took()


@pytest.mark.parametrize(
    ("path", "header", "answered"),
    [
        (OWN, None, (401, 'Bearer realm="d1"', "missing_token")),
        (OWN + ".html", None, (401, 'Bearer realm="d1"', "missing_token")),
        (OWN, "Bearer x", (401, 'Bearer realm="d1", error="invalid_token"', "invalid_token")),
        (OWN, "Bearer x, Bearer y", (400, 'Bearer realm="d1", error="invalid_request"', "invalid_request")),
        (OTHERS, "Bearer {}", (403, 'Bearer realm="d1", error="insufficient_scope"', "insufficient_scope")),
    ],
    ids=["no token", "no token, a path in .html", "no JWT", "two tokens", "another's path"],
)
@pytest.mark.parametrize("method", ["POST", "HEAD"])
def test_a_refusal_comes_as_the_middleware_says_it(
    site: Site, method: str, path: str, header: str | None, answered: tuple[int, str, str]
) -> None:
    status, challenge, error = answered
    headers = [] if header is None else [("Authorization", header.format(site.d1.token()))]
    answer = site.client.request(method, path, headers=headers)
    body = f'{{"error":"{error}"}}'.encode()
    assert (answer.status_code, answer.content) == (status, b"" if method == "HEAD" else body)
    assert answer.headers.get_list("WWW-Authenticate") == [challenge]
    assert answer.headers.get_list("Cache-Control") == ["no-store"]
    assert answer.headers.get_list("Content-Type") == ["application/json"]
    assert answer.headers["Content-Length"] == str(len(body))
    assert "Retry-After" not in answer.headers
    assert site.app.took() == []


def test_503_and_retry_after_where_the_keys_cannot_be_asked(tmp_path: Path) -> None:
    with whole_site(tmp_path) as site:
        (tmp_path / "keys").rename(tmp_path / "away")
        # An unknown key is looked for, and a set that cannot be loaded again does not say no.
        answer = site.client.post(OWN, headers=authorized(token_now(OTHER_KEY)))
        assert site.client.post(OWN, headers=site.headers()).status_code == 204
        assert len(site.app.took()) == 1
    assert (answer.status_code, answer.content) == (503, UNAVAILABLE)
    assert 1 <= int(answer.headers["Retry-After"]) <= 30
    assert answer.headers["Cache-Control"] == "no-store"
    assert "WWW-Authenticate" not in answer.headers


def test_the_app_gets_the_call_as_it_was_with_subject_and_kid(site: Site) -> None:
    body = bytes(range(256)) * 1000
    answer = site.client.put(f"{OWN}?a=%2F&b=..//", content=body, headers=site.headers())
    received = site.one()
    assert answer.status_code == 204
    assert (received.line, received.body) == (f"PUT {OWN}?a=%2F&b=..// HTTP/1.1", body)
    assert received.values("x-d1-subject") == [SUBJECT]
    assert received.values("x-d1-kid") == [site.d1.kid]
    assert received.values("x-forwarded-for") == ["127.0.0.1"]
    assert received.values("authorization") == []


SPELLINGS = (
    *("X-D1-Subject", "x-d1-subject", "X-D1-KID", "X_D1_Subject", "x_d1_kid", "X-D1_Subject", "X_D1-Kid"),
    *("X.D1.Subject", "X-D1-Subject ", "X-D1-Subject\t", "\tX-D1-Kid", "X-Original-URI", "X-Original-Method"),
)


@pytest.mark.parametrize("name", SPELLINGS, ids=repr)
@pytest.mark.parametrize("path", [OWN, "/health"], ids=["guarded", "open"])
def test_what_a_client_says_of_itself_does_not_reach_the_app(site: Site, name: str, path: str) -> None:
    written = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close, X-D1-Subject\r\n{name}: forged\r\n{name}: too\r\n"
    if path == OWN:
        written += f"Authorization: Bearer {site.d1.token()}\r\n"
    answer = talk(site.url, f"{written}\r\n".encode())
    reached = site.app.took()
    assert answer.startswith(b"HTTP/1.1 204 " if reached else b"HTTP/1.1 400 ")
    for received in reached:
        assert received.values("x-d1-subject") == ([SUBJECT] if path == OWN else [])
        assert received.values("x-d1-kid") == ([site.d1.kid] if path == OWN else [])
        if not name.lower().startswith("x-original"):
            assert not [value for _, value in received.headers if value in ("forged", "too")]


def test_the_longest_token_fits(site: Site) -> None:
    padded = (site.d1.token(x="x" * length) for length in range(5940, 5980))
    jwt = max((jwt for jwt in padded if len(jwt) <= 8192), key=len)
    assert len(jwt) == 8192
    assert site.client.post(OWN, headers=authorized(jwt)).status_code == 204


def test_a_trailer_does_not_become_a_header(site: Site) -> None:
    head = f"POST {OWN} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {site.d1.token()}\r\n"
    body = "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-D1-Subject: forged\r\n\r\n"
    assert talk(site.url, (head + body).encode()).startswith(b"HTTP/1.1 204 ")
    assert site.one().values("x-d1-subject") == [SUBJECT]


@pytest.mark.parametrize(
    "path",
    [
        f"/merchant-gateways/{SUBJECT}/../MGW_000002/x",
        f"/merchant-gateways/{SUBJECT}/%2e%2e/MGW_000002/x",
        f"/merchant-gateways/{SUBJECT}/..%2fMGW_000002/x",
        f"/merchant-gateways/{SUBJECT}%2f..%2fMGW_000002/x",
        f"/merchant-gateways/{SUBJECT}/..;/MGW_000002/x",
        f"/merchant-gateways/{SUBJECT}/..\\MGW_000002/x",
        f"//merchant-gateways/{SUBJECT}/x",
        f"/merchant-gateways//{SUBJECT}/x",
        f"/merchant-gateways/MGW_00000%31/{SUBJECT}/x",
        f"/Merchant-Gateways/{SUBJECT}/x",
        f"/merchant-gateways/{SUBJECT}/x#/",
        f"/merchant-gateways/{SUBJECT}/.../x",
        f"/merchant-gateways/{SUBJECT}",
        f"/{SUBJECT}/x",
        "/merchant-gateways/",
        "/",
        "/health?x",
        "/%68ealth",
        "/x/../health",
        "/x%2f..%2fhealth",
        "//health",
        "/_d1verify",
        "/d1-forward-auth",
        f"/?/merchant-gateways/{SUBJECT}/x",
    ],
)
def test_a_good_token_opens_no_path_but_its_own_plainly_spelt(site: Site, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {site.d1.token()}\r\n\r\n"
    status = talk(site.url, request.encode()).split()[1]
    assert status == (b"404" if path == "/_d1verify" else b"403")
    assert site.app.took() == []


def test_the_path_that_is_judged_is_the_one_the_app_gets(site: Site) -> None:
    """In absolute form the target has a host, which neither of them sees."""
    head = f"Host: x\r\nConnection: close\r\nAuthorization: Bearer {site.d1.token()}\r\n\r\n"
    assert talk(site.url, f"GET http://x{OWN} HTTP/1.1\r\n{head}".encode()).startswith(b"HTTP/1.1 204 ")
    assert site.one().line == f"GET {OWN} HTTP/1.1"
    assert talk(site.url, f"GET http://x{OTHERS} HTTP/1.1\r\n{head}".encode()).startswith(b"HTTP/1.1 403 ")
    assert site.app.took() == []


def test_open_is_one_path_for_get_and_head(site: Site) -> None:
    assert site.client.get("/health").status_code == 204
    assert site.client.head("/health").status_code == 204
    assert [received.line for received in site.app.took()] == ["GET /health HTTP/1.1", "HEAD /health HTTP/1.1"]
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert site.client.request(method, "/health").status_code == 401
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert site.client.get("/health", headers=upgrade).status_code == 401
    assert site.app.took() == []


@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket", "h2c", "websocket, h2c"])
def test_no_upgrade_but_to_a_websocket_reaches_the_app(site: Site, upgrade: str) -> None:
    passed = upgrade.lower() == "websocket"
    connection = "Upgrade" if passed else "close, Upgrade, HTTP2-Settings"
    request = f"GET {EVENTS} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\nUpgrade: {upgrade}\r\n"
    answer = talk(site.url, f"{request}Authorization: Bearer {site.d1.token()}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 101 " if passed else b"HTTP/1.1 204 ")
    received = site.one()
    assert received.values("upgrade") == (["websocket"] if passed else [])
    assert received.values("connection") == (["upgrade"] if passed else ["close"])


def test_one_connection_carries_no_answer_over_to_the_next_call(site: Site) -> None:
    said = [
        site.client.post(OWN, headers=headers).status_code
        for headers in (site.headers(), [], site.headers(), authorized("x"), site.headers(), [])
    ]
    assert said == [204, 401, 204, 401, 204, 401]
    assert len(site.app.took()) == 3


def test_a_refused_body_goes_nowhere(site: Site) -> None:
    assert site.client.post(OWN, content=b"x" * 900_000).status_code == 401
    assert site.app.took() == []


# Who may answer instead of auth_app.py, all of whom say no, and what surrounds the example's block.

OPENING = """
    proxy_intercept_errors on;
    proxy_cache_path cache keys_zone=all:1m;
    proxy_cache all;
    proxy_cache_key all;
    proxy_cache_valid any 1h;
    satisfy any;
    allow all;
"""
OTHER_LOCATION = "location /other/ { proxy_pass http://d1-app; }"
YES_PAGES = "error_page 302 304 404 502 503 504 =200 /yes;"
Between = tuple[str, App, App]
IMPATIENT = {"proxy_read_timeout 5s;": "proxy_read_timeout 100ms;"}


@contextmanager
def nobody() -> Iterator[str]:
    """Yield an address where nobody listens, and nobody else can."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@contextmanager
def one_who_hangs() -> Iterator[str]:
    """Yield an address where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"127.0.0.1:{silent.getsockname()[1]}"


@contextmanager
def one_who_says(status: int) -> Iterator[str]:
    with App(status, {"X-D1-Subject": SUBJECT, "Content-Length": "0", "Location": "/health"}) as app:
        yield app.address


@pytest.mark.parametrize("around", ["", OPENING], ids=["as it is", "in a block that opens everything"])
@pytest.mark.parametrize("instead", ["nobody", "one who hangs", "302", "304", "404", "500", "503"])
def test_closed_without_a_sound_answer(client: httpx2.Client, instead: str, around: str, tmp_path: Path) -> None:
    named = {"nobody": nobody, "one who hangs": one_who_hangs}
    other = named[instead]() if instead in named else one_who_says(int(instead))
    with App() as app, other as auth:
        changes = {**IMPATIENT, "satisfy all;": f"satisfy all; {YES_PAGES}" if around else "satisfy all;"}
        with proxying(tmp_path / "nginx", auth=auth, app=app.address, http=around, changes=changes) as url:
            answers = [client.post(url + OWN, headers=authorized(token_now())) for _twice in range(2)]
            assert client.get(f"{url}/health").status_code == 204
        for answer in answers:
            assert (answer.status_code, answer.content) == (503, UNAVAILABLE)
            assert (answer.headers["Retry-After"], answer.headers["Cache-Control"]) == ("1", "no-store")
        (received,) = app.took()
        assert received.line == "GET /health HTTP/1.1"


@pytest.fixture(scope="module")
def between(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Between]:
    """Run nginx, among directives that open everything, between an auth app that always says yes and an app."""
    yes = {"X-D1-Subject": "MGW%20%C4%88", "Cache-Control": "max-age=60"}
    with App() as app, App(204, yes) as auth:
        folder = tmp_path_factory.mktemp("between") / "nginx"
        changes = {"    location / {": f"{OTHER_LOCATION}\n    location / {{"}
        with proxying(folder, auth=auth.address, app=app.address, http=OPENING, changes=changes) as url:
            yield url, auth, app


@pytest.mark.parametrize("path", [OWN, "/other/x"], ids=["location /", "a location that was added"])
def test_the_auth_app_is_asked_for_each_call_and_told_nothing_else(
    client: httpx2.Client, between: Between, path: str
) -> None:
    url, auth, app = between
    headers = {"Cookie": "a=b", "X-D1-Subject": "forged", "X_D1_Kid": "forged", "Range": "bytes=0-1"}
    for _twice in range(2):
        client.post(f"{url}{path}?a=b", content=b"body", headers={**authorized("x"), **headers})
    reached = app.took()
    assert [received.values("x-d1-subject") for received in reached] == [["MGW%20%C4%88"]] * 2
    assert not {value for received in reached for _, value in received.headers} & {"forged", "Bearer x"}
    first, second = auth.took()
    assert first == second
    assert (first.line, first.body) == ("GET /d1-forward-auth HTTP/1.1", b"")
    assert sorted(first.headers) == [
        ("authorization", "Bearer x"),
        ("host", "d1-auth"),
        ("x-original-method", "POST"),
        ("x-original-uri", f"{path}?a=b"),
    ]


@pytest.mark.parametrize("path", ["//a/./../b%2F%2e%2e/;c\\?d=//%00#e", "/a%20b/?", "/", "/%c4%88"])
def test_the_auth_app_and_the_app_are_told_of_the_same_path(between: Between, path: str) -> None:
    url, auth, app = between
    talk(url, f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    (asked,), (received,) = auth.took(), app.took()
    assert asked.values("x-original-uri") == [path]
    assert received.line == f"POST {path} HTTP/1.1"


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 500, 502, 503])
def test_what_the_app_answers_stays_as_it_is(client: httpx2.Client, between: Between, status: int) -> None:
    url, _auth, app = between
    app.status, app.headers = status, {"Content-Length": "0", "X-Own": "1"}
    answer = client.post(url)
    assert (answer.status_code, answer.content, answer.headers["X-Own"]) == (status, b"", "1")
    assert "Cache-Control" not in answer.headers


# The auth app by itself, as the other proxies use it.


def auth_app(monkeypatch: pytest.MonkeyPatch, **changes: str) -> ModuleType:
    """Return the example as a module, loaded with these variables."""
    for name, value in {**SETTINGS, **changes}.items():
        monkeypatch.setenv(name, value)
    return load(EXAMPLE)


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PROPFIND"])
def test_envoy_gets_its_200_whatever_it_asks(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    with TestClient(auth_app(monkeypatch, ACCEPTED_STATUS="200").app) as client:
        for path in (OTHERS, "/", "//a/../b%2f"):
            answer = client.request(method, path, headers=authorized(token_now()))
            assert (answer.status_code, answer.content) == (200, b"")
            assert (answer.headers["X-D1-Subject"], answer.headers["X-D1-Kid"]) == (SUBJECT, KEY.kid)
            assert answer.headers["Cache-Control"] == "no-store"
            assert client.request(method, path).status_code == 401


def test_a_subject_that_no_header_can_hold_is_percent_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    with TestClient(auth_app(monkeypatch, D1VERIFY_SUBJECT="*").app) as client:
        for subject, written in (("Ĉefa", "%C4%88efa"), (" MGW ", "%20MGW%20"), ("%20", "%2520"), ("a,b", "a%2Cb")):
            answer = client.get("/", headers=authorized(token_now(sub=subject)))
            assert (answer.status_code, answer.headers["X-D1-Subject"]) == (204, written)


@pytest.mark.parametrize(
    ("uris", "status"),
    [([OWN], 204), ([OTHERS], 403), ([], 403), ([""], 403), ([OWN, OWN], 403), ([OWN, OTHERS], 403)],
    ids=["its own", "another's", "none", "empty", "twice", "two"],
)
def test_the_path_comes_from_the_one_header_that_was_named(
    monkeypatch: pytest.MonkeyPatch, uris: list[str], status: int
) -> None:
    module = auth_app(monkeypatch, ORIGINAL_URI_HEADER="X-Forwarded-Uri")
    with TestClient(module.app) as client:
        headers = [
            *authorized(token_now()).items(),
            ("X-Original-URI", OWN),
            *(("X-Forwarded-Uri", uri) for uri in uris),
        ]
        assert client.get("/d1-forward-auth", headers=headers).status_code == status


def test_a_websocket_to_the_auth_app_itself_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    with TestClient(auth_app(monkeypatch).app) as client:
        for headers in ({}, authorized(token_now())):
            with pytest.raises(WebSocketDisconnect), client.websocket_connect(EVENTS, headers=headers):
                pass


def test_does_not_start_with_a_status_that_is_no_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError):
        auth_app(monkeypatch, ACCEPTED_STATUS="302")


def test_does_not_start_without_usable_keys() -> None:
    with serving(command_of(EXAMPLE), D1VERIFY_KEYS=None, D1VERIFY_KEYS_PATH="/nonexistent") as server:
        assert not server.listens()
    assert "KeyStoreError" in server.output

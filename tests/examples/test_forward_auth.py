from __future__ import annotations

import importlib.util
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import httpx2
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from d1verify.testing import NOTIFY_UPDATE_PATH, Call, FakeD1, URLSender, run_contract
from d1verify.testing.case import Need
from tests.support import KEY, OTHER_KEY, SUBJECT

from .proxying import FOLDER, App, Received, proxying, talk
from .serving import NOTIFY_UPDATE, SETTINGS, authorized, command_of, serving, token_now

EXAMPLE = FOLDER / "auth_app.py"
OWN, OTHERS = NOTIFY_UPDATE.format(SUBJECT), NOTIFY_UPDATE.format("MGW_000002")
EVENTS = f"/merchant-gateways/{SUBJECT}/events"
FROM_NGINX = {"ORIGINAL_URI_HEADER": "X-Original-URI"}
UNAVAILABLE = b'{"error":"temporarily_unavailable"}'


class Site:
    """nginx, who it asks and what it guards, all running."""

    def __init__(self, url: str, app: App, d1: FakeD1, keys: Path) -> None:
        self.url, self.app, self.d1, self.keys = url, app, d1, keys
        self.client = httpx2.Client(base_url=url, trust_env=False, timeout=20)

    def headers(self, *more: tuple[str, str]) -> list[tuple[str, str]]:
        return [*self.d1.headers().items(), *more]

    def one(self) -> Received:
        """Return the one request that has reached the app."""
        (received,) = self.app.took()
        return received


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("forward_auth")
    d1 = FakeD1(subject=SUBJECT, path=NOTIFY_UPDATE_PATH, open_path="/health", websocket_path=EVENTS)
    (folder / "keys").mkdir()
    keys = d1.write_to(folder / "keys")
    settings = {"D1VERIFY_KEYS": None, "D1VERIFY_KID": None, "D1VERIFY_KEYS_PATH": str(keys), **FROM_NGINX}
    with serving(command_of(EXAMPLE), **settings) as auth, App() as app:
        auth_address = auth.url.removeprefix("http://")
        with proxying(folder / "nginx", auth=auth_address, app=app.address) as url:
            running = Site(url, app, d1, keys)
            with running.client:
                yield running


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> None:
    if "site" in request.fixturenames:
        request.getfixturevalue("site").app.took()


def test_the_contract_holds_through_nginx(site: Site) -> None:
    with URLSender(site.url + OWN) as sender:
        report = run_contract(sender, site.d1, effects=lambda: len(site.app.received))
    assert report.ok, report.table()
    assert {result.detail for result in report.skipped} <= {Need.ROTATION.value}, report.table()
    assert len(report.skipped) < 15
    assert site.app.received


@pytest.mark.parametrize(
    ("path", "header", "status", "challenge", "error"),
    [
        (OWN, None, 401, 'Bearer realm="d1"', "missing_token"),
        (OWN + ".html", None, 401, 'Bearer realm="d1"', "missing_token"),
        (OWN, "Bearer x", 401, 'Bearer realm="d1", error="invalid_token"', "invalid_token"),
        (OWN, "Bearer x, Bearer y", 400, 'Bearer realm="d1", error="invalid_request"', "invalid_request"),
        (OTHERS, "Bearer {}", 403, 'Bearer realm="d1", error="insufficient_scope"', "insufficient_scope"),
    ],
    ids=["no token", "no token, a path in .html", "no JWT", "two tokens", "another's path"],
)
@pytest.mark.parametrize("method", ["POST", "HEAD"])
def test_a_refusal_comes_as_the_middleware_says_it(
    site: Site, method: str, path: str, header: str | None, status: int, challenge: str, error: str
) -> None:
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


def test_503_and_retry_after_where_the_keys_cannot_be_asked(site: Site, tmp_path: Path) -> None:
    away = site.keys.rename(tmp_path / "away")
    try:
        # An unknown key is looked for, and a set that cannot be loaded again does not say no.
        answer = site.client.post(OWN, headers=authorized(token_now(OTHER_KEY)))
        known = site.client.post(OWN, headers=site.headers())
    finally:
        away.rename(site.keys)
    assert (answer.status_code, answer.content) == (503, UNAVAILABLE)
    assert 1 <= int(answer.headers["Retry-After"]) <= 30
    assert answer.headers["Cache-Control"] == "no-store"
    assert "WWW-Authenticate" not in answer.headers
    assert known.status_code == 204
    assert len(site.app.took()) == 1


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
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "get"):
        assert site.client.request(method, "/health").status_code in (400, 401)
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert site.client.get("/health", headers=upgrade).status_code == 401
    assert site.app.took() == []


@pytest.mark.parametrize(
    ("upgrade", "passed"),
    [("websocket", True), ("WebSocket", True), ("h2c", False), ("websocket, h2c", False)],
)
def test_no_upgrade_but_to_a_websocket_reaches_the_app(site: Site, upgrade: str, passed: bool) -> None:
    token = f"Authorization: Bearer {site.d1.token()}\r\n"
    request = f"GET {EVENTS} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\n{token}\r\n"
    answer = talk(site.url, request.encode()) if passed else talk(site.url, request.replace("Upgrade, ", "close, ").encode())
    assert answer.startswith(b"HTTP/1.1 101 " if passed else b"HTTP/1.1 204 ")
    assert site.one().values("upgrade") == (["websocket"] if passed else [])


def test_one_connection_carries_no_answer_over_to_the_next_call(site: Site) -> None:
    said = [
        site.client.post(OWN, headers=headers).status_code
        for headers in (site.headers(), [], site.headers(), authorized("x"), site.headers(), [])
    ]
    assert said == [204, 401, 204, 401, 204, 401]
    assert len(site.app.took()) == 3


def test_a_refused_body_goes_nowhere(site: Site) -> None:
    assert site.client.post(OWN, content=b"x" * 900_000).status_code == 401
    head = f"POST {OWN} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    assert talk(site.url, head.encode()).startswith(b"HTTP/1.1 401 ")
    assert site.app.took() == []


# Who answers instead of auth_app.py, and what came of it.


@contextmanager
def hung() -> Iterator[str]:
    """Yield an address where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"127.0.0.1:{silent.getsockname()[1]}"


@contextmanager
def nobody() -> Iterator[str]:
    with socket.socket() as bound:  # Bound and not listening: refused, and nobody else gets the port.
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@contextmanager
def answering(status: int) -> Iterator[str]:
    with App(status, {"X-D1-Subject": SUBJECT, "Content-Length": "0", "Location": "/health"}) as app:
        yield app.address


OPENING = "\n".join(
    (
        "error_page 401 403 404 500 502 503 504 =200 /yes;",
        "proxy_intercept_errors on;",
        "proxy_cache_path cache keys_zone=all:1m;",
        "proxy_cache all;",
        "proxy_cache_valid any 1h;",
        "proxy_cache_key all;",
        "satisfy any;",
        "allow all;",
    )
)


@pytest.mark.parametrize("around", ["", OPENING], ids=["as it is", "in a block that opens all"])
@pytest.mark.parametrize(
    "instead",
    [nobody(), hung(), answering(302), answering(404), answering(500), answering(304), answering(503)],
    ids=["nobody", "one that hangs", "302", "404", "500", "304", "503"],
)
def test_closed_without_a_sound_answer(instead: object, around: str, tmp_path: Path) -> None:
    ...

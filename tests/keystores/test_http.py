"""The HTTP key store by itself: what it refuses, what it sends, and what it takes for an answer."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import logging
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sniffio
import trio

from d1verify import ConfigurationError, HTTPKeyStore, KeyCache, KeySet, KeyStoreError, __version__
from d1verify.keystores._caching import entity_tag, lifetime
from d1verify.keystores._fetching import Errands
from d1verify.keystores._running import run_to_its_end

from ..faults.certificates import authority, mutual_context, server_contexts, trusting_context
from ..faults.servers import HOST, JSON, Connection, RawServer, answering, head, jwks, message, raw_server, serving
from ..support import KEY, OTHER_KEY, SigningKey, unmeasured, until

SECRET = "s3cret-of-the-header"


@pytest.fixture
def server() -> Iterator[RawServer]:
    with raw_server(serving(KEY)) as server:
        yield server


@pytest.fixture
def tls_server() -> Iterator[RawServer]:
    with raw_server(serving(KEY), server_contexts().good) as server:
        yield server


def refused(store: HTTPKeyStore) -> str:
    with pytest.raises(KeyStoreError) as caught:
        store.load()
    return str(caught.value)


def header_lines(request: bytes) -> dict[str, str]:
    lines = request.decode().split("\r\n")[1:-2]
    pairs = [line.split(": ", 1) for line in lines]
    assert len({name.lower() for name, _value in pairs}) == len(pairs)
    return {name.lower(): value for name, value in pairs}


# What is refused at construction


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://keys.example/jwks", id="https"),
        pytest.param("HTTPS://Keys.Example:8443/a/b?tenant=1&x=/y", id="case, port and query"),
        pytest.param("https://keys.example", id="no path"),
        pytest.param("https://keys.example?x=1@y", id="an at sign in the query"),
        pytest.param("https://10.0.0.1/jwks", id="an IPv4 address"),
        pytest.param("https://[2001:db8::1]:8443/jwks", id="an IPv6 address"),
        pytest.param("http://localhost:8000/jwks", id="http to localhost"),
        pytest.param("http://127.0.0.1/jwks", id="http to loopback"),
        pytest.param("http://127.8.9.1/jwks", id="http to another loopback address"),
        pytest.param("http://[::1]:8000/jwks", id="http to IPv6 loopback"),
    ],
)
def test_takes_url(url: str) -> None:
    HTTPKeyStore(url)


REFUSED_URLS = [
    *[
        pytest.param(url, why, id=f"A152-{url!a:.60}")
        for url, why in (
            ("http://keys.example/jwks", "loopback"),
            ("http://10.0.0.1/jwks", "loopback"),
            ("http://localhost.example/jwks", "loopback"),
            ("http://127.0.0.1.example/jwks", "loopback"),
            ("http://2130706433/jwks", "an https URL"),
            ("http://127.1/jwks", "an https URL"),
            ("http://[::2]/jwks", "loopback"),
            ("https:///jwks", "an https URL"),
            ("https:keys.example/jwks", "an https URL"),
            ("//keys.example/jwks", "an https URL"),
            ("keys.example/jwks", "an https URL"),
            ("file:///etc/passwd", "an https URL"),
            ("ftp://keys.example/", "an https URL"),
            ("data:application/json,{}", "an https URL"),
            ("gopher://keys.example/", "an https URL"),
        )
    ],
    *[
        pytest.param(url, why, id=f"A154-{url!a:.60}")
        for url, why in (
            ("https://user:pw@keys.example/", "user name"),
            ("https://@keys.example/", "user name"),
            ("http://localhost@evil.example/", "user name"),
            ("https://keys.example\\@evil.example/", "user name"),
            ("https://keys.example/jwks#x", "fragment"),
            ("https://keys.example/jwks#", "fragment"),
            ("https://keys.example\\evil/", "an https URL"),
            ("https://keys.example/a\\b", "an https URL"),
            ("https://keys.example/a b", "an https URL"),
            ("https://keys.example/\r\nX: y", "an https URL"),
            ("https://keys.example/\u00e4", "an https URL"),
            ("https://k\u0435ys.example/", "an https URL"),
            ("https://keys.example:0/", "an https URL"),
            ("https://keys.example:65536/", "an https URL"),
            ("https://keys.example:x/", "an https URL"),
            ("https://keys%2eexample/", "an https URL"),
            ("https://999.1.1.1/", "an https URL"),
            ("https://[::x]/", "an https URL"),
            ("https://[::1/", "an https URL"),
            ("https://[1.2.3.4]x/", "an https URL"),
            ("https://.../", "an https URL"),
            ("https://keys.example/" + "x" * 2048, "an https URL"),
            (" https://keys.example/", "an https URL"),
            ("", "an https URL"),
            (None, "an https URL"),
            (b"https://keys.example/", "an https URL"),
        )
    ],
]


@pytest.mark.parametrize(("url", "why"), REFUSED_URLS)
def test_refuses_url(url: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^url must .*{why}") as caught:
        HTTPKeyStore(url)
    assert "pw" not in str(caught.value)


def _unverifying(**changes: Any) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for name, value in changes.items():
        setattr(context, name, value)
    return context


@pytest.mark.parametrize(
    "context",
    [
        pytest.param(_unverifying(check_hostname=False), id="host names are not checked"),
        pytest.param(_unverifying(check_hostname=False, verify_mode=ssl.CERT_NONE), id="nothing is checked"),
        pytest.param(_unverifying(verify_mode=ssl.CERT_OPTIONAL), id="certificates are optional"),
        pytest.param(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), id="a server's context"),
        pytest.param(True, id="a bool"),
        pytest.param("/etc/ssl/ca.pem", id="a path"),
        pytest.param(False, id="off"),
    ],
)
def test_a156_refuses_an_ssl_context_that_does_not_verify(context: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^ssl_context must be an SSLContext that verifies"):
        HTTPKeyStore("https://keys.example/", ssl_context=context)


def test_refuses_to_load_with_an_ssl_context_that_was_loosened_later(tls_server: RawServer) -> None:
    context = trusting_context()
    store = HTTPKeyStore(tls_server.url, ssl_context=context)
    store.load()
    context.check_hostname = False
    assert refused(store) == "ssl_context has been changed and no longer verifies certificates and host names"
    assert tls_server.connections == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "x"},
        {"hOST": "x"},
        {"Accept-Encoding": "gzip"},
        {"User-Agent": "x"},
        {"Connection": "keep-alive"},
        {"Cookie": "a=b"},
        {"If-None-Match": '"x"'},
        {"Transfer-Encoding": "chunked"},
        {"Content-Length": "0"},
        {"Proxy-Authorization": "x"},
        {"X-A": f"{SECRET}\r\nX-B: 1"},
        {"X-A": f"{SECRET}\n"},
        {"X-A": f" {SECRET}"},
        {"X-A": f"{SECRET}\0"},
        {"X-A": f"{SECRET}\u00e4"},
        {"X-A": ""},
        {"X-A": SECRET.encode()},
        {"X A": SECRET},
        {"X-A:": SECRET},
        {"": SECRET},
        {"X-A\r\n": SECRET},
        {b"X-A": SECRET},
        {"X-A": SECRET, "x-a": SECRET},
        [("X-A", SECRET)],
        "X-A: b",
    ],
)
def test_refuses_headers(headers: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^headers must") as caught:
        HTTPKeyStore("https://keys.example/", headers=headers)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://localhost",
        "localhost:3128",
        "",
        "http://",
        "http://a b/",
        "http://proxy/path",
        "http://proxy?x",
        b"http://proxy",
        1,
    ],
)
def test_refuses_proxy(proxy: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^proxy must be the http or https URL of a proxy"):
        HTTPKeyStore("https://keys.example/", proxy=proxy)


def test_refuses_a_proxy_for_http(server: RawServer) -> None:
    with pytest.raises(ConfigurationError, match=r"^proxy needs an https url"):
        HTTPKeyStore(server.url, proxy="http://localhost:3128")


@pytest.mark.parametrize(
    "settings",
    [
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": 61},
        {"timeout": "5"},
        {"max_bytes": -1},
        {"max_bytes": 1.5},
    ],
)
def test_refuses_numbers_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"^{next(iter(settings))} must"):
        HTTPKeyStore("https://keys.example/", **settings)


# What is sent


def test_a159_a175_sends_one_plain_request_with_headers_of_its_own(server: RawServer) -> None:
    HTTPKeyStore(server.url + "?tenant=1", headers={"X-Api-Key": SECRET}).load()
    assert server.requests[0].startswith(b"GET /jwks?tenant=1 HTTP/1.1\r\n")
    assert header_lines(server.requests[0]) == {
        "host": f"{HOST}:{server.port}",
        "accept": "application/jwk-set+json, application/json",
        "accept-encoding": "identity",
        "connection": "close",
        "user-agent": f"d1verify/{__version__}",
        "x-api-key": SECRET,
    }


def test_a175_opens_a_connection_per_load_and_keeps_no_cookie(server: RawServer) -> None:
    server.behaviour = answering(message(jwks(KEY), *JSON, "Set-Cookie: session=1; Path=/"))
    store = HTTPKeyStore(server.url)
    store.load()
    store.load()
    assert server.connections == 2
    assert "cookie" not in header_lines(server.requests[1])


def test_a156_ignores_the_environments_proxies_certificates_and_netrc(
    tls_server: RawServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text(f"machine {HOST} login me password {SECRET}")
    authority().cert_pem.write_to_path(tmp_path / "ca.pem")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    HTTPKeyStore(tls_server.url, ssl_context=trusting_context()).load()
    assert "authorization" not in header_lines(tls_server.requests[0])
    assert refused(HTTPKeyStore(tls_server.url)).endswith("(ConnectError: SSLCertVerificationError)")


def test_logs_no_custom_header_at_any_level(server: RawServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        HTTPKeyStore(server.url, headers={"Authorization": f"Bearer {SECRET}"}).load()
    assert "HTTP Request: GET" in caplog.text  # So the HTTP client's own lines were looked at.
    assert "receive_response_headers" in caplog.text
    assert SECRET not in caplog.text
    assert KEY.jwk["x"] not in caplog.text


# TLS and proxies


def test_shows_the_client_certificate_that_the_ssl_context_holds() -> None:
    context = trusting_context()
    with raw_server(serving(KEY), mutual_context()) as server:
        assert "could not be read" in refused(HTTPKeyStore(server.url, ssl_context=context))
        authority().issue_cert("merchant.example").configure_cert(context)
        assert list(HTTPKeyStore(server.url, ssl_context=context).load()) == [KEY.kid]


def _tunnel(target: RawServer, authorization: str | None) -> Callable[[Connection], None]:
    """Return the behaviour of a proxy that knows one way only."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)

    def behave(connection: Connection) -> None:
        request = connection.read_head()
        assert request.startswith(b"CONNECT ")
        if header_lines(request).get("proxy-authorization") != authorization:
            connection.send(head("407 Proxy Authentication Required", "Content-Length: 0"))
            return
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", target.port)) as onward:
            threading.Thread(target=pump, args=(connection.raw, onward), daemon=True).start()
            pump(onward, connection.raw)

    return behave


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_goes_through_a_proxy(tls_server: RawServer, scheme: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tls = server_contexts().good if scheme == "https" else None
    with raw_server(_tunnel(tls_server, "Basic bWU6cHc="), tls) as proxy:
        settings: dict[str, Any] = {"ssl_context": trusting_context(), "timeout": 5}
        store = HTTPKeyStore(tls_server.url, proxy=f"{scheme}://me:pw@{HOST}:{proxy.port}", **settings)
        assert list(store.load()) == [KEY.kid]
        # The proxy saw neither the path nor our headers.
        assert proxy.requests[0].startswith(f"CONNECT {HOST}:{tls_server.port} ".encode())
        assert b"d1verify" not in proxy.requests[0]
        assert "start_tls" in caplog.text
        assert not any(secret in caplog.text for secret in ("me:pw", "bWU6cHc="))
        without = HTTPKeyStore(tls_server.url, proxy=f"{scheme}://{HOST}:{proxy.port}", **settings)
        assert refused(without) == "the JWKS endpoint could not be read (ProxyError)"


# What is taken for an answer


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/jwk-set+json",
        "Application/JSON; charset=utf-8",
        pytest.param(None, id="none"),
    ],
)
def test_a161_takes_content_type(server: RawServer, content_type: str | None) -> None:
    headers = ["X-Y: z"] if content_type is None else [f"Content-Type: {content_type}"]
    server.behaviour = answering(message(jwks(KEY), *headers))
    assert list(HTTPKeyStore(server.url).load()) == [KEY.kid]


@pytest.mark.parametrize("content_type", ["text/html", "text/plain", "application/octet-stream", "application/jose"])
def test_a161_refuses_content_type(server: RawServer, content_type: str) -> None:
    server.behaviour = answering(message(jwks(KEY), f"Content-Type: {content_type}"))
    assert refused(HTTPKeyStore(server.url)) == "the JWKS endpoint's answer is not declared to be JSON"


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "GZIP", "identity, gzip", "x"])
def test_a159_refuses_content_encoding(server: RawServer, encoding: str) -> None:
    server.behaviour = answering(message(jwks(KEY), *JSON, f"Content-Encoding: {encoding}"))
    assert refused(HTTPKeyStore(server.url)) == "the JWKS endpoint sent an encoded body though asked for a plain one"


def test_takes_content_encoding_identity(server: RawServer) -> None:
    server.behaviour = answering(message(jwks(KEY), *JSON, "Content-Encoding: identity"))
    assert len(HTTPKeyStore(server.url).load()) == 1


def test_a157_takes_a_body_up_to_max_bytes(server: RawServer) -> None:
    size = len(jwks(KEY))
    assert len(HTTPKeyStore(server.url, max_bytes=size).load()) == 1
    assert refused(HTTPKeyStore(server.url, max_bytes=size - 1)).endswith(f"is longer than {size - 1} bytes")


def test_takes_a_hundred_candidates_and_lists_what_was_skipped(server: RawServer) -> None:
    entries = [KEY.jwk, {"kty": "RSA", "kid": "old"}, *({"kty": "OKP"} for _ in range(98))]
    server.behaviour = answering(message(json.dumps({"keys": entries}).encode()))
    keys = HTTPKeyStore(server.url).load()
    assert list(keys) == [KEY.kid]
    assert [one.name for one in keys.skipped][:2] == ["old", "keys[2]"]
    assert len(keys.skipped) == 99


def test_gives_a_set_of_which_nothing_is_usable_with_the_reasons(server: RawServer) -> None:
    server.behaviour = answering(message(json.dumps({"keys": [{"kty": "RSA", "kid": "old"}]}).encode()))
    keys = HTTPKeyStore(server.url).load()
    assert (len(keys), [one.name for one in keys.skipped]) == (0, ["old"])


# How long it is current


@pytest.mark.parametrize(
    ("cache_control", "ages", "seconds"),
    [
        ("", [], 600),
        ("public", [], 600),
        ("max-age=300", [], 300),
        ("public, max-age=300, must-revalidate", [], 300),
        ("MAX-AGE=300", [], 300),
        ('max-age="300"', [], 300),
        ("max-age = 300", [], 600),
        ("max-age=300", ["100"], 200),
        ("max-age=300", ["100", "50"], 200),
        ("max-age=300", ["-100"], 300),
        ("max-age=300", ["x"], 300),
        ("max-age=300", ["290"], 60),
        ("max-age=300", ["9" * 5000], 60),
        ("", ["100"], 600),
        ("max-age=0", [], 60),
        ("max-age=59", [], 60),
        ("max-age=3601", [], 3600),
        ("max-age=" + "9" * 5000, [], 3600),
        ("max-age=" + "0" * 5000 + "90", [], 90),
        ("max-age=-1", [], 600),
        ("max-age=1e3", [], 600),
        ("max-age=\u0663\u0660\u0660", [], 600),
        ("max-age", [], 600),
        ("max-age=300, max-age=120", [], 120),
        ("max-age=junk, max-age=120", [], 120),
        ("s-maxage=100", [], 600),
        ("no-store", [], 60),
        ("no-cache, max-age=3000", [], 60),
        ('no-cache="Set-Cookie", max-age=3000', [], 3000),
    ],
)
def test_a170_lifetime_is_max_age_less_age_within_limits(cache_control: str, ages: list[str], seconds: float) -> None:
    assert lifetime(cache_control, ages) == seconds


def test_a_set_lives_as_long_as_the_headers_say(server: RawServer) -> None:
    server.behaviour = answering(message(jwks(KEY), *JSON, "Cache-Control: max-age=900", "Age: 100"))
    keys = HTTPKeyStore(server.url).load()
    assert (keys.max_age, keys.max_stale) == (800, 3600)


# ETag and 304


@pytest.mark.parametrize("tag", ['"a"', 'W/"a"', '""', '"!#~"'])
def test_takes_entity_tag(tag: str) -> None:
    assert entity_tag(tag) == tag


@pytest.mark.parametrize(
    "tag", [None, "a", '"a', 'w/"a"', '"a", "b"', '"a b"', '"\u00e4"', '"' + "a" * 256 + '"', '"a"\n']
)
def test_ignores_entity_tag(tag: str | None) -> None:
    assert entity_tag(tag) is None


class Tagged:
    """An endpoint that gives a tag and answers 304 to whoever has it."""

    def __init__(self, *keys: SigningKey) -> None:
        self.tag = '"1"'
        self.keys = keys
        self.more: tuple[str, ...] = ("Cache-Control: max-age=300",)
        self.gates: list[threading.Event] = []

    def __call__(self, connection: Connection) -> None:
        request = header_lines(connection.read_head())
        keys, tag, more = self.keys, self.tag, self.more
        if self.gates:
            assert self.gates.pop(0).wait(20)
        if request.get("if-none-match") == tag:
            connection.send(head("304 Not Modified", f"ETag: {tag}", *more))
        else:
            connection.send(message(jwks(*keys), *JSON, f"ETag: {tag}", *more))


@pytest.fixture
def tagged(server: RawServer) -> Tagged:
    server.behaviour = behaviour = Tagged(KEY)
    return behaviour


def test_a174_304_keeps_the_set_and_renews_its_lifetime(server: RawServer, tagged: Tagged) -> None:
    store = HTTPKeyStore(server.url)
    first = store.load()
    tagged.more = ("Cache-Control: max-age=400", "Age: 50")
    second = store.load()
    assert header_lines(server.requests[1])["if-none-match"] == '"1"'
    assert second.keys[KEY.kid] is first.keys[KEY.kid]
    assert (first.max_age, second.max_age) == (300, 350)
    tagged.more = ()
    assert store.load().max_age == 300
    assert (len(first), second.skipped) == (1, first.skipped)


def test_a160_a174_304_that_nobody_asked_for_is_a_failure(server: RawServer, tagged: Tagged) -> None:
    server.behaviour = answering(head("304 Not Modified"))
    store = HTTPKeyStore(server.url)
    assert refused(store) == "the JWKS endpoint answered with status 304"
    server.behaviour = serving(KEY)  # A set without a tag.
    store.load()
    server.behaviour = answering(head("304 Not Modified"))
    assert refused(store) == "the JWKS endpoint answered with status 304"


def test_a_failed_load_keeps_the_tag_and_an_empty_answer_drops_it(server: RawServer, tagged: Tagged) -> None:
    store = HTTPKeyStore(server.url)
    store.load()
    with server.behaving(answering(message(b"[]", *JSON, 'ETag: "2"'))):
        refused(store)
    assert len(store.load()) == 1
    assert header_lines(server.requests[-1])["if-none-match"] == '"1"'
    tagged.keys, tagged.tag = (), '"3"'
    for _ in range(2):
        assert len(store.load()) == 0
        assert store.load().max_age == 60.0  # soon asked again, whatever the endpoint says of its lifetime
    assert "if-none-match" not in header_lines(server.requests[-1])


def test_a_late_load_does_not_replace_what_a_newer_one_gave(server: RawServer, tagged: Tagged) -> None:
    store = HTTPKeyStore(server.url, timeout=20)
    gate = threading.Event()
    tagged.gates = [gate]
    late: list[KeySet] = []
    thread = threading.Thread(target=lambda: late.append(store.load()))
    thread.start()
    until(lambda: len(server.requests) == 1 and not tagged.gates)
    tagged.keys, tagged.tag = (OTHER_KEY,), '"2"'
    assert list(store.load()) == [OTHER_KEY.kid]
    gate.set()
    thread.join(20)
    assert list(late[0]) == [KEY.kid]  # Which of the two counts is for the cache to say, by their numbers.
    assert list(store.load()) == [OTHER_KEY.kid]
    assert header_lines(server.requests[-1])["if-none-match"] == '"2"'


def test_a_304_stands_for_the_set_that_was_asked_about(server: RawServer, tagged: Tagged) -> None:
    store = HTTPKeyStore(server.url, timeout=20)
    store.load()
    gate = threading.Event()
    tagged.gates = [gate]
    late: list[KeySet] = []
    thread = threading.Thread(target=lambda: late.append(store.load()))
    thread.start()
    until(lambda: len(server.requests) == 2 and not tagged.gates)
    tagged.keys, tagged.tag = (OTHER_KEY,), '"2"'
    assert list(store.load()) == [OTHER_KEY.kid]
    gate.set()
    thread.join(20)
    assert list(late[0]) == [KEY.kid]


# Threads, loops and deadlines


def test_loads_concurrently(server: RawServer) -> None:
    store = HTTPKeyStore(server.url)
    sets: list[KeySet] = []
    threads = [threading.Thread(target=lambda: sets.append(store.load())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [list(keys) for keys in sets] == [[KEY.kid]] * 16


@pytest.mark.parametrize("run", [asyncio.run, lambda coroutine: trio.run(lambda: coroutine)], ids=["asyncio", "trio"])
def test_loads_on_a_thread_that_runs_an_event_loop(server: RawServer, run: Callable[[Any], KeySet]) -> None:
    store = HTTPKeyStore(server.url)

    async def main() -> KeySet:
        return store.load()

    assert list(run(main())) == [KEY.kid]


def test_loads_where_threads_inherit_the_context_of_a_trio_run(server: RawServer) -> None:
    def load() -> Any:
        sniffio.current_async_library_cvar.set("trio")
        return run_to_its_end(lambda: HTTPKeyStore(server.url)._fetch(None))

    assert contextvars.copy_context().run(load).status == 200


def test_a158_the_deadline_is_total(server: RawServer) -> None:
    def dripping(connection: Connection) -> None:
        connection.read_head()
        connection.drip(message(jwks(KEY)))

    server.behaviour = dripping
    started = time.perf_counter()
    assert refused(HTTPKeyStore(server.url, timeout=0.25)) == "the JWKS endpoint gave no complete answer in 0.25 s"
    assert 0.24 < time.perf_counter() - started < 2.5  # The whole answer takes five seconds.


def test_the_deadline_holds_for_a_dns_look_up_that_cannot_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args: over.wait(20) and [])
    started = time.perf_counter()
    store = HTTPKeyStore("https://keys.example/", timeout=0.1)
    assert refused(store) == "the JWKS endpoint gave no complete answer in 0.1 s"
    assert 0.1 < time.perf_counter() - started < 5
    over.set()
    until(lambda: not store._errands._lost)


@pytest.mark.parametrize("where", ["in the handshake", "in the answer"])
def test_closes_the_connection_when_the_deadline_passes(where: str) -> None:
    closed = threading.Event()

    def wait_for_the_end(connection: Connection) -> None:
        while connection.raw.recv(65_536):
            pass
        closed.set()

    with raw_server(wait_for_the_end, server_contexts().good if where == "in the handshake" else None) as server:
        gc.disable()
        try:
            refused(HTTPKeyStore(server.url, ssl_context=trusting_context(), timeout=0.1))
            assert closed.wait(10)
        finally:
            gc.enable()


@pytest.mark.parametrize(
    ("trouble", "names"),
    [(httpx2.ReadError("x" * 99), "ReadError"), (MemoryError(), "MemoryError"), (SystemExit(), "SystemExit")],
)
def test_turns_every_error_into_its_own(
    server: RawServer, monkeypatch: pytest.MonkeyPatch, trouble: BaseException, names: str
) -> None:
    def fail(*_args: Any, **_options: Any) -> None:
        raise trouble

    monkeypatch.setattr(httpx2, "AsyncClient", fail)
    with pytest.raises(KeyStoreError) as caught:
        HTTPKeyStore(server.url).load()
    assert str(caught.value) == f"the JWKS endpoint could not be read ({names})"
    assert caught.value.__cause__ is None


def test_lets_the_interrupt_of_whoever_waits_through(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Errands, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        HTTPKeyStore(server.url).load()


def test_refuses_to_load_when_no_thread_can_be_had(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert refused(HTTPKeyStore(server.url)) == "no thread could be started to fetch the keys"


def test_an_errand_that_comes_back_as_it_is_given_up_is_not_lost() -> None:
    errands, may_return = Errands(), threading.Event()

    class LateSet(set[object]):
        def add(self, errand: Any) -> None:
            may_return.set()
            until(lambda: errand._back)
            super().add(errand)

    errands._lost = LateSet()
    with pytest.raises(TimeoutError):
        errands.run(may_return.wait, 0.01)
    assert not errands._lost


def test_an_errand_that_comes_back_later_is_lost_no_more() -> None:
    errands, may_return = Errands(), threading.Event()
    with pytest.raises(TimeoutError):
        errands.run(may_return.wait, 0.01)
    assert len(errands._lost) == 1
    may_return.set()
    until(lambda: not errands._lost)


def test_sends_no_further_errand_while_four_are_lost() -> None:
    errands, may_return = Errands(), threading.Event()
    for _ in range(4):
        with pytest.raises(TimeoutError):
            errands.run(may_return.wait, 0.01)
    with pytest.raises(KeyStoreError, match="earlier requests for the keys never came back"):
        errands.run(may_return.wait, 0.01)
    may_return.set()
    until(lambda: not errands._lost)
    assert errands.run(may_return.wait, 5)


def test_serves_a_key_cache(server: RawServer) -> None:
    assert KeyCache(HTTPKeyStore(server.url)).key(KEY.kid) == KEY.public


def test_is_loaded_only_when_asked_for() -> None:
    text = """
import sys, d1verify
assert not {"httpx2", "httpcore2", "asyncio", "anyio", "ssl", "trio"} & set(sys.modules), "import d1verify"
d1verify.HTTPKeyStore
assert "httpx2" in sys.modules
"""
    subprocess.run([sys.executable, "-c", text], env=unmeasured(), check=True, timeout=30)

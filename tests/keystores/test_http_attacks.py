"""The HTTP key store against chapter 10 of the attack catalogue, where `test_http.py` and the faults leave a row open."""

from __future__ import annotations

import gc
import json
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from d1verify import HTTPKeyStore, KeyCache, KeyStoreError

from ..faults.certificates import server_contexts, trusting_context
from ..faults.servers import JSON, RawServer, answering, head, jwks, message, raw_server, serving
from ..support import KEY, OTHER_KEY, Clock, SigningKey, b64, make_verifier, refused

CHUNKED = head("200 OK", *JSON, "Transfer-Encoding: chunked")


@pytest.fixture
def server() -> Iterator[RawServer]:
    with raw_server(serving(KEY)) as server:
        yield server


REDIRECTS = ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]


@pytest.mark.parametrize("status", REDIRECTS)
def test_a153_follows_no_redirect(server: RawServer, status: str) -> None:
    with raw_server(serving(OTHER_KEY)) as elsewhere:
        server.behaviour = answering(head(status, f"Location: {elsewhere.url}", "Content-Length: 0"))
        with pytest.raises(KeyStoreError, match=f"answered with status {status[:3]}"):
            HTTPKeyStore(server.url).load()
        assert (server.connections, elsewhere.connections) == (1, 0)


def test_a155_whoever_a_rebound_name_leads_to_has_to_prove_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *rest, **more: look_up("127.0.0.1", *rest, **more))
    with raw_server(serving(OTHER_KEY), server_contexts().good) as inside:  # It can prove `localhost` only.
        url = f"https://keys.example:{inside.port}/jwks"
        with pytest.raises(KeyStoreError, match="SSLCertVerificationError"):
            HTTPKeyStore(url, ssl_context=trusting_context()).load()
        assert (inside.connections, inside.requests) == (1, [])
        with inside.showing(server_contexts().wrong_host):  # It can prove `keys.example`.
            assert list(HTTPKeyStore(url, ssl_context=trusting_context()).load()) == [OTHER_KEY.kid]


NO_SETS = [
    *[
        pytest.param(message(jwks(OTHER_KEY), status=status), id=f"A160-{status}")
        for status in (
            "201 Created", "203 Non-Authoritative Information", "206 Partial Content", "401 Unauthorized", "404 Not Found",
            "429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable",
        )
    ],
    pytest.param(head("204 No Content"), id="A160-204 No Content"),
    pytest.param(message(b"<html>Sign in</html>", "Content-Type: text/html"), id="A160-a captive portal"),
    pytest.param(message(b"<html>Sign in</html>"), id="A160-a captive portal that says it is JSON"),
    pytest.param(message(json.dumps([OTHER_KEY.jwk]).encode()), id="A160-an array"),
    pytest.param(message(b'{"error":"down"}'), id="A160-another object"),
    pytest.param(message(b"\xef\xbb\xbf" + jwks(OTHER_KEY)), id="A161-BOM"),
    pytest.param(message(jwks(OTHER_KEY).decode().encode("utf-16")), id="A161-UTF-16"),
    pytest.param(
        message(jwks(OTHER_KEY).decode().encode("utf-16"), "Content-Type: application/json; charset=utf-16"),
        id="A161-UTF-16, declared",
    ),
    pytest.param(message(jwks(OTHER_KEY).replace(b"EC", b"E\xc3")), id="A161-no UTF-8"),
    pytest.param(message(jwks(OTHER_KEY), "Content-Type: text/plain"), id="A161-text"),
    pytest.param(message(jwks(OTHER_KEY))[:-1], id="A162-a byte short"),
    pytest.param(head("200 OK", *JSON, "Content-Length: 20") + jwks(OTHER_KEY), id="A162-cut by its length"),
    pytest.param(CHUNKED + b"%x\r\n%b\r\n" % (len(jwks(OTHER_KEY)), jwks(OTHER_KEY)), id="A162-no last chunk"),
    pytest.param(CHUNKED + b"%x\r\n%b\r\nZZ\r\n" % (len(jwks(OTHER_KEY)), jwks(OTHER_KEY)), id="A162-broken chunk"),
]  # fmt: skip


@pytest.mark.parametrize("answer", NO_SETS)
def test_what_is_no_whole_set_replaces_nothing(server: RawServer, answer: bytes) -> None:
    cache = KeyCache(HTTPKeyStore(server.url))
    cache.warm_up()
    server.behaviour = answering(answer)
    with pytest.raises(KeyStoreError):
        cache.refresh()
    assert cache.health().kids == (KEY.kid,)
    assert cache.key(KEY.kid) == KEY.public
    server.behaviour = serving(OTHER_KEY)  # What the answers held would have been taken, had they been whole.
    cache.refresh()
    assert cache.health().kids == (OTHER_KEY.kid,)


def test_a165_nothing_but_an_unknown_kid_in_a_well_formed_token_causes_a_fetch_and_a_thousand_cause_one(
    server: RawServer,
) -> None:
    clock = Clock(0.0)
    verifier = make_verifier(KeyCache(HTTPKeyStore(server.url), timer=clock))
    for token in ("x", "a.b.c", KEY.mint({"alg": "none"}), KEY.mint({"kid": 7}), KEY.mint({"crit": ["x"]}), "." * 9000):
        assert refused(lambda token=token: verifier.verify(token)) in ("malformed_token", "disallowed_algorithm")  # type: ignore[misc]
    assert server.connections == 0
    verifier.warm_up()
    junk = [OTHER_KEY.mint({"kid": f"junk-{number}"}) for number in range(1000)]
    for token in junk:
        assert refused(lambda token=token: verifier.verify(token)) == "unknown_key"  # type: ignore[misc]
    assert server.connections == 2


def test_a168_sets_of_one_age_are_renewed_at_different_times(server: RawServer) -> None:
    caches = [KeyCache(HTTPKeyStore(server.url), timer=Clock(0.0)) for _ in range(20)]
    for cache in caches:
        cache.warm_up()
    renewed_at = [cache._loader.state.refresh_at for cache in caches]
    assert all(70 <= seconds <= 90 for seconds in renewed_at)  # of a lifetime of 100 s
    assert max(renewed_at) - min(renewed_at) > 1


def test_a172_a_set_that_somebody_replays_serves_for_two_hours_at_most(server: RawServer) -> None:
    server.behaviour = answering(message(jwks(KEY), *JSON, "Cache-Control: max-age=31536000"))
    kept = HTTPKeyStore(server.url).load()
    assert (kept.max_age, kept.max_stale) == (3600, 3600)
    server.behaviour = answering(message(jwks(KEY), *JSON, "Cache-Control: max-age=86400", "Age: 86000"))
    aged = HTTPKeyStore(server.url).load()
    assert (aged.max_age, aged.max_stale) == (400, 3600)


def strings_held_by(*roots: object) -> Iterator[str]:
    """Yield every text that can be reached from these, as a memory dump would show it."""
    seen: set[int] = set()
    waiting: list[Any] = list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type) or type(one).__name__ in ("module", "function"):
            continue
        seen.add(id(one))
        if isinstance(one, str | bytes):
            yield one if isinstance(one, str) else one.decode("latin-1")
        waiting.extend(gc.get_referents(one))


def test_a173_private_and_symmetric_keys_are_left_out_named_in_the_log_and_not_kept(
    server: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    private, secret = SigningKey("leaked"), b64(b"0123456789abcdef" * 2)
    d = b64(private.private.private_numbers().private_value.to_bytes(32, "big"))
    entries = [{**private.jwk, "d": d}, {"kty": "oct", "kid": "shared", "k": secret}, KEY.jwk]
    server.behaviour = answering(message(json.dumps({"keys": entries}).encode()))
    store = HTTPKeyStore(server.url)
    cache = KeyCache(store)
    cache.warm_up()
    assert cache.health().kids == (KEY.kid,)
    with pytest.raises(Exception, match="key"):
        cache.key("leaked")
    (warned,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "leaked: it is a private key" in warned.getMessage()
    assert "shared: it is a symmetric key" in warned.getMessage()
    held = list(strings_held_by(store, cache))
    assert KEY.kid in held, "the search finds what is kept"
    assert not [text for text in held if d in text or secret in text]
    assert d not in caplog.text
    assert secret not in caplog.text

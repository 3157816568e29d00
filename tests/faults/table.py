"""Everything that can be wrong with an endpoint, how each is brought about, and what a load says of it."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from ..support import KEY, SigningKey
from .certificates import server_contexts
from .servers import JSON, Behaviour, Connection, RawServer, answering, head, jwks, message

TIMEOUT = 0.2
"""Seconds that a load may take where it runs out of time."""
DNS_HANGS = "DNS look-up never returns"
AMPLE = 5.0

NO_ANSWER = "the JWKS endpoint gave no complete answer in 0.2 s"
_UNREADABLE = "the JWKS endpoint could not be read"
_UNUSABLE = "the JWKS endpoint's answer cannot be used"
_NOT_JSON = f"{_UNUSABLE}: it is not a strict JSON object"
_NO_SET = f'{_UNUSABLE}: it is not a JWK Set: its member "keys" must be an array'
_NONE_USABLE = "none of 1 candidates is usable"


@dataclass(frozen=True)
class Fault:
    """One row: what is wrong, how to bring it about for a while, and what the load then says."""

    name: str
    error: str
    bring_about: Callable[[RawServer], AbstractContextManager[object]]

    @property
    def slow(self) -> bool:
        """Whether the load ends only because its time is up."""
        return self.error == NO_ANSWER

    @property
    def timeout(self) -> float:
        """Seconds that a load may take; ample where it is not meant to run out, for busy machines."""
        return TIMEOUT if self.slow else AMPLE


@contextmanager
def _dns(answer: Callable[[threading.Event], Any]) -> Iterator[None]:
    over = threading.Event()
    with mock.patch.object(socket, "getaddrinfo", side_effect=lambda *_args: answer(over)):
        try:
            yield
        finally:
            over.set()


def _dns_failure(_over: threading.Event) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _dns_that_never_returns(over: threading.Event) -> None:
    over.wait(60)
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def _showing(name: str) -> Callable[[RawServer], AbstractContextManager[object]]:
    return lambda server: server.showing(getattr(server_contexts(), name))


def _hold(connection: Connection) -> None:
    connection.read_head()
    connection.hold()


def _hold_before_the_handshake(connection: Connection) -> None:
    connection.hold()


def _hang_up(connection: Connection) -> None:
    connection.read_head()


def _dripping(quick: bytes, slow: bytes) -> Behaviour:
    def behave(connection: Connection) -> None:
        connection.read_head()
        connection.send(quick)
        connection.drip(slow)
        connection.hold()

    return behave


def _again_and_again(data: bytes, *, first: bytes = b"") -> Behaviour:
    def behave(connection: Connection) -> None:
        connection.read_head()
        connection.send(first)
        while not connection.server.closing.is_set():
            connection.send(data)

    return behave


def _dripping_tls(*, handshake: bool) -> Behaviour:
    """Speak TLS by hand, to send the bytes of its records one by one."""

    def behave(connection: Connection) -> None:
        assert connection.server.tls is not None
        received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = connection.server.tls.wrap_bio(received, to_send, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                (connection.drip if handshake else connection.send)(to_send.read())
                received.write(connection.receive())
            else:
                break
        connection.send(to_send.read())
        received.write(connection.receive())
        tls.read(65_536)
        tls.write(_BODY)
        connection.drip(to_send.read())
        connection.hold()

    return behave


def _redirect(location: str) -> bytes:
    return head("301 Moved Permanently", f"Location: {location}", "Content-Length: 0")


def _big(connection: Connection) -> None:
    """Send 200 MB, if they are taken."""
    connection.read_head()
    connection.send(head("200 OK", *JSON, f"Content-Length: {200 * 1024 * 1024}"))
    for _ in range(200 * 16):
        connection.send(b" " * 65_536)


def _answers(data: bytes) -> Callable[[RawServer], AbstractContextManager[object]]:
    return _behaves(answering(data))


def _behaves(behaviour: Behaviour) -> Callable[[RawServer], AbstractContextManager[object]]:
    return lambda server: server.behaving(behaviour)


def _json(value: object) -> Callable[[RawServer], AbstractContextManager[object]]:
    return _answers(message(json.dumps(value).encode()))


def _entry(**changes: Any) -> Callable[[RawServer], AbstractContextManager[object]]:
    return _json({"keys": [{**KEY.jwk, **changes}]})


def _jwks_with(*entries: object) -> Callable[[RawServer], AbstractContextManager[object]]:
    return _json({"keys": list(entries)})


def _nested(depth: int) -> bytes:
    return b'{"keys": ' + b"[" * depth + b"]" * depth + b"}"


_BODY = message(jwks(KEY))
_CHUNKED = head("200 OK", *JSON, "Transfer-Encoding: chunked")
_RSA = {"kty": "RSA", "kid": KEY.kid, "n": "AQAB", "e": "AQAB"}
_TWIN = SigningKey(KEY.kid)
_D = base64.urlsafe_b64encode(KEY.private.private_numbers().private_value.to_bytes(32, "big")).rstrip(b"=").decode()
_P384 = {"kty": "EC", "crv": "P-384", "kid": KEY.kid, "x": "A" * 64, "y": "A" * 64}

FAULTS = (
    # Nobody there, or nobody that can be trusted
    Fault("connection refused", f"{_UNREADABLE} (ConnectError: ConnectionRefusedError)", lambda s: s.not_listening()),
    Fault("DNS look-up fails", f"{_UNREADABLE} (ConnectError: gaierror)", lambda _s: _dns(_dns_failure)),
    Fault(DNS_HANGS, NO_ANSWER, lambda _s: _dns(_dns_that_never_returns)),
    Fault(
        "TLS: another host's certificate",
        f"{_UNREADABLE} (ConnectError: SSLCertVerificationError)",
        _showing("wrong_host"),
    ),
    Fault("TLS: self-signed", f"{_UNREADABLE} (ConnectError: SSLCertVerificationError)", _showing("self_signed")),
    Fault(
        "TLS: unknown authority",
        f"{_UNREADABLE} (ConnectError: SSLCertVerificationError)",
        _showing("unknown_authority"),
    ),
    Fault("TLS: expired", f"{_UNREADABLE} (ConnectError: SSLCertVerificationError)", _showing("expired")),
    # Slow beyond the deadline
    Fault("TLS handshake never begins", NO_ANSWER, _behaves(_hold_before_the_handshake)),
    Fault("TLS handshake, byte by byte", NO_ANSWER, _behaves(_dripping_tls(handshake=True))),
    Fault("TLS records, byte by byte", NO_ANSWER, _behaves(_dripping_tls(handshake=False))),
    Fault("no answer", NO_ANSWER, _behaves(_hold)),
    Fault("headers, byte by byte", NO_ANSWER, _behaves(_dripping(b"", _BODY))),
    Fault("body, byte by byte", NO_ANSWER, _behaves(_dripping(_BODY[: _BODY.index(b"{")], _BODY[_BODY.index(b"{") :]))),
    Fault("chunk extension, byte by byte", NO_ANSWER, _behaves(_dripping(_CHUNKED + b"5;", b"x=" + b"y" * 500))),
    Fault(
        "trailers, byte by byte",
        NO_ANSWER,
        _behaves(_dripping(_CHUNKED + b"%x\r\n%b\r\n0\r\n" % (len(jwks(KEY)), jwks(KEY)), b"X: " + b"y" * 500)),
    ),
    Fault("1xx answers without end", NO_ANSWER, _behaves(_again_and_again(b"HTTP/1.1 103 Early Hints\r\n\r\n"))),
    Fault("1xx answers, byte by byte", NO_ANSWER, _behaves(_dripping(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 50))),
    # Broken HTTP
    Fault("hangs up without an answer", f"{_UNREADABLE} (RemoteProtocolError)", _behaves(_hang_up)),
    Fault("not HTTP at all", f"{_UNREADABLE} (RemoteProtocolError)", _answers(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")),
    Fault(
        "headers without end",
        f"{_UNREADABLE} (RemoteProtocolError)",
        _behaves(_again_and_again(b"X: y\r\n" * 1000, first=b"HTTP/1.1 200 OK\r\n")),
    ),
    Fault("truncated body", f"{_UNREADABLE} (RemoteProtocolError)", _answers(_BODY[:-20])),
    Fault("Content-Length too short", _NOT_JSON, _answers(head("200 OK", *JSON, "Content-Length: 30") + jwks(KEY))),
    Fault(
        "Content-Length twice",
        f"{_UNREADABLE} (RemoteProtocolError)",
        _answers(head("200 OK", "Content-Length: 30", "Content-Length: 31") + jwks(KEY)),
    ),
    Fault("broken chunk", f"{_UNREADABLE} (RemoteProtocolError)", _answers(_CHUNKED + b"10\r\n{\r\nZZ\r\n")),
    Fault(
        "gzip bomb",
        "the JWKS endpoint sent an encoded body though asked for a plain one",
        _answers(message(gzip.compress(b" " * 10_000_000), *JSON, "Content-Encoding: gzip")),
    ),
    Fault("gzip, undeclared", _NOT_JSON, _answers(message(gzip.compress(jwks(KEY))))),
    Fault("body of 200 MB", "the JWKS endpoint's answer is longer than 262144 bytes", _behaves(_big)),
    Fault(
        "body without end",
        "the JWKS endpoint's answer is longer than 262144 bytes",
        _behaves(_again_and_again(b"4000\r\n" + b" " * 0x4000 + b"\r\n", first=_CHUNKED)),
    ),
    # Another status than 200
    *(
        Fault(
            f"status {status}",
            f"the JWKS endpoint answered with status {status[:3]}",
            _answers(message(jwks(KEY), status=status)),
        )
        for status in ("203 Non-Authoritative Information", "206 Partial Content", "401 Unauthorized", "404 Not Found")
    ),
    Fault("status 204 No Content", "the JWKS endpoint answered with status 204", _answers(head("204 No Content"))),
    Fault("status 304 unasked", "the JWKS endpoint answered with status 304", _answers(head("304 Not Modified"))),
    Fault(
        "status 429 Too Many Requests",
        "the JWKS endpoint answered with status 429",
        _answers(message(b"{}", *JSON, "Retry-After: 0", status="429 Too Many Requests")),
    ),
    Fault(
        "status 500 Internal Server Error",
        "the JWKS endpoint answered with status 500",
        _answers(message(b"{}", status="500 Internal Server Error")),
    ),
    Fault(
        "redirect to another host",
        "the JWKS endpoint answered with status 301",
        _answers(_redirect("https://keys.example/jwks")),
    ),
    Fault(
        "redirect to 169.254.169.254",
        "the JWKS endpoint answered with status 301",
        _answers(_redirect("http://169.254.169.254/latest/meta-data/")),
    ),
    Fault(
        "redirect that is no URL", "the JWKS endpoint answered with status 301", _answers(_redirect("http://[::::/"))
    ),
    # 200, and no JWK Set of ours
    Fault(
        "HTML",
        "the JWKS endpoint's answer is not declared to be JSON",
        _answers(message(b"<html>Sign in</html>", "Content-Type: text/html; charset=utf-8")),
    ),
    Fault("HTML declared as JSON", _NOT_JSON, _answers(message(b"<html>Sign in</html>"))),
    Fault("empty body", _NOT_JSON, _answers(message(b""))),
    Fault('{"keys": null}', _NO_SET, _json({"keys": None})),
    Fault('no member "keys"', _NO_SET, _json({"error": "down for maintenance"})),
    Fault("top-level array", _NOT_JSON, _json([KEY.jwk])),
    Fault("a member twice", _NOT_JSON, _answers(message(b'{"keys": [], "keys": []}'))),
    Fault("JSON nested too deep", _NOT_JSON, _answers(message(_nested(100_000)))),
    Fault("UTF-16", _NOT_JSON, _answers(message(jwks(KEY).decode().encode("utf-16")))),
    Fault("UTF-8 with BOM", _NOT_JSON, _answers(message(b"\xef\xbb\xbf" + jwks(KEY)))),
    Fault("more than 100 keys", f"{_UNUSABLE}: the JWK Set has more than 100 keys", _jwks_with(*[KEY.jwk] * 101)),
    Fault("RSA keys only", f"{_NONE_USABLE}: it is not an EC key on the curve P-256", _jwks_with(_RSA)),
    Fault("another curve only", f"{_NONE_USABLE}: it is not an EC key on the curve P-256", _jwks_with(_P384)),
    Fault("point off the curve", f"{_NONE_USABLE}: its point is not on the curve P-256", _entry(x=KEY.jwk["y"])),
    Fault(
        "two keys with one kid", f"{_NONE_USABLE}: two different keys have this key id", _jwks_with(KEY.jwk, _TWIN.jwk)
    ),
    Fault("private key", f"{_NONE_USABLE}: it is a private key; only the public key belongs here", _entry(d=_D)),
    Fault(
        "symmetric key (oct)",
        f"{_NONE_USABLE}: it is a symmetric key; only public keys belong here",
        _jwks_with({"kty": "oct", "kid": KEY.kid, "k": _D}),
    ),
    Fault("key without kid", f"{_NONE_USABLE}: it has no key id of 1 to 256 printable characters", _entry(kid=None)),
    Fault("key for encryption", f"{_NONE_USABLE}: its use is not sig", _entry(use="enc")),
)

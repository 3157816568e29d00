"""What the doctor says of a JWKS endpoint, by real servers on loopback; and of the files that TLS hangs on."""

from __future__ import annotations

import datetime as dt
import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx2
import pytest

from d1verify.cli._checkup import Check, Mark
from d1verify.cli._checkup_certificates import MAX_FILE_BYTES
from d1verify.cli._checkup_endpoint import check_exchange
from d1verify.cli._checkup_exchange import Exchange, ObservedStore, _with_causes
from tests.faults.certificates import HOST, authority, mutual_context, server_contexts, write_tls_files
from tests.faults.servers import JSON, Behaviour, Connection, answering, head, jwks, message, raw_server
from tests.support import KEY

from .checkup import Look

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
LONG_AGO = 1_000_000.0


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, a client's certificate and key, and what is wrong in some way."""
    folder = tmp_path_factory.mktemp("tls")
    write_tls_files(folder)
    for name, begins, ends in (("expired", -2, -1), ("early", 1, 2), ("ending", -60, 3)):
        cert = authority().issue_cert(HOST, not_before=NOW + begins * DAY, not_after=NOW + ends * DAY)
        cert.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        cert.private_key_pem.write_to_path(folder / f"{name}-key.pem")
    for name in ("expired", "ending"):
        both = (folder / "ca.pem").read_bytes() + (folder / f"{name}.pem").read_bytes()
        (folder / f"partly-{name}.pem").write_bytes(both)
    (folder / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (folder / "huge.pem").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    for file in folder.iterdir():
        file.chmod(0o600)
    return folder


def answer(*headers: str, date: float | None = 0.0) -> Behaviour:
    """Return the behaviour of a healthy endpoint with these headers; `date` is how far its clock is ahead."""

    def behave(connection: Connection) -> None:
        dated = () if date is None else (f"Date: {formatdate(time.time() + date, usegmt=True)}",)
        answering(message(jwks(KEY), *(headers or (*JSON, "Cache-Control: max-age=600", 'ETag: "1"')), *dated))(
            connection
        )

    return behave


@contextmanager
def deployed(
    look: Look, behaviour: Behaviour, tls: Path | None, context: ssl.SSLContext | None = None, /, **more: Any
) -> Iterator[dict[str, Check]]:
    """Yield what the doctor says of a deployment whose keys come from a server that behaves so."""
    if tls is not None:
        more = {"JWKS_CA_FILE": str(tls / "ca.pem"), **more}
        context = context or server_contexts().good
    with raw_server(behaviour, context) as server:
        yield look(KEYS=None, JWKS_URL=server.url, **more)


def of(
    look: Look, behaviour: Behaviour, tls: Path | None = None, context: ssl.SSLContext | None = None, /, **more: Any
) -> dict[str, Check]:
    with deployed(look, behaviour, tls, context, **more) as checks:
        return checks


class TestEndpoint:
    def test_a_healthy_one_is_well(self, look: Look, tls: Path) -> None:
        checks = of(look, answer(), tls)
        assert {name: check.seen for name, check in checks.items() if check.mark is not Mark.OK} == {}
        assert checks["connection"].seen == "answered with status 200"
        assert checks["tls"].seen.startswith("verified, TLSv1.3, ")
        assert checks["caching"].seen == "max-age=600, ETag; keys count as current for 600 s"
        assert checks["clock"].seen == "agrees with the endpoint's Date"
        assert checks["content type"].seen == "application/json"
        assert checks["keys"].seen.startswith("1 usable")

    def test_plain_http_has_no_tls(self, look: Look) -> None:
        checks = of(look, answer())
        assert (checks["tls"].mark, checks["connection"].mark) == (Mark.SKIPPED, Mark.OK)

    def test_its_query_is_not_shown(self, look: Look) -> None:
        with raw_server(answer()) as server:
            checks = look(KEYS=None, JWKS_URL=f"{server.url}?token=secret")
        assert checks["source"].seen == f"{server.url}?..."
        assert (checks["keys"].details or {})["source"] == "D1VERIFY_JWKS_URL"

    def test_is_asked_once(self, look: Look) -> None:
        with raw_server(answer()) as server:
            look(KEYS=None, JWKS_URL=server.url)
            assert server.connections == 1

    @pytest.mark.parametrize(
        ("status", "advice"),
        [
            pytest.param("302 Found", "redirects are not followed", id="302"),
            pytest.param("401 Unauthorized", "credentials", id="401"),
            pytest.param("404 Not Found", "correct the path", id="404"),
            pytest.param("500 Internal Server Error", "operator", id="500"),
        ],
    )
    def test_another_status_is_a_failure(self, look: Look, status: str, advice: str) -> None:
        checks = of(look, answering(message(b"{}", status=status)))
        assert checks["connection"].mark is checks["keys"].mark is Mark.FAIL
        assert checks["connection"].seen == f"answered with status {status[:3]}"
        assert advice in str(checks["connection"].advice)

    def test_nobody_there_is_a_failure_and_the_rest_is_skipped(self, look: Look) -> None:
        with raw_server(answer()) as server, server.not_listening():
            checks = look(KEYS=None, JWKS_URL=server.url)
        assert checks["connection"].seen == "nobody listens there"
        left = {name: checks[name].mark for name in ("latency", "content type", "caching", "clock")}
        assert set(left.values()) == {Mark.SKIPPED}

    def test_a_name_that_cannot_be_looked_up_is_a_failure(self, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
        import socket

        def unknown(*_: object) -> None:
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        checks = look(KEYS=None, JWKS_URL="https://keys.example/jwks")
        assert checks["connection"].seen == "the host name cannot be looked up"
        assert checks["tls"].mark is Mark.SKIPPED

    def test_what_is_no_http_is_a_failure(self, look: Look) -> None:
        assert (
            of(look, answering(b"hello\r\n\r\n"))["connection"].seen
            == "no answer that can be read (RemoteProtocolError)"
        )

    def test_a_proxy_that_refuses_is_named_without_its_password(self, look: Look) -> None:
        refusing = answering(head("407 Proxy Authentication Required"))
        with raw_server(refusing) as proxy:
            url = f"http://me:hunter2@{HOST}:{proxy.port}"
            checks = look(KEYS=None, JWKS_URL="https://keys.example/jwks", JWKS_PROXY=url)
        assert checks["source"].seen == "https://keys.example/jwks, through a proxy"
        assert checks["connection"].seen == "the proxy does not let this through"
        assert "hunter2" not in str(checks)

    @pytest.mark.parametrize("part", ["handshake", "head", "body"])
    def test_one_that_drips_is_given_up_in_time(
        self, look: Look, tls: Path, monkeypatch: pytest.MonkeyPatch, part: str
    ) -> None:
        def dripping(connection: Connection) -> None:
            if part == "handshake":
                connection.hold()
            connection.read_head()
            first = head("200 OK", *JSON, "Content-Length: 1000")
            connection.send(first if part == "body" else b"")
            connection.drip(b"{" * 1000 if part == "body" else first * 10)

        like = ObservedStore.like
        monkeypatch.setattr(ObservedStore, "like", lambda store: hasty(like(store)))
        started = time.monotonic()
        checks = of(look, dripping, tls)
        assert time.monotonic() - started < 2
        assert checks["connection"].seen == "no complete answer in 0.2 s"
        assert checks["latency"].mark is checks["keys"].mark is Mark.FAIL
        assert checks["tls"].mark is (Mark.OK if part == "body" else Mark.SKIPPED)

    def test_without_a_thread_to_be_had_the_keys_line_says_why(
        self, look: Look, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def none(_go: object) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr("d1verify.keystores._fetching.start_thread", none)
        checks = look(KEYS=None, JWKS_URL="http://127.0.0.1:9")
        assert checks["connection"].mark is Mark.SKIPPED
        assert checks["keys"].seen == "no thread could be started to fetch the keys"


def hasty(store: ObservedStore) -> ObservedStore:
    """Return the store with less patience."""
    store._timeout = 0.2
    return store


class TestTLS:
    @pytest.mark.parametrize(
        ("kind", "seen"),
        [
            pytest.param("wrong_host", "its certificate is for another host", id="another host"),
            pytest.param("expired", "its certificate has expired", id="expired"),
            pytest.param("unknown_authority", "its authority is not trusted here", id="unknown authority"),
            pytest.param("self_signed", "its certificate is self-signed", id="self-signed"),
        ],
    )
    def test_a_certificate_that_cannot_be_verified_is_a_failure(
        self, look: Look, tls: Path, kind: str, seen: str
    ) -> None:
        checks = of(look, answer(), tls, getattr(server_contexts(), kind))
        assert (checks["tls"].mark, checks["connection"].mark) == (Mark.FAIL, Mark.FAIL)
        assert checks["tls"].seen == seen
        assert checks["connection"].seen == "TLS was not agreed on"

    def test_one_that_ends_soon_is_a_warning(self, look: Look, tls: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "ending.pem", tls / "ending-key.pem")
        check = of(look, answer(), tls, context)["tls"]
        assert check.mark is Mark.WARN
        assert check.seen.endswith("2 days left")

    def test_the_wish_for_a_certificate_is_told(self, look: Look, tls: Path) -> None:
        """In one line or the other: the endpoint's hanging up may overtake its alert."""
        checks = of(look, answer(), tls, mutual_context())
        assert checks["connection"].mark is Mark.FAIL
        assert "D1VERIFY_JWKS_CERT_FILE" in f"{checks['tls'].advice} {checks['connection'].advice}"
        alert = ssl.SSLError(1, "secret")
        alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
        check = judged("tls", exchange(errors=(alert,)))
        assert (check.mark, check.seen) == (Mark.FAIL, "refused: TLSV13_ALERT_CERTIFICATE_REQUIRED")
        assert "D1VERIFY_JWKS_CERT_FILE" in str(check.advice)

    def test_mutual_tls_is_well(self, look: Look, tls: Path) -> None:
        files = {"JWKS_CERT_FILE": str(tls / "cert.pem"), "JWKS_KEY_FILE": str(tls / "key.pem")}
        checks = of(look, answer(), tls, mutual_context(), **files)
        assert {name for name, check in checks.items() if check.mark is not Mark.OK} == set()
        assert checks["client certificate"].seen.startswith("with its own key, ")


def exchange(*headers: tuple[str, str], **changes: Any) -> Exchange:
    """Return a load that was well: asked at `LONG_AGO`, answered half a second later."""
    usual = Exchange(
        LONG_AGO, LONG_AGO + 0.5, 0.6, 200, httpx2.Headers(list(headers)), ("TLSv1.3", LONG_AGO, LONG_AGO * 100)
    )
    return usual._replace(**changes)


def judged(name: str, seen: Exchange, *, leeway: float = 30.0) -> Check:
    """Return the check of that name."""
    checks = check_exchange(seen, is_plain=False, seconds_allowed=5.0, leeway=leeway)
    return {check.name: check for check in checks}[name]


def dated(ahead: float, *more: tuple[str, str]) -> Exchange:
    """Return a load that was answered by a clock that is so far ahead, in whole seconds."""
    return exchange(("Date", formatdate(LONG_AGO + ahead, usegmt=True)), *more)


class TestCaching:
    @pytest.mark.parametrize(
        ("value", "mark", "seconds"),
        [
            pytest.param("max-age=600", Mark.OK, 600, id="600"),
            pytest.param("public, MAX-AGE=60", Mark.OK, 60, id="the least"),
            pytest.param('max-age="3600", immutable', Mark.OK, 3600, id="the most"),
            pytest.param("max-age=59", Mark.WARN, 60, id="too little"),
            pytest.param("max-age=0", Mark.WARN, 60, id="zero"),
            pytest.param("max-age=3601", Mark.WARN, 3600, id="too much"),
            pytest.param("max-age=" + "9" * 5000, Mark.WARN, 3600, id="beyond all digits"),
            pytest.param("max-age=600, max-age=5", Mark.WARN, 60, id="two"),
            pytest.param("no-store", Mark.WARN, 60, id="no-store"),
            pytest.param("no-cache, max-age=600", Mark.OK, 60, id="no-cache with max-age"),
            pytest.param("private", Mark.WARN, 600, id="no max-age"),
            pytest.param("max-age=ten", Mark.WARN, 600, id="no number"),
            pytest.param("s-maxage=600", Mark.WARN, 600, id="for others"),
        ],
    )
    def test_what_follows_from_cache_control_is_shown(self, value: str, mark: Mark, seconds: int) -> None:
        check = judged("caching", exchange(("Cache-Control", value)))
        assert check.mark is mark
        assert check.seen.endswith(f"keys count as current for {seconds} s")

    def test_none_is_a_warning(self) -> None:
        check = judged("caching", exchange())
        assert (check.mark, check.seen) == (Mark.WARN, "no Cache-Control; keys count as current for 600 s")

    def test_age_is_taken_off(self) -> None:
        check = judged("caching", exchange(("Cache-Control", "max-age=600"), ("Age", "100"), ("ETag", 'W/"1"')))
        assert (check.mark, check.seen) == (Mark.OK, "max-age=600, Age, ETag; keys count as current for 500 s")

    def test_what_the_endpoint_wrote_is_escaped(self) -> None:
        assert "\x1b" not in judged("caching", exchange(("Cache-Control", "\x1b[2J"))).seen


class TestClock:
    @pytest.mark.parametrize(
        ("ahead", "mark"),
        [
            pytest.param(0, Mark.OK, id="equal"),
            pytest.param(-1, Mark.OK, id="a second that was cut off"),
            pytest.param(-15, Mark.OK, id="14 s, below half the leeway"),
            pytest.param(-17, Mark.WARN, id="16 s, above half the leeway"),
            pytest.param(-31, Mark.WARN, id="30 s, the leeway"),
            pytest.param(-32, Mark.FAIL, id="31 s, beyond the leeway"),
            pytest.param(15, Mark.OK, id="14.5 s behind"),
            pytest.param(16, Mark.WARN, id="15.5 s behind"),
            pytest.param(30, Mark.WARN, id="29.5 s behind"),
            pytest.param(31, Mark.FAIL, id="30.5 s behind"),
        ],
    )
    def test_is_compared_with_the_date(self, ahead: float, mark: Mark) -> None:
        assert judged("clock", dated(ahead)).mark is mark

    def test_which_one_is_ahead_is_told(self) -> None:
        assert judged("clock", dated(-101)).seen.startswith("100.0 s ahead of the endpoint's Date; leeway is 30 s")
        assert judged("clock", dated(101)).seen.startswith("100.5 s behind the endpoint's Date")

    @pytest.mark.parametrize("fraction", [0.0, 0.4, 0.999])
    def test_a_clock_that_is_right_is_well_without_any_leeway(self, fraction: float) -> None:
        seen = dated(fraction)._replace(began=LONG_AGO + fraction, answered=LONG_AGO + fraction)
        assert judged("clock", seen, leeway=0).mark is Mark.OK
        assert judged("clock", dated(-3), leeway=0).mark is Mark.FAIL

    def test_the_age_of_a_cached_answer_is_not_taken_for_a_clock_that_is_wrong(self) -> None:
        assert judged("clock", dated(-500, ("Age", "500"))).mark is Mark.OK
        assert judged("clock", dated(-500, ("Age", "x"))).mark is Mark.FAIL
        assert judged("clock", dated(-500, ("Age", "400"))).seen.startswith("98.0 s ahead")

    @pytest.mark.parametrize(
        "value", ["", "yesterday", "Mon, 99 Nov 2026 99:99:99 GMT", "Sat, 01 Jan 99999999999999999999 00:00:00 GMT"]
    )
    def test_without_a_date_it_is_skipped(self, value: str) -> None:
        assert judged("clock", exchange(("Date", value))).mark is Mark.SKIPPED

    def test_a_date_without_a_zone_is_read_as_utc(self) -> None:
        assert judged("clock", exchange(("Date", "Mon, 12 Jan 1970 13:46:40 -0000"))).mark is Mark.OK

    def test_by_the_leeway_of_the_deployment(self, look: Look) -> None:
        assert of(look, answer(date=-60), LEEWAY="300")["clock"].mark is Mark.OK
        assert of(look, answer(date=-60))["clock"].mark is Mark.FAIL
        assert of(look, answer(date=None))["clock"].mark is Mark.SKIPPED


class TestAnswer:
    @pytest.mark.parametrize(
        ("headers", "mark"),
        [
            pytest.param([("Content-Type", "application/jwk-set+json; charset=utf-8")], Mark.OK, id="jwk-set"),
            pytest.param([("Content-Type", "Application/JSON")], Mark.OK, id="json"),
            pytest.param([], Mark.WARN, id="none"),
            pytest.param([("Content-Type", "text/html")], Mark.FAIL, id="html"),
            pytest.param([("Content-Type", "application/json"), ("Content-Encoding", "gzip")], Mark.FAIL, id="gzip"),
            pytest.param([("Content-Type", "application/json"), ("Content-Encoding", "Identity")], Mark.OK, id="plain"),
        ],
    )
    def test_the_content_type_is_one_that_is_taken(self, headers: list[tuple[str, str]], mark: Mark) -> None:
        assert judged("content type", exchange(*headers)).mark is mark

    def test_one_that_is_not_taken_is_told_as_the_store_refuses_it(self, look: Look) -> None:
        checks = of(look, answer("Content-Type: text/html"))
        assert checks["content type"].mark is checks["keys"].mark is Mark.FAIL
        assert checks["connection"].mark is Mark.OK

    @pytest.mark.parametrize(
        ("seconds", "mark"), [(0.3, Mark.OK), (1.99, Mark.OK), (2.0, Mark.WARN), (4.9, Mark.WARN), (5.0, Mark.FAIL)]
    )
    def test_the_latency_is_held_against_what_a_call_waits(self, seconds: float, mark: Mark) -> None:
        check = judged("latency", exchange(seconds=seconds))
        assert check.mark is mark
        assert f"{seconds:.2f} s" in check.seen

    def test_without_an_end_there_is_no_latency(self) -> None:
        late = exchange(seconds=0.2, errors=(TimeoutError(),))
        assert (judged("latency", late).mark, judged("latency", late).seen) == (Mark.FAIL, "given up after 0.20 s")
        assert judged("latency", exchange(seconds=None)).mark is Mark.SKIPPED

    @pytest.mark.parametrize(("version", "mark"), [("TLSv1.2", Mark.OK), ("TLSv1.1", Mark.WARN)])
    def test_an_old_version_of_tls_is_a_warning(self, version: str, mark: Mark) -> None:
        assert judged("tls", exchange(tls=(version, LONG_AGO, LONG_AGO * 100))).mark is mark

    def test_trouble_with_a_certificate_that_has_no_name_is_told_by_number(self) -> None:
        error = ssl.SSLCertVerificationError(1, "secret")
        error.verify_code = 77
        assert judged("tls", exchange(errors=(error,))).seen == "its certificate cannot be verified (OpenSSL's code 77)"
        assert judged("tls", exchange(errors=(ssl.SSLError(1, "secret"),))).seen == "refused: for an unknown reason"


class TestFiles:
    def check(self, look: Look, name: str, **files: Path) -> Check:
        variables = {f"JWKS_{which}_FILE": str(path) for which, path in files.items()}
        return look(KEYS=None, JWKS_URL="http://127.0.0.1:9", **variables)[name]

    @pytest.mark.parametrize(
        ("file", "mark", "seen"),
        [
            pytest.param("ca.pem", Mark.OK, "1 certificate, 0 expired", id="good"),
            pytest.param("partly-expired.pem", Mark.WARN, "2 certificates, 1 expired", id="one expired"),
            pytest.param("expired.pem", Mark.FAIL, "every certificate in it has expired", id="expired"),
            pytest.param("ending.pem", Mark.WARN, "2 days left", id="ends soon"),
            pytest.param("partly-ending.pem", Mark.WARN, "0 expired, the next: 2 days left", id="one ends soon"),
            pytest.param("absent.pem", Mark.FAIL, "D1VERIFY_JWKS_CA_FILE names no file", id="absent"),
            pytest.param("huge.pem", Mark.FAIL, "of up to 4 MiB", id="huge"),
            pytest.param("junk.pem", Mark.FAIL, "no certificate in", id="junk"),
            pytest.param("broken.pem", Mark.FAIL, "no certificate in", id="broken"),
        ],
    )
    def test_the_authorities(self, look: Look, tls: Path, file: str, mark: Mark, seen: str) -> None:
        check = self.check(look, "ca file", CA=tls / file)
        assert check.mark is mark
        assert seen in check.seen

    @pytest.mark.parametrize(
        ("cert", "key", "mark", "seen"),
        [
            pytest.param("cert.pem", "key.pem", Mark.OK, "with its own key", id="good"),
            pytest.param("cert.pem", "other-key.pem", Mark.FAIL, "not this certificate's", id="another's key"),
            pytest.param("cert.pem", "locked-key.pem", Mark.FAIL, "cannot be used", id="encrypted key"),
            pytest.param("cert.pem", "absent.pem", Mark.SKIPPED, "no key to compare with", id="no key"),
            pytest.param("expired.pem", "expired-key.pem", Mark.FAIL, "it has expired", id="expired"),
            pytest.param("early.pem", "early-key.pem", Mark.FAIL, "not valid yet", id="too early"),
            pytest.param("ending.pem", "ending-key.pem", Mark.WARN, "2 days left", id="ends soon"),
            pytest.param("absent.pem", "key.pem", Mark.FAIL, "D1VERIFY_JWKS_CERT_FILE names no file", id="absent"),
            pytest.param("junk.pem", "key.pem", Mark.FAIL, "no certificate in", id="junk"),
        ],
    )
    def test_the_clients_certificate(
        self, look: Look, tls: Path, *, cert: str, key: str, mark: Mark, seen: str
    ) -> None:
        check = self.check(look, "client certificate", CERT=tls / cert, KEY=tls / key)
        assert check.mark is mark
        assert seen in check.seen

    def test_the_clients_key(self, look: Look, tls: Path, tmp_path: Path) -> None:
        assert self.check(look, "client key", KEY=tls / "key.pem").mark is Mark.OK
        assert self.check(look, "client key", KEY=tls / "absent.pem").mark is Mark.FAIL
        public = tmp_path / "public-key.pem"
        public.write_bytes((tls / "key.pem").read_bytes())
        public.chmod(0o644)
        assert "anybody on this machine may read it" in self.check(look, "client key", KEY=public).seen

    def test_who_may_change_them_counts(self, look: Look, tls: Path, tmp_path: Path) -> None:
        path = tmp_path / "ca.pem"
        authority().cert_pem.write_to_path(path)
        path.chmod(0o644)
        assert self.check(look, "writable", CA=path).mark is Mark.OK
        path.chmod(0o666)
        assert self.check(look, "writable", CA=path).mark is Mark.FAIL

    def test_a_file_that_may_not_be_read_is_a_failure(
        self, look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os.path, "isfile", lambda path: path == str(tmp_path))
        assert self.check(look, "ca file", CA=tmp_path).seen.endswith("that can be read")


def test_all_that_led_to_an_error_is_looked_at() -> None:
    """Where a name has two addresses, the client groups what went wrong with each."""
    refused, circular = ConnectionRefusedError(), OSError("all attempts failed")
    circular.__cause__ = ExceptionGroup("two", [ssl.SSLWantReadError(), refused])
    refused.__context__ = circular
    assert _with_causes(circular) == (circular, circular.__cause__, refused)
    assert judged("connection", exchange(errors=_with_causes(circular))).seen == "nobody listens there"

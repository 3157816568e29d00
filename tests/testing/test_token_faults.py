"""Token endpoints with one fault each, as real ones have had them: the case that is about it finds it."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, quote_plus, unquote_plus, urlencode

import pytest

from d1verify import D1Token, TokenError
from d1verify.testing import ASGISender, FakeD1, access_token_cases, run_token_contract, token_endpoint_cases

from .token_app import CLIENT_ID, GUARDED, GUARDED_TEMPLATE, SECRET, SUBJECT, TOKEN_PATH, Merchant

FORM = b"application/x-www-form-urlencoded"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Message:
    """One request, to be read wrongly, or one answer, to be spoilt."""

    def __init__(self, method: str, query: bytes, headers: dict[bytes, bytes], body: bytes) -> None:
        self.method, self.query, self.headers, self.body = method, query, headers, body
        self.status = 0

    @property
    def kind(self) -> bytes:
        return self.headers.get(b"content-type", b"")

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode("latin-1"), keep_blank_values=True))

    def read_as(self, form: dict[str, str]) -> None:
        """Have the strict endpoint see what the lenient one would have read."""
        self.method, self.query, self.body = "POST", b"", urlencode(form).encode()
        self.headers[b"content-type"] = FORM

    def change(self, **members: Any) -> None:
        content = {**json.loads(self.body), **members}
        self.body = json.dumps({name: value for name, value in content.items() if value is not None}).encode()


Fault = Callable[[Message], None]


class Spoilt:
    """The token endpoint, behind something that misreads requests or spoils answers."""

    def __init__(
        self, endpoint: Any, reading: Fault | None, answering: Callable[[Message, Message], None] | None
    ) -> None:
        self._endpoint, self._reading, self._answering = endpoint, reading, answering

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        body = (await receive())["body"]
        request = Message(scope["method"], scope["query_string"], dict(scope["headers"]), body)
        as_sent = Message(scope["method"], scope["query_string"], dict(scope["headers"]), body)
        if self._reading is not None:
            self._reading(request)
        answer = Message("", b"", {}, b"")

        async def receive_read() -> Any:
            return {"type": "http.request", "body": request.body, "more_body": False}

        async def keep(message: Any) -> None:
            answer.status = message.get("status", answer.status)
            answer.headers.update(message.get("headers", ()))
            answer.body += message.get("body", b"")

        read = {"method": request.method, "query_string": request.query, "headers": list(request.headers.items())}
        await self._endpoint({**scope, **read}, receive_read, keep)
        if self._answering is not None:
            self._answering(as_sent, answer)
        answer.headers.pop(b"content-length", None)
        await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers.items())})
        await send({"type": "http.response.body", "body": answer.body})


def queries_count(request: Message) -> None:
    if request.query:
        request.read_as({**request.form, **dict(parse_qsl(request.query.decode()))})


def any_method(request: Message) -> None:
    request.method = "POST"


def json_is_read(request: Message) -> None:
    if request.kind == b"application/json" and request.body[:1] == b"{":
        request.read_as(json.loads(request.body))


def json_is_read_whatever_it_says_it_is(request: Message) -> None:
    if request.body[:1] == b"{":
        request.read_as(json.loads(request.body))


def forms_are_read_whatever_they_say_they_are(request: Message) -> None:
    if request.body[:1] not in b"{-":
        request.headers[b"content-type"] = FORM


def multipart_is_read(request: Message) -> None:
    if request.kind.startswith(b"multipart/form-data"):
        parts = request.body.split(b"--d1verify")[1:-1]
        halves = [part.strip(b"\r\n").split(b"\r\n\r\n") for part in parts]
        request.read_as({head.split(b'"')[1].decode(): value.decode() for head, value in halves})


def gzip_is_read(request: Message) -> None:
    if request.headers.pop(b"content-encoding", b"") == b"gzip":
        request.body = gzip.decompress(request.body)


def any_length_is_read(request: Message) -> None:
    form = request.form
    request.read_as({name: form[name] for name in ("grant_type", "assertion", "scope", "client_id") if name in form})


def semicolons_separate(request: Message) -> None:
    if b";assertion" in request.body:
        request.body = request.body.replace(b";", b"&")


def bytes_that_are_not_utf_8_are_dropped(request: Message) -> None:
    request.body = request.body.replace(b"%FF%FE", b"").replace(b"%ff", b"")


def the_last_of_two_counts(request: Message) -> None:
    if request.kind.lower().startswith(FORM) and b"=" in request.body and b";" not in request.body:
        request.body = urlencode(request.form).encode("latin-1") if b"%FF" not in request.body.upper() else request.body


def the_first_of_two_counts(request: Message) -> None:
    if request.body.count(b"assertion=") > 1:
        pairs = parse_qsl(request.body.decode())
        request.read_as(dict(reversed(pairs)))


def the_first_of_two_grants_counts(request: Message) -> None:
    if request.body.count(b"grant_type=") > 1:
        request.read_as(dict(reversed(parse_qsl(request.body.decode()))))


def charsets_are_not_known(request: Message) -> None:
    request.headers[b"content-type"] = b"text/plain" if b"charset" in request.kind else request.kind


def media_types_in_capitals_are_not_known(request: Message) -> None:
    request.headers[b"content-type"] = request.kind.replace(FORM.upper(), b"text/plain")


def what_nobody_knows_is_refused(request: Message) -> None:
    if b"x-d1verify" in request.body:
        request.read_as({})


def grants_in_any_case(request: Message) -> None:
    if request.form.get("grant_type", "").lower() in (JWT_BEARER, "client_credentials"):
        request.read_as({**request.form, "grant_type": request.form["grant_type"].lower()})


def grants_are_trimmed(request: Message) -> None:
    if request.form.get("grant_type", "").strip(" \0") == JWT_BEARER:
        request.read_as({**request.form, "grant_type": JWT_BEARER})


def any_grant_with_an_assertion(request: Message) -> None:
    if request.form.get("assertion") and request.kind == FORM:
        request.read_as({**request.form, "grant_type": JWT_BEARER})


def an_assertion_is_enough(request: Message) -> None:
    if request.form.get("grant_type") == JWT_BEARER:
        request.headers.pop(b"authorization", None)


def what_else_the_body_proves_is_not_looked_at(request: Message) -> None:
    extra = ("client_id", "client_secret", "client_assertion", "client_assertion_type")
    if any(name in request.form for name in extra) and request.headers.get(b"authorization") is None:
        request.read_as({name: value for name, value in request.form.items() if name not in extra})


def the_secret_in_the_header_is_enough(request: Message) -> None:
    if request.headers.get(b"authorization", b"").startswith(b"Basic "):
        request.read_as({"grant_type": request.form.get("grant_type", "")})


def empty_values_are_values(request: Message) -> None:
    if request.form.get("scope") == "":
        request.read_as({**request.form, "scope": "nothing"})


RIGHT = b"Basic " + base64.b64encode(f"{CLIENT_ID}:{SECRET}".encode())


def any_credentials_will_do(request: Message) -> None:
    if b"authorization" in request.headers and b"assertion" not in request.body and b"client_id" not in request.body:
        request.headers[b"authorization"] = RIGHT


def any_secret_will_do(request: Message) -> None:
    scheme, _, encoded = request.headers.get(b"authorization", b"").partition(b" ")
    with suppress(ValueError):
        if scheme == b"Basic" and base64.b64decode(encoded).lower().startswith(f"{CLIENT_ID}:".encode()):
            any_credentials_will_do(request)


def an_empty_form_is_granted(request: Message) -> None:
    if request.method == "POST" and not request.body and not request.query:
        request.headers[b"authorization"] = RIGHT
        request.read_as({"grant_type": "client_credentials"})


def a_grant_that_is_not_utf_8_is_the_usual_one(request: Message) -> None:
    request.body = request.body.replace(b"%FF%FE", quote_plus(JWT_BEARER).encode())


READINGS = {
    queries_count: {"token-get", "token-head", "token-query", "token-query-assertion"},
    any_method: {"token-put"},
    json_is_read: {"token-json"},
    json_is_read_whatever_it_says_it_is: {"token-json", "token-json-as-text", "token-json-as-form"},
    forms_are_read_whatever_they_say_they_are: {"token-form-as-json", "token-form-as-text", "token-form-untyped"},
    multipart_is_read: {"token-multipart"},
    gzip_is_read: {"token-gzip"},
    any_length_is_read: {"token-body-long", "token-fields-many"},
    semicolons_separate: {"token-separator-semicolon"},
    bytes_that_are_not_utf_8_are_dropped: {"token-assertion-not-utf-8"},
    the_last_of_two_counts: {
        *("token-twice-grant-type", "token-twice-grant-type-escaped", "token-twice-assertion"),
        *("token-twice-assertion-good-last", "token-twice-scope"),
    },
    the_first_of_two_counts: {"token-twice-assertion-good-first"},
    the_first_of_two_grants_counts: {"token-twice-grant-type-other"},
    charsets_are_not_known: {"token-form-charset"},
    media_types_in_capitals_are_not_known: {"token-form-type-in-capitals"},
    what_nobody_knows_is_refused: {"token-parameter-unknown"},
    grants_in_any_case: {"token-grant-upper-case", "token-grant-secret-upper-case"},
    grants_are_trimmed: {"token-grant-trailing-space", "token-grant-leading-space", "token-grant-nul"},
    any_grant_with_an_assertion: {
        *("token-grant-password", "token-grant-refresh-token", "token-grant-authorization-code"),
        *("token-grant-token-exchange", "token-grant-saml", "token-grant-longer", "token-grant-made-up"),
        *("token-grant-missing", "token-grant-empty"),
    },
    an_assertion_is_enough: {"token-two-ways-basic"},
    what_else_the_body_proves_is_not_looked_at: {"token-two-ways-body", "token-two-ways-client-assertion"},
    the_secret_in_the_header_is_enough: {"token-secret-two-ways", "token-secret-and-assertion"},
    empty_values_are_values: {"token-parameter-empty"},
    any_credentials_will_do: {
        *("token-basic-empty", "token-basic-alone", "token-basic-no-base64", "token-basic-length"),
        *("token-basic-no-colon", "token-basic-colon-alone", "token-basic-no-id", "token-basic-no-secret"),
        *("token-basic-not-utf-8", "token-basic-id-not-utf-8", "token-basic-not-ascii", "token-basic-nul"),
        *("token-basic-form-not-utf-8", "token-basic-long", "token-basic-stranger", "token-basic-gateway"),
        "token-bearer-for-basic",
    },
    any_secret_will_do: {
        *("token-secret-wrong", "token-secret-empty", "token-secret-part", "token-secret-longer", "token-secret-nul"),
        *("token-secret-other-case", "token-secret-id-other-case", "token-secret-not-ascii"),
        "token-secret-not-utf-8",
    },
    an_empty_form_is_granted: {"token-body-empty"},
    a_grant_that_is_not_utf_8_is_the_usual_one: {"token-grant-not-utf-8"},
}


# Most of the assertions are there to find faults in the verifier, which has tests of its own.
ASSERTIONS = {"assertion-access-token", "assertion-exp-hour-past", "assertion-alg-none", "assertion-json-serialization"}
CASES = [
    case
    for case in (*token_endpoint_cases(), *access_token_cases())
    if not case.id.startswith("assertion-") or case.id in ASSERTIONS
]


def failed(app: Any, fake_d1: FakeD1, among: set[str] | None = None) -> set[str]:
    """Return the cases that find something wrong, of all cases or of these."""
    cases = [case for case in CASES if among is None or case.id in among]
    with ASGISender(app, TOKEN_PATH) as send:
        report = run_token_contract(send, fake_d1, guarded=GUARDED, cases=cases)
    return {result.case_id for result in report.failed}


@pytest.fixture
def fake_d1() -> FakeD1:
    return FakeD1(subject=SUBJECT, client_id=CLIENT_ID, client_secret=SECRET, path=GUARDED_TEMPLATE)


@pytest.mark.parametrize(("reading", "found_by"), READINGS.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_finds_an_endpoint_that_reads_requests_wrongly(reading: Fault, found_by: set[str], fake_d1: FakeD1) -> None:
    merchant = Merchant(fake_d1)
    spoilt = merchant.with_endpoint(Spoilt(merchant.endpoint, reading, None))
    assert failed(spoilt, fake_d1, {*found_by, "token-issued"}) == found_by


def test_what_is_spoilt_is_right_otherwise(fake_d1: FakeD1) -> None:
    merchant = Merchant(fake_d1)
    assert failed(merchant.with_endpoint(Spoilt(merchant.endpoint, None, None)), fake_d1) == set()


def test_finds_an_endpoint_that_looks_at_the_first_header_only(fake_d1: FakeD1) -> None:
    merchant = Merchant(fake_d1)

    class First:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            headers = list(dict(reversed(scope["headers"])).items())
            await merchant.endpoint({**scope, "headers": headers}, receive, send)

    assert failed(merchant.with_endpoint(First()), fake_d1) == {"token-secret-two-headers"}


def issues(**members: Any) -> Callable[[Message, Message], None]:
    def spoil(_request: Message, answer: Message) -> None:
        if answer.status == 200:
            answer.change(**members)

    return spoil


def is_stored(_request: Message, answer: Message) -> None:
    del answer.headers[b"cache-control"]


def copies_the_scope(request: Message, answer: Message) -> None:
    if b'"invalid_scope"' in answer.body:
        content = {"access_token": "x", "token_type": "Bearer", "expires_in": 900, "scope": request.form["scope"]}
        answer.status, answer.body = 200, json.dumps(content).encode()


def repeats_the_grant(request: Message, answer: Message) -> None:
    if b'"unsupported_grant_type"' in answer.body:
        answer.change(error_description=f"no grant {unquote_plus(request.form['grant_type'])}")


def repeats_the_assertion(request: Message, answer: Message) -> None:
    if b'"invalid_grant"' in answer.body:
        answer.change(error_description=request.form["assertion"][-40:])


def repeats_the_secret(request: Message, answer: Message) -> None:
    if answer.status == 401 and b"authorization" in request.headers:
        answer.headers[b"x-debug"] = request.headers[b"authorization"]


def says_invalid_token(_request: Message, answer: Message) -> None:
    answer.body = answer.body.replace(b"invalid_grant", b"invalid_token")


def calls_every_refusal_an_invalid_grant(_request: Message, answer: Message) -> None:
    answer.body = answer.body.replace(b"invalid_request", b"invalid_grant")


def fails_where_it_should_refuse(_request: Message, answer: Message) -> None:
    if b'"invalid_grant"' in answer.body:
        answer.status = 500


def challenges_nobody(_request: Message, answer: Message) -> None:
    answer.headers.pop(b"www-authenticate", None)


def answers_401_with_400(_request: Message, answer: Message) -> None:
    answer.status = 400 if answer.status == 401 else answer.status


def fails_on_bytes(request: Message, answer: Message) -> None:
    if request.headers.get(b"authorization") in (b"", b"Basic", b"Basic !!!!"):
        answer.status = 500


ANSWERINGS: dict[str, tuple[Callable[[Message, Message], None], set[str]]] = {
    "expires_in a string": (issues(expires_in="900"), {"token-issued", "token-issued-by-secret"}),
    "expires_in an hour": (issues(expires_in=3600), {"token-issued"}),
    "a refresh token": (issues(refresh_token="x"), {"token-issued"}),
    "no access token": (issues(access_token=None), {"token-issued"}),
    "is stored": (is_stored, {"token-issued", "token-refusal-unstored"}),
    "copies the scope": (copies_the_scope, {"token-scope-made-up", "token-scope-beside", "token-scope-malformed"}),
    "repeats the grant": (repeats_the_grant, {"token-grant-made-up"}),
    "repeats the assertion": (repeats_the_assertion, {"token-assertion-echo", "assertion-exp-hour-past"}),
    "repeats the secret": (repeats_the_secret, {"token-basic-stranger", "token-secret-wrong"}),
    "invalid_token": (says_invalid_token, {"token-assertion-echo", "assertion-alg-none"}),
    "invalid_grant for all": (
        calls_every_refusal_an_invalid_grant,
        {"token-assertion-missing", "token-assertion-empty", "token-json-as-form"},
    ),
    "500": (fails_where_it_should_refuse, {"token-assertion-echo", "assertion-json-serialization"}),
    "no challenge": (challenges_nobody, {"token-basic-missing", "token-secret-wrong"}),
    "400 for 401": (answers_401_with_400, {"token-basic-stranger", "token-secret-wrong"}),
    "500 for odd Basic": (fails_on_bytes, {"token-basic-empty", "token-basic-alone", "token-basic-no-base64"}),
}


@pytest.mark.parametrize(("answering", "found_by"), ANSWERINGS.values(), ids=ANSWERINGS.keys())
def test_finds_an_endpoint_that_answers_wrongly(
    answering: Callable[[Message, Message], None], found_by: set[str], fake_d1: FakeD1
) -> None:
    merchant = Merchant(fake_d1)
    assert failed(merchant.with_endpoint(Spoilt(merchant.endpoint, None, answering)), fake_d1, found_by) == found_by


def test_no_case_is_there_that_finds_nothing() -> None:
    finders = {"token-secret-two-headers"}.union(*READINGS.values(), *(found_by for _, found_by in ANSWERINGS.values()))
    assert {case.id for case in token_endpoint_cases() if case.id.startswith("token-")} <= finders


class Either:
    """Takes what either of two verifiers takes."""

    def __init__(self, first: Any, second: Any) -> None:
        self._both = first, second

    async def averify(self, token: str | bytes) -> D1Token:
        try:
            return await self._both[0].averify(token)  # type: ignore[no-any-return]
        except TokenError:
            return await self._both[1].averify(token)  # type: ignore[no-any-return]

    async def averify_header(self, value: str | bytes | None) -> D1Token:
        try:
            return await self._both[0].averify_header(value)  # type: ignore[no-any-return]
        except TokenError:
            return await self._both[1].averify_header(value)  # type: ignore[no-any-return]

    verify_header = averify_header


def test_a246_finds_an_endpoint_that_renews_access_tokens(fake_d1: FakeD1) -> None:
    assert failed(Merchant(fake_d1, verifier=Either).app, fake_d1) == {"assertion-access-token"}


def test_a246_finds_a_route_that_takes_d1s_own_tokens(fake_d1: FakeD1) -> None:
    assert failed(Merchant(fake_d1, guard=Either).app, fake_d1) == {"access-token-d1-jwt"}


def test_finds_a_route_that_takes_no_access_tokens(fake_d1: FakeD1) -> None:
    found = failed(Merchant(fake_d1, guard=lambda d1, _access: d1).app, fake_d1)
    assert found == {"access-token", "access-token-reused", "access-token-d1-jwt", "access-token-other-merchant"}


def test_finds_a_route_that_is_open(fake_d1: FakeD1) -> None:
    class Anyone:
        async def averify_header(self, _value: object) -> D1Token:
            return await Merchant(fake_d1).d1.averify(fake_d1.token())

        verify_header = averify_header

    found = failed(Merchant(fake_d1, guard=lambda *_: Anyone()).app, fake_d1)
    assert {"access-token-missing", "access-token-unsigned", "access-token-changed", "access-token-cut"} <= found
    assert {"access-token-changed-inside", "access-token-resigned", "access-token-by-d1"} <= found

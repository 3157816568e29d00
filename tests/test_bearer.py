"""Every row of the answers, to the byte."""

from __future__ import annotations

import json
import math
from itertools import cycle
from typing import Any

import pytest

from d1verify import (
    ConfigurationError,
    D1VerifyError,
    KeyStoreError,
    Reason,
    Refusal,
    TokenError,
    refusal,
)
from d1verify.bearer import authorization_of, check_realm, token_from_header

from .support import KEY, make_verifier, refused

TOKEN = "aaa.bbb-_~+/.ccc=="

HEADERS = [
    *[pytest.param(value, "missing_token", id=f"{value!r:.40}") for value in (
        None, "", " ", "Bearer", "Bearer ", "Bearer    ", "bearer", "Bearera.b.c", "Bearer\ta.b.c", "Bearer\xa0a.b.c",
        " Bearer a.b.c", "\tBearer a.b.c", "Basic dXNlcjpwYXNz", "Digest a=b", "Digest a=b, c=d", "DPoP a.b.c",
        "Negotiate YII", "Token a.b.c", "a.b.c", "Bearer:a.b.c", "Bearer=a.b.c", "Bearer\0 a.b.c", "\u212aearer a.b.c",
        "Bearer\x1fa.b.c", "Bearer\x85a.b.c", "Basic " + "a" * 9000,
    )],
    *[pytest.param(value, "invalid_request", id=f"{value!r}") for value in (
        "Bearer a.b.c, Bearer d.e.f", "Bearer a.b.c,Bearer d.e.f", "Bearer a.b.c,", "Bearer ,", "Bearer ,a.b.c",
        "bearer a.b.c, Basic dXNlcjpwYXNz", "Bearer a,\xff",
    )],
    *[pytest.param(value, "malformed_token", id=f"{value!r:.40}") for value in (
        "Bearer " + "a" * 9000, "Bearer " + "." * 2_000_000,
    )],
]  # fmt: skip

OTHER_CHARACTERS = [
    "Bearer a.b.c ", "Bearer a.b.c\t", "Bearer a b", "Bearer \ta.b.c", "Bearer a.b.c\r\n", "Bearer a.b.c\n",
    "Bearer a\0b", "Bearer a\x1b[31m", "Bearer \xff", "Bearer \xa0a", "Bearer a\x85", "Bearer a\x1c", "Bearer \ud800",
    "Bearer ü.b.c", "Bearer =", "Bearer a=b", 'Bearer "a.b.c"', "Bearer a;b", "Bearer {}", "Bearer a%2eb",
    *(f"Bearer {KEY.mint()}{more}" for more in (" ", "\t", "\n", "=", "~", "+", "/", "\xff", "\ud800", " x")),
]  # fmt: skip


@pytest.mark.parametrize(("value", "reason"), HEADERS)
def test_refuses_a_header(value: str | None, reason: str) -> None:
    assert refused(lambda: token_from_header(value)) == reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(one.values[0].encode("latin-1"), one.values[1], id=f"{one.id:.40}")
        for one in HEADERS
        if isinstance(one.values[0], str) and max(one.values[0], default="") < "\u0100"
    ],
)
def test_refuses_a_header_of_bytes(value: bytes, reason: str) -> None:
    assert refused(lambda: token_from_header(value)) == reason


@pytest.mark.parametrize("value", OTHER_CHARACTERS, ids=range(len(OTHER_CHARACTERS)))
def test_leaves_the_characters_of_a_token_to_its_parser(value: str) -> None:
    assert refused(lambda: make_verifier().verify_header(value)) == "malformed_token"
    encoded = value.encode("utf-8", "replace")
    assert refused(lambda: make_verifier().verify_header(encoded)) == "malformed_token"


@pytest.mark.parametrize("prefix", ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer  ", "Bearer" + " " * 40])
def test_takes_the_scheme_in_any_case_and_any_number_of_spaces(prefix: str) -> None:
    assert token_from_header(prefix + TOKEN) == TOKEN.encode()
    assert token_from_header((prefix + TOKEN).encode()) == TOKEN.encode()


def test_takes_the_longest_token() -> None:
    assert len(token_from_header("Bearer " + "a" * 8192)) == 8192


def test_takes_a_value_of_8256_bytes_and_none_longer() -> None:
    value = f"Bearer {'a' * 8192}".replace(" ", " " * (8256 - 8192 - len("Bearer")))
    assert (len(value), len(token_from_header(value))) == (8256, 8192)
    assert refused(lambda: token_from_header(value.replace(" ", "  ", 1))) == "malformed_token"


def test_looks_for_two_tokens_in_16512_bytes_and_no_further() -> None:
    value = f"Bearer {'a' * 8000},Bearer ".ljust(16_512, "b")
    assert refused(lambda: token_from_header(value)) == "invalid_request"
    assert refused(lambda: token_from_header(value + "b")) == "malformed_token"


@pytest.mark.parametrize(
    "rest", ["Xa.b.c", "\ta.b.c", "\na.b.c", "\x0ba.b.c", "\t a.b.c", "a.b.c ", "a.b.cX"], ids=repr
)
def test_takes_whatever_follows_the_spaces_as_it_is(rest: str) -> None:
    assert token_from_header(f"Bearer   {rest}") == rest.encode()
    assert token_from_header(f"Bearer   {rest}".encode()) == rest.encode()


@pytest.mark.parametrize("space", ["\t", "\n", "\x0b", "\x0c", "\r", " \t"], ids=repr)
def test_refuses_a_good_token_after_another_white_space(space: str) -> None:
    assert refused(lambda: make_verifier().verify_header(f"Bearer {space}{KEY.mint()}")) == "malformed_token"


@pytest.mark.parametrize(
    "value", [5, True, [], ["Bearer a"], memoryview(b"Bearer a"), bytearray(b"Bearer a"), object()]
)
def test_another_type_is_a_mistake_of_the_programmer(value: Any) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        token_from_header(value)


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ([], None),
        ([(b"host", b"x"), (b"user-agent.x.", b"Bearer x")], None),
        ([(b"authorization", b"Bearer a")], b"Bearer a"),
        ([(b"host", b"x"), (b"AuthorizatioN", b"Bearer a"), (b"accept", b"*/*")], b"Bearer a"),
        ([(b"authorization", b"")], b""),
        ([(b"authorization ", b"Bearer x"), (b"proxy-authorization", b"Bearer x")], None),
    ],
)
def test_one_header_is_taken_as_it_is(headers: list[tuple[bytes, bytes]], value: bytes | None) -> None:
    assert authorization_of(headers) == value


@pytest.mark.parametrize(
    "values",
    [
        [b"Bearer good", b"Bearer bad"],
        [b"Bearer same", b"Bearer same"],
        [b"Basic a", b"Bearer b"],
        [b"Bearer a", b""],
        [b"", b""],
        [b"Bearer a", b"Basic b", b"x"],
    ],
    ids=repr,
)
def test_several_headers_are_refused_whatever_they_hold(values: list[bytes]) -> None:
    headers = [(name, value) for name, value in zip(cycle((b"authorization", b"Authorization")), values, strict=False)]
    assert refused(lambda: token_from_header(authorization_of(headers))) == "invalid_request"


PRINTABLE = sorted({chr(code) for code in range(0x20, 0x7F)} - {'"', "\\"})
COMMON = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
SPECIAL = {Reason.MISSING_TOKEN, Reason.INVALID_REQUEST, Reason.INSUFFICIENT_SCOPE, Reason.KEYS_UNAVAILABLE}
OF_TOKENS = [reason for reason in Reason if reason not in SPECIAL]
ANSWERS: list[Any] = [
    pytest.param(
        TokenError(Reason.MISSING_TOKEN), 401, b'{"error":"missing_token"}', 'Bearer realm="d1"', id="missing_token"
    ),
    pytest.param(
        TokenError(Reason.INVALID_REQUEST),
        400,
        b'{"error":"invalid_request"}',
        'Bearer realm="d1", error="invalid_request"',
        id="invalid_request",
    ),
    pytest.param(
        TokenError(Reason.INSUFFICIENT_SCOPE),
        403,
        b'{"error":"insufficient_scope"}',
        'Bearer realm="d1", error="insufficient_scope"',
        id="insufficient_scope",
    ),
    *[
        pytest.param(
            TokenError(reason, kid='x", error="none', signed=True),
            401,
            b'{"error":"invalid_token"}',
            'Bearer realm="d1", error="invalid_token"',
            id=reason.value,
        )
        for reason in OF_TOKENS
    ],
]


def test_the_table_has_every_reason() -> None:
    assert {one.id for one in ANSWERS} | {"keys_unavailable"} == {reason.value for reason in Reason}


@pytest.mark.parametrize(("error", "status", "body", "challenge"), ANSWERS)
def test_the_answer_to_a_refused_token(error: TokenError, status: int, body: bytes, challenge: str) -> None:
    length = ("Content-Length", str(len(body)))
    assert refusal(error) == Refusal(status, (*COMMON, length, ("WWW-Authenticate", challenge)), body)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(0, "1"), (0.2, "1"), (1, "1"), (1.01, "2"), (29.5, "30"), (3600, "3600"), (9e9, "3600"), (math.inf, "3600"),
     (math.nan, "3600"), (-5, "1"), (-math.inf, "1")],
)  # fmt: skip
def test_the_answer_to_key_trouble(retry_after: float, seconds: str) -> None:
    body = b'{"error":"temporarily_unavailable"}'
    headers = (*COMMON, ("Content-Length", str(len(body))), ("Retry-After", seconds))
    assert refusal(KeyStoreError("the file /secret/path is gone", retry_after=retry_after)) == Refusal(
        503, headers, body
    )


@pytest.mark.parametrize(("error", "status", "body", "challenge"), ANSWERS)
def test_reveal_reason_adds_it_to_challenge_and_body(
    error: TokenError, status: int, body: bytes, challenge: str
) -> None:
    answer = refusal(error, reveal_reason=True)
    described = {**json.loads(body), "error_description": error.reason.value}
    assert (answer.status, json.loads(answer.body)) == (status, described)
    added = "" if error.reason is Reason.MISSING_TOKEN else f', error_description="{error.reason.value}"'
    assert dict(answer.headers)["WWW-Authenticate"] == challenge + added
    assert dict(answer.headers)["Content-Length"] == str(len(answer.body))


def test_reveal_reason_reveals_no_more_than_the_reason_of_key_trouble() -> None:
    answer = refusal(KeyStoreError("the file /secret/path is gone"), reveal_reason=True)
    assert json.loads(answer.body) == {"error": "temporarily_unavailable", "error_description": "keys_unavailable"}
    assert "WWW-Authenticate" not in dict(answer.headers)


@pytest.mark.parametrize("realm", ["d1", "", "merchant gateway", "a'b,c=d;~!", "".join(PRINTABLE)])
def test_a_realm_stands_in_the_challenge_as_it_is(realm: str) -> None:
    answer = refusal(TokenError(Reason.EXPIRED), realm=realm)
    assert dict(answer.headers)["WWW-Authenticate"] == f'Bearer realm="{realm}", error="invalid_token"'


@pytest.mark.parametrize("realm", ['a"b', "a\\b", "a\nb", "a\r\nX: y", "a\0", "é", "\u202e", None, 5, b"d1"])
def test_refuses_a_realm(realm: Any) -> None:
    with pytest.raises(ConfigurationError, match="realm"):
        check_realm(realm)
    with pytest.raises(ConfigurationError, match="realm"):
        refusal(TokenError(Reason.EXPIRED), realm=realm)


@pytest.mark.parametrize("error", [ConfigurationError("x"), D1VerifyError("x"), ValueError("x"), None, "expired"])
def test_other_errors_are_no_answer(error: Any) -> None:
    with pytest.raises(TypeError, match=f"^{type(error).__name__} is not an answer to a call$"):
        refusal(error)


def test_a_refusal_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        refusal(TokenError(Reason.EXPIRED)).status = 200  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param("Basic dTpw, Bearer a.b.c", "invalid_request", id="Basic and Bearer, joined"),
        pytest.param("Digest a=b,c=d,bEARER a.b.c", "invalid_request", id="Digest and Bearer, joined"),
        pytest.param("Digest username=a, realm=b", "missing_token", id="Digest alone has commas of its own"),
        pytest.param("Digest a, bearer", "missing_token", id="no Bearer value"),
        pytest.param(f"Bearer {'a' * 4500}, Bearer {'b' * 4500}", "invalid_request", id="two long tokens, joined"),
        pytest.param(f"Bearer {'a,' * 10_000}", "malformed_token", id="too long to be looked at"),
        pytest.param(f"Basic {'a,' * 10_000}bearer x", "missing_token", id="another scheme, too long to be looked at"),
    ],
)
def test_two_values_joined_by_a_comma_are_two_sets_of_credentials(value: str, reason: str) -> None:
    assert refused(lambda: token_from_header(value)) == reason
    assert refused(lambda: token_from_header(value.encode())) == reason

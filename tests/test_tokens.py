"""From text to parts, and the sealed result."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from typing import Any

import pytest

from d1verify import D1Token, Reason, TokenError, tokens
from d1verify._codec import BASE64URL_ALPHABET, decode_standard_base64
from d1verify.policy import d1_policy
from d1verify.tokens import as_bytes, parse

from .support import KEY, NOW, REMOVE, SUBJECT, b64, d1_claims, make_verifier, refused, unb64

POLICY = d1_policy(audience="stg", subject=SUBJECT, leeway=30, max_lifetime=900)
HEAD, BODY, SIGNATURE = KEY.mint().split(".")


def reason_of(token: str | bytes) -> str:
    return refused(lambda: parse(as_bytes(token), POLICY))


def head(**changes: Any) -> str:
    """Return a token whose header differs from a good one by `changes`; its signature is not looked at."""
    return f"{b64(json.dumps(KEY.header(**changes)))}.{BODY}.{SIGNATURE}"


def raw_head(text: str | bytes) -> str:
    return f"{b64(text)}.{BODY}.{SIGNATURE}"


def sized(total: int) -> str:
    """Return a well-formed token of `total` characters."""
    for spaces in range(3):
        header = b64(json.dumps(KEY.header()) + " " * spaces)
        payload = "A" * (total - len(header) - len(SIGNATURE) - 2)
        if len(payload) % 4 != 1:
            break
    return f"{header}.{payload}.{SIGNATURE}"


SHAPES = [
    pytest.param("", id="nothing"),
    pytest.param("a", id="one part"),
    pytest.param("..", id="three empty parts"),
    pytest.param(f"{HEAD}.{BODY}", id="two parts"),
    pytest.param(f"{HEAD}.{BODY}.{SIGNATURE}.{SIGNATURE}", id="four parts"),
    pytest.param(f"{HEAD}.AAAA.AAAA.AAAA.{SIGNATURE}", id="five parts, as a JWE"),
    pytest.param(f".{BODY}.{SIGNATURE}", id="empty header"),
    pytest.param(f"{HEAD}..{SIGNATURE}", id="empty payload, detached"),
    pytest.param(f"{HEAD}.{BODY}.", id="empty signature"),
    pytest.param(f".{HEAD}.{BODY}.{SIGNATURE}", id="leading dot"),
    pytest.param(f"{HEAD}.{BODY}.{SIGNATURE}.", id="trailing dot"),
    pytest.param(f"{HEAD}.{BODY}.{SIGNATURE}=", id="padded signature"),
    pytest.param(f"{HEAD}=.{BODY}.{SIGNATURE}", id="padded header"),
    pytest.param(f"{HEAD}.{BODY}.{SIGNATURE}\n", id="newline at the end"),
    pytest.param(f" {HEAD}.{BODY}.{SIGNATURE}", id="space in front"),
    pytest.param(f"{HEAD}.{BODY} .{SIGNATURE}", id="space inside"),
    pytest.param(f"{HEAD}.{BODY}\0.{SIGNATURE}", id="NUL inside"),
    pytest.param(f"{HEAD}.+{BODY[1:]}.{SIGNATURE}", id="standard alphabet"),
    pytest.param(f"\uff25{HEAD[1:]}.{BODY}.{SIGNATURE}", id="full-width letter"),
    pytest.param(f"{HEAD}\uff0e{BODY}.{SIGNATURE}", id="full-width dot"),
    pytest.param("\ud800" + KEY.mint(), id="lone surrogate"),
    pytest.param(f"{HEAD}.{BODY}.{SIGNATURE[:-1]}B", id="stray bits in the signature"),
    pytest.param(f"{HEAD}.{BODY}.A", id="signature of length 1 modulo 4"),
    pytest.param(
        f"{HEAD}.{BODY}A.{SIGNATURE}" if len(BODY) % 4 == 0 else f"{HEAD}.A.{SIGNATURE}", id="impossible length"
    ),
    pytest.param(f"{HEAD}.{BODY}.{SIGNATURE[:-2]}", id="signature of 63 bytes, almost"),
    pytest.param(f"{HEAD}.{BODY}.{b64(bytes(63))}", id="signature of 63 bytes"),
    pytest.param(f"{HEAD}.{BODY}.{b64(bytes(65))}", id="signature of 65 bytes"),
    pytest.param(f"{HEAD}.{BODY}.{b64(bytes(66))}", id="signature of 66 bytes"),
    pytest.param(f"{HEAD}.{BODY}.{b64(bytes(96))}", id="signature of 96 bytes"),
    pytest.param('{"payload":"x","protected":"y","signature":"z"}', id="JSON serialization"),
    pytest.param('{"payload":"x","signatures":[]}', id="JSON serialization without signatures"),
    pytest.param(sized(8193), id="a byte too long"),
    pytest.param("." * 100_000, id="many dots"),
    pytest.param("A" * 10_000_000, id="ten megabytes"),
]


@pytest.mark.parametrize("token", SHAPES)
def test_refuses_a_shape(token: str) -> None:
    assert reason_of(token) == "malformed_token"


@pytest.mark.parametrize("token", [one for one in SHAPES if str(one.values[0]).isascii()])
def test_refuses_a_shape_of_bytes(token: str) -> None:
    assert reason_of(token.encode()) == "malformed_token"


def test_takes_a_token_of_8192_bytes() -> None:
    assert len(sized(8193)) == 8193
    assert parse(as_bytes(sized(8192)), POLICY).kid == KEY.kid


@pytest.mark.parametrize(("length", "accepted"), [(2047, True), (2048, True), (2050, False), (2052, False)])
def test_takes_a_header_part_of_2048_bytes(length: int, *, accepted: bool) -> None:
    members = json.dumps(KEY.header()).encode()
    token = raw_head(members + b" " * (length * 3 // 4 - len(members)))
    assert token.index(".") == length
    if accepted:
        assert parse(as_bytes(token), POLICY).kid == KEY.kid
    else:
        assert reason_of(token) == "malformed_token"


ALGORITHMS = [
    "none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "RS256", "PS256", "ES384", "ES512", "ES256K",
    "EdDSA", "Ed25519", "ML-DSA-44", "es256", "Es256", "ES256 ", " ES256", "ES256\0", "ES256\n", "\uff25S256",
    None, 256, 1.5, True, [], ["ES256"], {"ES256": 1}, REMOVE,
]  # fmt: skip


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda value: "absent" if value is REMOVE else repr(value))
def test_refuses_an_algorithm(algorithm: object) -> None:
    assert reason_of(head(alg=algorithm)) == "disallowed_algorithm"


ODD_CRIT: list[Any] = [["exp"], [], ["alg"], ["b64", "b64"], "b64", None, 1, {}, [None]]
FORBIDDEN: list[dict[str, Any]] = [
    *[{"crit": value} for value in ODD_CRIT],
    *[{"b64": value} for value in (True, False, None)],
    {"b64": False, "crit": ["b64"]},
    *[{"zip": value} for value in ("DEF", "", None)],
    *[{"enc": value} for value in ("A256GCM", None)],
    *[{"cty": value} for value in ("JWT", "jwt", "Jwt", "application/jwt", "application/JWT")],
    *[
        {"typ": value}
        for value in (
            "at+jwt", "application/at+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "JOSE", "JOSE+JSON", "", " JWT",
            "JWT ", "JWT\0", "\uff2aWT", None, 1, True, ["JWT"], {"JWT": 1},
        )
    ],
    *[
        {"kid": value}
        for value in (
            REMOVE, "", None, 1, 1.5, True, False, [], [KEY.kid], {}, {KEY.kid: 1}, "x" * 257, "a\nb", "a\0b", "a\x1b[31m",
            "\u202eb", "a\u200bb", "a\x7f", "a\xa0b",
        )
    ],
]  # fmt: skip


@pytest.mark.parametrize("change", FORBIDDEN, ids=lambda change: f"{change!r:.60}")
def test_refuses_a_header(change: dict[str, Any]) -> None:
    assert reason_of(head(**change)) == "malformed_token"


@pytest.mark.parametrize("change", FORBIDDEN[:3], ids=repr)
def test_the_algorithm_is_judged_before_the_other_members(change: dict[str, Any]) -> None:
    assert reason_of(head(alg="none", **change)) == "disallowed_algorithm"


def test_the_header_is_judged_before_the_length_of_the_signature() -> None:
    assert reason_of(head(alg="none").rpartition(".")[0] + ".AAAA") == "disallowed_algorithm"


HEADER_BYTES = [
    pytest.param('["alg"]', id="array"),
    pytest.param('"alg"', id="string"),
    pytest.param("null", id="null"),
    pytest.param("5", id="number"),
    pytest.param(" ", id="whitespace"),
    pytest.param('{"alg":"none","alg":"ES256","kid":"a"}', id="alg twice"),
    pytest.param('{"alg":"ES256","kid":"a","kid":"b"}', id="kid twice"),
    pytest.param('{"alg":"ES256","kid":"a","x":{"y":1,"y":1}}', id="duplicate deep inside"),
    pytest.param('{"alg":"ES256","kid":"\\ud800"}', id="lone surrogate in kid"),
    pytest.param('{"alg":"ES256","kid":"a","x":"\\udc80"}', id="lone surrogate elsewhere"),
    pytest.param('{"alg":"ES256","kid":"a","x":NaN}', id="NaN"),
    pytest.param('{"alg":"ES256","kid":"a","x":1e999}', id="number that overflows"),
    pytest.param('{"alg":"ES256","kid":"a","x":' + "[" * 16 + "]" * 16 + "}", id="nesting of 17"),
    pytest.param('{"alg":"ES256","kid":"a"}{}', id="two objects"),
    pytest.param('\ufeff{"alg":"ES256","kid":"a"}', id="BOM"),
    pytest.param('{"alg":"ES256","kid":"a"}'.encode("utf-16"), id="UTF-16"),
    pytest.param(b'{"alg":"ES256","kid":"\xff"}', id="not UTF-8"),
]


@pytest.mark.parametrize("text", HEADER_BYTES)
def test_refuses_header_bytes(text: str | bytes) -> None:
    assert reason_of(raw_head(text)) == "malformed_token"


@pytest.mark.parametrize(
    "change",
    [
        *[{"typ": value} for value in ("JWT", "jwt", "jWt", "application/jwt", "Application/JWT")],
        *[{"cty": value} for value in ("json", "", None, 5)],
        {"jwk": KEY.jwk, "jku": "https://attacker.example", "x5u": "file:///etc", "x5c": ["x"], "x5t": "y", "epk": {}},
        {"iss": "evil", "aud": "prd", "sub": "other", "exp": 0},
        {"__class__": "x", "constructor": {}, "toString": None},
        {str(number): number for number in range(120)},
        {"kid": "x" * 256},
        {"kid": "ключ №1"},
        {"kid": "../../dev/null"},
    ],
    ids=lambda change: f"{change!r:.40}",
)
def test_takes_a_header_and_reads_nothing_but_what_it_needs(change: dict[str, Any]) -> None:
    assert parse(as_bytes(head(**change)), POLICY).kid == change.get("kid", KEY.kid)


def test_takes_whitespace_and_any_order_of_members() -> None:
    assert parse(as_bytes(raw_head(f' {{ "kid" : "{KEY.kid}" ,\n "alg":"ES256"}} ')), POLICY).kid == KEY.kid


def test_gives_the_parts() -> None:
    token = parse(as_bytes(f"{HEAD}.{BODY}.{SIGNATURE}"), POLICY)
    assert token.signing_input == f"{HEAD}.{BODY}".encode()
    assert decode_standard_base64(token.signature) == unb64(SIGNATURE)
    assert decode_standard_base64(token.payload) == unb64(BODY)


def test_a_header_that_was_judged_before_is_not_read_again() -> None:
    token = as_bytes(f"{b64('never parsed')}.{BODY}.{SIGNATURE}")
    assert parse(token, POLICY, lambda _header: "known").kid == "known"
    assert refused(lambda: parse(token[:-2], POLICY, lambda _header: "known")) == "malformed_token"


@pytest.fixture
def token() -> D1Token:
    return make_verifier().verify(KEY.mint(iat=NOW - 1, nbf=NOW - 2, extra={"list": [1]}))


def test_a_token_gives_its_claims_typed(token: D1Token) -> None:
    assert (token.kid, token.issuer, token.subject, token.audience) == (KEY.kid, "d1", SUBJECT, ("stg",))
    assert (token.expires_at, token.issued_at, token.not_before) == (NOW + 600, NOW - 1, NOW - 2)


def test_a_token_without_the_optional_times_says_none() -> None:
    token = make_verifier().verify(KEY.mint(aud=["prd", "stg"]))
    assert (token.issued_at, token.not_before, token.audience) == (None, None, ("prd", "stg"))


def test_claims_are_fresh_at_each_access(token: D1Token) -> None:
    claims = token.claims
    claims["sub"] = "MGW_EVIL"
    claims["extra"]["list"].append(2)
    assert token.claims["extra"] == {"list": [1]}
    assert token.claims["sub"] == token.subject == SUBJECT
    assert token.claims is not token.claims


@pytest.mark.parametrize("name", ["kid", "issuer", "subject", "audience", "expires_at", "claims", "role", "__class__"])
def test_a_token_cannot_be_changed(token: D1Token, name: str) -> None:
    with pytest.raises(AttributeError, match=r"^a D1Token is immutable$"):
        setattr(token, name, "x")
    with pytest.raises(AttributeError, match=r"^a D1Token is immutable$"):
        delattr(token, name)


@pytest.mark.parametrize("arguments", [((), {}), (("kid",), {}), ((), {"subject": SUBJECT})], ids=repr)
def test_a_token_cannot_be_constructed(arguments: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
    with pytest.raises(TypeError, match="verifier"):
        D1Token(*arguments[0], **arguments[1])


def test_a_token_cannot_be_subclassed() -> None:
    with pytest.raises(TypeError, match=r"^D1Token is final$"):
        type("Forged", (D1Token,), {})


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_token_cannot_be_pickled(token: D1Token, protocol: int) -> None:
    message = "a D1Token cannot be pickled: what is read back would be verified by nobody"
    with pytest.raises(TypeError, match=f"^{message}$"):
        pickle.dumps(token, protocol)


def test_a_copy_of_a_token_is_the_token(token: D1Token) -> None:
    assert copy.copy(token) is token
    assert copy.deepcopy(token) is token
    assert copy.deepcopy({"t": [token]})["t"][0] is token


def test_a_token_shows_nothing_of_itself(token: D1Token) -> None:
    assert repr(token) == str(token) == "<D1Token>"
    assert not hasattr(token, "__dict__")


def test_a_token_cannot_be_read_from_a_request_body() -> None:
    with pytest.raises(TypeError) as caught:
        D1Token.__get_pydantic_core_schema__(None, lambda _source: None)
    assert str(caught.value) == (
        "D1Token cannot be read from a request body or parameter; "
        "declare it as Annotated[D1Token, Depends(...)] with a D1Bearer"
    )


def test_require_subject_takes_the_subject(token: D1Token) -> None:
    token.require_subject(SUBJECT)


@pytest.mark.parametrize("other", ["MGW_000002", "", SUBJECT.lower(), SUBJECT + " ", SUBJECT[:-1], None, [SUBJECT]])
def test_require_subject_refuses_another(token: D1Token, other: Any) -> None:
    with pytest.raises(TokenError) as caught:
        token.require_subject(other)
    assert (caught.value.reason, caught.value.kid, caught.value.signed) == (Reason.INSUFFICIENT_SCOPE, KEY.kid, True)


@pytest.mark.parametrize("space", [" ", "\t", "\r", "\n"], ids=repr)
def test_takes_white_space_before_the_header(space: str) -> None:
    assert parse(as_bytes(raw_head(f'{space}{{"alg":"ES256","kid":"{KEY.kid}"}}')), POLICY).kid == KEY.kid


def test_noise_in_the_place_of_a_header_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "decode_base64url", lambda _segment: pytest.fail("decoded"))
    for first in set(BASE64URL_ALPHABET.decode()) - set("CDIe"):  # tab and line feed, return, space, brace
        assert reason_of(f"{first}AAA.{BODY}.{SIGNATURE}") == "malformed_token"


def test_a_large_token_keeps_what_is_asked_for_most_and_reads_the_rest_again() -> None:
    more = {"list": [{}] * 300, "iat": NOW, "nbf": NOW - 1, "aud": ["stg", "x"]}
    token = make_verifier().verify(KEY.mint(**more))
    assert (token.audience, token.issued_at, token.not_before) == (("stg", "x"), NOW, NOW - 1)
    assert token.claims == {**d1_claims(**more)}
    assert token._claims == {name: value for name, value in d1_claims(**more).items() if name != "list"}


@pytest.mark.parametrize(("size", "kept"), [(512, True), (513, False)])
def test_a_payload_of_more_than_512_bytes_is_large(size: int, *, kept: bool) -> None:
    claims = d1_claims(pad="")
    claims["pad"] = "x" * (size - len(json.dumps(claims)))
    token = make_verifier().verify(KEY.sign(KEY.header(), claims))
    assert (len(token._payload), "pad" in token._claims, token.claims) == (size, kept, claims)
    assert (token.issuer, token.subject, token.expires_at) == ("d1", SUBJECT, NOW + 600)


def test_a_fingerprint_is_the_start_of_the_digest_of_the_second_part() -> None:
    jwt = KEY.mint()
    digest = hashlib.sha256(jwt.split(".")[1].encode()).hexdigest()
    assert make_verifier().verify(jwt).fingerprint == digest[:16]

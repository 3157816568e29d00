"""Chapters 3 and 4: the compact form, base64url, and the JOSE header. Every token here has a true signature."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from d1verify import StaticKeyStore, tokens

from ..support import KEY, NOW, OTHER_KEY, REMOVE, SUBJECT, b64, d1_claims, make_verifier, refused

HEAD, BODY, SIGNATURE = KEY.mint().split(".")


def signed(header: str | bytes, body: str | bytes | None = None) -> str:
    """Return a token whose header and payload are written as given, truly signed."""
    payload = json.dumps(d1_claims()) if body is None else body
    parts = (part.encode() if isinstance(part, str) else part for part in (header, payload))
    return KEY.sign(*parts)


def sign_text(head: str, body: str) -> str:
    """Return a token whose two encoded parts are as given, truly signed."""
    return f"{head}.{body}.{b64(KEY.signature(f'{head}.{body}'.encode()))}"


def stray_bits(part: str) -> str:
    """Return another spelling of the same bytes: the unused bits of the last character set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return part[:-1] + alphabet[alphabet.index(part[-1]) | 1]


def with_open_bits(name: str) -> str:
    """Return an encoded payload whose last character has unused bits."""
    for filler in range(3):
        part = b64(json.dumps(d1_claims(**{name: "x" * filler})))
        if len(part) % 4:
            break
    return part


FRAMES = [
    *[
        pytest.param(".".join([HEAD, BODY, SIGNATURE, BODY, BODY, BODY][:n]), id=f"A039-{n} parts")
        for n in (1, 2, 4, 5, 6)
    ],
    pytest.param("", id="A039-nothing"),
    pytest.param(f".{HEAD}.{BODY}.{SIGNATURE}", id="A039-leading dot"),
    pytest.param(f"{HEAD}.{BODY}.{SIGNATURE}.", id="A039-trailing dot"),
    pytest.param(f"{b64('{}')}.{BODY}.AAAA.AAAA.AAAA", id="A040-JWE"),
    pytest.param(
        f"{b64(json.dumps({'alg': 'PBES2-HS256+A128KW', 'p2c': 2**31, 'zip': 'DEF'}))}.A.A.A.A", id="A041-bomb"
    ),
    pytest.param(json.dumps({"protected": HEAD, "payload": BODY, "signature": SIGNATURE}), id="A042-flattened JSON"),
    pytest.param(json.dumps({"payload": BODY, "signatures": [{"protected": HEAD}]}), id="A042-general JSON"),
    pytest.param(f'{{"x":"{HEAD}.{BODY}.{SIGNATURE}"}}', id="A042-polyglot"),
    pytest.param(json.dumps({"payload": BODY, "signatures": []}), id="A043-no signatures"),
    pytest.param(sign_text(HEAD, BODY + "="), id="A044-one padding"),
    pytest.param(sign_text(HEAD, BODY + "=="), id="A044-two paddings"),
    pytest.param(sign_text("=" + HEAD, BODY), id="A044-misplaced"),
    pytest.param(f"{HEAD}.{BODY}.{SIGNATURE}==", id="A044-padded signature"),
    pytest.param(
        sign_text(HEAD, base64.b64encode(b'{"a":"\xc3\xbf\xc3\xbf"}').decode().rstrip("=") + "+/"), id="A045-alphabet"
    ),
    pytest.param(f"{HEAD}.{BODY}.{SIGNATURE}\n", id="A046-newline at the end"),
    pytest.param(sign_text(HEAD, BODY[:4] + "\n" + BODY[4:]), id="A046-newline inside"),
    pytest.param(sign_text(HEAD + " ", BODY), id="A046-space"),
    pytest.param(sign_text(HEAD, BODY + "\0"), id="A046-NUL"),
    pytest.param(sign_text(HEAD, BODY[:4] + "!*" + BODY[4:]), id="A047-characters that a lenient decoder drops"),
    pytest.param(sign_text(HEAD, stray_bits(with_open_bits("x"))), id="A048-stray bits in the payload"),
    pytest.param(f"{HEAD}.{BODY}.{stray_bits(SIGNATURE)}", id="A048-stray bits in the signature"),
    pytest.param(sign_text(HEAD, "AAAAA"), id="A049-impossible length"),
    pytest.param(f"{HEAD}.{BODY}.{SIGNATURE}AAA", id="A049-impossible signature"),
    pytest.param(f"{HEAD}.{BODY}.{SIGNATURE[:-1]}\uff21", id="A050-full-width letter"),
    pytest.param(f"{HEAD}\u3002{BODY}\u3002{SIGNATURE}", id="A050-ideographic full stop"),
    pytest.param(sign_text(HEAD, "A" * 9000), id="A052-payload"),
    pytest.param(sign_text(b64(json.dumps(KEY.header(x="y" * 2000))), BODY), id="A052-header"),
    pytest.param(f"{HEAD}.{BODY}.{'A' * 4000}", id="A052-signature"),
    pytest.param(sign_text(HEAD, ""), id="A053-detached payload"),
]


@pytest.mark.parametrize("token", FRAMES)
def test_a_frame_is_malformed(token: str) -> None:
    assert refused(lambda: make_verifier().verify(token)) == "malformed_token"


@pytest.mark.parametrize("token", [None, 5, bytearray(b"a.b.c"), memoryview(b"a.b.c"), ["a"], object()])
def test_a051_a_token_is_str_or_bytes(token: Any) -> None:
    with pytest.raises(TypeError):
        make_verifier().verify(token)


def test_a051_a_subclass_of_str_is_its_text() -> None:
    class Text(str):
        __slots__ = ()

    assert make_verifier().verify(Text(KEY.mint())).subject == SUBJECT


def test_a051_a_text_that_changes_while_it_is_read_teaches_the_cache_nothing() -> None:
    spellings = [KEY.mint(), KEY.mint(sub="MGW_EVIL"), KEY.mint(sub="MGW_EVIL")]

    class Fickle(str):
        __slots__ = ()

        def encode(self, *_: object) -> bytes:
            return spellings.pop(0).encode()

    verifier, other = make_verifier(), spellings[1]
    assert verifier.verify(Fickle(spellings[0])).subject == SUBJECT
    assert refused(lambda: verifier.verify(other)) == "wrong_subject"


def test_a051_bytes_of_a_subclass_are_read_once_and_for_all() -> None:
    class Fickle(bytes):
        def count(self, *_: object) -> int:
            return 2

    assert make_verifier().verify(Fickle(KEY.mint().encode())).subject == SUBJECT
    assert refused(lambda: make_verifier().verify(Fickle(b"no dots"))) == "malformed_token"


def hs256(secret: bytes) -> str:
    """Return a token signed with HMAC under bytes of the public key."""
    head = b64(json.dumps({"alg": "HS256", "kid": KEY.kid}))
    mac = hmac.HMAC(secret, hashes.SHA256())
    mac.update(f"{head}.{BODY}".encode())
    return f"{head}.{BODY}.{b64(mac.finalize())}"


PUBLIC = KEY.private.public_key()
PUBLIC_FORMS = {
    "PEM": KEY.pem.encode(),
    "stripped PEM": KEY.pem.strip().encode(),
    "DER": PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "point": PUBLIC.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
    "OpenSSH": PUBLIC.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
    "JWK": json.dumps(KEY.jwk).encode(),
    "nothing": b"",
}

ALGORITHMS = [
    *[pytest.param(KEY.mint({"alg": alg}), id=f"A054-{alg}") for alg in ("none", "None", "NONE", "nOnE")],
    *[pytest.param(hs256(secret), id=f"A055-{form}") for form, secret in PUBLIC_FORMS.items()],
    *[
        pytest.param(KEY.mint({"alg": alg}), id=f"A056-{alg}")
        for alg in ("ES384", "ES512", "ES256K", "RS256", "PS256", "EdDSA", "ML-DSA-44", "HS512")
    ],
    *[pytest.param(KEY.mint({"alg": alg}), id=f"A057-{alg!r}") for alg in ("es256", "ES256 ", "ES256\0", " ES256")],
    *[pytest.param(KEY.mint({"alg": alg}), id=f"A058-{alg!r}") for alg in (None, 256, ["ES256"], {"ES256": 1}, True)],
    pytest.param(KEY.mint({"alg": REMOVE}), id="A058-absent"),
]


@pytest.mark.parametrize("token", ALGORITHMS)
def test_an_algorithm_is_disallowed(token: str) -> None:
    assert refused(lambda: make_verifier().verify(token)) == "disallowed_algorithm"


def test_a054_none_without_a_signature_is_malformed() -> None:
    token = f"{b64(json.dumps(KEY.header(alg='none')))}.{BODY}."
    assert refused(lambda: make_verifier().verify(token)) == "malformed_token"


def test_a059_the_algorithm_is_a_constant_and_no_setting() -> None:
    assert tokens.ALGORITHM == "ES256"
    for name in ("algorithms", "algorithm", "alg"):
        with pytest.raises(TypeError):
            make_verifier(None, **{name: []})


def test_a060_the_key_s_alg_has_no_say() -> None:
    verifier = make_verifier(StaticKeyStore({KEY.kid: {**KEY.jwk, "alg": "ES256"}}))
    assert refused(lambda: verifier.verify(KEY.mint({"alg": "HS256"}))) == "disallowed_algorithm"


ODD_CRIT: list[Any] = [[], "exp", None, ["exp", "exp"], ["alg"], ["absent"], {}, [None], 0]
ODD_TYP: list[Any] = [None, 1, ["JWT"], {}, True]
MALFORMED_HEADERS = [
    *[
        pytest.param(KEY.mint({"crit": value, **extra}), id=f"A064-{value!r}")
        for value, extra in ((["exp"], {"exp": 1}), (["b64"], {"b64": True}), (["http://x"], {"http://x": 1}))
    ],
    *[pytest.param(KEY.mint({"crit": value}), id=f"A065-{value!r}") for value in ODD_CRIT],
    pytest.param(KEY.mint({"b64": False}), id="A066-false"),
    pytest.param(KEY.mint({"b64": False, "crit": ["b64"]}), id="A066-false with crit"),
    pytest.param(KEY.mint({"b64": True, "crit": ["b64"]}), id="A066-true with crit"),
    pytest.param(KEY.mint({"zip": "DEF"}), id="A067-zip"),
    pytest.param(KEY.mint({"enc": "A256GCM"}), id="A067-enc"),
    pytest.param(KEY.mint({"cty": "JWT"}), id="A067-cty JWT"),
    pytest.param(KEY.mint({"cty": "jwt"}), id="A067-cty jwt"),
    *[
        pytest.param(KEY.mint({"typ": typ}), id=f"A068-{typ}")
        for typ in ("at+jwt", "application/at+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "JOSE+JSON", "JOSE")
    ],
    *[pytest.param(KEY.mint({"typ": typ}), id=f"A069-{typ!r}") for typ in ODD_TYP],
    *[pytest.param(signed(text), id=f"A070-{text}") for text in ('["alg"]', '"alg"', "1", "null", "true", "[]")],
    pytest.param(signed(f'{{"alg":"none","alg":"ES256","kid":"{KEY.kid}"}}'), id="A071-two algs"),
    pytest.param(signed(f'{{"alg":"ES256","kid":"x","kid":"{KEY.kid}"}}'), id="A071-two kids"),
    pytest.param(KEY.mint({str(number): number for number in range(1000)}), id="A072-1000 members"),
    pytest.param(signed(f'{{"alg":"ES256","kid":"{KEY.kid}","x":{"[" * 30}{"]" * 30}}}'), id="A072-deep"),
]


@pytest.mark.parametrize("token", MALFORMED_HEADERS)
def test_a_header_is_malformed(token: str) -> None:
    assert refused(lambda: make_verifier().verify(token)) == "malformed_token"


@pytest.fixture
def _nothing_is_reached_out_for(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Note every look-up, connection and file, also where somebody swallows that it failed."""
    seen: list[object] = []

    def trap(*arguments: object, **_: object) -> None:
        seen.append(arguments)
        raise OSError("a header made the verifier reach out")

    with monkeypatch.context() as patch:
        for name in ("socket.socket", "socket.create_connection", "socket.getaddrinfo", "builtins.open", "os.open"):
            patch.setattr(name, trap)
        yield
    assert seen == []


KEY_MEMBERS = [
    pytest.param({"jwk": OTHER_KEY.jwk}, id="A061-jwk"),
    pytest.param({"jku": "http://127.0.0.1:9/jwks"}, id="A062-jku"),
    pytest.param({"x5u": "file:///etc/passwd"}, id="A062-x5u"),
    pytest.param({"x5c": ["AAAA"], "x5t": "x", "x5t#S256": "y"}, id="A063-x5c"),
    pytest.param({"epk": OTHER_KEY.jwk, "p2c": 2**31, "p2s": "x"}, id="A067-epk and p2c"),
]


@pytest.mark.usefixtures("_nothing_is_reached_out_for")
@pytest.mark.parametrize("members", KEY_MEMBERS)
def test_a_key_named_by_the_header_is_never_used(members: dict[str, Any]) -> None:
    forged = OTHER_KEY.sign({"alg": "ES256", "kid": KEY.kid, **members}, d1_claims())
    assert refused(lambda: make_verifier().verify(forged)) == "bad_signature"
    assert make_verifier().verify(KEY.mint(members)).kid == KEY.kid


ACCEPTED = [
    *[
        pytest.param(KEY.mint({"typ": typ}), id=f"A068-{typ}")
        for typ in ("JWT", "jwt", "application/jwt", "Application/Jwt")
    ],
    pytest.param(KEY.mint({f"x{number}": number for number in range(50)}), id="A072-50 members"),
    pytest.param(signed(f'\n{{ "kid":\t"{KEY.kid}",  "alg" : "ES256" }}\r\n'), id="A073-whitespace and order"),
    pytest.param(KEY.mint({"iss": "evil", "aud": "prd", "sub": "MGW_EVIL", "exp": 0}), id="A074-replicated claims"),
    pytest.param(KEY.mint({"__class__": "x", "constructor": "y", "validate_iss": 1}), id="A075-dunder names"),
]


@pytest.mark.parametrize("token", ACCEPTED)
def test_a_harmless_header_is_accepted(token: str) -> None:
    verified = make_verifier().verify(token)
    assert (verified.issuer, verified.subject, verified.audience) == ("d1", SUBJECT, ("stg",))


def test_a075_dunder_claims_are_only_data() -> None:
    token = make_verifier().verify(KEY.mint(__class__="evil", __reduce__="x", claims={"exp": NOW}, subject="MGW_EVIL"))
    assert (type(token).__name__, token.subject) == ("D1Token", SUBJECT)

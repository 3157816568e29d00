"""Chapter 5: JSON, in the payload, under a true signature; the same rules hold for the header."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from ..support import KEY, NOW, SUBJECT, make_verifier, refused

CLAIMS = f'"iss":"d1","aud":"stg","sub":"{SUBJECT}","exp":{NOW + 600}'


def with_member(text: str) -> bytes:
    return f"{{{CLAIMS},{text}}}".encode()


MALFORMED = [
    pytest.param(with_member('"iss":"d1"'), id="A076-two iss"),
    pytest.param(with_member('"aud":"prd"'), id="A076-two aud"),
    pytest.param(with_member('"exp":1'), id="A076-two exp"),
    pytest.param(with_member('"x":{"a":1,"a":2}'), id="A076-nested"),
    pytest.param(with_member('"x":[{"a":1,"a":2}]'), id="A076-in an array"),
    pytest.param(with_member('"\\u0069ss":"evil"'), id="A077-by escape"),
    *[pytest.param(with_member(f'"x":{name}'), id=f"A078-{name}") for name in ("NaN", "Infinity", "-Infinity")],
    *[pytest.param(with_member(f'"nbf":{number}'), id=f"A079-{number}") for number in ("1e400", "-1e400", "1E+999")],
    pytest.param(with_member('"nbf":1' + "0" * 400), id="A080-400 digits"),
    pytest.param(with_member('"nbf":1' + "0" * 5000), id="A081-5000 digits"),
    pytest.param(with_member('"x":' + "[" * 3000), id="A082-3000 deep"),
    pytest.param(with_member('"x":' + "[" * 16 + "]" * 16), id="A082-17 deep"),
    pytest.param(b"[" * 5000, id="A082-only brackets"),
    pytest.param(with_member('"x":"\\ud800"'), id="A084-lone surrogate"),
    pytest.param(with_member('"\\ud800":1'), id="A084-in a name"),
    pytest.param(f'{{"iss":"d1","aud":"stg","sub":"\\ud800","exp":{NOW}}}'.encode(), id="A084-in sub"),
    pytest.param(with_member('"x":"\\udc80"'), id="A085-surrogateescape range"),
    pytest.param(b"\xef\xbb\xbf{" + CLAIMS.encode() + b"}", id="A086-BOM"),
    *[pytest.param(f"{{{CLAIMS}}}".encode(name), id=f"A086-{name}") for name in ("utf-16", "utf-16-be", "utf-32-le")],
    pytest.param(with_member('"x":"y"').replace(b"y", b"\xff"), id="A087-invalid"),
    pytest.param(with_member('"x":"y"').replace(b"y", b"\xc0\xae"), id="A087-overlong"),
    pytest.param(with_member('"x":"y"').replace(b"y", b"\xed\xa0\x80"), id="A087-surrogate bytes"),
    *[pytest.param(text.encode(), id=f"A088-{text}") for text in ("[]", '"x"', "1", "null", "true", " ")],
    pytest.param(f"{{{CLAIMS}}}{{{CLAIMS}}}".encode(), id="A089-two objects"),
    pytest.param(f"{{{CLAIMS}}} x".encode(), id="A089-trailing text"),
    pytest.param(f"{{{CLAIMS},}}".encode(), id="A089-trailing comma"),
    pytest.param(f"{{{CLAIMS}}}/**/".encode(), id="A089-comment"),
    pytest.param(f"{{{CLAIMS}}}".replace('"', "'").encode(), id="A089-single quotes"),
    pytest.param(with_member('"x":"\n"'), id="A090-raw newline"),
    pytest.param(with_member('"x":"\0"'), id="A090-raw NUL"),
    pytest.param(with_member(",".join(f'"{number}":1' for number in range(100_000))), id="A091-100k members"),
]


@pytest.mark.parametrize("payload", MALFORMED)
def test_a_payload_is_malformed(payload: bytes) -> None:
    assert refused(lambda: make_verifier().verify(KEY.sign(KEY.header(), payload))) == "malformed_token"


@pytest.mark.parametrize("payload", [one for one in MALFORMED if b"[[" not in one.values[0] and one.id != "A088- "])  # type: ignore[operator]
def test_a_header_of_these_bytes_is_malformed(payload: bytes) -> None:
    header = payload.replace(CLAIMS.encode(), f'"alg":"ES256","kid":"{KEY.kid}",{CLAIMS}'.encode())
    token = KEY.sign(header, b"{}")
    assert refused(lambda: make_verifier().verify(token)) == "malformed_token"


@pytest.fixture
def loosened_interpreter() -> Iterator[None]:
    digits, depth = sys.get_int_max_str_digits(), sys.getrecursionlimit()
    sys.set_int_max_str_digits(0)
    sys.setrecursionlimit(50_000)
    yield
    sys.set_int_max_str_digits(digits)
    sys.setrecursionlimit(depth)


@pytest.mark.usefixtures("loosened_interpreter")
@pytest.mark.parametrize("member", ['"nbf":1' + "0" * 5000, '"x":' + "[" * 2500 + "]" * 2500])
def test_a081_a231_the_limits_are_our_own(member: str) -> None:
    assert refused(lambda: make_verifier().verify(KEY.sign(KEY.header(), with_member(member)))) == "malformed_token"


def test_a083_the_depth_is_counted_before_the_parser_recurses() -> None:
    deep = KEY.sign(KEY.header(), with_member('"x":' + "[" * 16 + "]" * 16))
    flat = KEY.sign(KEY.header(), with_member('"x":' + "[" * 14 + "]" * 14))
    verifier = make_verifier(token_cache_size=0)

    def call_from(frames: int, token: str) -> str:
        if frames:
            return call_from(frames - 1, token)
        return verifier.verify(token).subject

    room_left = sys.getrecursionlimit() - len(_stack())
    assert call_from(room_left - 100, flat) == SUBJECT
    assert refused(lambda: call_from(room_left - 120, deep)) == "malformed_token"


def _stack() -> list[object]:
    frame, frames = sys._getframe(), []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back  # type: ignore[assignment]
    return frames


@pytest.mark.parametrize("name", ["sub", "iss"])
def test_a090_an_escaped_nul_is_no_name(name: str) -> None:
    claims = {"sub": SUBJECT, "iss": "d1"}
    token = KEY.mint(**{name: claims[name] + "\0"})
    assert refused(lambda: make_verifier().verify(token)) in ("invalid_claim", "wrong_issuer", "wrong_subject")


@pytest.mark.parametrize(
    ("written", "accepted"),
    [
        pytest.param(f"{NOW - 30}.0000009", True, id="A092-a fraction after"),
        pytest.param(f"{NOW - 30}.0", False, id="A092-exactly"),
        pytest.param(f"{NOW - 31}.9999999", False, id="A092-a fraction before"),
        pytest.param(f"{(NOW + 600) / 1e9!r}e9", True, id="A092-with an exponent"),
    ],
)
def test_a_fraction_is_compared_as_it_is(written: str, *, accepted: bool) -> None:
    payload = f'{{"iss":"d1","aud":"stg","sub":"{SUBJECT}","exp":{written}}}'.encode()
    token, verifier = KEY.sign(KEY.header(), payload), make_verifier()
    if accepted:
        assert verifier.verify(token).expires_at == float(written)
    else:
        assert refused(lambda: verifier.verify(token)) == "expired"


def test_a093_a_replaced_json_loads_changes_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", lambda _data: {"iss": "d1", "sub": "MGW_EVIL", "aud": "stg", "exp": NOW + 1})
    assert make_verifier().verify(KEY.mint()).subject == SUBJECT
    assert refused(lambda: make_verifier().verify(KEY.sign(KEY.header(), b'{"a":1,"a":1}'))) == "malformed_token"

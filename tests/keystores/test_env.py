"""Keys in an environment variable: every form, and no byte of the value in a message."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest

from d1verify import ConfigurationError, EnvKeyStore, KeyCache, KeyStoreError

from ..support import KEY, OTHER_KEY, b64

VARIABLE = "D1VERIFY_KEYS"


def load(value: str, kid: str | None = None) -> Any:
    return EnvKeyStore(kid=kid, environ={VARIABLE: value}).load()


def without_kid(jwk: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in jwk.items() if name != "kid"}


TEXTS = {
    "JWK Set": json.dumps({"keys": [KEY.jwk]}),
    "JWK": json.dumps(KEY.jwk),
    "JWK without kid": json.dumps(without_kid(KEY.jwk)),
    "JWK over lines": json.dumps(KEY.jwk, indent=2),
    "PEM": KEY.pem,
    "PEM with CRLF": KEY.pem.replace("\n", "\r\n"),
    "PEM with literal \\n": KEY.pem.replace("\n", "\\n"),
    "PEM without the last line end": KEY.pem.strip(),
}
WRAPPED = {
    "as it is": lambda text: text,
    "with space around": lambda text: f" \n{text}\n ",
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 over lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "base64 without padding": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64url without padding": b64,
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED.keys())
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_takes_every_form(text: str, wrap: Any) -> None:
    keys = load(wrap(text), kid=KEY.kid)
    assert dict(keys.keys) == {KEY.kid: KEY.public}
    assert (keys.max_age, keys.max_stale) == (math.inf, 0.0)


def test_both_alphabets_of_base64_are_told_apart_by_nobody() -> None:
    text = json.dumps({"keys": [{**KEY.jwk, "note": "~~~???>>>" * 3}]})
    standard = base64.b64encode(text.encode()).decode()
    assert set("+/") & set(standard), "the text must need both alphabets"
    assert list(load(standard)) == list(load(b64(text))) == [KEY.kid]


def test_the_kid_of_a_jwk_counts_before_the_one_given() -> None:
    assert list(load(json.dumps(OTHER_KEY.jwk), kid="another")) == [OTHER_KEY.kid]


def test_reads_the_process_environment_when_it_is_first_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    store = EnvKeyStore("SOME_OTHER_NAME", kid="k1")
    monkeypatch.setenv("SOME_OTHER_NAME", KEY.pem)
    assert dict(store.load().keys) == {"k1": KEY.public}


def test_never_expires() -> None:
    assert KeyCache(EnvKeyStore(environ={VARIABLE: TEXTS["JWK"]})).key(KEY.kid) == KEY.public


def test_a_pem_without_a_kid_says_that_it_needs_one() -> None:
    with pytest.raises(KeyStoreError, match="key id"):
        load(KEY.pem)


REFUSED = {
    "empty": "",
    "white space": " \n\t ",
    "a path": "/etc/d1/keys/d1-key-1.pem",
    "a path that is base64": "/etc/d1/key/k.pe",
    "a path that is base64 of nothing": "/etc/keys/d1key1",
    "a relative path": "keys",
    "a URL": "https://keys.example/jwks.json",
    "a JSON array": json.dumps([KEY.jwk]),
    "a JSON string": '"secret-value"',
    "no JSON": "{secret-value}",
    "twice the same member": '{"keys": [], "keys": []}',
    "an empty JWK Set": '{"keys": []}',
    "keys that are no array": '{"keys": {"secret-value": 1}}',
    "private PEM": KEY.private_pem,
    "private PEM in base64": b64(KEY.private_pem),
    "private PEM with literal \\n": KEY.private_pem.replace("\n", "\\n"),
    "private JWK": json.dumps({**KEY.jwk, "d": "c2VjcmV0LXZhbHVl"}),
    "private JWK in a JWK Set": json.dumps({"keys": [{**KEY.jwk, "d": "c2VjcmV0LXZhbHVl"}]}),
    "symmetric": json.dumps({"kty": "oct", "k": "c2VjcmV0LXZhbHVl", "kid": "k"}),
    "certificate": "-----BEGIN CERTIFICATE-----\nc2VjcmV0LXZhbHVl\n-----END CERTIFICATE-----",
    "two PEMs": KEY.pem + OTHER_KEY.pem,
    "PEM with junk after it": KEY.pem + "secret-value",
    "base64 of junk": b64("secret-value"),
    "base64 of bytes that are no text": base64.b64encode(b"\xff\xfe\x00" * 8).decode(),
    "base64 of base64": b64(b64(KEY.pem)),
    "SPKI in base64 without its frame": "".join(KEY.pem.splitlines()[1:-1]),
    "other characters": "ключ-secret-value",
}


def refusal_of(value: str) -> str:
    with pytest.raises(KeyStoreError) as caught:
        load(value, kid=KEY.kid)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED.keys())
def test_refuses_every_other_value_and_repeats_nothing_of_it(value: str) -> None:
    message = refusal_of(value)
    assert f"the environment variable {VARIABLE}" in message
    pieces = [value[start : start + 8] for start in range(max(1, len(value) - 8))]
    repeated = [piece for piece in pieces if len(piece) == 8 and piece in message]
    assert [piece for piece in repeated if piece not in " PUBLIC KEY PRIVATE KEY"] == []


@pytest.mark.parametrize("value", ["-----BEGIN PUBLIC KEY-----\udcff", '{"keys": "\udcff"}', '{"\udcff": 1}'])
def test_refuses_bytes_that_are_no_text(value: str) -> None:
    assert VARIABLE in refusal_of(value)


@pytest.mark.parametrize("value", ["\udcff\udcfe", "YWJj\udcff"])
def test_refuses_bytes_that_are_no_text_where_base64_is_looked_for(value: str) -> None:
    assert VARIABLE in refusal_of(value)


def test_says_what_is_missing_by_name() -> None:
    with pytest.raises(KeyStoreError, match="D1VERIFY_KEYS is not set or empty"):
        EnvKeyStore(environ={}).load()


@pytest.mark.parametrize("variable", ["", None, 5, b"X"], ids=repr)
def test_refuses_what_is_no_name(variable: Any) -> None:
    with pytest.raises(ConfigurationError, match="variable"):
        EnvKeyStore(variable)


@pytest.mark.parametrize("kid", ["", "a\nb", "k" * 257, 5], ids=["empty", "line end", "long", "int"])
def test_refuses_what_is_no_key_id(kid: Any) -> None:
    with pytest.raises(ConfigurationError, match="kid"):
        EnvKeyStore(kid=kid)

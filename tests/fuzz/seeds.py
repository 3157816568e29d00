"""What the fuzzer starts from, made by code: good inputs, and those of the contract's catalogue.

No seed is good by chance of time or of keys: the clock stands still, the keys never change, and
signatures are put in by the harness (see `material` and `harnesses.verify_raw`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

from .catalogue import authorization_values, signed_parts, with_placeholder
from .harnesses.pem import SPKI_OF_POINT
from .harnesses.verify_raw import PLACEHOLDER
from .material import NOW, PUBLIC_KEYS, RECORD_END, SIGNER_KID, SUBJECT, jwk, pem
from .oracles import base64url

__all__ = ["seeds"]


def seeds(harness: str) -> list[bytes]:
    """Return the seeds of a harness, each once."""
    return list(dict.fromkeys(_MAKERS[harness]()))


def _codec() -> Iterator[bytes]:
    for header, payload in signed_parts():
        yield from (header, payload, base64url.encoded(payload))
    yield json.dumps(_claims(x={"a": [1, -0.5, 1e300, True, None, "\u00fc\U0001f600"]}), indent=1).encode()
    yield b'{"a":"\\ud83d\\ude00\\u00fc\\n","b":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}'
    yield from (b"", b"A", b"AA", b"AB", b"AAE", b"AAAA", b"QQ==", b"-_-_", b"+/+/")


def _verify_signed() -> Iterator[bytes]:
    for header, payload in signed_parts():
        yield b"0" + RECORD_END.join((header, payload))
    header = _header()
    for number, audience in ((b"1", "prd"), (b"2", "https://gateway.example/notify"), (b"3", "stg")):
        for claims in (_claims(aud=audience), _claims(aud=audience, exp=NOW + 60, iat=NOW, nbf=NOW - 1.5)):
            yield number + RECORD_END.join((header, json.dumps(claims).encode()))
    for changes in _AT_THE_LIMITS:
        yield b"0" + RECORD_END.join((header, json.dumps(_claims(**changes)).encode()))
    good = RECORD_END.join((header, json.dumps(_claims()).encode()))
    for mask in (b"", b"\x01", b"\x00" * 63 + b"\x80", b"\x00" * 65, b"\xff" * 64):
        yield b"0" + good + RECORD_END + mask
    yield b"0" + RECORD_END.join((_header(kid="fuzz-key-2"), json.dumps(_claims()).encode()))


def _verify_raw() -> Iterator[bytes]:
    for value in authorization_values():
        scheme, _, token = value.partition(b" ")
        if scheme.lower() == b"bearer":
            yield b"0" + with_placeholder(token)
    head, body = base64url.encoded(_header()), base64url.encoded(json.dumps(_claims()).encode())
    for end in (b"", b"=", b".", b"\n", b"A"):
        yield b"0" + head + b"." + body + PLACEHOLDER + end
    # Header and token at the very limits of their length.
    for padding in (1400, 1500, 5900, 6000):
        text = "x" * padding
        yield b"0" + base64url.encoded(_header(x=text)) + b"." + body + PLACEHOLDER
        yield b"0" + head + b"." + base64url.encoded(json.dumps(_claims(x=text)).encode()) + PLACEHOLDER


def _bearer() -> Iterator[bytes]:
    yield from authorization_values()
    yield from (b"Bearer a.b.c", b"bearer  a", b"Bearer", b"Bearer ", b"Basic YTpi", b"Bearer a,", b"Basic a, Bearer b")
    yield from (b"Bearer a" + RECORD_END + b"Bearer b", b"" + RECORD_END, b"Bearer " + b"a" * 8249, b"Bearer a\xc3\xa9")


def _jwks() -> Iterator[bytes]:
    good, other = jwk("fuzz-key-1"), jwk("fuzz-key-2")
    private = {"d": "A" * 43}
    sets = (
        [],
        [good],
        [good, other],
        [good, good],
        [good, {**other, "kid": "fuzz-key-1"}],
        [jwk("fuzz-key-1", use="sig", alg="ES256", key_ops=["verify"], x5c=["AA=="])],
        *(
            [{**good, **change}, other]
            for change in ({"use": "enc"}, {"alg": "ES384"}, {"key_ops": ["sign"]}, {"kid": 1})
        ),
        *(
            [{**good, **change}]
            for change in (private, {"k": "AA"}, {"crv": "P-384"}, {"kty": "RSA"}, {"x": good["y"]})
        ),
        *([{**good, "y": good["y"][:-1] + end}] for end in ("", "AA", "=", "-")),
        [other] * 5,
        [None, 1, "key", [], {}],
    )
    yield from (json.dumps({"keys": keys}).encode() for keys in sets)
    yield from (json.dumps(good).encode(), b"[]", b'{"keys":{}}', b'{"keys":[],"keys":[]}', b'{"keys":"AAAA"}', b"")


def _pem() -> Iterator[bytes]:
    for kid, key in PUBLIC_KEYS.items():
        text, numbers = pem(kid), key.public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        yield from (
            text,
            text.replace(b"\n", b"\r\n"),
            b"\n" + text + b"\n",
            text + text,
            text[:-5],
            text.replace(b"PUBLIC", b"PRIVATE"),
        )
        yield from (b"p\x04" + x + y, b"p\x02" + x, b"p\x03" + x, b"p\x04" + y + x, b"p\x06" + x + y, b"p\x00")
        point = b"\x03\x42\x00\x04" + x + y
        yield b"d\x30" + bytes([len(SPKI_OF_POINT + point)]) + SPKI_OF_POINT + point
        yield b"d" + base64.b64decode(b"".join(text.split(b"\n")[1:-2])) + b"\x00"
    # A stray bit at the end of the base64 text, and padding that is not there.
    yield pem(SIGNER_KID).replace(b"w==\n", b"x==\n")
    yield from (pem(SIGNER_KID).replace(b"==\n", b"\n"), b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", b"")


def _http_answer() -> Iterator[bytes]:
    body = json.dumps({"keys": [jwk("fuzz-key-1")]}).encode()
    fields = (
        b"Cache-Control: max-age=600",
        b"Cache-Control: public, max-age=100, max-age=90\nAge: 20\nAge: 10",
        b'Cache-Control: max-age="700"\nETag: "abc"',
        b"Cache-Control: no-store",
        b"Cache-Control: no-cache=Age, MAX-AGE=99999999999999999999999",
        b'ETag: W/"x"\nAge: 00000000000000000000001',
        b"Content-Type: text/html\nX: y",
    )
    for lines in fields:
        yield b"200\n" + lines + b"\n\n" + body
        yield RECORD_END.join((b'200\nETag: "1"\n\n' + body, b"304\n" + lines + b"\n\n", b"200\n\n" + b'{"keys":[]}'))
    yield b"200\nETag: abc\n\n" + body + RECORD_END + b"304\n\n"
    yield from (
        b"503\nRetry-After: 1\n\n",
        b"304\n\n",
        b"200\n\n{}",
        b"200\n\n" + json.dumps({"keys": [{}] * 101}).encode(),
        b"",
    )


def _oauth_form() -> Iterator[bytes]:
    plain = b"application/x-www-form-urlencoded"
    assertion = b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c"
    bodies = (
        assertion,
        b"grant_type=client_credentials&scope=a+b",
        b"grant_type=client_credentials&client_id=d1&client_secret=s%C3%A9",
        assertion + b"&client_assertion=x&client_assertion_type=y",
        assertion + b"&assertion=d",
        b"grant_type=client_credentials&assertion=",
        *(
            b"a",
            b"a=%ff",
            b"a=%zz",
            b"a=b&&c=d",
            b"=",
            b"\xff=1",
            b"a=1;b=2",
            b"&".join(b"%d=" % n for n in range(33)),
            b"",
        ),
    )
    yield from (plain + b"\n\n" + body for body in bodies)
    for types in (
        plain + b"; charset=UTF-8",
        plain + b';charset="utf-8";',
        plain + b"\n" + plain,
        b"application/json",
        b"",
    ):
        yield types + b"\n\n" + assertion


def _settings() -> Iterator[bytes]:
    base = {"D1VERIFY_AUDIENCE": "stg", "D1VERIFY_SUBJECT": SUBJECT}
    text = pem(SIGNER_KID).decode()
    environments: tuple[dict[str, str], ...] = (
        {**base, "D1VERIFY_KEYS": json.dumps({"keys": [jwk("fuzz-key-1"), jwk("fuzz-key-2")]}), "PATH": "/bin"},
        {**base, "D1VERIFY_KEYS": json.dumps(jwk("fuzz-key-1")), "D1VERIFY_LEEWAY": "12.5"},
        {**base, "D1VERIFY_KEYS": text.replace("\n", "\\n"), "D1VERIFY_KID": "k", "D1VERIFY_SUBJECT": "a, b"},
        {
            **base,
            "D1VERIFY_KEYS": base64.b64encode(text.encode()).decode(),
            "D1VERIFY_KID": "k",
            "D1VERIFY_SUBJECT": "*",
        },
        {**base, "D1VERIFY_KEYS": text.replace("PUBLIC", "PRIVATE"), "D1VERIFY_KID": "k"},
        {**base, "D1VERIFY_KEYS_PATH": "keys", "D1VERIFY_AUDIENCE": "https://gateway.example/notify"},
        *({**base, "D1VERIFY_JWKS_URL": url} for url in _URLS),
        {**base, "D1VERIFY_JWKS_URL": _URLS[0], "D1VERIFY_JWKS_PROXY": "http://user:secret-word@proxy.example:3128"},
        {**base, "D1VERIFY_JWKS_URL": _URLS[0], "D1VERIFY_JWKS_CA_FILE": "README.md"},
        {**base, "D1VERIFY_JWKS_URL": _URLS[0], "D1VERIFY_JWKS_CERT_FILE": "c", "D1VERIFY_JWKS_KEY_FILE": "k"},
        *(
            {**base, "D1VERIFY_KEYS_PATH": "k", "D1VERIFY_LEEWAY": leeway}
            for leeway in ("1.5", "0", "301", "1e2", "nan", "-1", "")
        ),
        *({**base, "D1VERIFY_KEYS_PATH": "k", "D1VERIFY_SUBJECT": ids} for ids in ("a,b", "a,,b", "*,a", "", "\u200b")),
        {**base, "D1VERIFY_KEYS": "{}", "D1VERIFY_KEYS_PATH": "x"},
        {**base, "D1VERIFY_KEYS": "{}", "D1VERIFY_SUBJECTS": "x"},
        {**base, "D1VERIFY_AUDIENCE": "http://gateway.example/"},
    )
    for environ in environments:
        yield RECORD_END.join(f"{name}={value}".encode() for name, value in environ.items())


# The last good second and the one after it, by the first rules' leeway of 30 s.
_AT_THE_LIMITS: tuple[dict[str, Any], ...] = (
    *({"exp": exp} for exp in (NOW - 29, NOW - 30, NOW + 930, NOW + 931)),
    *({name: time} for name in ("iat", "nbf") for time in (NOW + 30, NOW + 31, NOW + 30.5)),
)

_URLS = (
    "https://keys.example/jwks",
    "http://127.0.0.1:8000/jwks?x=1",
    "http://[::1]/",
    "http://localhost",
    "http://keys.example/",
    "https://user:secret-word@keys.example/",
    "https://keys.example/#x",
    "https://keys.example:65536/",
    "https://keys.example\\@other.example/",
)


def _header(**changes: Any) -> bytes:
    return json.dumps({"alg": "ES256", "kid": SIGNER_KID, "typ": "JWT", **changes}).encode()


def _claims(**changes: Any) -> dict[str, Any]:
    return {"iss": "d1", "sub": SUBJECT, "aud": "stg", "exp": NOW + 600, **changes}


_MAKERS: dict[str, Callable[[], Iterator[bytes]]] = {
    "codec": _codec,
    "verify_signed": _verify_signed,
    "verify_raw": _verify_raw,
    "bearer": _bearer,
    "jwks": _jwks,
    "pem": _pem,
    "http_answer": _http_answer,
    "oauth_form": _oauth_form,
    "settings": _settings,
}

"""`D1Verifier.verify` of tokens that are signed: the fuzzer writes header and payload, the harness signs them.

An input is a digit that chooses the rules, the header, the payload, and bytes to change the
honest signature with: each is XORed to the byte in its place, and what is longer is appended.
"""

from __future__ import annotations

from typing import Final

from ..judging import check_token
from ..material import SIGNER_KID, SUBJECT, records, sign
from ..oracles import base64url

__all__ = ["MAX_BYTES", "WORDS", "check"]

MAX_BYTES: Final = 3072
# Members end with a comma, so that one insertion after a brace or another comma leaves an object.
WORDS: Final = (
    *('"alg":"ES256",', '"alg":"none",', '"alg":"HS256",', '"alg":"es256",', f'"kid":"{SIGNER_KID}",'),
    *('"kid":"fuzz-key-2",', '"typ":"JWT",', '"typ":"application/jwt",', '"typ":"at+jwt",', '"typ":null,'),
    '"crit":["b64"],',
    *('"crit":null,', '"b64":false,', '"zip":"DEF",', '"enc":"A256GCM",', '"cty":"JWT",', '"cty":"application/jwt",'),
    *('"jwk":{},', '"iss":"d1",', '"iss":"",', '"aud":"stg",', '"aud":["stg"],', '"aud":["prd","stg",""],'),
    '"aud":"prd",',
    *('"aud":"https://gateway.example/notify",', f'"sub":"{SUBJECT}",', '"sub":"MGW_000002",', '"sub":["MGW_000001"],'),
    *('"exp":1800000600,', '"exp":1800000930,', '"exp":1799999970,', '"exp":1800000000,', '"exp":1800000960,'),
    '"exp":true,',
    *('"iat":1800000030,', '"nbf":1800000031,', '"iat":1800000000.5,', '"nbf":1.8e9,', '"iat":null,'),
    "9007199254740992",
    *("\\u0073ub", "\\ud800", "\\uD800", "NaN", "true", "null", "[[[[", "]]]]", "\x1e", ",", ":", "{", "}"),
)  # fmt: skip


def check(data: bytes) -> None:
    """Return if the token made of `data` gets the verdict that the rules ask for."""
    chosen, (header, payload, changes) = data[:1], records(data[1:], 3)
    signing_input = base64url.encoded(header) + b"." + base64url.encoded(payload)
    token = signing_input + b"." + base64url.encoded(_changed(sign(signing_input), changes))
    check_token(token, chosen[0] if chosen else 0)


def _changed(signature: bytes, changes: bytes) -> bytes:
    length = max(len(signature), len(changes))
    pairs = zip(signature.ljust(length, b"\0"), changes.ljust(length, b"\0"), strict=True)
    return bytes(one ^ other for one, other in pairs)

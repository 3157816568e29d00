"""PEM, JWK and JWK Set texts: one form is a public P-256 key, every other one is refused by name."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from d1verify import KeyStoreError, PublicKey
from d1verify._keyformats import jwks_entries, parse_json, point_from_jwk, point_from_pem

from .support import KEY, OTHER_KEY, P256_ORDER, P256_PRIME, SigningKey, b64

SPKI = PublicFormat.SubjectPublicKeyInfo
POINT = KEY.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
DER = KEY.private.public_key().public_bytes(Encoding.DER, SPKI)
NAMED_CURVE = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")


def pem(der: bytes, label: str = "PUBLIC KEY") -> str:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n"


def tlv(tag: int, content: bytes) -> bytes:
    length = bytes([len(content)]) if len(content) < 128 else b"\x82" + len(content).to_bytes(2, "big")
    return bytes([tag]) + length + content


def integer(number: int) -> bytes:
    return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def explicit_parameters(generator: bytes) -> bytes:
    """Return an SPKI whose curve is P-256 written out, with this base point (CVE-2020-0601)."""
    a, b = P256_PRIME - 3, 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    field = tlv(0x30, bytes.fromhex("06072a8648ce3d0101") + integer(P256_PRIME))
    curve = tlv(0x30, tlv(4, a.to_bytes(32, "big")) + tlv(4, b.to_bytes(32, "big")))
    parameters = tlv(0x30, integer(1) + field + curve + tlv(4, generator) + integer(P256_ORDER) + integer(1))
    algorithm = tlv(0x30, bytes.fromhex("06072a8648ce3d0201") + parameters)
    return tlv(0x30, algorithm + tlv(3, b"\0" + POINT))


P256_GENERATOR = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)


def private_pem(form: PrivateFormat, password: bytes | None = None) -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return KEY.private.private_bytes(Encoding.PEM, form, encryption).decode()


def spki_pem(key: Any) -> str:
    text: str = key.public_key().public_bytes(Encoding.PEM, SPKI).decode()
    return text


REFUSED_PEM = [
    pytest.param(KEY.private_pem, "private key", id="private, PKCS 8"),
    pytest.param(private_pem(PrivateFormat.TraditionalOpenSSL), "private key", id="private, SEC 1"),
    pytest.param(private_pem(PrivateFormat.PKCS8, b"pw"), "private key", id="private, encrypted"),
    pytest.param(private_pem(PrivateFormat.OpenSSH), "private key", id="private, OpenSSH"),
    pytest.param(KEY.pem + KEY.private_pem, "private key", id="a public and a private key"),
    pytest.param(KEY.pem + OTHER_KEY.pem, "more than one", id="two public keys"),
    pytest.param(KEY.pem + KEY.pem, "more than one", id="the same key twice"),
    pytest.param(pem(DER, "CERTIFICATE"), "PUBLIC KEY", id="certificate label"),
    pytest.param(pem(DER, "EC PUBLIC KEY"), "PUBLIC KEY", id="EC PUBLIC KEY label"),
    pytest.param(pem(DER, "RSA PUBLIC KEY"), "PUBLIC KEY", id="RSA PUBLIC KEY label"),
    pytest.param(pem(NAMED_CURVE, "EC PARAMETERS"), "PUBLIC KEY", id="EC PARAMETERS"),
    pytest.param("text before\n" + KEY.pem, "exactly one", id="text before"),
    pytest.param(KEY.pem + "junk", "exactly one", id="text after"),
    pytest.param("\ufeff" + KEY.pem, "exactly one", id="BOM"),
    pytest.param(KEY.pem + "\0", "exactly one", id="NUL after"),
    pytest.param(KEY.pem.replace("-----END", "----END"), "exactly one", id="broken end"),
    pytest.param(
        KEY.pem.replace("PUBLIC KEY-----\n", "PUBLIC KEY-----\nProc-Type: 4\n", 1), "exactly one", id="header"
    ),
    pytest.param(KEY.pem.partition("-----END")[0], "exactly one", id="no end"),
    pytest.param("-----BEGIN PUBLIC KEY-----\n\n-----END PUBLIC KEY-----\n", "base64|named curve", id="empty block"),
    pytest.param(KEY.pem.replace("\nM", "\n=M", 1), "base64", id="padding in front"),
    pytest.param(pem(DER).replace("==", "="), "base64", id="too little padding"),
    pytest.param(pem(DER + b"\0"), "named curve", id="a byte after the DER"),
    pytest.param(pem(DER[:-1]), "named curve", id="DER cut short"),
    pytest.param(pem(b"\x30\x81\x59" + DER[2:]), "named curve", id="length not in DER's shortest form"),
    pytest.param(pem(POINT), "named curve", id="bare point"),
    pytest.param(pem(explicit_parameters(P256_GENERATOR)), "named curve", id="explicit parameters, equal to P-256"),
    pytest.param(pem(explicit_parameters(POINT)), "named curve", id="explicit parameters, another generator"),
    pytest.param(SigningKey("k", ec.SECP384R1()).pem, "named curve", id="P-384"),
    pytest.param(SigningKey("k", ec.SECP521R1()).pem, "named curve", id="P-521"),
    pytest.param(SigningKey("k", ec.SECP256K1()).pem, "named curve", id="secp256k1"),
    pytest.param(SigningKey("k", ec.BrainpoolP256R1()).pem, "named curve", id="brainpool"),
    pytest.param(spki_pem(rsa.generate_private_key(65537, 2048)), "named curve", id="RSA"),
    pytest.param(spki_pem(ed25519.Ed25519PrivateKey.generate()), "named curve", id="Ed25519"),
    pytest.param(spki_pem(dsa.generate_private_key(1024)), "named curve", id="DSA"),
    pytest.param("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 a@b", "exactly one", id="OpenSSH public key"),
    pytest.param("<html>sign in</html>", "exactly one", id="login page"),
    pytest.param('{"error":"denied"}', "exactly one", id="JSON"),
    pytest.param("/etc/d1/keys/a.pem", "exactly one", id="path"),
    pytest.param("", "exactly one", id="nothing"),
    pytest.param("\ud800", "exactly one", id="lone surrogate"),
]


@pytest.mark.parametrize(("text", "why"), REFUSED_PEM)
def test_pem_refuses(text: str, why: str) -> None:
    with pytest.raises(KeyStoreError, match=why) as caught:
        PublicKey.from_pem(text)
    assert len(str(caught.value)) < 80
    assert text[30:50] == "" or text[30:50] not in str(caught.value)


def test_pem_refuses_der_bytes() -> None:
    with pytest.raises(KeyStoreError, match="exactly one"):
        point_from_pem(DER)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(KEY.pem, id="as openssl writes it"),
        pytest.param(KEY.pem.encode(), id="bytes"),
        pytest.param(KEY.pem.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(KEY.pem.rstrip("\n"), id="no newline at the end"),
        pytest.param(f"\n  {KEY.pem}\n\n", id="whitespace around"),
        pytest.param(KEY.pem.replace("\n", " "), id="on one line, as in a YAML file"),
    ],
)
def test_pem_reads(text: str | bytes) -> None:
    assert point_from_pem(text) == POINT


def test_pem_reads_a_compressed_point() -> None:
    compressed = KEY.private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    text = pem(tlv(0x30, NAMED_CURVE + tlv(3, b"\0" + compressed)))
    assert PublicKey.from_pem(text) == KEY.public


@pytest.mark.parametrize("form", [0x00, 0x02, 0x05, 0x06, 0x07])
def test_pem_refuses_another_form_of_point_in_the_place_of_an_uncompressed_one(form: int) -> None:
    changed = bytearray(DER)
    changed[-65] = form
    with pytest.raises(KeyStoreError, match="named curve"):
        PublicKey.from_pem(pem(bytes(changed)))


def test_pem_refuses_the_point_at_infinity() -> None:
    with pytest.raises(KeyStoreError):
        PublicKey.from_pem(pem(tlv(0x30, NAMED_CURVE + tlv(3, b"\0\0"))))


def coordinate(number: int, length: int = 32) -> str:
    return b64(number.to_bytes(length, "big"))


X, Y = KEY.jwk["x"], KEY.jwk["y"]
REFUSED_JWK = [
    pytest.param({"kty": "oct", "k": "c2VjcmV0"}, "symmetric", id="symmetric"),
    pytest.param({"k": "c2VjcmV0"}, "symmetric", id="k beside an EC key"),
    pytest.param({"d": coordinate(5)}, "private", id="private"),
    pytest.param({"d": None}, "private", id="d that is null"),
    pytest.param({"kty": "RSA"}, "not an EC key", id="RSA"),
    pytest.param({"kty": "OKP", "crv": "Ed25519"}, "not an EC key", id="OKP"),
    pytest.param({"kty": "AKP"}, "not an EC key", id="AKP"),
    pytest.param({"kty": "ec"}, "not an EC key", id="kty in lower case"),
    pytest.param({"kty": ["EC"]}, "not an EC key", id="kty list"),
    pytest.param({"kty": None}, "not an EC key", id="kty null"),
    pytest.param({"crv": "P-384"}, "not an EC key", id="P-384"),
    pytest.param({"crv": "secp256k1"}, "not an EC key", id="secp256k1"),
    pytest.param({"crv": "p-256"}, "not an EC key", id="crv in lower case"),
    pytest.param({"crv": {"P-256": 1}}, "not an EC key", id="crv object"),
    pytest.param({"use": "enc"}, "use", id="use enc"),
    pytest.param({"use": None}, "use", id="use null"),
    pytest.param({"use": ["sig"]}, "use", id="use list"),
    pytest.param({"key_ops": []}, "key_ops", id="no key_ops"),
    pytest.param({"key_ops": ["sign"]}, "key_ops", id="key_ops without verify"),
    pytest.param({"key_ops": "verify"}, "key_ops", id="key_ops text"),
    pytest.param({"key_ops": None}, "key_ops", id="key_ops null"),
    pytest.param({"key_ops": {"verify": 1}}, "key_ops", id="key_ops object"),
    pytest.param({"alg": "ES384"}, "alg", id="alg ES384"),
    pytest.param({"alg": "none"}, "alg", id="alg none"),
    pytest.param({"alg": None}, "alg", id="alg null"),
    pytest.param({"x": b64(b"\1" * 31)}, "32 bytes", id="31 bytes"),
    pytest.param({"x": b64(b"\0" + b"\1" * 32)}, "32 bytes", id="33 bytes"),
    pytest.param({"x": b64(b"\1" * 5000)}, "32 bytes", id="5000 bytes"),
    pytest.param({"x": ""}, "32 bytes", id="empty x"),
    pytest.param({"x": X + "="}, "32 bytes", id="padded x"),
    pytest.param({"x": X[:-1] + "="}, "32 bytes", id="padding within the length"),
    pytest.param({"x": X[:-1] + "B"}, "32 bytes", id="stray bits"),
    pytest.param({"x": X[:-1] + "\uff21"}, "32 bytes", id="full-width letter"),
    pytest.param({"x": "+" + X[1:]}, "32 bytes", id="standard alphabet"),
    pytest.param({"x": None}, "32 bytes", id="x null"),
    pytest.param({"x": 5}, "32 bytes", id="x number"),
    pytest.param({"y": [Y]}, "32 bytes", id="y list"),
    pytest.param({"x": coordinate(0), "y": coordinate(0)}, "not on the curve", id="(0, 0)"),
    pytest.param({"y": X}, "not on the curve", id="a point off the curve"),
    pytest.param({"x": coordinate(P256_PRIME)}, "not on the curve", id="x = p"),
    pytest.param({"x": coordinate(2**256 - 1), "y": coordinate(2**256 - 1)}, "not on the curve", id="all ones"),
]


@pytest.mark.parametrize(("change", "why"), REFUSED_JWK)
def test_jwk_refuses(change: dict[str, Any], why: str) -> None:
    with pytest.raises(KeyStoreError, match=why):
        PublicKey.from_jwk({**KEY.jwk, **change})


@pytest.mark.parametrize("missing", ["kty", "crv", "x", "y"])
def test_jwk_refuses_one_without(missing: str) -> None:
    with pytest.raises(KeyStoreError):
        PublicKey.from_jwk({name: value for name, value in KEY.jwk.items() if name != missing})


@pytest.mark.parametrize("jwk", [None, [], "EC", 5, KEY.pem])
def test_jwk_refuses_what_is_no_object(jwk: Any) -> None:
    with pytest.raises(KeyStoreError, match="object"):
        point_from_jwk(jwk)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"use": "sig", "alg": "ES256", "key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"]},
        {"key_ops": ("verify",)},
        {"x5c": ["never read"], "x5u": "https://attacker.example", "unknown": [1]},
    ],
    ids=repr,
)
def test_jwk_reads(change: dict[str, Any]) -> None:
    assert point_from_jwk({**KEY.jwk, **change}) == POINT


@pytest.mark.parametrize(
    "jwks",
    [{}, {"keys": None}, {"keys": {}}, {"keys": "ab"}, {"keys": b"ab"}, {"keys": {"keys": []}}, {"keys": 1}, KEY.jwk],
    ids=lambda value: f"{value!r:.12}",
)
def test_jwks_refuses_a_shape(jwks: dict[str, Any]) -> None:
    with pytest.raises(KeyStoreError, match="JWK Set"):
        jwks_entries(jwks)


@pytest.mark.parametrize(
    "text", ["", "[]", "[{}]", "null", "<html>", '{"keys":[],"keys":[]}', "\ud800", b"\xff", "{}x"]
)
def test_json_refuses(text: str | bytes) -> None:
    with pytest.raises(KeyStoreError, match="strict JSON"):
        parse_json(text)


def test_jwks_gives_its_entries_unjudged() -> None:
    assert jwks_entries('{"keys":[1,{"kty":"oct"}]}') == [1, {"kty": "oct"}]
    assert jwks_entries(b'{"keys":[]}') == []

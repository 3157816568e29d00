"""ECDSA P-256 with SHA-256 in the r‖s form: C2SP Wycheproof's cases where they are, and our own always."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from d1verify import PublicKey, TokenError

from .support import KEY, P256_ORDER, P256_PRIME, raw_signature

VECTORS = Path(__file__).resolve().parents[2] / "shared/vectors/ecdsa_secp256r1_sha256_p1363_test.json"
MESSAGE = b"header.payload"


def cases() -> list[Any]:
    if not VECTORS.exists():
        missing = pytest.mark.skip(reason="the Wycheproof vectors are not in ../shared/vectors")
        return [pytest.param("", {}, marks=missing, id="absent")]
    groups = json.loads(VECTORS.read_text())["testGroups"]
    return [
        pytest.param(group["publicKeyPem"], case, id=f"{case['tcId']} {case['comment']}")
        for group in groups
        for case in group["tests"]
    ]


def holds(key: PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except TokenError as error:
        assert error.reason.value == "bad_signature"  # noqa: PT017 - only one of the two ways out
        return False
    return True


@pytest.mark.parametrize(("pem", "case"), cases())
def test_wycheproof(pem: str, case: dict[str, Any]) -> None:
    assert case["result"] in ("valid", "invalid")
    accepted = holds(PublicKey.from_pem(pem), bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
    assert accepted == (case["result"] == "valid")


@pytest.mark.skipif(not VECTORS.exists(), reason="the Wycheproof vectors are not in ../shared/vectors")
def test_no_wycheproof_case_is_left_out() -> None:
    assert len(cases()) == json.loads(VECTORS.read_text())["numberOfTests"] == 262


DER = KEY.private.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
GOOD = raw_signature(DER)
R, S = int.from_bytes(GOOD[:32], "big"), int.from_bytes(GOOD[32:], "big")
EDGES = {
    "0": 0,
    "1": 1,
    "n-1": P256_ORDER - 1,
    "n": P256_ORDER,
    "n+1": P256_ORDER + 1,
    "p": P256_PRIME,
    "max": 2**256 - 1,
}


def pair(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_the_good_signature_holds_as_high_s_and_as_low_s() -> None:
    assert holds(KEY.public, pair(R, S), MESSAGE)
    assert holds(KEY.public, pair(R, P256_ORDER - S), MESSAGE)


@pytest.mark.parametrize("s", [*EDGES, "good"])
@pytest.mark.parametrize("r", [*EDGES, "good"])
def test_refuses_edge_values(r: str, s: str) -> None:
    values = {**EDGES, "good": 0}
    signature = pair(R if r == "good" else values[r], S if s == "good" else values[s])
    assert holds(KEY.public, signature, MESSAGE) == (r == s == "good")


def test_refuses_values_moved_by_the_order() -> None:
    for r, s in (
        (P256_ORDER - R, S),
        (R, S ^ 1),
        (S, R),
        ((R + P256_ORDER) % 2**256, S),
        (R, (S + P256_ORDER) % 2**256),
    ):
        assert not holds(KEY.public, pair(r, s), MESSAGE)


def der_signatures() -> dict[int, bytes]:
    """Return DER signatures of 70, 71 and 72 bytes over the message: each length comes up often."""
    found: dict[int, bytes] = {}
    while not {70, 71, 72} <= set(found):
        der = KEY.private.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
        found[len(der)] = der
    return {length: found[length] for length in (70, 71, 72)}


def short_s() -> bytes:
    """Return r and an s that begins with a zero byte, without that byte."""
    while True:
        signature = KEY.signature(MESSAGE)
        if signature[32] == 0:
            return signature[:32] + signature[33:]


LENGTHS = {
    "empty": b"",
    "1 byte": GOOD[:1],
    "only r": GOOD[:32],
    "63, cut at the end": GOOD[:-1],
    "63, cut in front": GOOD[1:],
    "65, zero in front": b"\0" + GOOD,
    "65, zero at the end": GOOD + b"\0",
    "65, zero in front of s": GOOD[:32] + b"\0" + GOOD[32:],
    "63, s without its leading zero": short_s(),
    "66, each half widened": b"\0" + GOOD[:32] + b"\0" + GOOD[32:],
    "96, as P-384": GOOD + bytes(32),
    "128, hex": GOOD.hex().encode(),
    "132, as P-521": GOOD + bytes(68),
    **{f"DER of {length}": der for length, der in der_signatures().items()},
}


@pytest.mark.parametrize("name", LENGTHS)
def test_refuses_other_lengths_and_der(name: str) -> None:
    assert not holds(KEY.public, LENGTHS[name], MESSAGE)


@pytest.mark.parametrize(
    "hash_", [hashes.SHA512(), hashes.SHA384(), hashes.SHA1(), hashes.SHA3_256()], ids=lambda h: h.name
)
def test_refuses_another_hash(hash_: hashes.HashAlgorithm) -> None:
    assert not holds(KEY.public, raw_signature(KEY.private.sign(MESSAGE, ec.ECDSA(hash_))), MESSAGE)

"""Chapters 6 and 7: the ECDSA signature, and how a key is chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from d1verify import (
    ConfigurationError,
    D1Token,
    EnvKeyStore,
    FileKeyStore,
    KeySet,
    KeyStoreError,
    PublicKey,
    StaticKeyStore,
    TokenError,
)
from d1verify import verifier as verifier_module

from ..support import (
    KEY,
    NOW,
    OTHER_KEY,
    P256_ORDER,
    REMOVE,
    ScriptedStore,
    SigningKey,
    b64,
    d1_claims,
    key_set,
    make_verifier,
    raw_signature,
    refused,
    unb64,
)
from ..test_wycheproof import VECTORS, cases, holds

HEAD, BODY, SIGNATURE = KEY.mint().split(".")
RAW = unb64(SIGNATURE)
R, S = int.from_bytes(RAW[:32], "big"), int.from_bytes(RAW[32:], "big")
INPUT = f"{HEAD}.{BODY}".encode()


def with_signature(signature: bytes) -> str:
    return f"{HEAD}.{BODY}.{b64(signature)}"


def pair(r: int, s: int) -> str:
    return with_signature(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


BAD = [
    pytest.param(pair(0, 0), id="A094-both zero"),
    pytest.param(pair(0, S), id="A094-r zero"),
    pytest.param(pair(R, 0), id="A094-s zero"),
    *[
        pytest.param(pair(r, s), id=f"A095-{name}")
        for name, r, s in (
            ("r = n", P256_ORDER, S), ("s = n", R, P256_ORDER), ("both n", P256_ORDER, P256_ORDER), ("r = 1", 1, S),
            ("s = 1", R, 1), ("r = n-1", P256_ORDER - 1, S), ("all ones", 2**256 - 1, 2**256 - 1),
            ("r + n", (R + P256_ORDER) % 2**256, S), ("s + n", R, (S + P256_ORDER) % 2**256), ("n - r", P256_ORDER - R, S),
        )
    ],
    pytest.param(with_signature(raw_signature(KEY.private.sign(INPUT, ec.ECDSA(hashes.SHA512())))), id="A101-SHA-512"),
    pytest.param(
        with_signature(raw_signature(KEY.private.sign(INPUT[:32], ec.ECDSA(Prehashed(hashes.SHA256()))))), id="A101-no hash"
    ),
    pytest.param(
        f"{HEAD}.{BODY}.{b64(SigningKey('k', ec.SECP256K1()).signature(INPUT))}", id="A102-secp256k1 signature"
    ),
]  # fmt: skip


@pytest.mark.parametrize("token", BAD)
def test_a_signature_is_bad(token: str) -> None:
    assert refused(lambda: make_verifier().verify(token)) == "bad_signature"


DER = KEY.private.sign(INPUT, ec.ECDSA(hashes.SHA256()))
MALFORMED = [
    pytest.param(with_signature(DER), id="A096-DER"),
    *[
        pytest.param(with_signature((RAW * 3)[:length]), id=f"A097-{length} bytes")
        for length in (2, 63, 65, 66, 96, 132)
    ],
    pytest.param(with_signature(b"\0" + RAW[:32] + b"\0" + RAW[32:]), id="A097-padded halves"),
    pytest.param(with_signature(RAW + b"\0"), id="A099-zero at the end"),
    pytest.param(with_signature(b"\0" + RAW), id="A099-zero in front"),
    pytest.param(f"{HEAD}.{BODY}.", id="A103-empty"),
]


@pytest.mark.parametrize("token", MALFORMED)
def test_a_signature_is_malformed(token: str) -> None:
    assert refused(lambda: make_verifier().verify(token)) == "malformed_token"


def test_a098_high_s_and_low_s_are_both_good_and_neither_is_an_identity() -> None:
    verifier = make_verifier()
    first, second = verifier.verify(pair(R, S)), verifier.verify(pair(R, P256_ORDER - S))
    assert first.claims == second.claims
    assert first is not second


def test_a100_the_bytes_received_are_what_is_verified() -> None:
    odd = KEY.sign(
        f' {{"kid" : "{KEY.kid}", "alg":"ES\\u003256"}}'.encode(), json.dumps(d1_claims(), indent=3).encode()
    )
    assert make_verifier().verify(odd).kid == KEY.kid
    head, body, _ = odd.split(".")
    tidied = f"{b64(json.dumps(json.loads(unb64(head))))}.{body}.{odd.rpartition('.')[2]}"
    assert refused(lambda: make_verifier().verify(tidied)) == "bad_signature"


@pytest.mark.parametrize(
    "curve", [ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1(), ec.BrainpoolP256R1()], ids=lambda c: c.name
)
def test_a102_a_key_on_another_curve_never_gets_in(curve: ec.EllipticCurve) -> None:
    with pytest.raises(KeyStoreError, match="P-256"):
        PublicKey.from_pem(SigningKey("k", curve).pem)


def test_a104_verify_returns_a_token_or_raises() -> None:
    assert isinstance(make_verifier().verify(KEY.mint()), D1Token)
    with pytest.raises(TokenError):
        make_verifier().verify(BAD[0].values[0])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error", [ValueError("x"), TypeError("x"), MemoryError(), RecursionError(), KeyError("x")], ids=type
)
def test_a105_whatever_the_library_raises_is_a_refusal(error: Exception) -> None:
    class Broken:
        def verify(self, *_: object) -> None:
            raise error

    key = PublicKey.from_pem(KEY.pem)
    object.__setattr__(key, "_key", Broken())
    assert refused(lambda: make_verifier(StaticKeyStore({KEY.kid: key})).verify(KEY.mint())) == "bad_signature"


def test_a106_the_payload_is_not_parsed_before_the_signature_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    parse = verifier_module.parse_object  # type: ignore[attr-defined]

    def noting(data: bytes) -> dict[str, Any]:
        parsed.append(data)
        return parse(data)

    monkeypatch.setattr(verifier_module, "parse_object", noting)
    forged = OTHER_KEY.sign(KEY.header(), b'{"iss":')
    assert refused(lambda: make_verifier().verify(forged)) == "bad_signature"
    assert parsed == []
    make_verifier().verify(KEY.mint())
    assert len(parsed) == 1, "the payload is parsed in another way, and nothing was seen"


@pytest.mark.skipif(not VECTORS.exists(), reason="the Wycheproof vectors are not in ../shared/vectors")
def test_a107_edge_cases_of_the_curve_agree_with_wycheproof() -> None:
    for one in cases():
        pem, case = one.values
        accepted = holds(PublicKey.from_pem(pem), bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
        assert accepted == (case["result"] == "valid"), case["tcId"]


KIDS = [
    pytest.param(REMOVE, id="A108-missing"),
    *[pytest.param(kid, id=f"A109-{kid!r}") for kid in ("", None, 1, True, 1.5, [KEY.kid], {KEY.kid: 1})],
    pytest.param("x" * 257, id="A110-257 characters"),
    pytest.param("x" * 1300, id="A110-1300 characters"),
    *[
        pytest.param(kid, id=f"A111-{kid!a}")
        for kid in ("a\nb", "a\rb", "\x1b[31m", "\u202e", "\u200b", "\u2028", "\x7f", "\x9b", "\ufeff", "\xad")
    ],
    pytest.param(f"{KEY.kid}\0", id="A113-NUL"),
]


@pytest.mark.parametrize("kid", KIDS)
def test_a_kid_is_malformed_and_no_store_is_asked(kid: Any) -> None:
    store = ScriptedStore(key_set(KEY))
    assert refused(lambda: make_verifier(store).verify(KEY.mint({"kid": kid}))) == "malformed_token"
    assert store.loads == 0


UNKNOWN = [
    *[
        pytest.param(kid, id=f"A112-{kid}")
        for kid in ("../../dev/null", "/etc/passwd", "..", ".", "..\\x", f"./{KEY.kid}")
    ],
    *[
        pytest.param(kid, id=f"A114-{kid}")
        for kid in ("' OR 1=1 --", "*)(uid=*", "$(id)", "{0.__class__}", "%s%n", "${jndi:ldap://x}", "{{7*7}}")
    ],
    *[pytest.param(kid, id=f"A115-{kid}") for kid in ("%2e%2e%2f", "a?b", "a#b", "a@b", f"{KEY.kid}?")],
    *[
        pytest.param(kid, id=f"A116-{kid!a}")
        for kid in (KEY.kid.upper(), f"{KEY.kid}.", f"{KEY.kid} ", "CON", f"{KEY.kid}::$DATA", f"{KEY.kid}.pem")
    ],
    *[pytest.param(kid, id=f"A117-{kid}") for kid in ("__proto__", "__class__", "keys", "default", "*", "0", "get")],
    pytest.param("unknown", id="A119-no other key is tried"),
]


@pytest.mark.parametrize("kid", UNKNOWN)
def test_a_kid_is_only_looked_up(kid: str, tmp_path: Path) -> None:
    (tmp_path / f"{KEY.kid}.pem").write_text(KEY.pem)
    token = KEY.mint({"kid": kid})
    assert refused(lambda: make_verifier(FileKeyStore(tmp_path)).verify(token)) == "unknown_key"
    assert refused(lambda: make_verifier().verify(token)) == "unknown_key"


def test_a116_two_normal_forms_are_two_key_ids() -> None:
    composed, decomposed = "sch\u00f6n", "scho\u0308n"
    verifier = make_verifier(StaticKeyStore({composed: KEY.pem, decomposed: OTHER_KEY.pem}))
    assert verifier.verify(KEY.mint({"kid": composed})).kid == composed
    assert refused(lambda: verifier.verify(KEY.mint({"kid": decomposed}))) == "bad_signature"


def test_a118_one_variable_holds_the_set_and_no_kid_is_a_variable_s_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "D1VERIFY_KEYS", json.dumps({"keys": [{**KEY.jwk, "kid": "a-b"}, {**OTHER_KEY.jwk, "kid": "a.b"}]})
    )
    verifier = make_verifier(EnvKeyStore())
    assert verifier.verify(KEY.mint({"kid": "a-b"})).kid == "a-b"
    for kid in ("a_b", "A_B", "PATH", "D1VERIFY_KEYS"):
        assert refused(lambda kid=kid: verifier.verify(KEY.mint({"kid": kid}))) == "unknown_key"  # type: ignore[misc]


def test_a120_a_key_of_staging_does_not_sign_for_production() -> None:
    stg, prd = SigningKey("shared-kid"), SigningKey("shared-kid")
    verifier = make_verifier(StaticKeyStore({"shared-kid": prd.pem}), audience="prd")
    assert refused(lambda: verifier.verify(stg.mint(aud="prd"))) == "bad_signature"
    assert (
        refused(lambda: make_verifier(StaticKeyStore({stg.kid: stg.pem})).verify(stg.mint(aud="prd")))
        == "wrong_environment"
    )


def test_a121_two_files_that_disagree_about_a_kid_give_none(tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_text(KEY.pem)
    (tmp_path / "z.json").write_text(json.dumps({"keys": [{**OTHER_KEY.jwk, "kid": "k"}, OTHER_KEY.jwk]}))
    keys = FileKeyStore(tmp_path).load()
    assert set(keys) == {OTHER_KEY.kid}


@pytest.mark.parametrize(
    "change", [{"use": "enc"}, {"key_ops": ["sign"]}, {"alg": "ECDH-ES"}, {"alg": "ES384"}], ids=repr
)
def test_a122_a_key_for_another_purpose_is_not_eligible(change: dict[str, Any]) -> None:
    assert list(KeySet.from_jwks({"keys": [{**KEY.jwk, **change}, OTHER_KEY.jwk]})) == [OTHER_KEY.kid]


@pytest.mark.parametrize(
    "material", [KEY.private_pem, {"kty": "oct", "k": "c2VjcmV0"}, "client secret"], ids=["PEM", "oct", "text"]
)
def test_a123_private_and_symmetric_keys_cannot_be_reached_by_kid(material: Any) -> None:
    with pytest.raises(ConfigurationError):
        StaticKeyStore({"k": material})


@pytest.mark.parametrize("answer", [None, {}, {KEY.kid: KEY.public}, KEY.pem, KEY.private, 5, True], ids=type)
def test_a124_a_store_that_returns_something_else_is_key_trouble(answer: Any) -> None:
    class Odd:
        def load(self) -> Any:
            return answer

    assert refused(lambda: make_verifier(Odd()).verify(KEY.mint())) == "keys_unavailable"


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), OSError(), TokenError, RuntimeError], ids=str)
def test_a125_a_store_that_fails_is_key_trouble_and_never_unknown_key(error: Any) -> None:
    class Failing:
        def load(self) -> KeySet:
            raise error if isinstance(error, Exception) else RuntimeError(error.__name__)

    verifier = make_verifier(Failing())
    assert refused(lambda: verifier.verify(KEY.mint(exp=NOW + 1))) == "keys_unavailable"
    assert refused(lambda: verifier.verify(OTHER_KEY.mint())) == "keys_unavailable"

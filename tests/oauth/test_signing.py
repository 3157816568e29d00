from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from d1verify import ConfigurationError, KeySet
from d1verify.oauth import SigningKey, merchant_jwks
from tests.support import KEY
from tests.support import SigningKey as AnyKey

from .support import SIGNING_KEY

JOSE_KEY = ECKey.generate_key("P-256", private=True)
JWK = dict(JOSE_KEY.as_dict(private=True))
PRIVATE_PART = str(JWK["d"])


@pytest.mark.parametrize(
    "key",
    [JOSE_KEY, JWK, JOSE_KEY.as_pem(private=True), JOSE_KEY.as_pem(private=True).decode()],
    ids=["ECKey", "JWK", "PEM bytes", "PEM text"],
)
def test_is_made_of_any_form_of_private_key_and_named_by_its_thumbprint(key: Any) -> None:
    made = SigningKey(key)
    assert made.kid == JOSE_KEY.thumbprint()
    assert made.public.as_jwk() == {name: JWK[name] for name in ("kty", "crv", "x", "y")}


def test_takes_the_kid_that_is_given_or_the_jwks_own() -> None:
    assert SigningKey({**JWK, "kid": "own"}).kid == "own"
    assert SigningKey({**JWK, "kid": "own"}, kid="given").kid == "given"


@pytest.mark.parametrize("kid", ["", "a\nb", "x" * 257])
def test_refuses_a_kid_that_no_verifier_would_look_up(kid: str) -> None:
    with pytest.raises(ConfigurationError, match="kid"):
        SigningKey(JOSE_KEY, kid=kid)


NO_SIGNING_KEYS = {
    "a public PEM": KEY.pem,
    "a public JWK": KEY.jwk,
    "a public ECKey": ECKey.import_key(KEY.pem),
    "P-384": ECKey.generate_key("P-384", private=True),
    "RSA": RSAKey.generate_key(2048, private=True).as_pem(private=True),
    "a symmetric JWK": OctKey.generate_key(256).as_dict(private=True),
    "secp256k1": ECKey.generate_key("secp256k1", private=True).as_pem(private=True),
    "an encrypted PEM": JOSE_KEY.as_pem(private=True, password="x"),
    "nothing": "",
    "None": None,
    "half a PEM": JOSE_KEY.as_pem(private=True)[:100],
}


@pytest.mark.parametrize("key", NO_SIGNING_KEYS.values(), ids=NO_SIGNING_KEYS.keys())
def test_refuses_every_other_key_without_a_byte_of_it(key: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SigningKey(key)
    assert str(caught.value).startswith("signing_key must be a private P-256 key")
    assert caught.value.__cause__ is None


def test_a257_the_private_half_never_shows() -> None:
    key = SigningKey(JOSE_KEY)
    assert repr(key) == str(key) == f"{key}" == "<SigningKey P-256>"
    assert PRIVATE_PART not in json.dumps([key.jwk, merchant_jwks(key)])
    assert set(key.jwk) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copied(key)
    with pytest.raises(AttributeError):
        key.kid = "another"
    with pytest.raises(AttributeError):
        del key.kid


def test_publishes_the_signing_key_and_those_before_and_after_it() -> None:
    past, future = AnyKey("past"), SigningKey.generate(kid="future")
    published = merchant_jwks(SIGNING_KEY, future, KeySet({past.kid: past.public}))
    assert [jwk["kid"] for jwk in published["keys"]] == [SIGNING_KEY.kid, "future", "past"]
    assert all(jwk["use"] == "sig" and jwk["alg"] == "ES256" and "d" not in jwk for jwk in published["keys"])
    assert set(KeySet.from_jwks(published)) == {SIGNING_KEY.kid, "future", "past"}


def test_publishes_one_key_once_and_two_of_one_name_never() -> None:
    assert len(merchant_jwks(SIGNING_KEY, SIGNING_KEY)["keys"]) == 1
    with pytest.raises(ConfigurationError, match="same key id"):
        merchant_jwks(SigningKey.generate(kid="one"), SigningKey.generate(kid="one"))


@pytest.mark.parametrize("keys", [(), (KeySet({}),), ("x",), (JOSE_KEY,), (JWK,)])
def test_publishes_nothing_but_public_keys(keys: Any) -> None:
    with pytest.raises(ConfigurationError, match="merchant_jwks"):
        merchant_jwks(*keys)

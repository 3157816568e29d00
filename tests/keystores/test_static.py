"""Keys in hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from d1verify import ConfigurationError, StaticKeyStore

from ..support import KEY, OTHER_KEY


@pytest.mark.parametrize(
    "material", [KEY.public, KEY.pem, KEY.pem.encode(), KEY.jwk], ids=["key", "pem", "bytes", "jwk"]
)
def test_takes_a_key_a_pem_or_a_jwk(material: Any) -> None:
    keys = StaticKeyStore({"any-kid": material}).load()
    assert dict(keys.keys) == {"any-kid": KEY.public}
    assert (keys.max_age, keys.max_stale) == (math.inf, 0.0)


def test_what_becomes_of_the_dict_afterwards_changes_nothing() -> None:
    mine: dict[str, Any] = {KEY.kid: KEY.pem}
    store = StaticKeyStore(mine)
    mine[OTHER_KEY.kid] = OTHER_KEY.pem
    assert list(store.load()) == [KEY.kid]


@pytest.mark.parametrize(
    "keys", [{}, None, [], [KEY.public], KEY.pem, 5], ids=["no key", "None", "empty list", "list", "PEM", "int"]
)
def test_refuses_what_maps_no_key_id_to_a_key(keys: Any) -> None:
    with pytest.raises(ConfigurationError, match="at least one"):
        StaticKeyStore(keys)


@pytest.mark.parametrize("kid", ["", "a\nb", "k" * 257, 5, None], ids=["empty", "line end", "long", "int", "None"])
def test_refuses_what_is_no_key_id(kid: Any) -> None:
    with pytest.raises(ConfigurationError, match="key id"):
        StaticKeyStore({kid: KEY.pem})


@pytest.mark.parametrize(
    "material",
    ["", "pem", b"\xff", None, 5, [], object()],
    ids=["empty", "word", "bytes", "None", "int", "list", "object"],
)
def test_refuses_what_is_no_key_and_names_its_id(material: Any) -> None:
    with pytest.raises(ConfigurationError, match="'k1'"):
        StaticKeyStore({KEY.kid: KEY.pem, "k1": material})


def test_refuses_a_private_key_by_name_without_its_bytes() -> None:
    with pytest.raises(ConfigurationError, match="it holds a private key") as caught:
        StaticKeyStore({KEY.kid: KEY.private_pem})
    assert KEY.private_pem[30:50] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_says_nothing_of_a_private_key_in_the_place_of_the_key_id() -> None:
    with pytest.raises(ConfigurationError) as caught:
        StaticKeyStore({KEY.private_pem: KEY.kid})
    assert KEY.private_pem[30:50] not in str(caught.value)

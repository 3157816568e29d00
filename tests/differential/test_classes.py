"""The classes by one example each: found by the reader, and refused for their own reason. A good token has none."""

from __future__ import annotations

from typing import Any

import pytest

from ..support import NOW
from .classes import CLASSES, strictnesses
from .examples import examples, good
from .leniences import LENIENCES, leniences
from .peers import JOSERFC, KEY, PEERS, PYJWT, STRANGER, Peer, d1, judged

peers = pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)


def _minted(header: dict[str, Any] | None = None, /, **claims: Any) -> str:
    return KEY.mint(header, **claims)


LENIENT: dict[str, str] = {
    "`aud` is an array that names the audience": _minted(aud=["stg"]),
    "`exp` less than a second before the end of the leeway": _minted(exp=NOW - 29.5),
    "a header member that RFC 7515 does not list": _minted({"nonce": "x"}),
    "`jwk`, `jku` or `x5…` that is not formed as RFC 7515 has it": _minted({"x5u": "file:///etc"}),
    "`cty` is no text": _minted({"cty": 5}),
    "header part over 512 bytes": _minted({"x5c": ["x" * 500]}),
}


def test_every_class_has_an_example() -> None:
    assert [*examples()] == [*CLASSES]
    assert [*LENIENT] == [*LENIENCES]


@pytest.mark.parametrize("name", CLASSES)
def test_an_example_is_found_and_refused_for_the_reason_of_its_class(name: str) -> None:
    token = examples()[name]
    assert name in strictnesses(token)
    assert {judged(d1(size), token) for size in (0, 64)} <= CLASSES[name].reasons


def test_nothing_is_found_in_a_good_token() -> None:
    assert strictnesses(good()) == []
    assert leniences(good(), PYJWT.name) == leniences(good(), JOSERFC.name) == []
    assert judged(d1(0), good()) == "accepted"


@pytest.mark.parametrize("name", LENIENCES)
def test_what_only_a_peer_minds_is_found_and_accepted(name: str) -> None:
    token = LENIENT[name]
    assert [peer for peer in (PYJWT.name, JOSERFC.name) if leniences(token, peer) == [name]] == [*LENIENCES[name].peers]
    assert judged(d1(0), token) == "accepted"
    assert strictnesses(token) == []


@peers
@pytest.mark.parametrize("exp", [NOW - 29, NOW + 600, NOW + 929])
def test_a_peer_accepts_a_good_token(peer: Peer, exp: int) -> None:
    assert peer.accepts_short_lived(_minted(exp=exp))


@peers
@pytest.mark.parametrize(
    "token",
    [
        pytest.param(_minted(iss="evil"), id="issuer"),
        pytest.param(_minted(sub="MGW_000002"), id="subject"),
        pytest.param(_minted(aud="prd"), id="audience"),
        pytest.param(_minted(exp=NOW - 31), id="expired"),
        pytest.param(STRANGER.mint(), id="a stranger's key"),
        pytest.param(_minted({"alg": "ES384"}), id="algorithm"),
        pytest.param(
            KEY.sign({"alg": "ES256", "kid": KEY.kid}, {"iss": "d1", "aud": "stg", "exp": NOW + 600}), id="no subject"
        ),
        pytest.param(_minted(exp=NOW + 931), id="lifetime, by hand"),
    ],
)
def test_a_peer_has_the_checks_turned_on(peer: Peer, token: str) -> None:
    assert not peer.accepts_short_lived(token)

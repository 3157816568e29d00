"""A stream of hostile tokens: whatever d1verify and the others do not agree on has a name.

`python -m tests.differential --seconds 600` is the long form.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, given, settings

from .classes import CLASSES, strictnesses
from .leniences import leniences
from .peers import JOSERFC, PEERS, PYJWT, d1, judged
from .reading import Reading
from .tokens import tokens

PROPERTY = settings(max_examples=250, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
CACHING, UNCACHED = d1(token_cache_size=64), d1(token_cache_size=0)
VERDICTS: Counter[str] = Counter()
STRICTER: Counter[tuple[str, str]] = Counter()
"""How often a token was refused that is in this class and that this peer accepts."""
MILDER: Counter[tuple[str, str]] = Counter()
"""How often a token was accepted that has this about it and that this peer refuses."""


def _said(token: str) -> str:
    """Return what the verifiers say, who have to agree: cache off, cache on, and on again."""
    said = judged(UNCACHED, token)
    assert [judged(CACHING, token), judged(CACHING, token)] == [said, said]
    if token.isascii():
        assert judged(UNCACHED, token.encode()) == said
    return said


def _shown(token: str) -> str:
    header, payload = Reading(token).parts
    return f"{token!r}\nheader {header.data!r}\npayload {payload.data!r}"


def _check_refused(token: str, said: str) -> None:
    accepting = [peer.name for peer in PEERS if peer.accepts_short_lived(token)]
    VERDICTS["refused, accepted by some" if accepting else "refused by all"] += 1
    names = strictnesses(token) if accepting else []
    STRICTER.update((name, peer) for name in names for peer in accepting)
    reasons = {reason for name in names for reason in CLASSES[name].reasons}
    assert not accepting or said in reasons, f"{said}, though {accepting} accept; {names} in\n{_shown(token)}"


def _check_accepted(token: str) -> None:
    refusing = [peer.name for peer in (PYJWT, JOSERFC) if not peer.accepts_short_lived(token)]
    VERDICTS[f"accepted, refused by {' and '.join(refusing) or 'neither PyJWT nor joserfc'}"] += 1
    for peer in refusing:
        names = leniences(token, peer)
        MILDER.update((name, peer) for name in names)
        assert names, f"accepted, though {peer} refuses it for no known reason:\n{_shown(token)}"


def check(token: str) -> None:
    """Hold d1verify to the peers over one token, and count it.

    What all peers refuse may be refused. What one accepts may be refused for the reason of a class that is found in
    it. What is accepted, PyJWT and joserfc have to accept, unless it has something about it that is known to be the
    refuser's own rule; so nothing that both refuse is accepted without a name for each.
    """
    said = _said(token)
    if said == "accepted":
        _check_accepted(token)
    else:
        _check_refused(token, said)


@PROPERTY
@given(tokens())
def test_every_difference_has_a_name(token: str) -> None:
    check(token)

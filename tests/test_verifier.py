from __future__ import annotations

from d1verify import D1Verifier

from .support import KEY, SUBJECT, make_verifier, refused


def test_returns_the_claims_of_a_good_token(verifier: D1Verifier) -> None:
    token = verifier.verify(KEY.mint())
    assert (token.kid, token.issuer, token.subject, token.audience) == (KEY.kid, "d1", SUBJECT, ("stg",))


def test_refuses_another_issuer() -> None:
    assert refused(lambda: make_verifier().verify(KEY.mint(iss="d2"))) == "wrong_issuer"

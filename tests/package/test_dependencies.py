"""Row A264: what a dependency limits by default, today or in its next release, decides nothing here."""

from __future__ import annotations

import pytest
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from ..support import KEY, SUBJECT, make_verifier, refused

OVER_JOSERFCS_LIMIT = KEY.mint({"x": "a" * 1_000})
OVER_OURS = KEY.mint({"x": "a" * 1_600})


def test_a264_a_header_is_as_long_as_our_own_limit_allows() -> None:
    with pytest.raises(JoseError):
        jws.deserialize_compact(OVER_JOSERFCS_LIMIT, ECKey.import_key(KEY.pem), algorithms=["ES256"])
    assert make_verifier().verify(OVER_JOSERFCS_LIMIT).subject == SUBJECT
    assert refused(lambda: make_verifier().verify(OVER_OURS)) == "malformed_token"

from __future__ import annotations

import subprocess
import sys

import pytest

from d1verify import D1VerifyError, KeyStoreError, TokenError, oauth, refusal
from d1verify.oauth import TokenRequestError

from ..support import unmeasured

LIBRARIES = "{'authlib', 'httpx2', 'starlette', 'joserfc', 'asyncio', 'anyio', 'trio'}"


def loaded_after(statement: str) -> str:
    code = f"{statement}\nimport sys\nprint(sorted({LIBRARIES} & set(sys.modules)))"
    command = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(command, env=unmeasured(), capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_every_public_name_is_there() -> None:
    for name in oauth.__all__:
        assert getattr(oauth, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        _ = oauth.nothing


def test_importing_it_loads_no_library() -> None:
    assert loaded_after("import d1verify.oauth") == "[]"


def test_who_verifies_access_tokens_loads_neither_authlib_nor_an_http_client() -> None:
    assert loaded_after("from d1verify.oauth import AccessTokenVerifier, merchant_jwks") == "['joserfc']"


def test_a262_nothing_loads_authlibs_deprecated_jose() -> None:
    everything = "from d1verify.oauth import *\nimport sys\nassert 'authlib.jose' not in sys.modules"
    assert "authlib" in loaded_after(everything)


def test_the_error_is_of_the_family_and_no_answer_to_a_call() -> None:
    error = TokenRequestError("text")
    assert isinstance(error, D1VerifyError)
    assert not isinstance(error, KeyStoreError | TokenError)
    with pytest.raises(TypeError):
        refusal(error)

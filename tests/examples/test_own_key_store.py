from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import create_engine, delete, insert, text

from d1verify import KeyCache, KeyStoreError
from tests.support import KEY, OTHER_KEY, Clock, SigningKey, make_verifier, refused

from .notify_update import OWN, check_notify_update
from .serving import ROOT, SETTINGS, authorized, command_of, load, serving, token_now

EXAMPLE = ROOT / "examples" / "own_key_store.py"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'merchant.db'}"


@pytest.fixture
def example(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the example as a module, its table made as its docstring says and filled with one key."""
    for name, value in {**SETTINGS, "DATABASE_URL": url}.items():
        monkeypatch.setenv(name, value)
    module = load(EXAMPLE)
    (create_table,) = [line for line in (module.__doc__ or "").splitlines() if "CREATE TABLE" in line]
    with module.engine.begin() as connection:
        connection.execute(text(create_table))
    add(module, KEY)
    return module


def add(example: Any, key: SigningKey, pem: str | None = None) -> None:
    with example.engine.begin() as connection:
        connection.execute(insert(example.d1_keys).values(kid=key.kid, pem=pem or key.pem))


def test_a_row_is_a_key_and_no_row_is_none(example: Any) -> None:
    clock = Clock()
    cache: Any = KeyCache(example.SQLKeyStore(example.engine), timer=clock)
    verifier = make_verifier(cache)
    verifier.verify(KEY.mint())
    add(example, OTHER_KEY)
    verifier.verify(OTHER_KEY.mint())
    with example.engine.begin() as connection:
        connection.execute(delete(example.d1_keys).where(example.d1_keys.c.kid == KEY.kid))
    clock.advance(31)
    assert refused(lambda: verifier.verify(KEY.mint())) == "unknown_key"
    verifier.verify(OTHER_KEY.mint())


def test_one_bad_row_leaves_the_others(example: Any) -> None:
    add(example, OTHER_KEY, OTHER_KEY.private_pem)
    keys = example.SQLKeyStore(example.engine).load()
    assert list(keys) == [KEY.kid]
    assert [one.name for one in keys.skipped] == [OTHER_KEY.kid]


@pytest.mark.parametrize("kid", ["", "d1-key-2\n", None], ids=repr)
def test_one_bad_key_id_leaves_the_others(example: Any, kid: str | None) -> None:
    with example.engine.begin() as connection:
        connection.execute(text("INSERT INTO d1_keys VALUES (:kid, :pem)"), {"kid": kid, "pem": OTHER_KEY.pem})
    keys = example.SQLKeyStore(example.engine).load()
    assert list(keys) == [KEY.kid]
    assert [one.name for one in keys.skipped] == [str(kid)]


def test_a_database_that_cannot_be_read_is_a_key_store_error_without_its_address(example: Any, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'absent' / 'other.db'}")
    with pytest.raises(KeyStoreError) as caught:
        example.SQLKeyStore(engine).load()
    assert str(caught.value) == "the table of keys could not be read"
    assert caught.value.__suppress_context__


def test_does_what_its_docstring_says_under_uvicorn(example: Any, url: str) -> None:
    with serving(command_of(EXAMPLE), DATABASE_URL=url, D1VERIFY_KEYS=None, D1VERIFY_KID=None) as server:
        check_notify_update(server)
        headers = authorized(token_now(OTHER_KEY))
        add(example, OTHER_KEY)
        assert httpx2.post(server.url + OWN, headers=headers, trust_env=False).status_code == 204

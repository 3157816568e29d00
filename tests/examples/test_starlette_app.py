from __future__ import annotations

from .notify_update import check_body_and_health, check_notify_update
from .serving import ROOT, command_of, serving

EXAMPLE = ROOT / "examples" / "starlette_app.py"


def test_does_what_its_docstring_says_under_uvicorn() -> None:
    with serving(command_of(EXAMPLE)) as server:
        check_notify_update(server)
        check_body_and_health(server)


def test_does_not_start_without_usable_keys() -> None:
    with serving(command_of(EXAMPLE), D1VERIFY_KEYS=None, D1VERIFY_KEYS_PATH="/nonexistent") as server:
        assert not server.listens()
    assert "KeyStoreError" in server.output

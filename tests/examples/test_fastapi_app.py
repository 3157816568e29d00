from __future__ import annotations

import httpx2

from .notify_update import check_body_and_health, check_notify_update
from .serving import ROOT, authorized, command_of, installed, serving, token_now

EXAMPLE = ROOT / "examples" / "fastapi_app.py"


def test_does_what_its_docstring_says_under_gunicorn() -> None:
    command = command_of(EXAMPLE)
    assert command[0].endswith("gunicorn")
    with serving(command) as server:
        check_notify_update(server)
        check_body_and_health(server)


def test_does_the_same_under_uvicorn_and_documents_it() -> None:
    with serving([installed("uvicorn"), "--app-dir", "examples", "fastapi_app:app"]) as server:
        check_notify_update(server)
        assert httpx2.get(f"{server.url}/openapi.json", trust_env=False).status_code == 401
        schema = httpx2.get(f"{server.url}/openapi.json", headers=authorized(token_now()), trust_env=False).json()
    (path,) = schema["paths"].values()
    assert path["post"]["security"] == [{"D1Bearer": []}]
    assert {"204", "400", "401", "403", "503"} <= set(path["post"]["responses"])

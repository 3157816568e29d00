"""What the suites for the FastAPI app share: its settings, made before its import, and a D1 whose keys it trusts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from d1verify.testing import NOTIFY_UPDATE_PATH, FakeD1


@pytest.fixture(scope="session")
def fake_d1(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeD1]:
    """A D1 that publishes its keys where the app looks for them."""
    folder = tmp_path_factory.mktemp("keys")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("D1VERIFY_AUDIENCE", "stg")
        environment.setenv("D1VERIFY_SUBJECT", "MGW_000001")
        environment.setenv("D1VERIFY_KEYS_PATH", str(folder))
        from fastapi_app import verifier

        fake_d1 = FakeD1(path=NOTIFY_UPDATE_PATH, open_path="/health", after_key_change=verifier.refresh)
        fake_d1.write_to(folder)
        yield fake_d1


@pytest.fixture(scope="session")
def app(fake_d1: FakeD1) -> FastAPI:  # noqa: ARG001 - it has made the settings that the app reads
    """The app, as a server would import it."""
    from fastapi_app import app

    return app

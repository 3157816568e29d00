"""One healthy endpoint for all; and, where `D1VERIFY_FAULT_TABLE` names a file, the table of faults into it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..serving import uvicorn_server
from .certificates import authority
from .measuring import LogOfKeys, markdown
from .servers import HOST, Endpoint


def pytest_sessionfinish() -> None:
    path = os.environ.get("D1VERIFY_FAULT_TABLE")
    if path:
        Path(path).write_text(markdown(), encoding="utf-8")


@pytest.fixture(scope="session")
def _endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    folder = tmp_path_factory.mktemp("tls")
    leaf = authority().issue_cert(HOST)
    key, chain = folder / "key.pem", folder / "chain.pem"
    leaf.private_key_pem.write_to_path(key)
    for blob in leaf.cert_chain_pems:
        blob.write_to_path(chain, append=True)
    endpoint = Endpoint()
    tls = {"ssl_keyfile": str(key), "ssl_certfile": str(chain)}
    with uvicorn_server(endpoint, lifespan="off", ws="none", **tls) as running:
        endpoint.url = f"https://{HOST}:{running.port}/jwks"
        yield endpoint


@pytest.fixture
def endpoint(_endpoint: Endpoint) -> Endpoint:
    """A healthy endpoint over TLS that serves no key yet."""
    _endpoint.reset()
    return _endpoint


@pytest.fixture
def key_log() -> Iterator[LogOfKeys]:
    """What the library logs at INFO and above."""
    with LogOfKeys() as log:
        yield log

"""`d1verify contract --token-url`, against a real server whose route wants access tokens, and ones that are wrong."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from d1verify.cli.demo import path_of
from d1verify.cli.demo_calls import GATEWAYS, make_d1
from d1verify.cli.demo_oauth import CLIENT_ID, TOKEN_PATH, Merchant
from d1verify.cli.demo_server import DemoServer
from d1verify.testing import FakeD1

from .shell import Shell

SECRET = "correct horse battery staple"
OPTIONS = ("--key", "k-1.key", "--kid", "k-1", "--sub", GATEWAYS[0])
CLIENT = ("--client-id", CLIENT_ID, "--client-secret-file", "secret")


@pytest.fixture
def d1(tmp_path: Path) -> FakeD1:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    return make_d1(tmp_path / "k-1.key")


@pytest.fixture
def url(d1: FakeD1) -> Iterator[str]:
    with DemoServer(Merchant(d1, SECRET).app) as server:
        yield server.url


def test_obtains_a_token_and_sends_the_contracts_of_endpoint_and_route(
    d1verify: Shell, url: str, tmp_path: Path
) -> None:
    token_url = ("--token-url", url + TOKEN_PATH)
    shown = d1verify("contract", url + path_of(GATEWAYS[0]), *OPTIONS, *token_url, *CLIENT, "--json", "report.json")
    assert shown.code == 0, shown.out
    report = json.loads((tmp_path / "report.json").read_text())
    skipped = {one["case_id"] for one in report["results"] if one["outcome"] == "skipped"}
    assert {re.sub("key-.*", "key", one) for one in skipped} == {"assertion-key", "assertion-cache-beyond-exp"}
    passed = {one["case_id"] for one in report["results"] if one["outcome"] == "passed"}
    assert {"token-issued", "token-issued-by-secret", "token-secret-wrong", "assertion-access-token"} <= passed
    assert {"access-token", "access-token-d1-jwt", "access-token-other-merchant"} <= passed


def test_without_a_client_it_requests_by_assertion_alone(d1verify: Shell, url: str) -> None:
    arguments = ("contract", url + path_of(GATEWAYS[0]), *OPTIONS, "--token-url", url + TOKEN_PATH)
    shown = d1verify(*arguments, "--only", "access-token", "--only", "token-issued-by-secret", "--json", "-")
    assert shown.code == 0
    assert [one["outcome"] for one in shown.json["results"]] == ["passed", "skipped"]


def test_a_route_that_wants_no_access_tokens_is_told_apart(d1verify: Shell, url: str) -> None:
    endpoint = url + TOKEN_PATH
    shown = d1verify("contract", endpoint, *OPTIONS, "--token-url", endpoint, "--only", "access-token-d1-jwt")
    assert shown.code == 1
    assert "FAILED  access-token-d1-jwt" in shown.out


@pytest.mark.parametrize("which", ["the route", "the endpoint"])
def test_the_url_that_cannot_be_reached_is_named(d1verify: Shell, url: str, which: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}/x"
    urls = (nowhere, url + TOKEN_PATH) if which == "the route" else (url + path_of(GATEWAYS[0]), nowhere)
    shown = d1verify("contract", urls[0], *OPTIONS, "--token-url", urls[1], "--only", "access-token")
    assert shown.code == 3
    assert f"{nowhere} cannot be reached" in shown.err.replace("\n", "")


NO_URL = ("contract", "http://127.0.0.1:9/x", *OPTIONS)
WITH_URL = (*NO_URL, "--token-url", "http://127.0.0.1:9/token")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((*NO_URL, *CLIENT), id="a client and no token URL"),
        pytest.param((*WITH_URL, "--client-id", "x"), id="no secret"),
        pytest.param((*WITH_URL, "--client-secret-file", "secret"), id="no client id"),
        pytest.param((*WITH_URL, "--client-id", "x", "--client-secret-file", "absent"), id="no secret file"),
        pytest.param((*WITH_URL, "--client-id", "x", "--client-secret-file", "empty"), id="an empty secret file"),
        pytest.param((*WITH_URL, "--client-id", "x", "--client-secret-file", "binary"), id="a file that is no text"),
        pytest.param((*NO_URL, "--token-url", "ftp://127.0.0.1/token"), id="no http URL"),
        pytest.param((*WITH_URL, "--only", "alg-none"), id="a case of the other catalogue"),
    ],
)
@pytest.mark.usefixtures("d1")
def test_bad_arguments_are_usage_errors(d1verify: Shell, arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    shown = d1verify(*arguments)
    assert shown.code == 2
    assert shown.err.startswith("Error: ")

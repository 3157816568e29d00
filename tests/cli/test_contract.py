"""`d1verify contract`, against a real server that is right, and one that is wrong."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from d1verify import D1Verifier, FileKeyStore
from d1verify.cli.demo import path_of
from d1verify.cli.demo_calls import GATEWAYS
from d1verify.cli.demo_server import DemoServer, guarded_app
from d1verify.policy import ANY_SUBJECT

from .shell import Shell

PATH = path_of(GATEWAYS[0])


@pytest.fixture
def key(d1verify: Shell, tmp_path: Path) -> Path:
    d1verify("keygen", "k-1")
    return tmp_path / "k-1.key"


@pytest.fixture
def right(key: Path, tmp_path: Path) -> Iterator[str]:
    """An app that trusts the key and does everything right."""
    verifier = D1Verifier(FileKeyStore(tmp_path / "k-1.pem"), audience="stg", subject=GATEWAYS)
    with DemoServer(guarded_app(verifier)) as server:
        yield server.url + PATH


@pytest.fixture
def wrong(key: Path, tmp_path: Path) -> Iterator[str]:
    """An app that asks for no particular merchant."""
    verifier = D1Verifier(FileKeyStore(tmp_path / "k-1.pem"), audience="stg", subject=ANY_SUBJECT)
    with DemoServer(guarded_app(verifier)) as server:
        yield server.url + PATH


OPTIONS = ("--key", "k-1.key", "--kid", "k-1", "--sub", GATEWAYS[0])


def test_an_app_that_is_right_passes_and_the_reports_are_written(d1verify: Shell, right: str, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text('{"operation": "UPDATE"}')
    files = ("--junit", "junit.xml", "--json", "report.json", "--body", "body.json")
    shown = d1verify("contract", right, *OPTIONS, *files, "--header", "X-Correlation-Id: 7")
    assert shown.code == 0, shown.out
    assert " 0 failed" in shown.out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["ok"]
    passed = {one["case_id"] for one in report["results"] if one["outcome"] == "passed"}
    assert "path-other-merchant" in passed  # the path is known from the URL, which names the merchant gateway
    assert ET.fromstring((tmp_path / "junit.xml").read_text()).get("failures") == "0"


def test_an_app_that_is_wrong_fails_and_hears_what_it_would_cost(d1verify: Shell, wrong: str) -> None:
    shown = d1verify("contract", wrong, *OPTIONS)
    assert shown.code == 1
    assert "FAILED" in shown.out
    assert "sub-" in shown.out


def test_one_case_can_be_chosen_and_shown_as_json(d1verify: Shell, right: str) -> None:
    shown = d1verify("contract", right, *OPTIONS, "--only", "alg-none", "--json", "-")
    assert shown.code == 0
    assert [one["case_id"] for one in shown.json["results"]] == ["alg-none"]


def test_nobody_there_ends_with_3(d1verify: Shell, key: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shown = d1verify("contract", f"http://127.0.0.1:{port}/x", *OPTIONS, "--header", "Content-Type: text/plain")
    assert shown.code == 3
    assert "cannot be reached" in shown.err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("ftp://localhost/x", *OPTIONS), id="no http URL"),
        pytest.param(("http://127.0.0.1:9/x", "--key", "absent", "--kid", "k"), id="no key file"),
        pytest.param(("http://127.0.0.1:9/x", *OPTIONS, "--only", "no-such-case"), id="no such case"),
        pytest.param(("http://127.0.0.1:9/x", *OPTIONS, "--header", "no colon"), id="a header without a colon"),
        pytest.param(("http://127.0.0.1:9/x", *OPTIONS, "--body", "absent"), id="no body file"),
    ],
)
@pytest.mark.usefixtures("key")
def test_bad_arguments_are_usage_errors(d1verify: Shell, arguments: tuple[str, ...]) -> None:
    assert d1verify("contract", *arguments).code == 2


def test_a_report_that_cannot_be_written_is_a_usage_error(d1verify: Shell, right: str) -> None:
    assert d1verify("contract", right, *OPTIONS, "--only", "alg-none", "--junit", "absent/junit.xml").code == 2


def test_an_app_that_does_not_know_the_key_is_said_to_be_so(d1verify: Shell, right: str) -> None:
    d1verify("keygen", "k-2")
    shown = d1verify("contract", right, "--key", "k-2.key", "--kid", "k-2", "--sub", GATEWAYS[0], "--only", "baseline")
    assert shown.code == 1
    assert "did not take a genuine token" in shown.err
    assert "k-2" in shown.err
    assert "within 7 s" in shown.err


@pytest.mark.parametrize(
    ("instead", "method", "said"),
    [
        pytest.param(GATEWAYS[1], "POST", f"has to name --sub: /merchant-gateways/{GATEWAYS[0]}/", id="another's path"),
        pytest.param(GATEWAYS[0], "PUT", "are --body and --header what it takes?", id="another method"),
    ],
)
def test_a_genuine_call_that_goes_to_the_wrong_place_is_said_to_do_so(
    d1verify: Shell, right: str, instead: str, method: str, said: str
) -> None:
    url = right.replace(GATEWAYS[0], instead)
    shown = d1verify("contract", url, *OPTIONS, "--only", "baseline", "--method", method)
    assert shown.code == 1
    assert said in shown.err


def test_what_is_skipped_is_said_to_need_what_the_command_can_give_or_what_only_python_can(
    d1verify: Shell, right: str
) -> None:
    url = right.replace(f"/{GATEWAYS[0]}/", "/")
    skipped = d1verify("contract", url, *OPTIONS, "--only", "path-longer", "--only", "open-path-post").out
    assert "a URL that names --sub" in " ".join(skipped.split())
    assert "from pytest or run_contract, FakeD1(open_path" in " ".join(skipped.split())

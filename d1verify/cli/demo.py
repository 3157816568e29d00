"""`d1verify demo`: the whole of it at work on this machine, over real HTTP."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import httpx2
from rich import box
from rich.console import Console
from rich.table import Column, Table

from ..keystores.file import FileKeyStore
from ..testing import NOTIFY_UPDATE_PATH, FakeD1
from ..verifier import D1Verifier
from .demo_calls import ACCEPTED, GATEWAYS, Headers, accepted_calls, bearer, make_d1, refused_calls
from .demo_server import DemoServer, guarded_app
from .output import print_json, stdout

__all__ = ["Row", "path_of", "print_rows", "run_demo", "wait_until_interrupted"]

_PAUSE: Final = 0.2
# For files: a key id that was not found is looked for again after max_age / 5; a withdrawal holds within
# max_age + max_wait; and taking every key away needs a second look, a second after the first.
_NEW_KEY_SECONDS: Final = 2.0
_WITHDRAWAL_SECONDS: Final = 7.0
_WITHDRAWAL_OF_ALL_SECONDS: Final = 10.0

Send = Callable[[Headers], str]


def path_of(merchant_gateway_id: str) -> str:
    """Return the path of D1's notification for this merchant gateway."""
    return NOTIFY_UPDATE_PATH.format(merchantGatewayId=merchant_gateway_id, merchantId="M_1", tokenId="T_1")


_PATH: Final = path_of(GATEWAYS[0])


class Row(NamedTuple):
    """One line of the table."""

    call: str
    expected: str
    got: str


def run_demo(*, serve: bool, as_json: bool = False) -> int:
    """Run the demo and print its table; return 0 if every row came out as expected, else 1."""
    console = stdout()
    with tempfile.TemporaryDirectory(prefix="d1verify-demo-") as name:
        key_file = Path(name) / "demo-key-1.key"
        d1 = make_d1(key_file)
        keys = FileKeyStore(d1.write_to(Path(name) / "keys"))
        verifier = D1Verifier(keys, audience="stg", subject=GATEWAYS)
        with DemoServer(guarded_app(verifier)) as server:
            if serve:
                return _serve(console, server.url, d1, key_file)
            with httpx2.Client(base_url=server.url, trust_env=False) as client:
                rows = list(_rows(lambda headers: _send(client, headers), d1))
    return print_rows(console, rows, as_json=as_json)


def _rows(send: Send, d1: FakeD1) -> Iterator[Row]:
    for call in [*accepted_calls(d1), *refused_calls(d1)]:
        yield Row(call.title, call.expected, send(call.headers))
    first_key, by_first = d1.kid, bearer(d1.token())
    second_key, by_second = d1.rotate(), bearer(d1.token())
    yield _row_in_time(send, "a second key, published meanwhile", ACCEPTED, by_second, _NEW_KEY_SECONDS)
    yield Row("the first key, still published", ACCEPTED, send(by_first))
    d1.withdraw(first_key)
    yield _row_in_time(send, "the first key, withdrawn", "401 unknown_key", by_first, _WITHDRAWAL_SECONDS)
    yield Row("the second key, still published", ACCEPTED, send(by_second))
    d1.withdraw(second_key)
    expected = "503 keys_unavailable"
    yield _row_in_time(send, "the second key, all keys withdrawn", expected, by_second, _WITHDRAWAL_OF_ALL_SECONDS)


def _row_in_time(send: Send, title: str, expected: str, headers: Headers, seconds: float) -> Row:
    """Call again and again until the answer is the expected one, or the time it may take is over."""
    deadline = time.monotonic() + seconds
    got = send(headers)
    while got != expected and time.monotonic() < deadline:
        time.sleep(_PAUSE)
        got = send(headers)
    return Row(title, expected, got)


def _send(client: httpx2.Client, headers: Headers) -> str:
    """Call the notify-update route; return the status, and the reason if the server reveals one."""
    response = client.post(_PATH, headers=headers, json={"operation": "UPDATE"})
    if not response.content:
        return str(response.status_code)
    return f"{response.status_code} {json.loads(response.content)['error_description']}"


def _serve(console: Console, url: str, d1: FakeD1, key_file: Path) -> int:
    """Keep the server running, and print what to try on it."""
    token = d1.token(exp=d1.now + 900)
    console.print(f"Listening on {url} until interrupted. A call that is let in for the next 15 minutes:\n")
    console.out(f"curl -i -X POST -H 'Authorization: Bearer {token}' {url}{_PATH}\n")
    console.print("The contract, sent to it:\n")
    console.out(f"d1verify contract {url}{_PATH} --key {key_file} --kid {d1.kid} --sub {GATEWAYS[0]}")
    return wait_until_interrupted()


def wait_until_interrupted() -> int:
    """Do nothing until somebody presses Ctrl-C; then return 0."""
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return 0


def print_rows(console: Console, rows: list[Row], *, as_json: bool = False, **more: int) -> int:
    """Print the table and how many rows came out as expected; return 0 if all did, else 1.

    Args:
        console: where to print.
        rows: the calls and their answers.
        as_json: print JSON instead, with `more` beside the rows.
    """
    wrong = sum(row.got != row.expected for row in rows)
    if as_json:
        print_json({"ok": not wrong, "rows": [row._asdict() for row in rows], **more})
        return 1 if wrong else 0
    table = Table(*(Column(name, no_wrap=True) for name in Row._fields), box=box.MARKDOWN)
    for row in rows:
        table.add_row(*row, style=None if row.got == row.expected else "bold red")
    console.print(table)
    console.print(f"{len(rows) - wrong} of {len(rows)} calls answered as expected.")
    return 1 if wrong else 0

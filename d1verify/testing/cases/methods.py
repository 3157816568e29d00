"""The guarded path by another method, or with a query that names another path: without a token nothing opens."""

from __future__ import annotations

from functools import partial
from typing import Final
from urllib.parse import quote

from ..call import Call, Expect
from ..case import Case
from ..fake_d1 import FakeD1
from ._table import call, row

__all__ = ["CASES"]

_BY_METHOD = "The guard looks at one method only, and the route answers to others: anyone can call it by those."
_BY_QUERY = "The guard looks for an open path in the whole URL, so anyone gets past it who writes one into the query."

# Not OPTIONS, which a correct app answers for CORS.
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def _by_method(method: str, fake_d1: FakeD1) -> Call:
    return call(fake_d1, Expect.NOT_OPEN, method=method, body=b"", elsewhere=True)


def _with_query(fake_d1: FakeD1) -> Call:
    return call(fake_d1, Expect.UNAUTHORIZED, query=_query(fake_d1), elsewhere=True)


def _read_with_query(fake_d1: FakeD1) -> Call:
    return call(fake_d1, Expect.NOT_OPEN, query=_query(fake_d1), method="GET", body=b"", elsewhere=True)


def _query(fake_d1: FakeD1) -> str:
    # The slash as it is, which a query may have (RFC 3986 §3.4): so it is found by whoever looks for the path.
    return f"next={quote(fake_d1.open_path or '/health', safe='/%')}"


def _method_case(method: str) -> Case:
    title = f"{method} to the guarded path without a token"
    build = partial(_by_method, method)
    return row(Expect.NOT_OPEN, f"method-{method.lower()}", title, "RFC 9110 §9.1; A028", _BY_METHOD, build)


CASES = (
    *(_method_case(method) for method in _METHODS),
    row(
        Expect.UNAUTHORIZED,
        "query-open-path",
        "no token, and a query that names an open path",
        "RFC 3986 §3.4; A023",
        _BY_QUERY,
        _with_query,
    ),
    row(
        Expect.NOT_OPEN,
        "query-open-path-get",
        "GET without a token, and a query that names an open path",
        "RFC 3986 §3.4; A023",
        _BY_QUERY,
        _read_with_query,
    ),
)

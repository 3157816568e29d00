"""Calls with a body, a content type and a query of their own, by every sender."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, Router

from d1verify.testing import ASGISender, Call, Expect, Sender, UnreachableError, URLSender, WSGISender
from tests.serving import uvicorn_server

OWN = ((b"Content-Type", b"application/json"), (b"X-Trace", b"7"))


async def said(request: Request) -> JSONResponse:
    types = [value.decode() for name, value in request.headers.raw if name == b"content-type"]
    seen = [types, request.headers.get("x-trace"), (await request.body()).decode(), request.url.query]
    return JSONResponse([request.method, request.url.path, *seen])


asgi_app = Router(routes=[Route("/{rest:path}", said, methods=["GET", "POST"])])


def wsgi_app(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    types = [environ["CONTENT_TYPE"]] if "CONTENT_TYPE" in environ else []
    seen = [types, environ.get("HTTP_X_TRACE"), environ["wsgi.input"].read().decode(), environ["QUERY_STRING"]]
    return [bytes(JSONResponse([environ["REQUEST_METHOD"], environ["PATH_INFO"], *seen]).body)]


@pytest.fixture(params=["asgi", "wsgi", "url"])
def send(request: pytest.FixtureRequest) -> Any:
    if request.param == "asgi":
        yield ASGISender(asgi_app, "/usual?a=b", headers=OWN)
    elif request.param == "wsgi":
        yield WSGISender(wsgi_app, "/usual?a=b", headers=OWN)
    else:
        with uvicorn_server(asgi_app) as running, URLSender(f"{running.url}/usual?a=b", headers=OWN) as sender:
            yield sender


def call_of(*headers: tuple[bytes, bytes], **more: Any) -> Call:
    return Call(raw_headers=headers, expect=Expect.ACCEPTED, **more)


FORM = (b"content-type", b"text/x-form")
CALLS: dict[str, tuple[Call, list[Any]]] = {
    "the sender's own": (call_of(), ["POST", "/usual", ["application/json"], "7", "{}", "a=b"]),
    "a body with its type": (call_of(FORM, body=b"x=y"), ["POST", "/usual", ["text/x-form"], "7", "x=y", "a=b"]),
    "a body without a type": (call_of(body=b"x=y"), ["POST", "/usual", [], "7", "x=y", "a=b"]),
    "no bytes at all": (call_of(body=b""), ["POST", "/usual", [], "7", "", "a=b"]),
    "a query": (call_of(query="c=%20"), ["POST", "/usual", ["application/json"], "7", "{}", "a=b&c=%20"]),
    "a path and a query": (
        call_of(path="/other", query="c=d", method="GET", body=b""),
        ["GET", "/other", [], "7", "", "c=d"],
    ),
}


@pytest.mark.parametrize(("call", "seen"), CALLS.values(), ids=CALLS.keys())
def test_sends_what_the_call_has_and_else_its_own(send: Sender, call: Call, seen: list[Any]) -> None:
    answer = send.send_call(call)
    assert JSONResponse(seen).body == answer.body


def test_says_where_nothing_answers() -> None:
    url = "http://127.0.0.1:9/oauth2/token"
    with URLSender(url) as sender, pytest.raises(UnreachableError) as caught:
        sender.send_call(call_of())
    assert caught.value.url == url

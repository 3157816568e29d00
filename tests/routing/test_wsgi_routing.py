"""The same for WSGI: Flask's router and Werkzeug's dispatcher behind `D1WSGIMiddleware`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask, request
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from d1verify import D1Token
from d1verify._scope import TOKEN_KEY
from d1verify.wsgi import D1WSGIMiddleware

from .apps import CONCRETE
from .hostile import (
    CREDENTIALS,
    ELSEWHERE,
    ENTITLING,
    GENUINE,
    GOOD,
    HOSTS,
    METHODS,
    NAMES,
    QUERIES,
    ROOT_PATHS,
    SAID,
    VERIFIER,
)  # fmt: skip
from .targets import READINGS, chance, pick, raw_paths
from .test_routing import SETTINGS
from .test_spoilt import SAME

EXCLUDE = ("/health", "/status/live", "/slash/", "/v1/health", "/v1/static/a")
KNOWN = [(mount + path).encode() for mount in ("", "/v1") for path in CONCRETE] + [
    path.encode() for path in EXCLUDE
] * 4
GUARD_KEYS = ("REQUEST_URI", "RAW_URI")
ALL_METHODS = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"]

WSGIApp = Callable[..., Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class WSGIRequest:
    """An environ, and whether it holds exactly one value that D1 may call with."""

    environ: dict[str, Any]
    entitled: bool

    def __repr__(self) -> str:
        return f"WSGIRequest({self.environ!r}, entitled={self.entitled})".replace(GOOD.decode(), "GOOD")


def flask_app(seen: list[tuple[str, object]], prefix: str = "") -> Flask:
    app = Flask(__name__, static_folder=None)

    def add(rule: str) -> None:
        template = prefix + rule.replace("<path:", "<").replace("<", "{").replace(">", "}")

        def serve(**params: str) -> str:
            seen.append((template.format(**params), request.environ.get(TOKEN_KEY)))
            return template.format(**params)

        app.add_url_rule(rule, rule, serve, methods=ALL_METHODS)

    for rule in ("/health", "/healthz", "/status/live", "/status/<what>", "/slash/", "/pay", "/static/<path:p>"):
        add(rule)
    add("/health/<what>")
    add("/<path:everything>")
    return app


def site(guard: Callable[[WSGIApp], WSGIApp], seen: list[tuple[str, object]]) -> WSGIApp:
    return guard(DispatcherMiddleware(flask_app(seen), {"/v1": flask_app(seen, "/v1")}))


@st.composite
def requests(draw: st.DrawFn) -> WSGIRequest:
    """One request, as a server that joins headers of one name, or keeps the first, would hand it on."""
    raw = pick(draw, KNOWN) if chance(draw, 3) else draw(raw_paths(KNOWN))
    reading = READINGS[pick(draw, ["decoded"] * 6 + list(READINGS))]
    path = reading(raw).encode("utf-8", "replace").decode("latin-1")
    mount = "" if chance(draw, 2) else pick(draw, ROOT_PATHS).encode().decode("latin-1")
    target = raw.decode("latin-1") + pick(draw, ["", "", "?x=/health", "?"])
    written = pick(
        draw, [target, target, mount + target, "http://merchant.example" + target, pick(draw, KNOWN).decode()]
    )
    query = pick(draw, QUERIES).decode()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": pick(draw, METHODS) if chance(draw, 2) else "GET",
        "SCRIPT_NAME": mount,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "merchant.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": pick(draw, HOSTS).decode("latin-1") if chance(draw, 3) else "merchant.example",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        **dict.fromkeys(pick(draw, [GUARD_KEYS, GUARD_KEYS[:1], GUARD_KEYS[1:]]), written),
        **({TOKEN_KEY: pick(draw, [GENUINE, "forged", None])} if chance(draw, 4) else {}),
    }
    values: list[bytes] = []
    for kind in pick(draw, CREDENTIALS):
        if kind == "elsewhere":
            name = pick(draw, NAMES).decode("latin-1").upper().replace("-", "_")
            environ["HTTP_" + name] = pick(draw, ELSEWHERE).decode("latin-1")
        else:
            values.append(pick(draw, SAID[kind]))
    if values:
        environ["HTTP_AUTHORIZATION"] = b",".join(values).decode("latin-1")
    entitled = len(values) == 1 and ENTITLING.fullmatch(values[0]) is not None
    return WSGIRequest(environ, entitled)


def call(app: WSGIApp, environ: dict[str, Any]) -> tuple[str, bytes]:
    """Return status and body."""
    statuses: list[str] = []

    def start_response(status: str, _headers: Any, _exc_info: Any = None) -> Callable[[bytes], None]:
        statuses.append(status)
        return lambda _data: None

    result = app(environ, start_response)
    body = b"".join(result)
    getattr(result, "close", lambda: None)()
    return statuses[-1], body


class WSGIPair:
    """The guarded app and its twin."""

    def __init__(self, guard: Callable[[WSGIApp], WSGIApp]) -> None:
        self.seen: list[tuple[str, object]] = []
        self.guarded, self.twin = site(guard, self.seen), site(lambda app: app, [])

    def check(self, made: WSGIRequest) -> None:
        self.seen.clear()
        try:
            answer = call(self.guarded, dict(made.environ))
        except ValueError:  # Werkzeug's, about a host or a path that it cannot put into a URL
            answer = ("", b"")
        for where, token in self.seen:
            if token is not None:
                assert made.entitled, f"{where} was reached with a token that nobody sent"
                assert isinstance(token, D1Token)
            else:
                self.check_open(where, made.environ)
        if made.entitled and answer[0]:
            assert answer == call(self.twin, dict(made.environ)), "served otherwise than without a guard"

    def check_open(self, where: str, environ: dict[str, Any]) -> None:
        assert where in EXCLUDE, f"{where} was reached without a token"
        assert environ["REQUEST_METHOD"] in ("GET", "HEAD")
        mount = environ["SCRIPT_NAME"]
        for key in GUARD_KEYS:
            assert environ.get(key, where).partition("?")[0] in (where, mount + where), f"{where} was spelt otherwise"


def guard(app: WSGIApp) -> WSGIApp:
    made: WSGIApp = D1WSGIMiddleware(app, VERIFIER, exclude=EXCLUDE)
    return made


def attack(pair: WSGIPair, how: settings) -> None:
    @how
    @given(requests())
    def property_holds(made: WSGIRequest) -> None:
        pair.check(made)

    property_holds()


def test_nobody_reaches_what_is_guarded_without_a_token() -> None:
    attack(WSGIPair(guard), SETTINGS)


def test_the_generator_finds_a_middleware_that_ignores_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("d1verify.wsgi.written_paths", lambda _environ: [])
    with pytest.raises(AssertionError, match="spelt otherwise"):
        attack(WSGIPair(guard), settings(SAME, max_examples=3000))

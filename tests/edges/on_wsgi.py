"""The WSGI middleware as an edge: around a bare app, and around Flask."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from flask import Flask, request

from d1verify import HeaderVerifier
from d1verify.wsgi import D1WSGIMiddleware

from .edge import App, Call, Edge, Options, wsgi_call
from .on_asgi import METHODS


def bare_app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["REQUEST_METHOD"] == "POST":
        environ["wsgi.input"].read()
    token = environ.get("d1verify.token")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"subject": token and token.subject}).encode()]


def flask_app() -> Flask:
    app = Flask(__name__)

    @app.route("/notify", methods=METHODS)
    @app.route("/health", methods=METHODS)
    def answer() -> dict[str, str | None]:
        if request.method == "POST":
            request.get_data()
        token = request.environ.get("d1verify.token")
        return {"subject": token and token.subject}

    return app


def wsgi_edge(name: str, app: App) -> Edge:
    def build(verifier: HeaderVerifier, options: Options) -> Call:
        arguments: dict[str, Any] = {
            "exclude": options.exclude,
            "realm": options.realm,
            "reveal_reason": options.reveal_reason,
        }
        return wsgi_call(D1WSGIMiddleware(app, verifier, **arguments))

    return Edge(name=name, build=build, sees_two_headers=False, has_exclude=True)


def wsgi_edges() -> tuple[Edge, ...]:
    return wsgi_edge("wsgi middleware", bare_app), wsgi_edge("wsgi middleware around flask", flask_app())

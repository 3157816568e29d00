"""The FastAPI dependency as an edge: with `install`, without it, and behind the middleware.

No `from __future__ import annotations` here: FastAPI could not find a local `d1` in a postponed annotation.
"""

from typing import Annotated

from fastapi import Depends, FastAPI, Request, WebSocket

from d1verify import D1Token, HeaderVerifier
from d1verify.asgi import D1AuthMiddleware
from d1verify.fastapi import D1Bearer, install

from .edge import Edge, Options
from .on_asgi import METHODS, asgi_edge


def bare_app(verifier: HeaderVerifier, _options: Options) -> FastAPI:
    return _app(verifier)


def installed_app(verifier: HeaderVerifier, options: Options) -> FastAPI:
    app = _app(verifier)
    install(app, realm=options.realm, reveal_reason=options.reveal_reason)
    return app


def behind_middleware(verifier: HeaderVerifier, options: Options) -> FastAPI:
    app = installed_app(verifier, options)
    app.add_middleware(
        D1AuthMiddleware,
        verifier=verifier,
        exclude=options.exclude,
        realm=options.realm,
        reveal_reason=options.reveal_reason,
    )
    return app


def _app(verifier: HeaderVerifier) -> FastAPI:
    app = FastAPI()
    d1 = D1Bearer(verifier)
    compared = D1Bearer(verifier, path_param="merchantGatewayId")

    @app.api_route("/notify", methods=METHODS)
    async def notify(request: Request, token: Annotated[D1Token, Depends(d1)]) -> dict[str, str]:
        if request.method == "POST":
            await request.body()
        return {"subject": token.subject}

    @app.post("/merchant-gateways/{merchantGatewayId}/notify")
    async def notify_gateway(merchantGatewayId: str, token: Annotated[D1Token, Depends(compared)]) -> dict[str, str]:  # noqa: N803 - D1's spelling
        return {"subject": token.subject}

    @app.api_route("/health", methods=["GET", "HEAD"])
    async def health() -> dict[str, None]:
        return {"subject": None}

    @app.websocket("/notify")
    async def talk(websocket: WebSocket, token: Annotated[D1Token, Depends(d1)]) -> None:
        await websocket.accept()
        await websocket.close()

    return app


def fastapi_edges(backend: str) -> tuple[Edge, ...]:
    return (
        asgi_edge("fastapi with install", installed_app, backend, compares_path=True),
        asgi_edge(
            "fastapi without install",
            bare_app,
            backend,
            compares_path=True,
            writes_own_bytes=False,
            json_member="detail",
            has_answer_options=False,
        ),
        asgi_edge("fastapi behind the middleware", behind_middleware, backend, compares_path=True, has_exclude=True),
    )

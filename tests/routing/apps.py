"""Apps on Starlette's and FastAPI's own routers whose endpoints write down who reached them, and with which token.

Each has endpoints at excluded paths and others whose names begin alike. An endpoint knows
where it stands: its route's full path with the parameters filled in, relative to the guard.
Only where that is an excluded path may it be reached without a token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from starlette._utils import get_route_path
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Host, Mount, Route, Router, WebSocketRoute
from starlette.websockets import WebSocket

from d1verify import D1Token
from d1verify._scope import TOKEN_KEY
from d1verify.fastapi import D1Bearer

from .hostile import BEARER, VERIFIER

App = Callable[..., Any]
Guard = Callable[..., App]  # guard(app, exclude=...) -> app

OWN_KEYS = ("user", "auth", TOKEN_KEY)
_SEEN_BY_DEPENDENCY = "tests.token"
EXCLUDE = ("/health", "/status/live", "/slash/")
# A concrete path for each route of `routes`.
CONCRETE: tuple[str, ...] = (
    "/health", "/healthz", "/health/pay", "/status/live", "/status/pay", "/slash/", "/slash", "/pay", "/any", "/ws",
    "/files/a/b", "/static/a", "/n/7", "/status/live/pay",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """That an endpoint was reached."""

    where: str
    guarded: bool
    kind: str
    method: str | None
    token: object
    user: object
    scopes: object


@dataclass(slots=True)
class Journal:
    """What one app's endpoints saw of one request, and the scope with which its outermost guard was called."""

    seen: list[Seen] = field(default_factory=list)
    scopes: list[dict[str, Any]] = field(default_factory=list)
    raw_paths: list[Any] = field(default_factory=list)
    leaked: bool = False

    def clear(self) -> None:
        self.leaked = False
        self.seen.clear()
        self.scopes.clear()
        self.raw_paths.clear()

    def note(self, where: str, scope: Any, *, guarded: bool = True) -> dict[str, Any]:
        token = scope.get(_SEEN_BY_DEPENDENCY) or scope.get(TOKEN_KEY)
        scopes = getattr(scope.get("auth"), "scopes", None)
        self.seen.append(Seen(where, guarded, scope["type"], scope.get("method"), token, scope.get("user"), scopes))
        self.raw_paths.append(scope.get("raw_path"))
        answer = {"where": where, "method": scope.get("method"), "query": scope["query_string"].decode("latin-1")}
        # What an app leaves behind in its scope is nobody's credentials afterwards.
        scope.update(
            {"user": "left behind", "auth": "left behind", TOKEN_KEY: token, "headers": [BEARER], "path": "/health"}
        )
        return answer


class Watched:
    """Writes down with which scope the guard behind it is called, and whether who it was for stays in that scope."""

    def __init__(self, app: App, guard: Guard, journal: Journal, exclude: Sequence[str]) -> None:
        self.guarded = guard(app, exclude=exclude)
        self.journal = journal

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.journal.scopes.append(dict(scope))
        before = {key: scope.get(key) for key in OWN_KEYS}
        try:
            await self.guarded(scope, receive, send)
        finally:
            self.journal.leaked |= before != {key: scope.get(key) for key in OWN_KEYS}


class Workshop:
    """Makes the parts of one app: guards, or nothing in their place, and endpoints that write into one journal."""

    def __init__(self, guard: Guard | None) -> None:
        self.guard = guard
        self.journal = Journal()

    def middleware(self, exclude: Sequence[str] = EXCLUDE) -> list[Any]:
        if self.guard is None:
            return []
        return [Middleware(Watched, guard=self.guard, journal=self.journal, exclude=exclude)]

    def guarded(self, app: App, exclude: Sequence[str] = EXCLUDE) -> App:
        return app if self.guard is None else Watched(app, self.guard, self.journal, exclude)

    def endpoint(self, template: str, *, guarded: bool = True) -> Callable[[Request], Any]:
        async def serve(request: Request) -> Response:
            if request.method == "POST":
                await request.body()
            where = template.format(**request.path_params)
            return JSONResponse(self.journal.note(where, request.scope, guarded=guarded))

        return serve

    def socket(self, template: str, *, guarded: bool = True) -> Callable[[WebSocket], Any]:
        async def serve(websocket: WebSocket) -> None:
            await websocket.accept()
            where = template.format(**websocket.path_params)
            await websocket.send_json(self.journal.note(where, websocket.scope, guarded=guarded))
            await websocket.close()

        return serve

    def raw(self, prefix: str) -> App:
        """Return an app like StaticFiles: it serves whatever is below it, by the path that Starlette leaves over."""

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            where = prefix.format(**scope.get("path_params", {})) + get_route_path(scope)
            answer = self.journal.note(where, scope)
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            else:
                await JSONResponse(answer)(scope, receive, send)

        return serve

    def routes(self, prefix: str = "", *, last: Sequence[BaseRoute] = ()) -> list[BaseRoute]:
        def route(path: str, methods: list[str] | None = None) -> Route:
            return Route(path, self.endpoint(prefix + path.replace(":path", "").replace(":int", "")), methods=methods)

        return [
            route("/health"), route("/healthz"), route("/status/live"), route("/slash/"), route("/slash"),
            route("/health/{what}"), route("/status/{what}", ["GET", "POST"]), route("/pay", ["GET", "POST", "OPTIONS"]),
            route("/n/{n:int}"), route("/{merchant}/live/{token}"), route("/files/{p:path}", ["GET", "POST"]),
            Route("/any", Everything(self, prefix + "/any")),
            WebSocketRoute("/ws", self.socket(prefix + "/ws")), WebSocketRoute("/health", self.socket(prefix + "/health")),
            WebSocketRoute("/files/{p:path}", self.socket(prefix + "/files/{p}")),
            Mount("/static", app=self.raw(prefix + "/static")),
            *last,
        ]  # fmt: skip


class Everything:
    """An endpoint for any method, as Starlette's class-based ones are."""

    def __init__(self, workshop: Workshop, where: str) -> None:
        self.serve = workshop.endpoint(where)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await (await self.serve(Request(scope, receive, send)))(scope, receive, send)


async def _pass_on(request: Request, call_next: Callable[[Request], Any]) -> Any:
    return await call_next(request)


def flat(shop: Workshop) -> App:
    return Starlette(routes=shop.routes(), middleware=shop.middleware())


def catching_all(shop: Workshop) -> App:
    everything = shop.endpoint("/{everything}")
    last = [Route("/{everything:path}", everything, methods=["GET", "POST"])]
    return shop.guarded(Router(shop.routes(last=last), redirect_slashes=False))


def guard_in_a_mount(shop: Workshop) -> App:
    inner = shop.guarded(Starlette(routes=shop.routes()))
    public = shop.endpoint("public", guarded=False)
    return Starlette(
        routes=[Mount("/api", app=inner), Mount("/apix", routes=[Route("/{p:path}", public)]), Route("/health", public)]
    )


NESTED = (
    "/health", "/v1/health", "/v1/status/live", "/v1/gw/7/slash/", "/v1/static/a", "/t/acme/health",
)  # fmt: skip


def mounts_behind_the_guard(shop: Workshop) -> App:
    parts = [Route("/{p:path}", shop.endpoint("/v1/gw/{gateway}/{p}"))]
    first = [
        Mount("/gw/{gateway}", routes=shop.routes("/v1/gw/{gateway}", last=parts)),
        Route("/{merchant}/{token}", shop.endpoint("/v1/{merchant}/{token}")),
    ]
    tenant = [Route("/health", shop.endpoint("/t/{t}/health")), Route("/{x:path}", shop.endpoint("/t/{t}/{x}"))]
    return Starlette(
        routes=[
            Mount("/v1", routes=shop.routes("/v1", last=first)),
            Mount("/t/{t}", app=Starlette(routes=tenant)),
            Mount("", routes=shop.routes()),
        ],
        middleware=shop.middleware(NESTED),
    )


def mount_and_route_middleware(shop: Workshop) -> App:
    again = Route("/twice", shop.endpoint("/twice"), middleware=shop.middleware())
    open_again = Route("/status/live", shop.endpoint("/status/live"), middleware=shop.middleware())
    return Router([Mount("/m", routes=[open_again, *shop.routes(last=[again])], middleware=shop.middleware())])


def guard_in_a_guard(shop: Workshop) -> App:
    inner = shop.guarded(Router(shop.routes("/in")), exclude=["/health", "/pay"])
    routes = [Mount("/in", app=inner), *shop.routes()]
    return Starlette(routes=routes, middleware=shop.middleware(("/health", "/in/health", "/in/status/live")))


def hosts(shop: Workshop) -> App:
    return Starlette(
        routes=[
            Host("api.merchant.example", app=Router(shop.routes())),
            Host("{sub}.merchant.example", app=Router([Mount("/v1", routes=shop.routes("/v1"))])),
            *shop.routes(),
        ],
        middleware=shop.middleware(),
    )


def between_base_http_middlewares(shop: Workshop) -> App:
    between = Middleware(BaseHTTPMiddleware, dispatch=_pass_on)
    return Starlette(routes=shop.routes(), middleware=[between, *shop.middleware(), between])


def _api(shop: Workshop, prefix: str, *, guarded: bool = True) -> APIRouter:
    router = APIRouter()
    for path in ("/health", "/healthz", "/status/live", "/status/{what}", "/slash/", "/files/{p:path}", "/any"):
        serve = shop.endpoint(prefix + path.replace(":path", ""), guarded=guarded)
        router.add_api_route(path, _typed(serve), methods=["GET", "HEAD", "POST"])
    router.add_api_route("/pay", _typed(shop.endpoint(prefix + "/pay", guarded=guarded)), methods=["POST", "TRACE"])
    router.add_api_websocket_route("/ws", shop.socket(prefix + "/ws", guarded=guarded))
    return router


def _typed(serve: Callable[[Request], Any]) -> Callable[..., Any]:
    async def endpoint(request: Request) -> Any:
        return await serve(request)

    endpoint.__annotations__["request"] = Request  # FastAPI reads it, and it is text until then
    return endpoint


def _noting(bearer: D1Bearer) -> Any:
    async def note(conn: HTTPConnection, token: Any) -> None:
        conn.scope[_SEEN_BY_DEPENDENCY] = token

    note.__annotations__.update(conn=HTTPConnection, token=Annotated[D1Token, Depends(bearer)])
    return Depends(note)


def fastapi_behind_the_middleware(shop: Workshop) -> App:
    app = FastAPI(openapi_url=None)
    sub = FastAPI(openapi_url=None)
    sub.include_router(_api(shop, "/sub"))
    app.include_router(_api(shop, ""))
    app.include_router(_api(shop, "/v1"), prefix="/v1")
    app.mount("/sub", sub)
    app.mount("/static", shop.raw("/static"))
    for one in shop.middleware(("/health", "/sub/health", "/v1/status/live", "/static/a")):
        app.add_middleware(one.cls, **one.kwargs)
    return app


def fastapi_with_the_dependency(shop: Workshop) -> App:
    wanted = [] if shop.guard is None else [_noting(D1Bearer(VERIFIER))]
    app = FastAPI(openapi_url=None)
    sub = FastAPI(openapi_url=None, dependencies=wanted)
    sub.include_router(_api(shop, "/sub"))
    app.include_router(_api(shop, "/v1"), prefix="/v1", dependencies=wanted)
    app.include_router(_api(shop, "/v10", guarded=False), prefix="/v10")
    app.mount("/sub", sub)
    app.include_router(_api(shop, "", guarded=False))
    return app


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An app to attack.

    Attributes:
        build: puts it together; without a guard where the workshop has none.
        exclude: what its outermost guard leaves open.
        exclude_within: what a guard behind that one leaves open to those whom the first has let through.
        mounts: the prefixes below which its routes are found.
        by_dependency: guarded by `D1Bearer` and not by the middleware.
    """

    build: Callable[[Workshop], App]
    exclude: tuple[str, ...] = EXCLUDE
    exclude_within: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ("",)
    by_dependency: bool = False

    @property
    def known(self) -> list[bytes]:
        """Paths that it serves, the excluded ones as often as all others."""
        paths = [mount + path for mount in self.mounts for path in CONCRETE]
        opened = [mount + path for mount in self.mounts for path in EXCLUDE] + list(self.exclude)
        return [path.encode() for path in paths + opened * (1 + len(paths) // len(opened))]


SITES: dict[str, Site] = {
    "flat": Site(build=flat),
    "a catch-all, no redirects": Site(build=catching_all),
    "guard in a mount": Site(build=guard_in_a_mount, mounts=("/api", "/apix", "")),
    "mounts behind the guard": Site(build=mounts_behind_the_guard, exclude=NESTED, mounts=("/v1", "/v1/gw/7", "/t/acme", "")),
    "mount and route middleware": Site(build=mount_and_route_middleware, mounts=("/m",)),
    "a guard in a guard": Site(
        build=guard_in_a_guard,
        exclude=("/health", "/in/health", "/in/status/live"),
        exclude_within=("/in/health", "/in/pay"),
        mounts=("/in", ""),
    ),
    "hosts": Site(build=hosts, mounts=("", "/v1")),
    "between BaseHTTPMiddlewares": Site(build=between_base_http_middlewares),
    "FastAPI behind the middleware": Site(
        build=fastapi_behind_the_middleware,
        exclude=("/health", "/sub/health", "/v1/status/live", "/static/a"),
        mounts=("", "/v1", "/sub"),
    ),
    "FastAPI with the dependency": Site(
        build=fastapi_with_the_dependency, exclude=(), mounts=("/v1", "/v10", "/sub", ""), by_dependency=True
    ),
}  # fmt: skip

"""Guards with one hole each, of the kinds that were found in other middlewares (chapter 2 of the catalogue)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from starlette.authentication import AuthCredentials, UnauthenticatedUser
from starlette.requests import HTTPConnection

from d1verify import D1Token, TokenError, refusal
from d1verify._scope import TOKEN_KEY
from d1verify.asgi import D1User
from d1verify.bearer import authorization_of

from .apps import App
from .hostile import VERIFIER

Scope = dict[str, Any]


class Careful:
    """What the middleware promises, in few lines: the control, in which no hole may be found."""

    passes_on: tuple[Any, ...] = ("lifespan",)
    guards: tuple[Any, ...] = ("http", "websocket")
    methods: tuple[str, ...] = ("GET", "HEAD")

    def __init__(self, app: App, exclude: Iterable[str]) -> None:
        self.app, self.exclude = app, tuple(exclude)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] in self.passes_on:
            await self.app(scope, receive, send)
        elif scope["type"] not in self.guards:
            raise ValueError("unknown")
        elif self.is_open(scope):
            await self.app(self.for_nobody(scope), receive, send)
        else:
            try:
                token = await VERIFIER.averify_header(self.credentials(scope))
            except TokenError as error:
                await self.refuse(error, scope, receive, send)
            else:
                await self.app(self.for_d1(scope, token), receive, send)

    async def refuse(self, error: TokenError, scope: Scope, receive: Any, send: Any) -> None:
        answer = refusal(error)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": []})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    def is_open(self, scope: Scope) -> bool:
        return scope["type"] == "http" and scope["method"] in self.methods and self.is_excluded(scope)

    def is_excluded(self, scope: Scope) -> bool:
        path = self.path(scope)
        return path in self.exclude and self.is_spelt_out(scope, path)

    def path(self, scope: Scope) -> str:
        path, mount = scope["path"], scope.get("root_path", "")
        if mount and (path + "/").startswith(mount + "/"):
            return str(path[len(mount) :])
        return path if not mount or "/" not in path[1:] else ""

    def is_spelt_out(self, scope: Scope, path: str) -> bool:
        raw = scope.get("raw_path")
        written = raw.encode() if isinstance(raw, str) else raw
        return written in (path.encode(), (scope.get("root_path", "") + path).encode("utf-8", "replace"))

    def credentials(self, scope: Scope) -> bytes | str | None:
        return authorization_of(scope["headers"])

    def for_nobody(self, scope: Scope) -> Scope:
        return {**scope, "user": UnauthenticatedUser(), "auth": AuthCredentials(), TOKEN_KEY: None}

    def for_d1(self, scope: Scope, token: D1Token) -> Scope:
        return {**scope, "user": D1User(token), "auth": AuthCredentials(["d1"]), TOKEN_KEY: token}


class ComparesThePathOnly(Careful):
    def is_spelt_out(self, scope: Scope, path: str) -> bool:
        return True


class ComparesTheRawPathOnly(Careful):
    def is_excluded(self, scope: Scope) -> bool:
        return any(self.is_spelt_out(scope, path) for path in self.exclude)


class ComparesEitherPath(Careful):
    def is_excluded(self, scope: Scope) -> bool:
        return self.path(scope) in self.exclude or any(self.is_spelt_out(scope, path) for path in self.exclude)


class ComparesOnlyARawPathThatIsThere(Careful):
    def is_spelt_out(self, scope: Scope, path: str) -> bool:
        return scope.get("raw_path") is None or super().is_spelt_out(scope, path)


class OpensEveryMethod(Careful):
    def is_open(self, scope: Scope) -> bool:
        return scope["type"] == "http" and self.is_excluded(scope)


class OpensOptions(Careful):
    def is_open(self, scope: Scope) -> bool:
        return scope.get("method") == "OPTIONS" or super().is_open(scope)


class TakesHeadForHarmless(Careful):
    def is_open(self, scope: Scope) -> bool:
        return scope.get("method") == "HEAD" or super().is_open(scope)


class ReadsMethodsInAnyCase(Careful):
    methods = ("GET", "HEAD", "get", "Get", "head")


class SkipsWebSockets(Careful):
    passes_on = ("lifespan", "websocket")


class OpensWebSocketsToo(Careful):
    def is_open(self, scope: Scope) -> bool:
        return super().is_open(scope) or (scope["type"] == "websocket" and self.is_excluded(scope))


class PassesOnWhatItDoesNotKnow(Careful):
    guards = ("http",)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope.get("type") in ("http", "lifespan"):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _folded(fold: Callable[[str], str]) -> type[Careful]:
    """Return a guard that compares both paths, after the same folding."""

    class Folds(Careful):
        def path(self, scope: Scope) -> str:
            return fold(super().path(scope))

        def is_spelt_out(self, scope: Scope, path: str) -> bool:
            raw = scope.get("raw_path") or b""
            written = fold(raw.decode("latin-1") if isinstance(raw, bytes | bytearray) else raw)
            return written in (path, scope.get("root_path", "") + path)

    return Folds


def _matching(matches: Callable[[str, str], object]) -> type[Careful]:
    class Matches(Careful):
        def is_excluded(self, scope: Scope) -> bool:
            return any(matches(self.path(scope), path) for path in self.exclude)

    return Matches


class CutsTheRootPathAnywhere(Careful):
    def path(self, scope: Scope) -> str:
        return str(scope["path"]).removeprefix(scope.get("root_path", ""))

    def is_spelt_out(self, scope: Scope, path: str) -> bool:
        return True


class BelievesARootPathThatIsNotThere(Careful):
    """Opens `/v1/health` under another root_path: Starlette's Mount then looks for the whole of it below `/v1`."""

    def path(self, scope: Scope) -> str:
        return super().path(scope) or str(scope["path"])


class ComparesTheUrl(Careful):
    def is_excluded(self, scope: Scope) -> bool:
        return HTTPConnection(scope).url.path in self.exclude


class TakesTheFirstOfSeveral(Careful):
    def credentials(self, scope: Scope) -> bytes | str | None:
        return next((value for name, value in scope["headers"] if name.lower() == b"authorization"), None)


class TakesTheLastOfSeveral(Careful):
    def credentials(self, scope: Scope) -> bytes | str | None:
        return dict(scope["headers"]).get(b"authorization")


class SplitsTheValue(Careful):
    def credentials(self, scope: Scope) -> bytes | str | None:
        value = super().credentials(scope)
        words = re.split(r"[\s,]+", value.decode("latin-1").strip()) if isinstance(value, bytes) else []
        return " ".join(words[:2]) if words else value


class ReadsOtherHeaders(Careful):
    def credentials(self, scope: Scope) -> bytes | str | None:
        others = [value for name, value in scope["headers"] if b"authorization" in name]
        return super().credentials(scope) or (others[0] if others else None)


class ReadsTheQuery(Careful):
    def credentials(self, scope: Scope) -> bytes | str | None:
        _, _, token = scope["query_string"].partition(b"access_token=")
        return super().credentials(scope) or (b"Bearer " + token if token else None)


class ObeysARewriteHeader(Careful):
    def path(self, scope: Scope) -> str:
        rewritten = dict(scope["headers"]).get(b"x-original-url") or dict(scope["headers"]).get(b"x-rewrite-url")
        return rewritten.decode("latin-1") if rewritten else super().path(scope)

    def is_spelt_out(self, scope: Scope, path: str) -> bool:
        return path != super().path(scope) or super().is_spelt_out(scope, path)


class TrustsTheScope(Careful):
    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if isinstance(scope.get(TOKEN_KEY), D1Token):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class KeepsWhoWasThereBefore(Careful):
    def for_nobody(self, scope: Scope) -> Scope:
        return {"user": UnauthenticatedUser(), "auth": AuthCredentials(), TOKEN_KEY: None, **scope}


class KeepsATokenThatWasThereBefore(Careful):
    def for_d1(self, scope: Scope, token: D1Token) -> Scope:
        return {**super().for_d1(scope, token), TOKEN_KEY: scope.get(TOKEN_KEY, token)}


class WritesIntoTheScopeItWasGiven(Careful):
    def for_d1(self, scope: Scope, token: D1Token) -> Scope:
        scope.update(super().for_d1(scope, token))
        return scope


class CallsTheAppAfterRefusing(Careful):
    async def refuse(self, error: TokenError, scope: Scope, receive: Any, send: Any) -> None:
        await super().refuse(error, scope, receive, send)
        await self.app(scope, receive, send)


class ReadsTheBodyFirst(Careful):
    async def refuse(self, error: TokenError, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await receive()
        await super().refuse(error, scope, receive, send)


SPOILT: dict[str, type[Careful]] = {
    "compares the decoded path only": ComparesThePathOnly,
    "compares the raw path only": ComparesTheRawPathOnly,
    "compares either path": ComparesEitherPath,
    "compares the raw path only if there is one": ComparesOnlyARawPathThatIsThere,
    "opens every method": OpensEveryMethod,
    "opens OPTIONS": OpensOptions,
    "takes HEAD for harmless": TakesHeadForHarmless,
    "reads methods in any case": ReadsMethodsInAnyCase,
    "skips WebSockets": SkipsWebSockets,
    "opens WebSockets at an excluded path": OpensWebSocketsToo,
    "passes on scope types it does not know": PassesOnWhatItDoesNotKnow,
    "ignores case": _folded(str.lower),
    "ignores a trailing slash": _matching(lambda path, literal: path.rstrip("/") == literal.rstrip("/")),
    "decodes the raw path": _folded(unquote),
    "normalises dots and slashes": _folded(lambda path: posixpath.normpath(path) if path else path),
    "cuts parameters": _folded(lambda path: path.split(";")[0]),
    "cuts what is no path": _folded(lambda path: re.split(r"[\0\s?#]", path)[0]),
    "opens by prefix": _matching(str.startswith),
    "opens by suffix": _matching(str.endswith),
    "opens what is below": _matching(lambda path, literal: (path + "/").startswith(literal + "/")),
    "matches a pattern with $": _matching(lambda path, literal: re.match(literal + "$", path)),
    "searches for a pattern": _matching(lambda path, literal: re.search(literal, path)),
    "cuts the root path anywhere": CutsTheRootPathAnywhere,
    "believes a root path that is not there": BelievesARootPathThatIsNotThere,
    "compares the URL": ComparesTheUrl,
    "takes the first of several headers": TakesTheFirstOfSeveral,
    "takes the last of several headers": TakesTheLastOfSeveral,
    "splits the value": SplitsTheValue,
    "reads other headers": ReadsOtherHeaders,
    "reads the query": ReadsTheQuery,
    "obeys a rewrite header": ObeysARewriteHeader,
    "trusts a token in the scope": TrustsTheScope,
    "keeps who was there before": KeepsWhoWasThereBefore,
    "keeps a token that was there before": KeepsATokenThatWasThereBefore,
    "writes into the scope it was given": WritesIntoTheScopeItWasGiven,
    "calls the app after refusing": CallsTheAppAfterRefusing,
    "reads the body first": ReadsTheBodyFirst,
}

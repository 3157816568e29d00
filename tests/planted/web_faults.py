"""Wrong guards: each has one weakness around the token, in headers, paths, answers, or what it remembers."""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from d1verify.testing import Answer, Call

from .strict import OPEN_PATH, RefusedError, StrictApp

Fields = list[tuple[str, str]]


class FirstOfTwoHeaders(StrictApp):
    def token_of(self, values: list[str]) -> str:
        return super().token_of(values[:1])


class LastOfTwoHeaders(StrictApp):
    def token_of(self, values: list[str]) -> str:
        return super().token_of(values[-1:])


class FirstBeforeComma(StrictApp):
    def token_of(self, values: list[str]) -> str:
        return super().token_of([value.split(",")[0] for value in values])


class AnyScheme(StrictApp):
    def token_of(self, values: list[str]) -> str:
        return super().token_of([f"Bearer {value.partition(' ')[2]}" for value in values])


class SchemeBySplit(StrictApp):
    def token_of(self, values: list[str]) -> str:
        return super().token_of([" ".join(value.split()[:2]) for value in values])


class SchemeCutOff(StrictApp):
    def token_of(self, values: list[str]) -> str:
        return super().token_of([f"Bearer {value.replace('Bearer', '').strip()}" for value in values])


class SchemeToTheLetter(StrictApp):
    def token_of(self, values: list[str]) -> str:
        if any(not value.startswith("Bearer ") for value in values):
            raise RefusedError
        return super().token_of(values)


class _AlsoFrom(StrictApp):
    def authenticate(self, fields: Fields, query: str) -> dict[str, Any]:
        elsewhere = self.elsewhere(dict(fields), query)
        return super().authenticate([*fields, ("authorization", elsewhere)] if elsewhere else fields, query)

    def elsewhere(self, fields: Mapping[str, str], query: str) -> str | None:
        raise NotImplementedError


class TokenFromQuery(_AlsoFrom):
    def elsewhere(self, fields: Mapping[str, str], query: str) -> str | None:
        found = parse_qs(query).get("access_token")
        return f"Bearer {found[0]}" if found else None


class TokenFromCookie(_AlsoFrom):
    def elsewhere(self, fields: Mapping[str, str], query: str) -> str | None:
        return f"Bearer {fields['cookie'].removeprefix('access_token=')}" if "cookie" in fields else None


class TokenFromForwardedHeader(_AlsoFrom):
    def elsewhere(self, fields: Mapping[str, str], query: str) -> str | None:
        return fields.get("x-forwarded-authorization")


class OptionalCredentials(StrictApp):
    def authenticate(self, fields: Fields, query: str) -> dict[str, Any]:
        if not any(name == "authorization" for name, _ in fields):
            return {"sub": self.d1.subject}
        return super().authenticate(fields, query)


class NoChallenge(StrictApp):
    def refuse(self, refused: RefusedError, fields: Fields) -> Answer:
        return Answer(refused.status, {}, refused.body)


class BasicChallenge(StrictApp):
    def refuse(self, refused: RefusedError, fields: Fields) -> Answer:
        return Answer(refused.status, [("WWW-Authenticate", 'Basic realm="d1"')], refused.body)


class WrongErrorCode(StrictApp):
    def refuse(self, refused: RefusedError, fields: Fields) -> Answer:
        return Answer(refused.status, {"WWW-Authenticate": 'Bearer error="insufficient_scope"'})


class ForbiddenForAll(StrictApp):
    def refuse(self, refused: RefusedError, fields: Fields) -> Answer:
        return super().refuse(RefusedError(403), fields)


class RedirectsToLogin(StrictApp):
    def refuse(self, refused: RefusedError, fields: Fields) -> Answer:
        return Answer(302, {"Location": "/login"})


class EchoesTheToken(StrictApp):
    def refuse(self, refused: RefusedError, fields: Fields) -> Answer:
        said = dict(fields).get("authorization", "")
        return Answer(refused.status, {"WWW-Authenticate": "Bearer"}, f"bad token: {said}".encode())


class EchoesItsEnd(StrictApp):
    def let_through(self, fields: Fields) -> Answer:
        return Answer(200, {"X-Token": dict(fields).get("authorization", "")[-30:]})


class EchoesTheKeyId(StrictApp):
    def key_id(self, header: dict[str, Any]) -> Any:
        try:
            return super().key_id(header)
        except RefusedError:
            raise RefusedError(401, f"no key {header.get('kid')!r}".encode("utf-8", "replace")) from None


class EchoesTheSubject(StrictApp):
    def check_subject(self, subject: Any) -> None:
        if subject != self.d1.subject:
            raise RefusedError(401, f"not for {subject!r}".encode("utf-8", "replace"))


class ActsBeforeItChecks(StrictApp):
    def send_call(self, call: Call) -> Answer:
        self.done += 1
        return super().send_call(call)


class AnyPath(StrictApp):
    def check_path(self, path: str, claims: Mapping[str, Any]) -> None:
        pass


class PathByPrefix(StrictApp):
    def check_path(self, path: str, claims: Mapping[str, Any]) -> None:
        if not path.startswith(f"/merchant-gateways/{claims['sub']}"):
            super().check_path(path, claims)


class PathInAnyCase(StrictApp):
    def check_path(self, path: str, claims: Mapping[str, Any]) -> None:
        super().check_path(path, {"sub": path.split("/")[2]} if path.split("/")[2].upper() == claims["sub"] else claims)


class OpenByPrefix(StrictApp):
    def is_open(self, method: str, path: str) -> bool:
        return method == "GET" and path.startswith(OPEN_PATH)


class OpenBySegment(StrictApp):
    def is_open(self, method: str, path: str) -> bool:
        return method == "GET" and (path == OPEN_PATH or path.startswith(f"{OPEN_PATH}/"))


class OpenToEveryMethod(StrictApp):
    def is_open(self, method: str, path: str) -> bool:
        return path == OPEN_PATH


class OpenAfterTidyingUp(StrictApp):
    def is_open(self, method: str, path: str) -> bool:
        return super().is_open(method, "/" + posixpath.normpath(unquote(path)).lstrip("/"))


class OpenWebSocket(StrictApp):
    def check_handshake(self, fields: Fields) -> None:
        pass


class WebSocketTakesExpired(StrictApp):
    def check_handshake(self, fields: Fields) -> None:
        self.leeway = 1e6
        try:
            super().check_handshake(fields)
        finally:
            del self.leeway


class WebSocketWithoutSignature(StrictApp):
    def check_handshake(self, fields: Fields) -> None:
        self.check_claims(self.parse(self.decode(self.handshake_token(fields).split(".")[1])))

    def handshake_token(self, fields: Fields) -> str:
        return self.token_of([value for name, value in fields if name == "authorization"])


class WebSocketTakesUnsigned(WebSocketWithoutSignature):
    def check_handshake(self, fields: Fields) -> None:
        if self.handshake_token(fields).endswith("."):
            super().check_handshake(fields)
        else:
            self.authenticate(fields, "")


class WebSocketTakesUnknownKeys(WebSocketWithoutSignature):
    def check_handshake(self, fields: Fields) -> None:
        header = self.parse(self.decode(self.handshake_token(fields).split(".")[0]))
        if header["kid"] in self.d1.kids:
            self.authenticate(fields, "")


class WebSocketTakesFirstHeader(WebSocketWithoutSignature):
    def check_handshake(self, fields: Fields) -> None:
        self.authenticate([field for field in fields if field[0] == "authorization"][:1], "")


class OnlyPostIsGuarded(StrictApp):
    def is_open(self, method: str, path: str) -> bool:
        return (method != "POST" and path.startswith("/merchant-gateways/")) or super().is_open(method, path)


class ReadingIsNotGuarded(StrictApp):
    def is_open(self, method: str, path: str) -> bool:
        return (method in {"GET", "HEAD"} and path.startswith("/merchant-gateways/")) or super().is_open(method, path)


class _OpenByTheWholeURL(StrictApp):
    def send_call(self, call: Call) -> Answer:
        self.target = call.target("/")
        return super().send_call(call)

    def is_open(self, method: str, path: str) -> bool:
        return self.target.endswith(OPEN_PATH) if self.looks_at(method) else super().is_open(method, path)

    def looks_at(self, method: str) -> bool:
        raise NotImplementedError


class OpenByQuery(_OpenByTheWholeURL):
    def looks_at(self, method: str) -> bool:
        return method == "POST" and self.target != OPEN_PATH


class OpenToReadersByQuery(_OpenByTheWholeURL):
    def looks_at(self, method: str) -> bool:
        return method == "GET" and "?" in self.target


class OneTimeTokens(StrictApp):
    def verify(self, jwt: str) -> dict[str, Any]:
        seen = self.__dict__.setdefault("seen", set())
        if jwt in seen:
            raise RefusedError
        seen.add(jwt)
        return super().verify(jwt)


class _Remembers(StrictApp):
    """Remembers verified tokens by a part of them."""

    def part(self, jwt: str) -> str:
        raise NotImplementedError

    def verify(self, jwt: str) -> dict[str, Any]:
        known: dict[str, dict[str, Any]] = self.__dict__.setdefault("known", {})
        if jwt.count(".") != 2:
            return super().verify(jwt)
        part = self.part(jwt)
        if part in known and self.d1.kid == known[part]["key"]:
            return known[part]
        claims = super().verify(jwt)
        known[part] = {**claims, "key": self.d1.kid}
        return claims


class RemembersByPrefix(_Remembers):
    def part(self, jwt: str) -> str:
        return jwt[:-8]


class RemembersBySignature(_Remembers):
    def part(self, jwt: str) -> str:
        return jwt.split(".")[2]


class RemembersByContent(_Remembers):
    def part(self, jwt: str) -> str:
        return jwt.rpartition(".")[0]


class RemembersBeyondTheKey(StrictApp):
    def verify(self, jwt: str) -> dict[str, Any]:
        known: dict[str, dict[str, Any]] = self.__dict__.setdefault("known", {})
        if jwt not in known:
            known[jwt] = super().verify(jwt)
        return known[jwt]


class RemembersBeyondExp(StrictApp):
    """Asks again only whether the key is still there."""

    def verify(self, jwt: str) -> dict[str, Any]:
        known: dict[str, tuple[str, dict[str, Any]]] = self.__dict__.setdefault("known", {})
        if jwt not in known or known[jwt][0] not in self.d1.kids:
            known[jwt] = (self.d1.kid, super().verify(jwt))
        return known[jwt][1]


class KeysLoadedOnce(StrictApp):
    def __init__(self, fake_d1: Any) -> None:
        super().__init__(fake_d1)
        self.loaded = super().keys()

    def key_id(self, header: dict[str, Any]) -> Any:
        if header.get("kid") not in tuple(self.keys()):
            raise RefusedError
        return header["kid"]

    def keys(self) -> dict[str, dict[str, str]]:
        return self.loaded


class KeysNeverForgotten(KeysLoadedOnce):
    def keys(self) -> dict[str, dict[str, str]]:
        with contextlib.suppress(AttributeError):
            self.loaded |= StrictApp.keys(self)
        return self.loaded


class LetsEverythingThrough(StrictApp):
    def send_call(self, call: Call) -> Answer:
        return Answer(101 if call.kind == "websocket" else 200, {})


class LetsNothingThrough(StrictApp):
    def send_call(self, call: Call) -> Answer:
        raised = {"400": 400, "403": 403}.get(call.expect.value, 401)
        return self.refuse(RefusedError(raised), [])

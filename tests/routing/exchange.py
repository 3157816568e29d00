"""One request to a guarded app and to its unguarded twin, and what must be true of both."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass
from typing import Any

from d1verify import D1Token

from ..support import KEY, SUBJECT
from .apps import App, Guard, Journal, Seen, Site, Workshop
from .hostile import Request

REFUSALS = (b'{"error":"missing_token"', b'{"error":"invalid_token"', b'{"error":"invalid_request"')


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back: messages, or the kind of error that came out; and how often the app asked for input."""

    messages: tuple[Any, ...]
    error: type[BaseException] | None
    reads: int
    seen: tuple[Seen, ...]
    scope_at_guard: dict[str, Any] | None

    @property
    def answer(self) -> tuple[Any, ...]:
        """What the caller can tell."""
        return self.messages, self.error, [(one.where, one.kind, one.method) for one in self.seen]

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


class Twin:
    """A site without any guard, which shows how a request is served that gets through."""

    def __init__(self, site: Site, loop: asyncio.AbstractEventLoop) -> None:
        self.run, self.shop = loop.run_until_complete, Workshop(None)
        self.app = site.build(self.shop)
        self.last: tuple[Request, Outcome] | None = None

    def outcome(self, request: Request) -> Outcome:
        """Return what comes of the request; asked again about the same one, it knows."""
        if self.last is None or self.last[0] is not request:
            self.last = request, self.run(exchange(self.app, fresh(request), self.shop.journal))
        return self.last[1]


class Pair:
    """A site as it is guarded, and its twin."""

    def __init__(self, twin: Twin, site: Site, guard: Guard) -> None:
        self.site, self.twin, self.run = site, twin, twin.run
        self.guarded = Workshop(guard)
        self.guarded_app = site.build(self.guarded)

    def check(self, request: Request) -> None:
        """Send the request.

        Raises:
            AssertionError: somebody reached what he must not, or who may call was not served as without a guard.
        """
        outcome = self.run(exchange(self.guarded_app, fresh(request), self.guarded.journal))
        assert not self.guarded.journal.leaked, "the guard wrote into the scope of whoever called it"
        guarded = [one for one in outcome.seen if one.guarded]
        if request.entitled and request.scope.get("type") in ("http", "websocket"):
            for one in guarded:
                self.check_identified(one)
        else:
            for one in guarded:
                self.check_open(one, outcome)
            if not outcome.seen and outcome.scope_at_guard is not None and not self.is_open(outcome.scope_at_guard):
                check_refused(outcome, outcome.scope_at_guard)
                return
        same = outcome.answer == self.twin.outcome(request).answer
        if request.entitled or outcome.seen:
            assert same, "served otherwise than without a guard"
        elif not same:
            check_refused(outcome, outcome.scope_at_guard or request.scope)

    def check_identified(self, one: Seen) -> None:
        if one.token is None and one.where in (*self.site.exclude, *self.site.exclude_within):
            return  # A token on an excluded path is not looked at.
        assert isinstance(one.token, D1Token), f"{one.where} saw no token"
        assert (one.token.kid, one.token.subject) == (KEY.kid, SUBJECT)
        if not self.site.by_dependency:
            assert getattr(one.user, "token", None) is one.token, f"{one.where} saw another user"
            assert one.scopes == ["d1"]

    def check_open(self, one: Seen, outcome: Outcome) -> None:
        """Only an excluded endpoint, only GET and HEAD, only spelt as configured, and as nobody in particular."""
        told = f"{one.where} was reached without a token"
        assert outcome.scope_at_guard is not None, f"{told}, and without the guard"
        assert one.where in self.site.exclude, told
        assert self.is_open(outcome.scope_at_guard, one.where), f"{told}, over what is not open"
        assert one.token is None, told
        assert one.scopes == [], f"{told} by somebody"
        assert not getattr(one.user, "is_authenticated", True), f"{told} by somebody"

    def is_open(self, scope: dict[str, Any], *paths: str) -> bool:
        """Tell whether this is GET or HEAD, and the raw path is, to the letter, an excluded one (or one of `paths`)."""
        mount, raw = scope.get("root_path", ""), scope.get("raw_path")
        written = raw.encode() if isinstance(raw, str) else raw
        literals = [text.encode() for path in paths or self.site.exclude for text in (path, mount + path)]
        return scope.get("type") == "http" and scope["method"] in ("GET", "HEAD") and written in literals


def check_refused(outcome: Outcome, scope: dict[str, Any]) -> None:
    """Nothing was reached: the answer is one of ours, and nothing but `websocket.connect` was received."""
    kind = scope.get("type")
    if kind not in ("http", "websocket"):
        assert outcome.error is not None or kind == "lifespan", "an unknown scope type was passed on"
        return
    assert outcome.error is None, f"refused with {outcome.error}"
    assert outcome.reads == (1 if kind == "websocket" else 0), "something was received before the decision"
    first = outcome.messages[0]
    if first["type"] == "websocket.close":
        assert first["code"] == 1008, "closed with another code"
        return
    assert first["status"] in (400, 401), f"neither served nor refused: {first['status']}"
    if kind == "http" and scope["method"] == "HEAD" and not outcome.body:
        return
    assert outcome.body.removeprefix(b'{"detail":').rstrip(b"}") in REFUSALS, "answered with another body"


def fresh(request: Request) -> dict[str, Any]:
    """Return the scope as if it had just been made, so that no request sees what another left."""
    scope = dict(request.scope)
    scope["headers"] = list(scope["headers"])
    for key in ("state", "path_params"):
        if key in scope:
            scope[key] = copy.copy(scope[key])
    return scope


async def exchange(app: App, scope: dict[str, Any], journal: Journal) -> Outcome:
    """Serve one connection."""
    journal.clear()
    messages: list[Any] = []
    reads = 0
    waiting: list[dict[str, Any]] = [{"type": "http.request", "body": b"{}", "more_body": False}]
    if scope.get("type") == "websocket":
        waiting = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]
    elif scope.get("type") == "lifespan":
        waiting = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> dict[str, Any]:
        nonlocal reads
        reads += 1
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        messages.append(message)

    error: type[BaseException] | None = None
    try:
        await app(scope, receive, send)
    except Exception as raised:
        error = type(raised)
    at_guard = journal.scopes[0] if journal.scopes else None
    return Outcome(tuple(messages), error, reads, tuple(journal.seen), at_guard)

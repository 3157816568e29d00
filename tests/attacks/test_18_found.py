"""Chapters 17 and 18: settings that open the door, and what was found while this was designed."""

from __future__ import annotations

import inspect
import math
import re
import threading
import tomllib
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import d1verify
from d1verify import ConfigurationError, D1Token, D1Verifier, KeyCache, KeySet, KeyStoreError, TokenError
from d1verify.asgi import D1AuthMiddleware

from ..support import KEY, NOW, OTHER_KEY, SUBJECT, Clock, ScriptedStore, key_set, make_verifier, refused
from .asgi_calls import Guarded, status

ROOT = Path(__file__).resolve().parents[2]


def cached(store: ScriptedStore, timer: Clock, **settings: Any) -> D1Verifier:
    return make_verifier(KeyCache(store, timer=timer), **settings)


def test_a259_there_is_no_switch_that_turns_checks_off() -> None:
    suspicious = re.compile("skip|insecure|unsafe|disable|verify_|allow|test|debug|options|algorithm")
    for callable_ in (D1Verifier, D1AuthMiddleware, KeyCache):
        assert not [name for name in inspect.signature(callable_).parameters if suspicious.search(name)]


@pytest.mark.parametrize(
    "setting", [{"verify": False}, {"audiences": "stg"}, {"sub": SUBJECT}, {"env": "prd"}], ids=repr
)
def test_a260_an_unknown_option_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        make_verifier(**setting)


EXCLUDES = [
    *[
        pytest.param([path], id=f"A260-{path!r}")
        for path in ("/", "", "*", "/*", "health", "//", "/a/", "/a?b", "/%61")
    ],
    pytest.param("/health", id="A261-a bare string"),
    pytest.param(b"/health", id="A261-bytes"),
    pytest.param([None], id="A261-None in it"),
    pytest.param([b"/health"], id="A261-bytes in it"),
    pytest.param(5, id="A261-a number"),
]


@pytest.mark.parametrize("exclude", EXCLUDES)
@pytest.mark.anyio
async def test_an_exclusion_that_opens_too_much_is_refused(exclude: Any) -> None:
    try:
        guarded = Guarded(exclude=exclude)
    except ConfigurationError:
        return
    assert exclude == ["/a/"]  # Literal, so it opens exactly that.
    assert status(await guarded.call(path="/a", method="GET")) == 401


def test_a261_one_audience_and_not_its_letters() -> None:
    for audience in (["stg"], ("stg", "prd"), {"stg"}):
        with pytest.raises(ConfigurationError, match="audience"):
            make_verifier(audience=audience)


def test_a262_authlib_s_own_jose_is_nowhere_used() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(d1verify.__file__).parent.rglob("*.py"))
    assert "authlib.oauth2" in sources
    assert not re.search(r"authlib\.jose|from authlib import .*jose|key=None", sources)


FLOORS = {"authlib": (1, 7, 2), "joserfc": (1, 7, 4), "starlette": (1, 3, 1), "cryptography": (46, 0, 5)}


@pytest.mark.parametrize("name", FLOORS)
def test_a263_the_floors_of_dependencies_are_safe(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (requirement,) = [one for one in project["dependencies"] if re.split(r"[>=\[]", one)[0] == name]
    assert tuple(int(part) for part in requirement.rpartition(">=")[2].split(".")) >= FLOORS[name]


def test_a266_settings_cannot_be_swapped_by_position() -> None:
    with pytest.raises(TypeError):
        D1Verifier(ScriptedStore(), "stg", SUBJECT)  # type: ignore[call-arg]


def test_a269_a_token_is_no_request_body() -> None:
    def handler(token: D1Token) -> None: ...

    with pytest.raises(TypeError, match="Depends"):
        FastAPI().post("/pay")(handler)


def test_a271_a_busy_cached_token_does_not_keep_a_withdrawn_key_alive() -> None:
    timer, store = Clock(0.0), ScriptedStore(key_set(KEY, max_age=10, max_stale=10))
    verifier, token = cached(store, timer), KEY.mint()
    verifier.verify(token)
    store.answer = KeyStoreError("gone")
    answers = []
    for _ in range(30):
        timer.advance(1)
        try:
            verifier.verify(token)
            answers.append("ok")
        except KeyStoreError:
            answers.append("no")
    assert answers[19:] == ["no"] * 11


def test_a272_a_load_that_never_returns_is_given_up() -> None:
    timer, store = Clock(0.0), ScriptedStore(key_set(KEY))
    verifier = cached(store, timer)
    verifier.warm_up()
    store.released.clear()
    timer.advance(95)
    verifier.verify(KEY.mint())  # Starts a load that hangs.
    timer.advance(11)
    verifier.verify(KEY.mint())
    assert verifier.health().last_error is not None
    store.released.set()
    timer.advance(31)
    verifier.refresh()
    assert verifier.health().last_error is None


@pytest.mark.anyio
async def test_a273_a_cancelled_waiter_cancels_nobody() -> None:
    store = ScriptedStore(key_set(KEY))
    store.released.clear()
    verifier, subjects = make_verifier(store), []

    async def call() -> None:
        subjects.append((await verifier.averify(KEY.mint())).subject)

    async def cancelled_call(scope: anyio.CancelScope) -> None:
        with scope:
            await call()

    first = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(cancelled_call, first)  # The one that starts the load.
        await anyio.wait_all_tasks_blocked()
        group.start_soon(call)
        group.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        await anyio.wait_all_tasks_blocked()
        store.released.set()
    assert (subjects, store.loads) == ([SUBJECT, SUBJECT], 1)


@pytest.mark.parametrize("lost", [math.nan, -math.nan])
@pytest.mark.parametrize("size", [0, 16])
def test_a275_a_clock_that_returns_nan_refuses(lost: float, size: int) -> None:
    clock = Clock()
    verifier, token = make_verifier(clock=clock, token_cache_size=size), KEY.mint()
    verifier.verify(token)
    clock.now = lost
    assert refused(lambda: verifier.verify(token)) == "expired"


def test_a276_an_empty_source_seen_twice_revokes_everything() -> None:
    timer, store = Clock(0.0), ScriptedStore(key_set(KEY))
    verifier, token = cached(store, timer), KEY.mint()
    verifier.verify(token)
    store.answer = KeySet({})
    with pytest.raises(KeyStoreError):
        verifier.refresh()
    verifier.verify(token)
    timer.advance(1)
    verifier.refresh()
    assert refused(lambda: verifier.verify(token)) == "keys_unavailable"
    assert verifier.health().state == "revoked"


def test_a277_junk_kids_during_an_outage_cause_no_load_of_their_own() -> None:
    timer, store = Clock(0.0), ScriptedStore(key_set(KEY))
    verifier = cached(store, timer)
    verifier.verify(KEY.mint())
    store.answer = KeyStoreError("gone")
    junk = OTHER_KEY.mint()
    for _ in range(190):
        timer.advance(0.1)
        refused(lambda: verifier.verify(junk))
    assert store.loads == 2


def test_a279_a_token_for_one_merchant_on_the_path_of_another() -> None:
    token = make_verifier(subject=[SUBJECT, "MGW_000002"]).verify(KEY.mint())
    token.require_subject(SUBJECT)
    with pytest.raises(TokenError, match="another merchant gateway"):
        token.require_subject("MGW_000002")


def test_a280_an_excluded_path_has_an_unauthenticated_user() -> None:
    async def health(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.user.is_authenticated} {request.auth.scopes} {request.user.display_name!r}")

    middleware = [Middleware(D1AuthMiddleware, verifier=make_verifier(), exclude=("/health",))]
    client = TestClient(Starlette(routes=[Route("/health", health)], middleware=middleware))
    assert client.get("/health").text == "False [] ''"
    assert client.get("/other").status_code == 401


def test_a276_threads_see_the_withdrawal_too() -> None:
    timer, store = Clock(0.0), ScriptedStore(key_set(KEY))
    verifier, token = cached(store, timer), KEY.mint(exp=NOW + 60)
    verifier.verify(token)
    store.answer = key_set(OTHER_KEY)
    verifier.refresh()
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(refused(lambda: verifier.verify(token)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["unknown_key"] * 4

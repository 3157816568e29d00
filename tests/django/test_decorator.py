"""`d1_required` above views of every kind."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.http import require_POST
from rest_framework.request import Request

from d1verify import ConfigurationError, D1Token, D1Verifier, KeyStoreError, TokenError
from d1verify.django import d1_required, get_token
from d1verify.drf import D1Authentication
from tests.support import SUBJECT, ScriptedStore, make_verifier

from .conftest import GOOD, OTHER_GATEWAY, HangingStore, answer_of

Configure = Callable[..., None]
ANY_GATEWAY = [SUBJECT, "MGW_000002"]


def show(request: HttpRequest, **_kwargs: object) -> HttpResponse:
    return HttpResponse(get_token(request).subject)


async def async_show(request: HttpRequest, **kwargs: object) -> HttpResponse:
    return show(request, **kwargs)


class Show(View):
    def post(self, request: HttpRequest, **kwargs: object) -> HttpResponse:
        return show(request, **kwargs)


class AsyncShow(View):
    async def post(self, request: HttpRequest, **kwargs: object) -> HttpResponse:
        return show(request, **kwargs)


def guarded_class(base: type[View], verifier: D1Verifier, *more: Any) -> Any:
    """Return a view of a subclass whose dispatch has the decorator, and perhaps others below it."""
    decorators = [d1_required(verifier, "gateway"), *more]
    cls: Any = method_decorator(decorators, name="dispatch")(type("Guarded", (base,), {}))
    return cls.as_view()


def plain(view: Any) -> Any:
    """Stand for a decorator that knows nothing of async."""

    @wraps(view)
    def passed_on(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return passed_on


KINDS: dict[str, Callable[[D1Verifier], Any]] = {
    "sync": lambda verifier: d1_required(verifier, "gateway")(show),
    "async": lambda verifier: d1_required(verifier, "gateway")(async_show),
    "class": lambda verifier: guarded_class(Show, verifier),
    "async class": lambda verifier: guarded_class(AsyncShow, verifier),
    "under another decorator": lambda verifier: require_POST(d1_required(verifier, "gateway")(show)),
    "over another decorator": lambda verifier: d1_required(verifier, "gateway")(require_POST(show)),
    "class, over another decorator": lambda verifier: guarded_class(Show, verifier, require_POST),
    "async class, over another decorator": lambda verifier: guarded_class(AsyncShow, verifier, plain),
}


@pytest.fixture(params=KINDS)
def make_view(request: pytest.FixtureRequest) -> Callable[[D1Verifier], Any]:
    return KINDS[request.param]


@pytest.fixture
def mounted(make_view: Callable[[D1Verifier], Any], configure: Configure) -> None:
    configure(path("gateways/<str:gateway>", make_view(make_verifier(subject=ANY_GATEWAY))))


@pytest.mark.usefixtures("mounted")
def test_asks_for_no_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post(f"/gateways/{SUBJECT}", headers={"Authorization": GOOD})
    assert (answer.status_code, answer.content) == (200, SUBJECT.encode())
    assert client.post(f"/gateways/{SUBJECT}").status_code == 401


@pytest.mark.usefixtures("mounted")
def test_compares_path_and_subject() -> None:
    answer = Client().post(f"/gateways/{SUBJECT}", headers={"Authorization": OTHER_GATEWAY})
    assert answer.status_code == 403
    assert answer.content == b'{"error":"insufficient_scope"}'
    assert Client().post("/gateways/MGW_000002", headers={"Authorization": OTHER_GATEWAY}).status_code == 200


@pytest.mark.usefixtures("mounted")
def test_answers_with_exactly_the_headers_of_a_refusal(configure: Configure) -> None:
    configure(MIDDLEWARE=[])
    answer = Client().post("/gateways/x")
    assert dict(answer.items()) == {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "Content-Length": "25",
        "WWW-Authenticate": 'Bearer realm="d1"',
    }


@pytest.mark.usefixtures("mounted")
@pytest.mark.parametrize("sent", [GOOD, OTHER_GATEWAY, "Bearer x", None], ids=["good", "403", "bad", "none"])
def test_answers_on_asgi_what_it_answers_on_wsgi(sent: str | None) -> None:
    headers = {} if sent is None else {"Authorization": sent}
    on_wsgi = Client().post(f"/gateways/{SUBJECT}", headers=headers)

    async def ask() -> Any:
        return await AsyncClient().post(f"/gateways/{SUBJECT}", headers=headers)

    on_asgi = asyncio.run(ask())
    assert (on_asgi.status_code, on_asgi.content) == (on_wsgi.status_code, on_wsgi.content)
    assert on_asgi.headers == on_wsgi.headers


def test_needs_no_login(configure: Configure) -> None:
    configure(path("notify", d1_required(make_verifier())(show)), path("open", show))
    configure(
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.auth.middleware.LoginRequiredMiddleware",
        ],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        LOGIN_URL="/login",
    )
    assert Client().get("/notify", headers={"Authorization": GOOD}).status_code == 200
    assert Client().get("/open", headers={"Authorization": GOOD}).status_code == 302


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_load_blocks_no_event_loop(kind: str, configure: Configure) -> None:
    store = HangingStore()
    configure(path("gateways/<str:gateway>", KINDS[kind](make_verifier(store))))
    headers = {"Authorization": GOOD}
    assert answer_of(lambda: AsyncClient().post(f"/gateways/{SUBJECT}", headers=headers), store).status_code == 200


def test_a_guarded_async_view_is_async_to_django() -> None:
    assert iscoroutinefunction(d1_required(make_verifier())(async_show))
    assert not iscoroutinefunction(d1_required(make_verifier())(show))


def test_the_view_finds_the_token() -> None:
    request = RequestFactory().get("/", headers={"Authorization": GOOD})
    assert d1_required(make_verifier())(show)(request).content == SUBJECT.encode()
    token = request.d1_token  # type: ignore[attr-defined]
    assert isinstance(token, D1Token)
    assert get_token(request) is token


def test_get_token_refuses_where_nothing_was_verified() -> None:
    request = RequestFactory().get("/")
    with pytest.raises(TokenError) as caught:
        get_token(request)
    assert caught.value.reason == "missing_token"
    request.d1_token = SUBJECT  # type: ignore[attr-defined]
    with pytest.raises(TokenError):
        get_token(request)


def test_another_verifier_judges_anew() -> None:
    both = d1_required(make_verifier())(d1_required(make_verifier(subject="MGW_000002"))(show))
    assert both(RequestFactory().get("/", headers={"Authorization": GOOD})).status_code == 401


def test_the_same_verifier_judges_once() -> None:
    events: list[object] = []

    class Observer:
        def notify(self, event: object) -> None:
            events.append(type(event).__name__)

    verifier = make_verifier(observer=Observer())
    twice = d1_required(verifier)(d1_required(verifier, "gateway")(show))
    request = RequestFactory().get("/", headers={"Authorization": GOOD})
    assert twice(request, gateway=SUBJECT).status_code == 200
    assert events.count("Verification") == 1


def test_the_same_verifier_judges_once_on_an_event_loop_too() -> None:
    verifier = make_verifier()
    twice = d1_required(verifier)(d1_required(verifier, "gateway")(async_show))
    for gateway, status in ((SUBJECT, 200), ("MGW_000002", 403)):
        request = AsyncRequestFactory().get("/", headers={"Authorization": GOOD})
        assert asyncio.run(twice(request, gateway=gateway)).status_code == status


def test_a_token_in_hand_is_still_compared_with_the_path() -> None:
    verifier = make_verifier()
    twice = d1_required(verifier)(d1_required(verifier, "gateway")(show))
    request = RequestFactory().get("/", headers={"Authorization": GOOD})
    assert twice(request, gateway="MGW_000002").status_code == 403


@pytest.mark.parametrize("value", [1, None, SUBJECT.lower(), f"{SUBJECT} ", SUBJECT.encode()], ids=repr)
def test_a_path_argument_is_compared_as_it_is(value: object) -> None:
    request = RequestFactory().get("/", headers={"Authorization": GOOD})
    assert d1_required(make_verifier(), "gateway")(show)(request, gateway=value).status_code == 403
    assert not hasattr(request, "d1_token")


def test_fails_closed_where_the_route_has_no_such_argument(configure: Configure) -> None:
    view = d1_required(make_verifier(), "gatewayId")(show)
    request = RequestFactory().get("/", headers={"Authorization": GOOD})
    with pytest.raises(ConfigurationError, match="no argument 'gatewayId'"):
        view(request, gateway=SUBJECT)
    configure(path("gateways/<str:gateway>", view))
    client = Client(raise_request_exception=False)
    assert client.get(f"/gateways/{SUBJECT}", headers={"Authorization": GOOD}).status_code == 500
    assert client.get(f"/gateways/{SUBJECT}").status_code == 401


def test_logs_a_refusal_by_path_once(caplog: pytest.LogCaptureFixture) -> None:
    request = RequestFactory().get("/", headers={"Authorization": GOOD})
    d1_required(make_verifier(), "gateway")(show)(request, gateway="MGW_000002")
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.WARNING, "refused a call: insufficient_scope (kid d1-key-1)")
    ]


def test_answers_503_while_the_keys_cannot_be_had() -> None:
    verifier = make_verifier(ScriptedStore(KeyStoreError("the disk is gone")))
    answer = d1_required(verifier)(show)(RequestFactory().get("/", headers={"Authorization": GOOD}))
    assert answer.status_code == 503
    assert "WWW-Authenticate" not in answer
    assert int(answer["Retry-After"]) >= 1


@pytest.mark.parametrize("given", [None, True, SUBJECT, []], ids=repr)
def test_what_is_no_token_lets_nobody_through(given: Any) -> None:
    class Careless:
        def verify_header(self, value: object) -> Any:
            return given

        async def averify_header(self, value: object) -> Any:
            return given

    request = RequestFactory().get("/", headers={"Authorization": GOOD})
    with pytest.raises(TypeError, match="D1Token"):
        d1_required(Careless())(show)(request)
    with pytest.raises(TypeError, match="D1Token"):
        asyncio.run(d1_required(Careless())(async_show)(request))
    with pytest.raises(TypeError, match="D1Token"):
        D1Authentication.using(Careless(), optional=True)().authenticate(Request(request))


def test_head_gets_the_length_and_no_body() -> None:
    answer = d1_required(make_verifier())(show)(RequestFactory().head("/"))
    assert (answer.content, answer["Content-Length"]) == (b"", "25")


def test_the_debug_page_of_a_failing_view_shows_no_token(configure: Configure) -> None:
    def fail(request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError

    async def async_fail(request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError

    guard = d1_required(make_verifier())
    configure(path("sync", guard(fail)), path("async", guard(async_fail)), DEBUG=True)
    client = Client(raise_request_exception=False)
    for target in ("/sync", "/async"):
        answer = client.get(target, headers={"Authorization": GOOD})
        assert (answer.status_code, b"ZeroDivisionError" in answer.content) == (500, True)
        assert not any(part.encode() in answer.content for part in GOOD.removeprefix("Bearer ").split("."))


def test_takes_the_verifier_of_the_settings_at_the_first_request(configure: Configure) -> None:
    view = d1_required()(show)
    request = RequestFactory().get("/", headers={"Authorization": GOOD})
    with pytest.raises(ConfigurationError, match="D1VERIFY must be set"):
        view(request)
    configure(D1VERIFY={"VERIFIER": make_verifier(), "REALM": "merchant"})
    assert view(request).status_code == 200
    assert view(RequestFactory().get("/"))["WWW-Authenticate"] == 'Bearer realm="merchant"'
    configure(D1VERIFY={"VERIFIER": make_verifier(subject="MGW_000002")})
    assert view(RequestFactory().get("/", headers={"Authorization": GOOD})).status_code == 401


def test_says_that_the_app_is_not_installed(configure: Configure) -> None:
    configure(INSTALLED_APPS=[], D1VERIFY={"VERIFIER": make_verifier()})
    with pytest.raises(ConfigurationError, match="INSTALLED_APPS"):
        d1_required()(show)(RequestFactory().get("/"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: d1_required(show), "write @d1_required"),  # type: ignore[arg-type]
        (lambda: d1_required(object()), "verify_header"),  # type: ignore[arg-type]
        (lambda: d1_required(D1Verifier), "verify_header"),  # type: ignore[arg-type]
        (lambda: d1_required(make_verifier())(Show), "method_decorator"),
        (lambda: d1_required(make_verifier())(None), "method_decorator"),  # type: ignore[type-var]
        (lambda: d1_required(make_verifier(), ""), "path_kwarg"),
        (lambda: d1_required(make_verifier(), "<str:gateway>"), "path_kwarg"),
        (lambda: d1_required(make_verifier(), 1), "path_kwarg"),  # type: ignore[arg-type]
        (lambda: d1_required(make_verifier(), realm='"'), "realm"),
        (lambda: d1_required(make_verifier(), reveal_reason="no"), "reveal_reason"),  # type: ignore[arg-type]
        (lambda: d1_required(realm="d1"), "D1VERIFY settings"),
        (lambda: d1_required(reveal_reason=False), "D1VERIFY settings"),
    ],
)
def test_a_mistake_is_named_where_it_is_made(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


@pytest.mark.parametrize(
    ("module", "missing", "message"),
    [
        ("d1verify.django", "django", 'pip install "d1verify[django]"'),
        ("d1verify.drf", "django", 'pip install "d1verify[drf]"'),
        ("d1verify.drf", "rest_framework", 'pip install "d1verify[drf]"'),
    ],
)
def test_a_missing_extra_is_named(module: str, missing: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if f"{name}.".startswith((f"{missing}.", f"{module}."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError) as caught:
        importlib.import_module(module)
    assert message in str(caught.value)

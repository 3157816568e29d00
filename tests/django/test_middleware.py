"""`D1Middleware`: everything is guarded but what is exempt, whatever the stack and its order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from asgiref.sync import iscoroutinefunction
from django.http import Http404, HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path, register_converter
from django.utils.decorators import method_decorator, sync_and_async_middleware
from django.views import View

from d1verify import ConfigurationError, KeyStoreError
from d1verify.django import D1Middleware, d1_exempt, d1_required
from tests.django_settings import D1_MIDDLEWARE, MIDDLEWARE, Routes
from tests.edges.cases import NoKeys
from tests.support import SUBJECT, ScriptedStore, make_verifier

from .conftest import GOOD

Configure = Callable[..., None]
Ask = Callable[..., Any]


def show(request: HttpRequest, **_kwargs: object) -> HttpResponse:
    token = request.d1_token  # type: ignore[attr-defined]
    return HttpResponse("nobody" if token is None else token.subject)


async def async_show(request: HttpRequest, **kwargs: object) -> HttpResponse:
    return show(request, **kwargs)


@d1_exempt
def health(request: HttpRequest) -> HttpResponse:
    return show(request)


@d1_exempt(methods=["POST"])
async def hook(request: HttpRequest) -> HttpResponse:
    return show(request)


@method_decorator(d1_exempt, name="dispatch")
class Health(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return show(request)

    post = get


class Exploding:
    regex = "[a-z]+"

    def to_python(self, value: str) -> str:
        if value == "missing":
            raise Http404
        raise ZeroDivisionError

    def to_url(self, value: str) -> str:
        return value


register_converter(Exploding, "exploding")

ROUTES = (
    path("notify", show),
    path("async", async_show),
    path("gateways/<str:gateway>", d1_required(path_kwarg="gateway")(show)),
    path("health", health),
    path("hook", hook),
    path("class-health", Health.as_view()),
    path("both", d1_required()(health)),
    path("shown", d1_exempt(show)),
    path("async-shown", d1_exempt(async_show)),
    path("slashed/", show),
    path("exploding/<exploding:value>", health),
)


def ask_on_wsgi(method: str, target: str, **headers: str) -> Any:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    return client.generic(method, target, headers=headers)


def ask_on_asgi(method: str, target: str, **headers: str) -> Any:
    async def ask() -> Any:
        client = AsyncClient(enforce_csrf_checks=True, raise_request_exception=False)
        return await client.generic(method, target, headers=headers)

    return asyncio.run(ask())


@pytest.fixture(params=[ask_on_wsgi, ask_on_asgi], ids=["wsgi", "asgi"])
def ask(request: pytest.FixtureRequest, configure: Configure) -> Ask:
    configure(*ROUTES, MIDDLEWARE=D1_MIDDLEWARE, D1VERIFY={"VERIFIER": make_verifier()})
    chosen: Ask = request.param
    return chosen


def is_refused(answer: Any, error: bytes = b"missing_token") -> bool:
    return bool(answer.status_code == 401 and answer.content == b'{"error":"%s"}' % error)


@pytest.mark.parametrize("target", ["/notify", "/async"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_lets_a_good_token_through_without_csrf_token(method: str, target: str, ask: Ask) -> None:
    answer = ask(method, target, Authorization=GOOD)
    assert (answer.status_code, answer.content) == (200, SUBJECT.encode())


@pytest.mark.parametrize("target", ["/notify", "/async", "/both", "/hook", f"/gateways/{SUBJECT}"])
def test_refuses_what_is_not_exempt(target: str, ask: Ask) -> None:
    assert is_refused(ask("GET", target))
    assert is_refused(ask("GET", target, Authorization="Bearer x"), b"invalid_token")


@pytest.mark.parametrize("target", ["/nowhere", "/slashed", "/exploding/missing", "/exploding/value"])
def test_nobody_learns_from_outside_which_paths_there_are(target: str, ask: Ask) -> None:
    assert is_refused(ask("GET", target))
    assert is_refused(ask("POST", target))
    assert ask("GET", target, Authorization=GOOD).status_code in (301, 404, 500)


@pytest.mark.parametrize(
    "sent", [{}, {"Authorization": "Bearer x"}, {"Authorization": GOOD}], ids=["no", "bad", "good"]
)
@pytest.mark.parametrize(("method", "target"), [("GET", "/health"), ("HEAD", "/health"), ("GET", "/class-health")])
def test_in_an_exempt_view_nobody_is_known(method: str, target: str, sent: dict[str, str], ask: Ask) -> None:
    answer = ask(method, target, **sent)
    assert answer.status_code == 200
    assert method == "HEAD" or answer.content == b"nobody"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("target", ["/health", "/class-health"])
def test_an_exempt_view_is_open_to_reading_only(method: str, target: str, ask: Ask) -> None:
    assert is_refused(ask(method, target))


def test_other_methods_are_opened_by_name(ask: Ask) -> None:
    answer = ask("POST", "/hook")
    assert answer.status_code == 403, "an exempt view is under CSRF protection like any other"
    assert b"CSRF" in answer.content
    assert is_refused(ask("GET", "/hook"))


@pytest.mark.parametrize("escaped", ["/%68ealth", "/health%2F", "/h%C3%A9alth"])
def test_an_exempt_view_is_open_at_its_plain_path_only(escaped: str, configure: Configure) -> None:
    configure(path("health", health), path("h\u00e9alth", health), D1VERIFY={"VERIFIER": make_verifier()})
    guard, factory = D1Middleware(health), RequestFactory()
    for raw in ("RAW_URI", "REQUEST_URI"):
        refused: Any = guard(factory.request(PATH_INFO=unquote_to_bytes(escaped).decode("latin-1"), **{raw: escaped}))
        assert is_refused(refused)
        opened: Any = guard(factory.request(PATH_INFO="/health", **{raw: "/health?deep=1"}))
        assert opened.status_code == 200


@pytest.mark.parametrize(("raw", "status"), [("/health", 200), ("/d1/health", 200), ("/d2/health", 401)])
def test_an_exempt_view_is_open_under_a_mount(raw: str, status: int, configure: Configure) -> None:
    configure(path("health", health), D1VERIFY={"VERIFIER": make_verifier()})
    answer: Any = D1Middleware(health)(RequestFactory().get("/health", SCRIPT_NAME="/d1", RAW_URI=raw))
    assert answer.status_code == status


def test_a_method_is_taken_as_it_was_written(configure: Configure) -> None:
    configure(path("health", health), D1VERIFY={"VERIFIER": make_verifier()})
    request = RequestFactory().generic("get", "/health")
    assert request.method == "GET"
    answer: Any = D1Middleware(health)(request)
    assert is_refused(answer)


def test_compares_path_and_subject_where_the_decorator_says_so(ask: Ask) -> None:
    assert ask("POST", f"/gateways/{SUBJECT}", Authorization=GOOD).status_code == 200
    assert ask("POST", "/gateways/MGW_000002", Authorization=GOOD).status_code == 403


def test_an_exempt_view_asks_for_no_keys(ask: Ask, configure: Configure) -> None:
    no_keys = NoKeys()
    configure(D1VERIFY={"VERIFIER": no_keys})
    assert ask("GET", "/health", Authorization=GOOD).status_code == 200
    assert no_keys.asked == 0
    assert ask("GET", "/notify", Authorization=GOOD).status_code == 503
    assert no_keys.asked == 1


def test_answers_503_while_the_keys_cannot_be_had(ask: Ask, configure: Configure) -> None:
    configure(D1VERIFY={"VERIFIER": make_verifier(ScriptedStore(KeyStoreError("the disk is gone")))})
    answer = ask("POST", "/notify", Authorization=GOOD)
    assert (answer.status_code, answer.content) == (503, b'{"error":"temporarily_unavailable"}')
    assert int(answer["Retry-After"]) >= 1


def seen_by_next(get_response: Any) -> Any:
    """Stand for whatever middleware comes next: it notes that it ran."""

    def middleware(request: HttpRequest) -> Any:
        SEEN.append(request.path)
        return get_response(request)

    return middleware


SEEN: list[str] = []


def test_nothing_behind_it_runs_before_the_decision(ask: Ask, configure: Configure) -> None:
    configure(MIDDLEWARE=["d1verify.django.D1Middleware", f"{__name__}.seen_by_next", *MIDDLEWARE])
    SEEN.clear()
    assert is_refused(ask("POST", "/notify"))
    assert is_refused(ask("POST", "/nowhere"))
    assert SEEN == []
    ask("POST", "/notify", Authorization=GOOD)
    assert SEEN == ["/notify"]


@sync_and_async_middleware
def another_urlconf(get_response: Any) -> Any:
    """Lead every request elsewhere, as host-based routing does."""

    async def async_middleware(request: HttpRequest) -> Any:
        request.urlconf = ELSEWHERE  # type: ignore[assignment]
        return await get_response(request)

    def middleware(request: HttpRequest) -> Any:
        request.urlconf = ELSEWHERE  # type: ignore[assignment]
        return get_response(request)

    return async_middleware if iscoroutinefunction(get_response) else middleware


ELSEWHERE = Routes(path("health", show), path("notify", health), path("moved", show))


def test_the_view_that_runs_has_the_last_word(ask: Ask, configure: Configure) -> None:
    configure(MIDDLEWARE=["d1verify.django.D1Middleware", f"{__name__}.another_urlconf"])
    assert is_refused(ask("GET", "/health"))
    assert is_refused(ask("GET", "/health", Authorization="Bearer x"), b"invalid_token")
    assert ask("GET", "/health", Authorization=GOOD).content == SUBJECT.encode()
    assert is_refused(ask("GET", "/notify"))
    assert is_refused(ask("GET", "/moved"))
    assert ask("GET", "/moved", Authorization=GOOD).content == SUBJECT.encode()
    configure(MIDDLEWARE=[f"{__name__}.another_urlconf", "d1verify.django.D1Middleware"])
    assert is_refused(ask("GET", "/health"))
    assert ask("GET", "/notify").content == b"nobody"


def override_method(get_response: Any) -> Any:
    def middleware(request: HttpRequest) -> Any:
        request.method = "POST"
        return get_response(request)

    return middleware


def test_an_overridden_method_opens_nothing(ask: Ask, configure: Configure) -> None:
    configure(MIDDLEWARE=["d1verify.django.D1Middleware", f"{__name__}.override_method"])
    assert is_refused(ask("GET", "/health"))
    configure(MIDDLEWARE=[f"{__name__}.override_method", "d1verify.django.D1Middleware"])
    assert is_refused(ask("GET", "/health"))


def test_its_place_below_csrf_protection_changes_nothing(ask: Ask, configure: Configure) -> None:
    configure(MIDDLEWARE=[*MIDDLEWARE, "d1verify.django.D1Middleware"])
    assert ask("POST", "/notify", Authorization=GOOD).status_code == 200
    assert is_refused(ask("POST", "/notify"))


@pytest.mark.parametrize(
    "neighbour", [f"{__name__}.seen_by_next", "django.middleware.csrf.CsrfViewMiddleware"], ids=["sync", "both"]
)
def test_works_between_sync_and_async_middleware(neighbour: str, ask: Ask, configure: Configure) -> None:
    configure(MIDDLEWARE=[neighbour, "d1verify.django.D1Middleware", neighbour])
    assert is_refused(ask("POST", "/notify"))
    assert ask("POST", "/notify", Authorization=GOOD).status_code == 200


def test_is_marked_for_both_kinds_of_stack(configure: Configure) -> None:
    configure(D1VERIFY={"VERIFIER": make_verifier()})
    marks: Any = D1Middleware
    assert (marks.sync_capable, marks.async_capable) == (True, True)

    async def get_response(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    assert iscoroutinefunction(D1Middleware(get_response))
    assert not iscoroutinefunction(D1Middleware(show))


def test_what_a_request_brings_along_counts_for_nothing(configure: Configure) -> None:
    configure(*ROUTES, D1VERIFY={"VERIFIER": make_verifier()})
    request = RequestFactory().get("/notify")
    request.d1_token = "forged"  # type: ignore[attr-defined]
    request._d1_verifier = None  # type: ignore[attr-defined]
    assert is_refused(D1Middleware(show)(request))
    request = RequestFactory().get("/health")
    request.d1_token = "forged"  # type: ignore[attr-defined]
    answer: Any = D1Middleware(health)(request)
    assert answer.content == b"nobody"


@pytest.mark.parametrize("given", [None, {}, {"AUDIENCE": "stg"}, {"VERIFIER": 1}], ids=repr)
def test_wrong_settings_fail_the_start(given: object, configure: Configure) -> None:
    configure(D1VERIFY=given)
    with pytest.raises(ConfigurationError, match="D1VERIFY"):
        D1Middleware(show)


def test_a_project_without_the_app_fails_the_start(configure: Configure) -> None:
    configure(INSTALLED_APPS=[], D1VERIFY={"VERIFIER": make_verifier()})
    with pytest.raises(ConfigurationError, match="INSTALLED_APPS"):
        D1Middleware(show)


@pytest.mark.parametrize("methods", ["GET", b"GET", 1, [], ["get"], [b"GET"], ["GET "], ["*"], [None]], ids=repr)
def test_an_exemption_names_methods(methods: Any) -> None:
    with pytest.raises(ConfigurationError, match="methods"):
        d1_exempt(methods=methods)


def test_an_exemption_leaves_the_view_s_other_routes_shut(ask: Ask) -> None:
    for opened, shut in (("/shown", "/notify"), ("/async-shown", "/async")):
        assert ask("GET", opened).content == b"nobody"
        assert is_refused(ask("GET", shut))


def test_an_exempt_view_is_as_async_as_it_was() -> None:
    assert iscoroutinefunction(d1_exempt(async_show))
    assert not iscoroutinefunction(d1_exempt(show))

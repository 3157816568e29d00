"""`D1Authentication` in Django REST framework, as far as the edge suite does not say it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.http import Http404
from django.test import AsyncClient, RequestFactory
from django.urls import path
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import (
    AllowAny,
    BasePermission,
    DjangoModelPermissionsOrAnonReadOnly,
    IsAdminUser,
    IsAuthenticated,
)
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView, exception_handler
from rest_framework.viewsets import ViewSet

from d1verify import ConfigurationError, D1Token, D1Verifier, KeyStoreError
from d1verify.drf import D1Authentication, D1Refused, D1User
from tests.django_settings import D1_MIDDLEWARE
from tests.edges.cases import NoKeys
from tests.support import SUBJECT, ScriptedStore, make_verifier

from .conftest import GOOD, OTHER_GATEWAY, HangingStore, answer_of

Configure = Callable[..., None]


def api(*authentication: type[BaseAuthentication], permission: type[BasePermission] = AllowAny, **more: Any) -> Any:
    """Return a view with these authentication classes that says who asks."""

    class Who(APIView):
        authentication_classes = authentication
        permission_classes = (permission,)

        def get(self, request: Request, **_kwargs: object) -> Response:
            return Response({"user": str(request.user), "auth": type(request.auth).__name__})

        post = get

    for name, value in more.items():
        setattr(Who, name, value)
    return Who.as_view()


def ask(view: Any, method: str = "post", sent: str | None = GOOD, **kwargs: object) -> Response:
    headers = {} if sent is None else {"Authorization": sent}
    request = getattr(APIRequestFactory(), method)("/", headers=headers)
    response: Response = view(request, **kwargs).render()
    return response


D1 = D1Authentication.using(make_verifier())
OPTIONAL = D1Authentication.using(make_verifier(), optional=True)
WHO = {"user": SUBJECT, "auth": "D1Token"}


def test_the_caller_is_d1_speaking_for_the_merchant_gateway() -> None:
    seen: list[Request] = []

    class Note(BasePermission):
        def has_permission(self, request: Request, view: APIView) -> bool:
            seen.append(request)
            return True

    assert ask(api(D1, permission=Note)).data == WHO
    user: Any = seen[0].user
    assert isinstance(user, D1User)
    assert isinstance(seen[0].auth, D1Token)
    assert seen[0].auth is user.token
    assert (user.pk, user.username, user.get_username(), str(user)) == (SUBJECT,) * 4
    assert (user.is_authenticated, user.is_anonymous, user.is_active) == (True, False, True)
    assert (user.is_staff, user.is_superuser) == (False, False)
    assert not user.has_perm("auth.view_user")
    assert not user.has_perms(["auth.view_user"])
    assert not user.has_perms([])
    assert not user.has_module_perms("auth")


@pytest.mark.parametrize(("permission", "status"), [(AllowAny, 200), (IsAuthenticated, 200), (IsAdminUser, 403)])
def test_permissions_go_by_the_user(permission: type[BasePermission], status: int) -> None:
    assert ask(api(D1, permission=permission)).status_code == status


def test_has_no_permission_on_models() -> None:
    from django.contrib.auth.models import Group

    view = api(D1, permission=DjangoModelPermissionsOrAnonReadOnly, queryset=Group.objects.all())
    assert ask(view).status_code == 403


@pytest.mark.parametrize("permission", [AllowAny, IsAuthenticated, IsAdminUser])
def test_a270_a_view_that_allows_anybody_is_not_open(permission: type[BasePermission]) -> None:
    answer = ask(api(D1, permission=permission), sent=None)
    assert (answer.status_code, answer.data) == (401, {"error": "missing_token"})
    assert answer["WWW-Authenticate"] == 'Bearer realm="d1"'
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("first", [D1, OPTIONAL])
@pytest.mark.parametrize("others", [(), (SessionAuthentication,)])
def test_a_bad_token_is_refused_whatever_stands_beside_it(first: Any, others: tuple[Any, ...]) -> None:
    for classes in ((first, *others), (*others, first)):
        answer = ask(api(*classes), sent="Bearer x")
        assert (answer.status_code, answer.data) == (401, {"error": "invalid_token"})
        assert answer["WWW-Authenticate"] == 'Bearer realm="d1", error="invalid_token"'


@pytest.mark.parametrize("sent", [None, "Basic dTpw", "Bearer"])
def test_optional_passes_a_request_without_credentials_on(sent: str | None) -> None:
    answer = ask(api(OPTIONAL), sent=sent)
    assert (answer.status_code, answer.data) == (200, {"user": "AnonymousUser", "auth": "NoneType"})
    answer = ask(api(OPTIONAL, permission=IsAuthenticated), sent=sent)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="d1"')


@pytest.mark.parametrize("sent", [f"{GOOD},{GOOD}", "Bearer x", OTHER_GATEWAY, f"{GOOD} "])
def test_optional_refuses_every_token_that_is_not_good(sent: str) -> None:
    assert ask(api(OPTIONAL), sent=sent).status_code in (400, 401)
    assert ask(api(OPTIONAL)).data == WHO


def test_optional_is_no_way_round_a_key_store_that_is_down() -> None:
    view = api(D1Authentication.using(NoKeys(), optional=True))
    answer = ask(view)
    assert (answer.status_code, answer.data, answer["Retry-After"]) == (503, {"error": "temporarily_unavailable"}, "8")
    assert "WWW-Authenticate" not in answer


def test_answers_503_while_the_key_store_is_down() -> None:
    down = make_verifier(ScriptedStore(KeyStoreError("the disk is gone")))
    answer = ask(api(SessionAuthentication, D1Authentication.using(down)))
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) >= 1


BOTH = make_verifier(subject=[SUBJECT, "MGW_000002"])


@pytest.mark.parametrize(("gateway", "status"), [(SUBJECT, 200), ("MGW_000002", 403), (1, 403), (None, 403)])
def test_compares_path_and_subject(gateway: object, status: int, caplog: pytest.LogCaptureFixture) -> None:
    view = api(D1Authentication.using(BOTH, path_kwarg="gateway", optional=True))
    answer = ask(view, gateway=gateway)
    assert answer.status_code == status
    if status == 403:
        assert answer.data == {"error": "insufficient_scope"}
        assert answer["WWW-Authenticate"] == 'Bearer realm="d1", error="insufficient_scope"'
        ours = [(record.levelno, record.getMessage()) for record in caplog.records if record.name == "d1verify"]
        assert ours == [(logging.WARNING, "refused a call: insufficient_scope (kid d1-key-1)")]


def test_fails_closed_where_the_route_has_no_such_argument() -> None:
    view = api(D1Authentication.using(BOTH, path_kwarg="gatewayId"))
    with pytest.raises(ConfigurationError, match="no argument 'gatewayId'"):
        ask(view, gateway=SUBJECT)
    assert ask(view, sent=None, gateway=SUBJECT).status_code == 401
    bare: Any = Request(RequestFactory().get("/", headers={"Authorization": GOOD}))
    bare.parser_context = None
    with pytest.raises(ConfigurationError, match="no argument"):
        D1Authentication.using(BOTH, path_kwarg="gatewayId")().authenticate(bare)


def test_works_outside_a_view() -> None:
    request = Request(RequestFactory().get("/"), authenticators=[D1()])
    with pytest.raises(D1Refused) as caught:
        _ = request.user
    assert (caught.value.status_code, caught.value.reason) == (401, "missing_token")
    request = Request(RequestFactory().get("/", headers={"Authorization": GOOD}), authenticators=[D1()])
    assert str(request.user) == SUBJECT


def test_the_error_holds_nothing_of_the_token() -> None:
    bare = Request(RequestFactory().get("/", headers={"Authorization": OTHER_GATEWAY}))
    with pytest.raises(D1Refused) as caught:
        D1().authenticate(bare)
    assert caught.value.__suppress_context__
    assert "MGW" not in f"{caught.value!r} {caught.value} {vars(caught.value)}"


def test_an_exception_handler_of_ones_own_gets_the_reason(configure: Configure) -> None:
    def handler(exc: Exception, context: Any) -> Response | None:
        if isinstance(exc, D1Refused):
            return Response({"why": exc.reason}, status=exc.status_code)
        return exception_handler(exc, context)

    class Handled(APIView):
        authentication_classes = (D1,)

        def get_exception_handler(self) -> Any:
            return handler

    answer = ask(Handled.as_view(), sent=None)
    assert (answer.status_code, answer.data) == (401, {"why": "missing_token"})


def test_what_the_view_raises_itself_is_none_of_its_business() -> None:
    def fail(_self: APIView, _request: Request) -> Response:
        raise Http404

    answer = ask(api(D1, post=fail))
    assert answer.status_code == 404
    assert "Cache-Control" not in answer


def test_shows_a_refusal_in_the_browsable_api(configure: Configure) -> None:
    view = api(D1, renderer_classes=[JSONRenderer, BrowsableAPIRenderer])
    configure(path("who", view), path("optional", api(OPTIONAL, renderer_classes=[BrowsableAPIRenderer])))
    client = APIClient(headers={"Accept": "text/html"})
    answer = client.get("/who")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="d1"')
    assert b"missing_token" in answer.content
    answer = client.get("/who", headers={"Authorization": GOOD})
    assert answer.status_code == 200
    assert f"{SUBJECT}".encode() in answer.content
    assert client.get("/optional").status_code == 200


def test_throttling_counts_by_merchant_gateway() -> None:
    class Throttle(UserRateThrottle):
        rate = "1/day"
        cache: Any = CountingCache()

    view = api(D1Authentication.using(BOTH), throttle_classes=[Throttle])
    assert [ask(view).status_code for _ in range(2)] == [200, 429]
    assert ask(view, sent=OTHER_GATEWAY).status_code == 200


class CountingCache(dict[str, Any]):
    """As much of Django's cache as a throttle needs."""

    def set(self, key: str, value: Any, _seconds: float) -> None:
        self[key] = value


def test_guards_functions_and_view_sets() -> None:
    @api_view(["POST"])
    @authentication_classes([D1])
    @permission_classes([AllowAny])
    def function(request: Request) -> Response:
        return Response(WHO)

    class Set(ViewSet):
        authentication_classes = (D1,)

        def create(self, request: Request) -> Response:
            return Response(WHO)

    for view in (function, Set.as_view({"post": "create"})):
        assert ask(view).data == WHO
        assert ask(view, sent=None).status_code == 401


def test_asks_for_no_csrf_token(configure: Configure) -> None:
    configure(path("who", api(D1)))
    client = APIClient(enforce_csrf_checks=True)
    assert client.post("/who", headers={"Authorization": GOOD}).status_code == 200
    assert client.post("/who").status_code == 401


def test_stands_behind_the_middleware(configure: Configure) -> None:
    configure(path("who", api(D1Authentication)), MIDDLEWARE=D1_MIDDLEWARE, D1VERIFY={"VERIFIER": make_verifier()})
    assert APIClient().post("/who", headers={"Authorization": GOOD}).data == WHO
    assert APIClient().post("/who").content == b'{"error":"missing_token"}'


def test_a_key_load_blocks_no_event_loop(configure: Configure) -> None:
    store = HangingStore()
    configure(path("who", api(D1Authentication.using(make_verifier(store)))))

    assert answer_of(lambda: AsyncClient().post("/who", headers={"Authorization": GOOD}), store).status_code == 200


def test_takes_the_verifier_of_the_settings(configure: Configure) -> None:
    view = api(D1Authentication)
    with pytest.raises(ConfigurationError, match="D1VERIFY must be set"):
        ask(view)
    configure(D1VERIFY={"VERIFIER": make_verifier(), "REALM": "merchant", "REVEAL_REASON": True})
    assert ask(view).data == WHO
    answer = ask(view, sent="Bearer x")
    assert answer.data == {"error": "invalid_token", "error_description": "malformed_token"}
    assert answer["WWW-Authenticate"].startswith('Bearer realm="merchant", ')
    configure(INSTALLED_APPS=["rest_framework"])
    with pytest.raises(ConfigurationError, match="INSTALLED_APPS"):
        ask(view)


def test_a_subclass_has_the_last_word_over_the_settings(configure: Configure) -> None:
    class Quiet(D1Authentication):
        path_kwarg = "gateway"
        realm = "quiet"
        reveal_reason = False

    configure(D1VERIFY={"VERIFIER": make_verifier(), "REALM": "merchant", "REVEAL_REASON": True})
    answer = ask(api(Quiet), gateway="MGW_000002")
    assert (answer.status_code, answer.data) == (403, {"error": "insufficient_scope"})
    assert answer["WWW-Authenticate"] == 'Bearer realm="quiet", error="insufficient_scope"'


def test_a_subclass_may_hold_the_verifier_itself() -> None:
    class Merchant(D1Authentication):
        verifier = make_verifier()
        reveal_reason = True

    assert ask(api(Merchant)).data == WHO
    assert ask(api(Merchant), sent="Bearer x").data["error_description"] == "malformed_token"
    assert D1Authentication.verifier is None


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"verifier": object()}, "verify_header"),
        ({"verifier": D1Verifier}, "verify_header"),
        ({"optional": 1}, "optional"),
        ({"optional": None}, "optional"),
        ({"reveal_reason": "no"}, "reveal_reason"),
        ({"path_kwarg": ""}, "path_kwarg"),
        ({"path_kwarg": 1}, "path_kwarg"),
        ({"path_kwarg": "<str:gateway>"}, "path_kwarg"),
        ({"realm": '"'}, "realm"),
        ({"realm": 1}, "realm"),
    ],
)
def test_a_mistake_is_named_where_it_is_made(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        D1Authentication.using(**{"verifier": make_verifier(), **attributes})
    with pytest.raises(ConfigurationError, match=message):
        type("Merchant", (D1Authentication,), attributes)


def test_using_needs_a_verifier() -> None:
    nothing: Any = None
    with pytest.raises(ConfigurationError, match="verify_header"):
        D1Authentication.using(nothing)


def test_two_classes_do_not_share_their_settings() -> None:
    others = D1Authentication.using(make_verifier(subject="MGW_000002"))
    assert ask(api(D1), sent=OTHER_GATEWAY).status_code == 401
    assert ask(api(others), sent=OTHER_GATEWAY).status_code == 200

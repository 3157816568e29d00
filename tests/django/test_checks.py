"""What `manage.py check` says about the `D1VERIFY` settings, the middleware and the routes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.core.management import CommandError, call_command
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.utils.decorators import method_decorator
from django.views import View

from d1verify import ANY_SUBJECT, ConfigurationError, D1Verifier, KeyCache, KeySet, StaticKeyStore, TokenError
from d1verify.django import D1Middleware, d1_required
from d1verify.django._conf import configured_guard, guard_from
from tests.django_settings import D1_MIDDLEWARE, MIDDLEWARE
from tests.edges.cases import NoKeys
from tests.support import KEY, SUBJECT, make_verifier

Configure = Callable[..., None]

STORE = StaticKeyStore({KEY.kid: KEY.pem})
GOOD: dict[str, Any] = {"KEYS_PATH": "/etc/d1/keys", "AUDIENCE": "prd", "SUBJECT": SUBJECT}
CACHE = "django.middleware.cache.FetchFromCacheMiddleware"


class ForbiddenStore:
    """A key store that may not be asked."""

    def load(self) -> KeySet:
        raise AssertionError("keys are loaded")


class Guarding(D1Middleware):
    """A project's own version of the middleware."""


def view(request: HttpRequest, **_kwargs: object) -> HttpResponse:
    return HttpResponse()


def messages(*, deploy: bool = False) -> list[CheckMessage]:
    found = run_checks(include_deployment_checks=deploy)
    return [message for message in found if str(message.id).startswith("d1verify.")]


def said(*, deploy: bool = False) -> list[str]:
    return [f"{message.id} {message.msg}" for message in messages(deploy=deploy)]


NO_SOURCE = 'exactly one of D1VERIFY["KEYS"], D1VERIFY["KEYS_PATH"], D1VERIFY["JWKS_URL"] must be set, and none is.'
TWO_SOURCES = (
    'exactly one of D1VERIFY["KEYS"], D1VERIFY["KEYS_PATH"], D1VERIFY["JWKS_URL"] must be set, '
    'and D1VERIFY["KEYS"] and D1VERIFY["KEYS_PATH"] are.'
)
WRONG: list[tuple[str, Any, list[str]]] = [
    ("no dict", "prd", ["D1VERIFY must be set to a dict."]),
    ("None", None, ["D1VERIFY must be set to a dict."]),
    (
        "empty",
        {},
        [
            NO_SOURCE,
            'D1VERIFY["AUDIENCE"] must be set and not empty.',
            'D1VERIFY["SUBJECT"] must be set and not empty.',
        ],
    ),
    ("no audience", {**GOOD, "AUDIENCE": None}, ['D1VERIFY["AUDIENCE"] must be set and not empty.']),
    ("empty audience", {**GOOD, "AUDIENCE": ""}, ['D1VERIFY["AUDIENCE"] must be set and not empty.']),
    ("odd audience", {**GOOD, "AUDIENCE": "prod"}, ['D1VERIFY["AUDIENCE"] must be "stg", "prd" or an https URL.']),
    ("audience a list", {**GOOD, "AUDIENCE": ["prd"]}, ['D1VERIFY["AUDIENCE"] must be a string.']),
    ("no subject", {**GOOD, "SUBJECT": None}, ['D1VERIFY["SUBJECT"] must be set and not empty.']),
    (
        "an empty id",
        {**GOOD, "SUBJECT": "a,,b"},
        ['D1VERIFY["SUBJECT"] must be merchant gateway ids separated by commas, none of them empty, or * alone.'],
    ),
    ("no ids", {**GOOD, "SUBJECT": []}, ['D1VERIFY["SUBJECT"]: subject must be a merchant gateway id, several of']),
    ("a star in a list", {**GOOD, "SUBJECT": ["*"]}, ['D1VERIFY["SUBJECT"]: subject "*" matches nothing;']),
    ("leeway as text", {**GOOD, "LEEWAY": "soon"}, ['D1VERIFY["LEEWAY"] must be a number of seconds from 0 to 300.']),
    ("leeway too long", {**GOOD, "LEEWAY": 301}, ['D1VERIFY["LEEWAY"] must be a number of seconds from 0 to 300.']),
    ("leeway True", {**GOOD, "LEEWAY": True}, ['D1VERIFY["LEEWAY"] must be a number of seconds from 0 to 300.']),
    ("two sources", {**GOOD, "KEYS": "x"}, [TWO_SOURCES]),
    ("an empty path", {**GOOD, "KEYS_PATH": " "}, ['D1VERIFY["KEYS_PATH"] must be set and not empty.']),
    ("keys no text", {**GOOD, "KEYS_PATH": None, "KEYS": {}}, ['D1VERIFY["KEYS"] must be a string.']),
    ("an odd kid", {**GOOD, "KID": "\n"}, ['D1VERIFY["KID"] must be set and not empty.']),
    ("http", {**GOOD, "KEYS_PATH": None, "JWKS_URL": "http://d1.example"}, ['D1VERIFY["JWKS_URL"] must be an https']),
    ("for another source", {**GOOD, "JWKS_PROXY": "x"}, ['D1VERIFY["JWKS_PROXY"] has no meaning with D1VERIFY["KEYS_']),
    ("a typo", {**GOOD, "LEWAY": 1}, ["D1VERIFY has no setting 'LEWAY' (is LEEWAY meant?)."]),
    ("lower case", {**GOOD, "realm": "d1"}, ["D1VERIFY has no setting 'realm' (is REALM meant?)."]),
    ("nothing like it", {**GOOD, 7: 1}, ["D1VERIFY has no setting '7'."]),
    ("an odd realm", {**GOOD, "REALM": '"'}, ['D1VERIFY["REALM"] must be printable ASCII without quotes and']),
    ("reveal as text", {**GOOD, "REVEAL_REASON": "no"}, ['D1VERIFY["REVEAL_REASON"] must be True or False.']),
    ("store no store", {"STORE": 1, "AUDIENCE": "prd", "SUBJECT": "x"}, ['D1VERIFY["STORE"] must be a KeyStore, with']),
    (
        "store with another key()",
        {"STORE": SimpleNamespace(key=print), "AUDIENCE": "prd", "SUBJECT": "x"},
        ['D1VERIFY["STORE"] must be a KeyStore, with'],
    ),
    ("store and path", {**GOOD, "STORE": STORE}, ['D1VERIFY["KEYS_PATH"] has no meaning with D1VERIFY["STORE"].']),
    (
        "store and kid",
        {**GOOD, "KEYS_PATH": None, "STORE": STORE, "KID": "k"},
        ['D1VERIFY["KID"] has no meaning with D1VERIFY["STORE"].'],
    ),
    (
        "verifier and store",
        {"VERIFIER": make_verifier(), "STORE": STORE},
        ['D1VERIFY["STORE"] has no meaning with D1VERIFY["VERIFIER"].'],
    ),
    ("verifier no verifier", {"VERIFIER": 1}, ['D1VERIFY["VERIFIER"] must have the method verify_header(), as a D1']),
    ("verifier a class", {"VERIFIER": D1Verifier}, ['D1VERIFY["VERIFIER"] must have the method verify_header()']),
    (
        "verifier and audience",
        {"VERIFIER": make_verifier(), "AUDIENCE": "prd"},
        ['D1VERIFY["AUDIENCE"] has no meaning with D1VERIFY["VERIFIER"].'],
    ),
    (
        "everything at once",
        {"KEYS": "a", "KEYS_PATH": "b", "AUDIENCE": "x", "SUBJEKT": "y", "LEEWAY": -1},
        [
            "D1VERIFY has no setting 'SUBJEKT' (is SUBJECT meant?).",
            TWO_SOURCES,
            'D1VERIFY["AUDIENCE"] must be',
            'D1VERIFY["SUBJECT"] must be set and not empty.',
            'D1VERIFY["LEEWAY"] must be',
        ],
    ),
]


@pytest.mark.parametrize(("given", "expected"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_names_everything_that_is_wrong(given: Any, expected: list[str], configure: Configure) -> None:
    configure(D1VERIFY=given)
    found = said()
    assert len(found) == len(expected)
    for text, start in zip(found, expected, strict=True):
        assert text.startswith(f"d1verify.E002 {start}")
    with pytest.raises(ConfigurationError) as caught:
        guard_from(given)
    assert all(start.rstrip(".") in str(caught.value) for start in expected)
    with pytest.raises(ConfigurationError):
        configured_guard()


RIGHT: list[tuple[str, dict[str, Any]]] = [
    ("a folder", GOOD),
    ("a Path", {**GOOD, "KEYS_PATH": Path("/etc/d1/keys"), "KID": "k"}),
    ("keys as text", {**GOOD, "KEYS_PATH": None, "KEYS": "whatever", "KID": "k", "LEEWAY": "10"}),
    ("a url", {**GOOD, "KEYS_PATH": None, "JWKS_URL": "https://d1.example/jwks"}),
    ("several ids", {**GOOD, "SUBJECT": "MGW_000001, MGW_000002"}),
    ("a list of ids", {**GOOD, "SUBJECT": ["MGW_000001", "MGW_000002"], "LEEWAY": 0}),
    ("any id", {**GOOD, "SUBJECT": ANY_SUBJECT}),
    ("a star", {**GOOD, "SUBJECT": "*"}),
    ("a store", {"STORE": ForbiddenStore(), "AUDIENCE": "https://merchant.example", "SUBJECT": SUBJECT}),
    ("a cache", {"STORE": KeyCache(ForbiddenStore()), "AUDIENCE": "stg", "SUBJECT": SUBJECT}),
    ("a verifier", {"VERIFIER": NoKeys(), "REALM": "merchant", "REVEAL_REASON": True}),
    ("what is not set", {**GOOD, "KID": None, "LEEWAY": None, "REALM": None, "REVEAL_REASON": None, "VERIFIER": None}),
]


@pytest.mark.parametrize("given", [row[1] for row in RIGHT], ids=[row[0] for row in RIGHT])
def test_says_nothing_about_right_settings_and_loads_no_keys(given: dict[str, Any], configure: Configure) -> None:
    configure(D1VERIFY=given)
    assert said() == []
    assert configured_guard() is configured_guard()


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({}, [SUBJECT]),
        ({"SUBJECT": "MGW_000001, MGW_000002"}, [SUBJECT, "MGW_000002"]),
        ({"SUBJECT": ["MGW_000002"]}, ["MGW_000002"]),
        ({"SUBJECT": "*"}, [SUBJECT, "MGW_000002", "MGW_000003"]),
        ({"AUDIENCE": "prd"}, []),
    ],
)
def test_settings_mean_what_the_variables_mean(changes: dict[str, Any], accepted: list[str]) -> None:
    jwks = json.dumps({"keys": [KEY.jwk]})
    guard = guard_from({"KEYS": jwks, "AUDIENCE": "stg", "SUBJECT": SUBJECT, **changes})
    assert isinstance(guard.verifier, D1Verifier)
    guard.verifier._clock = make_verifier()._clock
    assert [one for one in (SUBJECT, "MGW_000002", "MGW_000003") if accepts(guard.verifier, one)] == accepted


def accepts(verifier: D1Verifier, subject: str) -> bool:
    try:
        return verifier.verify(KEY.mint(sub=subject)).subject == subject
    except TokenError:
        return False


def test_a_missing_dict_is_named() -> None:
    (message,) = messages()
    assert (message.id, message.msg) == ("d1verify.E001", "D1VERIFY is not set.")
    assert "INSTALLED_APPS" in str(message.hint)


def test_manage_check_fails_and_names_it(configure: Configure) -> None:
    configure(D1VERIFY={**GOOD, "SUBJEKT": "MGW_000001"})
    with pytest.raises(CommandError, match="is SUBJECT meant"):
        call_command("check")
    configure(D1VERIFY=GOOD)
    out = io.StringIO()
    call_command("check", stdout=out)
    assert "no issues" in out.getvalue()


MIDDLEWARE_ROWS: list[tuple[str, list[str], list[str]]] = [
    ("none", MIDDLEWARE, []),
    ("first", D1_MIDDLEWARE, []),
    ("last", [*MIDDLEWARE, "d1verify.django.D1Middleware"], []),
    ("above the cache", [*D1_MIDDLEWARE, CACHE], []),
    ("below the cache", [CACHE, *D1_MIDDLEWARE], ["d1verify.E004"]),
    ("a subclass below the cache", [CACHE, f"{__name__}.Guarding"], ["d1verify.E004"]),
    ("twice", [*D1_MIDDLEWARE, "d1verify.django.D1Middleware"], ["d1verify.E003"]),
    (
        "with login",
        [*D1_MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"],
        ["d1verify.W001"],
    ),
    ("one that is not there", ["nowhere.Middleware", *D1_MIDDLEWARE], []),
    ("a function", ["tests.django.test_middleware.seen_by_next", *D1_MIDDLEWARE], []),
]


@pytest.mark.parametrize(
    ("chain", "ids"), [row[1:] for row in MIDDLEWARE_ROWS], ids=[row[0] for row in MIDDLEWARE_ROWS]
)
def test_judges_the_place_of_the_middleware(chain: list[str], ids: list[str], configure: Configure) -> None:
    configure(D1VERIFY=GOOD, MIDDLEWARE=chain)
    assert [message.id for message in messages()] == ids


def route(pattern: Any, path_kwarg: str = "gateway", **defaults: Any) -> Any:
    return path(pattern, d1_required(make_verifier(), path_kwarg)(view), defaults)


ROUTE_ROWS: list[tuple[str, Any, bool]] = [
    ("given", route("<str:gateway>/x"), True),
    ("given further up", path("<str:gateway>/", include([route("x")])), True),
    ("given by a regular expression", re_path("(?P<gateway>.+)", d1_required(make_verifier(), "gateway")(view)), True),
    ("given as a default", route("x", gateway=SUBJECT), True),
    ("given as a default further up", path("x/", include([route("y")]), {"gateway": SUBJECT}), True),
    ("not given", route("<str:gatewayId>/x"), False),
    ("not given further up either", path("<str:gatewayId>/", include([route("x")])), False),
    ("no name in the regular expression", re_path("(.+)", d1_required(make_verifier(), "gateway")(view)), False),
    ("not compared", path("x", d1_required(make_verifier())(view)), True),
    ("not guarded", path("x", view), True),
]


@pytest.mark.parametrize(("pattern", "right"), [row[1:] for row in ROUTE_ROWS], ids=[row[0] for row in ROUTE_ROWS])
def test_names_a_route_without_the_argument_to_compare(pattern: Any, right: bool, configure: Configure) -> None:  # noqa: FBT001
    configure(pattern, D1VERIFY=GOOD)
    assert [message.id for message in messages()] == ([] if right else ["d1verify.E006"])


def test_names_a_class_that_is_guarded_on_one_method_only(configure: Configure) -> None:
    class OnOneMethod(View):
        @method_decorator(d1_required(make_verifier()))
        def post(self, request: HttpRequest) -> HttpResponse:
            return view(request)

    class OnDispatch(View):
        @method_decorator(d1_required(make_verifier()))
        def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return super().dispatch(request, *args, **kwargs)

    configure(path("wrong", OnOneMethod.as_view()), path("right", OnDispatch.as_view()), D1VERIFY=GOOD)
    (message,) = messages()
    assert message.id == "d1verify.W002"
    assert "'wrong'" in message.msg
    configure(MIDDLEWARE=[])
    assert said() == []


def test_needs_no_routes(configure: Configure) -> None:
    configure(D1VERIFY=GOOD, ROOT_URLCONF="")
    assert said() == []


def test_a_deployment_check_loads_the_keys(configure: Configure, tmp_path: Path) -> None:
    configure(D1VERIFY={**GOOD, "KEYS_PATH": tmp_path / "nowhere"})
    assert said() == []
    (found,) = said(deploy=True)
    assert found.startswith("d1verify.E005 No keys can be loaded: ")
    (tmp_path / "k.pem").write_text(KEY.pem)
    configure(D1VERIFY={**GOOD, "KEYS_PATH": tmp_path})
    assert said(deploy=True) == []


def test_a_deployment_check_shows_no_key(configure: Configure) -> None:
    configure(D1VERIFY={**GOOD, "KEYS_PATH": None, "KEYS": KEY.private_pem, "KID": "k"})
    (found,) = said(deploy=True)
    assert 'D1VERIFY["KEYS"] cannot be used' in found
    assert KEY.private_pem.splitlines()[1] not in found


def test_a_deployment_check_leaves_wrong_settings_to_the_other(configure: Configure) -> None:
    configure(D1VERIFY={"VERIFIER": 1})
    assert [message.id for message in messages(deploy=True)] == ["d1verify.E002"]


@pytest.mark.parametrize("subject", ["*", ANY_SUBJECT], ids=str)
def test_a_deployment_check_names_what_is_meant_for_staging(subject: Any, configure: Configure) -> None:
    given = {"STORE": STORE, "AUDIENCE": "prd", "SUBJECT": subject, "REVEAL_REASON": True}
    configure(D1VERIFY=given)
    assert said() == []
    assert [message.id for message in messages(deploy=True)] == ["d1verify.W003", "d1verify.W004"]


def test_a_verifier_that_cannot_be_warmed_up_is_left_alone(configure: Configure) -> None:
    no_keys = NoKeys()
    configure(D1VERIFY={"VERIFIER": no_keys})
    assert said(deploy=True) == []
    assert no_keys.asked == 0

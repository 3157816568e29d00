"""The kit against apps built on PyJWT, python-jose, joserfc and jwcrypto as their READMEs show."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from d1verify.testing import FakeD1, Report, WSGISender, run_contract

from . import library_apps

APPS: list[tuple[Callable[..., tuple[library_apps.Decode, library_apps.Errors]], set[str]]] = [
    (library_apps.pyjwt_with_one_key, {"kid-ignored", "kid-missing", "sub-other", "exp-years-ahead", "exp-string"}),
    (library_apps.pyjwt_with_key_set, {"exp-hour-ahead", "duplicate-sub-good-last", "typ-access-token"}),
    (library_apps.pyjwt_with_generous_leeway, {"exp-just-past", "kid-ignored"}),
    (library_apps.python_jose, {"crit-unknown", "kid-ignored", "exp-hour-ahead"}),
    (library_apps.joserfc_with_claims_registry, {"header-array", "exp-years-ahead", "json-nan"}),
    (library_apps.joserfc_without_claims, {"aud-other-environment", "exp-hour-past", "iss-other", "sub-other"}),
    (library_apps.jwcrypto, {"exp-just-past", "typ-access-token", "kid-ignored", "duplicate-aud-good-last"}),
]


def run(app: Callable[..., tuple[library_apps.Decode, library_apps.Errors]]) -> Report:
    fake_d1 = FakeD1(can_rotate=True)
    return run_contract(WSGISender(library_apps.wsgi_app(*app(fake_d1))), fake_d1)


@pytest.mark.parametrize(("app", "meant"), APPS, ids=[app.__name__ for app, _ in APPS])
def test_catches_what_a_library_leaves_to_its_user(
    app: Callable[..., tuple[library_apps.Decode, library_apps.Errors]], meant: set[str]
) -> None:
    report = run(app)
    outcomes = {result.case_id: str(result.outcome) for result in report.results}
    assert {case_id: outcomes[case_id] for case_id in meant} == dict.fromkeys(meant, "failed")
    # It is a working app: it takes D1's token and turns down a forged one.
    assert (outcomes["baseline"], outcomes["signature-changed"], outcomes["alg-none"]) == ("passed",) * 3

"""The plugin, in test runs of its own: a merchant's suite as the README shows it, and what can go wrong in one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec

import pytest

from d1verify.testing import FakeD1, contract_cases, pytest_plugin
from d1verify.testing.pytest_plugin import CaseUnderTest

from ..support import unmeasured

pytest_plugins = ["pytester"]

# The plugin comes by its entry point where the installation has it, else by name.
INSTALLED = any(point.value == "d1verify.testing.pytest_plugin" for point in entry_points(group="pytest11"))
LOAD = () if INSTALLED else ("-p", "d1verify.testing.pytest_plugin")
LOADED = () if INSTALLED else (pytest_plugin,)

SUITE = """
    import pytest
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient
    from d1verify import D1Verifier
    from d1verify.asgi import D1AuthMiddleware

    NOTIFY_PATH, BODY = "/notify", {"state": "ACTIVE"}

    @pytest.fixture
    def client(fake_d1):
        verifier = D1Verifier(fake_d1.key_store, audience="stg", subject="MGW_000001", leeway=LEEWAY)
        route = Route(NOTIFY_PATH, lambda request: PlainTextResponse("received"), methods=["POST"])
        return TestClient(Starlette(routes=[route], middleware=[Middleware(D1AuthMiddleware, verifier=verifier)]))

    @pytest.mark.d1_contract
    def test_d1_contract(d1_case, fake_d1, client):
        call = d1_case.build(fake_d1)
        response = client.request(call.method or "POST", call.target(NOTIFY_PATH), headers=call.headers, json=BODY)
        d1_case.check(response.status_code, response.headers, response.content)
"""
SKIPPED = sum(case.missing(FakeD1(can_rotate=True)) is not None for case in contract_cases())
PASSED = len(contract_cases()) - SKIPPED


@pytest.fixture
def run(pytester: pytest.Pytester) -> pytest.Pytester:
    others = " ".join(f"-p no:{name}" for name in ("randomly", "hypothesispytest", "pytest_cov", "schemathesis"))
    pytester.makeini(f"[pytest]\naddopts = --strict-markers {others}\nfilterwarnings = error\n")
    return pytester


def in_process(run: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return run.runpytest_inprocess(*arguments, plugins=LOADED)


def write(run: pytest.Pytester, text: str, leeway: int = 30) -> None:
    run.makepyfile(text.replace("LEEWAY", str(leeway)))


def test_the_suite_of_the_readme_passes_for_a_correct_app(run: pytest.Pytester) -> None:
    write(run, SUITE)
    in_process(run).assert_outcomes(passed=PASSED, skipped=SKIPPED)


def test_a_case_that_fails_is_a_failing_test_of_its_own_that_says_what_is_at_stake(run: pytest.Pytester) -> None:
    write(run, SUITE, leeway=300)
    result = in_process(run, "-rf", "--showlocals")
    wrong = ("exp-just-past", "exp-over-ceiling", "nbf-ahead", "iat-ahead")
    result.assert_outcomes(passed=PASSED - len(wrong), skipped=SKIPPED, failed=len(wrong))
    for case_id in wrong:
        result.stdout.fnmatch_lines([f"FAILED *::test_d1_contract?{case_id}?*"])
        assert re.search(rf"AssertionError: {case_id} \(.*\): expected 401, got 200\. A .*\. \[", result.stdout.str())
    result.stdout.no_fnmatch_line("*eyJ*")


@pytest.mark.skipif(find_spec("xdist") is None, reason="pytest-xdist is not installed")
def test_works_with_xdist(run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(os.environ) - set(unmeasured()):
        monkeypatch.delenv(name)
    write(run, SUITE)
    run.runpytest_subprocess(*LOAD, "-n", "2").assert_outcomes(passed=PASSED, skipped=SKIPPED)


def test_works_in_any_order(run: pytest.Pytester) -> None:
    # As pytest-randomly would have it, which reorders and reseeds and nothing else.
    write(run, SUITE)
    run.makeconftest(
        """
        import random
        def pytest_collection_modifyitems(items):
            random.Random(7).shuffle(items)
        """
    )
    in_process(run).assert_outcomes(passed=PASSED, skipped=SKIPPED)


@pytest.mark.skipif(find_spec("pytest_randomly") is None, reason="pytest-randomly is not installed")
def test_works_with_randomly(run: pytest.Pytester) -> None:
    run.makeini("[pytest]\nfilterwarnings = error\n")
    write(run, SUITE)
    run.runpytest_subprocess(*LOAD, "-p", "randomly").assert_outcomes(passed=PASSED, skipped=SKIPPED)


def test_a_project_sets_its_fake_d1_up_by_overriding_the_fixture(run: pytest.Pytester) -> None:
    run.makeconftest(
        """
        import pytest
        from d1verify.testing import FakeD1
        @pytest.fixture(scope="session")
        def fake_d1():
            return FakeD1(subject="MGW_7", path="/g/{merchantGatewayId}")
        """
    )
    run.makepyfile(
        """
        import pytest
        @pytest.mark.d1_contract(only=["path-other-merchant", "baseline"])
        def test_path(d1_case, fake_d1):
            call = d1_case.build(fake_d1)
            assert call.path in ("/g/MGW_7", "/g/MGW_999999")
            d1_case.check(200 if call.expect == "accepted" else 403, {})
        """
    )
    in_process(run).assert_outcomes(passed=2)


CHOICES = """
    import pytest

    seen = {}

    def answer(name, d1_case, fake_d1):
        call = d1_case.build(fake_d1)
        seen.setdefault(name, []).append(call.expect)
        d1_case.check(200 if call.expect == "accepted" else 401, {"WWW-Authenticate": "Bearer"})

    @pytest.mark.d1_contract(only=["alg-none", "kid-null"])
    def test_one(d1_case, fake_d1):
        answer("one", d1_case, fake_d1)

    @pytest.mark.d1_contract(only=["cache-prefix", "baseline"], skip=["baseline"])
    def test_two(d1_case, fake_d1):
        answer("two", d1_case, fake_d1)

    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
    @pytest.mark.d1_contract(only=["token-reused"])
    async def test_async(anyio_backend, d1_case, fake_d1):
        answer(anyio_backend, d1_case, fake_d1)

    @pytest.mark.d1_contract(only=["token-reused", "key-withdrawn-in-use"])
    def test_wrong(d1_case, fake_d1):
        fake_d1.key_store
        d1_case.build(fake_d1)
        d1_case.check(200, {})

    def test_seen():
        assert seen == {
            "one": ["401", "401"],
            "two": ["accepted", "401"],
            "asyncio": ["accepted", "accepted"],
            "trio": ["accepted", "accepted"],
        }
"""


def test_chooses_cases_and_runs_a_test_once_per_call_whatever_runs_it(run: pytest.Pytester) -> None:
    run.makepyfile(CHOICES)
    result = in_process(run, "-rf")
    result.assert_outcomes(passed=7, failed=1)
    result.stdout.fnmatch_lines(["E*AssertionError: key-withdrawn-in-use (*): expected 401, got 200.*"])


def test_a_mistake_in_a_suite_is_an_error_that_says_what_to_do(run: pytest.Pytester) -> None:
    mark = "import pytest\n@pytest.mark.d1_contract"
    run.makepyfile(
        test_a=f"{mark}(only=['no-such-case'])\ndef test(d1_case): pass\n",
        test_b=f"{mark}(only='alg-none')\ndef test(d1_case): pass\n",
        test_c=f"{mark}(skip='alg-none')\ndef test(d1_case): pass\n",
        test_d=f"{mark}('alg-none')\ndef test(d1_case): pass\n",
        test_e=f"{mark}\ndef test(): pass\n",
        test_f="def test(d1_case): pass\n",
    )
    result = in_process(run, "--continue-on-collection-errors")
    result.assert_outcomes(errors=6)
    lines = result.stdout.str()
    assert lines.count("d1_contract takes lists of case ids as only= and skip=") >= 3
    assert "d1_contract names cases that do not exist: no-such-case" in lines
    assert "a test marked d1_contract takes d1_case as an argument" in lines
    assert "d1_case is for tests marked d1_contract" in lines


UNCHECKED = """
    import pytest

    @pytest.mark.d1_contract(only=["alg-none"])
    def test_forgotten(d1_case, fake_d1):
        d1_case.build(fake_d1)

    @pytest.mark.d1_contract(only=["token-reused"])
    def test_forgotten_at_the_end(d1_case, fake_d1, calls=[]):
        calls.append(d1_case.build(fake_d1))
        if len(calls) == 1:
            d1_case.check(200, {})

    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    @pytest.mark.d1_contract(only=["alg-none"])
    async def test_forgotten_while_waiting(anyio_backend, d1_case, fake_d1):
        d1_case.build(fake_d1)

    @pytest.mark.d1_contract(only=["alg-none"])
    def test_skips_itself(d1_case, fake_d1):
        d1_case.build(fake_d1)
        pytest.skip("not today")

    @pytest.mark.d1_contract(only=["alg-none"])
    def test_fails_by_itself(d1_case, fake_d1):
        d1_case.build(fake_d1)
        raise RuntimeError("no app")

    @pytest.mark.d1_contract(only=["alg-none"])
    def test_asks_in_its_own_way(d1_case, fake_d1):
        assert list(d1_case.case.calls(fake_d1))
"""


def test_a_test_that_never_looks_at_the_answer_fails(run: pytest.Pytester) -> None:
    run.makepyfile(UNCHECKED)
    result = in_process(run, "-rf")
    result.assert_outcomes(passed=1, skipped=1, failed=4)
    assert result.stdout.str().count("\nd1_case.check() was not called\n") == 3
    result.stdout.fnmatch_lines(["E * RuntimeError: no app"])


def test_a_case_gives_no_call_after_the_last() -> None:
    case = CaseUnderTest(contract_cases()[0])
    assert not case.advance()
    case.build(FakeD1())
    assert repr(case) == "<D1 contract case baseline>"
    assert not case.advance()
    with pytest.raises(RuntimeError, match="no further call"):
        case.build(FakeD1())


def test_a_test_run_that_does_not_use_the_plugin_loads_nothing_for_it() -> None:
    script = (
        "import sys, d1verify.testing.pytest_plugin; "
        "print(sorted({'joserfc', 'httpx2', 'starlette', 'd1verify.testing.cases'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], env=unmeasured(), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

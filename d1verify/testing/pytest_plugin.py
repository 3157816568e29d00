"""The pytest plugin: a `fake_d1`, and the contract as one test per case.

    @pytest.mark.d1_contract
    def test_d1_contract(d1_case, fake_d1, client):
        call = d1_case.build(fake_d1)
        response = client.request(call.method or "POST", call.target(NOTIFY_PATH), headers=call.headers, json=BODY)
        d1_case.check(response.status_code, response.headers, response.content)

It is imported in every test run of whoever has d1verify installed, so it imports the rest
only where a test asks for it. It keeps no state between tests: order and processes are free.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ._answers import Headers
    from .call import Call
    from .case import Case
    from .fake_d1 import FakeD1

__all__ = ["CaseUnderTest"]

_MARKER = "d1_contract"


class CaseUnderTest:
    """A case of the contract as a test sees it: it builds a call, and checks the answer to that call.

    A few cases are several calls in turn, such as one before and one after a key is
    withdrawn. The plugin then runs the test once per call, with the same fixtures.

    Attributes:
        case: the case, with its id, title, source and risk.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self._calls: Iterator[Call] | None = None
        self._call: Call | None = None
        self._checked = False

    def build(self, fake_d1: FakeD1) -> Call:
        """Return the call to send; skips the test if the case does not apply to this app."""
        from ._sending import CannotSendError

        missing = self.case.missing(fake_d1)
        if missing is not None:
            pytest.skip(missing)
        if self._calls is None:
            self._calls = self.case.calls(fake_d1)
            try:
                self._call = next(self._calls)
            except CannotSendError as error:
                pytest.skip(str(error))
        if self._call is None:
            raise RuntimeError("the case has no further call")
        return self._call

    def advance(self) -> bool:
        """Make the next call and tell whether there is one. For the plugin, once the answer was checked."""
        self._checked = False
        self._call = None if self._calls is None else next(self._calls, None)
        return self._call is not None

    @property
    def unchecked(self) -> bool:
        """Whether a call was built whose answer nobody has looked at: such a test proves nothing."""
        return self._call is not None and not self._checked

    def close(self) -> None:
        """Let go of what the case has opened for its calls. For the plugin, after the test."""
        if isinstance(self._calls, Generator):
            self._calls.close()

    def check(self, status: int, headers: Headers, body: bytes | str = b"") -> None:
        """Return if that is the right answer to the call.

        Raises:
            AssertionError: it is not; the message says what was expected, what came, and
                what that would let an attacker do.
        """
        __tracebackhide__ = True
        self._checked = True
        self.case.check(status, headers, body, call=self._call)

    def __repr__(self) -> str:
        return f"<D1 contract case {self.case.id}>"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(only=None, skip=()): run the test once for each case of the D1 contract, "
        "or for those with the given ids; the test takes d1_case and fake_d1.",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test per case of each test that is marked so."""
    marker = metafunc.definition.get_closest_marker(_MARKER)
    if marker is None:
        return
    if "d1_case" not in metafunc.fixturenames:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: a test marked {_MARKER} takes d1_case as an argument")
    cases = _chosen(metafunc.definition.nodeid, *marker.args, **marker.kwargs)
    metafunc.parametrize("d1_case", cases, ids=[case.id for case in cases], indirect=True)


def _chosen(where: str, *args: Any, only: Collection[str] | None = None, skip: Collection[str] = ()) -> list[Case]:
    from .cases import contract_cases

    if args or isinstance(only, str) or isinstance(skip, str):
        raise pytest.UsageError(f"{where}: {_MARKER} takes lists of case ids as only= and skip=")
    cases = contract_cases()
    unknown = {*(only or ()), *skip} - {case.id for case in cases}
    if unknown:
        raise pytest.UsageError(f"{where}: {_MARKER} names cases that do not exist: {', '.join(sorted(unknown))}")
    return [case for case in cases if (only is None or case.id in only) and case.id not in skip]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Run the test again for each further call of its case, whatever runs it: asyncio, anyio, or nothing at all.

    A test that passes without a look at the answer is failed.
    """
    result = yield
    case = pyfuncitem.funcargs.get("d1_case")
    if not isinstance(case, CaseUnderTest):
        return result
    if case.unchecked:
        pytest.fail("d1_case.check() was not called", pytrace=False)
    return pyfuncitem.ihook.pytest_pyfunc_call(pyfuncitem=pyfuncitem) if case.advance() else result


@pytest.fixture(scope="session")
def fake_d1() -> FakeD1:
    """A D1 with keys of its own, for `stg` and `MGW_000001`. Override it in conftest.py to set it up otherwise."""
    from .fake_d1 import FakeD1

    return FakeD1()


@pytest.fixture
def d1_case(request: pytest.FixtureRequest) -> CaseUnderTest:
    """The case that this test is about; for tests marked `d1_contract`."""
    case = getattr(request, "param", None)
    if case is None:
        raise pytest.UsageError(f"d1_case is for tests marked {_MARKER}")
    under_test = CaseUnderTest(case)
    request.addfinalizer(under_test.close)  # noqa: PT021 - suites read the fixture's type off what it returns
    return under_test

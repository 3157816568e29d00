"""Eight threads verify while the set is swapped under them: no exception, and no withdrawn key is ever accepted.

`D1VERIFY_SWAP_COUNT` says how many verifications each thread does.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from d1verify import D1Verifier, HTTPKeyStore, TokenError

from ..support import KEY, NOW, SUBJECT, SigningKey
from .certificates import trusting_context
from .servers import Endpoint

THREADS = 8
LEAST_SWAPS = 5
COUNT = int(os.environ.get("D1VERIFY_SWAP_COUNT", "5000"))


class Rotation:
    """One key after the other, each withdrawn for good when the next one comes. `confirmed` is in force."""

    def __init__(self, endpoint: Endpoint, verifier: D1Verifier, over: threading.Event) -> None:
        self.keys = [SigningKey(f"rotating-{number}") for number in range(max(100, COUNT // 50))]
        self.tokens = [key.mint() for key in self.keys]
        self.confirmed = 0
        self._endpoint, self._verifier, self._over = endpoint, verifier, over

    def go_on(self) -> int:
        """Rotate until it is over; return how often."""
        for number, key in enumerate(self.keys):
            self._endpoint.keys = (KEY, key)
            self._verifier.refresh()
            self.confirmed = number
            if self._over.is_set():
                break
        return self.confirmed


def accepts(verify: Callable[[str], object], token: str) -> bool:
    try:
        verify(token)
    except TokenError as error:
        assert error.reason.value == "unknown_key"  # noqa: PT017 - anything else fails the test
        return False
    return True


@pytest.fixture
def _threads_alternate_often() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("_threads_alternate_often")
def test_no_withdrawn_key_is_accepted_and_no_trusted_one_refused(endpoint: Endpoint) -> None:
    endpoint.keys = (KEY,)
    store = HTTPKeyStore(endpoint.url, ssl_context=trusting_context())
    verifier = D1Verifier(store, audience="stg", subject=SUBJECT, clock=lambda: NOW)
    verifier.warm_up()
    over = threading.Event()
    rotation = Rotation(endpoint, verifier, over)
    lasting = KEY.mint()

    def verify_many(_thread: int) -> int:
        withdrawn = 0
        for number in itertools.count():
            if number >= COUNT and min(rotation.confirmed, withdrawn) >= LEAST_SWAPS:
                break
            if number % 4:
                assert accepts(verifier.verify, lasting)
                continue
            in_force = rotation.confirmed
            accepts(verifier.verify, rotation.tokens[in_force])  # It may be withdrawn this moment: either is right.
            if in_force:
                assert not accepts(verifier.verify, rotation.tokens[in_force - 1])
                withdrawn += 1
        return withdrawn

    with ThreadPoolExecutor(THREADS + 1) as threads:
        rotating = threads.submit(rotation.go_on)
        checked = [threads.submit(verify_many, thread) for thread in range(THREADS)]
        refused = sum(future.result(600) for future in checked)
        over.set()
        swaps = rotating.result(60)
    print(f"{swaps} swaps, {refused} tokens of withdrawn keys refused, {THREADS} x {COUNT} verifications")
    assert swaps >= LEAST_SWAPS
    assert refused >= THREADS * LEAST_SWAPS
    assert verifier.health().last_error is None

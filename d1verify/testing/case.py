"""A case of the contract: which call, what the app must answer, why, and what it would cost to get it wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ._answers import Headers, faults
from .call import Call, Expect, TokenExpect
from .fake_d1 import FakeD1

__all__ = ["Case", "Need"]


class Need(StrEnum):
    """What a case needs that not every app has; the value says how to give it, on the command line too."""

    ROTATION = (
        "the app must follow the keys: from pytest or run_contract, give its verifier fake_d1.key_store, or use "
        "write_to() and after_key_change"
    )
    PATH = (
        "the kit must know the path: a URL that names --sub, or from pytest or run_contract "
        "FakeD1(path='/…/{merchantGatewayId}/…')"
    )
    OPEN_PATH = "the kit must know a path that is left open: from pytest or run_contract, FakeD1(open_path='/health')"
    WEBSOCKET = (
        "the kit must know a WebSocket that wants a token: from pytest or run_contract, FakeD1(websocket_path='/…')"
    )
    TIME = "the kit must be able to let time pass: from pytest or run_contract, FakeD1(clock=…, pass_time=…)"
    CLIENT = (
        "the kit must know D1's client id and secret: --client-id and --client-secret-file, or from pytest or "
        "run_token_contract FakeD1(client_id=…, client_secret=…)"
    )
    ACCESS_TOKEN = "an access token must be obtained first, as run_token_contract() does"  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the contract. Immutable; ids are stable, a changed id is a breaking change.

    Attributes:
        id: lower-case words joined by hyphens.
        title: what is special about the call.
        expect: what the app has to answer.
        source: where that is laid down: an RFC's section, D1's rule, the id of a known attack.
        build: makes the call with a `FakeD1`.
        risk: what an attacker gains, or D1 loses, where an app gets it wrong. One sentence.
        script: makes the calls in turn, where one call alone shows nothing; `build` gives the last.
        need: what the app must have for the case to apply.
    """

    id: str
    title: str
    expect: Expect | TokenExpect
    source: str
    build: Callable[[FakeD1], Call]
    risk: str = ""
    script: Callable[[FakeD1], Iterator[Call]] | None = None
    need: Need | None = None

    def calls(self, fake_d1: FakeD1) -> Iterator[Call]:
        """Return the calls to send, each made when the one before it was answered. Mostly it is one."""
        return iter([self.build(fake_d1)]) if self.script is None else self.script(fake_d1)

    def missing(self, fake_d1: FakeD1) -> str | None:
        """Return what the case needs and this `FakeD1` was not told of, or None: then the case applies."""
        given = {
            None: True,
            Need.ROTATION: fake_d1.can_rotate,
            Need.PATH: fake_d1.path is not None,
            Need.OPEN_PATH: fake_d1.open_path is not None,
            Need.WEBSOCKET: fake_d1.websocket_path is not None,
            Need.TIME: fake_d1.pass_time is not None,
            Need.CLIENT: fake_d1.client_id is not None,
            Need.ACCESS_TOKEN: fake_d1.access_token is not None,
        }
        return None if self.need is None or given[self.need] else self.need.value

    def check(self, status: int, headers: Headers, body: bytes | str = b"", *, call: Call | None = None) -> None:
        """Return if the answer is the expected one.

        Args:
            status: the answer's status.
            headers: its header fields, as any client has them: a mapping, or pairs.
            body: its body, to see whether it repeats the token.
            call: the call it answers; without it, the answer is not searched for the token.

        Raises:
            AssertionError: it is not; the message says what was expected, what came, and
                what that would let an attacker do. Nothing of the token or the answer is in it.
        """
        __tracebackhide__ = True  # pytest then points at the test
        found = faults(self.expect if call is None else call.expect, status, headers, body, call)
        if found:
            raise AssertionError(self.message(found))

    def message(self, found: list[str]) -> str:
        """Return one text for what was found wrong with the answer."""
        return f"{self.id} ({self.title}): {'; '.join(found)}. {self.risk} [{self.source}]"

"""The runbook of the README, carried out while calls come in: each of its numbered steps is a method here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from d1verify import TokenError
from d1verify.verifier import D1Verifier

from ..support import SigningKey
from .deployments import Deployment, Restarted

__all__ = ["STEPS", "Runbook"]

LONGEST_LIFE: Final = 900
LEEWAY: Final = 30
STRANGER: Final = SigningKey("nobody-knows")


class Runbook:
    """One rotation. Every call of D1's has to be accepted by every process, whatever step it falls into.

    Args:
        deployment: where the keys are changed.
        old: the key that D1 signs with at first.
        new: the one that it signs with in the end.
        busy: calls come in all the time, D1's and an attacker's; else only at the steps themselves.
    """

    def __init__(self, deployment: Deployment, old: SigningKey, new: SigningKey, *, busy: bool) -> None:
        self.deployment, self.old, self.new, self.busy = deployment, old, new, busy
        self.signer = old
        self.accepted = 0
        self._clock = deployment.clock
        self._reused: list[tuple[str, float]] = []
        self._mint_reused()

    def carry_out(self, steps: Iterable[str]) -> None:
        """Take these steps, one after the other."""
        for name in steps:
            STEPS[name](self)

    def publish(self) -> None:
        """Put the new key beside the old one."""
        self._change(self.old, self.new)

    def wait(self) -> None:
        """Wait until every process has it."""
        self._pass(self._time_for_a_change())
        if self.busy:
            assert all(self.new.kid in verifier.health().kids for verifier in self._processes)

    def switch(self) -> None:
        """D1 signs with the new key."""
        self._mint_reused()
        self.signer = self.new
        self._mint_reused()
        self.calls()

    def give_old_tokens_up(self) -> None:
        """D1 signs with the new key, and uses none of the tokens that it has, since the old key has leaked."""
        self.signer = self.new
        self._reused.clear()

    def let_old_tokens_expire(self) -> None:
        """Wait until nothing that the old key has signed is good any more."""
        self._pass(LONGEST_LIFE + LEEWAY)

    def withdraw(self) -> None:
        """Take the old key away."""
        self._change(self.new)

    def check(self) -> None:
        """See the old key refused within the bound, by every process, and never accepted again."""
        self._pass(self._time_for_a_change())
        assert [self.refuses_old(verifier) for verifier in self._processes] == [True] * len(self._processes)
        self._pass(60)
        assert all(self.refuses_old(verifier) for verifier in self._processes)
        assert all(verifier.health().kids == (self.new.kid,) for verifier in self._processes)

    def calls(self) -> None:
        """Have D1 call every process, with new tokens and with all that it has in use, and a stranger as well."""
        self._reused = [(token, good_until) for token, good_until in self._reused if self._clock() < good_until]
        for verifier in self._processes:
            for token in [self._mint(self.signer), *(token for token, _good_until in self._reused)]:
                verifier.verify(token)
                self.accepted += 1
            assert self._refuses(verifier, STRANGER)  # It keeps the gate for unknown key ids shut.

    def refuses_old(self, verifier: D1Verifier) -> bool:
        """Tell whether a fresh token of the old key is refused for its key."""
        return self._refuses(verifier, self.old)

    @property
    def _processes(self) -> list[D1Verifier]:
        return self.deployment.verifiers

    def _change(self, *keys: SigningKey) -> None:
        if self.busy:
            self.calls()
        for _step in self.deployment.change(keys):
            self.calls()

    def _time_for_a_change(self) -> float:
        """Return what the README says to wait, which is what `health()` says; a restart has taken effect by then."""
        bounds = {verifier.health().withdrawal_bound for verifier in self._processes}
        assert bounds == {self.deployment.bound}
        return 0.0 if isinstance(self.deployment, Restarted) else self.deployment.bound

    def _pass(self, seconds: float) -> None:
        # Bit by bit, so that calls fall into every state; and exactly, where a token expires to the second.
        began, ticks = self._clock(), int(min(100, 4 * seconds))
        for tick in range(1, ticks + 1):
            self._clock.now = began + seconds * tick / ticks
            if self.busy:
                self.calls()

    def _mint(self, key: SigningKey) -> str:
        return key.mint(exp=int(self._clock()) + LONGEST_LIFE)

    def _mint_reused(self) -> None:
        """Have D1 use one token for as long as it is good, as the longest-lived one is."""
        expires = int(self._clock()) + LONGEST_LIFE
        self._reused.append((self.signer.mint(exp=expires), expires + LEEWAY))

    def _refuses(self, verifier: D1Verifier, key: SigningKey) -> bool:
        try:
            verifier.verify(self._mint(key))
        except TokenError as error:
            assert error.reason.value == "unknown_key"  # noqa: PT017 - anything else fails the test
            return True
        return False


STEPS: Final[dict[str, Callable[[Runbook], None]]] = {
    "Publish": Runbook.publish,
    "Wait": Runbook.wait,
    "Switch": Runbook.switch,
    "Let the old tokens expire": Runbook.let_old_tokens_expire,
    "Withdraw": Runbook.withdraw,
    "Check": Runbook.check,
}

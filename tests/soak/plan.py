"""How long everything takes in a run: pure arithmetic from three numbers to all the others. Times in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["FAULTS", "NOTICE", "Plan"]

# What the key server does in each outage, in turn; each outage begins with another one.
FAULTS: Final = ("killed", "hanging", "status 500", "garbage")

USUAL_ROTATION: Final = 20.0
# Within what time a served key set is in force in a worker of a busy machine, and wrk has read a new file of tokens.
NOTICE: Final = 1.0
FILE_LAG: Final = 3.0

LONGEST_BACK_OFF: Final = 30.0
LEAST_JITTER: Final = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The figures of a run. A shorter one has its periods shrunk in proportion.

    Attributes:
        seconds: how long the load lasts.
        workers: how many uvicorn workers serve.
        rotate_every: how often a new key is published.
    """

    seconds: float
    workers: int = 4
    rotate_every: float = USUAL_ROTATION

    @classmethod
    def lasting(cls, seconds: float, *, workers: int = 4, rotate_every: float = USUAL_ROTATION) -> Plan:
        """Return the plan for a run of this length: at least a dozen rotations, three cycles."""
        return cls(seconds=seconds, workers=workers, rotate_every=min(rotate_every, seconds / 12))

    @property
    def tempo(self) -> float:
        """By how much the periods of keys are shorter than in production, at most 1."""
        return min(1.0, self.rotate_every / USUAL_ROTATION)

    @property
    def max_age(self) -> float:
        """For how long a key set counts as current: what an HTTP store does at least, 60 s, in a long run."""
        return 60.0 * self.tempo

    @property
    def cooldown(self) -> float:
        """How often an unknown key id may cause a load."""
        return 6.0 * self.tempo

    @property
    def max_wait(self) -> float:
        """How long a request waits for a load; never shrunk, since the machine does not get faster."""
        return 2.0

    @property
    def timeout(self) -> float:
        """How long one request for the keys may take."""
        return max(2.0, 5.0 * self.tempo)

    @property
    def cycle(self) -> float:
        """How often there is an outage. In every other cycle no unknown key ids come in for most of the time."""
        return 4 * self.rotate_every

    @property
    def overlap(self) -> float:
        """How long the old key stays published after the new one signs."""
        return max(FILE_LAG, 0.3 * self.rotate_every)

    def recovery(self, outage: float) -> float:
        """Return within what time of such an outage's end every busy worker has loaded keys again."""
        return max(back_off_after(outage, self.cooldown), self.cooldown) + self.timeout + NOTICE

    @property
    def withdrawal_bound(self) -> float:
        """Within what time a withdrawn key is refused while the source answers: `max_age + max_wait`."""
        return self.max_age + self.max_wait + NOTICE

    @property
    def warm_up(self) -> float:
        """For how long memory may grow, as caches fill."""
        return min(300.0, 0.4 * self.seconds)

    def is_calm(self, elapsed: float) -> bool:
        """Tell whether no unknown key id is to be sent, so that age alone makes the workers load keys.

        That ends within the outage, when the keys are stale and an unknown one cannot be judged.
        """
        cycles, within = divmod(elapsed, self.cycle)
        return cycles % 2 == 1 and within < 0.8 * self.cycle

    def outages(self) -> list[list[tuple[str, float, float]]]:
        """Return each outage as its faults: name, beginning, end. They all follow each other at once.

        In calm cycles the keys are old when it begins, and it lasts until they are stale.
        """
        found: list[list[tuple[str, float, float]]] = []
        begins = 0.5 * self.cycle
        while True:
            each = (1.5 if self.is_calm(begins) else 0.5) * self.rotate_every / len(FAULTS)
            if begins + len(FAULTS) * each > self.seconds - 0.2 * self.rotate_every:
                return found
            shift = len(found) % len(FAULTS)
            names = FAULTS[shift:] + FAULTS[:shift]
            found.append([(name, begins + each * n, begins + each * (n + 1)) for n, name in enumerate(names)])
            begins += self.cycle


def back_off_after(outage: float, cooldown: float) -> float:
    """Return the longest pause that a key cache makes after an outage (DESIGN.md 5), whoever asked in it.

    After n failures in a row a known key id causes the next load min(30, 2ⁿ⁻¹) s later, jittered,
    an unknown one after the cool-down; one more load may still be in the air when the outage ends.
    """
    elapsed, pause = 0.0, 1.0
    while elapsed < outage:
        elapsed += min(cooldown, LEAST_JITTER * pause)
        pause = min(LONGEST_BACK_OFF, 2 * pause)
    return pause

"""`python -m tests.differential --seconds N`: the stream for as long as one likes, and what was seen in it."""

from __future__ import annotations

import argparse
import logging
import time
from collections import Counter
from collections.abc import Iterable
from itertools import count

from hypothesis import given, seed, settings

from .classes import CLASSES
from .leniences import LENIENCES
from .peers import PEERS, clocks_held
from .test_against_peers import MILDER, PROPERTY, STRICTER, VERDICTS, check
from .tokens import tokens

_ROUND = settings(PROPERTY, max_examples=2000)


def _print_counts(title: str, names: Iterable[str], counts: Counter[tuple[str, str]]) -> None:
    print(f"\n{title:58}", *(f"{peer.name:>13}" for peer in PEERS))
    for name in names:
        print(f"{name:58}", *(f"{counts[name, peer.name]:13,}" for peer in PEERS))


def main() -> None:
    """Run rounds of the property, each with a seed of its own, until the time is up; a failure ends it."""
    arguments = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--seed", type=int, default=0, help="of the first round; the others count on")
    chosen = arguments.parse_args()
    logging.getLogger("d1verify").setLevel(logging.CRITICAL)
    print(*(peer.title for peer in PEERS), sep=", ")
    ends = time.monotonic() + chosen.seconds
    with clocks_held():
        for number in count(chosen.seed):
            seed(number)(_ROUND(given(tokens())(check)))()
            if time.monotonic() >= ends:
                break
    print(f"{VERDICTS.total():,} tokens, seeds {chosen.seed} to {number}")
    for verdict, times in VERDICTS.most_common():
        print(f"{times:12,} {verdict}")
    _print_counts("refused, and accepted by", CLASSES, STRICTER)
    _print_counts("accepted, and refused by", LENIENCES, MILDER)


if __name__ == "__main__":
    main()

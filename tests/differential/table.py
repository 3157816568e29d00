"""The README's table of what the others accept: made by asking them, and read back from the text."""

from __future__ import annotations

from .classes import CLASSES
from .examples import examples
from .peers import PEERS, clocks_held, d1, judged

BEGIN, END = "<!-- stricter:begin -->", "<!-- stricter:end -->"
D1VERIFY = "d1verify"
NOT_SHOWN = frozenset({"`iss` is not the issuer"})
"""None but PyJWT 2.10.0 takes an issuer that is a part of the right one (CVE-2024-53861)."""


def _word(*, accepted: bool) -> str:
    return "accepts" if accepted else "refuses"


def _row(name: str) -> str:
    token = examples()[name]
    said = {judged(d1(token_cache_size=size), token) for size in (0, 64)}
    words = [_word(accepted=said == {"accepted"}), *(_word(accepted=peer.accepts(token)) for peer in PEERS)]
    return f"| {name} | {' | '.join(words)} |"


def markdown() -> str:
    """Return the table as the libraries installed here fill it."""
    titles = ["token", D1VERIFY, *(peer.title for peer in PEERS)]
    with clocks_held():
        rows = [_row(name) for name in CLASSES if name not in NOT_SHOWN]
    return "\n".join([f"| {' | '.join(titles)} |", f"| {' | '.join(['---'] * len(titles))} |", *rows]) + "\n"


def columns(table: str) -> dict[str, list[tuple[str, str]]]:
    """Return by title what stands in each column, each cell with the name of its row."""
    lines = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.strip().splitlines()]
    titles, _, *rows = lines
    return {title: [(row[0], row[place]) for row in rows] for place, title in enumerate(titles) if place}

"""Whether a message is made of the package's own words, so that nothing of an input can be in it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

__all__ = ["Wording"]


class Wording:
    """The words of every text in the sources of these modules; only `tolerated` words may come besides."""

    def __init__(self, *modules: str, tolerated: Iterable[str] = ()) -> None:
        self._words = frozenset(tolerated).union(*map(_words_in, modules))

    def foreign(self, message: str, *allowed: str) -> set[str]:
        """Return the words of `message` that are not the package's own and are none of `allowed`."""
        for text in allowed:
            message = message.replace(text, " ")
        return set(_words(message)) - self._words


def _words_in(module: str) -> set[str]:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return {word for text in texts for word in _words(text)}


def _words(text: str) -> list[str]:
    return [word for word in (piece.strip("\"'.,:;()") for piece in text.split()) if word]

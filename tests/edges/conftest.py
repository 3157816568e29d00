"""The registry of edges: `test_every_edge.py` runs over every line of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from d1verify import D1Verifier

from .cases import verifier_for_cases
from .django_edges import django_edges
from .edge import Edge
from .on_asgi import asgi_edges
from .on_fastapi import fastapi_edges
from .on_wsgi import wsgi_edges

BACKENDS = ("asyncio", "trio")

EDGES: tuple[Edge, ...] = (
    *(edge for backend in BACKENDS for edge in asgi_edges(backend)),
    *(edge for backend in BACKENDS for edge in fastapi_edges(backend)),
    *wsgi_edges(),
    *django_edges(),
)


def _fixture(edges: Iterable[Edge]) -> Any:
    @pytest.fixture(params=tuple(edges), ids=lambda edge: edge.name)
    def chosen(request: pytest.FixtureRequest) -> Edge:
        one: Edge = request.param
        return one

    return chosen


edge = _fixture(EDGES)
edge_with_exclude = _fixture(edge for edge in EDGES if edge.has_exclude)
edge_with_answer_options = _fixture(edge for edge in EDGES if edge.has_answer_options)
edge_that_compares = _fixture(edge for edge in EDGES if edge.compares_path)
edge_with_websocket = _fixture(edge for edge in EDGES if edge.build_websocket is not None)
edge_with_both = _fixture(edge for edge in EDGES if edge.has_exclude and edge.build_websocket is not None)


@pytest.fixture(scope="package")
def case_verifier() -> D1Verifier:
    return verifier_for_cases()

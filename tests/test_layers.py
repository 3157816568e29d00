"""The rooms and the one direction of imports, read from the sources (`ast`)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import d1verify

PACKAGE = Path(d1verify.__file__).parent  # where it is installed: the wheel is tried without this tree

# From the top of the house down: a room imports rooms above it and none below or beside it.
# Some of the private ones may not be there.
ROOMS = [
    "_version", "errors", "_checks", "_records", "bearer", "_paths", "_scope", "_codec", "_fork", "_flood", "_refusal_log", "_memo", "policy", "_keyformats",
    "keys", "tokens", "_edge", "claims", "observer", "audit", "_freshness", "_transitions", "_loading", "_log", "_keyloader", "keycache", "_health_endpoint", "keystores", "_settings", "_known", "_verdicts", "verifier",
]  # fmt: skip
EDGES = {"asgi", "wsgi", "fastapi", "drf", "django", "oauth", "telemetry", "testing", "cli"}
TOOLS = {"testing", "cli"}  # Not on the verification path; they may use edges.
PURE = {"errors", "bearer", "_codec", "policy", "_keyformats", "keys", "tokens", "claims", "_freshness", "_transitions"}

ONLY_IN = {
    "cryptography": {"keys", "oauth"},
    "httpx2": {"keystores.http", "oauth"},
    "starlette": {"asgi", "fastapi", "oauth"},
    "fastapi": {"fastapi"},
    "django": {"django", "drf"},
    "rest_framework": {"drf"},
    "opentelemetry": {"telemetry"},
    "authlib": {"oauth"},
    "joserfc": {"oauth"},
    "cachetools": {"_memo"},
}
INPUT_OUTPUT = {
    "os",
    "io",
    "socket",
    "ssl",
    "time",
    "pathlib",
    "subprocess",
    "threading",
    "asyncio",
    "anyio",
    "urllib.request",
}


def modules() -> dict[str, Path]:
    """Return dotted name within the package -> file; the package's own `__init__` is no room."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    del found[""]
    return found


MODULES = modules()


def imports_by_local_name(name: str, *, top_level_only: bool = False) -> Iterator[tuple[str, str]]:
    """Yield what each import is called in a module, and its absolute dotted name; our own start with `d1verify.`."""
    path = MODULES[name]
    package = ["d1verify", *path.relative_to(PACKAGE).parts[:-1]]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((alias.asname or alias.name, f"{source}.{alias.name}") for alias in node.names)


def imports(name: str, *, top_level_only: bool = False) -> Iterator[str]:
    """Yield every absolute dotted name that a module imports."""
    yield from (imported for _local, imported in imports_by_local_name(name, top_level_only=top_level_only))


def room(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def own_imports(name: str) -> set[str]:
    """Return the modules of ours that a module imports."""
    found = set()
    for imported in imports(name):
        if imported.startswith("d1verify."):
            inside = imported.removeprefix("d1verify.")
            found.add(inside if inside in MODULES else inside.rpartition(".")[0] or "(the package itself)")
    return found - {name}


def test_every_module_is_in_a_room() -> None:
    assert {room(name) for name in MODULES} <= {*ROOMS, *EDGES}
    assert {one for one in ROOMS if not one.startswith("_")} <= {room(name) for name in MODULES}


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) in ROOMS])
def test_imports_point_up(name: str) -> None:
    above = {*ROOMS[: ROOMS.index(room(name))], room(name)}
    assert {room(one) for one in own_imports(name)} <= above


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) in EDGES])
def test_edges_do_not_import_each_other(name: str) -> None:
    neighbours = EDGES - {room(name)} - (EDGES - {"cli"} if room(name) in TOOLS else set())
    assert not {room(one) for one in own_imports(name)} & neighbours


@pytest.mark.parametrize("name", MODULES)
def test_nothing_that_runs_in_production_imports_the_tools(name: str) -> None:
    allowed = TOOLS if room(name) in TOOLS else set()
    assert not ({room(one) for one in own_imports(name)} & TOOLS) - allowed


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) not in TOOLS])
def test_each_library_is_touched_by_its_own_room_alone(name: str) -> None:
    for library in {one.split(".")[0] for one in imports(name)} & set(ONLY_IN):
        assert {name, room(name)} & ONLY_IN[library], f"{name} imports {library}"


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) == "keystores"])
def test_key_stores_never_see_the_policy(name: str) -> None:
    assert not own_imports(name) & {"policy", "tokens", "claims", "verifier"}


@pytest.mark.parametrize("name", sorted(PURE))
def test_checks_do_no_io(name: str) -> None:
    assert not {one.split(".")[0] for one in imports(name)} & INPUT_OUTPUT


LOADED_LATE = {"keystores.http", "keystores._running"}  # with `HTTPKeyStore` (PEP 562)


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) in ROOMS and name not in LOADED_LATE])
def test_event_loops_are_imported_inside_functions(name: str) -> None:
    loops = {"asyncio", "anyio", "trio", "ssl"}
    assert not {one.split(".")[0] for one in imports(name, top_level_only=True)} & loops


UNWANTED = [
    "starlette", "fastapi", "django", "httpx2", "httpcore2", "httpx", "joserfc", "authlib", "asyncio", "anyio", "trio", "ssl",
    "socket", "typer", "rich", "uvicorn", "opentelemetry", "prometheus_client",
]  # fmt: skip
PROBE = """
import builtins, os, sys
before = set(sys.modules)
real_open, os.environ = builtins.open, None  # Reading the environment or a file would fail from here on.
def no_open(*args, **kwargs):
    raise AssertionError("a file is opened")
import cryptography.hazmat.primitives.asymmetric.ec, cachetools, cryptography.hazmat.primitives.serialization
import cryptography.hazmat.primitives.asymmetric.utils, json, re, dataclasses, enum, typing, random, logging, threading
builtins.open = no_open
import d1verify
print(",".join(sorted({name.split(".")[0] for name in sys.modules})))
"""


def test_importing_the_package_loads_no_framework_reads_no_environment_and_opens_no_file() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout.strip().split(",")) & set(UNWANTED)


def test_no_check_is_an_assert() -> None:
    asserts = [
        f"{name}:{node.lineno}"
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert asserts == []

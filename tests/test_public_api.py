"""What is public, against reality."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import types
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header

import d1verify
from d1verify import D1Token, D1Verifier, FileKeyStore, KeyCache, KeySet, Refusal

from .test_layers import MODULES, imports_by_local_name

PACKAGE = Path(d1verify.__file__).parent
NAMES = [
    "ANY_SUBJECT", "ConfigurationError", "D1Token", "D1Verifier", "D1VerifyError", "EnvKeyStore", "FileKeyStore",
    "HTTPKeyStore", "HeaderVerifier", "KeyCache", "KeySet", "KeyStore", "KeyStoreError", "PublicKey", "Reason", "Refusal",
    "SkippedKey", "StaticKeyStore", "TokenError", "refusal",
]  # fmt: skip


def test_the_public_names_are_the_documented_ones() -> None:
    assert sorted(d1verify.__all__) == NAMES
    assert len(set(d1verify.__all__)) == len(d1verify.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(d1verify, name) is not None


def test_nothing_else_is_public() -> None:
    submodules = {path.stem for path in PACKAGE.iterdir()}
    others = {name for name, value in vars(d1verify).items() if name[0] not in "_@"} - set(NAMES) - submodules
    assert others == {"annotations", "TYPE_CHECKING"}


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="D1Verfier"):
        d1verify.__getattr__("D1Verfier")


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


SOURCES = sorted(PACKAGE.rglob("*.py"))
PUBLIC_SOURCES = [path for path in SOURCES if not path.stem.startswith("_") or path.stem == "__init__"]


def undocumented(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the public definitions that have no docstring; special methods but `__call__` explain themselves."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("_") and node.name != "__call__":
                continue
            if ast.get_docstring(node) is None:
                yield node.name
            if isinstance(node, ast.ClassDef):
                yield from (f"{node.name}.{name}" for name in undocumented(node.body))


def listed(tree: ast.Module) -> set[str]:
    """Return the names in a module's `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return set(names)
    return set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is not None


@pytest.mark.parametrize("path", PUBLIC_SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_everything_public_has_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert {name for name in undocumented(tree.body) if name.split(".")[0] in listed(tree)} == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_name_in_all_is_defined(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined = {
        getattr(target, "id", getattr(target, "attr", None))
        for node in ast.walk(tree)
        for target in getattr(node, "targets", [getattr(node, "target", node)])
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            defined.add(node.name)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            defined |= {alias.asname or alias.name for alias in node.names}
    assert listed(tree) <= defined


def taken_from_others(name: str) -> set[tuple[str, str]]:
    """Return (module of ours, name) of each thing that a module takes from another, also as `module.name`."""
    taken = set()
    modules = {}
    for local, imported in imports_by_local_name(name):
        inside = imported.removeprefix("d1verify.")
        if inside in MODULES:
            modules[local] = inside
        elif inside != imported and inside.rpartition(".")[0] in MODULES:
            taken.add((inside.rpartition(".")[0], inside.rpartition(".")[2]))
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            taken.add((modules[node.value.id], node.attr))
    return taken


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_takes_from_another_is_listed_there(name: str) -> None:
    unlisted = [
        f"{source}.{taken}"
        for source, taken in sorted(taken_from_others(name))
        if taken not in listed(ast.parse(MODULES[source].read_text(encoding="utf-8")))
    ]
    assert unlisted == []


def parameters(function: object) -> dict[str, inspect.Parameter]:
    assert callable(function)
    return dict(inspect.signature(function).parameters)


def test_settings_are_keyword_only_and_audience_and_subject_have_no_default() -> None:
    settings = parameters(D1Verifier)
    assert settings.pop("store").kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert {one.kind for one in settings.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert [name for name, one in settings.items() if one.default is inspect.Parameter.empty] == ["audience", "subject"]
    assert {name: one.default for name, one in settings.items() if isinstance(one.default, int)} == {
        "leeway": 30, "max_lifetime": 900, "token_cache_size": 1024,
    }  # fmt: skip


def test_the_cache_s_settings_are_the_documented_ones() -> None:
    settings = parameters(KeyCache)
    assert [settings[name].default for name in ("cooldown", "max_wait", "load_timeout")] == [30.0, 2.0, 10.0]
    assert {settings[name].kind for name in settings if name != "store"} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (KeySet, ["keys", "max_age", "max_stale", "skipped"]),
        (FileKeyStore, ["path", "kid"]),
        (D1Verifier.verify, ["self", "token"]),
        (D1Verifier.verify_header, ["self", "value"]),
        (d1verify.refusal, ["error", "realm", "reveal_reason"]),
    ],
)
def test_signatures(function: object, names: list[str]) -> None:
    assert list(parameters(function)) == names


@pytest.mark.parametrize("name", ["verify", "verify_header", "warm_up", "refresh"])
def test_every_blocking_method_has_an_async_twin_with_the_same_parameters(name: str) -> None:
    method, twin = getattr(D1Verifier, name), getattr(D1Verifier, f"a{name}")
    assert inspect.iscoroutinefunction(twin)
    assert not inspect.iscoroutinefunction(method)
    assert parameters(method) == parameters(twin)


def test_a_token_is_no_record_that_could_be_posted_and_a_refusal_cannot_be_changed() -> None:
    assert not dataclasses.is_dataclass(D1Token)
    assert not issubclass(D1Token, tuple | dict)
    assert not isinstance(D1Token, types.GenericAlias)
    with pytest.raises(AttributeError):
        Refusal(401, (), b"").status = 200  # type: ignore[misc]


def test_any_subject_is_one_written_word() -> None:
    assert isinstance(d1verify.ANY_SUBJECT, Enum)
    assert repr(d1verify.ANY_SUBJECT).startswith("<AnySubject.ANY_SUBJECT")


def bare(token: D1Token) -> None: ...
def optional(token: D1Token | None = None) -> None: ...
def listed_tokens(token: list[D1Token]) -> None: ...
def from_header(token: D1Token = Header()) -> None: ...  # noqa: B008
def returned() -> D1Token: ...  # type: ignore[empty-body]


@pytest.mark.parametrize("handler", [bare, optional, listed_tokens, from_header, returned])
@pytest.mark.parametrize("router", [FastAPI, APIRouter])
def test_a_token_that_a_caller_could_post_is_refused_at_registration(handler: object, router: type[APIRouter]) -> None:
    assert callable(handler)
    with pytest.raises(Exception, match="Depends"):
        router().post("/x")(handler)


def test_a_token_that_comes_from_a_dependency_is_fine() -> None:
    def handler(token: D1Token = Depends(lambda: None)) -> None: ...  # noqa: B008

    FastAPI().post("/x")(handler)

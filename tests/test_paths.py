from __future__ import annotations

from typing import Any

import pytest

from d1verify import ConfigurationError
from d1verify._paths import checked_paths, is_spelt_out


@pytest.mark.parametrize(
    "path", ["/health", "/health/", "/a/b", "/~x/_y-z", "/.well-known/live", "/a:b", "/a@b", "/..."]
)
def test_takes_a_literal_path(path: str) -> None:
    assert checked_paths([path]) == {path}


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "*", "/*", "health", "//health", "/a//b", "/./a", "/a/..", "/a/../b", "/."),
        *("/a?b", "/a#b", "/%68ealth", "/a;b", "/a\\b", "/a b", "/a\n", "/a\x00", "/é", "/a\x7f"),
        *(None, 1, b"/health"),
    ],
)
def test_refuses_a_path_that_could_mean_more_than_itself(path: Any) -> None:
    with pytest.raises(ConfigurationError, match="exact paths"):
        checked_paths(["/fine", path])


@pytest.mark.parametrize("exclude", ["/health", b"/health", None, 1], ids=repr)
def test_refuses_what_is_no_collection(exclude: Any) -> None:
    with pytest.raises(ConfigurationError, match="collection of paths"):
        checked_paths(exclude)


def test_takes_any_collection_once() -> None:
    assert checked_paths(path for path in ("/a", "/a", "/b")) == {"/a", "/b"}
    assert checked_paths(()) == frozenset()


@pytest.mark.parametrize("raw", ["/health", b"/health", "/d1/health", b"/d1/health"])
def test_a_path_may_be_written_with_and_without_the_mount(raw: str | bytes) -> None:
    assert is_spelt_out(raw, "/health", "/d1")


@pytest.mark.parametrize(
    "raw",
    [
        "/d1/d1/health",
        "d1/health",
        "/d1health",
        "/D1/health",
        "/%641/health",
        b"/d1/health\xff",
        "",
        b"",
        "/health\udcff",
    ],
)
def test_another_spelling_is_another_path(raw: str | bytes) -> None:
    assert not is_spelt_out(raw, "/health", "/d1")

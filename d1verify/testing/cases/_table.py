"""The words in which the catalogue is written: one line per case, its call made when it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from .._signing import to_json
from ..call import Call, Expect
from ..case import Case, Need
from ..fake_d1 import FakeD1

__all__ = ["Script", "Token", "bearer", "call", "claims", "edited", "header", "other_case", "row", "scripted"]

Token = Callable[[FakeD1], str]
Script = Callable[[FakeD1], Iterator[Call]]


def call(
    fake_d1: FakeD1, expect: Expect, *authorization: str | bytes, other: tuple[tuple[str, str], ...] = (), **more: Any
) -> Call:
    """Return a call with these `Authorization` values to the path where D1 calls, if that is known."""
    values = [value.encode("latin-1") if isinstance(value, str) else value for value in authorization]
    fields = [*((b"Authorization", value) for value in values)]
    fields += [(name.encode("ascii"), value.encode("latin-1")) for name, value in other]
    return Call(raw_headers=tuple(fields), expect=expect, **{"path": fake_d1.call_path(fake_d1.subject), **more})


def bearer(fake_d1: FakeD1, expect: Expect, jwt: str, **more: Any) -> Call:
    """Return a call that presents `jwt`."""
    return call(fake_d1, expect, f"Bearer {jwt}", **more)


def row(  # noqa: PLR0917 - the columns of a table
    expect: Expect,
    id: str,  # noqa: A002 - as the field is named
    title: str,
    source: str,
    risk: str,
    build: Callable[[FakeD1], Call] | None = None,
    *,
    jwt: Token | None = None,
    need: Need | None = None,
) -> Case:
    """Return a case of one call, made by `build`, or presenting what `jwt` makes."""
    if jwt is not None:
        build = partial(_present, expect, jwt)
    if build is None:
        raise TypeError("a row has a call or a token")
    return Case(id=id, title=title, expect=expect, source=source, build=build, risk=risk, need=need)


def scripted(  # noqa: PLR0917 - the columns of a table
    expect: Expect,
    id: str,  # noqa: A002 - as the field is named
    title: str,
    source: str,
    risk: str,
    script: Script,
    *,
    need: Need | None = None,
) -> Case:
    """Return a case of several calls, each made when the one before it was answered."""
    build = partial(_last, script)
    return Case(id=id, title=title, expect=expect, source=source, build=build, risk=risk, script=script, need=need)


def claims(**changes: Any) -> Token:
    """Return what makes a token with these claims; a function is called with the `FakeD1` for its value."""

    def make(fake_d1: FakeD1) -> str:
        return fake_d1.token(**{name: _made(value, fake_d1) for name, value in changes.items()})

    return make


def header(**changes: Any) -> Token:
    """Return what makes a properly signed token with these header members; a function is called for its value."""

    def make(fake_d1: FakeD1) -> str:
        return fake_d1.token(header={name: _made(value, fake_d1) for name, value in changes.items()})

    return make


def edited(part: str, edit: Callable[[str], str | bytes]) -> Token:
    """Return what makes a token, properly signed, whose `header` or `payload` JSON went through `edit`."""

    def make(fake_d1: FakeD1) -> str:
        members = fake_d1.jose_header() if part == "header" else fake_d1.claims()
        after = edit(to_json(members).decode("ascii"))
        return fake_d1.token(**{part: after if isinstance(after, bytes) else after.encode("utf-8")})

    return make


def other_case(text: str) -> str:
    """Return another text that a case-insensitive look-up takes for this one, if it has a letter at all."""
    return text.swapcase() if text.swapcase() != text else f"{text}x"


def _made(value: Any, fake_d1: FakeD1) -> Any:
    return value(fake_d1) if callable(value) else value


def _present(expect: Expect, jwt: Token, fake_d1: FakeD1) -> Call:
    return bearer(fake_d1, expect, jwt(fake_d1))


def _last(script: Script, fake_d1: FakeD1) -> Call:
    *_, last = script(fake_d1)
    return last

"""The commands and their options. What they do is in a module each."""

from __future__ import annotations

from typing import Annotated

import typer

from .demo import run_demo

__all__ = ["app"]

app = typer.Typer(
    name="d1verify",
    help="Authentication of the calls that Thales D1 makes to merchants' back ends.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root() -> None:
    """Authentication of the calls that Thales D1 makes to merchants' back ends."""


@app.command()
def demo(
    *,
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep the guarded server running and print a curl line for it.")
    ] = False,
) -> None:
    """Start a guarded server on this machine, call it as D1 would and as D1 never would, and show what it answers."""
    raise typer.Exit(run_demo(serve=serve))

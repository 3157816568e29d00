"""The `d1verify` command. It needs the extra `cli`; the library does not need it."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    try:
        from .app import run
    except ImportError as error:
        if error.name not in ("typer", "rich", "uvicorn"):
            raise
        sys.exit('The d1verify command needs its extra: pip install "d1verify[cli]"')
    run()

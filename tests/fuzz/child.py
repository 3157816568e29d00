"""`python -m tests.fuzz.child HARNESS [libFuzzer's arguments]`: one harness under atheris, until it ends the process.

The package and the oracles are imported here and nowhere before, so that their branches are counted.
"""

from __future__ import annotations

import shlex
import sys
from importlib import import_module

from .harnesses import load


def main(name: str, *arguments: str) -> None:
    """Fuzz; libFuzzer does not come back, it exits."""
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["d1verify", "tests"]):
        harness = load(name)
    # To merge, libFuzzer starts itself anew: it hands the first argument to a shell as it is.
    itself = shlex.join([sys.executable, "-m", f"{__package__}.child", name])
    atheris.Setup([itself, *arguments], harness.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])

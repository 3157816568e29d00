"""`python -m tests.mutation`: mutate, run the tests against each mutant, and hold the survivors to their list.

Exit status: 0 enough was killed and each survivor has its reason, 1 not so, 2 it cannot run here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .constants import try_constants
from .mutants import read_mutants
from .survivors import SURVIVORS
from .verdict import judged, report
from .workshop import MODULES, lay_out, mutmut_command, run_mutmut

HOLDS, FAILED, CANNOT_RUN = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument(
        "--module", action="append", choices=MODULES, metavar="NAME", help=f"all by default: {', '.join(MODULES)}"
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many mutants are tried at a time (1)")
    parser.add_argument("--folder", type=Path, help="an empty folder to work in, which stays (a temporary one)")
    options = parser.parse_args(arguments)
    if not mutmut_command().exists():
        print("mutmut is not installed beside this Python: pip install -e '.[mutation]'", file=sys.stderr)
        return CANNOT_RUN
    modules = options.module or MODULES
    if options.folder is not None:
        return _run(options.folder, modules, options.jobs)
    with tempfile.TemporaryDirectory(prefix="d1verify-mutation-") as folder:
        return _run(Path(folder), modules, options.jobs)


def _run(folder: Path, modules: Sequence[str], jobs: int) -> int:
    started = time.monotonic()
    copy = lay_out(folder, modules)
    status = run_mutmut(copy, jobs)
    if status != 0:
        print(f"mutmut ended with status {status}:\n{(copy / 'mutmut.log').read_text()[-5000:]}", file=sys.stderr)
        return CANNOT_RUN
    verdicts = []
    for module in modules:
        print(f"the constants of {module}", flush=True)
        mutants = [*read_mutants(copy, module), *try_constants(copy, module)]
        verdicts.append(judged(module, mutants, SURVIVORS))
    print(report(verdicts))
    print(f"{time.monotonic() - started:,.0f} s")
    return HOLDS if all(one.ok for one in verdicts) else FAILED


if __name__ == "__main__":
    sys.exit(main())

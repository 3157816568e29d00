"""`python -m tests.fuzz`: fuzz, replay one input, or minimise what was grown.

Exit status: 0 nothing found, 1 a finding or a process that came to a bad end, 2 it cannot run here.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from .harnesses import NAMES, load
from .minimising import minimise
from .running import Outcome, Session, forget

CLEAN, FOUND, CANNOT_RUN = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit status."""
    options = _options(arguments)
    unknown = [name for name in options.harness if name not in NAMES]
    if unknown:
        print(f"there is no harness {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return CANNOT_RUN
    if options.replay is not None:
        return _replay(options.harness, options.replay)
    if find_spec("atheris") is None:
        print("atheris is not installed; it has wheels for CPython 3.11 to 3.14 on Linux x86-64", file=sys.stderr)
        return CANNOT_RUN
    names = options.harness or list(NAMES)
    if options.minimise:
        return _minimise(names, options.corpus)
    findings = options.findings or Path(tempfile.mkdtemp(prefix="d1verify-findings-"))
    return _fuzz(names, Session(seconds=options.seconds, findings=findings, corpus=options.corpus), options.jobs)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("harness", nargs="*", help=f"which to run, all by default: {', '.join(NAMES)}")
    parser.add_argument("--seconds", type=int, default=30, help="how long each harness runs (30)")
    parser.add_argument("--jobs", type=int, default=1, help="how many run at a time (1)")
    parser.add_argument("--corpus", type=_folder, help="a folder where what was grown stays, to go on from")
    parser.add_argument(
        "--findings", type=_folder, help="a folder for inputs that break an invariant (a temporary one)"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="put one input before one harness, without atheris")
    parser.add_argument("--minimise", action="store_true", help="commit the best of --corpus to tests/fuzz/corpus")
    options = parser.parse_args(arguments)
    if options.minimise and options.corpus is None:
        parser.error("--minimise needs --corpus")
    if options.replay is not None and len(options.harness) != 1:
        parser.error("--replay needs one harness")
    if options.seconds < 1 or options.jobs < 1:
        parser.error("--seconds and --jobs are whole numbers from 1")
    return options


def _folder(text: str) -> Path:
    return Path(text).absolute()


def _fuzz(names: Sequence[str], session: Session, jobs: int) -> int:
    columns = f"{'executions':>12}{'per second':>12}{'edges':>8}{'features':>10}{'corpus':>8}"
    print(f"{'harness':14}{columns}  findings", flush=True)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        outcomes = []
        for outcome in pool.map(session.fuzz, names):
            outcomes.append(outcome)
            print(_row(outcome), flush=True)
    for outcome in outcomes:
        _tell(outcome, session.findings)
    forget(session.findings)
    return CLEAN if all(outcome.is_clean for outcome in outcomes) else FOUND


def _row(outcome: Outcome) -> str:
    pace = f"{outcome.executions:>12,}{outcome.per_second:>12,}"
    reached = f"{outcome.edges:>8,}{outcome.features:>10,}{outcome.corpus:>8,}"
    return f"{outcome.harness:14}{pace}{reached}  {outcome.trouble or len(outcome.findings)}"


def _tell(outcome: Outcome, findings: Path) -> None:
    for path in outcome.findings:
        print(f"\n{outcome.harness}: reproduce with\n  python -m tests.fuzz {outcome.harness} --replay {path}")
    if not outcome.is_clean:
        print(f"  log: {findings / outcome.harness}.log")


def _replay(names: Sequence[str], path: Path) -> int:
    """Run one harness over one file; what does not hold is the traceback."""
    load(names[0]).check(path.read_bytes())
    print(f"{names[0]}: every invariant holds for {path}")
    return CLEAN


def _minimise(names: Sequence[str], corpus: Path) -> int:
    for name in names:
        files = minimise(name, corpus)
        print(f"{name:14}{len(files):>6} files{sum(map(os.path.getsize, files)):>10,} bytes")
    return CLEAN


if __name__ == "__main__":
    sys.exit(main())

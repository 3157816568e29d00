"""`python -m tests.soak`: half an hour under load, and a verdict."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import sys
from contextlib import suppress

from .driver import soak
from .plan import Plan
from .spoils import SPOILS
from .verdict import Verdict


def main() -> int:
    """Run, print, and return the exit code: 0 if everything holds, else 1."""
    options = _options()
    if shutil.which("wrk") is None:
        print("wrk is not installed; Debian has it as wrk", file=sys.stderr)
        return 1
    plan = Plan.lasting(options.seconds, workers=options.workers, rotate_every=options.rotate_every)
    try:
        verdict = asyncio.run(_until_told_to_stop(plan, options.spoil))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped; there is no verdict", file=sys.stderr)
        return 1
    print(json.dumps(verdict.as_json(), indent=2) if options.json else verdict.table())
    return 0 if verdict.ok else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=1800, help="how long the load lasts (1800); 60 is the short form"
    )
    parser.add_argument("--workers", type=int, default=4, help="how many uvicorn workers (4)")
    parser.add_argument(
        "--rotate-every", type=float, default=20, help="seconds between new keys (20, less in short runs)"
    )
    parser.add_argument("--spoil", choices=sorted(SPOILS), default="", help="plant a fault, to see it noticed")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    return parser.parse_args()


async def _until_told_to_stop(plan: Plan, spoil: str) -> Verdict:
    """Run; a SIGTERM stops everything as Ctrl-C does."""
    task = asyncio.current_task()
    if task is not None:
        with suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await soak(plan, spoil)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.soak.planted [NAME…]`: the soak notices each planted fault as what it is, and ends with 1."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

from .spoils import SPOILS

SECONDS: Final = 24
# What takes longer to be sure of.
SECONDS_OF: Final = {"never-looks-again": 60}
LONGEST_SECONDS: Final = 180


def noticed(spoil: str) -> set[str]:
    """Return the names of the checks that fail with this fault; none if the exit code says all is well."""
    command = [sys.executable, "-m", "tests.soak", "--json", "--spoil", spoil]
    command += ["--seconds", str(SECONDS_OF.get(spoil, SECONDS))]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST_SECONDS)
    if run.returncode != 1 or not run.stdout:
        print(run.stderr)
        return set()
    return {check["name"] for check in json.loads(run.stdout)["checks"] if not check["ok"]}


def main() -> int:
    """Plant one fault after the other; return 0 if each is noticed."""
    missed = 0
    for spoil in sys.argv[1:] or SPOILS:
        failed = noticed(spoil)
        ok = any(name.startswith(SPOILS[spoil]) for name in failed)
        missed += not ok
        print(f"{spoil:20} {'noticed' if ok else 'MISSED'} as {', '.join(sorted(failed)) or 'nothing'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

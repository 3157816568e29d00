"""What the package costs at start-up: whole processes, begun in turn."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile

from .measuring import Batch, Effort, Ratio, interleave
from .rows import MILLISECONDS, Experiment, Row, at_most, compared
from .servers import ROOT

NEEDED = "import cryptography.hazmat.primitives.asymmetric.ec, cachetools, json"
CODE = {"ours": "import d1verify", "needed": NEEDED, "python": "pass"}


def start_up(*, quick: bool) -> list[Row]:
    """Measure `python -c 'import d1verify'` against the import of what it cannot do without."""
    ratio = Ratio("ours", "needed")
    effort = Effort(repeats=1, min_rounds=30, max_rounds=100, max_seconds=25)
    with tempfile.TemporaryDirectory(prefix="d1verify-compiled-") as compiled:
        contenders = {name: _process(code, _environment(compiled)) for name, code in CODE.items()}
        for batch in contenders.values():
            batch(1)  # So that everybody finds compiled modules.
        samples = interleave(contenders, [ratio], effort.shortened() if quick else effort)
    figures = {"python -c pass, ms": samples.cost("python").median * 1e3}
    return [
        compared(
            "import",
            "python -c 'import d1verify' ÷ the import of what it needs, whole process",
            samples,
            ratio,
            MILLISECONDS,
            aim=at_most(1.7),
            figures=figures,
            note=f"the other: {NEEDED}",
        )
    ]


def _environment(compiled: str) -> dict[str, str]:
    """Return an environment in which compiled modules are kept, as an installer does it, and nowhere in this tree."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": compiled}


def _process(code: str, environment: dict[str, str]) -> Batch:
    def batch(repeats: int) -> float:
        before = _processor_seconds()
        for _repeat in range(repeats):
            subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
        return _processor_seconds() - before

    return batch


def _processor_seconds() -> float:
    """Return what all children that have ended took, which those of others do not disturb."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


EXPERIMENTS = (Experiment(("import",), start_up),)

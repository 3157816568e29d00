"""Runs harnesses as processes of their own, and reads from libFuzzer's log how far each came."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .harnesses import load
from .seeds import seeds

__all__ = ["COMMITTED", "Outcome", "Session", "child_command", "laid_out"]

COMMITTED: Final = Path(__file__).parent / "corpus"
ROOT: Final = Path(__file__).parents[2]

SLOWEST_INPUT_SECONDS: Final = 10
MOST_MEGABYTES: Final = 2048
# What a process may take beside its time: to import, to go through the seeds, to come to an end.
GRACE_SECONDS: Final = 120

_STATUS: Final = re.compile(r"^#(\d+)\s.*?(?:cov: (\d+) )?(?:ft: (\d+) )?corp: (\d+)/", re.MULTILINE)
_EXECUTIONS: Final = re.compile(r"^(?:stat::number_of_executed_units:|Done) +(\d+)", re.MULTILINE)
_PER_SECOND: Final = re.compile(r"^stat::average_exec_per_sec: +(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one harness: how much was tried, and the files that break it."""

    harness: str
    executions: int = 0
    per_second: int = 0
    edges: int = 0
    features: int = 0
    corpus: int = 0
    findings: tuple[Path, ...] = ()
    trouble: str | None = None

    @property
    def is_clean(self) -> bool:
        """Whether it ran to its end and nothing was found."""
        return not self.findings and self.trouble is None


def child_command(harness: str) -> list[str]:
    """Return the command that fuzzes one harness, to which libFuzzer's arguments are added."""
    return [sys.executable, "-m", f"{__package__}.child", harness]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One run over any harnesses: for how long, and where things are kept.

    Attributes:
        seconds: how long each harness is fuzzed.
        findings: where inputs that break an invariant are written, and the logs that go with them.
        corpus: where what was grown stays, one folder for each harness; nowhere if it is None.
        command: makes the process of a harness; the tests put in their own.
    """

    seconds: int
    findings: Path
    corpus: Path | None = None
    command: Callable[[str], list[str]] = field(default=child_command)

    def fuzz(self, harness: str) -> Outcome:
        """Return what came of one harness. The process is over then."""
        self.findings.mkdir(parents=True, exist_ok=True)
        log = self.findings / f"{harness}.log"
        with laid_out(harness, self.corpus) as (words, folders), log.open("wb") as output:
            arguments = [*self.command(harness), *map(str, folders), *self._options(harness, words)]
            trouble = _run(arguments, output.fileno(), self.seconds + GRACE_SECONDS)
        outcome = self._outcome(harness, log.read_text(encoding="utf-8", errors="replace"), trouble)
        if outcome.is_clean:
            log.unlink()
        return outcome

    def _options(self, harness: str, words: Path) -> list[str]:
        return [
            f"-max_total_time={self.seconds}",
            f"-max_len={load(harness).MAX_BYTES}",
            f"-timeout={SLOWEST_INPUT_SECONDS}",
            f"-rss_limit_mb={MOST_MEGABYTES}",
            f"-artifact_prefix={self.findings / harness}-",
            f"-dict={words}",
            # Seeds that reach nothing new are kept all the same, for others to take pieces from.
            "-keep_seed=1",
            "-cross_over_uniform_dist=1",
            "-print_final_stats=1",
        ]

    def _outcome(self, harness: str, log: str, trouble: str | None) -> Outcome:
        statuses = _STATUS.findall(log)
        last = statuses[-1] if statuses else ("0", "0", "0", "0")
        executions, per_second = (pattern.findall(log) for pattern in (_EXECUTIONS, _PER_SECOND))
        findings = tuple(sorted(one for one in self.findings.glob(f"{harness}-*") if one.is_file()))
        return Outcome(
            harness=harness,
            executions=int((executions or [last[0]])[-1]),
            per_second=int((per_second or ["0"])[-1]),
            edges=int(last[1] or 0),
            features=int(last[2] or 0),
            corpus=int(last[3]),
            findings=findings,
            trouble=None if findings else trouble,
        )


@contextmanager
def laid_out(harness: str, corpus: Path | None) -> Iterator[tuple[Path, Sequence[Path]]]:
    """Give a dictionary file and the corpus folders: the one that grows, the committed one, the seeds."""
    with tempfile.TemporaryDirectory(prefix="d1verify-fuzz-") as place:
        seeded, growing = Path(place, "seeds"), Path(place, "grown") if corpus is None else corpus / harness
        for folder in (seeded, growing):
            folder.mkdir(parents=True, exist_ok=True)
        module = load(harness)
        for number, seed in enumerate(seeds(harness)):
            if len(seed) <= module.MAX_BYTES:  # A longer one would be cut, and worth nothing then.
                (seeded / f"{number:04}").write_bytes(seed)
        words = Path(place, "words")
        words.write_text("".join(f'"{_quoted(word)}"\n' for word in module.WORDS), encoding="ascii")
        committed = COMMITTED / harness
        yield words, [growing, *([committed] if committed.is_dir() else []), seeded]


def _quoted(word: str) -> str:
    """Return a word as libFuzzer's dictionaries write it."""
    plain = (chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word.encode())
    return "".join(plain)


def _run(arguments: Sequence[str], output: int, seconds: float) -> str | None:
    """Return None if the process came to a good end in time, else what was wrong."""
    try:
        ended = subprocess.run(
            arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return "it did not end in time"
    return None if ended.returncode == 0 else f"it ended with status {ended.returncode}"


def forget(folder: Path) -> None:
    """Remove a folder of findings that has none."""
    if folder.is_dir() and not any(folder.iterdir()):
        shutil.rmtree(folder)

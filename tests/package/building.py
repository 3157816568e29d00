"""Wheel and source distribution, built by the project's own build backend from a clean copy of its own files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ..support import unmeasured

__all__ = ["ROOT", "Distributions", "bare_environment", "build", "clean_copy", "secrets_in"]

ROOT = Path(__file__).resolve().parents[2]

_BUILD = (
    "import sys, hatchling.build as backend\nfor name in sys.argv[2:]: getattr(backend, f'build_{name}')(sys.argv[1])"
)

# A source distribution comes without git; what lies beside its files then is of these names.
_LEFT_BEHIND = re.compile(r"(^|/)(\.(?!gitignore$)[^/]*|__pycache__|[^/]*\.egg-info|PKG-INFO)(/|$)|^(build|dist)/")

_SECRETS = {
    "a private key in PEM": rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[\s\\nr]+[A-Za-z0-9+/=]{16}",
    "a private P-256 key in base64": rb"(?:MIGHAgEAMB|MHcCAQEE)[A-Za-z0-9+/_-]{20}",
    "a private JWK": rb'"d"\s*:\s*"[A-Za-z0-9_-]{40,}"',
    "a token": rb"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{20,}",
}


@dataclass(frozen=True, slots=True)
class Distributions:
    """What was built: the two files, and the contents of each by name; an sdist's own top folder is left out."""

    wheel: Path
    sdist: Path

    def in_wheel(self) -> dict[str, bytes]:
        """Return the wheel's files."""
        with zipfile.ZipFile(self.wheel) as archive:
            return {info.filename: archive.read(info) for info in archive.infolist()}

    def in_sdist(self) -> dict[str, bytes]:
        """Return the source distribution's files."""
        found = {}
        with tarfile.open(self.sdist) as archive:
            for member in archive.getmembers():
                content = archive.extractfile(member)
                found[member.name.partition("/")[2]] = content.read() if content else b"not a file"
        return found

    def metadata(self, name: str) -> str:
        """Return a file of the wheel's dist-info folder."""
        [found] = [data for path, data in self.in_wheel().items() if path.endswith(f".dist-info/{name}")]
        return found.decode()


def bare_environment() -> dict[str, str]:
    """Return this process's environment without what measures an interpreter or changes it."""
    return {name: value for name, value in unmeasured().items() if not name.startswith("PYTHON")}


def own_files() -> list[str]:
    """Return the names of the files that git tracks; without git, of those that no tool has left behind."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    names = (path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file())
    return [name for name in names if not _LEFT_BEHIND.search(name)]


def clean_copy(folder: Path) -> list[str]:
    """Fill `folder` with copies of the project's own files, and return their names."""
    names = own_files()
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return names


def build(source: Path, into: Path) -> Distributions:
    """Return the wheel and the source distribution that hatchling makes of a folder, without any network."""
    command = [sys.executable, "-I", "-c", _BUILD, str(into.absolute()), "sdist", "wheel"]
    into.mkdir(exist_ok=True)
    subprocess.run(command, cwd=source, check=True, env=bare_environment())
    [wheel], [sdist] = into.glob("*.whl"), into.glob("*.tar.gz")
    return Distributions(wheel, sdist)


def secrets_in(data: bytes) -> list[str]:
    """Return the kinds of key or token that are written out in `data`."""
    return [kind for kind, pattern in _SECRETS.items() if re.search(pattern, data)]

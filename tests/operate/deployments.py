"""What a merchant runs, store by store: two processes that get their keys from one place, and how that is changed."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

import pytest

from d1verify import D1Verifier, EnvKeyStore, FileKeyStore, HTTPKeyStore, KeyCache, KeySet, StaticKeyStore
from d1verify.cli.keys import examine
from d1verify.cli.sources import store_from
from d1verify.keys import KeyStore
from d1verify.telemetry import OpenTelemetryObserver

from ..faults.servers import RawServer, serving
from ..support import SUBJECT, Clock, SigningKey
from ..telescope import Telescope
from .readme import WAITS_OF_THE_README, seconds

__all__ = ["DEPLOYMENTS", "Deployment", "Keys", "Restarted"]

Keys = tuple[SigningKey, ...]
PROCESSES: Final = 2
MAX_AGE: Final = 60
MAX_WAIT: Final[float] = inspect.signature(KeyCache).parameters["max_wait"].default


class Deployment:
    """Two processes over one source of keys. A change of it reaches them by itself, or not (`Restarted`).

    Attributes:
        row: what the README's table calls it.
        bound: within what time the README says that a withdrawal holds, in seconds.
        source: what `d1verify keys` is told to look at; None where it cannot.
        verifiers: one in each process.
    """

    row: ClassVar[str]
    bound: ClassVar[float]
    source: str | None

    def __init__(self, clock: Clock, folder: Path, keys: Keys) -> None:
        self.clock = clock
        self.folder = folder
        self.prepare(keys)
        self._telescopes: dict[D1Verifier, Telescope] = {}
        self.verifiers = [self.process() for _ in range(PROCESSES)]

    def change(self, keys: Keys) -> Iterator[None]:
        """Have the source hold these keys and no other, yielding wherever calls may come in."""
        self.write(keys)
        yield

    def process(self) -> D1Verifier:
        """Return the verifier of a new process, with its keys loaded."""
        cache, telescope = KeyCache(self.store(), timer=self.clock), Telescope()
        observer = OpenTelemetryObserver(telescope.provider)
        verifier = D1Verifier(cache, audience="stg", subject=SUBJECT, clock=self.clock, observer=observer)
        verifier.warm_up()
        self._telescopes[verifier] = telescope
        return verifier

    def usable_by_metric(self, verifier: D1Verifier) -> int:
        """Return what the process of `verifier` exports as `d1verify.keys.usable`."""
        (usable,) = self._telescopes[verifier].values("d1verify.keys.usable").values()
        return int(usable)

    def listed(self) -> set[str] | None:
        """Return the key ids that `d1verify keys` shows; None where it cannot look."""
        if self.source is None:
            return None
        return {key["kid"] for key in examine(self.source, store_from(self.source))["keys"]}

    def prepare(self, keys: Keys) -> None:
        """Set the source up, with these keys in it."""
        self.write(keys)

    def write(self, keys: Keys) -> None:
        """Have the source hold these keys from now on, and no other."""
        raise NotImplementedError

    def store(self) -> KeyStore:
        """Return a store over the source."""
        raise NotImplementedError

    def close(self) -> None:
        """Take the source away, and end the processes."""
        for telescope in self._telescopes.values():
            telescope.provider.shutdown()


class Folder(Deployment):
    """A folder of PEM files, each put there by renaming."""

    row = "folder"
    bound = seconds(WAITS_OF_THE_README[row])

    def prepare(self, keys: Keys) -> None:
        self.source = str(self.folder)
        super().prepare(keys)

    def write(self, keys: Keys) -> None:
        for key in keys:
            temporary = self.folder / f".{key.kid}"
            temporary.write_text(key.pem)
            os.replace(temporary, self.folder / f"{key.kid}.pem")
        for file in self.folder.glob("*.pem"):
            if file.stem not in {key.kid for key in keys}:
                file.unlink()

    def store(self) -> KeyStore:
        store = FileKeyStore(self.folder)
        store._timer = self.clock
        return store


class SingleFile(Deployment):
    """A JWK Set in a file, which another one takes the place of by renaming."""

    row = "single `.json` file"
    bound = seconds(WAITS_OF_THE_README[row])

    def prepare(self, keys: Keys) -> None:
        self.source = str(self.folder / "d1.json")
        super().prepare(keys)

    def write(self, keys: Keys) -> None:
        temporary = self.folder / "d1.json.new"
        temporary.write_text(json.dumps({"keys": [key.jwk for key in keys]}))
        os.replace(temporary, self.folder / "d1.json")

    def store(self) -> KeyStore:
        store = FileKeyStore(self.folder / "d1.json")
        store._timer = self.clock
        return store


class KubernetesVolume(Folder):
    """A mounted ConfigMap: one link is swapped for a new generation of files, as the kubelet does."""

    row = "Kubernetes volume"

    def write(self, keys: Keys) -> None:
        generation = self.folder / f"..{len(list(self.folder.glob('..*')))}"
        generation.mkdir()
        for key in keys:
            (generation / f"{key.kid}.pem").write_text(key.pem)
        pointer = self.folder / "..data_tmp"
        pointer.symlink_to(generation.name)
        pointer.replace(self.folder / "..data")
        for key in keys:
            link = self.folder / f"{key.kid}.pem"
            if not link.is_symlink():
                link.symlink_to(f"..data/{key.kid}.pem")
        for link in self.folder.glob("*.pem"):
            if not link.exists():
                link.unlink()


class Endpoint(Deployment):
    """A JWK Set over HTTP that is current for a minute."""

    row = "HTTP"
    bound = MAX_AGE + seconds(WAITS_OF_THE_README[row].rpartition(" and ")[2])

    def prepare(self, keys: Keys) -> None:
        self.server = RawServer(serving(*keys, max_age=MAX_AGE))
        self.source = self.server.url

    def write(self, keys: Keys) -> None:
        self.server.behaviour = serving(*keys, max_age=MAX_AGE)

    def store(self) -> KeyStore:
        return HTTPKeyStore(self.server.url)

    def close(self) -> None:
        super().close()
        self.server.close()


class Table(Deployment):
    """A store of the merchant's own: rows of a table."""

    row = "own store"
    bound = MAX_AGE + MAX_WAIT
    source = None

    def write(self, keys: Keys) -> None:
        self.rows = {key.kid: key.public for key in keys}

    def store(self) -> KeyStore:
        deployment = self

        class Rows:
            def load(self) -> KeySet:
                return KeySet(deployment.rows, max_age=MAX_AGE, max_stale=600)

        return Rows()


class Restarted(Deployment):
    """Keys that are read once: a change is a rolling restart, one process after the other."""

    row = "environment, static"
    bound = float("inf")

    def change(self, keys: Keys) -> Iterator[None]:
        self.write(keys)
        yield
        for number in range(PROCESSES):
            self.verifiers[number] = self.process()
            yield


class Environment(Restarted):
    """A JWK Set in a variable."""

    source = "D1VERIFY_KEYS"

    def prepare(self, keys: Keys) -> None:
        self._environ = pytest.MonkeyPatch()
        super().prepare(keys)

    def write(self, keys: Keys) -> None:
        self._environ.setenv("D1VERIFY_KEYS", json.dumps({"keys": [key.jwk for key in keys]}))

    def store(self) -> KeyStore:
        return EnvKeyStore()

    def close(self) -> None:
        super().close()
        self._environ.undo()


class InHand(Restarted):
    """Keys in the code."""

    source = None

    def write(self, keys: Keys) -> None:
        self.keys = keys

    def store(self) -> KeyStore:
        return StaticKeyStore({key.kid: key.pem for key in self.keys})


DEPLOYMENTS: Final[dict[str, type[Deployment]]] = {
    "folder": Folder,
    "single file": SingleFile,
    "kubernetes": KubernetesVolume,
    "http": Endpoint,
    "own store": Table,
    "environment": Environment,
    "static": InHand,
}

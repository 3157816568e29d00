"""What a merchant runs, store by store: two processes that get their keys from one place, and how that is changed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from d1verify import D1Verifier, EnvKeyStore, FileKeyStore, HTTPKeyStore, KeyCache, KeySet, StaticKeyStore
from d1verify.keys import KeyStore

from ..faults.servers import RawServer, serving
from ..support import SUBJECT, Clock, SigningKey

__all__ = ["DEPLOYMENTS", "Deployment", "Keys", "Restarted"]

Keys = tuple[SigningKey, ...]
PROCESSES: Final = 2


class Deployment:
    """Two processes over one source of keys. A change of it reaches them by itself, or not (`Restarted`).

    Attributes:
        verifiers: one in each process.
        source: what `d1verify keys` is told to look at; empty where it cannot.
        bound: within what time the README says that a withdrawal holds, in seconds.
    """

    source = ""
    bound: float

    def __init__(self, clock: Clock, folder: Path, keys: Keys) -> None:
        self.clock = clock
        self.folder = folder
        self.prepare(keys)
        self.verifiers = [self.process() for _ in range(PROCESSES)]

    def change(self, keys: Keys) -> Iterator[None]:
        """Have the source hold these keys and no other, yielding wherever calls may come in."""
        self.write(keys)
        yield

    def process(self) -> D1Verifier:
        """Return the verifier of a new process, with its keys loaded."""
        cache = KeyCache(self.store(), timer=self.clock)
        verifier = D1Verifier(cache, audience="stg", subject=SUBJECT, clock=self.clock)
        verifier.warm_up()
        return verifier

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
        """Take the source away."""


class Folder(Deployment):
    """A folder of PEM files, each put there by renaming."""

    bound = 7.0

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


class KubernetesVolume(Folder):
    """A mounted ConfigMap: one link is swapped for a new generation of files, as the kubelet does."""

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

    bound = 62.0

    def prepare(self, keys: Keys) -> None:
        self.server = RawServer(serving(*keys, max_age=60))
        self.source = self.server.url

    def write(self, keys: Keys) -> None:
        self.server.behaviour = serving(*keys, max_age=60)

    def store(self) -> KeyStore:
        return HTTPKeyStore(self.source)

    def close(self) -> None:
        self.server.close()


class Table(Deployment):
    """A store of the merchant's own: rows of a table."""

    bound = 62.0

    def write(self, keys: Keys) -> None:
        self.rows = {key.kid: key.public for key in keys}

    def store(self) -> KeyStore:
        deployment = self

        class Rows:
            def load(self) -> KeySet:
                return KeySet(deployment.rows, max_age=60, max_stale=600)

        return Rows()


class Restarted(Deployment):
    """Keys that are read once: a change is a rolling restart, one process after the other."""

    bound = float("inf")

    def change(self, keys: Keys) -> Iterator[None]:
        self.write(keys)
        yield
        for number in range(PROCESSES):
            self.verifiers[number] = self.process()
            yield


class Environment(Restarted):
    """A JWK Set in a variable."""

    def write(self, keys: Keys) -> None:
        self.environ = {"D1VERIFY_KEYS": json.dumps({"keys": [key.jwk for key in keys]})}

    def store(self) -> KeyStore:
        return EnvKeyStore(environ=self.environ)


class InHand(Restarted):
    """Keys in the code."""

    def write(self, keys: Keys) -> None:
        self.keys = keys

    def store(self) -> KeyStore:
        return StaticKeyStore({key.kid: key.pem for key in self.keys})


DEPLOYMENTS: Final[dict[str, type[Deployment]]] = {
    "folder": Folder,
    "kubernetes": KubernetesVolume,
    "http": Endpoint,
    "own store": Table,
    "environment": Environment,
    "static": InHand,
}

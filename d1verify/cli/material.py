"""`d1verify keygen` and `d1verify jwks`: key pairs to test with, and public keys in the form that endpoints serve."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

from ..errors import ConfigurationError, KeyStoreError
from ..keys import PublicKey, is_key_id
from .output import ExitCode, print_json, stdout

__all__ = ["generate", "print_jwks"]


def generate(kid: str, folder: Path, *, as_json: bool) -> ExitCode:
    """Write a new P-256 key pair to four files in `folder`: private and public, each as PEM and as JWK.

    The private halves have suffixes that no key store reads, so that they are not taken
    for a key to trust when somebody makes the pair in the folder of trusted keys.

    Raises:
        ConfigurationError: a file is there already, or cannot be written.
    """
    if not is_key_id(kid) or "/" in kid or "\\" in kid or kid.startswith("."):
        raise ConfigurationError("KID must be 1 to 256 printable characters, fit for a file name")
    key = ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})
    contents = {
        f"{kid}.key": key.as_pem(private=True),
        f"{kid}.private.jwk": _json(key.as_dict(private=True)),
        f"{kid}.pem": key.as_pem(private=False),
        f"{kid}.json": _json(key.as_dict(private=False)),
    }
    written = _write_all({folder / name: content for name, content in contents.items()})
    if as_json:
        print_json({"kid": kid, "files": [str(path) for path in written]})
    else:
        for path in written:
            stdout().print(str(path), markup=False, soft_wrap=True)
    return ExitCode.OK


def print_jwks(files: Sequence[Path]) -> ExitCode:
    """Print the JWK Set of public keys in PEM files; each file's name without suffix is its key id.

    Raises:
        ConfigurationError: a file cannot be read, or holds anything but a public P-256 key.
    """
    keys: dict[str, dict[str, Any]] = {}
    for file in files:
        try:
            jwk = PublicKey.from_pem(file.read_bytes()).as_jwk()
        except OSError:
            raise ConfigurationError(f"{file} cannot be read") from None
        except KeyStoreError as error:
            raise ConfigurationError(f"{file} cannot be used: {error}") from None
        entry = {**jwk, "kid": file.stem, "use": "sig", "alg": "ES256"}
        if keys.setdefault(file.stem, entry) != entry:
            raise ConfigurationError(f"two different keys would have the key id {file.stem}")
    print_json({"keys": list(keys.values())})
    return ExitCode.OK


def _json(jwk: Any) -> bytes:
    return json.dumps(jwk, indent=2).encode() + b"\n"


def _write_all(contents: dict[Path, bytes]) -> list[Path]:
    """Create the files for the owner alone, all of them or none; an existing one is never touched.

    The public ones too: whoever hands them on to a server says who may read them there.
    """
    written: list[Path] = []
    try:
        for path, content in contents.items():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            written.append(path)
            with open(descriptor, "wb") as file:
                file.write(content)
    except OSError as error:
        for path in written:
            path.unlink()
        raise ConfigurationError(f"{error.filename or 'a file'}: {os.strerror(error.errno or 0)}") from None
    return written

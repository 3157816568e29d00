"""Keys in an environment variable."""

from __future__ import annotations

import binascii
import math
import os
from collections.abc import Mapping

from .._keyformats import parse_json
from ..errors import ConfigurationError, KeyStoreError
from ..keys import KeySet, PublicKey, checked_key_id, collect_keys

__all__ = ["EnvKeyStore"]

_URL_SAFE_AS_STANDARD = bytes.maketrans(b"-_", b"+/")


class EnvKeyStore:
    r"""Keys in an environment variable, read when they are first needed; they never expire.

    The value is a JWK Set, a JWK, a PEM public key (line ends may be written as `\n`),
    or base64 of one of them.

    Args:
        variable: the variable's name.
        kid: the key id of a PEM, or of a JWK that has none itself.
        environ: where to read; the process's environment by default.

    Raises:
        ConfigurationError: an argument is no name or no key id.
    """

    def __init__(
        self,
        variable: str = "D1VERIFY_KEYS",
        kid: str | None = None,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        if not isinstance(variable, str) or not variable:
            raise ConfigurationError("variable must be the name of an environment variable")
        self._variable = variable
        self._kid = None if kid is None else checked_key_id(kid)
        self._environ = environ

    def load(self) -> KeySet:
        """Return the keys that the variable holds.

        Raises:
            KeyStoreError: it is unset, empty, or none of the accepted forms. The message
                names the variable and nothing of its value.
        """
        environ = os.environ if self._environ is None else self._environ
        text = environ.get(self._variable, "").strip()
        if not text:
            raise KeyStoreError(f"the environment variable {self._variable} is not set or empty")
        try:
            keys = self._parse(text)
        except KeyStoreError as error:
            raise KeyStoreError(f"the environment variable {self._variable} cannot be used: {error}") from None
        if not keys:
            why = f": {keys.skipped[0].why}" if keys.skipped else ""
            raise KeyStoreError(f"the environment variable {self._variable} holds no usable key{why}")
        return keys

    def _parse(self, text: str) -> KeySet:
        if not text.startswith(("{", "-----")):
            text = _from_base64(text)
        if text.startswith("{"):
            members = parse_json(text)
            if "keys" in members:
                return KeySet.from_jwks(members, max_age=math.inf, max_stale=0.0)
            kid, material = members.get("kid", self._kid), PublicKey.from_jwk(members)
        else:
            kid, material = self._kid, PublicKey.from_pem(text.replace("\\n", "\n"))
            if kid is None:
                raise KeyStoreError("a PEM does not say its key id: give it as kid (D1VERIFY_KID)")
        keys, skipped = collect_keys([(self._variable, kid, material)])
        return KeySet(keys, math.inf, 0.0, skipped)


def _from_base64(text: str) -> str:
    data = "".join(text.split()).encode("utf-8", "replace").translate(_URL_SAFE_AS_STANDARD).rstrip(b"=")
    try:
        decoded = binascii.a2b_base64(data + b"=" * (-len(data) % 4), strict_mode=True).decode("utf-8").strip()
    except (binascii.Error, UnicodeDecodeError):
        decoded = ""
    if not decoded.startswith(("{", "-----")):
        raise KeyStoreError("it is neither a JWK Set, a JWK, a PEM public key nor base64 of one")
    return decoded

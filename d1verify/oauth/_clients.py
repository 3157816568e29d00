"""Who may request a token with a secret, and the reading of HTTP Basic credentials. Pure."""

from __future__ import annotations

import binascii
import hmac
import os
from collections.abc import Collection, Iterable
from hashlib import sha256
from typing import Final, NamedTuple, NoReturn, final
from urllib.parse import unquote_to_bytes

from ..errors import ConfigurationError
from .access_tokens import is_name

__all__ = ["Client", "Clients", "Credentials", "basic_credentials"]

MAX_SECRETS: Final = 2
MAX_CREDENTIALS_BYTES: Final = 4096

_TO_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")


@final
class Client:
    """One that may request access tokens by `client_credentials`: D1, with a secret that the merchant gave it.

    Only the SHA-256 digests of the secrets are kept, which is enough for secrets made at
    random (`secrets.token_urlsafe()`) and for no others: a guessable one stays guessable.

    Args:
        client_id: what it calls itself, in printable ASCII.
        secrets: its secret, or two of them while one replaces the other.
        subject: the merchant gateway id that its tokens carry. It is set here and never by the client.

    Raises:
        ConfigurationError: an argument is out of range, or a secret is empty; the message names it.
    """

    __slots__ = ("client_id", "digests", "subject")
    client_id: str
    subject: str
    digests: tuple[bytes, bytes]

    def __init__(self, *, client_id: str, secrets: str | Collection[str], subject: str) -> None:
        if not (is_name(client_id) and client_id.isascii()):
            raise ConfigurationError("client_id must be printable ASCII characters")
        if not is_name(subject) or subject == "*":
            raise ConfigurationError("subject must be one merchant gateway id")
        set_field = object.__setattr__
        set_field(self, "client_id", client_id)
        set_field(self, "subject", subject)
        set_field(self, "digests", _digests(secrets))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Client is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Client is immutable")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Client cannot be pickled or copied: it holds digests of secrets")

    def __repr__(self) -> str:
        return "<Client>"


class Credentials(NamedTuple):
    """A client id and a secret, as one way of reading the header gives them."""

    client_id: str
    secret: bytes


class Clients:
    """The registered clients. A client id that nobody has costs as much as a wrong secret (CWE-208)."""

    def __init__(self, clients: Iterable[Client]) -> None:
        listed = tuple(clients) if isinstance(clients, Iterable) else (clients,)
        if not all(isinstance(client, Client) for client in listed):
            raise ConfigurationError("clients must be a collection of Client objects")
        self._by_id = {client.client_id: client for client in listed}
        if len(self._by_id) != len(listed):
            raise ConfigurationError("two clients have the same client_id")
        self._nobody = (os.urandom(32), os.urandom(32))

    def __len__(self) -> int:
        return len(self._by_id)

    def authenticate(self, readings: Iterable[Credentials]) -> Client | None:
        """Return the client whose id and secret one of `readings` gives, or None."""
        found = None
        for client_id, secret in readings:
            client = self._by_id.get(client_id)
            digests = self._nobody if client is None else client.digests
            if _is_one_of(sha256(secret).digest(), digests) and client is not None:
                found = client
        return found


def basic_credentials(value: bytes | None) -> tuple[Credentials, ...]:
    """Return the two ways to read an `Authorization` header with Basic credentials; none if there is nothing to read.

    RFC 6749 §2.3.1 has id and secret form-encoded before they are joined; D1 ("[clientId:client
    secret] as per RFC 2617", base64url) and most libraries send them as they are. The two
    readings differ for `%`, `+` and a colon in the id only, and each has to match as a whole.
    Secrets stay bytes, so that what is not UTF-8 (RFC 7617 §2) equals none.
    """
    pair = _decoded(value)
    if pair is None:
        return ()
    client_id, colon, secret = pair.partition(b":")
    if not (client_id and colon and secret):
        return ()
    form = (unquote_to_bytes(client_id.replace(b"+", b" ")), unquote_to_bytes(secret.replace(b"+", b" ")))
    return tuple(Credentials(name.decode("utf-8", "replace"), key) for name, key in (form, (client_id, secret)))


def _decoded(value: bytes | None) -> bytes | None:
    """Return what the header's base64 holds: strict, in either alphabet, or None."""
    if value is None or len(value) > MAX_CREDENTIALS_BYTES:
        return None
    scheme, _, rest = value.partition(b" ")
    encoded = rest.strip(b" ").rstrip(b"=").translate(_TO_STANDARD_ALPHABET)
    if scheme.lower() != b"basic":
        return None
    try:
        return binascii.a2b_base64(encoded + b"=" * (-len(encoded) % 4), strict_mode=True)
    except binascii.Error:
        return None


def _digests(secrets: object) -> tuple[bytes, bytes]:
    listed = (secrets,) if isinstance(secrets, str) else secrets
    if not isinstance(listed, Collection) or isinstance(listed, bytes) or not 0 < len(listed) <= MAX_SECRETS:
        raise ConfigurationError("secrets must be one secret, or two")
    if not all(is_name(secret) for secret in listed):
        raise ConfigurationError("secrets must hold non-empty printable strings only")
    digests = [sha256(secret.encode()).digest() for secret in listed]
    # Always two, so that how many secrets a client has does not show in the time an answer takes.
    return digests[0], digests[-1]


def _is_one_of(digest: bytes, known: tuple[bytes, bytes]) -> bool:
    first, second = (hmac.compare_digest(digest, one) for one in known)
    return first or second

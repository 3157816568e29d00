"""Public keys, sets of them, and the one method that a key store has.

On the verification path this module alone touches elliptic-curve code.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Never, NoReturn, Protocol, TypeGuard, final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from ._codec import encode_base64url
from ._keyformats import COORDINATE_BYTES, jwks_entries, point_from_jwk, point_from_pem
from .errors import ConfigurationError, KeyStoreError, Reason, TokenError

__all__ = ["KeySet", "KeyStore", "PublicKey", "SkippedKey", "checked_key_id", "collect_keys", "is_key_id", "parse_key"]

MAX_KEY_ID_CHARACTERS = 256
SIGNATURE_BYTES: Final = 64
LONGEST_AGE: Final = 1e12  # seconds; more is a mistake, infinity is a word

# What DER has before r and before s, by the top bits of the two: a set one needs a zero byte before it, or the
# integer would be negative.
_DER_BEFORE: Final = (
    ((b"\x30\x44\x02\x20", b"\x02\x20"), (b"\x30\x45\x02\x20", b"\x02\x21\x00")),
    ((b"\x30\x45\x02\x21\x00", b"\x02\x20"), (b"\x30\x46\x02\x21\x00", b"\x02\x21\x00")),
)


@final
class PublicKey:
    """A parsed P-256 public key that checks ES256 signatures. Immutable; equal when the point is.

    Made by `from_pem` or `from_jwk` only, so that no other kind of key gets in.
    """

    __slots__ = ("_es256", "_key", "_point")
    _es256: ec.ECDSA
    _key: ec.EllipticCurvePublicKey
    _point: bytes

    if TYPE_CHECKING:
        # Nothing is a Never, so a type checker refuses every call.
        def __new__(cls, _from_pem_or_jwk: Never, /) -> PublicKey: ...
    else:

        def __new__(cls, *_args: object, **_kwargs: object) -> PublicKey:
            raise TypeError("make a PublicKey with PublicKey.from_pem() or PublicKey.from_jwk()")

    @classmethod
    def from_pem(cls, pem: str | bytes) -> PublicKey:
        """Return the key of a PEM text: one SPKI block, P-256 by name, nothing else around it.

        Raises:
            KeyStoreError: it is anything else. A private key is refused by name
                and none of its bytes are in the message (RFC 7468 §13, RFC 5480 §2.1.1).
        """
        return _public_key(point_from_pem(pem))

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> PublicKey:
        """Return the key of a JWK: `kty` EC, `crv` P-256, fit for checking ES256 (RFC 7518 §6.2.1).

        Raises:
            KeyStoreError: another kind, private or symmetric, a coordinate that is not
                exactly 32 bytes, a point off the curve, or `use`, `key_ops` or `alg`
                that speak of another purpose (RFC 7517 §4.2 to §4.4).
        """
        return _public_key(point_from_jwk(jwk))

    def verify(self, signature: bytes, signing_input: bytes) -> None:
        """Return if `signature` (r‖s, 64 bytes) over `signing_input` is good (RFC 7518 §3.4).

        Raises:
            TokenError: `bad_signature`, whatever it is that made the check fail.
        """
        if len(signature) != SIGNATURE_BYTES:
            raise TokenError(Reason.BAD_SIGNATURE)
        try:
            self._key.verify(_der(signature), sha256(signing_input).digest(), self._es256)
        except Exception:
            raise TokenError(Reason.BAD_SIGNATURE) from None

    def as_jwk(self) -> dict[str, str]:
        """Return the key as a JWK with `kty`, `crv`, `x` and `y` (RFC 7518 §6.2.1)."""
        x, y = self._point[:COORDINATE_BYTES], self._point[COORDINATE_BYTES:]
        return {"kty": "EC", "crv": "P-256", "x": encode_base64url(x), "y": encode_base64url(y)}

    def __eq__(self, other: object) -> bool:
        return self._point == other._point if isinstance(other, PublicKey) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._point)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a PublicKey is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a PublicKey is immutable")

    def __reduce__(self) -> tuple[Callable[[bytes], PublicKey], tuple[bytes]]:
        return _public_key, (b"\x04" + self._point,)

    def __repr__(self) -> str:
        return "<PublicKey P-256>"


def _der(signature: bytes) -> bytes:
    """Return r‖s as OpenSSL takes it, an ASN.1 sequence of two integers (RFC 3279 §2.2.3).

    Without a leading zero byte in either half, which is all but one signature in 128, the
    two top bits say all about the form, and putting it together costs half as much.
    """
    r, s = signature[:32], signature[32:]
    top_of_r, top_of_s = r[0], s[0]
    if top_of_r and top_of_s:
        before_r, before_s = _DER_BEFORE[top_of_r >> 7][top_of_s >> 7]
        return b"".join((before_r, r, before_s, s))
    return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


@functools.cache
def _es256() -> ec.ECDSA:
    """Return ES256 over a hash made by hashlib, which is the same check and a little faster.

    Made with the first key: it imports the back end, half of what the library's import would take.
    """
    return ec.ECDSA(Prehashed(SHA256()))


def _public_key(encoded_point: bytes) -> PublicKey:
    try:
        parsed = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), encoded_point)
    except ValueError:
        raise KeyStoreError("its point is not on the curve P-256") from None
    key = object.__new__(PublicKey)
    object.__setattr__(key, "_es256", _es256())
    object.__setattr__(key, "_key", parsed)
    numbers = parsed.public_numbers()
    coordinates = (number.to_bytes(COORDINATE_BYTES, "big") for number in (numbers.x, numbers.y))
    object.__setattr__(key, "_point", b"".join(coordinates))
    return key


class SkippedKey(NamedTuple):
    """A candidate that gave no key: its `name` (kid, position or file) and `why`, in words of ours.

    `name` comes from the source; escape it before writing it to a terminal.
    """

    name: str
    why: str


@final
class KeySet:
    """Every key trusted at one moment, by key id. Immutable and swapped whole.

    Args:
        keys: the keys by key id (1 to 256 printable characters, compared to the letter).
        max_age: seconds for which the set counts as current; infinite if it never changes.
        max_stale: seconds beyond `max_age` for which it may still say yes while no newer one can be had.
        skipped: the candidates that the source held and that gave no key.

    Raises:
        ConfigurationError: a key id, a key or a time is out of range.
    """

    __slots__ = ("keys", "max_age", "max_stale", "skipped")
    keys: Mapping[str, PublicKey]
    max_age: float
    max_stale: float
    skipped: tuple[SkippedKey, ...]

    def __init__(
        self,
        keys: Mapping[str, PublicKey],
        max_age: float = 600.0,
        max_stale: float = 3600.0,
        skipped: Iterable[SkippedKey] = (),
    ) -> None:
        if not isinstance(keys, Mapping):
            raise ConfigurationError("keys must map key ids to PublicKey objects")
        for kid, key in keys.items():
            checked_key_id(kid, "a key id")
            if not isinstance(key, PublicKey):
                raise ConfigurationError("a KeySet holds PublicKey objects only")
        left_out = tuple(skipped)
        if not all(isinstance(one, SkippedKey) for one in left_out):
            raise ConfigurationError("skipped holds SkippedKey records only")
        set_field = object.__setattr__
        set_field(self, "keys", MappingProxyType(dict(keys)))
        set_field(self, "max_age", _checked_age(max_age, "max_age", positive=True))
        set_field(self, "max_stale", _checked_age(max_stale, "max_stale"))
        set_field(self, "skipped", left_out)

    @classmethod
    def from_jwks(
        cls,
        jwks: Mapping[str, Any] | str | bytes,
        *,
        max_age: float = 600.0,
        max_stale: float = 3600.0,
        max_candidates: int | None = None,
    ) -> KeySet:
        """Return the usable keys of a JWK Set (RFC 7517 §5), the others listed in `skipped`.

        Raises:
            KeyStoreError: it is no JWK Set, not strict JSON, or has more than `max_candidates` entries.
        """
        entries = jwks_entries(jwks)
        if max_candidates is not None and len(entries) > max_candidates:
            raise KeyStoreError(f"the JWK Set has more than {max_candidates} keys")
        keys, skipped = collect_keys(
            (f"keys[{position}]", entry.get("kid") if isinstance(entry, Mapping) else None, entry)
            for position, entry in enumerate(entries)
        )
        return cls(keys, max_age, max_stale, skipped)

    def carrying_over(self, older: KeySet) -> KeySet:
        """Return this set with the older set's object wherever kid and point are the same.

        What was verified with such an object stays verified: a reload that changes
        nothing invalidates nothing.
        """
        kept = {kid: key for kid, key in older.keys.items() if self.keys.get(kid) == key}
        return KeySet({**self.keys, **kept}, self.max_age, self.max_stale, self.skipped)

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys)

    def __contains__(self, kid: object) -> bool:
        return kid in self.keys

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a KeySet is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a KeySet is immutable")

    def __repr__(self) -> str:
        return f"<KeySet: {len(self.keys)} usable, {len(self.skipped)} skipped>"


class KeyStore(Protocol):
    """Where keys come from: one method, and that is the whole plug."""

    def load(self) -> KeySet:
        """Return every key trusted now. It may block; it is called on a thread of its own.

        Raises:
            KeyStoreError: the keys cannot be had.
        """
        ...  # pragma: no cover - the body of a protocol is never run


def is_key_id(kid: object) -> TypeGuard[str]:
    """Tell whether `kid` may be a key id: a string of 1 to 256 printable characters."""
    return isinstance(kid, str) and 0 < len(kid) <= MAX_KEY_ID_CHARACTERS and kid.isprintable()


def checked_key_id(kid: object, name: str = "kid") -> str:
    """Return `kid` if it may be a key id.

    Raises:
        ConfigurationError: it may not; the message names `name`.
    """
    if is_key_id(kid):
        return kid
    raise ConfigurationError(f"{name} must be 1 to {MAX_KEY_ID_CHARACTERS} printable characters")


def parse_key(material: object) -> PublicKey:
    """Return the key that a PEM text, a JWK or a `PublicKey` is.

    Raises:
        KeyStoreError: it is anything else, or another kind of key.
    """
    if isinstance(material, PublicKey):
        return material
    if isinstance(material, str | bytes):
        return PublicKey.from_pem(material)
    if isinstance(material, Mapping):
        return PublicKey.from_jwk(material)
    raise KeyStoreError("it is neither a PEM text nor a JWK")


def collect_keys(
    candidates: Iterable[tuple[str, object, object]],
) -> tuple[dict[str, PublicKey], list[SkippedKey]]:
    """Return the keys by kid, and what gave none, of (place, kid, PEM or JWK or key) triples.

    Two different keys under one kid are both refused; the same key twice is no conflict.
    """
    keys: dict[str, PublicKey] = {}
    skipped: list[SkippedKey] = []
    conflicting: set[str] = set()
    for place, kid, material in candidates:
        try:
            key = parse_key(material)
            if not is_key_id(kid):
                raise KeyStoreError("it has no key id of 1 to 256 printable characters")
        except KeyStoreError as error:
            skipped.append(SkippedKey(kid if is_key_id(kid) else place, str(error)))
            continue
        if keys.setdefault(kid, key) != key:
            conflicting.add(kid)
    for kid in sorted(conflicting):
        del keys[kid]
        skipped.append(SkippedKey(kid, "two different keys have this key id"))
    return keys, skipped


def _checked_age(value: object, name: str, *, positive: bool = False) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        in_range = 0 <= value < LONGEST_AGE or value == math.inf
        if in_range and (value or not positive):
            return value
    raise ConfigurationError(f"{name} must be a number of seconds, {'above' if positive else 'not below'} zero")

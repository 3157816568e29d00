"""A token before and after its signature is known to hold, and the way from text to the first."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Never, NoReturn, final

from ._codec import (
    BASE64URL_ALPHABET,
    MalformedError,
    as_standard_base64,
    decode_base64url,
    encode_base64url,
    parse_object,
)
from .errors import Reason, TokenError
from .keys import is_key_id
from .policy import Policy

__all__ = ["D1Token", "UnverifiedToken", "as_bytes", "parse", "read_key_id", "seal"]

MAX_TOKEN_BYTES: Final = 8192
MAX_HEADER_BYTES: Final = 2048
ALGORITHM: Final = "ES256"
FINGERPRINT_DIGITS: Final = 16

_SIGNATURE_CHARACTERS = 86  # 64 bytes in base64url
# A JSON object begins with a brace or white space, of which six bits are the first base64url character.
_FIRST_OF_AN_OBJECT = bytes(BASE64URL_ALPHABET[first >> 2] for first in b"{ \t\r\n")
_OWN_CLAIMS = ("iss", "sub", "aud", "exp", "iat", "nbf")
_LARGE_PAYLOAD = 512
_FORBIDDEN_MEMBERS = frozenset({"crit", "b64", "zip", "enc"})


class UnverifiedToken:
    """The parts of a well-formed token whose signature nobody has checked yet.

    Attributes:
        kid: the key id that the header names.
        new_header: the first part, still encoded; None if it was judged before.
        signing_input: the bytes that the signature is over (RFC 7515 §5.2 step 8).
        payload: the second part, still encoded, in standard base64. Not to be decoded before the signature holds.
        signature: the third part, still encoded, in standard base64: what stands for r‖s, 64 bytes.
    """

    __slots__ = ("kid", "new_header", "payload", "signature", "signing_input")

    def __init__(
        self, kid: str, new_header: bytes | None, payload: bytes, signature: bytes, signing_input: bytes
    ) -> None:
        self.kid: str = kid
        self.new_header: bytes | None = new_header
        self.payload: bytes = payload
        self.signature: bytes = signature
        self.signing_input: bytes = signing_input


@final
class D1Token:
    """A token that was verified: signature, issuer, audience, subject and time all held. Immutable.

    It comes out of a verifier and from nowhere else. Deliberately no dataclass: FastAPI
    would read such a parameter as a JSON body, and a caller could post himself a token.

    Attributes:
        kid: the id of the key that signed it.
    """

    __slots__ = ("_claims", "_note_refusal", "_payload", "kid")
    kid: str
    _claims: dict[str, Any]
    _note_refusal: Callable[[TokenError], None]
    _payload: bytes

    if TYPE_CHECKING:
        # Nothing is a Never, so a type checker refuses every call.
        def __new__(cls, _from_a_verifier: Never, /) -> D1Token: ...
    else:

        def __new__(cls, *_args: object, **_kwargs: object) -> D1Token:
            raise TypeError("a D1Token comes from a verifier only")

    def __init_subclass__(cls, **_kwargs: object) -> None:
        raise TypeError("D1Token is final")

    @property
    def issuer(self) -> str:
        """`iss`, for D1 always `d1`."""
        issuer: str = self._claims["iss"]
        return issuer

    @property
    def subject(self) -> str:
        """`sub`, for D1 the merchant gateway id."""
        subject: str = self._claims["sub"]
        return subject

    @property
    def audience(self) -> tuple[str, ...]:
        """`aud`, one string or several, as a tuple."""
        audience: str | list[str] = self._claims["aud"]
        return (audience,) if isinstance(audience, str) else tuple(audience)

    @property
    def expires_at(self) -> float:
        """`exp` in epoch seconds, as it was written."""
        expires_at: float = self._claims["exp"]
        return expires_at

    @property
    def issued_at(self) -> float | None:
        """`iat` in epoch seconds, or None."""
        return self._claims.get("iat")

    @property
    def not_before(self) -> float | None:
        """`nbf` in epoch seconds, or None."""
        return self._claims.get("nbf")

    @property
    def claims(self) -> dict[str, Any]:
        """Every claim of the verified payload, as a fresh dict at each access."""
        claims: dict[str, Any] = json.loads(self._payload)
        return claims

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits by which a token can be recognised, and with which nothing can be done.

        The start of SHA-256 over the token's second part, as it was sent. The signature has
        no share in it, so nobody gets from a fingerprint to a token that would be accepted;
        nor can whoever sends a token again change it by writing the signature as (r, n − s).
        """
        return sha256(encode_base64url(self._payload).encode("ascii")).hexdigest()[:FINGERPRINT_DIGITS]

    def require_subject(self, merchant_gateway_id: str) -> None:
        """Return if the token speaks for this merchant gateway, say the one in the path.

        Raises:
            TokenError: `insufficient_scope` (answered with 403) if it speaks for another. The
                verifier's log has it by then, like every other refusal.
        """
        if self.subject != merchant_gateway_id:
            error = TokenError(Reason.INSUFFICIENT_SCOPE, kid=self.kid, signed=True)
            self._note_refusal(error)
            raise error

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a D1Token is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a D1Token is immutable")

    def __copy__(self) -> D1Token:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> D1Token:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a D1Token cannot be pickled: what is read back would be verified by nobody")

    def __repr__(self) -> str:
        return "<D1Token>"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: Callable[[object], object]) -> NoReturn:
        raise TypeError(
            "D1Token cannot be read from a request body or parameter; "
            "declare it as Annotated[D1Token, Depends(...)] with a D1Bearer"
        )


def as_bytes(token: str | bytes) -> bytes:
    """Return the token as bytes, its size checked and nothing else.

    Raises:
        TokenError: `malformed_token`.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenError(Reason.MALFORMED_TOKEN)
    if isinstance(token, str):
        try:
            token = token.encode("ascii")
        except UnicodeEncodeError:
            raise TokenError(Reason.MALFORMED_TOKEN) from None
    elif type(token) is not bytes:
        token = b"".join((token,))  # What a subclass answers may change between two looks.
    return token


def parse(
    token: bytes, policy: Policy, known_header: Callable[[bytes], str | None] = lambda _header: None
) -> UnverifiedToken:
    """Return the parts of `token`, as `as_bytes` gave it, with size, shape and header judged.

    Args:
        token: what was received, at most 8,192 bytes.
        policy: which `typ` is accepted.
        known_header: gives the key id of an encoded header that was judged before, or None.

    Raises:
        TokenError: `malformed_token` or `disallowed_algorithm` (RFC 7515 §5.2, RFC 8725 §3.1).
    """
    # (1) size and shape
    signing_input, _, signature = token.rpartition(b".")
    header, _, payload = signing_input.partition(b".")
    if not (header and payload and signature) or len(header) > MAX_HEADER_BYTES:
        raise TokenError(Reason.MALFORMED_TOKEN)
    try:
        payload, signature = as_standard_base64(payload), as_standard_base64(signature)
    except MalformedError:
        raise TokenError(Reason.MALFORMED_TOKEN) from None
    # (2) header and signature length
    known = known_header(header)
    kid = known or read_key_id(header, policy)
    if len(signature) != _SIGNATURE_CHARACTERS:
        raise TokenError(Reason.MALFORMED_TOKEN, kid=kid)
    new_header = None if known else header
    return UnverifiedToken(kid, new_header, payload, signature, signing_input)


def read_key_id(header: bytes, policy: Policy) -> str:
    """Return the `kid` of an encoded header that breaks no rule. No other member is ever read.

    Raises:
        TokenError: `malformed_token` or `disallowed_algorithm`.
    """
    if header[0] not in _FIRST_OF_AN_OBJECT:  # Noise is not worth decoding.
        raise TokenError(Reason.MALFORMED_TOKEN)
    try:
        members = parse_object(decode_base64url(header))
    except MalformedError:
        raise TokenError(Reason.MALFORMED_TOKEN) from None
    if members.get("alg") != ALGORITHM:
        raise TokenError(Reason.DISALLOWED_ALGORITHM)
    if not members.keys().isdisjoint(_FORBIDDEN_MEMBERS) or not _is_accepted_type(members, policy):
        raise TokenError(Reason.MALFORMED_TOKEN)
    content_type = members.get("cty")
    if isinstance(content_type, str) and content_type.lower() in ("jwt", "application/jwt"):
        raise TokenError(Reason.MALFORMED_TOKEN)
    kid = members.get("kid")
    if not is_key_id(kid):
        raise TokenError(Reason.MALFORMED_TOKEN)
    return kid


def _is_accepted_type(members: dict[str, Any], policy: Policy) -> bool:
    if "typ" not in members:
        return None in policy.types
    written = members["typ"]
    return isinstance(written, str) and written.lower() in policy.types


def seal(kid: str, payload: bytes, claims: dict[str, Any], note_refusal: Callable[[TokenError], None]) -> D1Token:
    """Return the token object for claims that `claims.check` has passed. For verifiers only.

    Args:
        kid: the id of the key that signed it.
        payload: its second part, decoded.
        claims: what `payload` says.
        note_refusal: told of a refusal that comes after the verification.
    """
    if len(payload) > _LARGE_PAYLOAD:  # A token may be kept for long; what is seldom asked for is read again then.
        claims = {name: claims[name] for name in _OWN_CLAIMS if name in claims}
    token = object.__new__(D1Token)
    _set_kid(token, kid)
    _set_payload(token, payload)
    _set_claims(token, claims)
    _set_note_refusal(token, note_refusal)
    return token


# The slots' own setters get past the class's `__setattr__`, which refuses everybody else.
_set_kid = D1Token.kid.__set__  # type: ignore[attr-defined,misc]
_set_payload = D1Token._payload.__set__  # type: ignore[attr-defined,misc]  # noqa: SLF001
_set_claims = D1Token._claims.__set__  # type: ignore[attr-defined,misc]  # noqa: SLF001
_set_note_refusal = D1Token._note_refusal.__set__  # type: ignore[attr-defined,misc]  # noqa: SLF001

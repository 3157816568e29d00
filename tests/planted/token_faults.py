"""Wrong verifiers: each has one weakness in how it reads a token or judges its claims."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import posixpath
import unicodedata
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from .strict import RefusedError, StrictApp


class NoSignatureCheck(StrictApp):
    def check_signature(self, kid: Any, signature: bytes, signing_input: bytes) -> None:
        pass


class PsychicSignature(StrictApp):
    def check_es256(self, jwk: Any, signature: bytes, signing_input: bytes) -> None:
        if any(signature):
            super().check_es256(jwk, signature, signing_input)


class TakesDERSignatures(StrictApp):
    def check_es256(self, jwk: Any, signature: bytes, signing_input: bytes) -> None:
        with contextlib.suppress(ValueError):
            r, s = decode_dss_signature(signature)
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        super().check_es256(jwk, signature, signing_input)


class RefusesHighS(StrictApp):
    def check_es256(self, jwk: Any, signature: bytes, signing_input: bytes) -> None:
        if signature[32] >= 0x80:
            raise RefusedError
        super().check_es256(jwk, signature, signing_input)


class SignatureOverReserialisedJSON(StrictApp):
    def check_es256(self, jwk: Any, signature: bytes, signing_input: bytes) -> None:
        parts = [self.parse(self.decode(part)) for part in signing_input.decode().split(".")]
        again = (json.dumps(part, separators=(",", ":")).encode() for part in parts)
        joined = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in again)
        super().check_es256(jwk, signature, joined)


class AlgorithmFromHeader(StrictApp):
    def check_header(self, header: dict[str, Any]) -> Any:
        self.algorithm = header.get("alg")
        return super().check_header({**header, "alg": "ES256"} if self.algorithm == "none" else header)

    def decode(self, segment: str) -> bytes:
        return super().decode(segment) if segment else b""

    def check_signature(self, kid: Any, signature: bytes, signing_input: bytes) -> None:
        if self.algorithm != "none":
            super().check_signature(kid, signature, signing_input)


class HS256WithPublicPEM(StrictApp):
    def check_header(self, header: dict[str, Any]) -> Any:
        self.algorithm = header.get("alg")
        return super().check_header({**header, "alg": "ES256"} if self.algorithm == "HS256" else header)

    def check_signature(self, kid: Any, signature: bytes, signing_input: bytes) -> None:
        if self.algorithm != "HS256":
            super().check_signature(kid, signature, signing_input)
        elif signature not in [hmac.digest(secret, signing_input, hashlib.sha256) for secret in self.secrets()]:
            raise RefusedError

    def secrets(self) -> list[bytes]:
        return [self.d1.public_pem.encode()]


class HS256WithAnyFormOfTheKey(HS256WithPublicPEM):
    def secrets(self) -> list[bytes]:
        pem = self.d1.public_pem.encode()
        der = load_pem_public_key(pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return [pem, pem.strip(), der, json.dumps(self.d1.public_jwk, separators=(",", ":")).encode(), b""]


class IgnoresAlgorithm(StrictApp):
    def check_header(self, header: dict[str, Any]) -> Any:
        return super().check_header({**header, "alg": "ES256"})


class AlgorithmInAnyCase(StrictApp):
    def check_header(self, header: dict[str, Any]) -> Any:
        alg = header.get("alg")
        return super().check_header({**header, "alg": alg.upper() if isinstance(alg, str) else alg})


class BelievesTheHeadersOwnKey(StrictApp):
    def check_header(self, header: dict[str, Any]) -> Any:
        self.offered = header.get("jwk")
        return super().check_header(header)

    def check_signature(self, kid: Any, signature: bytes, signing_input: bytes) -> None:
        self.check_es256(self.offered or self.keys()[kid], signature, signing_input)


class IgnoresCrit(StrictApp):
    def check_header(self, header: dict[str, Any]) -> Any:
        return super().check_header({name: value for name, value in header.items() if name != "crit"})


class IgnoresB64(StrictApp):
    def check_header(self, header: dict[str, Any]) -> Any:
        ignored = {"b64", "crit"} if header.get("crit") == ["b64"] else {"b64"}
        return super().check_header({name: value for name, value in header.items() if name not in ignored})


class TakesAnyType(StrictApp):
    def check_type(self, header: dict[str, Any]) -> None:
        pass


class WantsType(StrictApp):
    def check_type(self, header: dict[str, Any]) -> None:
        if header.get("typ") != "JWT":
            raise RefusedError


class HeaderMustBeKnown(StrictApp):
    def check_header(self, header: dict[str, Any]) -> Any:
        if header.keys() - {"alg", "kid", "typ"}:
            raise RefusedError
        return super().check_header(header)


class TakesAnythingForAnObject(StrictApp):
    def parse(self, data: bytes) -> dict[str, Any]:
        if data[:1] not in b"{ \n":
            members: dict[str, Any] = json.loads(data)
            return members
        return super().parse(data)


class LetsJSONErrorsEscape(StrictApp):
    def parse(self, data: bytes) -> dict[str, Any]:
        json.loads(data.decode("utf-8"))
        return super().parse(data)


class LetsBase64ErrorsEscape(StrictApp):
    def decode(self, segment: str) -> bytes:
        base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        return super().decode(segment)


class FirstThreeParts(StrictApp):
    def verify(self, jwt: str) -> dict[str, Any]:
        return super().verify(".".join(jwt.split(".")[:3]))


class IgnoresKeyId(StrictApp):
    def key_id(self, header: dict[str, Any]) -> Any:
        return None

    def check_signature(self, kid: Any, signature: bytes, signing_input: bytes) -> None:
        for jwk in self.keys().values():
            with contextlib.suppress(RefusedError):
                return self.check_es256(jwk, signature, signing_input)
        raise RefusedError


class OnlyKeyIfNoneIsNamed(StrictApp):
    def key_id(self, header: dict[str, Any]) -> Any:
        return super().key_id(header if "kid" in header else {**header, "kid": self.d1.kid})


class KeyIdAsPath(StrictApp):
    """As if it opened `/keys/<kid>.pem`: the file system tidies the path up."""

    def key_id(self, header: dict[str, Any]) -> Any:
        files = {f"/keys/{kid}.pem": kid for kid in self.d1.kids}
        return super().key_id({"kid": files.get(posixpath.normpath(f"/keys/{header.get('kid')}.pem"))})


class KeyIdTidiedUp(StrictApp):
    def key_id(self, header: dict[str, Any]) -> Any:
        kid = header.get("kid")
        return super().key_id({"kid": kid.strip() if isinstance(kid, str) else kid})


class KeyIdInAnyCase(StrictApp):
    def key_id(self, header: dict[str, Any]) -> Any:
        kid = header.get("kid")
        return super().key_id({"kid": kid.lower() if isinstance(kid, str) else kid})


class TakesPadding(StrictApp):
    def decode(self, segment: str) -> bytes:
        return super().decode(segment.rstrip("="))


class TakesStrayBits(StrictApp):
    def decode(self, segment: str) -> bytes:
        if not segment or len(segment) % 4 == 1 or not segment.replace("-", "").replace("_", "").isalnum():
            raise RefusedError
        return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


class SkipsOddCharacters(StrictApp):
    def decode(self, segment: str) -> bytes:
        return super().decode(segment.replace("~", ""))


class TakesStandardAlphabet(StrictApp):
    def decode(self, segment: str) -> bytes:
        return super().decode(segment.replace("+", "-").replace("/", "_"))


class FirstOfDuplicates(StrictApp):
    def object_of(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(reversed(pairs))


class LastOfDuplicates(StrictApp):
    def object_of(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(pairs)


class TakesNaN(StrictApp):
    def constant(self, name: str) -> Any:
        return float(name)


class GuessesEncodings(StrictApp):
    def parse(self, data: bytes) -> dict[str, Any]:
        try:
            data = data.decode(json.detect_encoding(data)).encode()
        except UnicodeError:
            raise RefusedError from None
        return super().parse(data)


class NoIssuerCheck(StrictApp):
    def check_issuer(self, issuer: Any) -> None:
        pass


class IssuerByPrefix(StrictApp):
    def check_issuer(self, issuer: Any) -> None:
        if not isinstance(issuer, str) or not issuer.startswith("d1"):
            raise RefusedError


class NoAudienceCheck(StrictApp):
    def check_audience(self, audience: Any) -> None:
        pass


class AudienceBySubstring(StrictApp):
    def check_audience(self, audience: Any) -> None:
        if not isinstance(audience, str | list) or self.d1.audience not in audience:
            raise RefusedError


class AudienceOfEitherEnvironment(StrictApp):
    def check_audience(self, audience: Any) -> None:
        super().check_audience("stg" if audience in ("stg", "prd") else audience)


class NoAudienceArrays(StrictApp):
    def check_audience(self, audience: Any) -> None:
        if audience != self.d1.audience:
            raise RefusedError


class NoSubjectCheck(StrictApp):
    def check_subject(self, subject: Any) -> None:
        pass


class SubjectByPrefix(StrictApp):
    def check_subject(self, subject: Any) -> None:
        if not isinstance(subject, str) or not subject.startswith(self.d1.subject):
            raise RefusedError


class SubjectNormalised(StrictApp):
    def check_subject(self, subject: Any) -> None:
        super().check_subject(unicodedata.normalize("NFKC", subject) if isinstance(subject, str) else subject)


class NoExpiryCheck(StrictApp):
    def check_expiry(self, expires_at: float, now: float) -> None:
        pass


class ExpiredFiveMinutesAgo(StrictApp):
    def check_expiry(self, expires_at: float, now: float) -> None:
        super().check_expiry(expires_at, now - 300)


class NoCeiling(StrictApp):
    def check_ceiling(self, expires_at: float, now: float) -> None:
        pass


class CeilingOfAnHour(StrictApp):
    def check_ceiling(self, expires_at: float, now: float) -> None:
        super().check_ceiling(expires_at, now + 1800)


class CeilingAtTenMinutes(StrictApp):
    def check_ceiling(self, expires_at: float, now: float) -> None:
        super().check_ceiling(expires_at, now - 250)


class NumbersAsStrings(StrictApp):
    def number(self, value: Any) -> float:
        return super().number(float(value) if isinstance(value, str) else value)


class TrueIsANumber(StrictApp):
    def number(self, value: Any) -> float:
        return super().number(int(value) if isinstance(value, bool) else value)


class NaNPassesEveryComparison(TakesNaN):
    def number(self, value: Any) -> float:
        return float(value) if value != value else super().number(value)  # noqa: PLR0124

    def check_times(self, claims: dict[str, Any]) -> None:
        if "exp" not in claims or self.number(claims["exp"]) == self.number(claims["exp"]):
            super().check_times(claims)


class IgnoresNotBefore(StrictApp):
    def check_times(self, claims: dict[str, Any]) -> None:
        super().check_times({name: value for name, value in claims.items() if name != "nbf"})


class WholeSecondsOnly(StrictApp):
    def number(self, value: Any) -> float:
        if isinstance(value, float):
            raise RefusedError
        return super().number(value)

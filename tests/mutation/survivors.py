"""The mutants that live, each with the reason why no caller can tell it from the original.

The list is compared with the runs: a survivor that is not here, one that a test has since
killed, and one whose line has gone all end `python -m tests.mutation` with status 1. A new
survivor is a test to write; it belongs here only if that test cannot be written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .mutants import Change

__all__ = ["SURVIVORS", "Survivor"]


@dataclass(frozen=True, slots=True)
class Survivor:
    """A change, and why it changes nothing."""

    change: Change
    why: str


_CODEC_NAME: Final = "the names of codecs are read in any case"
_BYTE_ORDER: Final = "from Python 3.11 on, this byte order is what an omitted one means"

SURVIVORS: Final[tuple[Survivor, ...]] = (
    Survivor(
        Change(
            "_codec",
            "encode_base64url",
            'return binascii.b2a_base64(data, newline=False).translate(_TO_URL_ALPHABET).rstrip(b"=").decode("ascii")',
            'return binascii.b2a_base64(data, newline=False).translate(_TO_URL_ALPHABET).rstrip(b"=").decode("ASCII")',
        ),
        _CODEC_NAME,
    ),
    Survivor(
        Change(
            "_codec",
            "_check_depth",
            'brackets = re.sub(_JSON_STRING, b"", data, flags=re.DOTALL).translate(_AS_SQUARE_BRACKETS, _NOT_BRACKETS)',
            'brackets = re.sub(_JSON_STRING, b"", data, ).translate(_AS_SQUARE_BRACKETS, _NOT_BRACKETS)',
        ),
        "it differs for a backslash before a line feed only, which no JSON text has: refused here or by the parser",
    ),
    Survivor(
        Change(
            "_codec",
            "_check_depth",
            'brackets = re.sub(_JSON_STRING, b"", data, flags=re.DOTALL).translate(_AS_SQUARE_BRACKETS, _NOT_BRACKETS)',
            'brackets = re.sub(_JSON_STRING, b"XXXX", data, flags=re.DOTALL).translate(_AS_SQUARE_BRACKETS, _NOT_BRACKETS)',
        ),
        "whatever is no bracket is taken away right after",
    ),
    Survivor(
        Change(
            "tokens",
            "D1Token.fingerprint",
            'return sha256(encode_base64url(self._payload).encode("ascii")).hexdigest()[:FINGERPRINT_DIGITS]',
            'return sha256(encode_base64url(self._payload).encode("ASCII")).hexdigest()[:FINGERPRINT_DIGITS]',
        ),
        _CODEC_NAME,
    ),
    Survivor(
        Change(
            "keycache",
            "KeyCache.health",
            "seconds = _freshness.next_attempt_at(state, self._timing, now, miss=False) - now",
            "seconds = _freshness.next_attempt_at(state, None, now, miss=False) - now",
        ),
        "the timing is looked at for a miss only",
    ),
    Survivor(
        Change(
            "keycache",
            "KeyCache.health",
            "seconds = _freshness.next_attempt_at(state, self._timing, now, miss=False) - now",
            "seconds = _freshness.next_attempt_at(state, self._timing, now, miss=None) - now",
        ),
        "None is as false as False, and nothing else is asked of it",
    ),
    Survivor(
        Change(
            "keycache",
            "KeyCache._plan_probe",
            'plan = self._loader.plan(next(iter(self._loader.state.by_kid), ""))',
            "plan = self._loader.plan(next(iter(self._loader.state.by_kid), None))",
        ),
        "where there is no key, every key id is as unknown as the next",
    ),
    Survivor(
        Change(
            "keycache",
            "KeyCache._plan_probe",
            'plan = self._loader.plan(next(iter(self._loader.state.by_kid), ""))',
            'plan = self._loader.plan(next(iter(self._loader.state.by_kid), "XXXX"))',
        ),
        "where there is no key, every key id is as unknown as the next",
    ),
    Survivor(
        Change(
            "bearer",
            "_whole_seconds",
            "if not retry_after < MAX_RETRY_AFTER:",
            "if not retry_after <= MAX_RETRY_AFTER:",
        ),
        "at the bound itself, rounding up gives the bound as well",
    ),
    Survivor(
        Change(
            "asgi",
            "_is_excluded",
            'elif root_path and "/" in path[1:]:',
            'elif root_path and "/" in path[2:]:',
        ),
        "they differ where the second character is the only other slash, and no excluded path has two in a row",
    ),
    Survivor(
        Change(
            "asgi",
            "D1AuthMiddleware._refuse",
            'headers = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in answer.headers]',
            'headers = [(name.lower().encode("ASCII"), value.encode("ascii")) for name, value in answer.headers]',
        ),
        _CODEC_NAME,
    ),
    Survivor(
        Change(
            "asgi",
            "D1AuthMiddleware._refuse",
            'headers = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in answer.headers]',
            'headers = [(name.lower().encode("ascii"), value.encode("ASCII")) for name, value in answer.headers]',
        ),
        _CODEC_NAME,
    ),
    Survivor(
        Change(
            "_codec",
            "",
            '_PADDING = (b"", b"", b"==", b"=")',
            """_PADDING = (b"", b'XXXX', b"==", b"=")""",
        ),
        "no text of this length gets so far: no last character is allowed for it",
    ),
    Survivor(
        Change(
            "_codec",
            "",
            '_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))',
            """_NOT_BRACKETS = bytes(set(range(256)) - set(b'XX[]{}XX'))""",
        ),
        "an X outside of strings is no JSON: refused here or by the parser",
    ),
    Survivor(
        Change("tokens", "", "MAX_HEADER_BYTES: Final = 2048", "MAX_HEADER_BYTES: Final = 2049"),
        "no base64url text has 2,049 characters, which is 1 modulo 4",
    ),
    Survivor(
        Change(
            "claims",
            "check",
            'if type(payload.get("jti", "")) is not str:  # Nothing reads it, but RFC 7519 §4.1.7 has it so.',
            'if type(payload.get("jti", "XXXX")) is not str:  # Nothing reads it, but RFC 7519 §4.1.7 has it so.',
        ),
        "any text will do where there is no jti",
    ),
    Survivor(
        Change(
            "claims",
            "_window",
            "if time - leeway > lo:  # noqa: PLR1730 - max() would cost more than the rest of the loop",
            "if time - leeway >= lo:  # noqa: PLR1730 - max() would cost more than the rest of the loop",
        ),
        "it differs where the two are equal, and then it makes no difference which is taken",
    ),
    Survivor(
        Change(
            "keys",
            "_der",
            'return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))',
            'return encode_dss_signature(int.from_bytes(r, ), int.from_bytes(s, "big"))',
        ),
        _BYTE_ORDER,
    ),
    Survivor(
        Change(
            "keys",
            "_der",
            'return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))',
            'return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, ))',
        ),
        _BYTE_ORDER,
    ),
    Survivor(
        Change("bearer", "", 'SEVERAL_CREDENTIALS: Final = b"Bearer ,"', "SEVERAL_CREDENTIALS: Final = b'bEARER ,'"),
        "the name of the scheme is read in any case",
    ),
    Survivor(
        Change("asgi", "D1AuthMiddleware._sent", "begun = False", "begun = None"),
        "None is as false as False, and nothing else is asked of it",
    ),
)

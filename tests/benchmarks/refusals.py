"""What refusing costs: anybody can send garbage, so it has to be cheaper than the check that it never reaches."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from d1verify import KeyCache, KeySet, Reason, TokenError
from tests.support import KEY, ScriptedStore, SigningKey, b64

from .material import bare_check, endless, mint, verifier
from .measuring import Batch, Effort, Ratio, interleave, repeated
from .rows import Aim, Experiment, Row, at_most, compared

BARE = "bare public_key.verify"
# A million seconds: neither does the set age nor the gate for unknown kids open while we look.
_FOR_EVER = 1_000_000.0


class _Case(NamedTuple):
    what: str
    token: str
    reason: Reason
    aim: Aim


_TENTH, _QUARTER = at_most(0.10), at_most(0.25)
_MALFORMED, _BAD_ALGORITHM = Reason.MALFORMED_TOKEN, Reason.DISALLOWED_ALGORITHM


def _header_of(members: Mapping[str, object], size: int) -> str:
    """Return an encoded header of `size` characters, filled up with one long member."""
    plain = json.dumps({**members, "fill": ""})
    return b64(plain[:-2] + "x" * (size * 3 // 4 - len(plain)) + plain[-2:])


def _busy_header() -> str:
    """Return an encoded header that takes long to parse: as many small members as 2,048 characters hold."""
    members: dict[str, object] = {"alg": "none", "kid": KEY.kid}
    while len(b64(json.dumps(members, separators=(",", ":")))) <= 2030:
        members[f"{len(members):x}"] = 0
    return b64(json.dumps(members, separators=(",", ":")))


_LONG = "A" * 2048
CASES: dict[str, _Case] = {
    "short": _Case("short, five bytes", "hello", _MALFORMED, _TENTH),
    "no-dots-100": _Case("no dots, 100 bytes", "A" * 100, _MALFORMED, _TENTH),
    "no-dots-2k": _Case("no dots, 2 KiB", _LONG, _MALFORMED, _TENTH),
    "no-dots-8k": _Case("no dots, 8 KiB", "A" * 8192, _MALFORMED, _TENTH),
    "no-dots-64k": _Case("no dots, 64 KiB", "A" * 65_536, _MALFORMED, _TENTH),
    "only-dots-8k": _Case("8 KiB of dots", "." * 8192, _MALFORMED, _TENTH),
    "three-bad-parts": _Case("three bad parts, a.b.c", "a.b.c", _MALFORMED, _TENTH),
    "three-no-json": _Case("three parts, base64url but no JSON", f"{b64('hello')}.{b64('x')}.{'A' * 86}", _MALFORMED, _TENTH),
    "1m": _Case("1 MiB", "A" * 1_048_576, _MALFORMED, _TENTH),
    "1m-dots": _Case("1 MiB in three parts", ".".join(["A" * 349_525] * 3), _MALFORMED, _TENTH),
    "three-2k": _Case("three parts of 2 KiB", ".".join([_LONG] * 3), _MALFORMED, _QUARTER),
    "three-2k-json": _Case(
        "three parts of 2 KiB, header well-formed",
        f"{_header_of({'alg': 'ES256', 'kid': KEY.kid}, 2048)}.{_LONG}.{_LONG}",
        _MALFORMED,
        _QUARTER,
    ),
    "three-2k-members": _Case(
        "three parts of 2 KiB, header of 200 members", f"{_busy_header()}.{_LONG}.{_LONG}", _BAD_ALGORITHM, _QUARTER
    ),
}  # fmt: skip


def garbage(*, quick: bool) -> list[Row]:
    """Measure what is refused before a key is looked for: the token alone, and as a header's value."""
    judge = verifier()
    contenders: dict[str, Batch] = {BARE: repeated(bare_check(mint()))}
    for name, case in CASES.items():
        contenders[name] = repeated(_refused(judge.verify, case.token, case.reason))
        contenders[f"{name}-header"] = repeated(_refused(judge.verify_header, f"Bearer {case.token}", case.reason))
    ratios = {name: Ratio(name, BARE) for name in contenders if name != BARE}
    effort = Effort(max_seconds=25, batch_seconds=0.002, precision=0.01)
    samples = interleave(contenders, list(ratios.values()), effort.shortened() if quick else effort)
    return [
        compared(f"{prefix}{name}{suffix}", f"refusing {case.what}{how} ÷ bare check", samples, ratios[name + suffix], aim=case.aim)
        for suffix, how in (("", ""), ("-header", ", as an Authorization value"))
        for name, case in CASES.items()
    ]  # fmt: skip


prefix = "garbage-"


def unknown_kid(*, quick: bool) -> list[Row]:
    """Measure a kid that nobody has, another each time, while the gate for look-ups is shut."""
    strangers = [mint(SigningKey(f"stranger-{number}")) for number in range(20 if quick else 500)]
    keys = KeyCache(ScriptedStore(KeySet({KEY.kid: KEY.public}, max_age=5 * _FOR_EVER)), cooldown=86_400)
    cooling, static = verifier(store=keys), verifier()
    cooling.warm_up()
    turn = endless(strangers)
    _refused(cooling.verify, next(turn), Reason.UNKNOWN_KEY)()  # This one may cause a load; it shuts the gate.
    contenders: dict[str, Batch] = {BARE: repeated(bare_check(mint()))}
    contenders["cooling"] = repeated(lambda: _expect(cooling.verify, next(turn), Reason.UNKNOWN_KEY))
    contenders["static"] = repeated(lambda: _expect(static.verify, next(turn), Reason.UNKNOWN_KEY))
    in_cooldown, for_good = Ratio("cooling", BARE), Ratio("static", BARE)
    effort = Effort(max_seconds=10)
    samples = interleave(contenders, [in_cooldown, for_good], effort.shortened() if quick else effort)
    return [
        compared("unknown-kid", "refusing an unknown kid in the cooldown ÷ bare check", samples, in_cooldown, aim=at_most(0.15)),
        compared("unknown-kid-static", "refusing an unknown kid, static keys ÷ bare check", samples, for_good, aim=at_most(0.15)),
    ]  # fmt: skip


def _refused(verify: Callable[[str], object], text: str, reason: Reason) -> Callable[[], None]:
    return lambda: _expect(verify, text, reason)


def _expect(verify: Callable[[str], object], text: str, reason: Reason) -> None:
    try:
        verify(text)
    except TokenError as error:
        if error.reason is reason:
            return
    raise AssertionError("it was not refused as expected")


EXPERIMENTS = (
    Experiment(tuple(f"garbage-{name}{suffix}" for suffix in ("", "-header") for name in CASES), garbage),
    Experiment(("unknown-kid", "unknown-kid-static"), unknown_kid),
)

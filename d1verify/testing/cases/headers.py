"""The other header members: what must not be followed, what must not be ignored, and headers that are none."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from .. import _forging
from .._loopback import served
from .._signing import SigningKey, to_json
from ..call import Call, Expect
from ..case import Case
from ..fake_d1 import REMOVE, FakeD1
from ._table import Token, bearer, edited, header, row, scripted

__all__ = ["CASES"]

_OWN_KEY = "An attacker signs with his own key, names it in the header, and is believed."
_EXTENSION = "A token means something else than the app thinks, because it ignores what it must understand."
_OTHER_PROFILE = "A token that D1 signed for another purpose is accepted as a call."
_ODD = "One odd header makes the app fail with 500, or be read differently by two parsers."

_refuse = partial(row, Expect.UNAUTHORIZED)


def _attackers_token(name: str, value: Any, kid: Callable[[FakeD1], Any]) -> Token:
    """Return what makes a token by an attacker's key that the header itself offers as the one to check with."""

    def make(fake_d1: FakeD1) -> str:
        attacker = SigningKey.generate(_nobodys(fake_d1))
        offered = value(attacker) if callable(value) else value
        return fake_d1.token(header={name: offered, "kid": kid(fake_d1)}, signature=attacker.signature)

    return make


def _nobodys(_fake_d1: FakeD1) -> str:
    return f"attacker-{secrets.token_hex(8)}"


def _offered(member: str, title: str, value: Any, source: str) -> Case:
    jwt = _attackers_token(member, value, lambda fake_d1: fake_d1.kid)
    return _refuse(f"header-{member}", title, source, _OWN_KEY, jwt=jwt)


def _offered_instead(member: str, title: str, value: Any, source: str) -> list[Case]:
    """Return the cases of a key that is offered where no other is named: by a kid that nobody knows, or by none."""
    kids = (("unknown", "under a kid that nobody knows", _nobodys), ("missing", "without a kid", lambda _: REMOVE))
    return [
        _refuse(
            f"header-{member}-kid-{name}", f"{title}, {how}", source, _OWN_KEY, jwt=_attackers_token(member, value, kid)
        )
        for name, how, kid in kids
    ]


def _followed(member: str, title: str, content: Callable[[SigningKey], bytes], content_type: str, source: str) -> Case:
    """Return a case of a URL that answers with the key that has signed, until the call is answered."""

    def script(fake_d1: FakeD1) -> Iterator[Call]:
        attacker = SigningKey.generate(_nobodys(fake_d1))
        with served(content(attacker), content_type) as url:
            jwt = fake_d1.token(header={member: url, "kid": attacker.kid}, signature=attacker.signature)
            yield bearer(fake_d1, Expect.UNAUTHORIZED, jwt)

    return scripted(Expect.UNAUTHORIZED, f"header-{member}-kid-unknown", title, source, _OWN_KEY, script)


def _jwk(key: SigningKey) -> dict[str, str]:
    return key.jwk


def _x5c(key: SigningKey) -> list[str]:
    return [base64.b64encode(key.certificate(Encoding.DER)).decode("ascii")]


def _extension(name: str, title: str, source: str, **members: Any) -> Case:
    return _refuse(name, title, source, _EXTENSION, jwt=header(**members))


def _typed(name: str, value: Any) -> Case:
    return _refuse(f"typ-{name}", f"typ {value!r}", "RFC 8725 §3.11; A068", _OTHER_PROFILE, jwt=header(typ=value))


def _bytes(name: str, title: str, source: str, edit: Any) -> Case:
    return _refuse(f"header-{name}", title, source, _ODD, jwt=edited("header", edit))


def _unencoded(fake_d1: FakeD1) -> str:
    """Return a token whose signature is over the payload as it is, as `b64: false` has it (RFC 7797 §3)."""
    encoded, payload, _ = fake_d1.token(header={"b64": False, "crit": ["b64"]}).split(".")
    signature = fake_d1.signature(encoded.encode("ascii") + b"." + _forging.unb64(payload))
    return f"{encoded}.{payload}.{_forging.b64(signature)}"


CASES = (
    _offered("jwk", "the sender's key in jwk", _jwk, "RFC 8725 §3.10; A061"),
    *_offered_instead("jwk", "the sender's key in jwk", _jwk, "RFC 8725 §3.10; A061"),
    _offered("jku", "a URL of the sender's keys in jku", "https://keys.invalid/jwks.json", "RFC 8725 §3.10; A062"),
    _offered("x5u", "a URL of the sender's certificate in x5u", "https://keys.invalid/x.pem", "RFC 8725 §3.10; A062"),
    _followed(
        "jku",
        "a URL in jku that has the sender's keys, under a kid that nobody else knows",
        lambda key: to_json({"keys": [key.jwk]}),
        "application/jwk-set+json",
        "RFC 8725 §3.10; A062",
    ),
    _followed(
        "x5u",
        "a URL in x5u that has the sender's certificate, under a kid that nobody else knows",
        lambda key: key.certificate(Encoding.PEM),
        "application/x-pem-file",
        "RFC 8725 §3.10; A062",
    ),
    _offered("x5c", "the sender's key in x5c", _x5c, "RFC 7515 §4.1.6; A063"),
    *_offered_instead("x5c", "the sender's key in x5c", _x5c, "RFC 7515 §4.1.6; A063"),
    _extension("crit-unknown", "crit names an extension that nobody knows", "RFC 7515 §4.1.11; A064", crit=["x"], x=1),
    _extension("crit-exp", "crit names exp, which the header has", "RFC 7515 §4.1.11; A064", crit=["exp"], exp=1),
    _extension("crit-empty", "crit an empty array", "RFC 7515 §4.1.11; A065", crit=[]),
    _extension("crit-null", "crit null", "RFC 7515 §4.1.11; A065", crit=None),
    _extension("crit-string", "crit a string", "RFC 7515 §4.1.11; A065", crit="alg"),
    _extension("crit-registered", "crit names alg", "RFC 7515 §4.1.11; A065", crit=["alg"]),
    _extension("crit-absent-member", "crit names a member that is not there", "RFC 7515 §4.1.11; A065", crit=["x"]),
    _extension("b64-false", "b64 false without crit", "RFC 7797 §6; A066", b64=False),
    _extension("b64-true", "b64 true with crit", "RFC 7797 §6; A066", b64=True, crit=["b64"]),
    _refuse(
        "b64-unencoded", "b64 false, signed over the payload as it is", "RFC 7797 §3; A066", _EXTENSION, jwt=_unencoded
    ),
    _extension("zip", "zip DEF", "RFC 7516 §4.1.3; A067", zip="DEF"),
    _extension("enc", "enc A128GCM", "RFC 7516 §4.1.2; A067", enc="A128GCM"),
    _extension("cty-jwt", "cty JWT: a token within a token", "RFC 7519 §5.2; A067", cty="JWT"),
    _typed("access-token", "at+jwt"),
    _typed("dpop", "dpop+jwt"),
    _typed("logout", "logout+jwt"),
    _typed("security-event", "secevent+jwt"),
    _typed("jose-json", "JOSE+JSON"),
    _typed("empty", ""),
    _typed("null", None),
    _typed("number", 1),
    _typed("array", ["JWT"]),
    _bytes("array", "the header an array", "RFC 7515 §4; A070", lambda _: '["alg"]'),
    _bytes("string", "the header a string", "RFC 7515 §4; A070", lambda _: '"alg"'),
    _bytes("number", "the header a number", "RFC 7515 §4; A070", lambda _: "256"),
    _bytes("null", "the header null", "RFC 7515 §4; A070", lambda _: "null"),
    _bytes("no-json", "the header no JSON", "RFC 7515 §5.2; A089", lambda text: text[:-1]),
    _bytes(
        "duplicate-alg", "alg twice: none, then ES256", "RFC 7515 §4; A071", lambda text: '{"alg":"none",' + text[1:]
    ),
    _bytes("duplicate-kid", "kid twice", "RFC 7515 §4; A071", lambda text: '{"kid":"other",' + text[1:]),
    _bytes(
        "duplicate-escaped",
        "alg twice, once written with an escape",
        "RFC 8259 §8.3; A077",
        lambda text: '{"\\u0061lg":"none",' + text[1:],
    ),
    _bytes(
        "deep",
        "a header nested 200 deep",
        "RFC 8259 §9; A082",
        lambda text: f'{text[:-1]},"x":{"[" * 200}{"]" * 200}}}',
    ),
    _bytes("nan", "NaN in the header", "RFC 8259 §6; A078", lambda text: text[:-1] + ',"x":NaN}'),
    _bytes("byte-order-mark", "a header with a byte order mark", "RFC 8259 §8.1; A086", lambda text: "\ufeff" + text),
    _bytes("utf-16", "a header in UTF-16", "RFC 7515 §5.2; A086", lambda text: text.encode("utf-16-le")),
    _bytes(
        "not-utf-8",
        "a header that is not UTF-8",
        "RFC 7515 §5.2; A087",
        lambda text: text[:-1].encode("ascii") + b',"x":"\xff"}',
    ),
)

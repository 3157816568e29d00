"""A stream of tokens: a good one, changed at none, one or several of its layers, and signed after most of that."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import strategies as st

from ..support import NOW, P256_ORDER, SUBJECT, b64
from .classes import BASE64URL
from .peers import KEY, OTHER_KEY, STRANGER, FixedKey
from .pools import BOUNDARIES, CLAIMS, HEADERS

Draw: TypeAlias = st.DrawFn
Choice = TypeVar("Choice")
Members: TypeAlias = list[tuple[str, str]]
"""Names and values, both as JSON text, so that anything can be written."""

_generated_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
).map(json.dumps)


def one_of(draw: Draw, usual: Choice, *others: Choice) -> Choice:
    """Draw the usual every other time; it is what a failing example shrinks to."""
    return draw(st.sampled_from([*[usual] * len(others), *others]))


# The JSON.


def _set(draw: Draw, members: Members, pools: dict[str, Sequence[str]]) -> Members:
    name, value = _member(draw, pools)
    if all(written != name for written, _ in members):
        return [*members, (name, value)]
    return [(written, value if written == name else old) for written, old in members]


def _remove(draw: Draw, members: Members, _pools: dict[str, Sequence[str]]) -> Members:
    dropped = draw(st.sampled_from(members)) if members else None
    return [pair for pair in members if pair is not dropped]


def _double(draw: Draw, members: Members, pools: dict[str, Sequence[str]]) -> Members:
    name, value = _member(draw, pools)
    escaped = "".join(f"\\u{ord(character):04x}" for character in name[:1]) + name[1:]
    spelt = name if name.startswith("\\") else draw(st.sampled_from([name, escaped]))
    return draw(st.sampled_from([[*members, (spelt, value)], [(spelt, value), *members]]))


def _shuffle(draw: Draw, members: Members, _pools: dict[str, Sequence[str]]) -> Members:
    return draw(st.permutations(members))


def _member(draw: Draw, pools: dict[str, Sequence[str]]) -> tuple[str, str]:
    name = draw(st.sampled_from([name for name, values in pools.items() for _ in range(1 + len(values) // 10)]))
    value = draw(_generated_json) if draw(st.integers(0, 9)) == 9 else draw(st.sampled_from(pools[name]))
    return name, value


def _changed_members(draw: Draw, members: Members, pools: dict[str, Sequence[str]]) -> Members:
    for _change in range(draw(st.integers(1, 3))):
        members = draw(st.sampled_from([_set, _set, _set, _remove, _double, _shuffle]))(draw, members, pools)
    return members


def _plain(members: Members) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name, value in members) + "}"


def _laid_out(draw: Draw, members: Members) -> str:
    space = draw(st.sampled_from([" ", "\n", "\t \r\n", "\u00a0", "\x0b"]))
    text = "{" + ",".join(f'{space}"{name}"{space}:{space}{value}' for name, value in members) + space + "}"
    return one_of(draw, "{}", " {} \n", "[{}]", "{},", "{}{}", "{}\0", "/**/{}", "null").replace("{}", text)


def _in_bytes(draw: Draw, text: str) -> bytes:
    encodings = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "latin-1")
    data = text.encode(one_of(draw, "utf-8", *encodings), "replace")
    spoilt = one_of(draw, b"", b"\xff", b"\xed\xa0\x80", b"\xc0\xaf", b"\0", b"\x1f", b"\xc3\xa9", b'"', b"\\")
    where = data.rfind(b'"')
    return data[:where] + spoilt + data[where:]


def _written(draw: Draw, members: Members, touched: frozenset[str]) -> bytes:
    if "layout" in touched or "encoding" in touched:
        text = _laid_out(draw, members) if "layout" in touched else _plain(members)
        return _in_bytes(draw, text) if "encoding" in touched else text.encode()
    return _plain(members).encode()


# The base64.


def _padded(_draw: Draw, text: str) -> str:
    return text + "=" * (-len(text) % 4)


def _misplaced_padding(draw: Draw, text: str) -> str:
    return _inserted(draw, text, draw(st.sampled_from(["=", "==", "==="])))


def _stray_bits(_draw: Draw, text: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1] if text else text


def _other_alphabet(_draw: Draw, text: str) -> str:
    return text.replace("-", "+").replace("_", "/")


def _other_bytes(draw: Draw, text: str) -> str:
    return _inserted(
        draw,
        text,
        draw(
            st.sampled_from([" ", "\n", "\t", "\0", "!", "~", "%3D", "é", "\uff21", "\ud800", ".", "\r\n\r\n", "...."])
        ),
    )


def _spoilt(draw: Draw, text: str) -> str:
    where = draw(st.integers(0, max(0, len(text) - 1)))
    return text[:where] + draw(st.sampled_from([*sorted(BASE64URL), ""])) + text[where + 1 :]


def _inserted(draw: Draw, text: str, what: str) -> str:
    where = draw(st.sampled_from([0, len(text) // 2, len(text)]))
    return text[:where] + what + text[where:]


def _same(_draw: Draw, text: str) -> str:
    return text


def _spelt(draw: Draw, data: bytes, touched: frozenset[str]) -> str:
    ways = (_padded, _misplaced_padding, _stray_bits, _other_alphabet, _other_bytes, _spoilt)
    return one_of(draw, _same, *ways)(draw, b64(data)) if "base64" in touched else b64(data)


# The signature.


def _joined(r: int, s: int, size: int = 32) -> bytes:
    return b"".join((number % (1 << 8 * size)).to_bytes(size, "big") for number in (r, s))


def _signature(draw: Draw, signing_input: bytes, owner: FixedKey) -> bytes:
    """Return a good one, with low S or with high S."""
    signature = owner.signature(signing_input)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    return draw(st.sampled_from([signature, _joined(r, P256_ORDER - s)]))


def _spoilt_signature(draw: Draw, signing_input: bytes, owner: FixedKey) -> bytes:
    signature = draw(st.sampled_from([owner, KEY, OTHER_KEY, STRANGER])).signature(signing_input)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    tricks = [
        b"", bytes(64), signature[:63], signature + b"\0", b"\0" + signature, signature * 2, encode_dss_signature(r, s),
        _joined(s, r), _joined(r + P256_ORDER, s), _joined(r, s + P256_ORDER), _joined(0, s), _joined(r, 0), _joined(r, s, 33),
        _joined(-r, -s), _joined(P256_ORDER, P256_ORDER), hmac.digest(owner.pem.encode(), signing_input, "sha256"),
        signature[:-1] + bytes([signature[-1] ^ 1]), hashlib.sha512(signing_input).digest(),
    ]  # fmt: skip
    return one_of(draw, signature, *tricks)


# The whole.


def _serialised(_draw: Draw, token: str) -> str:
    names = ("protected", "payload", "signature")
    return json.dumps({**dict(zip(names, token.split("."), strict=False)), "dots": ".."})


def _changed(draw: Draw, token: str) -> str:
    parts = token.split(".")
    ways = [
        f"{token}.", f".{token}", f"{token}..", f" {token}", f"{token}\n", f"Bearer {token}", f"{token},{token}", f"{token}\0",
        ".".join(parts[::-1]), ".".join(parts[:2]), ".".join(parts[:2]) + ".", f"{parts[0]}..{parts[-1]}", parts[0],
        token.upper(), token.swapcase(), token.replace(".", "%2E"), f"{token}.{parts[-1]}", "", "..", token[:-1], token + "A",
    ]  # fmt: skip
    changed = draw(st.sampled_from([_serialised, _spoilt, _other_bytes]))(draw, token)
    return draw(st.sampled_from([*ways, *[changed] * 8]))


def _set_time(draw: Draw, payload: Members) -> Members:
    name, written = draw(st.sampled_from(["exp", "iat", "nbf"])), json.dumps(NOW + draw(st.sampled_from(BOUNDARIES)))
    return [*(member for member in payload if member[0] != name), (name, written)]


def _filled(draw: Draw, members: Members, *lengths: st.SearchStrategy[int]) -> Members:
    return [*members, ("x5t", json.dumps("x" * draw(st.one_of(*lengths))))]


# Most tokens are touched at one or two layers, so that what is wrong with them is not hidden behind something else.
_LAYERS = ["payload", "payload", "payload", "header", "header", "layout", "encoding", "base64", "signature", "whole",
           "time", "time", "size"]  # fmt: skip


@st.composite
def tokens(draw: Draw) -> str:
    """Return a strategy for tokens, good ones and others."""
    touched = frozenset(draw(st.lists(st.sampled_from(_LAYERS), max_size=3)))
    owner = draw(st.sampled_from([KEY, OTHER_KEY]))
    header: Members = [("alg", '"ES256"'), ("kid", f'"{owner.kid}"')]
    payload: Members = [("iss", '"d1"'), ("aud", '"stg"'), ("sub", f'"{SUBJECT}"'), ("exp", str(NOW + 600))]
    if "header" in touched:
        header = _changed_members(draw, header, HEADERS)
    if "payload" in touched:
        payload = _changed_members(draw, payload, CLAIMS)
    if "time" in touched:
        payload = _set_time(draw, payload)
    if "size" in touched and draw(st.booleans()):
        header = _filled(draw, header, st.integers(310, 350), st.integers(1460, 1500))
    elif "size" in touched:
        payload = _filled(draw, payload, st.integers(5910, 5990))
    signed = ".".join(_spelt(draw, _written(draw, part, touched), touched) for part in (header, payload))
    sign = _spoilt_signature if "signature" in touched else _signature
    token = f"{signed}.{_spelt(draw, sign(draw, signed.encode('utf-8', 'replace'), owner), touched)}"
    return _changed(draw, token) if "whole" in touched else token

"""Whole requests by Hypothesis: ASGI scopes that a careless server, a hostile client or an outer layer could make."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from starlette.authentication import AuthCredentials, SimpleUser

from d1verify import D1Token
from d1verify._scope import TOKEN_KEY, VERIFIER_KEY

from ..support import KEY, OTHER_KEY, make_verifier
from .targets import READINGS, as_the_specification_says, chance, pick, raw_paths

GOOD = KEY.mint().encode()
BEARER = (b"authorization", b"Bearer " + GOOD)
FORGED = b"Bearer " + OTHER_KEY.mint({"kid": KEY.kid}).encode()
EXPIRED = b"Bearer " + KEY.mint(exp=1).encode()
VERIFIER = make_verifier()
OTHER_VERIFIER = make_verifier(subject="MGW_000002")
GENUINE: D1Token = VERIFIER.verify(GOOD)
FOREIGN: D1Token = OTHER_VERIFIER.verify(KEY.mint(sub="MGW_000002"))

ENTITLING = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +" + re.escape(GOOD))

METHODS: tuple[str, ...] = (
    "GET", "GET", "GET", "GET", "GET", "HEAD", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE",
    "CONNECT", "get", "Get", "head", "INVENTED", "PROPFIND", "", "GET ", "GET\n", "GETPOST", "\u0262ET",
)  # fmt: skip
HOSTS: tuple[bytes, ...] = (
    b"merchant.example", b"api.merchant.example", b"x/health?", b"merchant.example/health#",
    b"health.merchant.example", b"API.MERCHANT.EXAMPLE:8000", b"", b"\xff", b"[::1]", b"evil@merchant.example",
    b"merchant.example:health",
)  # fmt: skip

# Values that entitle to nothing, under the header's own name.
VALUES: tuple[bytes, ...] = (
    b"", b" ", b"Bearer", b"Bearer ", b"Bearer  ", b"Basic eDp5", b"Negotiate x", FORGED, EXPIRED, GOOD, b"x",
    b"Bearer\t" + GOOD, b"Bearer " + GOOD + b" ", b" Bearer " + GOOD, b"Bearer " + GOOD + b",", b"Bearer," + GOOD,
    b"Bearer " + GOOD + b", Bearer " + GOOD, b"Basic eDp5, Bearer " + GOOD, b"Bearer " + GOOD + b", Basic eDp5",
    b"DPoP " + GOOD, b"Bearer: " + GOOD, b"Bearer=" + GOOD, b'Bearer "' + GOOD + b'"', b"Bearer\xa0" + GOOD,
    b"Bearer " + GOOD + b"\0", b"Bearer\0 " + GOOD, b"Bearer " + GOOD[:-1], b"\xffBearer " + GOOD, b"Bearer null",
    b"Bearer " + GOOD + b"\r\nx: y", b"bearer token=" + GOOD, b"Bearer " + GOOD.upper(), b"Bearer \xf0\x9f\x92\xa9",
)  # fmt: skip
# Names that are not it, however good the value.
NAMES: tuple[bytes, ...] = (
    b"authorization_", b"x-authorization", b"proxy-authorization", b"x-forwarded-authorization", b"authorization ",
    b" authorization", b"authorization\0", b"auth\xc4\xb1zation", b"x-http-method-override", b"x-forwarded-prefix",
    b"x-original-url", b"x-rewrite-url", b"x-original-url", b"x-rewrite-url", b"cookie",
)  # fmt: skip
ELSEWHERE = (
    b"Bearer " + GOOD, b"Bearer " + GOOD, b"Bearer " + GOOD, b"/health", b"/health", b"/health", GOOD, b"GET",
)  # fmt: skip

KINDS = ("http",) * 16 + ("websocket",) * 5 + ("lifespan", "webtransport", "HTTP", "Websocket", "", None, ...)


@dataclass(frozen=True, slots=True)
class Request:
    """An ASGI scope, and whether its headers hold exactly one value that D1 may call with."""

    scope: dict[str, Any]
    entitled: bool

    def __repr__(self) -> str:
        return f"Request({self.scope!r}, entitled={self.entitled})".replace(GOOD.decode(), "GOOD")


def entitled(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Tell whether these headers may reach what is guarded: one value, a scheme, spaces, the good token, no more."""
    values = [value for name, value in headers if name.lower() == b"authorization"]
    return len(values) == 1 and ENTITLING.fullmatch(values[0]) is not None


@st.composite
def header_lists(draw: st.DrawFn) -> list[tuple[bytes, bytes]]:
    """Headers in any order: a host, and nothing, one or two that may look like credentials."""

    def named(values: Sequence[bytes]) -> tuple[bytes, bytes]:
        return pick(draw, OWN_NAMES), pick(draw, values)

    headers = [] if chance(draw, 8) else [(b"host", pick(draw, HOSTS))]
    headers += [
        (pick(draw, NAMES), pick(draw, ELSEWHERE)) if kind == "elsewhere" else named(SAID[kind])
        for kind in pick(draw, CREDENTIALS)
    ]
    for at in range(len(headers) - 1):
        if chance(draw, 2):
            headers[at : at + 2] = headers[at + 1], headers[at]
    return headers


OWN_NAMES = (
    b"authorization", b"authorization", b"Authorization", b"AUTHORIZATION", b"aUTHORIZATION",
)  # fmt: skip
SAID = {"good": (b"Bearer " + GOOD, b"bearer " + GOOD, b"BEARER   " + GOOD), "bad": VALUES}
CREDENTIALS = [(), ("bad",), ("good",), ("good",), ("elsewhere",), ("good", "bad"), ("good", "good"), ("bad", "bad")]
CREDENTIALS += [("elsewhere",), ("bad", "elsewhere"), ("good", "elsewhere")]

USER, AUTH = SimpleUser("mallory"), AuthCredentials(["d1"])
GENUINE_WITH_VERIFIER: dict[str, Any] = {TOKEN_KEY: GENUINE, VERIFIER_KEY: VERIFIER, "user": USER, "auth": AUTH}
# What a layer before the guard may have left in the scope under the names that count later.
SEEDS: list[dict[str, Any]] = [
    GENUINE_WITH_VERIFIER,
    {"user": USER, "auth": AUTH},
    {TOKEN_KEY: "forged", "user": USER},
    {TOKEN_KEY: GENUINE},
    {TOKEN_KEY: FOREIGN},
    {TOKEN_KEY: FOREIGN, VERIFIER_KEY: OTHER_VERIFIER, "user": USER, "auth": AUTH},
    {VERIFIER_KEY: VERIFIER},
    {TOKEN_KEY: None, VERIFIER_KEY: VERIFIER},
    {"state": {"user": USER, "token": GENUINE, TOKEN_KEY: GENUINE}, "user": USER},
    {"path_params": {"p": "health", "d1verify": "x"}, "endpoint": object(), "app_root_path": "/health"},
]

READING_NAMES = ["decoded"] * 8 + list(READINGS)
ROOT_PATHS = [""] * 4 + [
    "/",
    "/api",
    "/apix",
    "/zzz",
    "/zzz",
    "/zzz/",
    "//",
    "/health",
    "health",
    "/pay",
    "/..",
    "/%2e",
]
ROOT_PATHS += ["/\u00e9", "/v1/v1"]


@st.composite
def places(draw: st.DrawFn, known: Sequence[bytes], prefixes: Sequence[str]) -> dict[str, Any]:
    """`path`, `raw_path` and `root_path`, in agreement or not; a field may be missing (`...`)."""
    raw = pick(draw, known)
    reading: Callable[[bytes], str] = as_the_specification_says
    if not chance(draw, 4):
        raw, reading = draw(raw_paths(known)), READINGS[pick(draw, READING_NAMES)]
    path = reading(raw)
    if chance(draw, 2):
        return {"path": path, "raw_path": raw, "root_path": ""}
    if chance(draw, 8):
        path = reading(pick(draw, known))  # not what was written
    cuts = [path[:at] for at in range(len(path)) if path[at] == "/"] + [path, path[: len(path) // 2]]
    root_path = pick(draw, [*ROOT_PATHS, *prefixes, *cuts])
    if root_path and chance(draw, 2):
        path = root_path + path  # as uvicorn has it; Hypercorn and a proxy that strips do not
    written = root_path.encode("utf-8", "replace") + raw
    others = [None, None, ..., ..., raw + b"?x=1", raw.decode("latin-1"), bytearray(raw), b"", b"/", pick(draw, known)]
    raw_path = pick(draw, [raw] * 3 + [written] * 4 + others)
    return {"path": path, "raw_path": raw_path, "root_path": root_path or pick(draw, ["", "", ...])}


EXTENSIONS: list[Any] = [..., None, {}, {"websocket.http.response": {}}]
QUERIES = [b"", b"", b"x=/health", b"access_token=" + GOOD, b"_method=GET"]


@st.composite
def requests(
    draw: st.DrawFn, known: Sequence[bytes], prefixes: Sequence[str], *, genuine_with_verifier: bool = True
) -> Request:
    """One request to an app that has the paths `known` and mounts at `prefixes`.

    Args:
        draw: Hypothesis's.
        known: paths that the app has.
        prefixes: where it has mounts.
        genuine_with_verifier: an outer layer may have left a genuine token under the guard's own verifier. To
            `D1Bearer` that is the word of `D1AuthMiddleware`, and nobody else has such a token to leave.
    """
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "GET",
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "subprotocols": [],
    }
    # Nothing else is wrong with half of the requests in a wrong place, so that one thing's effect can show.
    wrong = pick(draw, ["place", "place", "rest", "both"])
    if wrong == "rest":
        plain = pick(draw, known)
        scope |= {"path": plain.decode(), "raw_path": plain, "root_path": ""}
    else:
        scope |= draw(places(known, prefixes))
    if wrong != "place":
        kind = pick(draw, KINDS)
        scope |= {
            "type": kind,
            "scheme": "ws" if kind == "websocket" else "http",
            "method": pick(draw, METHODS) if kind == "http" else pick(draw, [..., "GET"]),
            "query_string": pick(draw, QUERIES),
            "headers": draw(header_lists()),
            "extensions": pick(draw, EXTENSIONS),
            **(pick(draw, SEEDS if genuine_with_verifier else SEEDS[1:]) if chance(draw, 3) else {}),
        }
    return Request({name: value for name, value in scope.items() if value is not ...}, entitled(scope["headers"]))

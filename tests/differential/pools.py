"""What the members of a header and of a payload are changed to: JSON texts, right ones, wrong ones and odd ones."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..support import NOW, SUBJECT
from .peers import KEY, OTHER_KEY, STRANGER

BOUNDARIES = (
    -1e9,
    -900,
    -31,
    -30.5,
    -30,
    -29.5,
    -29,
    -1,
    0,
    0.5,
    29,
    30,
    30.5,
    31,
    600,
    900,
    929.5,
    930,
    930.5,
    931,
    1e9,
)
_TIMES = [
    *(json.dumps(NOW + second) for second in BOUNDARIES),
    *(f'"{NOW}"', f'"{NOW + 600}"', f'" {NOW + 600}_0 "', f"{NOW}e0", "1.8000006e9", "true", "false", "null", "[]", "{}", '""'),
    *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e16", "-1e16", str(2**53), str(-(2**53)), "1" + "0" * 320),
]  # fmt: skip
_DEEP = ["[" * depth + "]" * depth for depth in (1, 14, 15, 16, 17, 40, 200)]
_VALUES = [
    *('""', '"x"', '"d1"', '"stg"', "null", "true", "5", "0.1", "-0", "NaN", "-Infinity", "1e400", "9" * 400, "[]", "{}"),
    *('"\\ud800"', '"\\udc80\\ud800"', '"\\ud83d\\ude00"', '"é"', '"\\u0000"', '{"a":1,"a":2}', '{"a":{"b":[1,{"c":1,"\\u0063":2}]}}'),
    *_DEEP,
    *(json.dumps("x" * length) for length in (300, 1400, 5900, 6200)),
]  # fmt: skip
CLAIMS: dict[str, Sequence[str]] = {
    "iss": ['"d1"', '"D1"', '"d"', '""', '"d1 "', '"\\u0064\\u0031"', '["d1"]', "null", "1"],
    "sub": [json.dumps(SUBJECT), f'"\\u004d{SUBJECT[1:]}"', '"MGW_000002"', '""', f'["{SUBJECT}"]', "null", "1"],
    "aud": ['"stg"', '"prd"', '"\\u0073tg"', '["stg"]', '["stg","prd"]', '["stg",""]', '["stg",1]', '["stg",null]', '["prd"]',
            "[]", '""', '"st"', "null", '{"stg":1}', '["stg",["stg"]]', '["stg",NaN]', '["stg","\\ud800"]'],
    "exp": _TIMES,
    "iat": _TIMES,
    "nbf": _TIMES,
    "jti": ['"x"', "5", "null", '""', "[]"],
    "token": _VALUES,
    "": _VALUES,
    "\\ud800": _VALUES,
}  # fmt: skip
_TYPES = [
    '"JWT"',
    '"jwt"',
    '"application/jwt"',
    '"\\u004aWT"',
    '"at+jwt"',
    '"JOSE"',
    '"JWT "',
    '""',
    "null",
    "5",
    '["JWT"]',
    "{}",
]
HEADERS: dict[str, Sequence[str]] = {
    "alg": ['"ES256"', '"\\u0045S256"', '"es256"', '"ES256 "', '"none"', '"HS256"', '"ES384"', '"ES256K"', "null", '["ES256"]', '""'],
    "kid": [*(json.dumps(name) for name in (KEY.kid, OTHER_KEY.kid, "nobody", "", "../../dev/null", "k" * 257, "d1-key-1\0")),
            '"\\u00641-key-1"', '"\\ud800"', "null", "5", '["d1-key-1"]'],
    "typ": _TYPES,
    "cty": [*_TYPES, '"json"'],
    "crit": ['["b64"]', '["exp"]', "[]", '"b64"', "null", '["b64","b64"]', "[5]"],
    "b64": ["true", "false", "null", '"true"'],
    "zip": ['"DEF"', "null"],
    "enc": ['"A128GCM"', "null"],
    "jwk": [json.dumps(STRANGER.jwk), "{}", "5", "null"],
    "jku": ['"https://evil.example/jwks"', '"file:///etc"', "5", '"\\ud800"'],
    "x5u": ['"https://evil.example/x5u"', "[]"],
    "x5c": ['["MIIB"]', '"MIIB"', "[5]"],
    "x5t": ['"x"', "5"],
    "x5t#S256": ['"x"', "5"],
    "iss": ['"d1"', "NaN"],
    "nonce": _VALUES,
}  # fmt: skip

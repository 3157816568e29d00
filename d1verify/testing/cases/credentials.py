"""The Authorization header: none, another scheme, odd spellings, and more than one."""

from __future__ import annotations

from functools import partial

from ..call import Call, Expect
from ..fake_d1 import FakeD1
from ._table import call, row

__all__ = ["CASES"]

_OPEN = "Anyone can make D1's calls, without any credentials."
_LAX = "What counts as credentials differs between the app and what stands before it, so one can be led past the other."
_TWO = "The app checks one token while a proxy or a log sees the other, so a check can be walked around."

_refuse = partial(row, Expect.UNAUTHORIZED)
_reject = partial(row, Expect.BAD_REQUEST)


def _values(expect: Expect, *templates: str | bytes) -> partial[Call]:
    """Return what makes a call with these values; `{}` is a good token and `[]` an expired one."""
    return partial(_filled, expect, templates)


def _filled(expect: Expect, templates: tuple[str | bytes, ...], fake_d1: FakeD1) -> Call:
    texts = [one.decode("latin-1") if isinstance(one, bytes) else one for one in templates]
    good, bad = fake_d1.token(), fake_d1.token(exp=fake_d1.now - 3600)
    return call(fake_d1, expect, *(text.replace("{}", good).replace("[]", bad) for text in texts))


_value = partial(_values, Expect.UNAUTHORIZED)


def _elsewhere(name: str, template: str, fake_d1: FakeD1) -> Call:
    return call(fake_d1, Expect.UNAUTHORIZED, other=((name, template.format(fake_d1.token())),))


def _in_query(fake_d1: FakeD1) -> Call:
    return call(fake_d1, Expect.UNAUTHORIZED, query=f"access_token={fake_d1.token()}", elsewhere=True)


CASES = (
    _refuse("credentials-missing", "no Authorization header", "RFC 6750 §3; A217", _OPEN, _value()),
    _refuse("credentials-empty", "an empty Authorization header", "RFC 6750 §2.1; A004", _OPEN, _value("")),
    _refuse("scheme-alone", "Bearer and nothing after it", "RFC 6750 §2.1; A004", _OPEN, _value("Bearer")),
    _refuse("scheme-basic", "Basic credentials", "RFC 6750 §2.1; A007", _OPEN, _value("Basic ZDE6ZDE=")),
    _refuse("scheme-basic-with-token", "a good token as Basic", "RFC 6750 §2.1; A007", _LAX, _value("Basic {}")),
    _refuse("scheme-dpop", "a good token as DPoP", "RFC 9449 §7.1; A007", _LAX, _value("DPoP {}")),
    _refuse("scheme-other", "a good token as Token", "RFC 6750 §2.1; A007", _LAX, _value("Token {}")),
    _refuse("scheme-missing", "a good token without a scheme", "RFC 6750 §2.1; A004", _LAX, _value("{}")),
    _refuse("scheme-glued", "no space after the scheme", "RFC 6750 §2.1; A004", _LAX, _value("Bearer{}")),
    _refuse("scheme-colon", "a colon after the scheme", "RFC 6750 §2.1; A004", _LAX, _value("Bearer: {}")),
    _refuse("scheme-tab", "a tab after the scheme", "RFC 6750 §2.1; A004", _LAX, _value("Bearer\t{}")),
    _refuse("scheme-twice", "the scheme twice", "RFC 6750 §2.1; A004", _LAX, _value("Bearer Bearer {}")),
    row(
        Expect.REFUSED,
        "scheme-no-break-space",
        "a no-break space after the scheme",
        "RFC 9110 §5.5; A005",
        _LAX,
        _values(Expect.REFUSED, b"Bearer\xa0{}"),
    ),
    row(
        Expect.REFUSED,
        "token-not-ascii",
        "a byte beyond ASCII in the token",
        "RFC 6750 §2.1; A005",
        _LAX,
        _values(Expect.REFUSED, b"Bearer \xe9{}"),
    ),
    _refuse("token-then-text", "more after the token", "RFC 6750 §2.1; A004", _LAX, _value("Bearer {} x")),
    _refuse("token-quoted", "the token in quotes", "RFC 6750 §2.1; A004", _LAX, _value('Bearer "{}"')),
    _refuse("token-text", "a text that is no JWT", "RFC 7519 §7.2; A039", _OPEN, _value("Bearer letmein")),
    _refuse("token-null", "the word null", "RFC 7519 §7.2; A051", _OPEN, _value("Bearer null")),
    _refuse(
        "forwarded-header",
        "a good token in X-Forwarded-Authorization only",
        "RFC 6750 §2.1; A011",
        _LAX,
        partial(_elsewhere, "X-Forwarded-Authorization", "Bearer {}"),
    ),
    _refuse(
        "proxy-header",
        "a good token in Proxy-Authorization only",
        "RFC 9110 §11.7.2; A011",
        _LAX,
        partial(_elsewhere, "Proxy-Authorization", "Bearer {}"),
    ),
    _refuse(
        "cookie",
        "a good token in a cookie only",
        "RFC 6750 §2; A009",
        "A browser can be made to send the token for whoever asks.",
        partial(_elsewhere, "Cookie", "access_token={}"),
    ),
    _refuse(
        "query-parameter",
        "a good token in the query only",
        "RFC 6750 §2.3; A009",
        "Tokens end up in access logs and histories, where others find them.",
        _in_query,
    ),
    _reject(
        "two-headers-same",
        "the same good token in two headers",
        "RFC 9110 §5.3; A001",
        _TWO,
        _values(Expect.BAD_REQUEST, "Bearer {}", "Bearer {}"),
    ),
    _reject(
        "two-headers-good-first",
        "two Authorization headers, the first one good",
        "RFC 9110 §5.3; A001",
        _TWO,
        _values(Expect.BAD_REQUEST, "Bearer {}", "Bearer []"),
    ),
    _reject(
        "two-headers-good-last",
        "two Authorization headers, the last one good",
        "RFC 9110 §5.3; A001",
        _TWO,
        _values(Expect.BAD_REQUEST, "Bearer []", "Bearer {}"),
    ),
    _reject(
        "comma-joined",
        "two Bearer values joined by a comma",
        "RFC 9110 §5.3; A002",
        _TWO,
        _values(Expect.BAD_REQUEST, "Bearer {}, Bearer {}"),
    ),
    _reject(
        "comma-joined-tight",
        "two tokens joined by a comma",
        "RFC 9110 §5.3; A002",
        _TWO,
        _values(Expect.BAD_REQUEST, "Bearer {},{}"),
    ),
    _reject(
        "comma-at-end",
        "a comma after a good token",
        "RFC 6750 §2.1; A002",
        _TWO,
        _values(Expect.BAD_REQUEST, "Bearer {},"),
    ),
)

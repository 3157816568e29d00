"""Chapter 14: what an answer, an exception and a log line give away."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from d1verify import D1Verifier, KeyStoreError, Reason, TokenError, claims, refusal
from d1verify._log import RefusalLog

from ..support import KEY, NOW, OTHER_KEY, ScriptedStore, make_verifier, refused
from .asgi_calls import GOOD, Guarded, header, status

SECRET = "MERCHANT-SECRET-CLAIM"
BAD_TOKENS = {
    "unknown kid": OTHER_KEY.mint(note=SECRET),
    "bad signature": OTHER_KEY.mint({"kid": KEY.kid}, note=SECRET),
    "expired": KEY.mint(exp=1, note=SECRET),
    "wrong audience": KEY.mint(aud="prd", note=SECRET),
    "wrong subject": KEY.mint(sub=SECRET),
    "wrong issuer": KEY.mint(iss=SECRET),
    "no algorithm": KEY.mint({"alg": "none"}, note=SECRET),
    "payload is no JSON": KEY.sign(KEY.header(), f'{{"{SECRET}"'.encode()),
    "payload is no UTF-8": KEY.sign(KEY.header(), SECRET.encode() + b"\xff"),
    "malformed": f"{KEY.mint()}.{SECRET}",
    "not ASCII": f"{KEY.mint()}ü{SECRET}",
}
UNTRUSTED_KID = 'x\r\nFAKE: line\x1b[31m\u202e%s%n{0} error="none"'


@pytest.mark.anyio
async def test_a212_every_refused_token_gets_the_same_answer() -> None:
    answers = [await Guarded().call((b"authorization", f"Bearer {token}".encode())) for token in BAD_TOKENS.values()]
    assert {status(answer) for answer in answers} == {401}
    assert {answer[1]["body"] for answer in answers} == {b'{"error":"invalid_token"}'}
    assert len({tuple(answer[0]["headers"]) for answer in answers}) == 1


@pytest.mark.parametrize("name", BAD_TOKENS)
@pytest.mark.parametrize("call", [D1Verifier.verify, lambda verifier, token: verifier.verify_header(f"Bearer {token}")])
def test_a213_an_exception_shows_nothing_of_the_token(name: str, call: Callable[..., object]) -> None:
    with pytest.raises(TokenError) as caught:
        call(make_verifier(), BAD_TOKENS[name])
    text = "".join(traceback.format_exception(caught.value))
    shown = f"{caught.value} {caught.value!r} {caught.value.args} {text.rpartition('Error: ')[2]}"
    for part in (SECRET, *BAD_TOKENS[name].split(".")):
        assert part not in shown
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None, "what is hung on an exception is read by error trackers"
    assert "During handling" not in text


def test_a213_an_unexpected_error_is_not_hung_on_the_one_that_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(payload: dict[str, Any], _policy: object) -> None:
        raise ZeroDivisionError(payload)

    monkeypatch.setattr(claims, "check", fail)
    with pytest.raises(TokenError) as caught:
        make_verifier().verify(KEY.mint(note=SECRET))
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_a213_key_trouble_shows_no_key() -> None:
    error = KeyStoreError("x")
    assert refused(lambda: make_verifier(ScriptedStore(error)).verify(KEY.mint())) == "keys_unavailable"
    assert repr(KEY.public) == "<PublicKey P-256>"


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING])
def test_a214_a_kid_is_escaped_and_cut(level: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(level, "d1verify")
    RefusalLog().write(TokenError(Reason.UNKNOWN_KEY, kid=UNTRUSTED_KID + "x" * 300, signed=level > logging.DEBUG))
    (record,) = [one for one in caplog.records if "refused" in one.getMessage()]
    message = record.getMessage()
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 120
    assert "%s%n{0}" in message


def test_a214_a_kid_that_a_caller_chose_is_logged_once_and_short(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "d1verify")
    refused(lambda: make_verifier().verify(KEY.mint({"kid": "%s{0}ключ" + "x" * 240})))
    (record,) = [one for one in caplog.records if "refused" in one.getMessage()]
    assert record.getMessage().startswith("refused a call: unknown_key (kid %s{0}\\u043a")
    assert len(record.getMessage()) < 110


def test_a215_no_token_claim_or_key_is_ever_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    verifier = make_verifier()
    good = KEY.mint(note=SECRET)
    verifier.verify_header(f"Bearer {good}")
    for token in BAD_TOKENS.values():
        refused(lambda token=token: verifier.verify_header(f"Bearer {token}"))  # type: ignore[misc]
    text = " ".join(str(vars(record)) for record in caplog.records)
    for token in (good, *BAD_TOKENS.values()):
        assert not [part for part in token.split(".") if len(part) > 20 and part in text]
    assert SECRET not in text
    assert KEY.jwk["x"] not in text


@pytest.mark.anyio
async def test_a216_a_challenge_holds_nothing_of_the_caller_s() -> None:
    for reveal in (False, True):
        guarded = Guarded(reveal_reason=reveal)
        token = KEY.mint({"kid": 'x", error="none'})
        answer = await guarded.call((b"authorization", f"Bearer {token}".encode()))
        challenge = header(answer, "www-authenticate")
        assert challenge is not None
        assert challenge.startswith('Bearer realm="d1", error="invalid_token"')
        assert "none" not in challenge


ANSWERS = [
    pytest.param((), 401, 'Bearer realm="d1"', id="A217-no credentials"),
    pytest.param(((b"authorization", b"Basic eA=="),), 401, 'Bearer realm="d1"', id="A217-another scheme"),
    pytest.param(
        ((b"authorization", b"Bearer x"),), 401, 'Bearer realm="d1", error="invalid_token"', id="A217-bad token"
    ),
    pytest.param(
        ((b"authorization", b"Bearer a,b"),), 400, 'Bearer realm="d1", error="invalid_request"', id="A217-two in one"
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("headers", "code", "challenge"), ANSWERS)
async def test_status_and_challenge(headers: tuple[tuple[bytes, bytes], ...], code: int, challenge: str) -> None:
    answer = await Guarded().call(*headers)
    assert (status(answer), header(answer, "www-authenticate")) == (code, challenge)
    assert json.loads(answer[1]["body"]).keys() == {"error"}


UNEXPECTED = [
    RecursionError,
    UnicodeError,
    OverflowError,
    MemoryError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
]


@pytest.mark.anyio
@pytest.mark.parametrize("error", UNEXPECTED)
async def test_a218_an_unexpected_error_inside_is_a_refusal(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: Any, **__: Any) -> Any:
        raise error(SECRET)

    monkeypatch.setattr(claims, "check", explode)
    verifier = make_verifier()
    assert refused(lambda: verifier.verify(KEY.mint())) == "malformed_token"
    guarded = Guarded(verifier=verifier)
    assert status(await guarded.call(GOOD)) == 401
    assert guarded.reached == []


def test_a218_the_log_names_the_type_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*_: Any) -> Any:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr(claims, "check", explode)
    refused(lambda: make_verifier().verify(KEY.mint()))
    assert "ZeroDivisionError" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a219_what_is_no_exception_goes_through(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(claims, "check", stop)
    with pytest.raises(error):
        make_verifier().verify(KEY.mint())


APP_ERRORS = [ValueError("the app's own"), KeyStoreError("the app's own"), TokenError(Reason.EXPIRED)]


@pytest.mark.anyio
@pytest.mark.parametrize("error", APP_ERRORS, ids=lambda error: type(error).__name__)
async def test_a219_what_the_app_raises_is_no_refusal(error: Exception) -> None:
    async def app(*_: Any) -> None:
        raise error

    guarded = Guarded()
    guarded.middleware._app = app
    with pytest.raises(type(error)) as caught:
        await guarded.call(GOOD)
    assert caught.value is error


def test_a220_reasons_are_the_only_labels() -> None:
    for name, token in BAD_TOKENS.items():
        with pytest.raises(TokenError) as caught:
            make_verifier().verify(token)
        assert isinstance(caught.value.reason, Reason), name


def test_a221_what_anybody_can_cause_is_for_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "d1verify")
    levels = {}
    for name, token in BAD_TOKENS.items():
        caplog.clear()
        refused(lambda token=token: make_verifier().verify(token))  # type: ignore[misc]
        levels[name] = [one.levelno for one in caplog.records if "refused" in one.getMessage()]
    signed = {"expired", "wrong audience", "wrong subject", "wrong issuer", "payload is no JSON", "payload is no UTF-8"}
    assert {name for name, level in levels.items() if level == [logging.WARNING]} == signed
    assert {name for name, level in levels.items() if level == [logging.DEBUG]} == set(BAD_TOKENS) - signed


def test_a222_a_known_and_an_unknown_kid_get_the_same_answer() -> None:
    known, unknown = (TokenError(reason, kid="k") for reason in (Reason.BAD_SIGNATURE, Reason.UNKNOWN_KEY))
    assert refusal(known) == refusal(unknown)
    assert refused(lambda: make_verifier().verify(KEY.mint(exp=NOW - 40))) == "expired"

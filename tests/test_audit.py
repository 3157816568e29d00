"""The audit trail: who called, with which key and which token, and nothing that lets anybody call again."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import pytest

from d1verify import ANY_SUBJECT, ConfigurationError, D1Token, StaticKeyStore
from d1verify import audit as audit_module
from d1verify.audit import AuditLog
from d1verify.observer import KeyLoad, LoadOutcome, Observers, Verification

from .support import KEY, OTHER_KEY, P256_ORDER, b64, make_verifier, refused, unb64


@pytest.fixture
def audit(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="d1verify.audit")
    return caplog


def records(audit: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    found = [vars(record) for record in audit.records if record.name == "d1verify.audit"]
    return [{name: value for name, value in one.items() if name.startswith("d1_")} for one in found]


def fingerprint_of(token: str) -> str:
    """Do what the README says: `cut -d. -f2`, SHA-256, the first sixteen digits."""
    return hashlib.sha256(token.split(".")[1].encode()).hexdigest()[:16]


def test_writes_each_accepted_call(audit: pytest.LogCaptureFixture) -> None:
    verifier, token = make_verifier(observer=AuditLog()), KEY.mint()
    verifier.verify(token)
    verifier.verify(token)
    fixed = {
        "d1_event": "call_accepted",
        "d1_subject": "MGW_000001",
        "d1_kid": "d1-key-1",
        "d1_fingerprint": fingerprint_of(token),
    }
    assert records(audit) == [{**fixed, "d1_cached": False}, {**fixed, "d1_cached": True}]
    said = f"accepted a call: subject MGW_000001 (kid d1-key-1, fingerprint {fingerprint_of(token)})"
    assert [one.getMessage() for one in audit.records if one.name == "d1verify.audit"] == [said, said]
    assert {one.levelname for one in audit.records if one.name == "d1verify.audit"} == {"INFO"}


def test_writes_no_refused_call_and_no_load(audit: pytest.LogCaptureFixture) -> None:
    verifier = make_verifier(observer=AuditLog())
    refused(lambda: verifier.verify(OTHER_KEY.mint()))
    refused(lambda: verifier.verify_header(None))
    AuditLog().notify(KeyLoad(outcome=LoadOutcome.LOADED, usable=1, seconds=0.1))
    assert records(audit) == []


def test_prepares_and_writes_nothing_where_nobody_listens(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING, logger="d1verify.audit")
    monkeypatch.setattr(audit_module, "shown", None)
    make_verifier(observer=AuditLog()).verify(KEY.mint())
    assert caplog.records == []


def test_a_subject_that_would_forge_a_line_is_escaped_and_cut(audit: pytest.LogCaptureFixture) -> None:
    verifier = make_verifier(subject=ANY_SUBJECT, observer=AuditLog())
    verifier.verify(KEY.mint(sub="M\N{SNOWMAN}%s{0}" + "x" * 100))
    (record,) = records(audit)
    assert record["d1_subject"] == "M\\u2603%s{0}" + "x" * 52
    assert audit.records[-1].getMessage().isascii()


@pytest.mark.parametrize("logger", [logging.getLogger("merchant.audit"), "merchant.audit"], ids=["logger", "name"])
def test_writes_to_the_logger_it_is_given(logger: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="merchant.audit")
    make_verifier(observer=AuditLog(logger)).verify(KEY.mint())
    assert [one.name for one in caplog.records if "accepted" in one.getMessage()] == ["merchant.audit"]


@pytest.mark.parametrize("logger", [None, "", 7, print], ids=["None", "empty", "number", "function"])
def test_refuses_what_is_no_logger(logger: Any) -> None:
    with pytest.raises(ConfigurationError, match="logger"):
        AuditLog(logger)


def test_a_trail_that_cannot_be_written_refuses_no_call(caplog: pytest.LogCaptureFixture) -> None:
    def full(_record: logging.LogRecord) -> bool:
        raise OSError("the disk is full")

    logger = logging.getLogger("merchant.full")
    logger.setLevel(logging.INFO)
    logger.addFilter(full)
    assert isinstance(make_verifier(observer=AuditLog(logger)).verify(KEY.mint()), D1Token)
    assert "an observer failed: OSError" in caplog.text


def test_goes_with_other_observers(audit: pytest.LogCaptureFixture) -> None:
    class Broken:
        def notify(self, _event: Verification | KeyLoad) -> None:
            raise RuntimeError

    make_verifier(observer=Observers(Broken(), AuditLog())).verify(KEY.mint())
    assert len(records(audit)) == 1


# the fingerprint


def other_half(token: str) -> str:
    """Return the same token with the other of its two valid signatures, (r, n - s)."""
    signing_input, _, signature = token.rpartition(".")
    raw = unb64(signature)
    s = P256_ORDER - int.from_bytes(raw[32:], "big")
    return f"{signing_input}.{b64(raw[:32] + s.to_bytes(32, 'big'))}"


def test_a_fingerprint_is_that_of_the_second_part() -> None:
    token = KEY.mint(text="ünïcödé \N{SNOWMAN}", nested={"a": [1, 2.5, None]})
    assert make_verifier().verify(token).fingerprint == fingerprint_of(token)


def test_a_token_sent_again_with_its_signature_written_the_other_way_has_the_same_fingerprint() -> None:
    token = KEY.mint()
    assert other_half(token) != token
    first, second = make_verifier().verify(token), make_verifier().verify(other_half(token))
    assert first.fingerprint == second.fingerprint


def test_tokens_that_say_different_things_have_different_fingerprints() -> None:
    verifier = make_verifier()
    tokens = [KEY.mint(jti=str(number)) for number in range(50)]
    assert len({verifier.verify(token).fingerprint for token in tokens}) == 50


def test_a_fingerprint_does_not_depend_on_the_signature_so_it_cannot_give_it_away() -> None:
    shared = StaticKeyStore({KEY.kid: KEY.pem, OTHER_KEY.kid: OTHER_KEY.pem})
    verifier = make_verifier(shared)
    prints = {verifier.verify(key.mint()).fingerprint for key in (KEY, OTHER_KEY, KEY)}
    assert len(prints) == 1
    assert len(prints.pop()) == 16


def test_the_trail_holds_no_part_of_the_token(audit: pytest.LogCaptureFixture) -> None:
    token = KEY.mint(secret="s3cret")
    make_verifier(observer=AuditLog()).verify(token)
    written = " ".join(str(vars(record)) for record in audit.records)
    assert not [part for part in (*token.split("."), "s3cret") if part in written]

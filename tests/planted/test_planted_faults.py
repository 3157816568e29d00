"""The kit against apps that are wrong on purpose: each is caught by the case that is meant for its weakness.

`meant` is that case; `scope` matches every case that may fail because of the weakness. A case
outside it that fails would blame an app for what it does right.
"""

from __future__ import annotations

import re

import pytest

from d1verify.testing import FakeD1, Report, contract_cases, run_contract

from . import key_faults as keys
from . import token_faults as token
from . import web_faults as web
from .strict import StrictApp, fake_d1_for_all_cases

FAULTS: list[tuple[type[StrictApp], str, str]] = [
    # the signature and the algorithm
    (token.NoSignatureCheck, "signature-changed", r"signature-|cache-|kid-|key-|header-(jwk|jku|x5u|x5c)|websocket-signature"),
    (token.PsychicSignature, "signature-zero", r"signature-zero"),
    (token.TakesDERSignatures, "signature-der", r"signature-der"),
    (token.RefusesHighS, "signature-high-s", r".*"),
    (token.SignatureOverReserialisedJSON, "claims-white-space", r".*white-space|claims-(not-ascii|escaped-names)"),
    (token.AlgorithmFromHeader, "alg-none", r"alg-none|part-empty-signature|websocket-alg-none"),
    (token.HS256WithPublicPEM, "alg-hs256-pem", r"alg-hs256-pem"),
    (token.HS256WithAnyFormOfTheKey, "alg-hs256-der", r"alg-hs256-"),
    (token.IgnoresAlgorithm, "alg-missing", r"alg-"),
    (token.AlgorithmInAnyCase, "alg-lower-case", r"alg-lower-case"),
    (keys.NoAlgorithmWithUnknownKeys, "alg-none-kid-unknown", r"alg-none-kid-unknown"),
    (keys.HS256WithUnknownKeys, "alg-hs256-empty-kid-unknown", r"alg-hs256-empty-kid-unknown"),
    # the header
    (token.BelievesTheHeadersOwnKey, "header-jwk", r"header-jwk"),
    (keys.JwkForUnknownKeys, "header-jwk-kid-unknown", r"header-jwk-kid-unknown"),
    (keys.JwkIfNoKeyIsNamed, "header-jwk-kid-missing", r"header-jwk-kid-missing"),
    (keys.CertificateForUnknownKeys, "header-x5c-kid-unknown", r"header-x5c-kid-unknown"),
    (keys.CertificateIfNoKeyIsNamed, "header-x5c-kid-missing", r"header-x5c-kid-missing"),
    (keys.FollowsJku, "header-jku-kid-unknown", r"header-jku-kid-unknown"),
    (keys.FollowsX5u, "header-x5u-kid-unknown", r"header-x5u-kid-unknown"),
    (token.IgnoresCrit, "crit-unknown", r"crit-"),
    (token.IgnoresB64, "b64-false", r"b64-"),
    (token.TakesAnyType, "typ-access-token", r"typ-"),
    (token.WantsType, "typ-absent", r"typ-"),
    (token.HeaderMustBeKnown, "header-extra-member", r"header-extra-member"),
    (token.TakesAnythingForAnObject, "header-array", r"header-|json-"),
    (token.LetsJSONErrorsEscape, "json-unfinished", r"header-|json-"),
    (token.LetsBase64ErrorsEscape, "length-impossible", r"length-impossible|token-"),
    (token.FirstThreeParts, "parts-four", r"parts-|dot-trailing"),
    # the key
    (token.IgnoresKeyId, "kid-ignored", r"kid-|key-|header-duplicate"),
    (token.OnlyKeyIfNoneIsNamed, "kid-missing", r"kid-missing"),
    (token.KeyIdAsPath, "kid-dot-path", r"kid-(dot|parent)-path"),
    (token.KeyIdTidiedUp, "kid-trailing-space", r"kid-trailing-space"),
    (token.KeyIdInAnyCase, "kid-swapped-case", r"kid-swapped-case"),
    (web.KeysLoadedOnce, "key-new", r"key-|cache-|path-|websocket-baseline"),
    (web.KeysNeverForgotten, "key-withdrawn", r"key-withdrawn"),
    # base64url and JSON
    (token.TakesPadding, "padding-payload", r"padding-"),
    (token.TakesStrayBits, "stray-bits-signature", r"stray-bits-"),
    (token.SkipsOddCharacters, "character-ignored", r"character-ignored"),
    (token.TakesStandardAlphabet, "alphabet-standard", r"alphabet-standard"),
    (token.FirstOfDuplicates, "duplicate-sub-good-first", r"duplicate-|header-duplicate"),
    (token.LastOfDuplicates, "duplicate-sub-good-last", r"duplicate-|header-duplicate"),
    (token.TakesNaN, "json-nan", r"json-nan|json-infinity|header-nan"),
    (token.NaNPassesEveryComparison, "exp-nan", r"json-nan|json-infinity|header-nan|exp-nan"),
    (token.GuessesEncodings, "json-utf-16", r".*utf-16|.*byte-order-mark"),
    # the claims
    (token.NoIssuerCheck, "iss-other", r"iss-"),
    (token.IssuerByPrefix, "iss-longer", r"iss-(longer|trailing-space)"),
    (token.NoAudienceCheck, "aud-other-environment", r"aud-"),
    (token.AudienceBySubstring, "aud-longer", r"aud-"),
    (token.AudienceOfEitherEnvironment, "aud-other-environment", r"aud-other-environment"),
    (token.NoAudienceArrays, "aud-array", r"aud-array|aud-array-of-several"),
    (token.NoSubjectCheck, "sub-other", r"sub-|websocket-sub"),
    (token.SubjectByPrefix, "sub-longer", r"sub-(longer|trailing-space|nul)|websocket-sub"),
    (token.SubjectNormalised, "sub-full-width", r"sub-full-width"),
    (token.NoExpiryCheck, "exp-hour-past", r"exp-|websocket-exp|cache-beyond-exp"),
    (token.ExpiredFiveMinutesAgo, "exp-just-past", r"exp-just-past|cache-beyond-exp"),
    (token.NoCeiling, "exp-hour-ahead", r"exp-(over-ceiling|hour-ahead|years-ahead|milliseconds)"),
    (token.CeilingOfAnHour, "exp-over-ceiling", r"exp-over-ceiling"),
    (token.CeilingAtTenMinutes, "exp-ceiling", r"exp-ceiling"),
    (token.NumbersAsStrings, "exp-string", r"(exp|nbf|iat)-string"),
    (token.TrueIsANumber, "nbf-true", r"(nbf|iat)-true"),
    (token.IgnoresNotBefore, "nbf-ahead", r"nbf-"),
    (token.WholeSecondsOnly, "exp-fraction", r"exp-fraction"),
    # the Authorization header
    (web.FirstOfTwoHeaders, "two-headers-good-first", r"(websocket-)?two-headers"),
    (web.LastOfTwoHeaders, "two-headers-good-last", r"two-headers-"),
    (web.FirstBeforeComma, "comma-joined", r"comma-|json-serialization"),
    (web.AnyScheme, "scheme-other", r"scheme-"),
    (web.SchemeBySplit, "scheme-tab", r"scheme-(tab|no-break-space)|token-(then-text|not-ascii)|comma-joined"),
    (web.SchemeCutOff, "scheme-missing", r"scheme-|token-not-ascii|comma-joined"),
    (web.SchemeToTheLetter, "scheme-lower-case", r"scheme-(lower|upper)-case"),
    (web.TokenFromQuery, "query-parameter", r"query-parameter"),
    (web.TokenFromCookie, "cookie", r"cookie"),
    (web.TokenFromForwardedHeader, "forwarded-header", r"forwarded-header"),
    (web.OptionalCredentials, "credentials-missing", r"credentials-missing|open-path|.*header|cookie|query|websocket-cred|method-"),
    # the answer
    (web.NoChallenge, "credentials-missing", r".*"),
    (web.BasicChallenge, "credentials-missing", r".*"),
    (web.WrongErrorCode, "signature-changed", r".*"),
    (web.ForbiddenForAll, "signature-changed", r".*"),
    (web.RedirectsToLogin, "credentials-missing", r".*"),
    (web.EchoesTheToken, "signature-changed", r".*"),
    (web.EchoesItsEnd, "baseline", r".*"),
    (web.EchoesTheKeyId, "kid-unknown", r"kid-(unknown|ignored)"),
    (web.EchoesTheSubject, "sub-other", r"sub-other"),
    # paths and WebSockets
    (web.AnyPath, "path-other-merchant", r"path-"),
    (web.PathByPrefix, "path-longer", r"path-longer"),
    (web.PathInAnyCase, "path-swapped-case", r"path-swapped-case"),
    (web.OpenByPrefix, "open-path-longer", r"open-path-"),
    (web.OpenBySegment, "open-path-child", r"open-path-"),
    (web.OpenToEveryMethod, "open-path-post", r"open-path-post"),
    (web.OpenAfterTidyingUp, "open-path-double-slash", r"open-path-"),
    (web.OpenWebSocket, "websocket-credentials-missing", r"websocket-"),
    (web.WebSocketTakesExpired, "websocket-exp-past", r"websocket-exp-past"),
    (web.WebSocketWithoutSignature, "websocket-signature-changed", r"websocket-(signature|alg|kid)"),
    (web.WebSocketTakesUnsigned, "websocket-alg-none", r"websocket-alg-none"),
    (web.WebSocketTakesUnknownKeys, "websocket-kid-unknown", r"websocket-kid-unknown"),
    (web.WebSocketTakesFirstHeader, "websocket-two-headers", r"websocket-two-headers"),
    # methods and queries
    (web.OnlyPostIsGuarded, "method-put", r"method-|query-open-path-get"),
    (web.ReadingIsNotGuarded, "method-get", r"method-(get|head)|query-open-path-get"),
    (web.OpenByQuery, "query-open-path", r"query-open-path$"),
    (web.OpenToReadersByQuery, "query-open-path-get", r"query-open-path-get"),
    # what is remembered
    (web.OneTimeTokens, "token-reused", r"token-reused"),
    (web.RemembersByPrefix, "cache-prefix", r"cache-(prefix|beyond-exp)"),
    (web.RemembersBySignature, "cache-signature", r"cache-(signature|beyond-exp)|signature-zero|signature-order"),
    (web.RemembersByContent, "cache-claims", r"cache-|(websocket-)?signature-|alg-|part|padding|stray|token-|kid-|key-"),
    (web.RemembersBeyondTheKey, "key-withdrawn-in-use", r"key-withdrawn-in-use|cache-beyond-exp"),
    (web.RemembersBeyondExp, "cache-beyond-exp", r"cache-beyond-exp"),
]  # fmt: skip


def run(app_type: type[StrictApp]) -> Report:
    fake_d1 = fake_d1_for_all_cases()
    app = app_type(fake_d1)
    return run_contract(app, fake_d1, effects=app.effects)


def test_a_correct_app_passes_every_case_and_none_is_skipped() -> None:
    report = run(StrictApp)
    assert report.table() == f"{len(contract_cases())} cases: {len(contract_cases())} passed, 0 failed, 0 skipped\n"
    assert report.ok


@pytest.mark.parametrize(("app_type", "meant", "scope"), FAULTS, ids=[fault[0].__name__ for fault in FAULTS])
def test_catches_the_fault_by_the_case_meant_for_it(app_type: type[StrictApp], meant: str, scope: str) -> None:
    failed = {result.case_id for result in run(app_type).failed}
    assert meant in failed
    assert not {case_id for case_id in failed if not re.match(scope, case_id)}


def test_catches_an_app_that_acts_before_it_checks_by_what_it_has_done() -> None:
    report = run(web.ActsBeforeItChecks)
    refused = {case.id for case in contract_cases() if case.expect != "accepted"}
    assert {result.case_id for result in report.failed} == refused
    assert {result.detail for result in report.failed} == {"the refused call had an effect"}


def test_every_refusal_fails_for_an_app_that_lets_everything_through() -> None:
    failed = {result.case_id for result in run(web.LetsEverythingThrough).failed}
    assert failed == {case.id for case in contract_cases() if case.expect != "accepted"}


def test_every_acceptance_fails_for_an_app_that_lets_nothing_through() -> None:
    accepted_first = {case.id for case in contract_cases() if next(case.calls(FakeD1())).expect == "accepted"}
    assert {result.case_id for result in run(web.LetsNothingThrough).failed} == accepted_first


def test_each_weakness_is_one_of_its_own() -> None:
    assert len({fault[0] for fault in FAULTS}) == len(FAULTS) >= 25

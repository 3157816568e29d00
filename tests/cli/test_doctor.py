"""`d1verify doctor`: what it says of settings and keys, how it ends, and that nothing makes it break, hang or tell."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from d1verify import ConfigurationError, D1Verifier, KeyCache
from d1verify._settings import VARIABLES
from d1verify.cli import doctor
from d1verify.cli._checkup import Check, Mark, days, listed, passed, soon
from d1verify.cli._checkup_endpoint import MAX_WAIT
from d1verify.cli.doctor import examine, run_doctor, within
from tests.support import KEY, OTHER_KEY, SUBJECT, b64

from .checkup import Look
from .shell import Shell

JWKS = json.dumps({"keys": [KEY.jwk]})
DAY = 86_400.0


class TestSettings:
    @pytest.mark.parametrize(
        ("name", "variables", "seen"),
        [
            pytest.param("audience", {"AUDIENCE": "stg"}, "stg", id="audience"),
            pytest.param("audience", {"AUDIENCE": "https://d1.example/a?b=c"}, "https://d1.example/a?...", id="url"),
            pytest.param("subject", {"SUBJECT": "MGW_2, MGW_1"}, "MGW_1, MGW_2", id="subjects"),
            pytest.param("leeway", {"LEEWAY": "12.5"}, "12.5 s", id="leeway"),
            pytest.param("leeway", {}, "30 s, the default", id="no leeway"),
            pytest.param("source", {}, "the variable D1VERIFY_KEYS", id="source"),
            pytest.param("variables", {}, "none that this library does not know", id="no other variable"),
        ],
    )
    def test_a_good_one_is_shown(self, look: Look, name: str, variables: dict[str, str], seen: str) -> None:
        check = look(**variables)[name]
        assert (check.mark, check.seen, check.advice) == (Mark.OK, seen, None)

    @pytest.mark.parametrize(
        ("name", "variables", "seen"),
        [
            pytest.param("audience", {"AUDIENCE": None}, "D1VERIFY_AUDIENCE must be set", id="missing"),
            pytest.param("audience", {"AUDIENCE": "prod"}, '"stg", "prd" or an https URL', id="wrong"),
            pytest.param("subject", {"SUBJECT": "MGW_1,"}, "none of them empty", id="empty subject"),
            pytest.param("leeway", {"LEEWAY": "301"}, "from 0 to 300", id="out of range"),
            pytest.param("source", {"KEYS": None}, "and none is", id="no source"),
            pytest.param("source", {"KEYS_PATH": "x"}, "D1VERIFY_KEYS and D1VERIFY_KEYS_PATH are", id="two sources"),
            pytest.param("source", {"JWKS_PROXY": "http://p"}, "has no meaning with", id="contradictory"),
            pytest.param("variables", {"AUDIENC": "stg"}, "unknown: D1VERIFY_AUDIENC", id="unknown"),
        ],
    )
    def test_a_bad_one_is_named_with_what_to_do(
        self, look: Look, name: str, variables: dict[str, str | None], seen: str
    ) -> None:
        check = look(**variables)[name]
        assert check.mark is Mark.FAIL
        assert seen in check.seen
        assert check.advice

    def test_one_that_is_wrong_does_not_hide_the_next(self, look: Look) -> None:
        checks = look(AUDIENCE=None, SUBJECT="", LEEWAY="x", KEYS=None, TYPO="x")
        assert [checks[name].mark for name in ("audience", "subject", "leeway", "source", "variables")] == ["fail"] * 5

    def test_a_misspelt_one_is_guessed_and_a_strange_one_is_not(self, look: Look) -> None:
        assert "D1VERIFY_AUDIENCE meant" in str(look(AUDIENC="stg")["variables"].advice)
        assert "meant" not in str(look(**{"AUDIENC": None, "\u202e": "x"})["variables"].advice)

    def test_an_unknown_one_leaves_the_others_as_they_are(self, look: Look) -> None:
        failed = [name for name, check in look(TYPO="x").items() if check.mark is Mark.FAIL]
        assert failed == ["variables"]

    @pytest.mark.parametrize(
        ("subject", "seen"), [("a b", "an id of 3 characters"), ("x" * 41, "an id of 41 characters")]
    )
    def test_what_may_be_no_id_is_not_shown(self, look: Look, subject: str, seen: str) -> None:
        assert look(SUBJECT=subject)["subject"].seen == seen

    def test_any_subject_is_warned_of(self, look: Look) -> None:
        assert look(SUBJECT="*")["subject"].mark is Mark.WARN

    def test_without_a_source_the_keys_are_skipped(self, look: Look) -> None:
        assert look(KEYS=None)["keys"].mark is Mark.SKIPPED
        assert look(KEYS=None, JWKS_URL="http://keys.example")["keys"].mark is Mark.SKIPPED


class TestKeys:
    def test_usable_ones_are_named_and_how_long_a_withdrawal_takes(self, look: Look, folder: Path) -> None:
        checks = look(KEYS=None, KEYS_PATH=str(folder))
        assert checks["keys"].seen == f"1 usable ({KEY.kid}); a withdrawal holds within 7 s"
        assert look()["keys"].seen.endswith("within a restart")
        assert checks["skipped keys"].mark is Mark.OK

    def test_programs_get_what_the_command_keys_shows(self, look: Look) -> None:
        details = look()["keys"].details
        assert details is not None
        assert details["source"] == "D1VERIFY_KEYS"
        assert [key["kid"] for key in details["keys"]] == [KEY.kid]

    def test_skipped_ones_are_a_warning(self, look: Look, folder: Path) -> None:
        (folder / "a.pem").write_text("junk")
        (folder / "b.json").write_text('{"keys": [{"kty": "RSA", "kid": "r"}]}')
        check = look(KEYS=None, KEYS_PATH=str(folder))["skipped keys"]
        assert (check.mark, check.seen) == (
            Mark.WARN,
            "a.pem: it is not exactly one PEM block labelled PUBLIC KEY, and 1 more",
        )

    def test_none_that_is_usable_is_a_failure(self, look: Look, folder: Path) -> None:
        (folder / f"{KEY.kid}.pem").write_text(OTHER_KEY.private_pem)
        checks = look(KEYS=None, KEYS_PATH=str(folder))
        assert checks["keys"].mark is Mark.FAIL
        assert "private key" in checks["skipped keys"].seen

    def test_a_key_id_for_a_folder_is_named(self, look: Look, folder: Path) -> None:
        check = look(KEYS=None, KEYS_PATH=str(folder), KID="foo")["keys"]
        assert (check.mark, "D1VERIFY_KID" in check.seen, "unset it" in str(check.advice)) == (Mark.FAIL, True, True)

    def test_a_pem_without_its_key_id_is_told_where_to_say_it(self, look: Look) -> None:
        check = look(KEYS=KEY.pem)["keys"]
        assert (check.mark, "D1VERIFY_KID" in check.seen) == (Mark.FAIL, True)

    def test_a_path_that_leads_nowhere_is_a_failure(self, look: Look) -> None:
        assert look(KEYS=None, KEYS_PATH="/nowhere")["keys"].seen.startswith("there is nothing at D1VERIFY_KEYS_PATH")

    @pytest.mark.parametrize("form", ["pem", "base64"])
    def test_a_private_key_in_the_variable_is_found(self, look: Look, form: str) -> None:
        value = KEY.private_pem if form == "pem" else b64(KEY.private_pem.encode())
        checks = look(KEYS=value, KID="k")
        assert (checks["keys"].mark, checks["private keys"].mark) == (Mark.FAIL, Mark.FAIL)
        assert str(checks["keys"].advice).startswith(str(checks["private keys"].advice))
        assert look()["private keys"].mark is Mark.OK

    def test_the_clock_has_nothing_to_be_compared_with(self, look: Look) -> None:
        assert look()["clock"].mark is Mark.SKIPPED


class TestCommand:
    def test_prints_one_line_for_each_check_and_ends_with_0(
        self, d1verify: Shell, environ: Callable[..., None]
    ) -> None:
        environ()
        shown = d1verify("doctor")
        *lines, counts = shown.out.splitlines()
        assert (shown.code, shown.err) == (0, "")
        assert counts == "8 ok, 0 warn, 0 fail, 1 skipped"
        assert [line.split()[0] for line in lines] == ["ok"] * 8 + ["skipped"]
        assert lines[1] == "ok      source              the variable D1VERIFY_KEYS"
        assert lines[-1].endswith("with -> compare it with a time server: tokens last for minutes")

    def test_prints_the_same_as_json(self, d1verify: Shell, environ: Callable[..., None]) -> None:
        environ()
        shown = d1verify("doctor", "--json")
        assert shown.json["exit_code"] == shown.code == 0
        assert shown.json["counts"] == {"ok": 8, "warn": 0, "fail": 0, "skipped": 1}
        assert [list(check) for check in shown.json["checks"]] == [["name", "mark", "seen", "advice", "details"]] * 9
        names = [check["name"] for check in shown.json["checks"]]
        assert len(set(names)) == len(names)

    @pytest.mark.parametrize(
        ("code", "variables"),
        [
            pytest.param(0, {"SUBJECT": "*"}, id="a warning"),
            pytest.param(2, {"LEEWAY": "x"}, id="a setting"),
            pytest.param(3, {"KEYS": "junk"}, id="no usable key"),
            pytest.param(2, {"KEYS": "junk", "LEEWAY": "x"}, id="a setting and no usable key"),
        ],
    )
    def test_ends_by_the_worst_of_its_checks(
        self, d1verify: Shell, environ: Callable[..., None], code: int, variables: dict[str, str]
    ) -> None:
        environ(**variables)
        assert d1verify("doctor").code == code
        assert d1verify("doctor", "--json").json["exit_code"] == code

    def test_ends_with_1_for_another_failure(self, d1verify: Shell, environ: Callable[..., None], folder: Path) -> None:
        (folder / "x.key").write_text(KEY.private_pem)
        environ(KEYS=None, KEYS_PATH=str(folder))
        assert d1verify("doctor").code == 1

    @pytest.mark.parametrize(("code", "name"), [(1, "k.json"), (3, "k.key")])
    def test_ends_by_whether_a_private_key_is_beside_the_file_or_is_the_file(
        self, d1verify: Shell, environ: Callable[..., None], tmp_path: Path, code: int, name: str
    ) -> None:
        assert d1verify("keygen", "k").code == 0
        environ(KEYS=None, KEYS_PATH=str(tmp_path / name))
        shown = d1verify("doctor")
        assert shown.code == code
        assert "fail    private keys        in k.key, k.private.jwk -> move it off this machine" in shown.out

    def test_with_strict_a_warning_is_a_failure(self, d1verify: Shell, environ: Callable[..., None]) -> None:
        environ()
        assert d1verify("doctor", "--strict").code == 0
        environ(SUBJECT="*")
        assert d1verify("doctor", "--strict").code == 1


class TestBounds:
    def test_what_hangs_is_left_when_the_time_is_over(self) -> None:
        forever = threading.Event()

        def hanging() -> Iterator[Check]:
            yield passed("first", "there")
            forever.wait(60)

        started = time.monotonic()
        checks = list(within(0.05, hanging()))
        assert time.monotonic() - started < 1
        forever.set()
        assert [(check.name, check.mark) for check in checks] == [("first", "ok"), ("time", "fail")]

    def test_a_check_that_breaks_off_is_a_failure_and_the_next_is_made(
        self, look: Look, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> Any:
            raise RuntimeError(KEY.private_pem)

        monkeypatch.setattr(doctor, "examine_keys", broken)
        checks = look()
        assert (checks["keys"].mark, checks["keys"].seen) == (Mark.FAIL, "this check broke off (RuntimeError)")
        assert checks["clock"].mark is Mark.SKIPPED
        monkeypatch.setattr(doctor, "read_settings", broken)
        assert list(look()) == ["settings"]

    def test_the_longest_wait_is_the_caches(self) -> None:
        assert inspect.signature(KeyCache).parameters["max_wait"].default == MAX_WAIT

    @pytest.mark.parametrize(
        ("left", "life", "is_soon", "says"),
        [
            pytest.param(13.5, 365, True, "13 days left", id="13 of 365 days"),
            pytest.param(14.5, 365, False, "14 days left", id="14 of 365 days"),
            pytest.param(3, 7, False, "3 days left", id="3 of 7 days"),
            pytest.param(1.5, 7, True, "1 day left", id="1 of 7 days"),
            pytest.param(0.5, 7, True, "less than a day left", id="half a day"),
        ],
    )
    def test_a_certificate_ends_soon_by_days_and_by_its_life(
        self, left: float, life: float, *, is_soon: bool, says: str
    ) -> None:
        assert soon((left - life) * DAY, left * DAY, 0) is is_soon
        assert days(left * DAY) == says

    def test_what_others_chose_is_escaped_and_cut(self) -> None:
        assert listed(["\u202e", "x" * 300, "c", "d", "e", "f"]) == rf"\u202e, {'x' * 200}, c, d and 2 more"


SECRET = "hunter2"
NAMES = sorted(VARIABLES | {"D1VERIFY_KEY", "D1VERIFY_\u2028", "D1VERIFY_" + "X" * 300})
VALUES = [
    "", " ", "stg", "prd", "*", SUBJECT, ",", "30", "1e9", "nan", JWKS, KEY.pem, KEY.private_pem, b64(KEY.private_pem.encode()),
    json.dumps({**KEY.jwk, "d": SECRET * 6}), "{" * 3000, "[]", "\udcff\udcfe", "\x1b[2J", "[red]x[/]", "x" * 5000, "/dev/null", "/dev/zero", ".",
    "folder", "folder/junk.pem", "folder/pipe.pem", "folder/loop.pem", "folder/absent", f"folder/{KEY.kid}.pem", "folder/private.key",
    "http://127.0.0.1:9/", f"https://127.0.0.1:9/jwks?token={SECRET}", f"https://me:{SECRET}@127.0.0.1/", "https://[::1]:9", "http://", "//",
    f"http://me:{SECRET}@127.0.0.1:9", f"socks5://me:{SECRET}@127.0.0.1:9", f"http://{SECRET}@", f"https://x.example#{SECRET}",
]  # fmt: skip
USUAL = {"D1VERIFY_AUDIENCE": "stg", "D1VERIFY_SUBJECT": SUBJECT}
SOURCES = ["D1VERIFY_KEYS", "D1VERIFY_KEYS_PATH", "D1VERIFY_JWKS_URL"]


def plausible(source: str) -> st.SearchStrategy[dict[str, str]]:
    """Return environments that have one source and little else that is wrong, so that what lies behind is looked at."""
    more = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES), max_size=2)
    return st.builds(lambda value, others: {**USUAL, **others, source: value}, st.sampled_from(VALUES), more)


HOSTILE = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES)) | st.sampled_from(SOURCES).flatmap(plausible)


@pytest.fixture(scope="module")
def hostile_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    folder = root / "folder"
    (folder / "deep.pem" / "er").mkdir(parents=True)
    (folder / "deep.pem" / "er" / "\udcff\n").write_text(KEY.private_pem)
    (folder / f"{KEY.kid}.pem").write_text(KEY.pem)
    (folder / "private.key").write_text(KEY.private_pem)
    (folder / "junk.pem").write_bytes(bytes(range(256)))
    (folder / "large.json").write_bytes(b"{" * 300_000)
    os.mkfifo(folder / "pipe.pem")
    (folder / "loop.pem").symlink_to("loop.pem")
    (folder / "out.pem").symlink_to("/etc/passwd")
    return root


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(variables=HOSTILE)
def test_no_environment_makes_it_break_or_tell(
    variables: dict[str, str], hostile_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, contextlib.chdir(hostile_folder):
        for name in [one for one in os.environ if one.startswith("D1VERIFY_")]:
            patched.delenv(name)
        for name, value in variables.items():
            patched.setenv(name, value)
        checks = {check.name: check for check in examine(os.environ)}
        printed = io.TextIOWrapper(io.BytesIO(), encoding="ascii")  # a terminal that can show nothing else
        with contextlib.redirect_stdout(printed):
            run_doctor(as_json=False, strict=False)
            run_doctor(as_json=True, strict=False)
        printed.seek(0)
        text = printed.read()
        try:
            D1Verifier.from_env()
            can_be_set_up = True
        except ConfigurationError:
            can_be_set_up = False
    assert not [check for check in checks.values() if "broke off" in check.seen]
    assert all(check.advice for check in checks.values() if check.mark in (Mark.WARN, Mark.FAIL))
    names = ("variables", "audience", "subject", "leeway", "source")
    assert all(checks[name].mark is not Mark.FAIL for name in names) is can_be_set_up
    assert SECRET not in text
    assert KEY.private_pem.splitlines()[1] not in text
    assert "\x1b" not in text

"""Settings by environment: what is missing or contradictory is refused, and the message names the variable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from d1verify import (
    ANY_SUBJECT,
    ConfigurationError,
    D1Verifier,
    EnvKeyStore,
    FileKeyStore,
    HTTPKeyStore,
    StaticKeyStore,
)
from d1verify._settings import verifier_arguments

from .faults.certificates import write_tls_files
from .support import KEY, NOW, OTHER_KEY, REMOVE, SUBJECT, merged, refused

JWKS = json.dumps({"keys": [KEY.jwk]})
GOOD = {"D1VERIFY_AUDIENCE": "stg", "D1VERIFY_SUBJECT": SUBJECT, "D1VERIFY_KEYS": JWKS}


def environ(**changes: Any) -> dict[str, str]:
    return merged(dict(GOOD), {f"D1VERIFY_{name}": value for name, value in changes.items()})


def test_reads_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    assert D1Verifier.from_env(clock=lambda: NOW).verify(KEY.mint()).subject == SUBJECT


def test_reads_the_mapping_it_is_given_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GOOD:
        monkeypatch.setenv(name, "nonsense")
    assert D1Verifier.from_env(environ(), clock=lambda: NOW).verify(KEY.mint()).subject == SUBJECT


def test_the_keys_are_read_when_they_are_first_needed() -> None:
    verifier = D1Verifier.from_env(environ(KEYS="nonsense"), clock=lambda: NOW)
    assert refused(lambda: verifier.verify(KEY.mint())) == "keys_unavailable"


SERVICE_LINKS = {
    "D1VERIFY_SERVICE_HOST": "10.0.0.7",
    "D1VERIFY_SERVICE_PORT": "8001",
    "D1VERIFY_SERVICE_PORT_HTTP": "8001",
    "D1VERIFY_PORT": "tcp://10.0.0.7:8001",
    "D1VERIFY_PORT_8001_TCP": "tcp://10.0.0.7:8001",
    "D1VERIFY_PORT_8001_TCP_PROTO": "tcp",
    "D1VERIFY_PORT_8001_TCP_PORT": "8001",
    "D1VERIFY_PORT_8001_TCP_ADDR": "10.0.0.7",
}


def test_what_kubernetes_says_of_a_service_of_this_name_is_no_misspelt_setting() -> None:
    assert D1Verifier.from_env({**environ(), **SERVICE_LINKS}).policy.audience == "stg"
    with pytest.raises(ConfigurationError, match="D1VERIFY_PORTS"):
        D1Verifier.from_env({**environ(), "D1VERIFY_PORTS": "8001"})


REFUSED = [
    *[({name: REMOVE}, f"D1VERIFY_{name}") for name in ("AUDIENCE", "SUBJECT", "KEYS")],
    *[({name: value}, f"D1VERIFY_{name}") for name in ("AUDIENCE", "SUBJECT", "KEYS") for value in ("", "  \n")],
    *[({"AUDIENCE": value}, "D1VERIFY_AUDIENCE") for value in ("prod", "STG", "stg,prd", "http://x.example", "*")],
    *[
        ({"SUBJECT": value}, "D1VERIFY_SUBJECT")
        for value in (",", "MGW_1,", ",MGW_1", "MGW_1,,MGW_2", "MGW_1, ,MGW_2", "*,MGW_1", "MGW_1,*", "**,*", "a\0b")
    ],
    *[
        ({"LEEWAY": value}, "D1VERIFY_LEEWAY")
        for value in ("", " ", "-1", "301", "nan", "inf", "-inf", "thirty", "30s", "1e9", "0x10", "True")
    ],
    *[({"KID": value}, "D1VERIFY_KID") for value in ("", " ", "x" * 257, "a\nb")],
    ({"KEYS_PATH": "/etc/d1/keys"}, "D1VERIFY_KEYS and D1VERIFY_KEYS_PATH"),
    ({"JWKS_URL": "https://d1.example/jwks"}, "D1VERIFY_KEYS and D1VERIFY_JWKS_URL"),
    ({"KEYS": REMOVE, "KEYS_PATH": "/a", "JWKS_URL": "https://d1.example"}, "D1VERIFY_KEYS_PATH and D1VERIFY_JWKS_URL"),
    ({"KEYS_PATH": ""}, "D1VERIFY_KEYS and D1VERIFY_KEYS_PATH"),
    ({"KEYS": REMOVE, "KEYS_PATH": ""}, "D1VERIFY_KEYS_PATH"),
    ({"KEYS": REMOVE, "JWKS_URL": ""}, "D1VERIFY_JWKS_URL"),
    *[
        ({f"JWKS_{name}": "x"}, f"D1VERIFY_JWKS_{name} has no meaning with D1VERIFY_KEYS")
        for name in ("CA_FILE", "CERT_FILE", "KEY_FILE", "PROXY")
    ],
    ({"KEYS": REMOVE, "KEYS_PATH": "/a", "JWKS_CA_FILE": "x"}, "D1VERIFY_JWKS_CA_FILE has no meaning"),
]


@pytest.mark.parametrize(("changes", "named"), REFUSED, ids=lambda value: f"{value!r:.70}")
def test_refuses(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        D1Verifier.from_env(environ(**changes))
    assert KEY.jwk["x"] not in str(caught.value)


def arguments(**changes: Any) -> dict[str, Any]:
    return verifier_arguments(environ(**changes), {})


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("MGW_1", {"MGW_1"}),
        ("MGW_1,MGW_2", {"MGW_1", "MGW_2"}),
        (" MGW_1 , MGW_2 ", {"MGW_1", "MGW_2"}),
        ("*", ANY_SUBJECT),
        (" * ", ANY_SUBJECT),
        ("MGW*", {"MGW*"}),
    ],
)
def test_reads_the_subject(text: str, subject: object) -> None:
    assert arguments(SUBJECT=text)["subject"] == subject


@pytest.mark.parametrize("text", ["stg", "prd", " prd ", "https://merchant.example/d1"])
def test_reads_the_audience(text: str) -> None:
    assert arguments(AUDIENCE=text)["audience"] == text.strip()


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("30", 30), ("2.5", 2.5), (" 300 ", 300)])
def test_reads_the_leeway(text: str, seconds: float) -> None:
    assert arguments(LEEWAY=text)["leeway"] == seconds
    assert "leeway" not in arguments()


def test_reads_a_pem_with_its_key_id() -> None:
    settings = environ(KEYS=KEY.pem.replace("\n", "\\n"), KID=KEY.kid)
    assert D1Verifier.from_env(settings, clock=lambda: NOW).verify(KEY.mint()).kid == KEY.kid


def test_reads_a_folder(tmp_path: Path) -> None:
    (tmp_path / f"{KEY.kid}.pem").write_text(KEY.pem)
    settings = environ(KEYS=REMOVE, KEYS_PATH=str(tmp_path))
    assert D1Verifier.from_env(settings, clock=lambda: NOW).verify(KEY.mint()).kid == KEY.kid


def test_each_source_gives_its_store() -> None:
    assert isinstance(arguments()["store"], EnvKeyStore)
    assert isinstance(arguments(KEYS=REMOVE, KEYS_PATH="/a")["store"], FileKeyStore)


URL = "https://d1.example/jwks"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what mutual TLS needs, and of files that are no good for it."""
    folder = tmp_path_factory.mktemp("tls")
    write_tls_files(folder)
    return folder


def http_arguments(**changes: Any) -> dict[str, Any]:
    return arguments(**{"KEYS": REMOVE, "JWKS_URL": URL, **changes})


@pytest.mark.parametrize(
    "names",
    [(), ("CA_FILE",), ("CERT_FILE", "KEY_FILE"), ("CA_FILE", "CERT_FILE", "KEY_FILE")],
    ids=["nothing more", "authority", "certificate", "authority and certificate"],
)
def test_a_url_gives_an_http_store(tls: Path, names: tuple[str, ...]) -> None:
    paths = {"CA_FILE": tls / "ca.pem", "CERT_FILE": tls / "cert.pem", "KEY_FILE": tls / "key.pem"}
    store = http_arguments(**{f"JWKS_{name}": str(paths[name]) for name in names})["store"]
    assert isinstance(store, HTTPKeyStore)


@pytest.mark.parametrize("proxy", ["http://proxy.example:3128", "https://user:password@proxy.example"])
def test_a_proxy_may_be_named(proxy: str) -> None:
    assert isinstance(http_arguments(JWKS_PROXY=proxy)["store"], HTTPKeyStore)


HTTP_REFUSED: list[tuple[dict[str, Any], str]] = [
    *[
        ({"JWKS_URL": url}, "D1VERIFY_JWKS_URL")
        for url in (
            "http://d1.example/jwks",
            "file:///etc/passwd",
            "d1.example",
            "https://a:b@d1.example",
            f"{URL}#x",
            " ",
        )
    ],
    ({"KID": "a"}, "D1VERIFY_KID has no meaning with D1VERIFY_JWKS_URL"),
    *[
        ({"JWKS_PROXY": proxy}, "D1VERIFY_JWKS_PROXY")
        for proxy in ("", "proxy.example:3128", "socks5://x", "http://x/path")
    ],
    ({"JWKS_URL": "http://127.0.0.1/jwks", "JWKS_PROXY": "http://proxy.example"}, "D1VERIFY_JWKS_PROXY needs an https"),
    *[
        ({f"JWKS_{name}": path}, f"D1VERIFY_JWKS_{name}")
        for name in ("CA_FILE", "CERT_FILE", "KEY_FILE")
        for path in ("", "/does/not/exist", "/")
    ],
    ({"JWKS_CA_FILE": "junk.pem"}, "D1VERIFY_JWKS_CA_FILE must be a PEM file"),
    ({"JWKS_CERT_FILE": "cert.pem"}, "must be set together"),
    ({"JWKS_KEY_FILE": "key.pem"}, "must be set together"),
    ({"JWKS_CERT_FILE": "cert.pem", "JWKS_KEY_FILE": "other-key.pem"}, "its own key"),
    ({"JWKS_CERT_FILE": "cert.pem", "JWKS_KEY_FILE": "locked-key.pem"}, "not encrypted"),
    ({"JWKS_CERT_FILE": "junk.pem", "JWKS_KEY_FILE": "key.pem"}, "D1VERIFY_JWKS_CERT_FILE"),
]


@pytest.mark.parametrize(("changes", "named"), HTTP_REFUSED, ids=lambda value: f"{value!r:.70}")
def test_refuses_what_does_not_fit_a_url(tls: Path, changes: dict[str, Any], named: str) -> None:
    placed = {name: str(tls / value) if value.endswith(".pem") else value for name, value in changes.items()}
    with pytest.raises(ConfigurationError, match=named) as caught:
        http_arguments(**placed)
    assert not [value for value in placed.values() if len(value) > 3 and value in str(caught.value)]


def test_overrides_count_instead_of_the_variables() -> None:
    store = StaticKeyStore({OTHER_KEY.kid: OTHER_KEY.pem})
    verifier = D1Verifier.from_env({}, store=store, audience="prd", subject="other", leeway=0, clock=lambda: NOW)
    assert verifier.verify(OTHER_KEY.mint(aud="prd", sub="other")).audience == ("prd",)
    settings = environ(KEYS=REMOVE, SUBJECT="", LEEWAY="nonsense")
    D1Verifier.from_env(settings, store=store, subject=SUBJECT, leeway=5)


def test_an_override_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match="verify_signature"):
        D1Verifier.from_env(environ(), verify_signature=False)


def test_an_override_is_judged_like_an_argument() -> None:
    with pytest.raises(ConfigurationError, match="leeway"):
        D1Verifier.from_env(environ(), leeway=301)


def test_refuses_a_variable_of_ours_that_does_not_exist() -> None:
    with pytest.raises(ConfigurationError, match="D1VERIFY_LEEWAYS is not a variable"):
        D1Verifier.from_env({**environ(), "D1VERIFY_LEEWAYS": "5"})

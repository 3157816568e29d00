"""Row A267: the wheel is the package and nothing else, the source distribution is what pyproject.toml says."""

from __future__ import annotations

import configparser
import json
import tarfile
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from trove_classifiers import classifiers as known_classifiers

from d1verify._version import __version__

from ..support import SigningKey, b64
from .building import ROOT, Distributions, build, clean_copy, secrets_in

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
SDIST = [name.lstrip("/") for name in PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]]
INFO = f"d1verify-{__version__}.dist-info"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    clean_copy(folder)
    return folder


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    return build(source, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def metadata(built: Distributions) -> Metadata:
    return Metadata.from_email(built.metadata("METADATA"), validate=True)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def licenses(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name.startswith(("LICENSE", "NOTICE"))}


def test_a267_wheel_has_the_package_and_nothing_else(source: Path, built: Distributions) -> None:
    package = {name for name in files(source) if name.startswith("d1verify/")}
    info = {f"{INFO}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")}
    info |= {f"{INFO}/licenses/{name}" for name in licenses(source)}
    assert set(built.in_wheel()) == package | info


def test_a267_package_is_python_and_its_type_marker(built: Distributions) -> None:
    package = {name for name in built.in_wheel() if not name.startswith(f"{INFO}/")}
    assert {name for name in package if not name.endswith(".py")} == {"d1verify/py.typed"}
    assert not [name for name in package if "/test_" in name or "/tests/" in name or "/." in name]


def test_a267_sdist_has_what_pyproject_says(source: Path, built: Distributions) -> None:
    included = {name for name in files(source) if name in SDIST or name.split("/")[0] in SDIST}
    # hatchling adds these, whatever `include` says.
    added = {"pyproject.toml", "PKG-INFO"} | {name for name in (".gitignore",) if (source / name).exists()}
    assert set(built.in_sdist()) == included | added | licenses(source)


def test_a267_wheel_of_the_sdist_is_the_same_to_the_byte(built: Distributions, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    [unpacked] = tmp_path.iterdir()
    again = build(unpacked, tmp_path / "dist")
    assert again.wheel.read_bytes() == built.wheel.read_bytes()


STRAYS = [
    "d1verify/__pycache__/keys.cpython-311.pyc",
    "d1verify/testing/__pycache__/keys.cpython-311.pyc",
    "d1verify/.hypothesis/unicode_data",
    "dist/d1verify-0.0.1-py3-none-any.whl",
    ".venv-3.12/lib/stray.py",
    "d1verify.egg-info/PKG-INFO",
]


def test_a267_what_tools_leave_behind_gets_into_neither(
    source: Path, built: Distributions, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in files(source) | set(STRAYS):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"left behind" if name in STRAYS else (source / name).read_bytes())
    messy = build(tmp_path, tmp_path_factory.mktemp("messy"))
    assert (messy.in_wheel(), messy.in_sdist()) == (built.in_wheel(), built.in_sdist())


def test_a267_no_key_and_no_token_is_written_out_in_either(built: Distributions) -> None:
    shipped = built.in_wheel() | built.in_sdist()
    # What the fuzzer has grown looks like tokens, and is signed by nobody or by a key that the harness spells out.
    written = {name: data for name, data in shipped.items() if not name.startswith("tests/fuzz/corpus/")}
    assert {name: secrets_in(data) for name, data in written.items() if secrets_in(data)} == {}


KEY = SigningKey("made now")
SEC1 = b64(b"\x30\x77\x02\x01\x01\x04\x20" + bytes(range(32)))
PLANTED = {
    "PKCS#8": (KEY.private_pem, {"a private key in PEM", "a private P-256 key in base64"}),
    "PKCS#8 on one line": (KEY.private_pem.replace("\n", r"\n"), {"a private key in PEM", "a private P-256 key in base64"}),
    "SEC1 without its frame": (SEC1, {"a private P-256 key in base64"}),
    "JWK": (json.dumps({"kty": "EC", "d": b64(bytes(32))}), {"a private JWK"}),
    "token": (KEY.mint(), {"a token"}),
    "public key": (KEY.pem, set()),
    "public JWK": (json.dumps(KEY.jwk), set()),
}  # fmt: skip


@pytest.mark.parametrize("kind", PLANTED)
def test_a267_scan_sees_what_is_secret(kind: str) -> None:
    text, expected = PLANTED[kind]
    assert set(secrets_in(f"KEY = {text!r}".encode())) == set(secrets_in(text.encode())) == expected


def test_metadata_is_valid_and_says_what_pyproject_says(metadata: Metadata) -> None:
    assert (metadata.name, str(metadata.version)) == (PROJECT["name"], PROJECT["version"])
    assert str(metadata.requires_python) == PROJECT["requires-python"]
    assert metadata.license_expression == PROJECT["license"]
    assert metadata.summary == PROJECT["description"]
    assert metadata.classifiers == PROJECT["classifiers"]


def test_version_is_the_packages_own() -> None:
    assert PROJECT["version"] == __version__


def test_every_classifier_is_one_that_the_index_knows() -> None:
    assert set(PROJECT["classifiers"]) <= known_classifiers


def test_readme_is_the_description(source: Path, metadata: Metadata) -> None:
    assert metadata.description == (source / "README.md").read_text()
    assert (metadata.description_content_type or "").startswith("text/markdown")


def test_extras_are_those_of_pyproject(metadata: Metadata) -> None:
    assert set(metadata.provides_extra or []) == set(PROJECT["optional-dependencies"])


def test_a_plain_install_requires_what_pyproject_says_and_no_extra_twice(metadata: Metadata) -> None:
    plain = {str(wanted) for wanted in metadata.requires_dist or [] if wanted.marker is None}
    assert plain == {str(Requirement(text)) for text in PROJECT["dependencies"]}


def test_entry_points_are_those_of_pyproject_and_load(built: Distributions) -> None:
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(built.metadata("entry_points.txt"))
    shipped = {section: dict(parser[section]) for section in parser.sections()}
    assert shipped == {"console_scripts": PROJECT["scripts"], **PROJECT["entry-points"]}
    for group, entries in shipped.items():
        for name, value in entries.items():
            assert EntryPoint(name, value, group).load() is not None

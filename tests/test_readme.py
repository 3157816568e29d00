"""The README is true: its blocks run, and what it says they print they print."""

from __future__ import annotations

import ast
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import django_settings  # noqa: F401 - it configures Django
from .support import KEY, unmeasured

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCK = r"^```python\n(.*?)^```$"
CONTRACT = re.findall(r"^<!-- contract -->\n" + BLOCK, README, re.DOTALL | re.MULTILINE)
(YOUR_APP,) = re.findall(r"^<!-- your_app -->\n" + BLOCK, README, re.DOTALL | re.MULTILINE)
BLOCKS = [block for block in re.findall(BLOCK, README, re.DOTALL | re.MULTILINE) if block not in CONTRACT]


def _title(block: str) -> str:
    heading = README[: README.index(block)].rpartition("\n#")[2].splitlines()[0]
    return f"{README[: README.index(block)].count(chr(10)) + 1}: {heading.strip('# ')}"


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """A block may set up logging, for the process."""
    root, ours = logging.getLogger(), logging.getLogger("d1verify")
    before = (root.level, root.handlers[:], ours.level)
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    ours.setLevel(before[2])


@pytest.mark.usefixtures("logging_as_it_was")
@pytest.mark.parametrize("block", BLOCKS, ids=map(_title, BLOCKS))
def test_a268_block_runs_and_prints_what_it_says(
    block: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / f"{KEY.kid}.pem").write_text(KEY.pem)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out
    for said in re.findall(r"^ *print\(.*\)  # (.*)$", block, re.MULTILINE):
        pattern = ".*".join(map(re.escape, said.split("...")))
        assert re.search(f"^{pattern}$", printed, re.MULTILINE), f"{said!r} is not in {printed!r}"
    assert "eyJ" not in printed + caplog.text, "a token is printed, or logged"


def test_the_contract_suite_runs_as_a_merchant_would_run_it(tmp_path: Path) -> None:
    (tmp_path / "your_app.py").write_text(YOUR_APP)
    (tmp_path / "test_contract.py").write_text(CONTRACT[0])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:schemathesis", "--rootdir=.", "test_contract.py"]
    run = subprocess.run(command, cwd=tmp_path, env=unmeasured(), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert re.search(r"^[23]\d\d passed", run.stdout, re.MULTILINE), run.stdout[-300:]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_what_is_to_be_tried_works_as_it_is_typed(tmp_path: Path) -> None:
    (app,) = [block for block in BLOCKS if 'Route("/notify", notify' in block]
    (typed,) = re.findall(r"^### Try it\n.*?^```bash\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    typed = typed.replace(":8000", f":{port}").replace("uvicorn app:app", f"uvicorn app:app --port {port}")
    (tmp_path / "app.py").write_text(app)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p); wait' EXIT\n{typed}"]
    settings = {**unmeasured(), "PATH": path, "NO_PROXY": "127.0.0.1"}
    run = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    assert "HTTP/1.1 200 OK" in run.stdout
    assert run.stdout.endswith('{"gateway":"MGW_000001"}')
    assert list((tmp_path / "keys").iterdir()) == []


EXAMPLES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "examples").rglob("*.py"))}
SHOWN = {**{_title(block): block for block in (*BLOCKS, *CONTRACT)}, **EXAMPLES}


@pytest.mark.parametrize("source", SHOWN.values(), ids=SHOWN.keys())
def test_a268_what_is_shown_pins_the_merchant_and_loosens_nothing(source: str) -> None:
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        settings = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if ast.unparse(call.func) in ("D1Verifier", "AccessTokenVerifier"):
            assert "subject" in settings
        assert re.fullmatch(r"\['/[a-z]+'(, '/[a-z]+')*\]", settings.get("exclude", "['/health']"))
        assert "notify" not in settings.get("exclude", "")
        assert settings.get("verify") != "False"
        assert not settings.keys() & {"leeway", "max_lifetime", "reveal_reason", "optional"}
    for loosened in ("ANY_SUBJECT", "CERT_NONE", "check_hostname", "_create_unverified_context"):
        assert loosened not in source


STATED = [
    pytest.param(
        "README.md", "Use one verifier, with a store of its own, for staging and one for production", id="A120-README"
    ),
    pytest.param("README.md", "with a healthy source.* withdrawn key is refused within", id="A171-README"),
    pytest.param("README.md", "held to 60.3,600 s", id="A172-README"),
    pytest.param(".github/SECURITY.md", "wall clock is the authority", id="A197-SECURITY"),
    pytest.param("README.md", "Not checked:.* replay", id="A200-README"),
    pytest.param(".github/SECURITY.md", "Replay", id="A200-SECURITY"),
    pytest.param(".github/SECURITY.md", "local variables", id="A215-SECURITY"),
    pytest.param(".github/SECURITY.md", "Key ids .* timing", id="A222-SECURITY"),
    pytest.param("README.md", r"`exp` \+ 30 \+ 900 \+ 30 s", id="A243-README"),
    pytest.param("README.md", "no rate limit.* put one in front of the endpoint", id="A255-README"),
]


@pytest.mark.parametrize(("name", "pattern"), STATED)
def test_what_is_not_guaranteed_is_written_down(name: str, pattern: str) -> None:
    if not (ROOT / name).exists():
        pytest.skip("the source distribution comes without .github")
    assert re.search(pattern, " ".join((ROOT / name).read_text().split()))


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 17
    assert len(CONTRACT) == 1


def _anchor(heading: str) -> str:
    """Return what a heading is linked by: in small letters, without punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_link_within_the_repository_leads_somewhere() -> None:
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.DOTALL | re.MULTILINE)
    anchors = {_anchor(heading) for heading in re.findall(r"^#+ (.*)$", prose, re.MULTILINE)}
    links = [link for link in re.findall(r"\]\(([^)]+)\)", prose) if not link.startswith("https://")]
    assert len(links) > 20
    assert [link for link in links if link.startswith("#") and link[1:] not in anchors] == []
    left_out = "#" if (ROOT / ".github").exists() else ("#", ".github/")  # The source distribution comes without it.
    files = [link for link in links if not link.startswith(left_out)]
    assert [link for link in files if not (ROOT / link).exists()] == []

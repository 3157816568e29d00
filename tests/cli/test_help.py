"""The `--help` texts and the README tell of the same commands, arguments, options and exit codes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main

from d1verify.cli.app import app
from d1verify.cli.output import ExitCode

from .shell import Shell

Help = Callable[..., list[str]]

README = (Path(__file__).parents[2] / "README.md").read_text()
SECTION = README.partition("\n## Command line\n")[2].partition("\n## ")[0]
TABLE = re.findall(r"^\| `d1verify (\w+)([^`]*)` \|", SECTION, re.MULTILINE)

SHELL_LINES = "\n".join(re.findall(r"^```bash\n(.*?)^```$", README, re.DOTALL | re.MULTILINE))
TYPED = re.findall(r"^(?:\S*/)?d1verify (.*?)(?:\s+#.*)?$", SHELL_LINES, re.MULTILINE)
MENTIONED = [*TYPED, *re.findall(r"`d1verify (\w[^`]*)`", README)]

# What is declared. The help texts are compared with it, too, so that to misread them is to fail.
COMMANDS: dict[str, Any] = getattr(typer.main.get_command(app), "commands")  # noqa: B009 - a group has it
OPTION = re.compile(r"--[a-z][a-z-]*")


@pytest.fixture
def help_of(d1verify: Shell, monkeypatch: pytest.MonkeyPatch) -> Help:
    """Return what gives the lines of a help text: without box and colour, and so wide that none is broken."""
    monkeypatch.setenv("COLUMNS", "240")

    def lines(*command: str) -> list[str]:
        shown = d1verify(*command, "--help")
        assert shown.code == 0
        plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.out)
        return [line.strip(" │╭╮╰╯─") for line in plain.splitlines()]

    return lines


def options_in(lines: list[str]) -> set[str]:
    """Return the options that a help text lists."""
    return {found[1] for line in lines if (found := re.match(r"(?:\*\s+)?(--[a-z][a-z-]*)\s", line))}


def exit_codes_in(text: str) -> dict[int, str]:
    """Return what a text says each exit code means, after the words `Exit codes:`."""
    said = re.sub(r"\s+", " ", text).partition("Exit codes: ")[2].partition(".")[0]
    return {int(code): words.strip() for code, words in re.findall(r"(\d) ([a-z ]+)", said)}


def test_the_commands_of_the_help_are_those_of_the_readmes_table(help_of: Help) -> None:
    lines = help_of()
    rows = lines[lines.index("Commands") + 1 :]
    shown = [found[1] for line in rows if (found := re.match(r"(\w+)\s{2,}\S", line))]
    assert set(shown) == set(COMMANDS)
    assert sorted(shown) == sorted(command for command, _ in TABLE)


def test_the_readme_names_no_other_command() -> None:
    assert {line.partition(" ")[0] for line in MENTIONED} == set(COMMANDS)


@pytest.mark.parametrize("line", MENTIONED)
def test_an_option_that_the_readme_names_is_in_the_commands_help(line: str, help_of: Help) -> None:
    assert set(OPTION.findall(line)) <= options_in(help_of(line.partition(" ")[0]))


def test_every_option_that_the_readme_names_by_itself_is_in_every_help(help_of: Help) -> None:
    by_itself = set(re.findall(r"`(--[a-z-]+)`", README))
    assert by_itself == {"--help", "--json"}
    for command in COMMANDS:
        assert by_itself <= options_in(help_of(command)), command


@pytest.mark.parametrize("line", TYPED)
def test_a_command_line_of_the_readme_is_understood_and_complete(line: str) -> None:
    command, *arguments = shlex.split(line)
    COMMANDS[command].make_context(command, arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--kid", "k"], "Missing parameter: key", id="incomplete"),
        pytest.param(["--key", "k.key", "--kid", "k", "--typo"], "No such option: --typo", id="unknown"),
    ],
)
def test_one_that_is_not_would_be_noticed(arguments: list[str], message: str) -> None:
    with pytest.raises(Exception, match=message):
        COMMANDS["mint"].make_context("mint", arguments)


@pytest.mark.parametrize(("command", "rest"), TABLE, ids=[command for command, _ in TABLE])
def test_the_readmes_table_has_each_argument(command: str, rest: str) -> None:
    """As `SOURCE`, or as `FILE…` where there may be more than one."""
    declared = [one for one in COMMANDS[command].params if one.param_type_name == "argument"]
    wanted = [f"{one.name.removesuffix('s')}…" if one.nargs == -1 else one.name for one in declared]
    assert re.findall(r"[A-Z]+…?", rest) == [name.upper() for name in wanted]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does(command: str, help_of: Help) -> None:
    says = COMMANDS[command].help.partition("\n")[0]
    assert says.endswith(".")
    assert says in help_of(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_and_option_has_a_help_text_and_shows_it(command: str, help_of: Help) -> None:
    lines = help_of(command)
    declared = [name for one in COMMANDS[command].params for name in one.opts if name.startswith("--")]
    assert options_in(lines) == {*declared, "--help"}
    for parameter in COMMANDS[command].params:
        assert (parameter.help or "").endswith("."), parameter.name
        assert any(parameter.opts[0] in line and parameter.help in line for line in lines), parameter.name


def test_the_readme_gives_every_exit_code() -> None:
    assert set(exit_codes_in(SECTION)) == {int(code) for code in ExitCode}


def test_the_help_gives_the_readmes_exit_codes(help_of: Help) -> None:
    assert exit_codes_in("\n".join(help_of())) == exit_codes_in(SECTION)


def test_the_help_of_contract_gives_its_own(help_of: Help) -> None:
    assert set(exit_codes_in("\n".join(help_of("contract")))) == {int(code) for code in ExitCode}

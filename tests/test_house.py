"""The house is in order: sizes, pages, examples."""

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from bikecollect.cli import COMMANDS, cli
from bikecollect.core.errors import ExitCode
from bikecollect.setup import loader as config

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "bikecollect").rglob("*.py"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_no_module_is_longer_than_350_lines(path: Path) -> None:
    """What is longer holds more than one thought."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_a_place_in_the_docs(name: str) -> None:
    """A command without words is not there."""
    page = (ROOT / f"docs/reference/commands/{name}.md").read_text(encoding="utf-8")
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    assert command.help
    assert f"# bikecollect {name}\n" in page


@pytest.mark.parametrize("code", list(ExitCode))
def test_every_exit_code_has_its_line(code: ExitCode) -> None:
    """A script's author finds it."""
    page = (ROOT / "docs/reference/exit-codes.md").read_text(encoding="utf-8")

    assert f"| {int(code)} | {code.meaning} |" in page


def test_the_crontab_example_calls_real_commands() -> None:
    """Each line has five fields and a command that parses."""
    text = (ROOT / "crontab.example").read_text(encoding="utf-8")
    lines = [each for each in text.splitlines() if re.match(r"[*\d]", each)]
    names = [_called(line) for line in lines]

    assert names == ["fetch", "compact"]


def _called(line: str) -> str:
    *fields, command = line.split(None, 5)
    program, *arguments = shlex.split(command)
    assert len(fields) == 5
    assert program == "$HOME/.local/bin/bikecollect"
    with click.Context(cli) as context:
        name, found, _ = cli.resolve_command(context, arguments)
    assert found == cli.get_command(context, str(name))
    return str(name)


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", README, re.DOTALL))
def test_the_example_settings_are_real(text: str) -> None:
    """Every key of the README's examples is one of the settings'."""
    assert config.parse(tomllib.loads(text)).systems

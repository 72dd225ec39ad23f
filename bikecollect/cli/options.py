"""What commands share."""

import io
import logging
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from bikecollect.core.secrets.redact import Redact, redacted_json, unredacted
from bikecollect.core.text import visible

if TYPE_CHECKING:
    from bikecollect.setup.settings import Settings

output_option = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Default: standard output.",
)
"""The file that takes a result, of the commands that may write one."""


log = logging.getLogger(__name__)
OURS = re.compile(r"(\x1b\[(?:0|1|22|3[0-7])m)")
"""The colours that our screens use; no other command reaches a terminal."""


class Screen:
    """What is printed goes through here, so that no secret does.

    *config* is the settings file that the command line names; *lost* is why a result
    could not be written, None while all could.
    """

    redact: Redact = staticmethod(unredacted)
    config: str | None = None
    lost: OSError | None = None

    @classmethod
    def person(cls, text: str) -> str:
        """Return *text* without secrets, with its commands as they work here."""
        return addressed(cls.redact(text))


@dataclass(frozen=True)
class Shared:
    """The group's options, for its commands; *config* is a path, None for none."""

    config: str | None = None
    log_format: str | None = None

    def settings(self) -> "Settings":
        """Return the settings, and say so where there is no file with any."""
        return self._settings(logging.WARNING)

    def settings_for_cron(self) -> "Settings":
        """Return the settings; where there are none only a person is told.

        For what prints nothing when all is well: cron would mail it each time.
        """
        watched = sys.stderr is not None and sys.stderr.isatty()
        return self._settings(logging.WARNING if watched else logging.INFO)

    def _settings(self, level: int) -> "Settings":
        from bikecollect.setup.loader import load  # not for --help

        settings = load(self.config)
        Screen.redact = settings.redact
        if not settings.source:
            _tell_of_defaults(level)
        if self.log_format is None:
            return settings
        return replace(settings, log=replace(settings.log, format=self.log_format))


def _tell_of_defaults(level: int) -> None:
    """Log that there is no settings file, and that one lies here unread."""
    from bikecollect.setup import program, settings_file  # not for --help

    if (path := settings_file.unused_local_file()) is None:
        log.log(
            level, "no settings file; using Taipei's YouBike, see: bikecollect init"
        )
        return
    words = click.get_current_context().command_path.split()[1:]
    text = "no settings file; using Taipei's YouBike: %s is not read; to use it: %s %s"
    log.warning(text, path, program.command_line(path), " ".join(words))


def called(path: Path) -> str:
    """Return how this program is called here with the settings file at *path*."""
    from bikecollect.setup import program  # only where it is told

    return program.command_line(path, Path.cwd())


def addressed(text: str) -> str:
    """Return *text* with the commands in it as they work on this machine.

    By whole paths: cron mails it to who knows where.
    """
    if "bikecollect " not in text and "pip install" not in text:
        return text
    from bikecollect.setup import program, settings_file  # only where it is told

    command = program.command_line(settings_file.find(Screen.config))
    return program.expand_commands(text, command)


def output() -> TextIO:
    """Return standard output for much data: UTF-8, and no line end is changed.

    Byte for byte, but for a terminal, which would obey what acts unseen.
    """
    kind = _Terminal if os.isatty(1) else io.TextIOWrapper
    return kind(open(1, "wb", closefd=False), encoding="utf-8", newline="")


class _Terminal(io.TextIOWrapper):
    def write(self, text: str) -> int:
        super().write(visible(text, lines=True))
        return len(text)


def say(text: str) -> None:
    """Print the result *text*; where that fails, the command ends with 74 (`main`).

    The work that it tells of goes on. A reader that has seen enough is no failure.
    Secrets are taken out, and what would act unseen is written out, but for our own
    colours.
    """
    _print(mention, text)


def say_json(text: str) -> None:
    """Print lines of JSON like `say`; only texts in them are redacted."""
    _print(mention_json, text)


def say_figures(text: str) -> None:
    """Print *text* like `say`, but for secrets: it holds figures and names only."""
    _print(_echo, _shown(text))


def emit(data: str) -> None:
    """Print *data*, a result as CSV or HTML, as `output` does; else like `say`."""
    _print(_echo, visible(data, lines=True) if sys.stdout.isatty() else data)


def _print(write: Callable[[str], None], text: str) -> None:
    try:
        write(text)
    except BrokenPipeError:
        return
    except OSError as error:
        Screen.lost = error


def mention(text: str) -> None:
    """Print *text* as `say` does; raises OSError where it cannot be written."""
    _echo(_shown(Screen.person(text)))


def mention_json(text: str) -> None:
    """Print *text* as `say_json` does; raises OSError as `mention`."""
    _echo(redacted_json(text, Screen.redact))


def complain(text: str) -> None:
    """Print *text* to stderr as a message of ours; where that fails, let it go."""
    lines = visible(Screen.person(text), lines=True).split("\n")
    with suppress(OSError):
        click.echo("\n  ".join([f"bikecollect: {lines[0]}", *lines[1:]]), err=True)


def _shown(text: str) -> str:
    parts = OURS.split(text)
    parts[::2] = [visible(part, lines=True) for part in parts[::2]]
    return "".join(parts)


def _echo(text: str) -> None:
    # https://no-color.org: any value but an empty one.
    colour = False if os.environ.get("NO_COLOR") else None
    click.echo(text, nl=False, color=colour)

"""Shared by commands: options, settings, and printing without secrets."""

import io
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from bikecollect.cli.forms import FunctionT
from bikecollect.core.errors import (
    BikecollectError,
    ExitCode,
    SettingsError,
    StorageError,
    resource_hint,
)
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
"""Option of the commands that can write their result to a file."""
shard_option = click.option(
    "--shard",
    default="",
    metavar="K/N",
    help="Use only share K of N of the systems, so that N machines with the same "
    "settings collect each system once.",
)
"""Option of the group, and of the commands that start the runs of a share."""
mirror_option = click.option(
    "--mirror",
    is_flag=True,
    help="Read the copy at `archive.mirror`: closed days only.",
)
"""Option of the commands that can read the mirror."""
client_id_option = click.option(
    "--client-id", default="", help="OAuth2 client id, for TDX."
)
client_secret_option = click.option(
    "--client-secret-file",
    default="",
    metavar="FILE",
    help="File with the OAuth2 client secret, mode 0600.",
)
"""Options of the commands that try a feed before it is in the settings."""


log = logging.getLogger(__name__)
OURS = re.compile(r"(\x1b\[(?:0|1|22|3[0-7])m)")
"""The colours that are used; no other escape sequence is printed on a terminal."""


class Screen:
    """The state of printing: *redact* removes secrets from everything printed.

    *config* is the settings file on the command line, *shard* the share; *lost* is the
    error if a result could not be printed, else None. *clear* removes the progress
    shown on a terminal: what is printed must not follow on its line.
    """

    clear: Callable[[], None] = staticmethod(lambda: None)
    redact: Redact = staticmethod(unredacted)
    config: str | None = None
    shard = ""
    lost: OSError | None = None

    @classmethod
    def person(cls, text: str) -> str:
        """Return *text* without secrets, with commands in the form that works here."""
        return addressed(cls.redact(text))


def is_on_terminal() -> bool:
    """Return whether what is logged is read by a person, not mailed by cron."""
    return sys.stderr is not None and sys.stderr.isatty()


@dataclass(frozen=True, eq=False, repr=False)
class Shared:
    """The options of the group, for its commands; *config* is a path or None."""

    config: str | None = None
    log_format: str | None = None
    shard: str = ""

    def settings(self) -> "Settings":
        """Return the settings; a missing settings file is reported on stderr."""
        return self._settings(logging.WARNING)

    def settings_for_cron(self) -> "Settings":
        """Return the settings; a missing file is reported only on a terminal.

        It is for commands that print nothing on success: cron would mail every report.
        """
        return self._settings(logging.WARNING if is_on_terminal() else logging.INFO)

    def _settings(self, level: int) -> "Settings":
        from bikecollect.setup.loader import load  # not for --help

        settings = load(self.config)
        Screen.redact = settings.redact
        if not settings.source:
            _report_defaults(level)
        if self.shard:
            settings = _in_shard(settings, self.shard, level)
        if self.log_format is None:
            return settings
        return replace(settings, log=replace(settings.log, format=self.log_format))


def _in_shard(settings: "Settings", text: str, level: int) -> "Settings":
    """Return *settings* with the systems of the shard *text*; raises UsageError.

    If it has none, that is logged and the command ends with 0.
    """
    from bikecollect.collect.parallel.shard import Shard  # only with a shard
    from bikecollect.core.errors import UsageError

    try:
        shard = Shard.parse(text)
    except ValueError as error:
        raise UsageError(f"--shard: {error}") from error
    names = shard.of(settings.systems)
    if not names:
        log.log(level, "nothing to do: no system is in shard %s", shard)
        click.get_current_context().exit()
    return replace(settings.only(names), shard=str(shard))


def _report_defaults(level: int) -> None:
    """Log that there is no settings file, or that the one in this folder is unused."""
    from bikecollect.setup import program, settings_file  # not for --help

    if (path := settings_file.unused_local_file()) is None:
        log.log(
            level, "no settings file; using Taipei's YouBike, see: bikecollect init"
        )
        return
    arguments = click.get_current_context().command_path.split()[1:]
    text = "no settings file; using Taipei's YouBike: %s is not read; to use it: %s %s"
    log.warning(text, path, program.command_line(path), " ".join(arguments))


def folder_option(what: str) -> Callable[[FunctionT], FunctionT]:
    """Return the option of a command that writes a folder; its help is *what*.

    The folder may be new, but not the one that it is in, as for a file.
    """
    return click.option(
        "-o",
        "--output",
        "folder",
        required=True,
        type=click.Path(file_okay=False, path_type=Path),
        metavar="FOLDER",
        callback=_in_a_folder,
        help=what,
    )


def _in_a_folder(_ctx: click.Context, _option: click.Parameter, folder: Path) -> Path:
    check_parent(folder)
    return folder


def check_parent(path: Path) -> None:
    """Raise StorageError if there is no folder for *path* to be written into."""
    if not path.parent.is_dir():
        raise StorageError(f"cannot write {path}: no such folder: {path.parent}")


def called(path: Path) -> str:
    """Return the command that runs this program with the settings file at *path*."""
    from bikecollect.setup import program  # only where it is printed

    return program.command_line(path, Path.cwd())


def addressed(text: str) -> str:
    """Return *text* with its commands in the form that works here, with full paths."""
    if "bikecollect " not in text and "pip install" not in text:
        return text
    from bikecollect.setup import program, settings_file  # only where it is printed

    command = program.command_line(
        settings_file.find(Screen.config), shard=Screen.shard
    )
    return program.expand_commands(text, command)


def output() -> TextIO:
    """Return standard output for data: UTF-8, line ends unchanged.

    On a terminal control characters are escaped; elsewhere every byte is kept.
    """
    kind = _Terminal if os.isatty(1) else io.TextIOWrapper
    return kind(open(1, "wb", closefd=False), encoding="utf-8", newline="")


class _Terminal(io.TextIOWrapper):
    def write(self, text: str) -> int:
        super().write(visible(text, lines=True))
        return len(text)


def say(text: str) -> bool:
    """Print the result *text*; if that fails, the command ends with 74 (`main`).

    The command itself continues. A closed pipe is not a failure. Secrets are removed
    and control characters escaped, except our own colours. Returns whether it was
    printed.
    """
    return _print(mention, text)


def say_json(text: str) -> bool:
    """Print lines of JSON like `say`; only texts in them are redacted."""
    return _print(mention_json, text)


def say_figures(text: str) -> bool:
    """Print *text*, which has only figures and names, like `say` without redaction.

    Returns whether it was printed.
    """
    return _print(_echo, _shown(text))


def emit(data: str) -> bool:
    """Print *data* (CSV or HTML) like `say`; escape it only on a terminal.

    Returns whether it was printed.
    """
    return _print(_echo, visible(data, lines=True) if sys.stdout.isatty() else data)


def _print(write: Callable[[str], None], text: str) -> bool:
    try:
        write(text)
    except BrokenPipeError:
        return False
    except OSError as error:
        Screen.lost = error
        return False
    return True


def mention(text: str) -> None:
    """Print *text* like `say`; raises OSError if that fails."""
    _echo(_shown(Screen.person(text)))


def mention_json(text: str) -> None:
    """Print *text* like `say_json`; raises OSError if that fails."""
    _echo(redacted_json(text, Screen.redact))


def complain(text: str) -> None:
    """Print *text* to stderr, after the program's name; failures are ignored."""
    lines = visible(Screen.person(text), lines=True).split("\n")
    Screen.clear()
    with suppress(OSError):
        click.echo("\n  ".join([f"bikecollect: {lines[0]}", *lines[1:]]), err=True)


def _shown(text: str) -> str:
    parts = OURS.split(text)
    parts[::2] = [visible(part, lines=True) for part in parts[::2]]
    return "".join(parts)


def _echo(text: str) -> None:
    # https://no-color.org: any value but an empty one.
    colour = False if os.environ.get("NO_COLOR") else None
    Screen.clear()
    click.echo(text, nl=False, color=colour)


class Attempts:
    """Work on the systems *names*, one by one; *code* is 0 if none is in *skipped*.

    *others* are errors for which a system is skipped, too.
    """

    def __init__(self, names: Sequence[str], *others: type[BikecollectError]) -> None:
        self._is_only = len(names) == 1
        self._coded: tuple[type[BikecollectError], ...] = (*others, SettingsError)
        self.code = ExitCode.OK
        self.skipped: dict[str, None] = {}

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Report on stderr that the system *name* is skipped, if the context fails.

        The error is raised if it is the only system, or does not concern its folder.
        """
        try:
            yield
        except (BikecollectError, OSError) as error:
            is_its_own = isinstance(error, (*self._coded, StorageError, OSError))
            if self._is_only or not is_its_own or isinstance(error, BrokenPipeError):
                raise
            text = str(error)
            if isinstance(error, OSError) and error.filename:
                text = f"{error.filename}: {error.strerror}"
            text = text.removeprefix(f"{name}: ")
            complain(f"{name}: skipped: {text}{resource_hint(text)}")
            self.skipped[name] = None
            self.code = ExitCode.IO
            if isinstance(error, self._coded):
                self.code = error.exit_code

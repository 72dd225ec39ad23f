"""Shared by commands: their options, and the settings that these choose."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bikecollect.cli.forms import FunctionT
from bikecollect.cli.printing import Screen, is_on_terminal
from bikecollect.core.errors import BikecollectError, StorageError

if TYPE_CHECKING:
    from bikecollect.cli.watching.hung_disk import OnHang
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


@dataclass(frozen=True, eq=False, repr=False)
class Shared:
    """The options of the group, for its commands; *config* is a path or None.

    A command that asks for the settings is ended if a disk hangs: see `hung_disk`.
    *on_hang* is called then, in place of what tells people.
    """

    config: str | None = None
    log_format: str | None = None
    shard: str = ""

    def settings(self, on_hang: "OnHang | None" = None) -> "Settings":
        """Return the settings; on stderr, say if they are missing or name no system."""
        return self._watched(logging.WARNING, on_hang)

    def settings_for_cron(self, on_hang: "OnHang | None" = None) -> "Settings":
        """Return the settings; a missing file is reported only on a terminal.

        It is for commands that print nothing on success: cron would mail every report.
        """
        return self._watched(_level_for_cron(), on_hang)

    def settings_for_fetch(self) -> "Settings":
        """Return the settings as for cron; `fetch` has an alarm of its own."""
        return self._settings(_level_for_cron())

    def _watched(self, level: int, on_hang: "OnHang | None") -> "Settings":
        from bikecollect.archive.mirror.address import folder_of  # not for `fetch`
        from bikecollect.cli.watching import hung_disk

        disks = hung_disk.watch(on_hang or hung_disk.complain_and_mail)
        disks.places += hung_disk.places_of_user(self.config)
        disks.settings = settings = self._settings(level)
        disks.places += [*folder_of(settings.archive.mirror), settings.data]
        return settings

    def _settings(self, level: int) -> "Settings":
        from bikecollect.setup.loader import load  # not for --help

        settings = load(self.config)
        Screen.redact = settings.redact
        if not settings.source:
            _report_defaults(level)
        elif settings.is_default_system:
            text = "%s has no system; using Taipei's YouBike, as [systems.%s] does"
            log.log(level, text, settings.source, *settings.systems)
        if self.shard:
            settings = _in_shard(settings, self.shard, level)
        if self.log_format is None:
            return settings
        return replace(settings, log=replace(settings.log, format=self.log_format))


def _level_for_cron() -> int:
    return logging.WARNING if is_on_terminal() else logging.INFO


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


@contextmanager
def words_in_order(
    settings: "Settings", words: Sequence[str], right: Sequence[str]
) -> Iterator[None]:
    """Add to an error of the context that the arguments are exchanged, if so.

    That is if any of *words*, which stand where no system belongs, is one; then the
    words of the command are *right*.
    """
    try:
        yield
    except BikecollectError as error:
        if any(word in settings.systems for word in words):
            import shlex  # not for `fetch`

            words_there = shlex.join(["bikecollect", *right])
            error.add_note(f"the order of the words is: {words_there}")
        raise


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

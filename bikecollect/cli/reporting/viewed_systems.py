"""The views of several systems; days and systems that cannot be read are skipped."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bikecollect.archive.query.open_days import Loss
from bikecollect.archive.query.view_source import ViewedSystem, warn
from bikecollect.cli.each_system import Attempts
from bikecollect.cli.log_setup import progress
from bikecollect.cli.timeparse import FIRST_DAY, LAST_DAY
from bikecollect.core.errors import (
    ExitCode,
    SettingsError,
    StorageError,
)
from bikecollect.setup.settings import Settings
from bikecollect.storage.repair.damage import check_present
from bikecollect.wiring import history
from bikecollect.wiring.mirror import mirrored_views


@dataclass
class SkippedDays:
    """Notes each skipped day from *since* to before *until*, for `warn`.

    *code* is 0 if each skipped day lacks only files whose removal a run has reported.
    """

    since: str = FIRST_DAY
    until: str = LAST_DAY
    code: ExitCode = ExitCode.OK
    losses: list[tuple[str, str, Loss]] = field(default_factory=list)

    def __call__(self, system_id: str, day: str, loss: Loss) -> None:
        """Note that *day* of the system is skipped because of *loss*."""
        if self.since <= day < self.until:
            self.losses.append((system_id, day, loss))

    def warn(self) -> None:
        """Warn of the days noted so far, and set *code*."""
        for system_id, day, loss in self.losses:
            warn(system_id, day, loss)
            if not loss.is_accepted:
                self.code = ExitCode.IO
        self.losses.clear()


def readable(
    settings: Settings, names: Sequence[str]
) -> tuple[list[ViewedSystem], ExitCode]:
    """Return the systems of *names* that can be read, and the code for the others.

    Raises StorageError if none can be read, SettingsError if no disk is mounted.
    """
    attempts, systems = Attempts(names), []
    for name in names:
        with attempts.on(name):
            check_present(settings.system_folder(name), ledger=True)
            systems.append(history.shown(settings, name))
    if not systems:
        is_setting = attempts.code is ExitCode.SETTINGS
        raise (SettingsError if is_setting else StorageError)("no system can be read")
    return systems, attempts.code


def viewed(
    settings: Settings, names: Sequence[str], tables: Collection[str], *, mirror: bool
) -> tuple[Path, list[ViewedSystem], ExitCode]:
    """Return the folder and the systems to view, here or in the *mirror*.

    Of the mirror, only *tables* are downloaded.
    """
    if not mirror:
        return settings.data, *readable(settings, names)
    with progress("reading the mirror ..."):
        folder, systems = mirrored_views(settings, names, tables)
    return folder, systems, ExitCode.OK

"""The views of several systems; days and systems that cannot be read are skipped."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bikecollect.archive.datasets import VEHICLE_LAYOUT
from bikecollect.archive.query.open_days import Loss
from bikecollect.archive.query.view_source import ViewedSystem, warn
from bikecollect.cli.each_system import Attempts, OnLoss
from bikecollect.cli.log_setup import progress
from bikecollect.cli.printing import complain
from bikecollect.cli.timeparse import FIRST_DAY, LAST_DAY
from bikecollect.core.errors import (
    BikecollectError,
    ExitCode,
    SettingsError,
    StorageError,
)
from bikecollect.core.slots import Slot, bounds
from bikecollect.setup.settings import Settings
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.files.entries import VEHICLES
from bikecollect.storage.ledger_reader import END
from bikecollect.storage.repair.damage import check_ledger, check_present
from bikecollect.wiring import history
from bikecollect.wiring.mirror import mirrored_views

ALL_DAYS = FIRST_DAY, LAST_DAY
EPOCH = "1970-01-02"
"""A day before all data, that every time zone can count from."""


@dataclass
class SkippedDays:
    """Notes each skipped day from *since* to before *until*, for `warn`.

    *code* is that of skipped systems, or 0 if each skipped day lacks only files whose
    removal a run has reported.
    *earlier* are losses of all earlier data, by system, *days* the systems and days of
    which was warned.
    """

    since: str = FIRST_DAY
    until: str = LAST_DAY
    code: ExitCode = ExitCode.OK
    losses: list[tuple[str, str, Loss]] = field(default_factory=list)
    earlier: dict[str, str] = field(default_factory=dict)
    days: set[tuple[str, str]] = field(default_factory=set)

    def __call__(self, system_id: str, day: str, loss: Loss) -> None:
        """Note that *day* of the system is skipped because of *loss*."""
        if self.since <= day < self.until:
            self.losses.append((system_id, day, loss))

    def note_earlier(self, system_id: str, text: str) -> None:
        """Note that earlier data of the system are gone."""
        self.earlier[system_id] = text

    def warn(self) -> None:
        """Warn of the losses noted so far, and set *code*."""
        for system_id, text in self.earlier.items():
            complain(f"{system_id}: {text}")
            self.code = self.code or ExitCode.IO
        for system_id, day, loss in self.losses:
            warn(system_id, day, loss)
            self.days.add((system_id, day))
            if not loss.is_accepted:
                self.code = self.code or ExitCode.IO
        self.losses.clear()


def readable(
    settings: Settings,
    names: Sequence[str],
    span: tuple[str, str] = ALL_DAYS,
    *,
    tables: Collection[str],
    on_loss: OnLoss | None = None,
) -> tuple[list[ViewedSystem], ExitCode]:
    """Return the systems of *names* that can be read, and the code for the others.

    The loss of data of the days in *span* is reported, and has a code, too; that
    of vehicles if *tables* have them; or *on_loss* is called. Without tables nothing is
    read, and no loss is reported.
    Raises StorageError if none can be read, SettingsError if no disk is mounted.
    """
    attempts, systems = Attempts(names, on_loss=on_loss), []
    for name in names:
        with attempts.on(name):
            system = settings.system_folder(name)
            check_present(system, ledger=True)
            if _have_vehicles(tables):
                check_ledger(system, VEHICLES)
            shown = history.shown(settings, name)
            has_data = bool(shown.days) or history.has_archive(settings, name)
            if tables:
                _report(attempts, system, span, tables, has_data=has_data)
            systems.append(shown)
    if not systems:
        raise error_of(attempts.code, "no system can be read")
    return systems, attempts.code


def error_of(code: ExitCode, text: str) -> BikecollectError:
    """Return the error with *text* where systems were skipped, with their *code*.

    Further lines of it are notes of the error.
    """
    first, *others = text.split("\n")
    error = (SettingsError if code is ExitCode.SETTINGS else StorageError)(first)
    for other in others:
        error.add_note(other)
    return error


def report_losses(
    settings: Settings,
    names: Sequence[str],
    span: tuple[str, str],
    tables: Collection[str],
) -> ExitCode:
    """Report the loss of data of *names* as `readable` does; return its code.

    For an answer from the archive alone, which says nothing about a lost folder.
    """
    attempts = Attempts(names)
    for name in names:
        _report(attempts, settings.system_folder(name), span, tables)
    return attempts.code


def _report(
    attempts: Attempts,
    system: SystemFolder,
    span: tuple[str, str],
    tables: Collection[str],
    *,
    has_data: bool = True,
) -> None:
    """Report the loss of data of the days in *span*, of vehicles if *tables* have them.

    For *has_data*, see `Attempts.report_loss`.
    """
    ends = _slots(span, system)
    attempts.report_loss(system, *ends, has_data=has_data)
    if _have_vehicles(tables):
        attempts.report_lost_vehicles(system, *ends)


def _slots(span: tuple[str, str], system: SystemFolder) -> tuple[Slot, Slot]:
    """Return the first slot of the days in *span*, and the first after them."""
    first, end = (max(day, EPOCH) for day in span)
    begin, _ = bounds(first, system.zone)
    return begin, END if end == LAST_DAY else bounds(end, system.zone)[0]


def _have_vehicles(tables: Collection[str]) -> bool:
    return not set(VEHICLE_LAYOUT.datasets).isdisjoint(tables)


def viewed(
    settings: Settings,
    names: Sequence[str],
    tables: Collection[str],
    *,
    mirror: bool,
    span: tuple[str, str] = ALL_DAYS,
    on_loss: OnLoss | None = None,
) -> tuple[Path, list[ViewedSystem], ExitCode]:
    """Return the folder and the systems to view, here or in the *mirror*.

    Of the mirror, only *tables* are downloaded. For the others, see `readable`.
    """
    if not mirror:
        systems, code = readable(settings, names, span, tables=tables, on_loss=on_loss)
        return settings.data, systems, code
    with progress("reading the mirror ..."):
        folder, systems = mirrored_views(settings, names, tables)
    return folder, systems, ExitCode.OK

"""Archived days of which files are missing or damaged, and those that are lost.

A day is lost if its CSV is gone, too.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.core.text import count_of
from bikecollect.storage.data_folder import (
    ARCHIVE,
    MARKER,
    STATUS,
    VEHICLE_STATUS,
    SystemFolder,
)
from bikecollect.storage.files import marker
from bikecollect.storage.files.durable import make_folder, sync_folder, write_file
from bikecollect.storage.files.entries import folders_with
from bikecollect.storage.files.trusted_files import from_mirror
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.repair import mirror_remedy
from bikecollect.storage.repair.archived_rows import PART, PREFIX
from bikecollect.storage.repair.missing_files import kept_of_day

ARCHIVED = (
    "SELECT day, csv_gone, parts FROM archives WHERE date(day) = day ORDER BY day"
)
"""A day with an impossible name, in a damaged ledger, is archived under its own."""


class ArchiveDamage(NamedTuple):
    """What is damaged in the archive, with the remedy: *text*; *lost* are lost days.

    Files of the *replaceable* days can be made again.
    """

    text: str
    lost: Sequence[str] = ()
    replaceable: Sequence[str] = ()

    @property
    def days(self) -> Sequence[str]:
        """The days that the text is about."""
        return (*self.lost, *self.replaceable)


def find_lost_days(system: SystemFolder) -> list[ArchiveDamage]:
    """Return the days of stations and of vehicles that are lost.

    Their slots are no gaps until the loss is accepted. Raises StorageError.
    """
    return [damage for damage in find_archive_damage(system) if damage.lost]


def find_archive_damage(system: SystemFolder) -> list[ArchiveDamage]:
    """Return what is damaged in the archive; days of vehicles are included.

    Raises StorageError.
    """
    archive = system.path.parent / ARCHIVE
    try:
        history = History(system.system_id, system.path)
        return [
            *damage_of_days(system, history, archive),
            *damage_of_vehicles(system, archive),
        ]
    except OSError as error:
        text = f"cannot read {error.filename or archive}: {error.strerror}"
        raise StorageError(text) from error


def archived_days(system: SystemFolder) -> list[str]:
    """Return the days that the ledger of *system* has as archived.

    Empty if it cannot be read: `status` reports that.
    """
    with suppress(StorageError):
        rows = History(system.system_id, system.path).select(ARCHIVED)
        return [day for day, *_ in rows]
    return []


def damage_of_vehicles(system: SystemFolder, archive: Path) -> Iterator[ArchiveDamage]:
    """Yield what is damaged of the archived days of the vehicles of *system*."""
    own = system.vehicles
    # Without the marker a message about the stations says so.
    if own.ledger.exists() and (archive / MARKER).exists():
        history = History(system.system_id, own.path)
        yield from damage_of_days(own, history, archive, VEHICLE_STATUS)


def prepare_archive(system: SystemFolder) -> None:
    """Ensure that the archive can be written to; create and mark it if it is new.

    Raises SettingsError if it has no marker and none of the days that it should have:
    most likely its disk is not mounted.
    """
    archive = system.path.parent / ARCHIVE
    try:
        if (archive / MARKER).exists():
            return
        check_archive_mounted(system)
        make_folder(archive)
        write_file(archive / MARKER, marker.MARK)
        sync_folder(archive)
    except OSError as error:
        raise StorageError(f"cannot write to {archive}: {error}") from error


def check_archive_mounted(system: SystemFolder) -> None:
    """Raise SettingsError if the archive is not there, with days that it should have.

    It is missing for *system*, too, if only others in the same folder had days in it.
    """
    archive = system.path.parent / ARCHIVE
    days = [day for day, *_ in History(system.system_id, system.path).select(ARCHIVED)]
    if days and not is_mounted(system, archive, days):
        raise SettingsError(_not_mounted(system, archive, days), cause="not-mounted")
    if text := missing_archive(archive, system.mirror):
        raise SettingsError(text, cause="not-mounted")


def missing_archive(archive: Path, mirror: str = "") -> str:
    """Return that *archive* should have days of any system, empty if it has or is new.

    Those days may be in the *mirror*, if there is one.
    """
    if (archive / MARKER).exists() or any(archive.glob("*/system_id=*")):
        return ""
    for folder in folders_with(MARKER, archive.parent):
        system = SystemFolder(folder.name, folder, ZoneInfo("UTC"), 0, mirror=mirror)
        if days := archived_days(system) or archived_days(system.vehicles):
            return _not_mounted(system, archive, days)
    return ""


def damage_of_days(
    system: SystemFolder, history: History, archive: Path, dataset: str = STATUS
) -> Iterator[ArchiveDamage]:
    """Yield what is damaged of the archived days of *dataset*, by size and marker."""
    rows = history.select(ARCHIVED)
    if not rows:
        return
    days = [day for day, *_ in rows]
    if not is_mounted(system, archive, days, dataset):
        yield ArchiveDamage(_not_mounted(system, archive, days), days)
        return
    lost, replaceable = [], []
    for day, csv_gone, parts in rows:
        datasets = lost_datasets(archive, system.system_id, day, parts)
        has_csv = not csv_gone and any((system.path / dataset).glob(f"{day}*.csv"))
        if (
            not has_csv
            and dataset in datasets
            and not is_half_replaced(archive, system.system_id, day)
        ):
            lost.append(day)
        elif datasets:
            replaceable.append(day)
    if lost:
        yield ArchiveDamage(_lost_text(system, archive, lost, dataset), lost)
    if replaceable:
        yield ArchiveDamage(
            f"{_days(replaceable, dataset)} missing or damaged in {archive}, but can "
            f"be recreated; run: bikecollect compact {system.system_id}",
            replaceable=replaceable,
        )


def is_half_replaced(archive: Path, system_id: str, day: str = "*") -> bool:
    """Return whether the rest of the files of *day* waits for the next `compact`.

    By default: of any day.
    """
    return any(archive.glob(f".work*/{system_id}/{day}.ready"))


def _lost_text(
    system: SystemFolder, archive: Path, days: Sequence[str], dataset: str
) -> str:
    """Return that the archived *days* are lost, with the remedies."""
    return (
        f"{_days(days, dataset)} missing or damaged in {archive}, and the CSV is "
        f"gone; {remedy_of_lost(system, days[0], dataset)}"
    )


def remedy_of_lost(system: SystemFolder, day: str, dataset: str) -> str:
    """Return how to get back an archived *day* of *dataset*, see below."""
    kept = partial(kept_of_day, system, day) if dataset == STATUS else str
    return remedy_of_lost_day(system.system_id, day, kept, system.mirror)


def remedy_of_lost_day(
    system: str, day: str, kept: Callable[[], str], mirror: str
) -> str:
    """Return how to get back an archived *day*, whose CSV is lost, too.

    If payloads of the day are kept, *kept* returns for how many of its slots: "3 of 4".
    *mirror* is the address of the archive's copy, empty if there is none.
    """
    first = mirror_remedy(system, mirror)
    restore = (
        f"{first}restore the archive's {day} from a backup: bikecollect backfill "
        f"{system} --from COPY; or"
    )
    forget = f"bikecollect forget {system} {day}"
    if not (slots := kept()):
        return f"{restore} accept the loss: {forget}"
    fill = f"fill it from the kept payloads of {slots} slots"
    return f"{restore} {fill}: {forget}; then: bikecollect backfill {system}"


def _days(days: Sequence[str], dataset: str) -> str:
    kind = " of vehicles" if dataset == VEHICLE_STATUS else ""
    if len(days) == 1:
        return f"1 archived day{kind} ({days[0]}) is"
    between = f"{len(days)} archived days{kind} between {days[0]} and {days[-1]}"
    return f"{between} are"


def lost_datasets(archive: Path, system_id: str, day: str, parts: str) -> set[str]:
    """Return the datasets of *day* whose file is missing or has another size.

    *parts* is the ledger's JSON. The content is not read: `status` must be quick.
    Raises PermissionError if this user may not know.
    """
    try:
        sizes = {name: part["bytes"] for name, part in json.loads(parts).items()}
    except (ValueError, TypeError, AttributeError, KeyError):
        return set()  # `verify` reports it
    lost = set()
    for dataset, size in sizes.items():
        path = f"{archive}/{dataset}/system_id={system_id}/{PREFIX}{day}/{PART}"
        try:
            if os.stat(path).st_size != size:  # noqa: PTH116 - 25,000 files of 50 systems
                lost.add(dataset)
        except PermissionError:
            raise
        except OSError:
            lost.add(dataset)
    return lost


def _not_mounted(system: SystemFolder, archive: Path, days: Sequence[str]) -> str:
    name, mirror = system.system_id, system.mirror
    then = from_mirror("; to fill it from the mirror then: ", name, mirror)
    return (
        f"{count_of(len(days), 'archived day')} of {name} ({days[0]} to "
        f"{days[-1]}) missing in {archive}, which has no file {MARKER}: is its disk "
        f"mounted? To start a new archive there: mkdir -p {archive} && touch "
        f"{archive / MARKER}{then}"
    )


def is_mounted(
    system: SystemFolder, archive: Path, days: Iterable[str], dataset: str = STATUS
) -> bool:
    """Return whether *archive* has its marker, or one of the archived *days*."""
    if (archive / MARKER).exists():
        return True
    return not _present_days(archive, system.system_id, dataset).isdisjoint(days)


def _present_days(archive: Path, system_id: str, dataset: str = STATUS) -> set[str]:
    folder = archive / dataset / f"system_id={system_id}"
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        return {
            entry.name.removeprefix(PREFIX)
            for entry in entries
            if entry.name.startswith(PREFIX)
        }
    return set()

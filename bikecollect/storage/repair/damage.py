"""Find damage of daily files and of the archive that only people can repair."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.core.text import count_of
from bikecollect.storage.csv_store import is_segment
from bikecollect.storage.data_folder import (
    ARCHIVE,
    INFORMATION,
    MARKER,
    STATUS,
    VEHICLE_STATUS,
    SystemFolder,
    check_mounted,
)
from bikecollect.storage.files import losses, marker
from bikecollect.storage.files.entries import (
    STATIONS,
    VEHICLES,
    has_days,
    has_entries,
    has_vehicles,
)
from bikecollect.storage.files.known_folders import is_known
from bikecollect.storage.files.trusted_files import quoted
from bikecollect.storage.ledger_reader import END, History
from bikecollect.storage.ledger_schema import file_day
from bikecollect.storage.repair import SLOTS, missing_files, removed_text
from bikecollect.storage.repair.archived_rows import archived_remedy
from bikecollect.storage.repair.found import describe_found, found_damage
from bikecollect.storage.repair.lost_days import (
    ArchiveDamage,
    damage_of_days,
    damage_of_vehicles,
    remedy_of_lost,
)
from bikecollect.storage.sqlite.ledger_file import absence

DAMAGED = (
    "SELECT f.file, count(b.slot), (SELECT parts FROM main.archives AS a"
    f" WHERE a.day = {file_day('f.file')}) FROM files AS f CROSS JOIN main.blocks AS b"
    " ON b.file = f.file WHERE f.damaged = 1 GROUP BY f.file ORDER BY f.file"
)
"""CROSS JOIN makes SQLite start with the damaged files, of which there are few."""
MAX_NAMED = 3


def find_damage(system: SystemFolder, history: History) -> list[str]:
    """Return a message for everything damaged or missing. Raises StorageError."""
    archive = system.path.parent / ARCHIVE
    try:
        check_present(system, ledger=False)
    except SettingsError as error:
        return [str(error)]
    archived = list(damage_of_days(system, history, archive))
    known = [
        *filter(None, (lost_data(system),)),
        *_missing_ledger(system),
        *_lacking_days(history, system.system_id),
        *_linked_files(system),
        *_damaged_files(system, history),
        *(found.text for found in archived),
        *_of_vehicles(system, archive),
    ]
    return [*known, *describe_found(system, known, _days(archived))]


def _days(damage: Iterable[ArchiveDamage]) -> set[str]:
    return {day for found in damage for day in found.days}


def lost_data(system: SystemFolder) -> str:
    """Return that all earlier data of *system* are gone, empty if not."""
    loss = loss_of(system)
    return loss.text if loss else ""


def check_not_gone(system: SystemFolder) -> None:
    """Raise StorageError if the folder of *system* is gone, with its data."""
    if not system.path.exists() and (lost := lost_data(system)):
        raise StorageError(lost)


def loss_of(system: SystemFolder) -> losses.EarlierLoss | None:
    """Return the loss of all earlier data of *system*, None if there is none.

    It is that of all data while no new folder is begun.
    """
    name, folder = system.system_id, system.path
    is_gone = not folder.exists() and is_known(folder)
    if is_gone or STATIONS in marker.lost_parts(folder):
        return losses.EarlierLoss(END, losses.missing(name, folder, system.mirror))
    return losses.loss(name, folder / MARKER, system.zone, system.mirror)


def vehicles_loss_of(system: SystemFolder) -> losses.EarlierLoss | None:
    """Return the loss of the earlier vehicles of *system*, None if there is none."""
    return losses.loss_of_vehicles(
        system.system_id, system.path, system.zone, system.mirror
    )


def _of_vehicles(system: SystemFolder, archive: Path) -> Iterator[str]:
    """Yield a message for the files and days of vehicles that are damaged."""
    own = system.vehicles
    if loss := vehicles_loss_of(system):
        yield loss.text
    yield from _missing_ledger(system, VEHICLES)
    if own.ledger.exists():
        files = [
            *_linked_files(own, VEHICLE_STATUS),
            *_damaged_files(own, History(system.system_id, own.path)),
        ]
        yield from files
        archived = list(damage_of_vehicles(system, archive))
        yield from (found.text for found in archived)
        yield from describe_found(own, files, _days(archived))


def lacks_ledger(system: SystemFolder, part: str = STATIONS) -> bool:
    """Return whether a *part* has daily files but no ledger, nor a broken link to one.

    An empty file is none. That of stations also has the runs of a system without them.
    """
    own = system.vehicles if part == VEHICLES else system
    if not absence(own.ledger):
        return False
    return has_days(system.path, part) or (own is system and has_vehicles(own.path))


def check_present(system: SystemFolder, *, ledger: bool) -> None:
    """Raise an error if *system* has no data because its disk is not mounted.

    Or if its folder has the data of another system.

    With *ledger*, also if its ledger is lost: without it, it has no runs and no gaps.
    Without stations, its vehicles account for its slots.
    """
    if not has_entries(system.path) or (system.path / MARKER).exists():
        check_mounted(system.path)
    if ledger:
        check_ledger(system)
        if not has_days(system.path, STATIONS):
            check_ledger(system, VEHICLES)


def check_ledger(system: SystemFolder, part: str = STATIONS) -> None:
    """Raise StorageError if the ledger of a *part* of *system* is lost."""
    for lost in _missing_ledger(system, part):
        raise StorageError(lost)


def _missing_ledger(system: SystemFolder, part: str = STATIONS) -> Iterator[str]:
    if lacks_ledger(system, part):
        ledger = (system.vehicles if part == VEHICLES else system).ledger
        yield (
            f"{ledger.relative_to(system.path)} is {absence(ledger)}; the next fetch "
            f"rebuilds it from the files: bikecollect fetch {system.system_id}"
        )


def _lacking_days(history: History, system_id: str) -> Iterator[str]:
    """Yield a message if the ledger was lost, and lacks its archived days."""
    if days := [*history.days_lost()]:
        count = count_of(len(days), "archived day")
        yield (
            f"the ledger was lost: it lacks {count} ({days[0]} to {days[-1]}), and "
            f"counts them as missing; run: bikecollect compact {system_id}"
        )


def _linked_files(system: SystemFolder, dataset: str = STATUS) -> Iterator[str]:
    """Yield a message for each daily file that is a link: nothing is written to it."""
    files: list[str] = []
    with suppress(FileNotFoundError), os.scandir(system.path / dataset) as entries:
        files = [f"{dataset}/{entry.name}" for entry in entries if entry.is_symlink()]
    files = sorted(file for file in files if is_segment(file))
    if (system.path / INFORMATION).is_symlink():
        files.append(INFORMATION)
    for file in files[:MAX_NAMED]:
        path = system.path / file
        target = path.resolve()
        move = f"mv {quoted(target)} {quoted(path)}"
        remedy = move if target.exists() else f"rm {quoted(path)}"
        yield f"{file} is a link to {target}, and links are not followed; run: {remedy}"
    if more := files[MAX_NAMED:]:
        count = count_of(len(more), "more file")
        yield f"{count} linked; list them: find {quoted(system.path)} -type l"


def _damaged_files(system: SystemFolder, history: History) -> Iterator[str]:
    repair = f"bikecollect verify --repair {system.system_id}"
    rows = history.select(DAMAGED)
    for file in missing_files.find(system, history):
        slots = history.select(SLOTS, file)
        rows += [(file, len(slots), None)] if slots else []
    found = found_damage(system.path) if rows else ()
    # After a repair that failed.
    todo = {f.where: f.remedy for f in found if f.remedy != repair}
    for file, blocks, parts in rows[:MAX_NAMED]:
        if (system.path / file).exists():
            counted = count_of(blocks, "slot")
            what = f"is damaged: another program changed it, with {counted}"
            remedy = todo.get(file, f"run: {repair}")
        elif parts is not None:
            what = removed_text(blocks)
            remedy = _of_archived_day(system, file, parts)
        else:
            what = removed_text(blocks)
            remedy = missing_files.remedy(system, file, history)
        yield f"{file} {what}; {remedy}"
    if more := rows[MAX_NAMED:]:
        files = count_of(len(more), "more file")
        yield f"{files} damaged; run: {repair}"


def _of_archived_day(system: SystemFolder, file: str, parts: str) -> str:
    """Return how to get back *file*, whose archived day has the files *parts*."""
    if remedy := archived_remedy(system.path, system.system_id, file, parts):
        return remedy
    dataset, _, name = file.partition("/")
    remedy = remedy_of_lost(system, name[:10], dataset)
    return f"its day in the archive is damaged, too; {remedy}"

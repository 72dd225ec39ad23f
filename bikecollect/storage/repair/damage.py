"""Damage of the stored data that only people can repair: files, the archive."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.storage.data_folder import ARCHIVE, MARK, MARKER, STATUS, SystemFolder
from bikecollect.storage.files.durable import make_folder, sync_folder, write_file
from bikecollect.storage.ledger_reader import History

DAMAGED = (
    "SELECT f.file, count(b.slot) FROM files AS f CROSS JOIN main.blocks AS b"
    " ON b.file = f.file WHERE f.damaged = 1 GROUP BY f.file ORDER BY f.file"
)
"""CROSS JOIN: SQLite starts with the few damaged files, mostly none."""
ARCHIVED = "SELECT day, csv_gone FROM archives ORDER BY day"
MOST_NAMED = 3
PREFIX = "date="


def find_damage(system: SystemFolder, history: History) -> list[str]:
    """Return what is damaged or missing, a message each. Raises StorageError."""
    return [*_damaged_files(system, history), *_missing_days(system, history)]


def prepare_archive(system: SystemFolder, history: History) -> None:
    """Make sure that the archive is there to write to; create and mark a new one.

    Raises SettingsError if it has no marker and lacks all days that it should have:
    most likely its disk is not mounted.
    """
    archive = system.path.parent / ARCHIVE
    try:
        if (archive / MARKER).exists():
            return
        days = [day for day, _ in history.select(ARCHIVED)]
        if days and not _present_days(system) & set(days):
            raise SettingsError(_not_mounted(archive, days), cause="not-mounted")
        make_folder(archive)
        write_file(archive / MARKER, MARK)
        sync_folder(archive)
    except OSError as error:
        raise StorageError(f"cannot write to {archive}: {error}") from error


def _damaged_files(system: SystemFolder, history: History) -> Iterator[str]:
    rows = history.select(DAMAGED)
    for file, blocks in rows[:MOST_NAMED]:
        if (system.path / file).exists():
            what = "is damaged: somebody changed it"
            remedy = "run: bikecollect verify --repair"
        else:
            what = "is missing: somebody removed it"
            remedy = (
                "restore it from a backup and run bikecollect verify --repair, or "
                f"accept the loss: bikecollect forget {system.system_id} {file}"
            )
        yield f"{file} {what}, with {blocks} slots; {remedy}"
    if more := rows[MOST_NAMED:]:
        yield f"{len(more)} more files are damaged; run: bikecollect verify --repair"


def _missing_days(system: SystemFolder, history: History) -> Iterator[str]:
    archive = system.path.parent / ARCHIVE
    archived = {day: bool(csv_gone) for day, csv_gone in history.select(ARCHIVED)}
    if not archived:
        return
    present = _present_days(system)
    if not present & set(archived) and not (archive / MARKER).exists():
        yield _not_mounted(archive, list(archived))
        return
    missing = [day for day, csv_gone in archived.items() if day not in present]
    if missing:
        only = sum(archived[day] for day in missing)
        span = missing[0] if len(missing) == 1 else f"{missing[0]} to {missing[-1]}"
        yield (
            f"{len(missing)} archived days are missing in {archive} ({span}), "
            f"{only} of them without CSV; restore them from a backup"
        )


def _not_mounted(archive: Path, days: list[str]) -> str:
    return (
        f"the archive {archive} should hold {len(days)} days ({days[0]} to {days[-1]}) "
        f"but has none and no file {MARKER}: is its disk mounted? To start a new "
        f"archive there: mkdir -p {archive} && touch {archive / MARKER}"
    )


def _present_days(system: SystemFolder) -> set[str]:
    folder = system.path.parent / ARCHIVE / STATUS / f"system_id={system.system_id}"
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        return {
            entry.name.removeprefix(PREFIX)
            for entry in entries
            if entry.name.startswith(PREFIX)
        }
    return set()

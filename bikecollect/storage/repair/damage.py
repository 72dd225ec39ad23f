"""Find damage of daily files and of the archive that only people can repair."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
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
from bikecollect.storage.files import marker
from bikecollect.storage.files.durable import make_folder, sync_folder, write_file
from bikecollect.storage.files.entries import has_entries
from bikecollect.storage.files.known_folders import is_known
from bikecollect.storage.files.trusted_files import quoted
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.ledger_schema import file_day
from bikecollect.storage.repair import (
    SLOTS,
    mirror_remedy,
    missing_files,
    removed_text,
)
from bikecollect.storage.repair.found import describe_found
from bikecollect.storage.sqlite.ledger_file import absence

DAMAGED = (
    "SELECT f.file, count(b.slot), EXISTS (SELECT 1 FROM main.archives AS a"
    f" WHERE a.day = {file_day('f.file')}) FROM files AS f CROSS JOIN main.blocks AS b"
    " ON b.file = f.file WHERE f.damaged = 1 GROUP BY f.file ORDER BY f.file"
)
"""CROSS JOIN makes SQLite start with the damaged files, of which there are few."""
ARCHIVED = "SELECT day, csv_gone, parts FROM archives ORDER BY day"
ACCEPT = (
    "accept the loss (`backfill` then fills what kept payloads have, `backfill --from` "
    "what an intact copy has)"
)
MAX_NAMED = 3
PREFIX, PART = "date=", "part.parquet"


def find_damage(system: SystemFolder, history: History) -> list[str]:
    """Return a message for everything damaged or missing. Raises StorageError."""
    archive = system.path.parent / ARCHIVE
    try:
        check_present(system, ledger=False)
    except SettingsError as error:
        return [str(error)]
    known = [
        *filter(None, (lost_data(system),)),
        *_missing_ledger(system),
        *_linked_files(system),
        *_damaged_files(system, history),
        *_missing_days(system, history, archive),
        *_of_vehicles(system, archive),
    ]
    return [*known, *describe_found(system, known)]


def find_lost_days(system: SystemFolder, history: History) -> list[str]:
    """Return a message, with the remedies, if archived days of stations are lost.

    Their slots are no gaps until the loss is accepted.
    """
    found = _missing_days(system, history, system.path.parent / ARCHIVE)
    return _lost(found)


def find_all_lost_days(system: SystemFolder) -> list[str]:
    """Return the messages of `find_lost_days`, and those about vehicles.

    Raises StorageError.
    """
    return _lost(find_archive_damage(system))


def find_archive_damage(system: SystemFolder) -> list[str]:
    """Return a message, with the remedies, for archived days that are damaged.

    Days of vehicles are included. Raises StorageError.
    """
    archive = system.path.parent / ARCHIVE
    try:
        history = History(system.system_id, system.path)
        found = _missing_days(system, history, archive)
        return [*found, *_missing_days_of_vehicles(system, archive)]
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


def _lost(messages: Iterable[str]) -> list[str]:
    return [message for message in messages if ACCEPT in message]


def lost_data(system: SystemFolder) -> str:
    """Return that all earlier data of *system* are gone, empty if not."""
    folder = system.path
    if not folder.exists() and is_known(folder):
        return f"{folder} {marker.GONE}"
    loss = marker.loss(system.system_id, folder / MARKER, system.zone)
    return loss.text if loss else ""


def _of_vehicles(system: SystemFolder, archive: Path) -> Iterator[str]:
    """Yield a message for the files and days of vehicles that are damaged."""
    own = system.vehicles
    if own.ledger.exists():
        files = [
            *_linked_files(own, VEHICLE_STATUS),
            *_damaged_files(own, History(system.system_id, own.path)),
        ]
        yield from files
        yield from _missing_days_of_vehicles(system, archive)
        yield from describe_found(own, files)


def _missing_days_of_vehicles(system: SystemFolder, archive: Path) -> Iterator[str]:
    own = system.vehicles
    # Without the marker a message about the stations says so.
    if own.ledger.exists() and (archive / MARKER).exists():
        history = History(system.system_id, own.path)
        yield from _missing_days(own, history, archive, VEHICLE_STATUS)


def lacks_ledger(system: SystemFolder) -> bool:
    """Return whether there are daily files but no ledger, nor a broken link to one.

    An empty file is none.
    """
    return bool(absence(system.ledger)) and any((system.path / STATUS).glob("*.csv"))


def check_present(system: SystemFolder, *, ledger: bool) -> None:
    """Raise an error if *system* has no data because its disk is not mounted.

    Or if its folder has the data of another system.

    With *ledger*, also if its ledger is lost: without it, it has no runs and no gaps.
    """
    if not has_entries(system.path) or (system.path / MARKER).exists():
        check_mounted(system.path)
    if ledger and (lost := next(_missing_ledger(system), "")):
        raise StorageError(lost)


def prepare_archive(system: SystemFolder, history: History) -> None:
    """Ensure that the archive can be written to; create and mark it if it is new.

    Raises SettingsError if it has no marker and none of the days that it should have:
    most likely its disk is not mounted.
    """
    archive = system.path.parent / ARCHIVE
    try:
        if (archive / MARKER).exists():
            return
        days = [day for day, *_ in history.select(ARCHIVED)]
        if days and not _present_days(archive, system.system_id) & set(days):
            raise SettingsError(_not_mounted(archive, days), cause="not-mounted")
        make_folder(archive)
        write_file(archive / MARKER, marker.MARK)
        sync_folder(archive)
    except OSError as error:
        raise StorageError(f"cannot write to {archive}: {error}") from error


def _missing_ledger(system: SystemFolder) -> Iterator[str]:
    if lacks_ledger(system):
        yield (
            f"{system.ledger.name} is {absence(system.ledger)}; the next fetch "
            f"rebuilds it from the files: bikecollect fetch {system.system_id}"
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
        rows += [(file, len(slots), 0)] if slots else []
    for file, blocks, is_archived in rows[:MAX_NAMED]:
        if (system.path / file).exists():
            counted = count_of(blocks, "slot")
            what = f"is damaged: another program changed it, with {counted}"
            remedy = f"run: {repair}"
        elif is_archived:
            what = removed_text(blocks)
            remedy = f"its day is archived; run: bikecollect compact {system.system_id}"
        else:
            what = removed_text(blocks)
            remedy = missing_files.remedy(system, file, history)
        yield f"{file} {what}; {remedy}"
    if more := rows[MAX_NAMED:]:
        files = count_of(len(more), "more file")
        yield f"{files} damaged; run: {repair}"


def _missing_days(
    system: SystemFolder, history: History, archive: Path, dataset: str = STATUS
) -> Iterator[str]:
    rows = history.select(ARCHIVED)
    if not rows:
        return
    days = [day for day, *_ in rows]
    present = _present_days(archive, system.system_id, dataset)
    if not present & set(days) and not (archive / MARKER).exists():
        yield _not_mounted(archive, days)
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
    yield from _lost_days(system, archive, lost, dataset)
    if replaceable:
        yield (
            f"{_days(replaceable, dataset)} missing or damaged in {archive}, but can "
            f"be recreated; run: bikecollect compact {system.system_id}"
        )


def is_half_replaced(archive: Path, system_id: str, day: str = "*") -> bool:
    """Return whether the rest of the files of *day* waits for the next `compact`.

    By default: of any day.
    """
    return any(archive.glob(f".work*/{system_id}/{day}.ready"))


def _lost_days(
    system: SystemFolder, archive: Path, days: Sequence[str], dataset: str
) -> Iterator[str]:
    """Yield a message that the archived *days* are lost, with the remedies."""
    if days:
        place = f"{dataset}/system_id={system.system_id}/{PREFIX}{days[0]}"
        yield (
            f"{_days(days, dataset)} missing or damaged in {archive}, and the CSV is "
            f"gone; {mirror_remedy(system.system_id, days[0], system.mirror)}"
            f"restore {place} from a backup, or {ACCEPT}: "
            f"bikecollect forget {system.system_id} {days[0]}"
        )


def _days(days: Sequence[str], dataset: str) -> str:
    kind = " of vehicles" if dataset == VEHICLE_STATUS else ""
    if len(days) == 1:
        return f"1 archived day{kind} ({days[0]}) is"
    between = f"{len(days)} archived days{kind} between {days[0]} and {days[-1]}"
    return f"{between} are"


def lost_datasets(archive: Path, system_id: str, day: str, parts: str) -> set[str]:
    """Return the datasets of *day* whose file is missing or has another size.

    *parts* is the ledger's JSON. The content is not read: `status` must be quick.
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
        except OSError:
            lost.add(dataset)
    return lost


def _not_mounted(archive: Path, days: list[str]) -> str:
    return (
        f"the archive {archive} should hold {count_of(len(days), 'day')} "
        f"({days[0]} to {days[-1]}) but has none and no file {MARKER}: is its "
        f"disk mounted? To start a new archive there: mkdir -p {archive} && "
        f"touch {archive / MARKER}"
    )


def _present_days(archive: Path, system_id: str, dataset: str = STATUS) -> set[str]:
    folder = archive / dataset / f"system_id={system_id}"
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        return {
            entry.name.removeprefix(PREFIX)
            for entry in entries
            if entry.name.startswith(PREFIX)
        }
    return set()

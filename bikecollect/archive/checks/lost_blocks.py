"""Blocks of archived days that the archive has, but not their CSV or the ledger."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from bikecollect.archive import datasets
from bikecollect.archive.archived_days import Archived, ArchivedDays
from bikecollect.archive.datasets import SLOTS, VEHICLE_LAYOUT, of_label
from bikecollect.archive.day_archive import MEMORY, Archive
from bikecollect.archive.query import duckdb_engine
from bikecollect.core.blocks import Block, day_of_file
from bikecollect.core.errors import NotInstalled, StorageError
from bikecollect.core.slots import Slot, bounds
from bikecollect.storage.csv_store import Store
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.files.scratch import scratch
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.repair import missing_files
from bikecollect.storage.repair.lost_days import remedy_of_lost_day

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SAME = {name: SLOTS[name] for name in ("slot", "rows", "sha256", "run_id")}
"""The columns in which a block equals the archived one."""
ROWS = {"slot": "BIGINT", "fetched_at": "BIGINT"}
"""The columns of its rows that identify a block, if no other file does."""


COUNTED = "SELECT DATE '{}', slot, rows, coalesce(flags, '') FROM {}"
DAYS_AT_ONCE = 32
"""Files of slots that are read by one statement."""


class Taken(NamedTuple):
    """The *number* of blocks that are read from the archive, or *why* it has none."""

    number: int = 0
    why: str = ""


def use_archive(
    archive: Archive,
    archived_days: ArchivedDays,
    store: Store,
    day: str,
    sizes: Mapping[str, int],
) -> Taken:
    """Let the ledger read lost blocks of *day* from the archive.

    Those are damaged or missing in the CSV; *sizes* are those of the *store*. They are
    recorded as blocks of a removed file, if the archive has their rows, undamaged.
    Raises StorageError.
    """
    archived = archived_days.find(day)
    if archived is None:
        return Taken()
    begin, end = bounds(day, ZoneInfo(archived.timezone))
    lost = [
        block
        for block in archived_days.live_blocks(begin, end)
        if block.span.file not in sizes or store.crc(block.span) != block.span.crc
    ]
    if not lost:
        return Taken()
    if damage := archive.damage(archived.only(archive.layout.rows)):
        return Taken(why="; ".join(damage))
    saved = _saved(archive, archived, lost)
    if saved:
        file = f"{archive.layout.rows}/{day}.0.csv"
        archived_days.use_archive(day, file, saved)
    return Taken(len(saved))


def try_archive(
    archive: Archive,
    archived_days: ArchivedDays,
    store: Store,
    day: str,
    sizes: Mapping[str, int],
) -> int:
    """Return the number of blocks taken by `use_archive`, 0 after an error.

    The next reader of the day reports the error.
    """
    with suppress(StorageError):
        return use_archive(archive, archived_days, store, day, sizes).number
    return 0


def _saved(archive: Archive, archived: Archived, blocks: Iterable[Block]) -> list[Slot]:
    """Return the slots of those *blocks* whose rows the archive has.

    If its file of slots is damaged, their number and time decide.
    """
    layout, day = archive.layout, archived.day
    if archive.damage(archived.only(layout.slots)):
        counts = Counter(archive.rows(layout.rows, day, ROWS))
        return [b.slot for b in blocks if counts[b.slot, int(b.fetched_at)] == b.rows]
    known = set(archive.rows(layout.slots, day, SAME))
    return [b.slot for b in blocks if (b.slot, b.rows, b.sha256, b.run_id) in known]


def lost_files(
    archived_days: ArchivedDays, blocks: Iterable[Block], sizes: Mapping[str, int]
) -> list[str]:
    """Return the files that have *blocks* but are missing."""
    removed = archived_days.removed_files()
    files = sorted({block.span.file for block in blocks} - removed)
    return [file for file in files if file not in sizes]


def otherwise_archived(
    archive: Archive, blocks: Mapping[str, Iterable[Block]], removed: Collection[str]
) -> list[str]:
    """Return the days whose *blocks* in the ledger differ from the archive's slots.

    Those of *removed* files are compared, whose rows only the archive has: it has each
    with the same slot, number of rows and flags, if the ledger has flags. Files of
    slots that cannot be read are skipped.
    """
    days, found = sorted(blocks), list[str]()
    if not days:
        return []
    with (
        suppress(NotInstalled),
        scratch() as aside,
        duckdb_engine.session(aside, memory=MEMORY) as db,
    ):
        for place in range(0, len(days), DAYS_AT_ONCE):
            some = days[place:][:DAYS_AT_ONCE]
            slots = _slots(db, archive, some)
            found += [d for d in some if _differs(blocks[d], slots.get(d), removed)]
    return found


def _slots(
    db: "DuckDBPyConnection", archive: Archive, days: Sequence[str]
) -> dict[str, set[tuple[int, int, str]]]:
    """Return slot, rows and flags of the slots of *days*, in their archived files."""
    place, name = archive.layout.slots, archive.system.system_id
    parts = {day: datasets.part(archive.data, place, name, day) for day in days}
    selects = [COUNTED.format(d, duckdb_engine.parquet(p)) for d, p in parts.items()]
    slots: dict[str, set[tuple[int, int, str]]] = {}
    try:
        with duckdb_engine.translated("slots cannot be read"):
            rows = db.execute(" UNION ALL ".join(selects)).fetchall()
    except StorageError:
        each = [_slots(db, archive, [day]) for day in days if len(days) > 1]
        return {day: values for found in each for day, values in found.items()}
    for day, *values in rows:
        slots.setdefault(day.isoformat(), set()).add(tuple(values))
    return slots


def _differs(
    blocks: Iterable[Block],
    archived: Collection[tuple[int, int, str]] | None,
    removed: Collection[str],
) -> bool:
    if archived is None:
        return False
    counted = {(slot, rows) for slot, rows, _ in archived}
    return any(
        (b.slot, b.rows, b.flags) not in archived
        if b.flags
        else (b.slot, b.rows) not in counted
        for b in blocks
        if b.span.file in removed
    )


def loss_of(folder: SystemFolder, files: Sequence[str]) -> str:
    """Return what is wrong with missing *files* of *folder*, and what to do.

    It is that of a system, or of its vehicles.
    """
    system_id, _ = of_label(folder.system_id)
    own = replace(folder, system_id=system_id)
    history = History(system_id, own.path)
    remedy = missing_files.remedy(own, files[0], history)
    return f"{', '.join(files)} is missing; {remedy}"


def loss_of_day(folder: SystemFolder, day: str, damage: Sequence[str]) -> str:
    """Return the *damage* of an archived *day* whose CSV is missing, and what to do."""
    system_id, layout = of_label(folder.system_id)
    kept = (
        str
        if layout is VEHICLE_LAYOUT
        else partial(missing_files.kept_of_day, folder, day)
    )
    remedy = remedy_of_lost_day(system_id, day, kept, folder.mirror)
    return f"{'; '.join(damage)}, and its CSV is missing; {remedy}"


def days_of_lost_files(
    archived_days: ArchivedDays, sizes: Mapping[str, int]
) -> list[str]:
    """Return the archived days of which a file that has blocks is missing."""
    lost = archived_days.files() - archived_days.removed_files() - sizes.keys()
    return sorted({*map(day_of_file, lost)} & archived_days.archived().keys())


def strange_files(
    store: Store, blocks: Iterable[Block], day: str, sizes: Mapping[str, int]
) -> list[str]:
    """Return the files of *day* with bytes that belong to none of its *blocks*."""
    lengths: dict[str, int] = {}
    for block in blocks:
        span = block.span
        lengths[span.file] = lengths.get(span.file, 0) + span.end - span.start
    return [
        file
        for file in store.segments(day)
        if len(store.header(file)) + lengths.get(file, 0) != sizes.get(file)
    ]

"""Blocks of archived days that their CSV has lost, but not the archive."""

from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

from bikecollect.archive.archived_days import ArchivedDays
from bikecollect.archive.datasets import SLOTS
from bikecollect.archive.day_archive import Archive
from bikecollect.core.blocks import Block
from bikecollect.core.slots import bounds
from bikecollect.storage.csv_store import Store

SAME = {name: SLOTS[name] for name in ("slot", "rows", "sha256", "run_id")}
"""The columns in which a block equals the archived one."""


def use_archive(
    archive: Archive, archived_days: ArchivedDays, store: Store, day: str
) -> int:
    """Let the ledger read harmed blocks of *day* from the archive; return their number.

    Those are damaged or missing in the CSV. They are recorded as blocks of a removed
    file, if the archive has their rows, undamaged. Raises StorageError.
    """
    archived = archived_days.archived().get(day)
    if archived is None:
        return 0
    removed = set(archived_days.removed_files())
    blocks = archived_days.blocks(*bounds(day, ZoneInfo(archived.timezone)))
    live = [block for block in blocks if block.span.file not in removed]
    sizes = store.sizes()
    harmed = [
        block
        for block in live
        if block.span.file not in sizes or store.crc(block.span) != block.span.crc
    ]
    layout = archive.layout
    if not harmed or any(
        archive.damage(archived.only(dataset))
        for dataset in (layout.rows, layout.slots)
    ):
        return 0
    known = set(archive.rows(layout.slots, day, SAME))
    saved = [b.slot for b in harmed if (b.slot, b.rows, b.sha256, b.run_id) in known]
    if saved:
        archived_days.use_archive(day, f"{layout.rows}/{day}.0.csv", saved)
    return len(saved)


def lost_files(
    archived_days: ArchivedDays, blocks: Iterable[Block], sizes: Mapping[str, int]
) -> list[str]:
    """Return the files that have *blocks* but are missing."""
    removed = set(archived_days.removed_files())
    files = sorted({block.span.file for block in blocks} - removed)
    return [file for file in files if file not in sizes]


def days_of_lost_files(
    archived_days: ArchivedDays, sizes: Mapping[str, int]
) -> list[str]:
    """Return the archived days of which a file that has blocks is missing."""
    lost = archived_days.files() - set(archived_days.removed_files()) - sizes.keys()
    return sorted({file[15:25] for file in lost} & archived_days.archived().keys())


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

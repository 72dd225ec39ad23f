"""Copy archived days into a ledger that was lost, or is older than they are."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from bikecollect.archive.archived_days import Archived, ArchivedDays
from bikecollect.archive.checks.lost_blocks import ROWS, otherwise_archived
from bikecollect.archive.checks.recertify import (
    DIFFER,
    has_rows_of_certificate,
    is_another_state,
    recertify,
    recertify_unknown,
    shorter,
    uncertified,
)
from bikecollect.archive.datasets import RUNS, SLOTS, STATION_LAYOUT, of_label
from bikecollect.archive.day_archive import Archive
from bikecollect.archive.parts import CANNOT_READ, damaged_parts
from bikecollect.core.blocks import Block, Span
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot, SlotState, bounds
from bikecollect.storage.csv_store import Store
from bikecollect.storage.data_folder import INFORMATION
from bikecollect.storage.files.trusted_files import quoted
from bikecollect.storage.recovery import ADOPTED
from bikecollect.storage.repair.lost_days import remedy_of_lost_day

log = logging.getLogger(__name__)
NO_BLOCK = frozenset({"", SlotState.MISSING.value})
"""The states of slots without a block; a block without rows lists no vehicle."""


class Restorer(NamedTuple):
    """Restores days of *archive* in the ledger; *store* has their CSV, if any."""

    archive: Archive
    archived_days: ArchivedDays
    store: Store

    def restore(self) -> Mapping[str, str]:
        """Copy the days of *archive* into a ledger that was lost.

        Slots whose rows are in the *store* keep their blocks; the others are recorded
        as blocks of a removed file of their day. So are those of a day that the ledger
        knows in another state. Lost certificates of days whose CSV was removed are
        written again. Return why days could not be restored. They must not be archived:
        that would replace rows that the ledger lacks.
        """
        failed = {}
        known = self.archived_days.archived()
        for day in sorted({*known, *self.archive.days()}):
            try:
                if day in known:
                    self._agree(known[day])
                else:
                    self._restore_day(day)
            except StorageError as error:
                if day in known or not self._is_whole(day):
                    failed[day] = str(error)
        for day in self.archived_days.days_of_damaged_runs():
            with suppress(StorageError):  # `verify` reports it
                self.archived_days.restore_runs(
                    day, self.archive.rows("runs", day, RUNS)
                )
        return failed

    def restore_blocks(self, only: Collection[str] | None = None) -> int:
        """Restore the blocks of archived days of which the ledger has others.

        Their CSV was removed. Return the number of blocks; see `otherwise_archived`. If
        *only* is given, those of these days.
        """
        removed = self.archived_days.removed_files()
        by_day = self.archived_days.blocks_by_day()
        known = {d: a for d, a in self.archived_days.archived().items() if a.csv_gone}
        chosen = known.keys() if only is None else only
        blocks = {
            day: by_day[day] for day in known.keys() & by_day.keys() & set(chosen)
        }
        count = 0
        for day in otherwise_archived(self.archive, blocks, removed):
            with suppress(StorageError):  # `verify` reports it
                self.archive.raise_if_damaged(known[day])
                gone = [b.slot for b in blocks[day] if b.span.file in removed]
                self.archived_days.forget(gone)
                self._restore_day(day)
                count += len(gone)
        return count

    def restore_days_of(self, blocks: Iterable[Block]) -> None:
        """Call `restore_blocks` for the days of *blocks*, whose slots are used next.

        By a wrong slot a block may seem to be of another day.
        """
        removed = self.archived_days.removed_files()
        days = {block.span.day for block in blocks if block.span.file in removed}
        if days:
            self.restore_blocks(days)

    def _agree(self, archived: Archived) -> None:
        """Bring ledger and certificate of a day into agreement, if they are not."""
        why = uncertified(self.archive, archived)
        if why == DIFFER and is_another_state(self.archive, archived):
            self._adopt(archived)
        elif why and archived.csv_gone:
            with suppress(StorageError):  # `verify` reports it
                if why == DIFFER and has_rows_of_certificate(self.archive, archived):
                    certified = self.archive.certified(archived.day)
                    self.archived_days.save(certified._replace(csv_gone=True))
                else:
                    recertify(self.archive, archived)

    def _is_whole(self, day: str) -> bool:
        """Return whether the CSV of *day* has all its rows: it is archived again."""
        with suppress(StorageError):
            summary = self.archive.certified(day).summary
            counts = self.archived_days.counts().get(day)
            known = (summary.slots, summary.rows)
            return bool(self.store.segments(day)) and counts == known
        return False

    def _adopt(self, known: Archived) -> None:
        """Copy a day into a ledger that has another state of it: *known*.

        The ledger is older: it was restored from a backup. Nothing is done if the
        archive is the older one: it lacks slots whose CSV was removed, or it was made
        before the state that the ledger knows.
        """
        removed = self.archived_days.removed_files()
        day = known.day
        certified = self.archive.certified(day)
        zone = ZoneInfo(certified.timezone)
        gone = {
            block.slot
            for block in self.archived_days.blocks(*bounds(day, zone))
            if block.rows and block.span.file in removed
        }
        there = {
            row[0]
            for row in self.archive.rows(self.archive.layout.slots, day, SLOTS)
            if row[5]
        }
        is_older = certified.archived_at < known.archived_at
        if gone <= there and not (gone and is_older):
            self.archived_days.forget(gone)
            self._restore_day(day)

    def _restore_day(self, day: str) -> None:
        try:
            archived = self.archive.certified(day)
        except StorageError as error:
            try:
                recertify_unknown(self.archive, day)
            except StorageError as reason:
                raise _lost(self.archive, day, f"{error}, and {reason}") from reason
            archived = self.archive.certified(day)
        archive, layout = self.archive, self.archive.layout
        rows = _slots(archive, archived)
        has_runs = "runs" in layout.datasets and not _is_lost(archive, archived, "runs")
        runs = archive.rows("runs", day, RUNS) if has_runs else []
        live = self.store.segments(day)
        file = f"{layout.rows}/{day}.csv"
        if file in live:
            file = f"{layout.rows}/{day}.0.csv"
        blocks = [_block(file, row) for row in rows if row[5] or row[3] not in NO_BLOCK]
        ends = bounds(day, ZoneInfo(archived.timezone))
        self.archived_days.forget(shorter(blocks, self.archived_days.blocks(*ends)))
        slots = self.archived_days.slots()
        lost = [
            block
            for block in blocks
            if block.slot not in slots and layout.accounts_for(block.flags)
        ]
        removed = [file] if lost or not live else []
        there = [block for block in blocks if block.slot in slots]
        self.archived_days.restore(archived, lost, runs, removed, there)


def report_lost_list(archive: Archive) -> None:
    """Log that the list of stations is lost, with the remedy, if there is none."""
    system = archive.system
    if archive.layout is STATION_LAYOUT and not (system.path / INFORMATION).exists():
        log.warning(
            "%s: names and places of stations are unknown: %s is missing, and the "
            "archive has none; the next fetch writes today's; if a mirror or a copy of "
            "the folder has it, run: bikecollect backfill %s --from %s",
            *(system.system_id, INFORMATION, system.system_id),
            quoted(system.mirror) if system.mirror else "MIRROR",
        )


def _slots(archive: Archive, archived: Archived) -> list[tuple[Any, ...]]:
    """Return the file of slots of a day; if only it is lost, what the rows have."""
    layout, day = archive.layout, archived.day
    damage = archive.damage(archived.only(layout.rows))
    if damage or not _is_lost(archive, archived, layout.slots):
        try:
            return archive.rows(layout.slots, day, SLOTS)
        except StorageError as error:
            raise _lost(archive, day, "; ".join([*damage, str(error)])) from error
    rows = [row for row in archive.rows(layout.rows, day, ROWS) if row[0] is not None]
    counts, times = Counter(slot for slot, _ in rows), dict(rows)
    known = dict.fromkeys(SLOTS, "") | {"source": ADOPTED, "last_updated": None}
    return [
        tuple((known | {"slot": slot, "rows": n, "fetched_at": times[slot]}).values())
        for slot, n in sorted(counts.items())
    ]


def _lost(archive: Archive, day: str, why: str) -> StorageError:
    system_id, _ = of_label(archive.system.system_id)
    remedy = remedy_of_lost_day(system_id, day, str, archive.system.mirror)
    return StorageError(f"{why}; {remedy}", cause="archive")


def _is_lost(archive: Archive, archived: Archived, dataset: str) -> bool:
    """Return whether the file of *dataset* is missing or damaged, by its bytes."""
    parts = archived.only(dataset).parts
    damage = damaged_parts(archive.data, archive.system.system_id, archived.day, parts)
    return any(not what.startswith(CANNOT_READ) for what in damage)


def _block(file: str, row: Sequence[Any]) -> Block:
    """Return the block in a *row* of the archived dataset `slots`."""
    slot, _, _, _, _, rows, flags, source, fetched_at, updated, sha256, run_id = row
    return Block(
        slot=Slot(slot),
        span=Span(file, 0, 0, 0),
        rows=rows,
        sha256=sha256,
        fetched_at=float(fetched_at or 0),
        last_updated=updated,
        run_id=run_id,
        source=source,
        flags=flags,
    )

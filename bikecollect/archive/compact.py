"""Compaction: archive closed days, and remove their CSV later."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

from bikecollect.archive import summaries
from bikecollect.archive.archived_days import Archived, ArchivedDays, opened_days
from bikecollect.archive.checks.lost_blocks import (
    days_of_lost_files,
    loss_of,
    loss_of_day,
    lost_files,
    strange_files,
    try_archive,
)
from bikecollect.archive.checks.restore import Restorer, report_lost_list
from bikecollect.archive.day_archive import Archive
from bikecollect.archive.day_rows import DayRows
from bikecollect.archive.encoding.day_writer import Contents
from bikecollect.archive.parts import needs_summaries
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import (
    DAY,
    EARLIEST,
    LATEST,
    Slot,
    bounds,
    day_of,
    local_days,
)
from bikecollect.storage.csv_store import Store
from bikecollect.storage.data_folder import SystemFolder
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.lock import Lock, exclusive_lock
from bikecollect.storage.payload_store import Payloads
from bikecollect.storage.recovery import Recovery
from bikecollect.storage.repair.forget import note_of
from bikecollect.storage.repair.repairer import Repairer
from bikecollect.storage.runs.packer import RunPacker

IN_USE, CHANGED, LOST = "in use", "changed", "lost"
SKIPPED = "compact --skip-damaged"
RENEWED, NOT_RENEWED, RESTORED = "summed up", "not summed up", "restored"
ROW = 120
"""Approximate bytes of a row."""
SETTLED = 3_600.0
"""Seconds after its midnight from which a day is closed."""
SlotRows = Callable[[Slot, Slot], Sequence[Sequence[Any]]]
"""Returns the slots between two, with the columns of the dataset `slots`."""


class Step(NamedTuple):
    """The work done for a day, or *why* nothing could be done.

    *what* is archived, let go (its CSV was removed), in use, lost (its CSV was removed
    too early), failed, kept, restored (into the ledger), or (not) summed up. *before*
    and *after* are bytes.
    """

    system_id: str
    day: str
    what: str
    rows: int = 0
    slots: int = 0
    before: int = 0
    after: int = 0
    why: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Compactor:
    """Archives the closed days of one system, one day at a time.

    The system's lock is held for at most one day; *breathe* then pauses for a waiting
    fetch. If *skip_damaged*, a day is archived without its damaged blocks, whose slots
    are missing from then on.
    """

    system: SystemFolder
    archive: Archive
    store: Store
    ledger: Ledger
    recovery: Recovery
    payloads: Payloads
    lock: Lock
    slot_rows: SlotRows
    csv_days: int
    clock: Callable[[], float]
    breathe: Callable[[], None]
    skip_damaged: bool = False

    @property
    def _rows(self) -> DayRows:
        return DayRows(self.archive, self.store)

    def run(self) -> Iterator[Step]:
        """Archive what is due; yield one step per day."""
        with opened_days(self.lock, self.ledger, check=True) as archived_days:
            self.recovery.recover_beside_runs()
            self.roll_forward(archived_days)
            known = archived_days.archived()
            failed = self.restorer(archived_days).restore()
            restored = archived_days.other_than(known)
            if any(archived.day not in known for archived in restored):
                report_lost_list(self.archive)
            sizes = self.store.sizes()
            for day in days_of_lost_files(archived_days, sizes):
                try_archive(self.archive, archived_days, self.store, day, sizes)
            due = [day for day in self._due(archived_days) if day not in failed]
        name = self.system.system_id
        yield from (Step(name, day, "failed", why=why) for day, why in failed.items())
        yield from (Step(name, a.day, RESTORED, *a.summary[:2]) for a in restored)
        # First remove CSVs, which frees space for archiving.
        yield from (step for step in self._remove_old(due) if step.what != IN_USE)
        for day in due:
            with self._open() as archived_days:
                step = self._archive_day(archived_days, day)
            self.breathe()
            yield step
        yield from self._remove_old([])
        yield from self._renew_summaries()
        self._pack_runs()

    def _pack_runs(self) -> None:
        packer = RunPacker(self.ledger, self.system.zone)
        is_unfinished = True
        while is_unfinished:
            with self._open() as archived_days:
                is_unfinished = packer.pack(archived_days.archived(), self.clock())
                if not is_unfinished:
                    packer.shrink()
            self.breathe()

    def _remove_old(self, due: Sequence[str]) -> Iterator[Step]:
        """Remove the CSV of old days that are not *due*."""
        with self._open() as archived_days:
            archived = archived_days.archived().values()
            old = [a for a in archived if a.day not in due and self._is_old(a)]
        for day in old:
            with self._open() as archived_days:  # another `compact` may be running
                latest = archived_days.find(day.day) or day
                step = self._remove_unused(archived_days, latest)
            self.breathe()
            yield step

    def _renew_summaries(self) -> Iterator[Step]:
        """Sum up days again whose summaries are lost or of an earlier format.

        The newest day is first, because views check the first and the last day.
        """
        with self._open() as archived_days:
            archived = archived_days.archived()
        days = [
            day
            for day, known in archived.items()
            if needs_summaries(self.archive.data, self.system, day, known.parts)
        ]
        for day in sorted(days, reverse=True):
            with self._open() as archived_days:
                step = self._renew(archived_days, day)
            self.breathe()
            yield step

    def _renew(self, archived_days: ArchivedDays, day: str) -> Step:
        system_id = self.system.system_id
        known = archived_days.find(day)
        if known is None:
            return Step(system_id, day, NOT_RENEWED, why="it was forgotten meanwhile")
        try:
            parts = summaries.without(known.parts)
            self.archive.raise_if_damaged(known._replace(parts=parts))
            self.archive.renew_summaries(day)
            summary = self._publish(archived_days, day).summary
        except StorageError as error:
            return Step(system_id, day, NOT_RENEWED, why=str(error))
        return Step(system_id, day, RENEWED, summary.rows, summary.slots)

    def _open(self) -> AbstractContextManager[ArchivedDays]:
        return opened_days(self.lock, self.ledger)

    def restorer(self, archived_days: ArchivedDays) -> Restorer:
        """Return what restores days of the archive in the ledger of *archived_days*."""
        return Restorer(self.archive, archived_days, self.store)

    def roll_forward(self, archived_days: ArchivedDays) -> None:
        """Complete what a killed process has begun to publish or to remove."""
        for day in self.archive.ready():
            self._publish(archived_days, day)
        for file in archived_days.removed_files() & self.store.sizes().keys():
            self.store.remove(file)

    def _publish(self, archived_days: ArchivedDays, day: str) -> Archived:
        before = archived_days.find(day)
        archived = self.archive.publish(day)
        archived = archived._replace(csv_gone=before is not None and before.csv_gone)
        archived_days.save(archived)
        self.archive.published(day)
        return archived

    def _due(self, archived_days: ArchivedDays) -> list[str]:
        """Return the closed days that the archive lacks or has with other rows.

        Days whose files are damaged or missing are included if their CSV exists. A day
        without blocks is archived too, to keep the causes of its gaps, but only after a
        later run. A day that was archived before the first run after it is due again:
        only that run shows whether the machine was off.
        """
        archived = archived_days.archived()
        counts = archived_days.counts()
        ends = archived_days.ends()
        if ends is None:
            return []
        waiting = {
            day_of(slot, self.system.zone)
            for slot in self.payloads.waiting_slots()
            if EARLIEST <= slot <= LATEST
        }
        now, due = self.clock() - SETTLED, []
        for day, _, end in local_days(ends[0], Slot(ends[1] + 1), self.system.zone):
            summary = archived[day].summary if day in archived else None
            known = (summary.slots, summary.rows) if summary else None
            if end > now or day in waiting:
                continue
            if (
                known != counts.get(day, (0, 0))
                or self.archive.is_replaceable(archived[day])
                or self._has_other_causes(archived_days, archived[day], end)
            ):
                due.append(day)
        return due

    def _has_other_causes(
        self, archived_days: ArchivedDays, day: Archived, end: Slot
    ) -> bool:
        """Return whether runs after *day* may tell other causes of its last slots."""
        return (
            "runs" in self.archive.layout.datasets
            and archived_days.is_followed(day, end, self.clock())
            and not self.archive.damage(day)
        )

    def _archive_day(self, archived_days: ArchivedDays, day: str) -> Step:
        begin, end = bounds(day, self.system.zone)
        name, sizes = self.system.system_id, self.store.sizes()
        before = sum(sizes.get(file, 0) for file in self.store.segments(day))
        blocks = archived_days.blocks(begin, end)
        if lost := lost_files(archived_days, blocks, sizes):
            what, why = self._loss(archived_days.find(day), lost)
            return Step(name, day, what, before=before, why=why)
        try_archive(self.archive, archived_days, self.store, day, sizes)
        self.restorer(archived_days).restore_days_of(blocks)
        if self.skip_damaged:
            self._skip_lost(archived_days, day)
        try:
            size = max(before, archived_days.counts().get(day, (0, 0))[1] * ROW)
            self.archive.prepare(self.contents(archived_days, day, size))
            archived = self._publish(archived_days, day)
        except StorageError as error:
            return Step(name, day, "failed", before=before, why=str(error))
        after = sum(part["bytes"] for part in archived.parts.values())
        return Step(name, day, "archived", *archived.summary[:2], before, after)

    def _loss(self, archived: Archived | None, files: Sequence[str]) -> tuple[str, str]:
        """Return what to report of a day of which *files* are missing, and why."""
        rows = archived and archived.only(self.archive.layout.rows)
        if archived and rows and (damage := self.archive.damage(rows)):
            return "failed", loss_of_day(self.system, archived.day, damage)
        return LOST, loss_of(self.system, files)

    def _skip_lost(self, archived_days: ArchivedDays, day: str) -> None:
        """Remove the lost blocks of *day* from the ledger; their bytes are kept.

        Their loss is accepted. The files are repaired then: the other blocks have
        perhaps changed their place.
        """
        live = archived_days.live_blocks(*bounds(day, self.system.zone))
        place, aside = self.ledger.folder, self.system.rejected
        repairer = Repairer(place, self.store, self.ledger, aside)
        if repairer.changed(live):
            if lost := repairer.lost(live):
                values = {"what": day, "slots": len(lost), "reason": SKIPPED}
                self.ledger.remember(note_of(values, self.clock(), self.system.zone))
                archived_days.forget(block.slot for block in lost)
            for _ in repairer.run():
                pass

    def contents(self, archived_days: ArchivedDays, day: str, size: int) -> Contents:
        """Return the contents to archive of *day*, whose CSV has *size* bytes."""
        begin, end = bounds(day, self.system.zone)
        slots, runs = self.slot_rows(begin, end), archived_days.runs(begin, end)
        return Contents(day, *self._rows.read(archived_days, day), slots, runs, size)

    def _is_old(self, archived: Archived) -> bool:
        age = self.clock() - bounds(archived.day, self.system.zone)[1]
        return bool(self.store.segments(archived.day)) and age > self.csv_days * DAY

    def _remove_unused(self, archived_days: ArchivedDays, archived: Archived) -> Step:
        """Remove the CSV of a day unless a reader needs it, such as a long export."""
        with exclusive_lock(self.system.path / self.archive.layout.rows) as is_free:
            if is_free:
                step = self._remove(archived_days, archived)
                if step.what == CHANGED:
                    # A block was replaced in the meantime: archive the day again.
                    return self._archive_day(archived_days, archived.day)
                return step
        return Step(self.system.system_id, archived.day, IN_USE)

    def _remove(self, archived_days: ArchivedDays, archived: Archived) -> Step:
        """Remove the CSV of a day after comparing it with the archive once more."""
        day = archived.day
        files, sizes = self.store.segments(day), self.store.sizes()
        before = sum(sizes.get(file, 0) for file in files)
        try:
            self._check(archived_days, archived)
        except StorageError as error:
            what = CHANGED if error.cause == CHANGED else "kept"
            return Step(self.system.system_id, day, what, before=before, why=str(error))
        blocks = archived_days.blocks(*bounds(day, self.system.zone))
        strange = strange_files(self.store, blocks, day, sizes)
        archived_days.mark_removed(day, files)
        for file in files:
            if file in strange:
                self.store.keep_aside(file, self.system.rejected)
            self.store.remove(file)
        rows = archived.summary.rows
        return Step(self.system.system_id, day, "let go", rows, before=before)

    def _check(self, archived_days: ArchivedDays, archived: Archived) -> None:
        """Raise StorageError if the archive does not have all rows of the CSV."""
        self.archive.raise_if_damaged(archived)
        day = archived.day
        try:
            total = self._rows.summary(archived_days, day)
        except StorageError as error:
            sizes = self.store.sizes()
            if error.cause != "damage" or not try_archive(
                self.archive, archived_days, self.store, day, sizes
            ):
                raise
            total = self._rows.summary(archived_days, day)
        if total != archived.summary:
            text = f"{day} has changed since it was archived"
            raise StorageError(text, cause=CHANGED)

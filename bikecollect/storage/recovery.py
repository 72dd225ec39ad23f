"""Recovery after killed runs, torn files and lost ledgers."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING

from bikecollect.core.blocks import (
    Block,
    Extent,
    Group,
    Span,
    Tail,
    adopted_block,
    day_of_file,
)
from bikecollect.core.errors import Outcome
from bikecollect.core.run import Notice, Run
from bikecollect.core.slots import Slot, stamp
from bikecollect.core.snapshot import StationInformation
from bikecollect.core.text import count_of
from bikecollect.storage.csv_format import (
    information_header,
    information_lines,
    read_information,
)
from bikecollect.storage.data_folder import INFORMATION
from bikecollect.storage.payload_store import slot_of
from bikecollect.storage.repair import (
    PARTS,
    SLOTS,
    Repair,
    adopted,
    found_absent,
    found_at_open,
    remedy_of_missing,
    system_of,
)
from bikecollect.storage.run_notes import RunNotes
from bikecollect.storage.runs import left_notices

if TYPE_CHECKING:
    from bikecollect.storage.csv_store import Store
    from bikecollect.storage.ledger import Ledger
    from bikecollect.storage.payload_store import Payloads

ADOPTED = "adopted"
"""The source of a block that a file had and the ledger lacked."""


@dataclass(frozen=True, eq=False, repr=False)
class Recovery:
    """Brings the files and the ledger of one system into agreement.

    Every step is derived from the files on the disk, so that the next run completes a
    recovery that was interrupted. Requires the lock and an open ledger. *mirror* is the
    address of the archive's copy, which remedies name.
    """

    payloads: "Payloads"
    store: "Store"
    ledger: "Ledger"
    zone: tzinfo
    mirror: str = ""

    def recover_files(self) -> list[Notice]:
        """Adopt, truncate or abandon each file that does not end as in the ledger.

        The notices include those that other commands left.
        """
        notices = self._recover_files()
        return [*left_notices.take(self.ledger), *notices]

    def _recover_files(self) -> list[Notice]:
        sizes, extents = self.store.sizes(), self.ledger.extents()
        listed = extents.get(INFORMATION)
        is_list_changed = listed is not None and self._is_changed(
            listed, sizes.get(INFORMATION, 0)
        )
        others = (extents[f].end != end for f, end in sizes.items() if f in extents)
        notices: list[Notice] = []
        if is_list_changed or any(others):
            from bikecollect.storage.repair import foreign  # seldom needed

            notices = foreign.set_foreign_aside(
                self.ledger, self.store, self.payloads, self.mirror
            )
        if notices:
            extents, is_list_changed = self.ledger.extents(), False
        elif self.ledger.was_absent:
            notices = found_absent(self.ledger, sizes, self.mirror)
        for file in sizes.keys() - extents.keys():  # may have been archived
            extents |= self.ledger.extents(day_of_file(file))
        if is_list_changed:
            sizes.pop(INFORMATION, None)  # it is rebuilt at the end
        # The list of stations last: its slots have their blocks then, see `_file`.
        for file in sorted(sizes, key=lambda file: file == INFORMATION):
            extent = extents.get(file)
            if extent is None or not (extent.damaged or extent.end == sizes[file]):
                notices += self._file(file, sizes[file], extent)
        notices += self._vanished(extents, sizes)
        if is_list_changed:
            notices += self.rebuild_stations()
        return notices

    def recover_beside_runs(self) -> None:
        """Do the same for a command that sends no alerts: the next run does it."""
        notices = found_at_open(self.ledger, self.mirror)
        left_notices.leave(self.ledger, [*notices, *self._recover_files()])

    def find_newer_payloads(self, slot: Slot, interval: int) -> list[Notice]:
        """Return a notice if kept payloads fill the gap before the block of *slot*.

        In that case an older copy of the folder was restored over a newer one.
        """
        last = self.ledger.block_before(slot)
        if last is None or last.slot >= slot - interval:
            return []
        return self._newer_payloads(last, slot)

    def _payloads_before(self, groups: Sequence[Group]) -> list[Notice]:
        """Return a notice if kept payloads fill the gap before the adopted *groups*.

        In that case an older copy was restored, but the newest files were not replaced.
        """
        last = self.ledger.block_before(groups[0].slot) if groups else None
        if last is None or last.source == ADOPTED:
            return []
        return self._newer_payloads(last, groups[0].slot)

    def _newer_payloads(self, last: Block, slot: Slot) -> list[Notice]:
        """Return a notice if there are kept payloads between *last* and *slot*."""
        kept = {slot_of(name) for name in self.payloads.kept()}
        newer = sorted(other for other in kept if last.slot < other < slot)
        if not newer:
            return []
        slots = count_of(len(newer), "slot")
        text = (
            f"the ledger ended at {stamp(last.slot)}, kept payloads of {slots} are "
            f"newer (to {stamp(newer[-1])}): was an older copy of the folder restored? "
            "to fill these slots, run: bikecollect backfill"
        )
        return [Notice("older-copy", text)]

    def rebuild_stations(self) -> list[Notice]:
        """Rewrite the list of stations from all versions in the ledger.

        A list with lines that are not in the ledger is moved to the rejected payloads.
        """
        versions = self.ledger.station_versions()
        if not versions:
            return []
        groups = [
            information_lines(slot, self.zone, stations)
            for slot, stations in versions.items()
        ]
        text = information_header() + b"".join(groups)
        old = self.store.content(INFORMATION)
        reason = "is missing" if old is None else "was changed by another program"
        if old is not None and sorted(old.split(b"\n")) == sorted(text.split(b"\n")):
            reason = "was intact"
        elif old is not None and set(old.split(b"\n")) <= set(text.split(b"\n")):
            reason = "lacked versions"
        elif old is not None:
            name = f"{INFORMATION}.{zlib.crc32(old):08x}.changed"
            reason = f"{reason} (moved to {self.payloads.set_aside(name, old)})"
        self.store.replace(INFORMATION, text)
        start, end = len(text) - len(groups[-1]), len(text)
        span = Span(INFORMATION, start, end, zlib.crc32(groups[-1]))
        self.ledger.replace_file(span)
        count = count_of(sum(map(len, versions.values())), "version")
        what = f"{INFORMATION} {reason}: rebuilt from the ledger, {count}"
        return [Notice("list-repaired", what)]

    def check_stations(self) -> list[Repair]:
        """Rebuild the list of stations if a line of it is not in the ledger."""
        versions = self.ledger.station_versions()
        lines = {
            line
            for slot, stations in versions.items()
            for line in information_lines(slot, self.zone, stations).split(b"\n")
        }
        text = self.store.content(INFORMATION)
        expected = {*lines, information_header().rstrip(b"\n")}
        if not versions or (text and set(text.split(b"\n")) == expected):
            return []
        self.rebuild_stations()
        return [Repair(INFORMATION, sum(map(len, versions.values())), ())]

    def _is_changed(self, extent: Extent, size: int) -> bool:
        """Return whether the end of a file differs from what the ledger recorded."""
        return (
            extent.damaged
            or size < extent.end
            or self.store.crc(extent.last) != extent.last.crc
        )

    def recover_runs(self, current: Run, notes: RunNotes) -> list[Run]:
        """Record the runs of *notes* that have ended; killed runs are recorded too."""
        runs = []
        for note, run in notes.orphans():
            if run is None:
                # Empty: its run has not written it yet, or could not write it.
                if note.name < stamp(current.slot):
                    notes.forget(note)
            elif run.run_id != current.run_id:
                # A run may be killed after it was recorded, before its note is removed.
                has_ended = run.outcome is not Outcome.KILLED
                if has_ended or not self.ledger.has_run(run.run_id):
                    runs.append(run)
                    self.ledger.record([run])
                notes.forget(note)
        notes.remove_half_written()
        return runs

    def _file(self, file: str, size: int, extent: Extent | None) -> list[Notice]:
        end = extent.end if extent else 0
        is_changed = extent is None or self._is_changed(extent, size)
        if is_changed and (notices := _correct_end(file, self.store, self.ledger)):
            return notices
        if size < end:
            return self._abandon(file, f"has {size} bytes, {end} were written")
        if extent and is_changed:
            return self._abandon(file, "was changed by another program")
        waiting = self.payloads.waiting_slots()
        if file == INFORMATION:
            # A slot with a block is not committed again, so its stations must be
            # adopted too.
            again = set(waiting) - self.ledger.slots()
            tail = self.store.tail(file, end, again, ())
            self._adopt_information(tail)
            return self._cut(tail, size)
        is_lost = bool(self.ledger.was_absent or self.ledger.trouble)
        known = self.ledger.slots()
        tail = self.store.tail(file, end, waiting, known, is_lost=is_lost)
        notices = self._payloads_before(tail.groups)
        self.ledger.adopt(adopted_block(group, ADOPTED) for group in tail.groups)
        return [*notices, *self._cut(tail, size)]

    def _abandon(self, file: str, reason: str) -> list[Notice]:
        self.ledger.mark_damaged(file)
        text = f"{file} {reason}: it is left unchanged, {left_notices.ABANDONED}; run: "
        return [Notice("damage", text + _repair(self.ledger))]

    def _vanished(
        self, extents: Mapping[str, Extent], sizes: Mapping[str, int]
    ) -> list[Notice]:
        vanished = {
            file: [slot for (slot,) in self.ledger.all(SLOTS, file)]
            for file, extent in extents.items()
            if file not in sizes and extent.end and not extent.damaged
            if file != INFORMATION
        }
        for file in vanished:
            self.ledger.mark_damaged(file)
        # Without blocks it has lost nothing, or never existed: the ledger is damaged.
        return [self._missing(file, slots) for file, slots in vanished.items() if slots]

    def _missing(self, file: str, slots: Sequence[Slot]) -> Notice:
        """Return a notice about the missing *file*, with the remedy."""
        from bikecollect.storage.repair.archived_rows import archived_remedy

        name = system_of(self.ledger)
        for (parts,) in self.ledger.all(PARTS, day_of_file(file)):
            if remedy := archived_remedy(self.ledger.folder, name, file, parts):
                text = f"{file} is missing: {left_notices.ABANDONED}; {remedy}"
                return Notice("archived-missing", text)
        kept = self.payloads.kept()
        remedy = remedy_of_missing(name, file, kept, slots, self.mirror)
        text = f"{file} is missing: {left_notices.ABANDONED}; {remedy}"
        return Notice("file-missing", text)

    def _adopt_information(self, tail: Tail) -> None:
        if not tail.groups:
            return
        versions = {group.slot: _versions(group) for group in tail.groups}
        self.ledger.adopt_stations(tail.groups[-1].span, versions)

    def _cut(self, tail: Tail, size: int) -> list[Notice]:
        notices = adopted(self.ledger, tail, self.mirror)
        if tail.cut < size:
            if tail.strange:
                name = f"{tail.file.replace('/', '.')}.{tail.cut}-{size}.tail"
                path = self.payloads.set_aside(name, tail.strange)
                text = f"{tail.file} ended in bytes of no block: moved to {path}"
                notices.append(Notice("file-repaired", text))
            self.store.truncate(tail.file, tail.cut)
        return notices


def _versions(group: Group) -> list[StationInformation]:
    versions = []
    for row in group.rows:
        try:
            versions.append(read_information(row))
        except ValueError:
            continue  # not written by bikecollect
    return versions


def _correct_end(file: str, store: "Store", ledger: "Ledger") -> list[Notice]:
    from bikecollect.storage.repair.records import correct_end  # seldom needed

    return correct_end(ledger, store, file)


def _repair(ledger: "Ledger") -> str:
    return f"bikecollect verify --repair {system_of(ledger)}"


def target(
    day: str, header: bytes, store: "Store", ledger: "Ledger"
) -> tuple[str, int, Notice | None]:
    """Return the file for the next block of *day*, its end in bytes, and a notice.

    It is the newest segment, or a new one if that is damaged or has other columns. The
    notice is set if the checksum of a file's last block does not match: it is marked as
    damaged.
    """
    extents = ledger.extents(day)
    files = sorted(
        {*store.segments(day), *(f for f in extents if day_of_file(f) == day)},
        key=_number,
    )
    if not files:
        return f"{store.dataset}/{day}.csv", 0, None
    file = files[-1]
    extent = extents.get(file, Extent(0, Span(file, 0, 0, 0), damaged=False))
    after = f"{store.dataset}/{day}.{_number(file) + 1}.csv"
    if extent.damaged:
        return after, 0, None
    if extent.end and (crc := store.crc(extent.last)) != extent.last.crc:
        if notices := _correct_end(file, store, ledger):
            return file, store.sizes()[file], notices[0]
        ledger.mark_damaged(file)
        reason = "cannot be read" if crc is None else "was changed by another program"
        text = f"{file} {reason} (its last block): new rows go to {after}; run: "
        return after, 0, Notice("damage", text + _repair(ledger))
    if extent.end and store.header(file) != header:
        return after, 0, None
    return file, extent.end, None


def _number(file: str) -> int:
    parts = file.rpartition("/")[2].split(".")
    return int(parts[1]) if len(parts) > 2 else 1  # noqa: PLR2004 - DAY.N.csv

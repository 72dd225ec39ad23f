"""Healing: what killed runs, torn files and lost ledgers left is put right."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bikecollect.core.blocks import Block, Extent, Group, Span, Tail
from bikecollect.core.errors import Outcome
from bikecollect.core.run import Notice, Run
from bikecollect.core.slots import from_iso, stamp
from bikecollect.core.snapshot import StationInformation
from bikecollect.storage.csv_format import read_information
from bikecollect.storage.data_folder import INFORMATION, STATUS
from bikecollect.storage.run_notes import RunNotes

if TYPE_CHECKING:
    from bikecollect.storage.csv_store import Store
    from bikecollect.storage.ledger import Ledger
    from bikecollect.storage.payload_store import Payloads


@dataclass(frozen=True, eq=False, repr=False)
class Recovery:
    """Brings the files and the ledger of one system into agreement.

    Every step is computed from what lies on the disk, so that a crash in the
    middle of healing is healed by the next run. Needs the lock and an open ledger.
    """

    payloads: "Payloads"
    store: "Store"
    ledger: "Ledger"

    def recover_files(self) -> list[Notice]:
        """Adopt, cut or give up whatever does not end where the ledger says."""
        extents, notices = self.ledger.extents(), []
        sizes = self.store.sizes()
        for file, size in sorted(
            sizes.items(), key=lambda each: each[0] == INFORMATION
        ):
            extent = extents.get(file)
            if extent is not None and (extent.damaged or extent.end == size):
                continue
            notices += self._file(file, size, extent)
        return notices + self._vanished(extents)

    def recover_runs(self, current: Run, notes: RunNotes) -> list[Run]:
        """Take in the *notes* of runs that are over; a killed one is named so."""
        found = []
        for note, run in notes.orphans():
            if run is None:
                # Empty: its run is about to write it, or could not in its time.
                if note.name < stamp(current.slot):
                    notes.forget(note)
            elif run.run_id != current.run_id:
                # A run may be killed between its account and the note's removal.
                ended = run.outcome is not Outcome.KILLED
                if ended or not self.ledger.has_run(run.run_id):
                    found.append(run)
                    self.ledger.record([run])
                notes.forget(note)
        return found

    def _file(self, file: str, size: int, extent: Extent | None) -> list[Notice]:
        end = extent.end if extent else 0
        if size < end:
            return self._give_up(file, f"has {size} bytes where {end} were written")
        if extent and self.store.crc(extent.last) != extent.last.crc:
            return self._give_up(file, "was changed by somebody else")
        waiting = self.payloads.waiting_slots()
        if file == INFORMATION:
            # A slot whose block was adopted is not committed again: its stations
            # would not be written a second time.
            again = set(waiting) - self.ledger.slots()
            tail = self.store.tail(file, end, again, ())
            self._adopt_information(tail)
        else:
            tail = self.store.tail(file, end, waiting, self.ledger.slots())
            self.ledger.adopt(_adopted(group) for group in tail.groups)
        return self._cut(tail, size)

    def _give_up(self, file: str, what: str) -> list[Notice]:
        self.ledger.mark_damaged(file)
        text = f"{file} {what}: it is left as it is, a new segment is begun"
        return [Notice("damage", text)]

    def _vanished(self, extents: dict[str, Extent]) -> list[Notice]:
        there = self.store.sizes()
        gone = [
            file
            for file, extent in extents.items()
            if file not in there and extent.end and not extent.damaged
        ]
        return [each for file in gone for each in self._give_up(file, "has vanished")]

    def _adopt_information(self, tail: Tail) -> None:
        if not tail.groups:
            return
        versions = {group.slot: _versions(group) for group in tail.groups}
        self.ledger.adopt_stations(tail.groups[-1].span, versions)

    def _cut(self, tail: Tail, size: int) -> list[Notice]:
        adopted = [
            Notice("ledger", f"{len(tail.groups)} blocks of {tail.file} adopted")
        ]
        notices = adopted if tail.groups else []
        if tail.cut < size:
            if tail.strange:
                name = f"{tail.file.replace('/', '.')}.{tail.cut}-{size}.tail"
                kept = self.payloads.set_aside(name, tail.strange)
                text = (
                    f"{tail.file} ended in bytes that are no rows; they lie in {kept}"
                )
                notices.append(Notice("damage", text))
            self.store.truncate(tail.file, tail.cut)
        return notices


def _adopted(group: Group) -> Block:
    fetched_at = _epoch(group.rows[0][1])
    return Block(
        slot=group.slot,
        span=group.span,
        rows=len(group.rows),
        fetched_at=fetched_at,
        source="adopted",
    )


def _epoch(text: str) -> float:
    try:
        return float(from_iso(text))
    except ValueError:
        return 0.0


def _versions(group: Group) -> list[StationInformation]:
    found = []
    for row in group.rows:
        try:
            found.append(read_information(row))
        except ValueError:
            continue  # a line that somebody wrote by hand
    return found


def target(
    day: str, header: bytes, store: "Store", extents: dict[str, Extent]
) -> tuple[str, int, Notice | None]:
    """Return the file that takes the next block of *day*, and where it ends.

    The newest segment, unless it is damaged or has other columns. A file whose
    last block no longer has its checksum is damaged, and named in the notice.
    """
    taken = sorted(
        {*store.segments(day), *(f for f in extents if _day(f) == day)}, key=_number
    )
    if not taken:
        return f"{STATUS}/{day}.csv", 0, None
    file = taken[-1]
    extent = extents.get(file, Extent(0, Span(file, 0, 0, 0), damaged=False))
    after = f"{STATUS}/{day}.{_number(file) + 1}.csv"
    if extent.damaged:
        return after, 0, None
    if extent.end and store.crc(extent.last) != extent.last.crc:
        text = f"the last block of {file} was changed; {after} is begun"
        return after, 0, Notice("damage", text)
    if extent.end and store.header(file) != header:
        return after, 0, None
    return file, extent.end, None


def _day(file: str) -> str:
    return file.rpartition("/")[2].partition(".")[0]


def _number(file: str) -> int:
    parts = file.rpartition("/")[2].split(".")
    return int(parts[1]) if len(parts) > 2 else 1  # noqa: PLR2004 - DAY.N.csv

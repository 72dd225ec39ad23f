"""Verify that files, ledger and checksums of a system agree, byte for byte."""

import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, NamedTuple

from bikecollect.archive import day_csv
from bikecollect.archive.archived_days import Archived, archived_days
from bikecollect.archive.certificates import Certificate, Finding
from bikecollect.archive.checks.confirmation import Names, confirmed
from bikecollect.archive.checks.csv_files import (
    DailyFile,
    check_file,
    check_information,
    describe_damage,
)
from bikecollect.archive.checks.lost_blocks import otherwise_archived
from bikecollect.archive.checks.payload_files import (
    check_payload,
    comparable,
    count_gone,
    unknown_to,
)
from bikecollect.archive.checks.remedies import OTHER_SLOTS, STRUCTURE, UNREADABLE
from bikecollect.archive.checks.snapshot import read_snapshot
from bikecollect.archive.day_archive import Archive
from bikecollect.core.blocks import Block, day_of_file
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import EARLIEST, LATEST, stamp
from bikecollect.storage.csv_store import Store, is_segment, slot_of
from bikecollect.storage.data_folder import ARCHIVE, INFORMATION, LEDGER, SystemFolder
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.ledger_schema import GONE
from bikecollect.storage.lock import Lock
from bikecollect.storage.repair.lost_days import is_half_replaced
from bikecollect.storage.repair.records import corrected, corrections, misnamed
from bikecollect.storage.sqlite.ledger_file import reason, suspect

CHANGED = "its archived rows have changed"
INTERRUPTED = "a compact that replaced its files was interrupted"


class _Day(NamedTuple):
    """A day to certify, and its archived form in the ledger."""

    name: str
    blocks: Sequence[Block]
    archived: Archived | None
    is_certified: bool

    @property
    def is_live(self) -> bool:
        """Whether its certificate is computed from its CSV."""
        is_removed = self.archived is not None and self.archived.csv_gone
        return bool(self.blocks) and not is_removed


@dataclass
class VerifiedCounts:
    """The numbers of verified items; of kept payloads also those that are *gone*."""

    files: int = 0
    blocks: int = 0
    days: int = 0
    payloads: int = 0
    gone: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class Verifier:
    """Verifies all files of one system, without changing anything.

    If *deep*, the rows of archived days are read back, not only the bytes of their
    files. Days from *since* to before *until* get a certificate.
    """

    system: SystemFolder
    archive: Archive
    store: Store
    history: History
    lock: Lock
    counts: VerifiedCounts
    deep: bool = False
    since: str = ""
    until: str = "9"
    sleep: Callable[[float], object] = time.sleep

    def run(self) -> Iterator[Finding | Certificate]:
        """Yield a certificate per good day, then a finding per disagreement."""
        yield from confirmed(self._look)

    def _look(self, names: Collection[str] | None) -> Iterator[Finding | Certificate]:
        """Verify the files and days called *names*; all of them if it is None."""
        verifier = self if names is None else replace(self, counts=VerifiedCounts())
        yield from verifier._verify(Names(names))  # noqa: SLF001 - of this class

    def _verify(self, names: Names) -> Iterator[Finding | Certificate]:
        if LEDGER in names and (damage := list(self._structure())):
            yield from damage  # what else it says is in doubt
            return
        kept = comparable(self.system)  # before the blocks that have them
        sizes, known, files, stations, archives = read_snapshot(
            self.system, self.store, self.history, self.lock, self.sleep
        )
        wrong = list(corrections(self.store, names.suspects(known), sizes))
        if names.names is not None:
            named = {*sizes, *(file for file, *_ in files)}
            wrong = [*misnamed(corrected(known, wrong), named), *wrong]
        for correction in wrong:
            yield self._finding(correction.file, correction.text)
        known = corrected(known, wrong)
        blocks = [block for block in known if is_segment(block.span.file)]
        days = [
            d
            for d in self._wanted(blocks, archived_days(archives))
            if names.has(d.name, d.blocks)
        ]
        if LEDGER in names:
            yield from self._ledger()
            yield from self._impossible(known)
            if what := unknown_to(self.history, kept, known, self.system.zone):
                yield self._finding(LEDGER, what)
        yield from self._files(blocks, files, sizes, days, names)
        if INFORMATION in names:
            yield from self._information(stations, sizes.get(INFORMATION, 0))
        for day in days:
            yield from self._day(day, sizes)
        yield from self._other_slots(days, files)
        sums = {block.run_id: block.sha256 for block in blocks}
        yield from self._payloads(sums, names)
        self.counts.gone = count_gone(self.system, blocks)

    def _finding(self, where: object, what: str) -> Finding:
        return Finding(self.system.system_id, str(where), what)

    def _structure(self) -> Iterator[Finding]:
        """Yield how SQLite finds the ledger damaged; the next run repairs it."""
        for (verdict,) in self.history.select("PRAGMA integrity_check"):
            if verdict != "ok":
                suspect(self.system.ledger)
                yield self._finding(LEDGER, f"{STRUCTURE}: {reason(verdict)}")

    def _ledger(self) -> Iterator[Finding]:
        for day in self.history.days_of_damaged_runs():
            what = f"the packed runs of {day} are damaged; run: bikecollect compact"
            yield self._finding(LEDGER, what)

    def _impossible(self, blocks: Sequence[Block]) -> Iterator[Finding]:
        """Yield the blocks that readers skip as implausible."""
        for block in blocks:
            if not is_segment(block.span.file):
                what = f"a block in {block.span.file!r:.80}, which is not a daily file"
                yield self._finding(LEDGER, what)
            elif not EARLIEST <= block.slot <= LATEST:
                yield self._finding(
                    LEDGER, f"a block of {stamp(block.slot)}: impossible slot"
                )

    def _files(
        self,
        blocks: Sequence[Block],
        files: Sequence[Sequence[Any]],
        sizes: Mapping[str, int],
        days: Sequence[_Day],
        names: Names,
    ) -> Iterator[Finding]:
        """Yield what is wrong with the CSV files in *names*.

        Blocks of days that get a certificate are read for it, not here.
        """
        read_later = {day.name for day in days if day.is_live}
        known = {file: (end, damaged, crc) for file, end, damaged, crc in files}
        by_file = {
            file: [block.span for block in members]
            for file, members in groupby(blocks, key=lambda block: block.span.file)
        }
        for name in sorted({*sizes, *known, *by_file} - {INFORMATION}):
            end, damaged, header = known.get(name, (0, 0, None))
            if damaged == GONE or name not in names:
                continue
            spans = by_file.get(name, [])
            self.counts.files += 1
            self.counts.blocks += len(spans) if name in sizes else 0
            file = DailyFile(name, sizes.get(name), end, bool(damaged), header, spans)
            is_read_here = day_of_file(name) not in read_later
            for what in check_file(file, self.store, reads_blocks=is_read_here):
                yield self._finding(name, what)

    def _information(
        self, rows: Sequence[Sequence[Any]], size: int
    ) -> Iterator[Finding]:
        """Yield how station_information.csv differs from the ledger."""
        self.counts.files += bool(size)
        for what in check_information(self.system, rows, size):
            yield self._finding(INFORMATION, what)

    def _wanted(
        self, blocks: Sequence[Block], archived: Mapping[str, Archived]
    ) -> list[_Day]:
        """Return the days that get a certificate, with their blocks in order."""
        by_day: dict[str, list[Block]] = {}
        for block in sorted(blocks, key=lambda block: block.slot):
            by_day.setdefault(block.span.day, []).append(block)
        certified = self.archive.days()
        return [
            _Day(day, by_day.get(day, []), archived.get(day), day in certified)
            for day in sorted({*archived, *by_day, *certified})
            if self.since <= day < self.until
        ]

    def _day(
        self, day: _Day, sizes: Mapping[str, int]
    ) -> Iterator[Finding | Certificate]:
        self.counts.days += 1
        if day.archived:
            yield from self._archived(day.archived, is_only=not day.is_live)
        elif day.is_certified:
            what = "is in the archive, but not in the ledger"
            yield self._finding(day.name, what)
        if day.is_live or not day.archived:
            yield from self._live(day, sizes)

    def _archived(
        self, archived: Archived, *, is_only: bool
    ) -> Iterator[Finding | Certificate]:
        """Yield what is wrong with the files of a day.

        Without its CSV (*is_only*) its certificate is that of its archived rows.
        """
        damage = self.archive.damage(archived)
        folder, name = self.archive.data / ARCHIVE, self.archive.system.system_id
        if damage and is_half_replaced(folder, name, archived.day):
            damage = [INTERRUPTED]
        changed = self._read_back(archived) if self.deep and not damage else []
        for what in (*damage, *changed):
            yield self._finding(archived.day, what)
        rows = archived.only(self.archive.layout.rows)
        if is_only and not (changed or (damage and self.archive.damage(rows))):
            system_id, summary = self.system.system_id, archived.summary
            yield Certificate(system_id, archived.day, summary, "archive")

    def _other_slots(
        self, days: Iterable[_Day], files: Iterable[Sequence[Any]]
    ) -> Iterator[Finding]:
        """Yield the archived days of which the ledger has other blocks."""
        blocks = {d.name: d.blocks for d in days if d.archived and not d.is_live}
        removed = {file for file, _, damaged, _ in files if damaged == GONE}
        for name in otherwise_archived(self.archive, blocks, removed):
            yield self._finding(name, OTHER_SLOTS)

    def _read_back(self, archived: Archived) -> list[str]:
        """Return what is wrong with the archived rows, once they are read back."""
        day = archived.day
        try:
            columns = self.archive.columns(day)
            summary = self.archive.summary(day, self.system.zone, columns)
        except StorageError as error:  # other days can be read
            return [f"{UNREADABLE}: {error}"]
        return [] if summary == archived.summary else [CHANGED]

    def _live(
        self, day: _Day, sizes: Mapping[str, int]
    ) -> Iterator[Finding | Certificate]:
        """Read each block once: for its checksum, its rows, and the day's digest."""
        blocks = [b for b in day.blocks if b.span.end <= sizes.get(b.span.file, 0)]
        findings: list[Finding] = []
        texts = self._texts(blocks, findings)
        try:
            files = sorted({block.span.file for block in blocks})
            columns = {f: day_csv.columns_of(self.store.header(f)) for f in files}
            pieces = (
                day_csv.Piece(block.slot, columns[block.span.file], text)
                for block, text in texts
            )
            lines = day_csv.lines(pieces, day_csv.union(columns.values()))
            summary = day_csv.total(lines)
        except (StorageError, ValueError, IndexError, RuntimeError):
            summary = None
        for _ in texts:
            continue  # check the blocks after an unreadable one, too
        yield from findings
        if any(finding.what.startswith(UNREADABLE) for finding in findings):
            return
        if len(blocks) < len(day.blocks):
            return  # `_files` reports what is missing
        if summary is None:
            if not findings:
                what = "its files were changed during the verification"
                yield self._finding(day.name, what)
            return
        archived = day.archived.summary if day.archived else summary
        is_same_size = archived[:2] == summary[:2]
        if archived != summary and is_same_size and not findings:
            yield self._finding(day.name, "CSV and archive have different rows")
        yield Certificate(self.system.system_id, day.name, summary, "csv")

    def _texts(
        self, blocks: Sequence[Block], findings: list[Finding]
    ) -> Iterator[tuple[Block, bytes]]:
        """Yield the bytes of *blocks*; append what is wrong with them to *findings*."""
        for block in blocks:
            try:
                text = self.store.text(block.span)
            except StorageError as error:  # a bad sector: other blocks are checked
                what = f"{UNREADABLE}: {error}"
                findings.append(self._finding(block.span.file, what))
                yield block, b""
                continue
            if zlib.crc32(text) != block.span.crc:
                what = describe_damage(block.span)
                findings.append(self._finding(block.span.file, what))
            if text.count(b"\n") != block.rows or (
                text and slot_of(text) != block.slot
            ):
                slot = stamp(block.slot)
                what = f"the block of {slot} has other rows than the ledger says"
                findings.append(self._finding(block.span.file, what))
            yield block, text

    def _payloads(self, sums: Mapping[str, str], names: Names) -> Iterator[Finding]:
        """Yield the payloads that are unreadable or differ from the committed ones."""
        for path in sorted((self.system.payloads).rglob("*.zip")):
            name = str(path.relative_to(self.system.path))
            if name in names:
                self.counts.payloads += 1
                if what := check_payload(path, sums):
                    yield self._finding(name, what)

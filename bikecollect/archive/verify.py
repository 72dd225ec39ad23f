"""Verification that files, ledger and checksums of a system agree, byte for byte."""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from bikecollect.archive import day_csv
from bikecollect.archive.archived_days import GONE, Archived, archived_days
from bikecollect.archive.certificates import Certificate, Finding
from bikecollect.archive.day_archive import Archive
from bikecollect.core.blocks import Block, Span
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import EARLIEST, LATEST, Slot, from_iso, stamp
from bikecollect.core.snapshot import StationInformation
from bikecollect.storage.csv_format import information_header, information_lines
from bikecollect.storage.csv_store import Store, is_segment
from bikecollect.storage.data_folder import INFORMATION, LEDGER, SystemFolder
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.lock import Lock

BLOCKS = 'SELECT * FROM main.blocks ORDER BY file, start, "end"'
FILES = 'SELECT file, "end", damaged, header FROM files'


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
    """How much was verified."""

    files: int = 0
    blocks: int = 0
    days: int = 0
    payloads: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class Verifier:
    """Verifies all files of one system; changes nothing.

    *deep* also reads the rows of archived days back, not only the bytes of their files.
    Days from *since* to before *until* get a certificate.
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

    def run(self) -> Iterator[Finding | Certificate]:
        """Yield a finding per disagreement, and a certificate per good day."""
        with self._without_writers():
            sizes = self.store.sizes()
            known = [Block.from_row(row) for row in self.history.select(BLOCKS)]
            files = self.history.select(FILES)
            stations = self.history.select("SELECT * FROM stations")
            archives = self.history.select("SELECT * FROM archives")
        blocks = [block for block in known if is_segment(block.span.file)]
        days = self._wanted(blocks, archived_days(archives))
        yield from self._ledger()
        yield from self._impossible(known)
        yield from self._files(blocks, files, sizes, days)
        yield from self._information(stations, sizes.get(INFORMATION, 0))
        for day in days:
            yield from self._day(day)
        yield from self._payloads({block.run_id: block.sha256 for block in blocks})

    @contextmanager
    def _without_writers(self) -> Iterator[None]:
        """Hold the lock, so that no run is amid a commit; a read-only copy has none."""
        if not os.access(self.system.path, os.W_OK):
            yield
            return
        with self.lock.held():
            yield

    def _finding(self, where: object, what: str) -> Finding:
        return Finding(self.system.system_id, str(where), what)

    def _ledger(self) -> Iterator[Finding]:
        for (verdict,) in self.history.select("PRAGMA integrity_check"):
            if verdict != "ok":
                yield self._finding(LEDGER, verdict)
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
    ) -> Iterator[Finding]:
        """Yield what is wrong with the CSV files: every byte must belong to a block.

        Blocks of days that get a certificate are read for it, not here.
        """
        read_later = {day.name for day in days if day.is_live}
        known = {file: (end, damaged, crc) for file, end, damaged, crc in files}
        by_file = {
            file: [block.span for block in members]
            for file, members in groupby(blocks, key=lambda block: block.span.file)
        }
        for file in sorted({*sizes, *known, *by_file} - {INFORMATION}):
            end, damaged, header = known.get(file, (0, 0, None))
            if damaged == GONE:
                continue
            self.counts.files += 1
            if file not in sizes:
                yield self._finding(file, "is missing")
                continue
            if damaged:
                what = "is marked as damaged; run: bikecollect verify --repair"
                yield self._finding(file, what)
            yield from self._header(file, header)
            later = file[15:25] in read_later
            spans = by_file.get(file, [])
            yield from self._unaccounted(file, spans, sizes[file], end)
            yield from () if later else self._damaged(spans)

    def _header(self, file: str, crc: int | None) -> Iterator[Finding]:
        header = self.store.header(file)
        if crc is not None and zlib.crc32(header) != crc:
            yield self._finding(file, "its first line has changed")
        elif not header.startswith(
            (b"slot,fetched_at,station_id,", b"slot,fetched_at,vehicle_id,")
        ):
            yield self._finding(file, "its first line is not that of a daily file")

    def _unaccounted(
        self, file: str, spans: Sequence[Span], size: int, end: int
    ) -> Iterator[Finding]:
        position = len(self.store.header(file))
        for span in spans:
            self.counts.blocks += 1
            if span.start != position:
                what = f"bytes {position} to {span.start} belong to no block"
                yield self._finding(file, what)
            position = span.end
        if position != size:
            what = f"bytes {position} to {size} belong to no block"
            yield self._finding(file, what)
        elif end != size:
            what = f"ends at byte {size}, the ledger says {end}"
            yield self._finding(file, what)

    def _damaged(self, spans: Sequence[Span]) -> Iterator[Finding]:
        for span in spans:
            if self.store.crc(span) != span.crc:
                yield self._damage(span)

    def _damage(self, span: Span) -> Finding:
        what = f"the block in bytes {span.start} to {span.end} is damaged"
        return self._finding(span.file, what)

    def _information(
        self, rows: Sequence[Sequence[Any]], size: int
    ) -> Iterator[Finding]:
        """Yield how station_information.csv differs from the ledger."""
        path = self.system.path / INFORMATION
        if not size:
            if rows:
                yield self._finding(INFORMATION, "is missing")
            return
        self.counts.files += 1
        expected = {
            line
            for row in rows
            for line in information_lines(
                Slot(row[1]), self.system.zone, [_version(row)]
            ).splitlines()
        }
        head, *lines = path.read_bytes()[:size].splitlines()
        if head + b"\n" != information_header():
            yield self._finding(INFORMATION, "its first line has changed")
        for number, line in enumerate(lines, 2):
            if line not in expected:
                yield self._finding(INFORMATION, f"line {number} is not in the ledger")
        if missing := expected - set(lines):
            yield self._finding(INFORMATION, f"{len(missing)} versions are missing")

    def _wanted(
        self, blocks: Sequence[Block], archived: Mapping[str, Archived]
    ) -> list[_Day]:
        """Return the days that get a certificate, with their blocks in order."""
        by_day: dict[str, list[Block]] = {}
        for block in sorted(blocks, key=lambda block: block.slot):
            by_day.setdefault(block.span.file[15:25], []).append(block)
        certified = self.archive.days()
        return [
            _Day(day, by_day.get(day, []), archived.get(day), day in certified)
            for day in sorted({*archived, *by_day, *certified})
            if self.since <= day < self.until
        ]

    def _day(self, day: _Day) -> Iterator[Finding | Certificate]:
        self.counts.days += 1
        if day.archived:
            yield from self._archived(day.archived)
        elif day.is_certified:
            what = "is in the archive, but not in the ledger"
            yield self._finding(day.name, what)
        if day.archived and not day.is_live:
            yield self._certificate(day.archived)
        else:
            yield from self._live(day)

    def _archived(self, archived: Archived) -> Iterator[Finding]:
        for what in self.archive.damage(archived):
            yield self._finding(archived.day, what)
        try:
            certified = self.archive.certified(archived.day)
        except StorageError as error:
            yield self._finding(archived.day, str(error))
            return
        if certified._replace(csv_gone=archived.csv_gone) != archived:
            yield self._finding(archived.day, "certificate and ledger differ")
        if self.deep:
            pieces = self.archive.pieces(archived.day, self.system.zone)
            columns = self.archive.columns(archived.day)
            if day_csv.total(day_csv.lines(pieces, columns)) != archived.summary:
                yield self._finding(archived.day, "its archived rows have changed")

    def _certificate(self, archived: Archived) -> Certificate:
        return Certificate(
            self.system.system_id, archived.day, archived.summary, "archive"
        )

    def _live(self, day: _Day) -> Iterator[Finding | Certificate]:
        """Read each block once: for its checksum, its rows, and the day's digest."""
        blocks = [b for b in day.blocks if (self.system.path / b.span.file).exists()]
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
            continue  # check the blocks after an unreadable one
        yield from findings
        if summary is None or len(blocks) < len(day.blocks):
            return  # reported by `_files`
        archived = day.archived.summary if day.archived else summary
        if archived != summary and archived[:2] == summary[:2]:
            yield self._finding(day.name, "CSV and archive have different rows")
        yield Certificate(self.system.system_id, day.name, summary, "csv")

    def _texts(
        self, blocks: Sequence[Block], findings: list[Finding]
    ) -> Iterator[tuple[Block, bytes]]:
        """Yield the bytes of *blocks*; append what is wrong with them to *findings*."""
        for block in blocks:
            text = self.store.text(block.span)
            if zlib.crc32(text) != block.span.crc:
                findings.append(self._damage(block.span))
            if text.count(b"\n") != block.rows or (text and _slot(text) != block.slot):
                slot = stamp(block.slot)
                what = f"the block of {slot} has other rows than the ledger says"
                findings.append(self._finding(block.span.file, what))
            yield block, text

    def _payloads(self, sums: dict[str, str]) -> Iterator[Finding]:
        """Yield the payloads that are unreadable or differ from the committed ones."""
        folder = self.system.path / "payloads"
        for path in sorted(folder.rglob("*.zip")):
            self.counts.payloads += 1
            run_id = path.name.split(".")[1] if path.name.count(".") > 1 else ""
            name = path.relative_to(self.system.path)
            try:
                digest = _documents(path)
            except FileNotFoundError:
                continue  # moved by a run in the meantime
            except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as e:
                yield self._finding(name, f"cannot be read: {e}")
                continue
            if sums.get(run_id) and digest != sums[run_id]:
                yield self._finding(name, "is not the payload that was committed")


def _slot(lines: bytes) -> Slot | None:
    try:
        return from_iso(lines.partition(b",")[0].decode("ascii"))
    except ValueError:
        return None


def _documents(path: Path) -> str:
    """Return the sha256 of the documents in the payload *path*, in their order."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(path) as file:
        details = json.loads(file.read("fetch.json"))
        for document in details["documents"]:
            digest.update(file.read(document["body"]))
    return digest.hexdigest()


def _version(row: Sequence[object]) -> StationInformation:
    station_id, _, *values = row
    for place in (8, 12):
        flag = values[place]
        values[place] = None if flag is None else bool(flag)
    return StationInformation._make((station_id, *values))

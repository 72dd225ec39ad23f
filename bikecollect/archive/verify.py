"""The proof that files, ledger and checksums of a system agree, byte for byte."""

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

BLOCKS = "SELECT * FROM main.blocks ORDER BY file, start"
FILES = 'SELECT file, "end", damaged, header FROM files'


class _Day(NamedTuple):
    """A day to certify; *archived* is what the ledger says of it."""

    name: str
    blocks: Sequence[Block]
    archived: Archived | None
    is_certified: bool

    @property
    def is_live(self) -> bool:
        """Whether its certificate comes of its CSV."""
        gone = self.archived is not None and self.archived.csv_gone
        return bool(self.blocks) and not gone


@dataclass
class Looked:
    """How much was looked at."""

    files: int = 0
    blocks: int = 0
    days: int = 0
    payloads: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class Verifier:
    """Looks at all of one system's files; changes nothing.

    *deep* reads the rows of each archived day back, and not only its files' bytes.
    Days from *since* to before *until* get a certificate.
    """

    system: SystemFolder
    archive: Archive
    store: Store
    history: History
    lock: Lock
    looked: Looked
    deep: bool = False
    since: str = ""
    until: str = "9"

    def run(self) -> Iterator[Finding | Certificate]:
        """Yield what does not agree, and a certificate for each day that does."""
        with self._settled():
            sizes = self.store.sizes()
            known = [Block.from_row(row) for row in self.history.select(BLOCKS)]
            files = self.history.select(FILES)
            stations = self.history.select("SELECT * FROM stations")
            archives = self.history.select("SELECT * FROM archives")
        blocks = [each for each in known if is_segment(each.span.file)]
        days = self._wanted(blocks, archived_days(archives))
        yield from self._ledger()
        yield from self._impossible(known)
        yield from self._files(blocks, files, sizes, days)
        yield from self._information(stations, sizes.get(INFORMATION, 0))
        for day in days:
            yield from self._day(day)
        yield from self._payloads({each.run_id: each.sha256 for each in blocks})

    @contextmanager
    def _settled(self) -> Iterator[None]:
        """Let no run be between its file and the ledger; a copy has no runs."""
        if not os.access(self.system.path, os.W_OK):
            yield
            return
        with self.lock.held():
            yield

    def _found(self, where: object, what: str) -> Finding:
        return Finding(self.system.system_id, str(where), what)

    def _ledger(self) -> Iterator[Finding]:
        for (verdict,) in self.history.select("PRAGMA integrity_check"):
            if verdict != "ok":
                yield self._found(LEDGER, verdict)

    def _impossible(self, blocks: Sequence[Block]) -> Iterator[Finding]:
        """Yield the blocks that nothing but this looks at: readers leave them out."""
        for block in blocks:
            if not is_segment(block.span.file):
                what = f"a block in {block.span.file!r:.80}, which is no daily file"
                yield self._found(LEDGER, what)
            elif not EARLIEST <= block.slot <= LATEST:
                yield self._found(LEDGER, f"a block of {stamp(block.slot)}: no slot")

    def _files(
        self,
        blocks: Sequence[Block],
        files: Sequence[Sequence[Any]],
        sizes: Mapping[str, int],
        days: Sequence[_Day],
    ) -> Iterator[Finding]:
        """Yield what is wrong with the CSV files: every byte has its account.

        Blocks that make a certificate are read for it, not here.
        """
        read_later = {day.name for day in days if day.is_live}
        known = {file: (end, damaged, crc) for file, end, damaged, crc in files}
        by_file = {
            file: [each.span for each in found]
            for file, found in groupby(blocks, key=lambda each: each.span.file)
        }
        for file in sorted({*sizes, *known, *by_file} - {INFORMATION}):
            end, damaged, header = known.get(file, (0, 0, None))
            if damaged == GONE:
                continue
            self.looked.files += 1
            if file not in sizes:
                yield self._found(file, "has vanished")
                continue
            if damaged:
                yield self._found(file, "was given up as damaged; see: backfill")
            yield from self._header(file, header)
            later = file[15:25] in read_later
            spans = by_file.get(file, [])
            yield from self._tiles(file, spans, sizes[file], end)
            yield from () if later else self._damaged(spans)

    def _header(self, file: str, crc: int | None) -> Iterator[Finding]:
        header = self.store.header(file)
        if crc is not None and zlib.crc32(header) != crc:
            yield self._found(file, "its first line is not what was written")
        elif not header.startswith(b"slot,fetched_at,station_id,"):
            yield self._found(file, "its first line does not name our columns")

    def _tiles(
        self, file: str, spans: Sequence[Span], size: int, end: int
    ) -> Iterator[Finding]:
        at = len(self.store.header(file))
        for span in spans:
            self.looked.blocks += 1
            if span.start != at:
                yield self._found(
                    file, f"bytes {at} to {span.start} belong to no block"
                )
            at = span.end
        if at != size:
            yield self._found(file, f"bytes {at} to {size} belong to no block")
        elif end != size:
            yield self._found(
                file, f"the ledger says that it ends at {end}, not {size}"
            )

    def _damaged(self, spans: Sequence[Span]) -> Iterator[Finding]:
        for span in spans:
            if self.store.crc(span) != span.crc:
                yield self._damage(span)

    def _damage(self, span: Span) -> Finding:
        what = f"the block in bytes {span.start} to {span.end} is damaged"
        return self._found(span.file, what)

    def _information(
        self, rows: Sequence[Sequence[Any]], size: int
    ) -> Iterator[Finding]:
        """Yield whether station_information.csv says what the ledger knows."""
        path = self.system.path / INFORMATION
        if not size:
            if rows:
                yield self._found(INFORMATION, "has vanished")
            return
        self.looked.files += 1
        wanted = {
            line
            for row in rows
            for line in information_lines(
                Slot(row[1]), self.system.zone, [_version(row)]
            ).splitlines()
        }
        head, *lines = path.read_bytes()[:size].splitlines()
        if head + b"\n" != information_header():
            yield self._found(INFORMATION, "its first line is not what was written")
        for number, line in enumerate(lines, 2):
            if line not in wanted:
                yield self._found(
                    INFORMATION, f"line {number} is not what the ledger knows"
                )
        if missing := wanted - set(lines):
            yield self._found(INFORMATION, f"{len(missing)} versions are missing")

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
        self.looked.days += 1
        if day.archived:
            yield from self._archived(day.archived)
        elif day.is_certified:
            what = "is in the archive, and the ledger does not know"
            yield self._found(day.name, what)
        if day.archived and not day.is_live:
            yield self._certificate(day.archived)
        else:
            yield from self._live(day)

    def _archived(self, archived: Archived) -> Iterator[Finding]:
        for what in self.archive.damage(archived):
            yield self._found(archived.day, what)
        try:
            said = self.archive.certified(archived.day)
        except StorageError as error:
            yield self._found(archived.day, str(error))
            return
        if said._replace(csv_gone=archived.csv_gone) != archived:
            yield self._found(archived.day, "certificate and ledger do not agree")
        if self.deep:
            pieces = self.archive.pieces(archived.day, self.system.zone)
            columns = self.archive.columns(archived.day)
            if day_csv.total(day_csv.lines(pieces, columns)) != archived.summary:
                yield self._found(archived.day, "its archived rows are other ones")

    def _certificate(self, archived: Archived) -> Certificate:
        summary = archived.summary
        values = (archived.day, summary.slots, summary.rows, summary.sha256)
        return Certificate(self.system.system_id, *values, "archive")

    def _live(self, day: _Day) -> Iterator[Finding | Certificate]:
        """Read each block once: for its checksum, its rows, and the day's digest."""
        here = [b for b in day.blocks if (self.system.path / b.span.file).exists()]
        odd: list[Finding] = []
        texts = self._texts(here, odd)
        try:
            files = sorted({block.span.file for block in here})
            columns = {f: day_csv.columns_of(self.store.header(f)) for f in files}
            pieces = (
                day_csv.Piece(block.slot, columns[block.span.file], text)
                for block, text in texts
            )
            lines = day_csv.lines(pieces, day_csv.union(columns.values()))
            found = day_csv.total(lines)
        except (StorageError, ValueError, IndexError, RuntimeError):
            found = None
        for _ in texts:
            continue  # what lies behind the block that could not be read
        yield from odd
        if found is None or len(here) < len(day.blocks):
            return  # told of
        there = day.archived.summary if day.archived else found
        if there != found and there[:2] == found[:2]:
            yield self._found(day.name, "CSV and archive have other rows")
        yield Certificate(
            self.system.system_id,
            day.name,
            found.slots,
            found.rows,
            found.sha256,
            "csv",
        )

    def _texts(
        self, blocks: Sequence[Block], odd: list[Finding]
    ) -> Iterator[tuple[Block, bytes]]:
        """Yield the bytes of *blocks*; what is wrong with them goes to *odd*."""
        for block in blocks:
            text = self.store.text(block.span)
            if zlib.crc32(text) != block.span.crc:
                odd.append(self._damage(block.span))
            if text.count(b"\n") != block.rows or _slot(text) != block.slot:
                when = stamp(block.slot)
                what = f"the block of {when} has other rows than the ledger says"
                odd.append(self._found(block.span.file, what))
            yield block, text

    def _payloads(self, sums: dict[str, str]) -> Iterator[Finding]:
        """Yield which payloads cannot be read, or are not those that were committed."""
        folder = self.system.path / "payloads"
        for path in sorted(folder.rglob("*.zip")):
            self.looked.payloads += 1
            run_id = path.name.split(".")[1] if path.name.count(".") > 1 else ""
            name = path.relative_to(self.system.path)
            try:
                digest = _documents(path)
            except FileNotFoundError:
                continue  # moved on by a run in the meantime
            except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as e:
                yield self._found(name, f"cannot be read: {e}")
                continue
            if sums.get(run_id) and digest != sums[run_id]:
                yield self._found(name, "is not the payload that was committed")


def _slot(lines: bytes) -> Slot | None:
    try:
        return from_iso(lines.partition(b",")[0].decode("ascii"))
    except ValueError:
        return None


def _documents(path: Path) -> str:
    """Return the sha256 of the documents in the payload *path*, in their order."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(path) as box:
        about = json.loads(box.read("fetch.json"))
        for each in about["documents"]:
            digest.update(box.read(each["body"]))
    return digest.hexdigest()


def _version(row: Sequence[object]) -> StationInformation:
    station_id, _, *values = row
    for place in (8, 12):
        flag = values[place]
        values[place] = None if flag is None else bool(flag)
    return StationInformation._make((station_id, *values))

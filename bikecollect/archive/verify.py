"""The proof that files, ledger and checksums of a system agree, byte for byte."""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import tzinfo
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from bikecollect.archive import day_csv
from bikecollect.archive.archived_days import GONE, Archived, archived_day
from bikecollect.archive.day_archive import Archive
from bikecollect.core.blocks import Block, Span
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot, from_iso, stamp
from bikecollect.core.snapshot import StationInformation
from bikecollect.storage.csv_format import information_header, information_lines
from bikecollect.storage.csv_store import Store
from bikecollect.storage.data_folder import INFORMATION, LEDGER
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.lock import Lock

BLOCKS = "SELECT * FROM blocks ORDER BY file, start"
FILES = 'SELECT file, "end", damaged, header FROM files'


class Certificate(NamedTuple):
    """What a day amounts to; *sha256* is that of its rows as sorted CSV (see export).

    *where* is csv or archive.
    """

    system_id: str
    date: str
    slots: int
    rows: int
    sha256: str
    where: str


class Finding(NamedTuple):
    """Something that does not agree: *where* (a file, a day), and *what* about it."""

    system_id: str
    where: str
    what: str


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

    system_id: str
    folder: Path
    zone: tzinfo
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
            blocks = [Block.from_row(row) for row in self.history.select(BLOCKS)]
            files = self.history.select(FILES)
            stations = self.history.select("SELECT * FROM stations")
        yield from self._ledger()
        yield from self._files(blocks, files, sizes)
        yield from self._information(stations, sizes.get(INFORMATION, 0))
        yield from self._days(blocks)
        yield from self._payloads({each.run_id: each.sha256 for each in blocks})

    @contextmanager
    def _settled(self) -> Iterator[None]:
        """Let no run be between its file and the ledger; a copy has no runs."""
        if not os.access(self.folder, os.W_OK):
            yield
            return
        with self.lock.held():
            yield

    def _found(self, where: object, what: str) -> Finding:
        return Finding(self.system_id, str(where), what)

    def _ledger(self) -> Iterator[Finding]:
        for (verdict,) in self.history.select("PRAGMA integrity_check"):
            if verdict != "ok":
                yield self._found(LEDGER, verdict)

    def _files(
        self,
        blocks: Sequence[Block],
        files: Sequence[Sequence[Any]],
        sizes: Mapping[str, int],
    ) -> Iterator[Finding]:
        """Yield what is wrong with the CSV files: every byte has its account."""
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
            yield from self._spans(file, by_file.get(file, []), sizes[file], end)

    def _header(self, file: str, crc: int | None) -> Iterator[Finding]:
        header = self.store.header(file)
        if crc is not None and zlib.crc32(header) != crc:
            yield self._found(file, "its first line is not what was written")
        elif not header.startswith(b"slot,fetched_at,station_id,"):
            yield self._found(file, "its first line does not name our columns")

    def _spans(
        self, file: str, spans: Sequence[Span], size: int, end: int
    ) -> Iterator[Finding]:
        at = len(self.store.header(file))
        for span in spans:
            self.looked.blocks += 1
            if span.start != at:
                yield self._found(
                    file, f"bytes {at} to {span.start} belong to no block"
                )
            if self.store.crc(span) != span.crc:
                yield self._found(
                    file, f"the block in bytes {span.start} to {span.end} is damaged"
                )
            at = span.end
        if at != size:
            yield self._found(file, f"bytes {at} to {size} belong to no block")
        elif end != size:
            yield self._found(
                file, f"the ledger says that it ends at {end}, not {size}"
            )

    def _information(
        self, rows: Sequence[Sequence[Any]], size: int
    ) -> Iterator[Finding]:
        """Yield whether station_information.csv says what the ledger knows."""
        path = self.folder / INFORMATION
        if not size:
            if rows:
                yield self._found(INFORMATION, "has vanished")
            return
        self.looked.files += 1
        wanted = {
            line
            for row in rows
            for line in information_lines(
                Slot(row[1]), self.zone, [_version(row)]
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

    def _days(self, blocks: Sequence[Block]) -> Iterator[Finding | Certificate]:
        archived = {
            row[0]: archived_day(row)
            for row in self.history.select("SELECT * FROM archives")
        }
        by_day: dict[str, list[Block]] = {}
        for each in sorted(blocks, key=lambda block: block.slot):
            by_day.setdefault(each.span.file[15:25], []).append(each)
        for day in sorted({*archived, *by_day, *self.archive.days()}):
            if not self.since <= day < self.until:
                continue
            self.looked.days += 1
            there = archived.get(day)
            if there:
                yield from self._archived(there)
            elif day in self.archive.days():
                yield self._found(
                    day, "is in the archive, and the ledger does not know"
                )
            live = by_day.get(day, [])
            if there and (there.csv_gone or not live):
                yield self._certificate(there)
            else:
                yield from self._live(day, live, there)

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
            pieces = self.archive.pieces(archived.day, self.zone)
            columns = self.archive.columns(archived.day)
            if day_csv.total(day_csv.lines(pieces, columns)).sha256 != archived.sha256:
                yield self._found(archived.day, "its archived rows are other ones")

    def _certificate(self, archived: Archived) -> Certificate:
        values = (archived.day, archived.slots, archived.rows, archived.sha256)
        return Certificate(self.system_id, *values, "archive")

    def _live(
        self, day: str, blocks: Sequence[Block], there: Archived | None
    ) -> Iterator[Finding | Certificate]:
        files = sorted({each.span.file for each in blocks})
        if not all((self.folder / each).exists() for each in files):
            return  # told of already
        try:
            headers = {f: day_csv.columns_of(self.store.header(f)) for f in files}
            pieces = (
                day_csv.Piece(b.slot, headers[b.span.file], self.store.text(b.span))
                for b in blocks
            )
            found = day_csv.total(
                day_csv.lines(pieces, day_csv.union(headers.values()))
            )
        except (StorageError, ValueError, IndexError, RuntimeError):
            return  # a damaged block, told of already
        for each in blocks:
            lines = self.store.text(each.span)
            if lines.count(b"\n") != each.rows or _slot(lines) != each.slot:
                yield self._found(
                    each.span.file,
                    f"the block of {stamp(each.slot)} has other rows than the ledger "
                    "says",
                )
        same = there and (there.slots, there.rows) == (found.slots, found.rows)
        if there and same and there.sha256 != found.sha256:
            yield self._found(day, "CSV and archive have other rows")
        yield Certificate(
            self.system_id, day, found.slots, found.rows, found.sha256, "csv"
        )

    def _payloads(self, sums: dict[str, str]) -> Iterator[Finding]:
        """Yield which payloads cannot be read, or are not those that were committed."""
        folder = self.folder / "payloads"
        for path in sorted(folder.rglob("*.zip")):
            self.looked.payloads += 1
            run_id = path.name.split(".")[1] if path.name.count(".") > 1 else ""
            name = path.relative_to(self.folder)
            try:
                digest = _documents(path)
            except FileNotFoundError:
                continue  # moved on by a run in the meantime
            except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as e:
                yield self._found(name, f"cannot be read: {e}")
                continue
            if sums.get(run_id) and digest != sums[run_id]:
                yield self._found(name, "is not the payload that was committed")


def compared(
    found: Sequence[Certificate], kept: Sequence[Certificate]
) -> Iterator[Finding]:
    """Yield in what the certificates *found* differ from those *kept* from earlier."""
    now = {(each.system_id, each.date): each for each in found}
    for old in kept:
        new = now.get((old.system_id, old.date))
        if new is None:
            yield Finding(old.system_id, old.date, "is not there any more")
        elif new.sha256 != old.sha256:
            what = (
                f"has {new.slots} slots, {new.rows} rows, sha256 {new.sha256[:12]}...; "
                f"its certificate says {old.slots}, {old.rows}, {old.sha256[:12]}..."
            )
            yield Finding(old.system_id, old.date, what)


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

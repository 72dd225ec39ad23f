"""The rows of a day: from its CSV, and from the archive if that has been removed."""

import heapq
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bikecollect.archive import day_csv
from bikecollect.archive.archived_days import ArchivedDays
from bikecollect.archive.day_archive import Archive
from bikecollect.core.blocks import Block
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import bounds
from bikecollect.storage.csv_store import Store, is_header
from bikecollect.storage.repair import mirror_fill

REPAIR = "bikecollect verify --repair"


class DayRows(NamedTuple):
    """Reads the rows of days from *store* and *archive*; raises StorageError."""

    archive: Archive
    store: Store

    def read(
        self, archived_days: ArchivedDays, day: str
    ) -> tuple[tuple[str, ...], Iterator[day_csv.Piece]]:
        """Return the columns of *day* and its rows, slot by slot.

        A block whose CSV was removed is read from the archive, any other from its file.
        """
        removed = archived_days.removed_files()
        blocks = archived_days.blocks(*bounds(day, self.archive.system.zone))
        live = [block for block in blocks if block.span.file not in removed]
        files = sorted({block.span.file for block in live})
        checksums = archived_days.headers()
        headers = [self._columns(file, checksums.get(file)) for file in files]
        pieces = self._live_pieces(live)
        archived = archived_days.archived().get(day)
        if archived and len(live) < len(blocks):
            self.archive.raise_if_damaged(archived.only(self.archive.layout.rows))
            columns = self.archive.columns(day)
            headers.insert(0, columns)
            slots = {block.slot for block in live}
            old = self.archive.pieces(day, ZoneInfo(archived.timezone), columns)
            others = (piece for piece in old if piece.slot not in slots)
            pieces = heapq.merge(pieces, others, key=lambda piece: piece.slot)
        return day_csv.union(headers or [self.archive.layout.columns]), pieces

    def summary(self, archived_days: ArchivedDays, day: str) -> day_csv.DaySummary:
        """Return the summary of the rows of *day*."""
        columns, pieces = self.read(archived_days, day)
        return day_csv.total(day_csv.lines(pieces, columns))

    def _columns(self, file: str, crc: int | None) -> tuple[str, ...]:
        header = self.store.header(file)
        if not is_header(header, crc):
            name = self.archive.system.system_id
            what = f"{file}: its first line is damaged; run: {REPAIR} {name}"
            raise StorageError(what, cause="damage")
        return day_csv.columns_of(header)

    def _live_pieces(self, blocks: Sequence[Block]) -> Iterator[day_csv.Piece]:
        columns: dict[str, tuple[str, ...]] = {}
        name = self.archive.system.system_id
        for block in blocks:
            file, text = block.span.file, self.store.text(block.span)
            if zlib.crc32(text) != block.span.crc:
                mirror = mirror_fill(name, self.archive.system.mirror)
                raise StorageError(
                    f"{file}: the block at byte {block.span.start} is damaged; run: "
                    f"{REPAIR} {name}, then bikecollect backfill {name}; if neither "
                    f"has its rows, {mirror}archive the day without it: bikecollect "
                    f"compact --skip-damaged {name}",
                    cause="damage",
                )
            if file not in columns:
                columns[file] = day_csv.columns_of(self.store.header(file))
            yield day_csv.Piece(block.slot, columns[file], text)

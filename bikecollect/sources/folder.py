"""Another bikecollect's folder: its committed blocks, from its CSVs and its archive."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect import sheet
from bikecollect.archive import Archive
from bikecollect.block import Span
from bikecollect.history import History
from bikecollect.rows import COLUMNS
from bikecollect.shelf import GONE
from bikecollect.slot import Slot, from_iso
from bikecollect.snapshot import StationStatus
from bikecollect.sources import Foreign
from bikecollect.store import Store

BLOCKS = (
    'SELECT slot, file, start, "end", crc32 FROM blocks WHERE file NOT IN'
    " (SELECT file FROM files WHERE damaged = ?) ORDER BY slot"
)
COUNTS = tuple(COLUMNS)[3:9]
FLAGS = tuple(COLUMNS)[9:12]
TRUTH = {"true": True, "false": False}


@dataclass
class FolderSource:
    """The system's *folder* of another bikecollect; *zone* is ours."""

    folder: Path
    zone: tzinfo
    bad: int = 0

    @property
    def label(self) -> str:
        """What it is, and where."""
        return f"bikecollect {self.folder}"

    def snapshots(self) -> Iterator[Foreign]:
        """Yield its snapshots, the oldest first; damaged blocks are left out."""
        pieces = self._archived()
        waiting = next(pieces, None)
        for slot, columns, text in self._live():
            while waiting and waiting.slot < slot:
                yield self._read(waiting.slot, waiting.columns, waiting.text)
                waiting = next(pieces, None)
            if waiting and waiting.slot == slot:
                waiting = next(pieces, None)
            yield self._read(slot, columns, text)
        while waiting:
            yield self._read(waiting.slot, waiting.columns, waiting.text)
            waiting = next(pieces, None)

    def _live(self) -> Iterator[tuple[Slot, tuple[str, ...], bytes]]:
        store = Store(self.folder)
        headers: dict[str, tuple[str, ...]] = {}
        for slot, span in self._spans(store):
            if span.file not in headers:
                headers[span.file] = sheet.columns_of(store.header(span.file))
            if store.crc(span) == span.crc:
                yield slot, headers[span.file], store.text(span)
            else:
                self.bad += 1

    def _spans(self, store: Store) -> list[tuple[Slot, Span]]:
        history = History(self.folder.name, self.folder)
        rows = history.select(BLOCKS, GONE)
        if rows or (self.folder / "ledger.sqlite3").exists():
            return [(slot, Span(*place)) for slot, *place in rows]
        groups = [
            group
            for file in store.sizes()
            if file.startswith("station_status/")
            for group in store.tail(file, 0, (), ()).groups
        ]
        return sorted((group.slot, group.span) for group in groups)

    def _archived(self) -> Iterator[sheet.Piece]:
        archive = Archive(self.folder.parent, self.folder.name, self.zone, 0, _never)
        for day in archive.days():
            zone = ZoneInfo(archive.certified(day).timezone)
            yield from archive.pieces(day, zone)

    def _read(self, slot: Slot, columns: Sequence[str], text: bytes) -> Foreign:
        fetched_at, statuses = float(slot), []
        for cells in csv.reader(text.decode("utf-8").splitlines()):
            row = dict(zip(columns, cells, strict=False))
            try:
                statuses.append(_status(row))
                fetched_at = float(from_iso(row["fetched_at"]))
            except (ValueError, KeyError):
                self.bad += 1
        return Foreign(slot, fetched_at, tuple(statuses))


def _status(row: dict[str, str]) -> StationStatus:
    counts = [int(row[name]) if row[name] else None for name in COUNTS]
    flags = [TRUTH.get(row[name]) for name in FLAGS]
    reported = from_iso(row["last_reported"]) if row["last_reported"] else None
    return StationStatus._make([row["station_id"], *counts, *flags, reported])


def _never() -> float:
    return 0.0

"""Another bikecollect's folder: its committed blocks, from its CSVs and its archive."""

import heapq
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import tzinfo
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from bikecollect.archive import datasets, day_csv, parquet
from bikecollect.archive.archived_days import GONE
from bikecollect.archive.day_archive import Archive
from bikecollect.archive.query import duckdb_engine
from bikecollect.collect.sources import Foreign
from bikecollect.core.blocks import Group, Span, Tail
from bikecollect.core.slots import Slot, from_iso
from bikecollect.core.snapshot import StationStatus
from bikecollect.storage.csv_format import COLUMNS
from bikecollect.storage.csv_store import Store
from bikecollect.storage.data_folder import LEDGER, STATUS
from bikecollect.storage.ledger_reader import History

BLOCKS = (
    'SELECT slot, file, start, "end", crc32 FROM blocks WHERE file NOT IN'
    " (SELECT file FROM files WHERE damaged = ?) ORDER BY slot"
)
COUNTS = tuple(COLUMNS)[3:9]
FLAGS = tuple(COLUMNS)[9:12]
TRUTH = {"true": True, "false": False}


@dataclass
class FolderSource:
    """The system's *folder* of another bikecollect; *zone*, *interval* are ours."""

    folder: Path
    zone: tzinfo
    interval: int
    bad: int = 0

    @property
    def label(self) -> str:
        """What it is, and where."""
        return f"bikecollect {self.folder}"

    def snapshots(self) -> Iterator[Foreign]:
        """Yield its snapshots, the oldest first; damaged blocks are left out.

        Its interval may be another: of several blocks in a slot of ours, the first.
        """
        pieces = heapq.merge(self._live(), self._archived(), key=_slot)
        for slot, members in groupby(pieces, key=self._ours):
            found = (self._read(slot, piece.columns, piece.text) for piece in members)
            whole = next((each for each in found if each.statuses), None)
            if whole is not None:
                yield whole

    def _ours(self, piece: day_csv.Piece) -> Slot:
        return Slot(piece.slot // self.interval * self.interval)

    def _live(self) -> Iterator[day_csv.Piece]:
        store = Store(self.folder)
        headers: dict[str, tuple[str, ...]] = {}
        for slot, span in self._spans(store):
            if span.file not in headers:
                headers[span.file] = day_csv.columns_of(store.header(span.file))
            if store.crc(span) == span.crc:
                yield day_csv.Piece(slot, headers[span.file], store.text(span))
            else:
                self.bad += 1

    def _spans(self, store: Store) -> list[tuple[Slot, Span]]:
        history = History(self.folder.name, self.folder)
        rows = history.select(BLOCKS, GONE)
        if rows or (self.folder / LEDGER).exists():
            return [(slot, Span(*place)) for slot, *place in rows]
        groups = [
            group
            for file, size in store.sizes().items()
            if file.startswith(f"{STATUS}/")
            for group in _whole(store.tail(file, 0, (), ()), size)
        ]
        return sorted((group.slot, group.span) for group in groups)

    def _archived(self) -> Iterator[day_csv.Piece]:
        data, name = self.folder.parent, self.folder.name
        archive = Archive(data, name, self.zone, 0, _never)
        for day in archive.days():
            certified = archive.certified(day)
            if archive.damage(certified):
                self.bad += certified.summary.slots
                continue
            part = datasets.part(data, datasets.STATUS, name, day)
            # Their folder may be mounted read-only: nothing is written there.
            aside = Path(tempfile.mkdtemp(prefix="bikecollect-"))
            try:
                with closing(duckdb_engine.connect(aside)) as db:
                    yield from parquet.pieces(db, part, ZoneInfo(certified.timezone))
            finally:
                shutil.rmtree(aside, ignore_errors=True)

    def _read(self, slot: Slot, columns: Sequence[str], text: bytes) -> Foreign:
        fetched_at, statuses = float(slot), []
        for cells in day_csv.cells(text):
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


def _whole(tail: Tail, size: int) -> tuple[Group, ...]:
    """Return the groups of *tail*; the last one is torn where bytes follow it."""
    return tail.groups if tail.cut == size else tail.groups[:-1]


def _slot(piece: day_csv.Piece) -> Slot:
    return piece.slot


def _never() -> float:
    return 0.0

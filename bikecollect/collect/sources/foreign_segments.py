"""Read the complete blocks in daily CSV files of another bikecollect as snapshots."""

import csv
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any, Generic, NamedTuple, Self

from bikecollect.archive import day_csv
from bikecollect.archive.parts import is_day
from bikecollect.collect.sources import ForeignBlock, Status
from bikecollect.collect.sources.foreign_rows import REPORTED, RowReader, flags_of
from bikecollect.collect.sources.plausible import MAX_STATIONS, Plausible
from bikecollect.core.blocks import Span
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot, from_iso
from bikecollect.storage.csv_store import is_segment
from bikecollect.storage.files.regular_file import list_below, open_below

MAX_LINE = 1 << 17
MAX_BLOCK = 64 << 20
"""Maximum bytes of a block; one of the largest feeds has a tenth of it."""


class _Segment(NamedTuple):
    """An open file: its descriptor, its size, and the columns of its rows."""

    fd: int
    size: int
    columns: tuple[str, ...]


class Segments(Generic[Status]):
    """Reads blocks of the daily files in *folder*, one file open at a time.

    A block that is missing, damaged, or of an unexpected slot is skipped, and counted
    by *judge*. *rows* reads the rows.
    """

    def __init__(self, folder: Path, judge: Plausible, rows: RowReader[Status]) -> None:
        self._folder = folder
        self._judge = judge
        self._rows: RowReader[Status] = rows
        self._name = ""
        self._open: _Segment | None = None
        self._read: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def block(
        self, slot: Any, *values: Any, updated: Any = None, flags: Any = ""
    ) -> ForeignBlock[Status] | None:
        """Return the rows of the block at the span of *values*; None if skipped.

        All values are unchecked; *updated* and *flags* are those of the ledger.
        """
        span = _span(values, self._rows.layout.rows)
        if span is None or not isinstance(slot, int) or not self._judge.is_time(slot):
            self._judge.bad += 1
            return None
        text = self._text(span)
        opened = self._open
        block = (
            self._parse(Slot(slot), opened.columns, text)
            if opened and text is not None
            else None
        )
        self._judge.bad += block is None
        if block is None:
            return None
        return block._replace(
            flags=flags_of(flags), last_updated=self._judge.stamp(updated)
        )

    def _text(self, span: Span) -> bytes | None:
        """Return the bytes of *span*, None if they are missing or damaged."""
        if span.file != self._name:
            self._close()
            self._name = span.file
            with suppress(OSError, StorageError):
                self._open = _opened(self._folder, span.file)
        # Blocks do not overlap: together they cannot be longer than their file.
        total = self._read.get(span.file, 0) + span.end - span.start
        if self._open is None or max(span.end, total) > self._open.size:
            return None
        self._read[span.file] = total
        text = os.pread(self._open.fd, span.end - span.start, span.start)
        return text if zlib.crc32(text) == span.crc else None

    def _parse(
        self, slot: Slot, columns: Sequence[str], text: bytes
    ) -> ForeignBlock[Status] | None:
        statuses: list[Status] = []
        fetched: float | None = None
        times: dict[str, int | None] = {}
        try:
            for cells in day_csv.cells(text):
                if len(cells) != len(columns):
                    self._judge.bad += 1
                    continue
                row: dict[str, Any] = dict(zip(columns, cells, strict=True))
                if _time(times, row.get("slot", "")) != slot:
                    return None
                fetched = _time(times, row.get("fetched_at", ""))
                row[REPORTED] = _time(times, row.get(REPORTED, ""))
                status = self._rows.read(self._judge, row)
                if status is not None:
                    statuses.append(status)
                if len(statuses) > MAX_STATIONS:
                    return None
        except (ValueError, csv.Error):
            return None
        return ForeignBlock(slot, self._judge.fetched(fetched, slot), tuple(statuses))

    def _close(self) -> None:
        if self._open is not None:
            os.close(self._open.fd)
            self._open = None


def scanned(
    folder: Path, judge: Plausible, dataset: str
) -> Iterator[tuple[Slot, Span]]:
    """Yield the groups of lines of one slot in the daily files of *dataset*, by slot.

    For a folder without a ledger. If a file ends in a torn line, its last group is
    skipped: its number of rows is unknown. Raises OSError.
    """
    names = [f"{dataset}/{name}" for name in list_below(folder, dataset)]
    segments = sorted(name for name in names if is_segment(name))
    for _, files in groupby(segments, key=lambda name: name.partition(".")[0]):
        groups: list[tuple[Slot, Span]] = []
        for file in files:
            try:
                groups += _groups(folder, file)
            except (OSError, StorageError):
                judge.bad += 1
        yield from sorted(groups)


def _groups(folder: Path, file: str) -> list[tuple[Slot, Span]]:
    opened = _opened(folder, file)
    groups: list[tuple[Slot, Span]] = []
    slot: Slot | None = None
    first = b""
    with os.fdopen(opened.fd, "rb") as lines:
        at = len(lines.readline(MAX_LINE))
        while line := lines.readline(MAX_LINE):
            if not line.endswith(b"\n") or at > opened.size:
                return groups[:-1]
            cell = line.partition(b",")[0]
            if cell != first or not groups:
                first, slot = cell, _slot(cell)
                if slot is not None:
                    groups.append((slot, Span(file, at, at, 0)))
            if slot is not None:
                span = groups[-1][1]
                crc = zlib.crc32(line, span.crc)
                groups[-1] = slot, span._replace(end=at + len(line), crc=crc)
            at += len(line)
    return groups


def _opened(folder: Path, file: str) -> _Segment:
    """Open *file* in *folder*; raises OSError, StorageError if not a daily file."""
    fd = open_below(folder, file)
    try:
        header, newline, _ = os.pread(fd, MAX_LINE, 0).partition(b"\n")
        columns = day_csv.columns_of(header) if newline else ()
        size = os.fstat(fd).st_size
    except BaseException:
        os.close(fd)
        raise
    if columns[:1] == ("slot",):
        return _Segment(fd, size, columns)
    os.close(fd)
    raise StorageError(f"{folder / file} is not a daily file", cause="damage")


def _span(values: Sequence[Any], dataset: str) -> Span | None:
    """Return *values* as a span in a file of *dataset*, None if it is impossible."""
    file, start, end, crc = values
    if not isinstance(file, str) or not is_segment(file):
        return None
    folder, _, name = file.partition("/")
    if folder != dataset or not is_day(name[:10]):
        return None
    if not all(isinstance(number, int) for number in (start, end, crc)):
        return None
    return (
        Span(file, start, end, crc) if 0 < start <= end <= start + MAX_BLOCK else None
    )


def _slot(cell: bytes) -> Slot | None:
    try:
        return from_iso(cell.decode("ascii"))
    except (ValueError, OverflowError):
        return None


def _time(known: dict[str, int | None], text: str) -> int | None:
    """Return *text* as epoch seconds, None if empty; *known* caches the results."""
    if text not in known:
        try:
            known[text] = int(from_iso(text)) if text else None
        except (ValueError, OverflowError):
            known[text] = -1
    return known[text]

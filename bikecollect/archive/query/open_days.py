"""Days that are still open: which they are, and the committed part of their files."""

import csv
import errno
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from bikecollect.archive.archived_days import FILLED, GONE
from bikecollect.archive.datasets import DATASETS, STATUS, part
from bikecollect.archive.parts import Parts, is_day
from bikecollect.core.blocks import Span
from bikecollect.storage.csv_format import read_cells
from bikecollect.storage.csv_store import is_segment
from bikecollect.storage.data_folder import INFORMATION
from bikecollect.storage.files.regular_file import open_file, read_file
from bikecollect.storage.ledger_reader import History

SPANS = (
    'SELECT file, start, "end", crc32 FROM blocks WHERE substr(file, 16, 10) = ?'
    " AND file NOT IN (SELECT file FROM files WHERE damaged = ?) ORDER BY file, start"
)
ARCHIVED = "SELECT day, slots, rows, csv_gone FROM archives"
LONGEST_HEADER = 65_536
MOST_STATIONS = 512 << 20
"""Bytes of a list of stations that are read; it grows by some kilobytes a year."""


class Segment(NamedTuple):
    """A file of committed rows, whose first line is *header*."""

    header: bytes
    path: Path


def open_days(history: History, days: Sequence[str], parts: Parts) -> dict[str, bool]:
    """Return the days that are not in the archive as the ledger has them.

    Of *days* and those with blocks. True: some of its CSV has gone, so that the archive
    is needed all the same.
    """
    archived = {day: tuple(rest) for day, *rest in history.select(ARCHIVED)}
    filled = {day: (slots, rows) for day, slots, rows in history.select(FILLED)}
    found = {}
    for day in sorted(each for each in {*days, *filled} if is_day(each)):
        there = archived.get(day)
        whole = all(day in parts[each] for each in DATASETS)
        if there is None and day not in filled and whole:
            continue  # of a ledger that was lost: the archive knows better
        if there is None or there[:2] != filled.get(day, (0, 0)) or not whole:
            found[day] = bool(there and there[2])
    return found


def missing(data: Path, system_id: str, day: str) -> str:
    """Return what to say of an archived *day* whose file is not there, nor its CSV."""
    return (
        f"{part(data, STATUS, system_id, day)} is missing or no plain file, and the "
        "CSV of that day has been removed; restore it from a backup"
    )


def segments(
    history: History,
    folder: Path,
    day: str,
    aside: Path,
    lost: list[str],
    *,
    newest: bool,
) -> Iterator[Segment]:
    """Yield the files of *day* in a system's *folder*: committed bytes only.

    A file that has nothing else is read where it lies, unless it may still grow, as
    those of the *newest* day; of the others a copy is made in *aside*. What cannot be
    read is left out, and *lost* says why.
    """
    rows = history.select(SPANS, day, GONE)
    for file, members in groupby(rows, key=lambda each: str(each[0])):
        spans = [Span(*each) for each in members]
        try:
            if is_segment(file):
                target = aside / Path(file).name
                yield _segment(folder / file, spans, target, lost, newest=newest)
        except OSError as error:
            lost.append(f"{folder / file}: {error.strerror}")


def _segment(
    path: Path, spans: Sequence[Span], target: Path, lost: list[str], *, newest: bool
) -> Segment:
    """Return the file *path*, copied to *target* where it must be; raises OSError."""
    with os.fdopen(open_file(path), "rb") as source:
        header = source.readline(LONGEST_HEADER)
        size = os.fstat(source.fileno()).st_size
        if not header.startswith(b"slot,"):
            raise OSError(errno.EINVAL, "its first line is not that of a daily file")
        tiled = sum(s.end - s.start for s in spans) + len(header) == size
        if tiled and not newest:
            return Segment(header, path)
        bad = _copy(source.fileno(), header, spans, target)
    if bad:
        lost.append(f"{path}: {bad} damaged blocks; run: bikecollect backfill")
    return Segment(header, target)


def station_versions(folder: Path) -> Iterator[Mapping[str, str]]:
    """Yield the versions in a system's list of stations, a cell by its column.

    A line that has other cells than the first one is left out: a run may be writing,
    or somebody else has written.
    """
    try:
        text = read_file(folder / INFORMATION, MOST_STATIONS)
    except FileNotFoundError:
        return
    lines = text[: text.rfind(b"\n") + 1].decode("utf-8", "replace").split("\n")
    columns = _cells(lines[0])
    for line in lines[1:]:
        cells = _cells(line)
        if cells and len(cells) == len(columns):
            yield dict(zip(columns, cells, strict=True))


def _cells(line: str) -> list[str]:
    try:
        return next(read_cells([line.removesuffix("\r")]), [])
    except csv.Error:
        return []


def _copy(source: int, header: bytes, spans: Sequence[Span], target: Path) -> int:
    """Copy *header* and the *spans* of the file *source* to *target*.

    Blocks that are not what was written are left out; returns how many.
    """
    target.parent.mkdir(exist_ok=True)
    size, bad = os.fstat(source).st_size, 0
    with target.open("wb") as out:
        out.write(header)
        for span in spans:
            inside = 0 <= span.start < span.end <= size
            text = (
                os.pread(source, span.end - span.start, span.start) if inside else b""
            )
            if inside and zlib.crc32(text) == span.crc:
                out.write(text)
            else:
                bad += 1
    return bad

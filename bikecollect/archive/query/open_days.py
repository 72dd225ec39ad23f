"""Open days, which are not archived yet, and the committed part of their files."""

import csv
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from bikecollect.archive.archived_days import FILLED
from bikecollect.archive.datasets import part
from bikecollect.archive.parts import Parts, is_day
from bikecollect.core.blocks import Span
from bikecollect.core.slots import DAY, Slot, bounds
from bikecollect.core.text import count_of
from bikecollect.storage.csv_format import read_cells
from bikecollect.storage.csv_store import is_header, is_segment
from bikecollect.storage.data_folder import INFORMATION
from bikecollect.storage.files.durable import write_all, writing
from bikecollect.storage.files.regular_file import open_file, read_file
from bikecollect.storage.ledger_reader import BEGINNING, History
from bikecollect.storage.ledger_schema import GONE, file_day
from bikecollect.storage.repair.respelled import (
    DELIMITERS,
    MAX_HEADER,
    RespelledFile,
    Sum,
    sum_of,
)
from bikecollect.storage.runs.ends import WITHIN

SPANS = (
    'SELECT b.file, b.start, b."end", b.crc32, b.fetched_at, f.header,'
    f" coalesce(f.damaged, 0), b.slot, {file_day('b.file')} AS day"
    " FROM main.blocks AS b LEFT JOIN files AS f ON f.file = b.file"
    f" WHERE b.slot >= ? AND +b.{WITHIN} AND coalesce(f.damaged, 0) <> ?"
    " AND day IN ({}) ORDER BY b.file, b.start"
)
ARCHIVED = "SELECT day, slots, rows, csv_gone FROM archives"
RECENT = FILLED.replace(f" WHERE {WITHIN}", " WHERE slot >= ?")
TOTAL = (
    "SELECT sum(rows > 0), sum(rows),"
    f" sum(source <> 'fetch' AND {file_day()} < ?) FROM main.blocks"
)
DAYS_AT_ONCE = 32
"""Days whose blocks are in memory at a time."""
UNTOUCHED = 3_600.0
"""Seconds after the last fetch before which changes of a file are bikecollect's."""
REMEDIES = "; for remedies, see: bikecollect verify"
UNKNOWN_FILE = "the ledger has slots of it in a file with an impossible name"
ROOM = "set TMPDIR to a folder on a disk with room"
MAX_STATIONS_BYTES = 512 << 20
"""Maximum bytes of a list of stations, which grows by some kilobytes a year."""


class CommittedBlock(NamedTuple):
    """The *span* of a block, its time and *slot*, and the ledger's record of its file.

    The record has the crc32 of the header, and whether a run has reported the file.
    """

    span: Span
    fetched_at: float
    header_crc: int | None
    is_reported: int
    slot: int


class Segment(NamedTuple):
    """A file of committed rows, whose first line is *header*."""

    header: bytes
    path: Path


class Loss(NamedTuple):
    """The reason, *why*, for which a part of a day cannot be read.

    *is_accepted* is set if its file was removed and a run has recorded that, *is_part*
    if other slots of the file can be read.
    """

    why: str
    is_accepted: bool = False
    is_part: bool = False


class OpenDays(NamedTuple):
    """The open days; True if some CSV of the day was or may have been removed.

    None of their blocks is before the slot *since*.
    """

    days: Mapping[str, bool]
    since: Slot


def open_days(
    history: History, days: Sequence[str], parts: Parts, datasets: Sequence[str]
) -> OpenDays:
    """Return those of *days*, and of days with blocks, whose *datasets* are missing.

    A day is also open if the ledger has other rows than the archive. Its archived rows
    are needed too if some of its CSV was or may have been removed.
    """
    archived = {day: tuple(values) for day, *values in history.select(ARCHIVED)}
    counts, since = _counts(history, archived)
    open_ = {}
    for day in sorted(name for name in {*days, *counts} if is_day(name)):
        known = archived.get(day)
        is_complete = all(day in parts[dataset] for dataset in datasets)
        if known is None and day not in counts and is_complete:
            continue  # the ledger was lost: the archive has more
        if known is None or known[:2] != counts.get(day, (0, 0)) or not is_complete:
            # After a lost ledger there may be late blocks of an archived day.
            open_[day] = known[2] > 0 if known else is_complete
            since = min(since, _day_before(day))
    return OpenDays(open_, since)


def _counts(
    history: History, archived: Mapping[str, tuple[Any, ...]]
) -> tuple[dict[str, tuple[int, int]], Slot]:
    """Return slots and rows by day, and a slot before which no open day has blocks.

    The days before the newest archived one are counted together if they have as many
    slots and rows as were archived, and all were fetched (none late).
    """
    newest = max(filter(is_day, archived), default="")
    begin = _day_before(newest) if newest else BEGINNING
    rows_by_day = history.select(RECENT, begin)
    recent = {day: (slots, rows) for day, slots, rows in rows_by_day if day >= newest}
    older = {day: values[:2] for day, values in archived.items() if day < newest}
    counts = {**older, **recent}
    ((slots, rows, others),) = history.select(TOTAL, newest)
    sums = [sum(column) for column in zip(*counts.values(), strict=True)]
    if newest and not others and sums == [slots, rows]:
        return counts, begin
    filled = history.select(FILLED)
    return {day: (slots, rows) for day, slots, rows in filled}, BEGINNING


def _day_before(day: str) -> Slot:
    """Return a slot that is before *day* in every time zone."""
    return Slot(bounds(day, UTC)[0] - DAY)


def missing(data: Path, dataset: str, system_id: str, day: str) -> str:
    """Return the message for a *day* without CSV whose archived file is missing."""
    path = part(data, dataset, system_id, day)
    return (
        f"{path} is missing or not a regular file, and the "
        f"CSV of that day has been removed; restore it from a backup{REMEDIES}"
    )


def committed_blocks(
    history: History, days: Sequence[str], since: Slot
) -> Iterator[tuple[str, list[CommittedBlock]]]:
    """Yield each of *days* and its blocks, of which none is before *since*.

    The ledger is read once for some days: each reading compares all later blocks.
    """
    for begin in range(0, len(days), DAYS_AT_ONCE):
        some = days[begin:][:DAYS_AT_ONCE]
        blocks: dict[str, list[CommittedBlock]] = {day: [] for day in some}
        sql = SPANS.format(", ".join("?" * len(some)))
        for *values, day in history.select(sql, since, GONE, *some):
            blocks[day].append(CommittedBlock(Span(*values[:4]), *values[4:]))
        yield from blocks.items()


def segments(
    day_blocks: Sequence[CommittedBlock],
    folder: Path,
    aside: Path,
    lost: list[Loss],
    *,
    newest: bool,
) -> Iterator[Segment]:
    """Yield the files of a day in a system's *folder*: committed bytes only.

    *day_blocks* are the blocks of that day. A file without other bytes is read in
    place, unless it may grow, like those of the *newest* day; others are copied to
    *aside*. Unreadable parts are skipped and added to *lost*.
    """
    for file, members in groupby(day_blocks, key=lambda block: block.span.file):
        blocks = list(members)
        if not is_segment(file):
            is_part = len(blocks) < len(day_blocks)
            lost.append(
                Loss(f"{UNKNOWN_FILE}: {file!r:.80}{REMEDIES}", is_part=is_part)
            )
            continue
        target = aside / Path(file).name
        try:
            yield from _segment(folder / file, blocks, target, lost, newest=newest)
        except OSError as error:
            is_removed = isinstance(error, FileNotFoundError)
            is_accepted = is_removed and bool(blocks[0].is_reported)
            why = f" is missing{REMEDIES}" if is_removed else f": {error.strerror}"
            lost.append(Loss(f"{folder / file}{why}", is_accepted))


def _segment(
    path: Path,
    blocks: Sequence[CommittedBlock],
    target: Path,
    lost: list[Loss],
    *,
    newest: bool,
) -> Iterator[Segment]:
    """Yield the file *path*, or its committed part in *target*; raises OSError."""
    crc, spans = blocks[0].header_crc, [block.span for block in blocks]
    with os.fdopen(open_file(path), "rb") as source:
        header = source.readline(MAX_HEADER)
        info = os.fstat(source.fileno())
        is_ours = header.startswith(b"slot,") and is_header(header, crc)
        is_all = sum(s.end - s.start for s in spans) + len(header) == info.st_size
        # A restored or edited file may have its old st_mtime, but never st_ctime.
        touched = max(info.st_mtime, info.st_ctime)
        is_touched = touched > max(b.fetched_at for b in blocks) + UNTOUCHED
        if is_ours and is_all and not newest:
            fd = source.fileno()
            if not is_touched or all(_read(fd, span) is not None for span in spans):
                yield Segment(header, path)
                return
        respelled = None if is_ours else RespelledFile(path, crc)
        header = respelled.header if respelled else header
        left = set[Sum]()
        fd = source.fileno()
        texts = _texts(path, fd, blocks, respelled, header=header, left=left)
        _write(target, texts)
    if left or not header:
        count, slots = len(left) if header else len(spans), count_of(len(spans), "slot")
        why = f"{path}: the rows of {count} of {slots} are damaged"
        is_part = count < len(spans)
        lost.append(Loss(f"{why}; run: bikecollect verify --repair", is_part=is_part))
    if header:
        yield Segment(header, target)


def station_versions(folder: Path) -> Iterator[Mapping[str, str]]:
    """Yield the versions in a system's list of stations, as cells by column.

    A line with more or fewer cells than the header is skipped: a run may be writing it,
    or the file was edited.
    """
    try:
        text = read_file(folder / INFORMATION, MAX_STATIONS_BYTES)
    except FileNotFoundError:
        return
    lines = text[: text.rfind(b"\n") + 1].decode("utf-8-sig", "replace").split("\n")
    delimiter = next((mark for mark in DELIMITERS if mark in lines[0]), ",")
    columns = _cells(lines[0], delimiter)
    for line in lines[1:]:
        cells = _cells(line, delimiter)
        if cells and len(cells) == len(columns):
            yield dict(zip(columns, cells, strict=True))


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(read_cells([line.removesuffix("\r")], delimiter=delimiter), [])
    except csv.Error:
        return []


def _write(target: Path, texts: Iterable[bytes]) -> None:
    """Write *texts* to *target*; raises StorageError if that fails."""
    with writing(target, ROOM):
        target.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
    try:
        for text in texts:
            with writing(target, ROOM):
                write_all(fd, text)
    finally:
        os.close(fd)


def _texts(
    path: Path,
    source: int,
    blocks: Sequence[CommittedBlock],
    respelled: RespelledFile | None,
    *,
    header: bytes,
    left: set[Sum],
) -> Iterator[bytes]:
    """Yield *header* and the texts of *blocks* in the file *path*, open as *source*.

    The sums of damaged ones are added to *left*. Raises OSError if it cannot be read.
    """
    yield header
    for span in (block.span for block in blocks):
        text = _read(source, span)
        if text is None:
            left.add((span.crc, span.end - span.start))
        else:
            yield text
    if left and header:
        found = respelled or RespelledFile(path, blocks[0].header_crc)
        for text in found.blocks(left):
            left -= {sum_of(text)}
            yield text


def _read(source: int, span: Span) -> bytes | None:
    """Return the bytes of *span* in the file *source*, None if they are damaged."""
    if not 0 <= span.start <= span.end <= os.fstat(source).st_size:
        return None
    text = os.pread(source, span.end - span.start, span.start)
    return text if zlib.crc32(text) == span.crc else None

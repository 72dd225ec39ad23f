"""A day as sorted CSV: its rows ordered by slot and station, and their digest.

The daily CSV, the archive and an export give the same bytes, so one sha256 verifies all
of them.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from bikecollect.archive.datasets import KEY
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot
from bikecollect.core.text import csv_text
from bikecollect.storage.csv_format import read_cells

LINE = re.compile(rb"[^\n]*\n|[^\n]+")
IDS = frozenset({"station_id", "vehicle_id"})
"""The columns that identify a row of a slot; their index is `KEY`."""


class Piece(NamedTuple):
    """The rows of *slot* as lines; *columns* name their cells."""

    slot: Slot
    columns: tuple[str, ...]
    text: bytes


class DaySummary(NamedTuple):
    """The size and the digest of a day's sorted CSV."""

    rows: int
    slots: int
    sha256: str


def columns_of(header: bytes) -> tuple[str, ...]:
    """Return the column names in a file's first line; raises StorageError."""
    try:
        names = tuple(next(read_cells([header.decode("utf-8")], strict=True)))
    except (ValueError, StopIteration, csv.Error) as error:
        raise _no_header(header) from error
    if IDS.isdisjoint(names[KEY : KEY + 1]):
        raise _no_header(header)
    return _unique(names)


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Return *names*, repeated ones with a number: old files may have such columns."""
    unique: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in unique:
            number += 1
            candidate = f"{name}_{number}"
        unique.append(candidate)
    return tuple(unique)


def _no_header(header: bytes) -> StorageError:
    return StorageError(
        f"the first line is not a header: {header[:60]!r}", cause="damage"
    )


def cells(text: bytes) -> Iterator[list[str]]:
    r"""Yield the cells of each line of *text*, without header; only \n ends a line.

    >>> list(cells("1,a\u2028b\n2,c\n".encode()))
    [['1', 'a\u2028b'], ['2', 'c']]
    """
    return read_cells(io.StringIO(text.decode("utf-8"), newline="\n"))


def union(headers: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return all columns of *headers*, each once, in their order.

    >>> union([("slot", "a"), ("slot", "b", "a")])
    ('slot', 'a', 'b')
    """
    return tuple(dict.fromkeys(name for header in headers for name in header))


def lines(pieces: Iterable[Piece], columns: Sequence[str]) -> Iterator[bytes]:
    """Yield the sorted CSV of *pieces*, whose slots ascend, header first.

    A slot without rows (no vehicle is free) gives no text.
    """
    yield _line(columns)
    for piece in pieces:
        if piece.text:
            yield sorted_text(piece, tuple(columns))


def total(texts: Iterable[bytes]) -> DaySummary:
    r"""Return the summary of *texts*: the header, then the rows of a slot at a time.

    >>> total([b"slot\n", b"1\n"]).rows
    1
    """
    digest, rows, slots = hashlib.sha256(), -1, -1  # the header is neither
    for text in texts:
        digest.update(text)
        rows += text.count(b"\n")
        slots += 1
    return DaySummary(max(rows, 0), max(slots, 0), digest.hexdigest())


def sorted_text(piece: Piece, columns: tuple[str, ...]) -> bytes:
    """Return the lines of *piece* with the cells *columns*, sorted by station."""
    if piece.columns == columns and _is_sorted(piece.text):
        return piece.text
    rows = LINE.findall(piece.text)
    if piece.columns != columns:
        rows = [_rearranged(line, piece.columns, columns) for line in rows]
    rows.sort(key=_id)
    return b"".join(rows)


def _is_sorted(text: bytes) -> bool:
    r"""Return whether the lines of *text* are in order; False if that is not obvious.

    >>> _is_sorted(b"s,f,1,5\ns,f,2,0\n"), _is_sorted(b's,f,"1",5\n')
    (True, False)
    """
    if b'"' in text:
        return False
    try:
        ids = [line.split(b",", KEY + 1)[KEY] for line in text[:-1].split(b"\n")]
    except IndexError:
        return False
    return ids == sorted(ids)


def _id(line: bytes) -> bytes:
    cell = b"".join(line.split(b",", KEY + 1)[KEY : KEY + 1])
    if not cell.startswith(b'"'):
        return cell.rstrip(b"\n")
    return next(read_cells([line.decode("utf-8")]))[KEY].encode("utf-8")


def _rearranged(line: bytes, old: tuple[str, ...], new: tuple[str, ...]) -> bytes:
    cells = dict(zip(old, next(read_cells([line.decode("utf-8")])), strict=True))
    return _line([cells.get(name, "") for name in new])


def _line(cells: Sequence[str]) -> bytes:
    return csv_text([cells]).encode("utf-8")

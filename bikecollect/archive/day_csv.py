"""The sheet of a day: its rows as CSV, sorted by slot and station, and their digest.

The same bytes come out of the daily CSV, of the archive and of an export, so that one
sha256 speaks for all of them.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot
from bikecollect.storage.csv_format import read_cells

LINE = re.compile(rb"[^\n]*\n|[^\n]+")
STATION = 2
"""Where station_id stands in a row."""


class Piece(NamedTuple):
    """The rows of *slot* as lines; *columns* name their cells."""

    slot: Slot
    columns: tuple[str, ...]
    text: bytes


class DaySummary(NamedTuple):
    """What a sheet amounts to."""

    rows: int
    slots: int
    sha256: str


def columns_of(header: bytes) -> tuple[str, ...]:
    """Return the columns that a file's first line names; raises StorageError."""
    try:
        names = tuple(next(read_cells([header.decode("utf-8")], strict=True)))
    except (ValueError, StopIteration, csv.Error) as error:
        raise _no_header(header) from error
    if names[STATION : STATION + 1] != ("station_id",):
        raise _no_header(header)
    return names


def _no_header(header: bytes) -> StorageError:
    return StorageError(
        f"a first line that is no header: {header[:60]!r}", cause="damage"
    )


def cells(text: bytes) -> Iterator[list[str]]:
    r"""Yield the cells of each line of *text*, that of rows; only \n ends a line.

    >>> list(cells("1,a\u2028b\n2,c\n".encode()))
    [['1', 'a\u2028b'], ['2', 'c']]
    """
    return read_cells(io.StringIO(text.decode("utf-8"), newline="\n"))


def union(headers: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return all columns of *headers*, each once, in their order.

    >>> union([("slot", "a"), ("slot", "b", "a")])
    ('slot', 'a', 'b')
    """
    return tuple(dict.fromkeys(name for each in headers for name in each))


def lines(pieces: Iterable[Piece], columns: Sequence[str]) -> Iterator[bytes]:
    """Yield the sheet of *pieces*, whose slots ascend, with its header first."""
    yield _line(columns)
    for piece in pieces:
        yield _sorted(piece, tuple(columns))


def summed(texts: Iterable[bytes]) -> Iterator[tuple[bytes, DaySummary]]:
    """Yield each of *texts*, a sheet's, with the sum of all up to it."""
    digest, rows, slots = hashlib.sha256(), -1, -1
    for each in texts:
        digest.update(each)
        rows += each.count(b"\n")
        slots += 1
        yield each, DaySummary(rows, slots, digest.hexdigest())


def total(texts: Iterable[bytes]) -> DaySummary:
    r"""Return the sum of the sheet *texts*.

    >>> total([b"slot\n", b"1\n"]).rows
    1
    """
    last = DaySummary(0, 0, hashlib.sha256(b"").hexdigest())
    for _, last in summed(texts):  # noqa: B007 - the last one is the answer
        pass
    return last


def _sorted(piece: Piece, columns: tuple[str, ...]) -> bytes:
    found = LINE.findall(piece.text)
    if piece.columns != columns:
        found = [_moved(line, piece.columns, columns) for line in found]
    found.sort(key=_station)
    return b"".join(found)


def _station(line: bytes) -> bytes:
    cell = b"".join(line.split(b",", STATION + 1)[STATION : STATION + 1])
    if not cell.startswith(b'"'):
        return cell.rstrip(b"\n")
    return next(read_cells([line.decode("utf-8")]))[STATION].encode("utf-8")


def _moved(line: bytes, here: tuple[str, ...], there: tuple[str, ...]) -> bytes:
    cells = dict(zip(here, next(read_cells([line.decode("utf-8")])), strict=True))
    return _line([cells.get(name, "") for name in there])


def _line(cells: Sequence[str]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue().encode("utf-8")

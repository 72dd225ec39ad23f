"""Restore blocks of a CSV that a spreadsheet saved with the same cells in other bytes.

A spreadsheet changes the ends of lines, quotes, the delimiter, the encoding, the order
of columns, `true` to `TRUE`, `0.5` to `0,5`. A block is accepted only if its rows,
encoded in our format, have the checksum in the ledger.
"""

import csv
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import TextIO

from bikecollect.core.text import csv_text
from bikecollect.storage.csv_format import COLUMNS, read_cells
from bikecollect.storage.vehicles import rows as vehicle_rows

Sum = tuple[int, int]
"""crc32 and length of a block."""
Spelling = Callable[[str, str], str]
"""Returns the original form of a cell, given its column and the changed cell."""
ENCODINGS = (
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)
DELIMITERS = ",;\t"
"""Delimiters that spreadsheets write: the first one in a header is used."""
FLAGS = {"TRUE": "true", "FALSE": "false", "WAHR": "true", "FALSCH": "false"}
MAX_HEADER = 65_536


def sum_of(text: bytes) -> Sum:
    """Return crc32 and length of *text*."""
    return zlib.crc32(text), len(text)


class RespelledFile:
    """The daily file *path*, which a spreadsheet may have saved; raises OSError.

    *crc* is the crc32 of its original first line, None if unknown. *header* is that
    line, empty if it cannot be restored.
    """

    def __init__(self, path: Path, crc: int | None) -> None:
        self._path = path
        with path.open("rb") as file:
            start = file.read(4)
        self._encoding = next(
            (name for mark, name in ENCODINGS if start.startswith(mark)), "utf-8"
        )
        self._names: list[str] = []
        self._order: list[str] = []
        self._delimiter = ","
        with suppress(csv.Error, UnicodeError), self._open() as lines:
            first = lines.readline(MAX_HEADER)
            self._delimiter = next((mark for mark in DELIMITERS if mark in first), ",")
            self._names = next(self._cells([first]), [])
            self._order = _order(self._names, crc)
        self.header = csv_text([self._order]).encode("utf-8") if self._order else b""

    def blocks(self, wanted: Container[Sum]) -> Iterator[bytes]:
        """Yield the original bytes of the blocks whose sums are in *wanted*."""
        if not self._order:
            return
        with suppress(csv.Error, UnicodeError), self._open() as lines:
            lines.readline(MAX_HEADER)
            slot = self._names.index("slot")
            rows = (row for row in self._cells(lines) if len(row) == len(self._names))
            for _, members in groupby(rows, key=lambda row: row[slot]):
                yield from self._respell(list(members), wanted)

    def _open(self) -> TextIO:
        return self._path.open(encoding=self._encoding, newline="")

    def _cells(self, lines: Iterable[str]) -> Iterator[list[str]]:
        return read_cells(lines, delimiter=self._delimiter)

    def _respell(
        self, rows: list[list[str]], wanted: Container[Sum]
    ) -> Iterator[bytes]:
        places = [(name, self._names.index(name)) for name in self._order]
        for spell in SPELLINGS:
            lines = ([spell(name, row[at]) for name, at in places] for row in rows)
            text = csv_text(lines).encode("utf-8")
            if sum_of(text) in wanted:
                yield text
                return


def _order(names: Sequence[str], crc: int | None) -> list[str]:
    """Return the columns *names* in their original order, empty if unknown."""
    own = vehicle_rows.COLUMNS if "vehicle_id" in names else COLUMNS
    ours = [name for name in own if name in names]
    derived = [name for name in names if name not in own]
    if len(ours) != len(own) or len(set(names)) != len(names):
        return []
    for order in (list(names), [*ours, *derived], [*ours, *sorted(derived)]):
        text = csv_text([order]).encode("utf-8")
        if crc in {None, zlib.crc32(text)} and order[: len(ours)] == ours:
            return order
    return []


def _same(_: str, cell: str) -> str:
    return cell


def _with_flags(_: str, cell: str) -> str:
    return FLAGS.get(cell, cell)


def _with_decimals(column: str, cell: str) -> str:
    """Return *cell* with a decimal point, as ratios are written: 0.5, 1.0 or 0.0."""
    if column in COLUMNS or not cell.replace(",", "").replace(".", "").isdigit():
        return FLAGS.get(cell, cell)
    number = cell.replace(",", ".")
    return number if "." in number else f"{number}.0"


SPELLINGS: Sequence[Spelling] = (_same, _with_flags, _with_decimals)

"""Write a day's files, and check that its rows read back from them unchanged."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from bikecollect.archive import datasets, day_csv, parquet, summaries, verbatim
from bikecollect.archive.datasets import VEHICLE_LAYOUT, DatasetLayout
from bikecollect.archive.encoding.copying import copy
from bikecollect.archive.query import duckdb_engine
from bikecollect.core.errors import StorageError
from bikecollect.storage.data_folder import SystemFolder

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHEET = "day.csv"
"""The day's sorted CSV, from which its rows are written."""


class Contents(NamedTuple):
    """The content of *day*; slots and runs have the columns of their datasets.

    *size* is the approximate size of the rows as CSV, in bytes.
    """

    day: str
    columns: tuple[str, ...]
    pieces: Iterable[day_csv.Piece]
    slots: Sequence[Sequence[Any]]
    runs: Sequence[Sequence[Any]]
    size: int


def write_sheet(contents: Contents, folder: Path) -> day_csv.DaySummary:
    """Write the day's sorted CSV into *folder*; return its summary."""
    texts = day_csv.lines(contents.pieces, contents.columns)
    with (folder / SHEET).open("wb") as out:
        return day_csv.total(_written(texts, out))


def _written(texts: Iterable[bytes], out: BinaryIO) -> Iterator[bytes]:
    """Yield each of *texts* after it was written to *out*."""
    for text in texts:
        out.write(text)
        yield text


@dataclass(frozen=True, eq=False, repr=False)
class DayWriter:
    """Writes the files of *layout* into *folder*, which has the day's `SHEET`.

    Raises StorageError and OSError.
    """

    db: "DuckDBPyConnection"
    contents: Contents
    folder: Path
    layout: DatasetLayout
    system: SystemFolder

    def write_slots(self) -> None:
        """Write the slots of the day, and its runs if its layout has them."""
        contents = self.contents
        tables = [(self.layout.slots, datasets.SLOTS, contents.slots, "slot")]
        if "runs" in self.layout.datasets:
            tables.append(("runs", datasets.RUNS, contents.runs, "slot, started"))
        with duckdb_engine.translated(f"{contents.day} cannot be summed up"):
            for name, columns, rows, order in tables:
                duckdb_engine.load(self.db, f"{name}_values", columns, rows)
                sql = f"SELECT * FROM {name}_values ORDER BY {order}"
                copy(self.db, sql, self._file(name), parquet.SMALL)

    def write_rows(self) -> list[str]:
        """Write the rows of the day and their summaries; return the files' names."""
        contents, rows = self.contents, self._file(self.layout.rows)
        if not self._write_values():
            zone = self.system.zone
            verbatim.write_day(self.db, self._sheet, contents.columns, rows, zone)
            self._compare()
        if self.layout is VEHICLE_LAYOUT:
            return [rows.name]
        interval, slots = self.system.interval_on(contents.day), self._file("slots")
        with duckdb_engine.translated(f"{contents.day} cannot be summed up"):
            parquet.write_summaries(self.db, rows, slots, interval, self.folder)
        return [rows.name, *(self._file(name).name for name in summaries.NEW_COLUMN)]

    def _write_values(self) -> bool:
        """Write the day as typed values; return whether they reproduce its text."""
        columns, rows = self.contents.columns, self._file(self.layout.rows)
        for derived in dict.fromkeys((parquet.derivable(columns), "")):
            with suppress(StorageError):
                parquet.write_day(self.db, self._sheet, columns, rows, derived)
                self._compare()
                return True
        return False

    def _compare(self) -> None:
        """Read the day back; raises StorageError if any byte differs."""
        rows, zone = self._file(self.layout.rows), self.system.zone
        day, columns = self.contents.day, self.contents.columns
        with self._sheet.open("rb") as sheet:
            sheet.seek(sum(map(len, day_csv.lines([], columns))))
            for piece in parquet.pieces(self.db, rows, zone, columns):
                text = sheet.read(len(piece.text))
                if text != piece.text and text != day_csv.sorted_text(piece, columns):
                    raise StorageError(
                        f"{day} does not read back from Parquet unchanged, first at "
                        f"{text[:40]!r}; nothing is archived, its CSV is kept",
                        cause="archive",
                    )
            if sheet.read(1):
                raise StorageError(f"{day}: Parquet lacks rows", cause="archive")

    @property
    def _sheet(self) -> Path:
        return self.folder / SHEET

    def _file(self, dataset: str) -> Path:
        return self.folder / f"{dataset}.parquet"

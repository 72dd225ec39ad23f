"""Read rows of other programs' tables: CSV line by line, Parquet by DuckDB.

Memory is limited for any file: the length of lines and values, and the decompressed
size of a file. A line that cannot be read does not affect others.
"""

import codecs
import csv
import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, Self

from bikecollect.archive.query import duckdb_engine
from bikecollect.collect.sources.table_dialect import (
    find_delimiter,
    with_decimal_points,
)
from bikecollect.core.errors import StorageError
from bikecollect.storage.files.regular_file import open_file
from bikecollect.storage.files.scratch import scratch

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Row = Sequence[str | None]
PARQUET = (".parquet", ".pq")
MAX_LINE = 1 << 17
MAX_VALUE = 1_100
MAX_COLUMNS = 2_000
RATIO = 250
"""Largest compression ratio of a table; tables of stations have 10 to 40."""
SMALL = 64 << 20
PACKED = {
    b"PK\x03\x04": "a zip file",
    b"\x1f\x8b": "compressed by gzip without the ending .gz",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"PAR1": "Parquet without the ending .parquet",
}
"""What a file is that begins with these bytes, and not a CSV."""
BATCH = 10_000
MEMORY = "160MB"
FIRST = "utf-8-sig"
"""The encoding of a first line: a mark of UTF-8 is not part of it."""


class Lines(Protocol):
    """A binary file that is read line by line."""

    def readline(self, size: int, /) -> bytes:
        """Return at most *size* bytes of the next line; empty at the end."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class Table(Protocol):
    """Files of one table."""

    def header(self) -> list[str]:
        """Return the columns of all files."""
        ...

    def headers(self) -> dict[Path, set[str]]:
        """Return the columns of each file."""
        ...

    def rows(self, columns: Sequence[str]) -> Iterator[Row | None]:
        """Yield *columns* of each row, in the files' order; None for an unreadable row.

        Raises StorageError if a file cannot be read.
        """
        ...


class CsvTable:
    """The CSV files *paths*, each with its own header; gzip-compressed if .gz."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def header(self) -> list[str]:
        """See `Table`."""
        return list(dict.fromkeys(chain(*map(_header, self._paths))))

    def headers(self) -> dict[Path, set[str]]:
        """See `Table`."""
        return {path: set(_header(path)) for path in self._paths}

    def rows(self, columns: Sequence[str]) -> Iterator[Row | None]:
        """See `Table`."""
        for path in self._paths:
            with closing(_lines_of(path)) as source:
                yield from _rows(source, path, columns)


def _header(path: Path) -> list[str]:
    with closing(_lines_of(path)) as source:
        return _CsvFile(source, path).header


def _rows(source: Lines, path: Path, columns: Sequence[str]) -> Iterator[Row | None]:
    file = _CsvFile(source, path)
    header, lines = file.header, file.lines
    numbers = {name: n for n, name in reversed(list(enumerate(header)))}
    wanted = [numbers.get(name, -1) for name in columns]
    while (cells := file.cells()) is not None:
        if len(cells) == len(header):
            row = [cells[n] if n >= 0 else None for n in wanted]
            if lines.foreign and not all(
                cell is None or _is_text(cell) for cell in row
            ):
                yield None
            else:
                yield row if file.delimiter == "," else with_decimal_points(row)
        lines.foreign = False
        for _ in range(lines.lost + (0 < len(cells) != len(header))):
            yield None
        lines.lost = 0
    for _ in range(lines.lost):
        yield None


def _is_text(cell: str) -> bool:
    """Return whether all bytes of *cell* were UTF-8, see `_TextLines`."""
    return not any("\udc80" <= character <= "\udcff" for character in cell)


class _CsvFile:
    """The rows of *source*, the file at *path*: its *header*, then its `cells`."""

    def __init__(self, source: Lines, path: Path) -> None:
        self._path = path
        self.lines = _TextLines(source)
        first = self._first_line()
        self.delimiter = find_delimiter(first[0] if first else "")
        lines = chain(first, self.lines)
        self._reader = csv.reader(lines, delimiter=self.delimiter)
        self.header = self.cells() or []
        if len(self.header) > MAX_COLUMNS:
            raise StorageError(
                f"{path} has {len(self.header)} columns: not a table of stations"
            )

    def cells(self) -> list[str] | None:
        """Return the cells of the next row, [] if it is unreadable, None at the end.

        Raises StorageError.
        """
        self.lines.left = MAX_LINE
        try:
            return next(self._reader, None)
        except csv.Error:
            self.lines.lost += 1
            return []
        except (OSError, EOFError, zlib.error) as error:
            raise StorageError(f"cannot read {self._path}: {error}") from error

    def _first_line(self) -> list[str]:
        """Return the first line, none of an empty file; raises StorageError."""
        try:
            return list(islice(self.lines, 1))
        except (OSError, EOFError, zlib.error) as error:
            raise StorageError(f"cannot read {self._path}: {error}") from error


def _lines_of(path: Path) -> "Lines":
    """Open *path*, a regular file; raises StorageError."""
    fd = _opened(path)
    file = os.fdopen(fd, "rb")
    if path.suffix != ".gz":
        return file
    return _LimitedGzip(file, max(SMALL, RATIO * os.fstat(fd).st_size))


class _LimitedGzip(gzip.GzipFile):
    """A gzip file that yields at most *limit* bytes."""

    def __init__(self, compressed: IO[bytes], limit: int) -> None:
        super().__init__(fileobj=compressed, mode="rb")
        self._compressed = compressed
        self._limit = limit

    def readline(self, size: int | None = -1) -> bytes:
        """Return a line; raises OSError beyond the limit."""
        line = super().readline(size)
        if self.tell() > self._limit:
            raise OSError(
                f"it decompresses to more than {self._limit} bytes; decompress it first"
            )
        return line

    def close(self) -> None:
        """Close the compressed file too."""
        super().close()
        self._compressed.close()


def _refuse_packed(line: bytes) -> None:
    """Raise OSError if *line*, the first of a file, shows that it is no CSV."""
    for beginning, what in PACKED.items():
        if line.startswith(beginning):
            raise OSError(f"it is {what}: unpack or rename it first")


class _TextLines:
    """The decoded lines of *source*; *lost* is the number of skipped ones.

    The current row may take *left* more bytes, which limits an unclosed quote. It is
    *foreign* if it is not UTF-8: bytes of another encoding, as in the name of a station
    that is not used, become surrogates. A first line is read as Windows-1252.
    """

    def __init__(self, source: Lines) -> None:
        self._source = source
        self._encoding = FIRST
        self.left = MAX_LINE
        self.lost = 0
        self.foreign = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        """Return the next valid line; raises csv.Error for a row that is too long."""
        while line := self._source.readline(MAX_LINE):
            if len(line) == MAX_LINE and not line.endswith(b"\n"):
                self._skip()
                continue
            self.left -= len(line)
            if self.left < 0:
                raise csv.Error("the row is too long")
            if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise OSError("its encoding is UTF-16; convert it to UTF-8 first")
            encoding, self._encoding = self._encoding, "utf-8"
            if encoding == FIRST:
                _refuse_packed(line)
            try:
                return line.decode(encoding)
            except UnicodeDecodeError:
                if encoding == FIRST:
                    return line.decode("cp1252", "replace")
                self.foreign = True
                return line.decode(encoding, "surrogateescape")
        raise StopIteration

    def _skip(self) -> None:
        """Skip the rest of a line that is too long."""
        self.lost += 1
        while line := self._source.readline(MAX_LINE):
            if line.endswith(b"\n"):
                return


class ParquetTable:
    """The Parquet files *paths*."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._files = ", ".join(duckdb_engine.path(path) for path in paths)
        self._source = (
            f"read_parquet([{self._files}], union_by_name = true, "
            "hive_partitioning = false)"
        )

    def header(self) -> list[str]:
        """See `Table`."""
        described = list(self._query(f"DESCRIBE FROM {self._source}"))
        return [str(name) for name, *_ in described]

    def headers(self) -> dict[Path, set[str]]:
        """See `Table`."""
        sql = f"SELECT file_name, name FROM parquet_schema([{self._files}])"
        names: dict[Path, set[str]] = {path: set() for path in self._paths}
        for file, name in self._query(sql):
            names[Path(str(file))].add(str(name))
        return names

    def rows(self, columns: Sequence[str]) -> Iterator[Row | None]:
        """See `Table`."""
        cells = (
            f"substr(CAST({duckdb_engine.name(name)} AS VARCHAR), 1, {MAX_VALUE})"
            for name in columns
        )
        return self._query(f"SELECT {', '.join(cells)} FROM {self._source}")

    def _query(self, sql: str) -> Iterator[Row]:
        """Yield the rows of *sql*, with access to these files only."""
        for path in self._paths:
            os.close(_opened(path))
        with scratch() as scratch_folder:
            db = duckdb_engine.connect(scratch_folder, memory=MEMORY)
            with closing(db), duckdb_engine.translated(f"cannot read {self._paths[0]}"):
                duckdb_engine.confine(db, map(str, self._paths))
                yield from _stream(db.execute(sql))


def _opened(path: Path) -> int:
    try:
        return open_file(path)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error


def _stream(cursor: "DuckDBPyConnection") -> Iterator[Row]:
    while batch := cursor.fetchmany(BATCH):
        yield from batch


def table(paths: Sequence[Path]) -> Table:
    """Return the table in *paths*, files of one kind."""
    return (ParquetTable if paths[0].suffix in PARQUET else CsvTable)(paths)

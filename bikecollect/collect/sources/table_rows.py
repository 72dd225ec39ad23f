"""Rows of tables that others made: CSV line by line, Parquet through DuckDB.

What a row may take of memory is bounded, whatever the file: a line, a value, and what a
packed file unpacks to. A line that cannot be read costs only itself.
"""

import csv
import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, Self

from bikecollect.archive.query import duckdb_engine
from bikecollect.core.errors import StorageError
from bikecollect.storage.files.regular_file import opened
from bikecollect.storage.files.scratch import scratch

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Row = Sequence[str | None]
PARQUET = (".parquet", ".pq")
LONGEST_LINE = 1 << 17
LONGEST_VALUE = 1_100
MOST_COLUMNS = 2_000
RATIO = 250
"""How often its packed size a table may unpack to; those of stations take 10 to 40."""
SMALL = 64 << 20
BATCH = 10_000
MEMORY = "160MB"


class Lines(Protocol):
    """A file of bytes that is read line by line."""

    def readline(self, size: int, /) -> bytes:
        """Return the next line, no more of it than *size*; empty at the end."""
        ...

    def close(self) -> None:
        """Let the file go."""
        ...


class Table(Protocol):
    """Files of one table."""

    def header(self) -> list[str]:
        """Return the columns that any of the files has."""
        ...

    def rows(self, columns: Sequence[str]) -> Iterator[Row | None]:
        """Yield *columns* of each row, in the files' order; None for one unreadable.

        Raises StorageError where a file cannot be read at all.
        """
        ...


class CsvTable:
    """The CSV files *paths*, each with its own header; packed by gzip where .gz."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def header(self) -> list[str]:
        """See `Table`."""
        found: dict[str, None] = {}
        for path in self._paths:
            with closing(_lines_of(path)) as source:
                texts = _Texts(source)
                found |= dict.fromkeys(_header(texts, csv.reader(texts), path))
        return list(found)

    def rows(self, columns: Sequence[str]) -> Iterator[Row | None]:
        """See `Table`."""
        for path in self._paths:
            with closing(_lines_of(path)) as source:
                yield from _rows(source, path, columns)


def _rows(source: Lines, path: Path, columns: Sequence[str]) -> Iterator[Row | None]:
    texts = _Texts(source)
    reader = csv.reader(texts)
    header = _header(texts, reader, path)
    place = {name: n for n, name in reversed(list(enumerate(header)))}
    wanted = [place.get(name, -1) for name in columns]
    while (cells := _cells(texts, reader, path)) is not None:
        if len(cells) == len(header):
            yield [cells[n] if n >= 0 else None for n in wanted]
        for _ in range(texts.lost + (0 < len(cells) != len(header))):
            yield None
        texts.lost = 0
    for _ in range(texts.lost):
        yield None


def _header(texts: "_Texts", reader: Iterator[list[str]], path: Path) -> list[str]:
    found = _cells(texts, reader, path) or []
    if len(found) > MOST_COLUMNS:
        raise StorageError(f"{path} has {len(found)} columns: no table of stations")
    return found


def _cells(
    texts: "_Texts", reader: Iterator[list[str]], path: Path
) -> list[str] | None:
    """Return the cells of the next row, none of an unreadable one; None: the end.

    Raises StorageError.
    """
    texts.left = LONGEST_LINE
    try:
        return next(reader, None)
    except csv.Error:
        texts.lost += 1
        return []
    except (OSError, EOFError, zlib.error) as error:
        raise StorageError(f"cannot read {path}: {error}") from error


def _lines_of(path: Path) -> "Lines":
    """Open *path*, a plain file; raises StorageError."""
    fd = _opened(path)
    file = os.fdopen(fd, "rb")
    if path.suffix != ".gz":
        return file
    return _Unpacked(file, max(SMALL, RATIO * os.fstat(fd).st_size))


class _Unpacked(gzip.GzipFile):
    """A packed file that gives no more than *most* bytes."""

    def __init__(self, packed: IO[bytes], most: int) -> None:
        super().__init__(fileobj=packed, mode="rb")
        self._packed = packed
        self._most = most

    def readline(self, size: int | None = -1) -> bytes:
        """Return a line; raises OSError where the bound is passed."""
        line = super().readline(size)
        if self.tell() > self._most:
            raise OSError(
                f"it unpacks to more than {self._most} bytes; unpack it first"
            )
        return line

    def close(self) -> None:
        """Close the packed file too."""
        super().close()
        self._packed.close()


class _Texts:
    """The lines of *source* as texts; how many were *lost* for they are none.

    A row may take *left* bytes more: a quote that is never closed does not take all.
    """

    def __init__(self, source: Lines) -> None:
        self._source = source
        self._encoding = "utf-8-sig"
        self.left = LONGEST_LINE
        self.lost = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        """Return the next line that is one; raises csv.Error for a row too long."""
        while line := self._source.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                self._skip()
                continue
            self.left -= len(line)
            if self.left < 0:
                raise csv.Error("a row without an end")
            encoding, self._encoding = self._encoding, "utf-8"
            try:
                return line.decode(encoding)
            except UnicodeDecodeError:
                self.lost += 1
        raise StopIteration

    def _skip(self) -> None:
        """Pass over the rest of a line that is too long."""
        self.lost += 1
        while line := self._source.readline(LONGEST_LINE):
            if line.endswith(b"\n"):
                return


class ParquetTable:
    """The Parquet files *paths*."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        files = ", ".join(duckdb_engine.path(each) for each in paths)
        self._source = (
            f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
        )

    def header(self) -> list[str]:
        """See `Table`."""
        described = list(self._answer(f"DESCRIBE FROM {self._source}"))
        return [str(name) for name, *_ in described]

    def rows(self, columns: Sequence[str]) -> Iterator[Row | None]:
        """See `Table`."""
        cells = (
            f"substr(CAST({duckdb_engine.name(each)} AS VARCHAR), 1, {LONGEST_VALUE})"
            for each in columns
        )
        return self._answer(f"SELECT {', '.join(cells)} FROM {self._source}")

    def _answer(self, sql: str) -> Iterator[Row]:
        """Yield the rows that *sql* gives, with nothing but these files at hand."""
        for path in self._paths:
            os.close(_opened(path))
        with scratch() as aside:
            db = duckdb_engine.connect(aside, memory=MEMORY)
            with closing(db), duckdb_engine.translated(f"cannot read {self._paths[0]}"):
                duckdb_engine.confine(db, map(str, self._paths))
                yield from _stream(db.execute(sql))


def _opened(path: Path) -> int:
    try:
        return opened(path)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error


def _stream(cursor: "DuckDBPyConnection") -> Iterator[Row]:
    while some := cursor.fetchmany(BATCH):
        yield from some


def table(paths: Sequence[Path]) -> Table:
    """Return the table in *paths*, files of one kind."""
    return (ParquetTable if paths[0].suffix in PARQUET else CsvTable)(paths)


def files(path: Path) -> list[Path]:
    """Return the tables at *path*: a file, or a folder's plain ones.

    Raises StorageError where there is none, or both kinds.
    """
    if path.is_file():
        return [path.resolve() if path.is_symlink() else path]  # as the user named it
    if not path.is_dir():
        raise StorageError(f"{path} is neither a file nor a folder")
    found = [
        each
        for pattern in ("*.parquet", "*.csv", "*.csv.gz")
        for each in sorted(path.rglob(pattern))
        if each.is_file() and not each.is_symlink()
    ]
    suffixes = {each.suffix in PARQUET for each in found}
    if not found or len(suffixes) > 1:
        what = "both CSV and Parquet" if found else "no CSV and no Parquet file"
        raise StorageError(f"{path}: {what} is there; give --from one kind of files")
    return found

"""Queries for the rows of open days, from CSV or from temporary Parquet files."""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bikecollect.archive import datasets, day_csv, parquet, summaries
from bikecollect.archive.query import duckdb_engine
from bikecollect.archive.query.own_columns import columns_of_view, sql_names
from bikecollect.archive.query.view_source import TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KEYS = {"system_id": "VARCHAR", "date": "DATE"}
BYTES_AT_ONCE = 48_000_000
"""Bytes of CSV that are summed up at a time: a large city's day, or many small ones."""
CSV_BYTES_PER_BYTE = 10
"""Approximate bytes of CSV per byte of an archived file."""
SUMMED_COLUMNS = (
    *("slot", "station_id", "num_vehicles_available", "num_docks_available"),
    *("capacity", "is_installed", "is_renting", "is_returning", "last_reported"),
    "hour_of_week",
)
"""The columns of rows from which summaries are computed."""
PLACE = ("slot", "station_id")
"""Those of them that tell when a station had rows."""

CREATED = (
    "SELECT table_name, CASE table_type WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END"
    " FROM information_schema.tables"
)


class RowsFile(NamedTuple):
    """A file of rows of a *day*: CSV with the first line *header*, or else Parquet.

    Rows of the slots *besides* are in other files, too, and are not read from this one.
    """

    system_id: str
    day: str
    path: Path
    header: bytes = b""
    besides: Collection[int] = ()

    @property
    def csv_bytes(self) -> int:
        """The approximate size of its rows as CSV."""
        size = self.path.stat().st_size
        return size if self.header else size * CSV_BYTES_PER_BYTE


class LostRows(NamedTuple):
    """The rows of a *day*, or of any (empty), that cannot be read; *text* says why."""

    system_id: str
    day: str
    text: str

    def sql(self, columns: Mapping[str, str]) -> str:
        """Return a row of *columns* that has the keys of the rows, and else fails."""
        error = f"error({duckdb_engine.text(self.text)})"
        keys = {"system_id": self.system_id, "date": self.day}
        values = ", ".join(
            f"CAST({duckdb_engine.text(keys[name]) if keys.get(name) else error}"
            f" AS {kind}) AS {duckdb_engine.name(name)}"
            for name, kind in columns.items()
        )
        return f"SELECT {values} WHERE CAST({error} AS VARCHAR) IS NOT NULL"


def queries(db: "DuckDBPyConnection", files: Iterable[RowsFile]) -> Iterator[str]:
    """Yield queries for the rows of *files*, one for all CSV with the same header."""
    sheets: dict[tuple[str, bytes], list[Path]] = {}
    for file in files:
        if file.header:
            sheets.setdefault((file.system_id, file.header), []).append(file.path)
        else:
            yield _parquet_rows(db, file)
    for (system_id, header), paths in sheets.items():
        yield _csv_rows(system_id, header, paths)


def _csv_rows(system_id: str, header: bytes, paths: Sequence[Path]) -> str:
    """Return the query for the rows of *paths*; their names begin with their day."""
    columns = sql_names(day_csv.columns_of(header))
    source = parquet.csv_source(duckdb_engine.paths(paths), columns)
    source = source[:-1] + ", filename = true)"
    date = r"regexp_extract(filename, '(\d{4}-\d\d-\d\d)[^/]*$', 1)"
    return (
        f"SELECT {duckdb_engine.text(system_id)} AS system_id,"
        f" CAST({date} AS DATE) AS date, {parquet.as_rows(columns)} FROM {source}"
    )


def _parquet_rows(db: "DuckDBPyConnection", file: RowsFile) -> str:
    source = duckdb_engine.parquet(file.path)
    described = db.execute(f"DESCRIBE FROM {source}").fetchall()
    columns = columns_of_view([column for column, *_ in described])
    others = ", ".join(str(int(slot)) for slot in file.besides)
    rest = f" WHERE coalesce(slot NOT IN ({others}), true)" if others else ""
    return (
        f"SELECT {duckdb_engine.text(file.system_id)} AS system_id,"
        f" DATE {duckdb_engine.text(file.day)} AS date, {columns} FROM {source}{rest}"
    )


def settled(db: "DuckDBPyConnection", folder: Path, header: bytes, sheet: Path) -> Path:
    """Return *sheet* as Parquet in *folder*, written unless it exists.

    The committed bytes of *sheet* only grow. Raises StorageError.
    """
    kept = folder / f"{sheet.stem}-{sheet.stat().st_size}.parquet"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"{sheet.stem}-*"):
            old.unlink()
        new = kept.with_suffix(".new")
        parquet.write_quick(db, sheet, day_csv.columns_of(header), new)
        new.rename(kept)
    return kept


def union(parts: Iterable[str], columns: Mapping[str, str]) -> str:
    """Return the union of the queries *parts*; it has all *columns*, and the keys."""
    typed = ", ".join(
        f"CAST(NULL AS {kind}) AS {duckdb_engine.name(column)}"
        for column, kind in {**KEYS, **columns}.items()
    )
    return " UNION ALL BY NAME ".join([f"SELECT {typed} WHERE false", *parts])


def with_lost(db: "DuckDBPyConnection", sql: str, lost: Iterable[LostRows]) -> str:
    """Return *sql* with rows that fail where the *lost* ones would be read.

    They have the keys of their day: queries about other days never evaluate them. Each
    other value fails, too: a NULL would end in the first condition on its column.
    """
    rows = list(lost)
    if not rows:
        return sql
    described = db.execute(f"DESCRIBE {sql}").fetchall()
    columns = {name: kind for name, kind, *_ in described}
    failing = [row.sql(columns) for row in rows]
    return " UNION ALL BY NAME ".join([f"FROM ({sql})", *failing])


def fail_for(db: "DuckDBPyConnection", lost: Mapping[str, str]) -> None:
    """Let all queries in *db* fail that read a system whose earlier data are *lost*.

    The texts say why. Which days they were is not known: conditions on the date do not
    matter.
    """
    rows = [LostRows(system_id, "", text) for system_id, text in lost.items()]
    for name, kind in db.execute(CREATED).fetchall() if rows else ():
        if name in TABLES:
            db.execute(f"ALTER {kind} {name} RENAME TO kept_{name}")
            sql = with_lost(db, f"FROM kept_{name}", rows)
            db.execute(f"CREATE VIEW {name} AS {sql}")


class BatchSummaries:
    """Sums up open days, some at a time, into Parquet files in the folder *aside*.

    A single plan over the rows of a month of a large city would take a gigabyte of
    memory, and read each CSV once per use of a summary. Only *tables* are needed.
    """

    def __init__(
        self,
        db: "DuckDBPyConnection",
        aside: Path,
        tables: Container[str],
        interval: int,
    ) -> None:
        self._db, self._aside = db, aside
        self._number = 0
        of_batch = "batch_rows", "batch_slots"
        queries_of = {
            "coverage": summaries.coverage(interval, *of_batch),
            "profile": summaries.profile(*of_batch),
            datasets.STATION_DAYS: summaries.station_days(*of_batch),
            datasets.PRESENCE: summaries.presence(*of_batch),
        }
        self._sql = {name: sql for name, sql in queries_of.items() if name in tables}
        is_light = self._sql.keys() == {datasets.PRESENCE}
        self._columns = PLACE if is_light else SUMMED_COLUMNS
        names = (*datasets.DATASETS, *datasets.EXTRACTS)
        self.files: dict[str, list[Path]] = {name: [] for name in names}

    def sum_up(
        self, files: Iterable[RowsFile], slots: str, *, keep: Container[str] = ()
    ) -> None:
        """Add the summaries of the days of *files*; also their rows if in *keep*.

        The view *slots* has their slots. *files* of the same day follow each other.
        """
        for batch in _batches(files):
            self._number += 1
            if datasets.STATUS in keep:
                self._keep(batch)
            else:
                self._load(batch)
            self._db.execute(
                f"CREATE TABLE batch_slots AS SELECT s.* FROM {slots} AS s"
                " SEMI JOIN batch_rows AS r"
                " ON r.system_id = s.system_id AND r.date = s.date"
            )
            for name, sql in self._sql.items():
                self._copy(sql, name)
            self._db.execute("DROP TABLE batch_slots")
            self._db.execute("DROP VIEW batch_rows")
            self._db.execute("DROP TABLE IF EXISTS batch_table")

    def _keep(self, batch: Sequence[RowsFile]) -> None:
        """Read the rows of *batch* once, into a file with the view `batch_rows`."""
        order = "ORDER BY system_id, date, station_id, slot"
        path = self._copy(f"{self._rows(batch)} {order}", datasets.STATUS)
        self._db.execute(
            f"CREATE VIEW batch_rows AS FROM {duckdb_engine.parquet(path)}"
        )

    def _load(self, batch: Sequence[RowsFile]) -> None:
        """Load the columns of *batch* that summaries need, as the view `batch_rows`."""
        names, rows = ", ".join([*KEYS, *self._columns]), self._rows(batch)
        self._db.execute(f"CREATE TABLE batch_table AS SELECT {names} FROM ({rows})")
        self._db.execute("CREATE VIEW batch_rows AS FROM batch_table")

    def _rows(self, batch: Sequence[RowsFile]) -> str:
        return union(queries(self._db, batch), datasets.COLUMNS[datasets.STATUS])

    def _copy(self, sql: str, dataset: str) -> Path:
        path = self._aside / f"{dataset}-{self._number}.parquet"
        target = duckdb_engine.text(str(path))
        self._db.execute(f"COPY ({sql}) TO {target} ({parquet.TEMPORARY})")
        self.files[dataset].append(path)
        return path

    def query(self, dataset: str) -> list[str]:
        """Return queries for all that was added to *dataset*."""
        paths = self.files[dataset]
        if not paths:
            return []
        listed = duckdb_engine.paths(paths)
        return [f"SELECT * FROM read_parquet({listed}, hive_partitioning = false)"]


def _batches(files: Iterable[RowsFile]) -> Iterator[list[RowsFile]]:
    """Yield *files* in whole days, together about `BYTES_AT_ONCE` or a single day."""
    batch: list[RowsFile] = []
    size = 0
    for _, members in groupby(files, key=lambda file: (file.system_id, file.day)):
        day = list(members)
        own_size = sum(file.csv_bytes for file in day)
        if batch and size + own_size > BYTES_AT_ONCE:
            yield batch
            batch, size = [], 0
        batch += day
        size += own_size
    if batch:
        yield batch

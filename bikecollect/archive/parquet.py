"""Convert a day's sorted CSV to Parquet, and back to the same bytes."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.archive import datasets, summaries
from bikecollect.archive.day_csv import Piece
from bikecollect.archive.encoding import trial
from bikecollect.archive.encoding.copying import copy, lines_by_slot
from bikecollect.archive.encoding.csv_cells import any_time, line_of, text_of_times
from bikecollect.archive.query.duckdb_engine import (
    name,
    parquet,
    path,
    text,
    translated,
)
from bikecollect.archive.query.own_columns import sql_names
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import Slot

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LEVEL = 19
ROW_GROUP = 2_000_000
"""More rows than a day has: with one row group, a station's rows are together."""
ROWS_AT_ONCE = 120_000
"""Approximate rows that are read back by one query, which decodes the whole file."""
DICTIONARY = 3_000
"""A column with more distinct values is stored as differences (last_reported)."""
BASE = (
    f"FORMAT parquet, PARQUET_VERSION V2, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP},"
    " WRITE_BLOOM_FILTER false"
)
"""Bloom filters are useless in a file of one row group."""
OPTIONS = f"{BASE}, COMPRESSION_LEVEL {LEVEL}, DICTIONARY_SIZE_LIMIT {DICTIONARY}"
SMALL = (
    "FORMAT parquet, PARQUET_VERSION V1, COMPRESSION zstd, COMPRESSION_LEVEL 12,"
    f" ROW_GROUP_SIZE {ROW_GROUP}, DICTIONARY_SIZE_LIMIT 1, WRITE_BLOOM_FILTER false"
)
"""The options for a day's slots, runs and coverage, which are always read whole."""
PROFILE = SMALL.replace("LIMIT 1", f"LIMIT {DICTIONARY}")
"""The options for a day's profile, with dictionaries.

A report on a year decodes 14 million rows; with dictionaries it takes half the time.
The file is 12 % larger than at level 19 without them, and written in a tenth of the
time.
"""
VEHICLE_ROW_GROUP = 100_000
"""For vehicles: a day has millions of rows, and a row group is held in memory."""
QUICK = f"FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {ROW_GROUP}"
"""The options for short-lived files."""
TEMPORARY = "FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 40960"
"""The options for temporary files of which a query reads some stations at a time."""


def as_rows(columns: Sequence[str], derived: str = "") -> str:
    """Return the expressions that turn the texts of a CSV into typed *columns*.

    *columns* are names in SQL, see `own_columns`; `OCCUPANCY_DERIVED` replaces the
    column *derived*. Local time is taken from the text, which has the system's offset.
    A text that is not a value of its column's type becomes NULL.
    """
    types = datasets.types_of(columns)
    expressions = [
        f"true AS {datasets.OCCUPANCY_DERIVED}"
        if column == derived
        else f"{_typed(column, types)} AS {name(column)}"
        for column in columns
    ]
    local = "TRY_CAST(epoch(TRY_CAST(substr(slot, 1, 19) AS TIMESTAMP)) AS BIGINT)"
    hour, rest = (f"TRY_CAST(substr(slot, {n}, 2) AS INTEGER)" for n in (12, 15))
    minute = f"{hour} * 60 + {rest}"
    hours = f"({local} // 86400 + 3) % 7 * 24 + {hour}"
    expressions.append(f"TRY_CAST({minute} AS SMALLINT) AS minute_of_day")
    expressions.append(f"TRY_CAST({hours} AS SMALLINT) AS hour_of_week")
    return ", ".join(expressions)


def csv_source(files: str, columns: Sequence[str]) -> str:
    """Return the table of *files* (an SQL literal), with text in all columns.

    The dialect is not detected: a torn file is an error, never a table of one column.
    The buffers, several per thread, are as small as the longest line allows.
    """
    types = ", ".join(f"{text(column)}: 'VARCHAR'" for column in columns)
    return (
        f"read_csv({files}, columns = {{{types}}}, auto_detect = false, header = true,"
        " delim = ',', quote = '\"', escape = '\"', new_line = '\\n',"
        " strict_mode = true, null_padding = false,"
        " max_line_size = 2097152, buffer_size = 2097152)"
    )


def write_day(
    db: "DuckDBPyConnection",
    sheet: Path,
    columns: Sequence[str],
    target: Path,
    derived: str = "",
) -> None:
    """Write *sheet*, a day's sorted CSV, to *target*; raises StorageError.

    The column *derived* is omitted, see `derivable`. Encodings of columns of stations
    are chosen by trial, see `encoding.trial`.
    """
    with translated(f"{sheet} cannot be archived"):
        sql = _sorted_rows(sheet, columns, derived)
        copy_smallest(db, sql, target, columns)


def copy_smallest(
    db: "DuckDBPyConnection", sql: str, target: Path, columns: Sequence[str] = ()
) -> None:
    """Write *target* with the sorted rows of *sql*, each column in its best encoding.

    *columns* are those of the daily file. Raises OSError and errors of DuckDB.
    """
    rows = target.with_suffix(".rows")
    copy(db, sql, rows, grouped(QUICK, columns))
    options = grouped(BASE, columns)
    try:
        trial.write_smallest(
            db, rows, target, options=options, dictionary=DICTIONARY, level=LEVEL
        )
    except ValueError:  # a footer that another version of DuckDB writes
        sql, options = f"SELECT * FROM {parquet(rows)}", grouped(OPTIONS, columns)
        copy(db, sql, target, options)
    rows.unlink()


def derivable(columns: Sequence[str]) -> str:
    """Return the column of a daily file that may follow from the others, or "".

    >>> derivable(["slot", "num_vehicles_available", "capacity", "occupancy"])
    'occupancy'
    """
    needed = {datasets.OCCUPANCY, *datasets.DERIVED_FROM}
    return datasets.OCCUPANCY if needed <= set(columns) else ""


def grouped(options: str, columns: Sequence[str]) -> str:
    """Return *options* of COPY with the size of row groups for rows with *columns*."""
    if datasets.types_of(columns) is not datasets.VEHICLE_TYPES:
        return options
    size = f"ROW_GROUP_SIZE {VEHICLE_ROW_GROUP}"
    return options.replace(f"ROW_GROUP_SIZE {ROW_GROUP}", size)


def write_quick(
    db: "DuckDBPyConnection", sheet: Path, columns: Sequence[str], target: Path
) -> None:
    """Write *sheet* to *target* fast, for short use; raises StorageError."""
    with translated(f"{sheet} cannot be read"):
        sql = _sorted_rows(sheet, columns)
        copy(db, sql, target, QUICK)


def _sorted_rows(sheet: Path, columns: Sequence[str], derived: str = "") -> str:
    columns = sql_names(columns)
    source = csv_source(path(sheet), columns)
    return (
        f"SELECT {as_rows(columns, derived)} FROM {source}"
        f" ORDER BY {columns[datasets.KEY]}, slot"
    )


def write_summaries(
    db: "DuckDBPyConnection", rows: Path, slots: Path, interval: int, target: Path
) -> None:
    """Write the summaries of a day, with its *rows* and *slots*, into *target*."""
    for view, file in (("rows", rows), ("day_slots", slots)):
        source = parquet(file)
        db.execute(
            f"CREATE VIEW {view} AS SELECT 0 AS system_id, 0 AS date, * FROM {source}"
        )
    for dataset, sql, order, options in (
        ("coverage", summaries.coverage_file(interval), "station_id", SMALL),
        ("profile", summaries.profile(), "station_id, hour_of_week", PROFILE),
    ):
        rows_ = f"SELECT * EXCLUDE (system_id, date) FROM ({sql}) AS summed"
        part = target / f"{dataset}.parquet"
        copy(db, f"{rows_} ORDER BY {order}", part, options)


def pieces(
    db: "DuckDBPyConnection", part: Path, zone: tzinfo, csv_columns: Sequence[str]
) -> Iterator[Piece]:
    """Yield the rows of *part*, an archived day, as the lines that its CSV had.

    *csv_columns* are the columns of that CSV. Slots ascend, lines are in any order.
    """
    source = parquet(part)
    with translated(f"{part} cannot be read"):
        rows = db.execute(f"DESCRIBE FROM {source}").fetchall()
        names = [column for column, *_ in rows]
        hidden = {*datasets.ADDED, *datasets.NOT_COLLECTED}
        columns = tuple(column for column in names if column not in hidden)
        if datasets.OCCUPANCY_DERIVED in names:
            columns = sql_names(csv_columns)
            source = f"(SELECT *, {datasets.OCCUPANCY_SQL} AS occupancy FROM {source})"
        if len(columns) != len(csv_columns):
            raise StorageError(
                f"{part} has {len(columns)} columns, its CSV had {len(csv_columns)}",
                cause="archive",
            )
        written = text_of_times(db, zone, datasets.TIMES, source)
        sql = f"SELECT slot, count(*) FROM {source} WHERE slot IS NOT NULL"
        counts = dict(db.execute(f"{sql} GROUP BY ALL ORDER BY ALL").fetchall())
    if not counts:
        return
    line = line_of(columns, written)
    if datasets.VERBATIM in names:
        line = f"coalesce({datasets.VERBATIM}, {line_of(columns, any_time(zone))})"
    sql = f"SELECT slot, {line} AS line FROM {source} WHERE slot BETWEEN ? AND ?"
    slots = list(counts)
    step = max(1, ROWS_AT_ONCE * len(slots) // sum(counts.values()))
    for begin in range(0, len(slots), step):
        with translated(f"{part} cannot be read"):
            by_slot = lines_by_slot(db, sql, slots[begin:][:step])
        for slot, lines in by_slot.items():
            text_ = "\n".join([*lines, ""])
            yield Piece(Slot(slot), tuple(csv_columns), text_.encode("utf-8"))


def _typed(column: str, types: Mapping[str, str]) -> str:
    kind, cell = datasets.type_of(column, types), name(column)
    if kind == "VARCHAR":
        return cell
    # Without nullif, DuckDB treats TRY_CAST(x AS INTEGER) as the column's type and
    # casts in its CSV reader, which fails on bad values.
    cell = f"nullif({cell}, '')"
    if column in datasets.TIMES:
        return f"TRY_CAST(epoch(TRY_CAST({cell} AS TIMESTAMPTZ)) AS BIGINT)"
    return f"TRY_CAST({cell} AS {kind})"

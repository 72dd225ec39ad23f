"""Station status as Parquet: a day's sheet in, and the very same sheet out again."""

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.archive import datasets, utc_offsets
from bikecollect.archive.day_csv import Piece
from bikecollect.archive.query.duckdb_engine import (
    name,
    parquet,
    path,
    text,
    translated,
)
from bikecollect.core.errors import StorageError
from bikecollect.core.slots import DAY, EARLIEST, LATEST, Slot

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FIRST, LAST = -62_135_596_800 + DAY, 253_402_300_800 - DAY
"""The times that have a date in Python, wherever on earth."""
LEVEL = 19
ROW_GROUP = 2_000_000
"""More rows than a day has: one row group, so that a station's rows lie together."""
SLOTS_AT_ONCE = 24
DICTIONARY = 3_000
"""A column with more values than this is stored by its differences (last_reported)."""
OPTIONS = (
    f"FORMAT parquet, PARQUET_VERSION V2, COMPRESSION zstd, COMPRESSION_LEVEL {LEVEL},"
    f" ROW_GROUP_SIZE {ROW_GROUP}, DICTIONARY_SIZE_LIMIT {DICTIONARY}"
)
QUICK = f"FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {ROW_GROUP}"
"""For files that are thrown away soon."""


def as_rows(columns: Sequence[str]) -> str:
    """Return the expressions that make typed *columns* out of a CSV's texts.

    Local time is read off the text itself: it carries the system's own offset. What is
    no value of its column's type is NULL.
    """
    made = [f"{_typed(each)} AS {name(each)}" for each in columns]
    local = "TRY_CAST(epoch(TRY_CAST(substr(slot, 1, 19) AS TIMESTAMP)) AS BIGINT)"
    hour, rest = (f"TRY_CAST(substr(slot, {n}, 2) AS INTEGER)" for n in (12, 15))
    minute = f"{hour} * 60 + {rest}"
    hours = f"({local} // 86400 + 3) % 7 * 24 + {hour}"
    made.append(f"TRY_CAST({minute} AS SMALLINT) AS minute_of_day")
    made.append(f"TRY_CAST({hours} AS SMALLINT) AS hour_of_week")
    return ", ".join(made)


def csv_source(files: str, columns: Sequence[str]) -> str:
    """Return the table of *files* (a literal of SQL), every cell a text.

    Nothing is guessed: a torn file is an error, never a table of one column.
    """
    types = ", ".join(f"{text(each)}: 'VARCHAR'" for each in columns)
    return (
        f"read_csv({files}, columns = {{{types}}}, auto_detect = false, header = true,"
        " delim = ',', quote = '\"', escape = '\"', new_line = '\\n',"
        " strict_mode = true, null_padding = false,"
        " max_line_size = 2097152, buffer_size = 8388608)"
    )


def write_day(
    db: "DuckDBPyConnection", sheet: Path, columns: Sequence[str], target: Path
) -> None:
    """Write *sheet*, a day's CSV, to *target*; raises StorageError."""
    _write(db, sheet, columns, target, OPTIONS)


def write_quick(
    db: "DuckDBPyConnection", sheet: Path, columns: Sequence[str], target: Path
) -> None:
    """Write *sheet* to *target* in less time, for a while; raises StorageError."""
    _write(db, sheet, columns, target, QUICK)


def _write(
    db: "DuckDBPyConnection",
    sheet: Path,
    columns: Sequence[str],
    target: Path,
    options: str,
) -> None:
    source = csv_source(path(sheet), columns)
    sql = (
        f"COPY (SELECT {as_rows(columns)} FROM {source}"
        f" ORDER BY station_id, slot) TO {text(str(target))} ({options})"
    )
    with translated(f"{sheet} cannot be archived"):
        db.execute(sql)


def pieces(db: "DuckDBPyConnection", part: Path, zone: tzinfo) -> Iterator[Piece]:
    """Yield the rows of *part*, an archived day, as the lines that its CSV had."""
    source = parquet(part)
    with translated(f"{part} cannot be read"):
        known = [each for each, *_ in db.execute(f"DESCRIBE FROM {source}").fetchall()]
        hidden = {*datasets.ADDED, datasets.VERBATIM}
        columns = tuple(each for each in known if each not in hidden)
        bounds = ", ".join(f"min({each}), max({each})" for each in datasets.TIMES)
        (ends,) = db.execute(f"SELECT {bounds} FROM {source}").fetchall()
        sql = f"SELECT DISTINCT slot FROM {source} WHERE slot IS NOT NULL ORDER BY slot"
        grid = [each for (each,) in db.execute(sql).fetchall()]
    if not grid:
        return
    line = line_of(columns, _times(zone, ends))
    if datasets.VERBATIM in known:
        line = f"coalesce({datasets.VERBATIM}, {line_of(columns, any_time(zone))})"
    sql = (
        f"SELECT slot, {line} || chr(10) AS line FROM {source}"
        " WHERE slot BETWEEN ? AND ? ORDER BY slot, station_id"
    )
    for begin in range(0, len(grid), SLOTS_AT_ONCE):
        some = grid[begin : begin + SLOTS_AT_ONCE]
        with translated(f"{part} cannot be read"):
            rows = db.execute(sql, [some[0], some[-1]]).fetchall()
        found: dict[int, list[str]] = {}
        for slot, each in rows:
            found.setdefault(slot, []).append(each)
        for slot, texts in found.items():
            yield Piece(Slot(slot), columns, "".join(texts).encode("utf-8"))


def _times(zone: tzinfo, ends: Sequence[int | None]) -> str:
    """Return the expression that writes times within *ends*, see `iso_text`."""
    times = [each for each in ends if each is not None]
    return iso_text(zone, max(min(times), FIRST), min(max(times), LAST))


def any_time(zone: tzinfo) -> str:
    """Return the expression that writes any time a slot may have, see `iso_text`."""
    return iso_text(zone, EARLIEST, LATEST)


def line_of(columns: Sequence[str], written: str) -> str:
    """Return the expression that writes a row's *columns* as a daily file has them."""
    return " || ',' || ".join(cell(each, written) for each in columns)


def _typed(column: str) -> str:
    kind, cell = datasets.type_of(column), name(column)
    if kind == "VARCHAR":
        return cell
    # Without nullif, DuckDB lets its reader of CSV cast, which fails where this does
    # not: TRY_CAST(x AS INTEGER) is taken for the type of the column.
    cell = f"nullif({cell}, '')"
    if column in datasets.TIMES:
        return f"TRY_CAST(epoch(TRY_CAST({cell} AS TIMESTAMPTZ)) AS BIGINT)"
    return f"TRY_CAST({cell} AS {kind})"


def cell(column: str, written: str) -> str:
    """Return the expression that writes *column* as a daily file has it.

    *written* is `iso_text`'s, for the times.
    """
    if column in datasets.TIMES:
        return f"coalesce({written.format(name(column))}, '')"
    if datasets.type_of(column) != "VARCHAR":
        return f"coalesce(CAST({name(column)} AS VARCHAR), '')"
    return quoted(name(column))


def quoted(sql: str, special: str = '[,"\\n]') -> str:
    """Return the expression that writes the text *sql* as `csv.writer` does.

    *special* is the pattern of what is put into quotes.
    """
    inside = f"'\"' || replace({sql}, '\"', '\"\"') || '\"'"
    needs = f"regexp_matches({sql}, {text(special)})"
    return f"coalesce(CASE WHEN {needs} THEN {inside} ELSE {sql} END, '')"


def iso_text(zone: tzinfo, first: int, last: int) -> str:
    """Return the expression, with {0} for epoch seconds, that writes ISO 8601.

    NULL where they have no date.
    """
    cases, written = [], ""
    for since, offset in reversed(utc_offsets.steps(zone, first, last)):
        sign, (hours, rest) = "-" if offset < 0 else "+", divmod(abs(offset), 3600)
        minutes, seconds = divmod(rest, 60)
        if seconds:
            raise StorageError(f"{zone} has an offset of {offset} seconds")
        moment = f"strftime(make_timestamp(({{0}} + {offset}) * 1000000), {ISO})"
        written = f"{moment} || '{sign}{hours:02}:{minutes:02}'"
        cases.append(f"WHEN {{0}} >= {since} THEN {written}")
    outside = f"WHEN {{0}} NOT BETWEEN {FIRST} AND {LAST} THEN NULL"
    return f"CASE {outside} {' '.join(cases)} ELSE {written} END"


ISO = "'%Y-%m-%dT%H:%M:%S'"

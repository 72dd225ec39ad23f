"""The encoding of each column of a day: the smallest, by trial.

DuckDB writes integers as a dictionary or as differences. A count that changes often is
15 to 30 % smaller if its bytes are split into streams (BYTE_STREAM_SPLIT) and is read
about as fast, but DuckDB writes only fractions like this. So such a column is written
as the fractions that have the bits of its integers, and combined with the others under
its own type. The caller compares what is read back with the CSV.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bikecollect.archive.encoding.combine import column_sizes, combine
from bikecollect.archive.encoding.copying import copy
from bikecollect.archive.query.duckdb_engine import name, parquet

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

USUAL, SPLIT, DIFFERENCES = "usual", "split", "differences"
FRACTIONS = {
    "SMALLINT": ("FLOAT", -149, 1 << 23),
    "INTEGER": ("FLOAT", -149, 1 << 23),
    "BIGINT": ("DOUBLE", -1074, 1 << 52),
}
"""The fractions for integers of a type.

Up to the limit, a fraction with the bits of n is n times this power of two.
"""
VEHICLE_ID = "vehicle_id"
NEVER_SPLIT = frozenset({"slot"})
"""Each query reads this column: as a dictionary it is fastest to read, and small."""
TRIAL_LEVEL = 9
"""A trial takes a seventh of the time of level 19, and ranks the encodings alike."""
TOLERANCE = 1.05
"""The factor by which a split column may be larger in the trial: level 19 shrinks it
more than others."""
FAR_SMALLER = 0.7
"""The share of the other sizes below which differences are chosen: they are slower to
read than a dictionary."""


class _Form(NamedTuple):
    """An encoding: its *columns* with expressions, and its largest *dictionary*."""

    columns: Mapping[str, str]
    dictionary: int


def write_smallest(
    db: "DuckDBPyConnection",
    rows: Path,
    target: Path,
    *,
    options: str,
    dictionary: int,
    level: int,
) -> None:
    """Write *target* with *rows*, a Parquet file, each column in its smaller encoding.

    *options* of COPY have neither the *level* of compression nor the largest
    *dictionary*. Raises ValueError, OSError and errors of DuckDB.
    """
    described = db.execute(f"DESCRIBE FROM {parquet(rows)}").fetchall()
    types = {column: kind for column, kind, *_ in described}
    files: dict[str, Path] = {}
    with _in_order(db):
        fractions = _splittable(db, rows, types)
        forms = {
            USUAL: _Form({column: name(column) for column in types}, dictionary),
            SPLIT: _Form(fractions, 1),
            DIFFERENCES: _Form(_differences(fractions, types), 1),
        }
        chosen = _smallest(db, rows, forms, target, options=options)
        for kind, form in forms.items():
            columns = {c: sql for c, sql in form.columns.items() if chosen[c] == kind}
            if columns:
                path = target.with_suffix(f".{kind}")
                _copy(db, rows, columns, path, _with(options, form.dictionary, level))
                files |= dict.fromkeys(columns, path)
    try:
        combine(rows, files, target)
    finally:
        for path in {*files.values()}:
            path.unlink()


@contextmanager
def _in_order(db: "DuckDBPyConnection") -> Iterator[None]:
    """Let DuckDB write rows in the order in which it reads them, in several threads."""
    db.execute("SET preserve_insertion_order = true")
    try:
        yield
    finally:
        db.execute("SET preserve_insertion_order = false")


def _differences(columns: Iterable[str], types: Mapping[str, str]) -> dict[str, str]:
    """Return those of *columns* that may be stored as differences.

    Vehicles come and go, so even their slots do not repeat. For columns of stations
    differences are never smaller, so they are not tried.
    """
    return {c: name(c) for c in columns} if VEHICLE_ID in types else {}


def _smallest(
    db: "DuckDBPyConnection",
    rows: Path,
    forms: Mapping[str, _Form],
    target: Path,
    *,
    options: str,
) -> dict[str, str]:
    """Return for each column the one of *forms* in which it is smallest, by trial."""
    chosen = dict.fromkeys(forms[USUAL].columns, USUAL)
    candidates = forms[SPLIT].columns
    if not candidates:
        return chosen
    path = target.with_suffix(".trial")
    sizes: dict[str, dict[str, int]] = {}
    for kind, form in forms.items():
        columns = {c: sql for c, sql in form.columns.items() if c in candidates}
        if not columns:
            continue
        trial_options = _with(options, form.dictionary, TRIAL_LEVEL)
        _copy(db, rows, columns, path, trial_options)
        sizes[kind] = column_sizes(path)
        path.unlink()
    for column in candidates:
        usual, split = sizes[USUAL][column], sizes[SPLIT][column]
        if column not in NEVER_SPLIT and split < TOLERANCE * usual:
            chosen[column] = SPLIT
        if column in forms[DIFFERENCES].columns:
            least = FAR_SMALLER * min(usual, split)
            if sizes[DIFFERENCES][column] < least:
                chosen[column] = DIFFERENCES
    return chosen


def _splittable(
    db: "DuckDBPyConnection", rows: Path, types: Mapping[str, str]
) -> dict[str, str]:
    """Return the integer columns that can be split, each with its expression.

    A column without different values takes no room anyway.
    """
    columns = [column for column, kind in types.items() if kind in FRACTIONS]
    if not columns:
        return {}
    ends = ", ".join(f"min({name(c)}), max({name(c)})" for c in columns)
    values = db.execute(f"SELECT {ends} FROM {parquet(rows)}").fetchall()[0]
    expressions = {}
    for column, least, most in zip(columns, values[::2], values[1::2], strict=True):
        kind, power, limit = FRACTIONS[types[column]]
        if least is not None and 0 <= least < most < limit:
            fraction = f"CAST({name(column)} AS DOUBLE) * {2.0**power!r}"
            expressions[column] = f"CAST({fraction} AS {kind})"
    return expressions


def _with(options: str, dictionary: int, level: int) -> str:
    limits = f"DICTIONARY_SIZE_LIMIT {dictionary}, COMPRESSION_LEVEL {level}"
    return f"{options}, {limits}"


def _copy(
    db: "DuckDBPyConnection",
    rows: Path,
    columns: Mapping[str, str],
    target: Path,
    options: str,
) -> None:
    values = ", ".join(f"{sql} AS {name(column)}" for column, sql in columns.items())
    sql = f"SELECT {values} FROM {parquet(rows)}"
    copy(db, sql, target, options)

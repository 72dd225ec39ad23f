"""The encoding of each column of a day: the smaller one of two, by trial.

DuckDB writes integers as a dictionary or as differences. A count that changes often is
15 to 30 % smaller if its bytes are split into streams (BYTE_STREAM_SPLIT) and is read
about as fast, but DuckDB writes only fractions like this. So such a column is written
as the fractions that have the bits of its integers, and combined with the others under
its own type. The caller compares what is read back with the CSV.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.archive.encoding.combine import combine
from bikecollect.archive.query.duckdb_engine import name, parquet, text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SPLIT = {
    "SMALLINT": ("FLOAT", -149, 1 << 23),
    "INTEGER": ("FLOAT", -149, 1 << 23),
    "BIGINT": ("DOUBLE", -1074, 1 << 52),
}
"""The fractions for integers of a type.

Up to the limit, a fraction with the bits of n is n times this power of two.
"""
NEVER_SPLIT = frozenset({"slot"})
"""Each query reads it, as a dictionary fastest, and it takes no room to speak of."""
TRIAL_LEVEL = 9
"""A trial takes a seventh of the time of level 19, and ranks the encodings alike."""
TOLERANCE = 1.05
"""Split columns gain more by level 19 than others: so much larger is good enough."""


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
        candidates = _splittable(db, rows, types)
        split = _smaller_if_split(
            db, rows, candidates, target, options=options, dictionary=dictionary
        )
        usual = {c: name(c) for c in types if c not in split}
        for kind, columns, most in (("usual", usual, dictionary), ("split", split, 1)):
            if columns:
                path = target.with_suffix(f".{kind}")
                _copy(db, rows, columns, path, _with(options, most, level))
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


def _smaller_if_split(
    db: "DuckDBPyConnection",
    rows: Path,
    candidates: Mapping[str, str],
    target: Path,
    *,
    options: str,
    dictionary: int,
) -> dict[str, str]:
    """Return those of *candidates* that are smaller if split, with the expressions."""
    if not candidates:
        return {}
    path = target.with_suffix(".trial")
    usual = {column: name(column) for column in candidates}
    sizes = []
    for columns, most in ((usual, dictionary), (candidates, 1)):
        _copy(db, rows, columns, path, _with(options, most, TRIAL_LEVEL))
        sizes.append(_sizes(db, path))
        path.unlink()
    return {
        column: sql
        for column, sql in candidates.items()
        if sizes[1][column] < TOLERANCE * sizes[0][column]
    }


def _splittable(
    db: "DuckDBPyConnection", rows: Path, types: Mapping[str, str]
) -> dict[str, str]:
    """Return the integer columns that can be split, each with its expression.

    A column without different values takes no room anyway.
    """
    columns = [c for c, kind in types.items() if kind in SPLIT and c not in NEVER_SPLIT]
    if not columns:
        return {}
    ends = ", ".join(f"min({name(c)}), max({name(c)})" for c in columns)
    values = db.execute(f"SELECT {ends} FROM {parquet(rows)}").fetchall()[0]
    expressions = {}
    for column, least, most in zip(columns, values[::2], values[1::2], strict=True):
        kind, power, limit = SPLIT[types[column]]
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
    db.execute(f"COPY ({sql}) TO {text(str(target))} ({options})")


def _sizes(db: "DuckDBPyConnection", path: Path) -> dict[str, int]:
    sql = (
        "SELECT path_in_schema, sum(total_compressed_size)"
        f" FROM parquet_metadata({text(str(path))}) GROUP BY path_in_schema"
    )
    return dict(db.execute(sql).fetchall())

"""Write rows of any types as Parquet, in little memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bikecollect.archive.query import duckdb_engine
from bikecollect.storage.files.scratch import scratch

TABLE, ORDER = "result", "number of the row"
KINDS: Mapping[type, str] = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE"}
"""The types of columns; those of others are texts."""
EMPTY = "INTEGER"
"""The type of a column without any value: every engine can unite it with any other."""


def write(fd: int, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write *rows* to the open file *fd*.

    DuckDB holds them as texts until the types of all values are known. Raises
    StorageError, or OSError, which names no file, if *fd* cannot be written.
    """
    types: list[set[type]] = [set() for _ in columns]

    def watched() -> Iterator[Sequence[Any]]:
        for number, row in enumerate(rows):
            for known, value in zip(types, row, strict=True):
                known.add(type(value))
            yield (number, *row)

    failed = duckdb_engine.translated("cannot write the report")
    with scratch() as aside, duckdb_engine.session(aside / "spill") as db, failed:
        texts = {ORDER: "BIGINT", **dict.fromkeys(columns, "VARCHAR")}
        duckdb_engine.load(db, TABLE, texts, watched())
        casts = ", ".join(
            f"CAST({duckdb_engine.name(column)} AS {_kind(known)})"
            f" AS {duckdb_engine.name(column)}"
            for column, known in zip(columns, types, strict=True)
        )
        sql = f"SELECT {casts} FROM {TABLE} ORDER BY {duckdb_engine.name(ORDER)}"
        duckdb_engine.copy_into(fd, db, sql, duckdb_engine.PARQUET)


def _kind(types: set[type]) -> str:
    """Return the type in SQL of a column with values of *types*.

    >>> _kind({int, float, type(None)}), _kind({str}), _kind({type(None)})
    ('DOUBLE', 'VARCHAR', 'INTEGER')
    """
    values = types - {type(None)}
    if not values:
        return EMPTY
    if values == {int, float}:
        return KINDS[float]
    return KINDS.get(values.pop(), "VARCHAR") if len(values) == 1 else "VARCHAR"

"""Read and write tables with DuckDB, with more memory if it lacks some."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bikecollect.archive.query.duckdb_engine import affordable, text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

AT_ONCE = 10_000
"""Rows that are fetched at a time."""
Value = TypeVar("Value")


def copy(db: "DuckDBPyConnection", sql: str, target: Path, options: str) -> None:
    """Write the rows of *sql* to *target* by COPY with *options*; raises duckdb.Error.

    See `with_enough`.
    """
    statement = f"COPY ({sql}) TO {text(str(target))} ({options})"
    with_enough(db, partial(db.execute, statement))


def lines_by_slot(
    db: "DuckDBPyConnection", sql: str, slots: Sequence[int]
) -> dict[int, list[str]]:
    """Return the lines that *sql* gives from the first to the last of *slots*."""

    def read() -> dict[int, list[str]]:
        by_slot: dict[int, list[str]] = {slot: [] for slot in slots}
        db.execute(sql, [min(slots), max(slots)])
        while rows := db.fetchmany(AT_ONCE):
            for slot, line in rows:
                by_slot[slot].append(line)
        return by_slot

    return with_enough(db, read)


def with_enough(db: "DuckDBPyConnection", work: Callable[[], Value]) -> Value:
    """Return the value of *work* with *db*, done again if that lacks memory.

    The usual limit is enough for a day of some thousand stations. To read, sort or
    group those of a country takes more: the limit is raised to what is `affordable`,
    for the rest of the session.
    """
    import duckdb  # an extra, and heavy

    try:
        return work()
    except duckdb.OutOfMemoryException:
        db.execute(f"SET memory_limit = {text(affordable())}")
        return work()

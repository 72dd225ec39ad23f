"""Write a table to a Parquet file, with more memory if DuckDB lacks some."""

from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.archive.query.duckdb_engine import affordable, text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def copy(db: "DuckDBPyConnection", sql: str, target: Path, options: str) -> None:
    """Write the rows of *sql* to *target* by COPY with *options*; raises duckdb.Error.

    The usual limit is enough for a day of some thousand stations. Sorting and grouping
    those of a country take more: the limit is raised to what is `affordable`, for the
    rest of the session.
    """
    import duckdb  # an extra, and heavy

    statement = f"COPY ({sql}) TO {text(str(target))} ({options})"
    try:
        db.execute(statement)
    except duckdb.OutOfMemoryException:
        db.execute(f"SET memory_limit = {text(affordable())}")
        db.execute(statement)

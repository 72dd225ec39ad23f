"""The columns of Parquet files, without opening a view on them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bikecollect.archive.query import duckdb_engine

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SCHEMAS = (
    "SELECT file_name, list(name ORDER BY column_id),"
    " string_agg(name || ' ' || coalesce(type, ''), ',' ORDER BY column_id)"
    " FROM parquet_schema(?) GROUP BY file_name"
)


class Schemas(NamedTuple):
    """The schemas of files, by path: *names* of columns, *columns* with their types.

    *unreadable* has the error of each file that cannot be read.
    """

    names: dict[str, list[str]]
    columns: dict[str, str]
    unreadable: dict[str, str]


def read_schemas(db: "DuckDBPyConnection", paths: Sequence[str]) -> Schemas:
    """Return the schemas of the Parquet files *paths*."""
    import duckdb

    schemas = Schemas({}, {}, {})
    if not paths:
        return schemas
    plain = [duckdb_engine.plain(path) for path in paths]
    try:
        rows = db.execute(SCHEMAS, [plain]).fetchall()
    except duckdb.Error:
        rows = []
        for path, pattern in zip(paths, plain, strict=True):
            try:
                rows += db.execute(SCHEMAS, [[pattern]]).fetchall()
            except duckdb.Error as error:
                schemas.unreadable[path] = duckdb_engine.message(error)
    for path, names, columns in rows:
        schemas.names[path] = names[1:]  # after the name of the schema
        schemas.columns[path] = columns
    return schemas

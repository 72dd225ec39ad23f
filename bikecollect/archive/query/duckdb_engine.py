"""DuckDB, set up for a small machine: bounded memory, no network, errors of ours."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.core.errors import NotInstalled, StorageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "256MB"
UNREADABLE = "cannot be read:"
"""In what a view says of a day that is lost, where somebody asks for it."""


def affordable() -> str:
    """Return the memory that a question may take: a third of what is free, bounded.

    Under half a gigabyte a grouping of a year's summaries spills, and takes five times
    as long; a small machine has no more, and gets its answer all the same.
    """
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return MEMORY
    return f"{min(1024, max(256, free // 3_000_000))}MB"


def connect(
    temporary: Path, *, memory: str = MEMORY, threads: int = 1
) -> "DuckDBPyConnection":
    """Return a connection to a database in memory that spills into *temporary*.

    Raises NotInstalled where DuckDB is absent.
    """
    try:
        import duckdb  # an extra, and heavy
    except ImportError as error:
        raise NotInstalled(
            "the archive needs DuckDB; run: pip install 'bikecollect[archive]'"
        ) from error
    return duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": memory,
            "temp_directory": str(temporary),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "allow_community_extensions": False,
            "parquet_metadata_cache": True,
        }
    )


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Let DuckDB's errors be ours; *what* says what could not be done."""
    import duckdb  # an extra, and heavy

    try:
        yield
    except duckdb.Error as error:
        raise StorageError(f"{what}: {said(error)}", cause="archive") from error


def said(error: Exception) -> str:
    """Return the first line of what DuckDB's *error* says, or what we let it say."""
    first = str(error).strip().splitlines()[0]
    return first.partition(": ")[2] if UNREADABLE in first else first


def text(value: str) -> str:
    """Return *value* as a literal of SQL.

    >>> text("it's")
    "'it''s'"
    """
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """Return *value* as a name in SQL.

    >>> print(name('a"b'))
    "a""b"
    """
    return '"' + value.replace('"', '""') + '"'


def parquet(file: Path) -> str:
    """Return the table in *file*, with the columns it has and no more."""
    return f"read_parquet({path(file)}, hive_partitioning = false)"


def path(value: Path, tail: str = "") -> str:
    """Return *value* as a literal in which nothing is a pattern, but for *tail*.

    >>> path(Path("/srv/a[1]*"), "/*.csv")
    "'/srv/a[[]1][*]/*.csv'"
    """
    return text(plain(str(value)) + tail)


def plain(value: str) -> str:
    """Return *value* as a pattern that only it matches."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in value)


def load(
    db: "DuckDBPyConnection",
    table: str,
    columns: Mapping[str, str],
    rows: Iterable[Sequence[object]],
) -> None:
    """Make *table* of *rows*; a value that is none of its column's type is NULL.

    They go in as one list a column: row by row, DuckDB takes half a millisecond each.
    """
    typed = ", ".join(f"{name(each)} {kind}" for each, kind in columns.items())
    db.execute(f"CREATE TABLE {name(table)} ({typed})")
    cells = ", ".join(
        f"TRY_CAST(unnest(TRY_CAST(? AS {LISTS.get(kind, 'VARCHAR')}[])) AS {kind})"
        for kind in columns.values()
    )
    left = iter(rows)
    while some := list(islice(left, BATCH)):
        lists = [_storable(each) for each in zip(*some, strict=True)]
        db.execute(f"INSERT INTO {name(table)} SELECT {cells}", lists)


def _storable(values: Iterable[object]) -> list[object]:
    """Return *values* without whole numbers that no column holds."""
    return [
        None if type(value) is int and not -BIGGEST <= value < BIGGEST else value
        for value in values
    ]


def confine(db: "DuckDBPyConnection", paths: Iterable[str]) -> None:
    """Let *db* open nothing but the files *paths* from now on, for good.

    No other file, no network, no extension, no setting: whatever SQL it is given. (It
    may still write to *paths*: see `selection`.)
    """
    names = dict.fromkeys(name for path in paths for name in (path, plain(path)))
    db.execute(f"SET allowed_paths = [{', '.join(map(text, names))}]")
    db.execute("SET enable_external_access = false")
    db.execute("SET lock_configuration = true")


def descriptor(fd: int) -> str:
    """Return the path by which DuckDB can write to the open file *fd* (`AS_IT_IS`)."""
    return f"/proc/self/fd/{fd}"


AS_IT_IS = "USE_TMP_FILE false"
"""Option of COPY for what is no name in a folder: not aside first."""
BATCH, BIGGEST = 20_000, 1 << 63
LISTS = {
    "BIGINT": "BIGINT",
    "INTEGER": "BIGINT",
    "SMALLINT": "BIGINT",
    "DOUBLE": "DOUBLE",
    "BOOLEAN": "BOOLEAN",
}
"""As what a column's values go in; the others as texts."""

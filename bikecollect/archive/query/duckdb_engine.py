"""DuckDB on a small machine: limited memory, no network, translated errors."""

import atexit
import errno
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bikecollect.core.errors import NotInstalled, StorageError
from bikecollect.core.process import address_space_left, memory_left

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "256MB"
MIN_MB = 48
"""Minimum megabytes: enough for a report on a month of a large city."""
THREADS = min(2, os.cpu_count() or 1)
"""Threads that read, sort and sum up a day; each has its own buffers."""
ADDRESS_SPACE_MB = 850
"""Megabytes of addresses that DuckDB reserves; it uses far less memory.

With less it aborts the process (127), or fails at any later allocation.
"""
SESSION = "session"
"""The name of the database of a session."""
UNREADABLE = "cannot be read:"
"""Part of the error that a view raises when a lost day is queried."""


def affordable() -> str:
    """Return the memory that a query may use: a third of what is free, within bounds.

    It is at most half of what this process may still allocate (control group, ulimit),
    because DuckDB needs about as much outside of its limit. With less than half a
    gigabyte, grouping a year's summaries spills to disk and takes five times as long.
    """
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return MEMORY
    most = min(1024, max(256, free // 3_000_000))
    allowed = min(memory_left() / 2_000_000, most)
    return f"{int(max(MIN_MB, allowed))}MB"


def connect(
    temporary: Path,
    *,
    memory: str = MEMORY,
    threads: int = 1,
    caches_files: bool = True,
) -> "DuckDBPyConnection":
    """Return a connection to an in-memory database that spills into *temporary*.

    With *caches_files* a file may be read from memory the next time. Raises
    NotInstalled if DuckDB is missing, StorageError if it cannot be started.
    """
    _raise_if_cramped()
    try:
        import duckdb  # an extra, and heavy
    except ImportError as error:
        raise NotInstalled(
            "DuckDB is not installed; run: pip install 'bikecollect[archive]'"
        ) from error
    if os.fsencode(temporary).decode(errors="replace") != str(temporary):
        raise StorageError(f"{temporary}: DuckDB requires UTF-8 in names; rename it")
    with translated("DuckDB cannot be started"):
        return duckdb.connect(
            config={
                "threads": threads,
                "async_threads": 1,  # for files in the network; the default is eight
                "memory_limit": memory,
                "temp_directory": str(temporary),
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "allow_community_extensions": False,
                "parquet_metadata_cache": caches_files,
                "enable_external_file_cache": caches_files,
            }
        )


@contextmanager
def session(
    temporary: Path, *, memory: str = MEMORY, threads: int = 1
) -> Iterator["DuckDBPyConnection"]:
    """Yield a connection to an empty database in memory, see `connect`.

    The sessions of a process share one engine: to start it takes longer than to read
    or write a small day. A session that begins during another one gets an engine to
    itself. It must not be confined, nor run SQL of a user: settings outlast it.
    """
    if not _shared.lock.acquire(blocking=False):
        with closing(connect(temporary, memory=memory, threads=threads)) as db:
            yield db
        return
    try:
        with _shared.session(temporary, memory, threads) as db:
            yield db
    finally:
        _shared.lock.release()


class _SharedEngine:
    """The engine of a process, for one session at a time: that which holds *lock*.

    It is closed after a session that failed, after one that spilled to disk (then
    DuckDB cannot spill into another folder), before a fork (its threads would not exist
    in the child) and at the end of the process. It does not keep files in memory,
    because they may be damaged or replaced before the next session.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._db: DuckDBPyConnection | None = None
        self._is_registered = self._is_forking = False

    @contextmanager
    def session(
        self, temporary: Path, memory: str, threads: int
    ) -> Iterator["DuckDBPyConnection"]:
        """Yield a connection to an empty database of the engine."""
        db = self._started(temporary, memory, threads)
        try:
            with closing(db.cursor()) as cursor:
                cursor.execute(f"ATTACH ':memory:' AS {SESSION}; USE {SESSION}")
                yield cursor
            db.execute(f"DETACH {SESSION}")
        except BaseException:
            self._close()
            raise
        if temporary.exists():
            self._close()

    def _started(
        self, temporary: Path, memory: str, threads: int
    ) -> "DuckDBPyConnection":
        if self._db is None:
            self._db = connect(
                temporary, memory=memory, threads=threads, caches_files=False
            )
            self._register()
        else:
            self._db.execute(
                f"SET temp_directory = {text(str(temporary))};"
                f" SET memory_limit = {text(memory)}; SET threads = {threads}"
            )
        return self._db

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _register(self) -> None:
        """Close the engine, unless it is in use, before a fork and at the end."""
        if self._is_registered:
            return
        self._is_registered = True
        atexit.register(self._close)
        os.register_at_fork(
            before=self._close_before_fork,
            after_in_parent=self._release_after_fork,
            after_in_child=self._release_after_fork,
        )

    def _close_before_fork(self) -> None:
        self._is_forking = self.lock.acquire(blocking=False)
        if self._is_forking:
            self._close()

    def _release_after_fork(self) -> None:
        if self._is_forking:
            self.lock.release()


_shared = _SharedEngine()


def _raise_if_cramped() -> None:
    """Raise StorageError if `ulimit -v` leaves too few addresses to DuckDB."""
    if (left := address_space_left()) < ADDRESS_SPACE_MB * 1_000_000:
        raise StorageError(
            f"DuckDB cannot be started: `ulimit -v` leaves {left / 1e6:.0f} MB of "
            f"addresses, and it reserves {ADDRESS_SPACE_MB} MB (most of which it never "
            "uses); run: ulimit -v unlimited; to limit memory, use a control group",
            cause="archive",
        )


CSV_LINE = re.compile(r"CSV Error on Line: (\d+)")
CSV_FILE = re.compile(r"^\s*file = (.+?)\s*$", re.MULTILINE)
"""The line and the file in DuckDB's error about a CSV."""


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Translate errors of DuckDB to StorageError; *what* says what failed."""
    import duckdb  # an extra, and heavy

    try:
        yield
    except duckdb.Error as error:
        raise StorageError(f"{what}: {message(error)}", cause="archive") from error


def message(error: Exception) -> str:
    """Return the first line of DuckDB's *error*, or the text of a lost day's error.

    A line of a CSV that cannot be read is named with its file.
    """
    description = str(error).strip()
    line, sheet = CSV_LINE.search(description), CSV_FILE.search(description)
    if line and sheet:
        return (
            f"{sheet[1]}, line {line[1]} is damaged; run: bikecollect verify --repair"
        )
    first = description.splitlines()[0]
    return first.partition(": ")[2] if UNREADABLE in first else first


def text(value: str) -> str:
    """Return *value* as an SQL literal.

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
    """Return the table in *file*, with its own columns only."""
    return f"read_parquet({path(file)}, hive_partitioning = false)"


def path(value: Path, tail: str = "") -> str:
    """Return *value* as a literal in which only *tail* is a pattern.

    >>> path(Path("/srv/a[1]*"), "/*.csv")
    "'/srv/a[[]1][*]/*.csv'"
    """
    return text(plain(str(value)) + tail)


def paths(values: Iterable[Path]) -> str:
    """Return *values* as a list of literals."""
    return f"[{', '.join(map(path, values))}]"


def plain(value: str) -> str:
    """Return *value* as a glob pattern that matches only *value*."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in value)


def load(
    db: "DuckDBPyConnection",
    table: str,
    columns: Mapping[str, str],
    rows: Iterable[Sequence[object]],
) -> None:
    """Create *table* from *rows*; a value of another type than its column's is NULL.

    Rows are inserted as one list per column: row by row, DuckDB takes half a
    millisecond each. Cells are cast, not lists, which would take twice the time.
    """
    typed = ", ".join(f"{name(column)} {kind}" for column, kind in columns.items())
    db.execute(f"CREATE TABLE {name(table)} ({typed})")
    cells = ", ".join(
        f"TRY_CAST(TRY_CAST(cell{n} AS {CASTS.get(kind, 'VARCHAR')}) AS {kind})"
        for n, kind in enumerate(columns.values())
    )
    lists = ", ".join(f"unnest(?) AS cell{n}" for n in range(len(columns)))
    sql = f"INSERT INTO {name(table)} SELECT {cells} FROM (SELECT {lists})"
    remaining = iter(rows)
    while batch := list(islice(remaining, BATCH)):
        db.execute(sql, [_storable(values) for values in zip(*batch, strict=True)])


def _storable(values: Iterable[object]) -> list[object]:
    """Return *values* with None in place of integers that no column can hold."""
    return [
        None if type(value) is int and not -MAX_INT <= value < MAX_INT else value
        for value in values
    ]


def confine(db: "DuckDBPyConnection", paths: Iterable[str]) -> None:
    """Allow *db* to open only the files *paths* from now on, irrevocably.

    No SQL can open another file, use the network, load an extension or change a
    setting. It may still write to *paths*: see `selection`.
    """
    names = dict.fromkeys(name for path in paths for name in (path, plain(path)))
    db.execute(f"SET allowed_paths = [{', '.join(map(text, names))}]")
    db.execute("SET enable_external_access = false")
    db.execute("SET lock_configuration = true")


def descriptor(fd: int) -> str:
    """Return the path by which DuckDB can write to the open file *fd*."""
    return f"/proc/self/fd/{fd}"


def copy_into(
    fd: int, db: "DuckDBPyConnection", sql: str, options: str, values: object = None
) -> int:
    """Write the rows of *sql* to the open file *fd* itself; return their number.

    Raises OSError, which names no file, if DuckDB cannot write to its `descriptor`.
    """
    import duckdb  # an extra, and heavy

    target = f"'{descriptor(fd)}' ({options}, USE_TMP_FILE false)"
    try:
        copied = db.execute(f"COPY (\n{sql}\n) TO {target}", values).fetchone()
    except duckdb.IOException as error:
        if match := UNWRITTEN.search(str(error)):
            codes = {os.strerror(code): code for code in errno.errorcode}
            raise OSError(codes.get(match[1], errno.EIO), match[1]) from error
        raise
    return copied[0] if copied else 0


UNWRITTEN = re.compile(rf'{descriptor(0)[:-1]}\d+\\?": ([^"\n]+)')
"""The reason, in DuckDB's error for a descriptor that cannot be written to."""
PARQUET = "FORMAT parquet, COMPRESSION zstd"
BATCH, MAX_INT = 20_000, 1 << 63
CASTS = {
    "BIGINT": "BIGINT",
    "INTEGER": "BIGINT",
    "SMALLINT": "BIGINT",
    "DOUBLE": "DOUBLE",
    "BOOLEAN": "BOOLEAN",
}
"""The types to which values are cast first, by column type; others to text."""

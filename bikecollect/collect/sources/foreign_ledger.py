"""The ledger of another bikecollect, read as an untrusted database.

A copy is read, so that nothing is written to the folder and nothing changes meanwhile.
Only plain tables are read; no view, trigger, virtual table or function of the
database runs, and the cost of reading is limited.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from bikecollect.archive.datasets import RUNS
from bikecollect.collect.fetching.fetcher import MACHINE
from bikecollect.core.errors import StorageError
from bikecollect.core.text import visible
from bikecollect.storage.data_folder import LEDGER
from bikecollect.storage.files.durable import write_all, writing
from bikecollect.storage.files.regular_file import open_below
from bikecollect.storage.ledger_schema import GONE, VERSION, newer_schema
from bikecollect.storage.sqlite.ledger_file import reason

MAX_BYTES = 4 << 30
"""Maximum bytes of a ledger; a hundred years of runs take less."""
MAX_VALUE = 1 << 20
STEPS = 10_000
"""Steps of SQLite's virtual machine between two checks of the limit."""
MAX_RUNS, BATCH = 1_000_000, 1_000
"""Maximum runs that are read, and runs that are read at a time."""
MAX_TEXT = 2_000
"""Characters of a run's texts that are kept."""
MAX_STEPS = 2_000_000_000
"""Maximum steps of all queries; ten years of blocks take a fortieth of it."""
TRIES = 3
ROOM = "free some space there, or set TMPDIR to a folder on a disk with room"
BLOCKS = (
    'SELECT slot, file, start, "end", crc32, last_updated, {} FROM blocks ORDER BY slot'
)
NAME = "SELECT value FROM memory WHERE key = ?"
MAX_NAME = 64
"""Characters of the name of a machine, by POSIX."""
INCIDENTS = (
    "SELECT incident_id, kind, opened, last, slots, causes FROM incidents"
    " ORDER BY opened DESC LIMIT 10000"
)
GONE_FILES = "SELECT file FROM files WHERE damaged = ?"
COLUMNS = {
    "blocks": {"slot", "file", "start", "end", "crc32", "last_updated"},
    "files": {"file", "damaged"},
}
READS = {
    sqlite3.SQLITE_SELECT: frozenset({None}),
    sqlite3.SQLITE_READ: frozenset({*COLUMNS, "runs", "memory", "incidents"}),
}
"""The actions allowed to statements after the schema was checked."""


def has_ledger(folder: Path) -> bool:
    """Return whether *folder* has a ledger, valid or not."""
    return os.path.lexists(folder / LEDGER)


def blocks(folder: Path, scratch_folder: Path) -> Iterator[tuple[Any, ...]]:
    """Yield slot, span, last_updated and flags of the blocks in *folder*'s ledger.

    They are ordered by slot, without blocks of files that were archived and removed;
    their values are unchecked. A ledger of an older schema has no flags. The ledger is
    copied to *scratch_folder*. Raises StorageError if it cannot be read or is not a
    ledger, SettingsError if its version is newer.
    """
    with _opened(folder, scratch_folder, "blocks") as (db, stored):
        gone = {file for (file,) in db.execute(GONE_FILES, (GONE,))}
        flags = "flags" if "flags" in stored else "''"
        for row in db.execute(BLOCKS.format(flags)):
            if row[1] not in gone:
                yield row


def machine(folder: Path, scratch_folder: Path) -> str:
    """Return the name of the machine in *folder*'s ledger, empty if it has none.

    See `blocks`.
    """
    with _opened(folder, scratch_folder, "memory") as (db, stored):
        row = db.execute(NAME, (MACHINE,)).fetchone() if stored else None
        return visible(str(row[0])[:MAX_NAME]) if row else ""


def runs(folder: Path, scratch_folder: Path) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the runs in *folder*'s ledger in batches, newest first; see `blocks`.

    They are unchecked, but long texts are cut. Columns that a ledger of an older schema
    lacks are empty.
    """
    with _opened(folder, scratch_folder, "runs") as (db, stored):
        if not stored:
            return
        cells = ", ".join(name if name in stored else "NULL" for name in RUNS)
        sql = f"SELECT {cells} FROM runs ORDER BY slot DESC LIMIT {MAX_RUNS}"
        rows = (tuple(map(_cut, row)) for row in db.execute(sql))
        while batch := list(islice(rows, BATCH)):
            yield batch


def incidents(folder: Path, scratch_folder: Path) -> list[tuple[Any, ...]]:
    """Return id, kind, span, slots and causes of the incidents in *folder*'s ledger.

    They are unchecked; see `blocks`.
    """
    with _opened(folder, scratch_folder, "incidents") as (db, stored):
        return db.execute(INCIDENTS).fetchall() if stored else []


def _cut(value: Any) -> Any:
    return value[:MAX_TEXT] if isinstance(value, str | bytes) else value


@contextmanager
def _opened(
    folder: Path, scratch_folder: Path, table: str
) -> Iterator[tuple[sqlite3.Connection, set[str]]]:
    """Yield a copy of *folder*'s ledger, and the stored columns of its *table*.

    Only reading is allowed. See `blocks` for the errors.
    """
    with _translated_errors(folder):
        copy = _copy_ledger(folder, scratch_folder)
        with closing(_connect(copy)) as db:
            _check_schema(db, folder)
            stored = _stored(db, table)
            db.set_authorizer(_authorize)
            yield db, stored


def _copy_ledger(folder: Path, scratch_folder: Path) -> Path:
    """Copy the ledger and its write-ahead log.

    Raises OSError if they cannot be read, StorageError if the copy cannot be written.
    """
    for _ in range(TRIES):
        before = _sizes(folder)
        for suffix in before:
            _copy(folder, f"{LEDGER}{suffix}", scratch_folder / f"{LEDGER}{suffix}")
        if _sizes(folder) == before:
            return scratch_folder / LEDGER
    raise OSError(f"{LEDGER} changed while it was read; copy the folder, and try again")


def _sizes(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and modification time of the ledger's files, by suffix."""
    sizes = {}
    for suffix in ("", "-wal"):
        path = folder / f"{LEDGER}{suffix}"
        if not suffix or os.path.lexists(path):
            stat = path.lstat()
            sizes[suffix] = stat.st_size, stat.st_mtime_ns
    return sizes


def _copy(folder: Path, name: str, target: Path) -> None:
    fd = open_below(folder, name)
    with os.fdopen(fd, "rb") as source, ExitStack() as stack:
        if (size := os.fstat(fd).st_size) > MAX_BYTES:
            raise OSError(f"{name} is too large for a ledger: {size} bytes")
        with writing(target, ROOM):
            out = stack.enter_context(target.open("wb", buffering=0))
        left = size
        while left and (data := source.read(min(left, 1 << 20))):
            with writing(target, ROOM):
                write_all(out.fileno(), data)
            left -= len(data)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
    db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    db.set_progress_handler(_StepLimit(), STEPS)
    for setting in (
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "mmap_size = 0",
        "temp_store = FILE",
        "query_only = ON",
    ):
        db.execute(f"PRAGMA {setting}")
    return db


class _StepLimit:
    """Counts the steps of a connection, and interrupts it at the limit."""

    def __init__(self) -> None:
        self._left = MAX_STEPS // STEPS

    def __call__(self) -> bool:
        self._left -= 1
        return self._left < 0


def _check_schema(db: sqlite3.Connection, folder: Path) -> None:
    """Raise unless *db* has the schema of a ledger that this version can read."""
    ((version,),) = db.execute("PRAGMA user_version")
    if version > VERSION:
        raise newer_schema(folder / LEDGER, version)
    for table, needed in COLUMNS.items():
        if not needed <= _stored(db, table) or not _has_key(table, _columns(db, table)):
            raise sqlite3.DatabaseError(f"{table} is not a table of a ledger")


def _stored(db: sqlite3.Connection, table: str) -> set[str]:
    """Return the stored columns of *table*, empty if it is not a plain table."""
    return {name for _, name, *_, hidden in _columns(db, table) if not hidden}


def _columns(db: sqlite3.Connection, table: str) -> list[Any]:
    entries = db.execute(
        "SELECT type, sql FROM sqlite_master WHERE name = ?", (table,)
    ).fetchall()
    is_table = len(entries) == 1 and entries[0][0] == "table"
    plain = is_table and _is_plain(entries[0][1])
    return db.execute(f"PRAGMA table_xinfo({table})").fetchall() if plain else []


def _is_plain(sql: Any) -> bool:
    return isinstance(sql, str) and sql.lstrip().lower().startswith("create table")


def _has_key(table: str, columns: list[Any]) -> bool:
    """Return whether the slot is the key of the blocks, as in our ledgers."""
    keys = [(name, kind) for _, name, kind, _, _, place, _ in columns if place]
    return table != "blocks" or keys == [("slot", "INTEGER")]


def _authorize(action: int, table: str | None, *_: object) -> int:
    tables = READS.get(action)
    allowed = tables is not None and (table in tables or None in tables)
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


@contextmanager
def _translated_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, MemoryError, UnicodeError) as error:
        raise StorageError(
            f"cannot read {folder / LEDGER}: {reason(error)}; the CSV files can be "
            "read without it: copy the folder without it, and fill from the copy"
        ) from error

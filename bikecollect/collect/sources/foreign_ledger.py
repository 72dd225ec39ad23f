"""The ledger of another bikecollect, read as what it is: a database of strangers.

A copy is read, so that nothing is written there and nothing changes while it is read.
Of its schema only two plain tables count; no view, trigger, virtual table or function
of it is ever run, and what it takes to read is bounded.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from bikecollect.archive.archived_days import GONE
from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.storage.data_folder import LEDGER
from bikecollect.storage.files.regular_file import opened_below
from bikecollect.storage.ledger_schema import VERSION

MOST_BYTES = 4 << 30
"""Of a ledger: a hundred years of runs have less."""
LONGEST_VALUE = 1 << 20
STEPS = 10_000
"""Steps of SQLite's machine between two looks at what was spent."""
MOST_STEPS = 2_000_000_000
"""Steps for all that is read: ten years of blocks take a fortieth."""
TRIES = 3
BLOCKS = 'SELECT slot, file, start, "end", crc32 FROM blocks ORDER BY slot'
LEFT = "SELECT file FROM files WHERE damaged = ?"
COLUMNS = {
    "blocks": {"slot", "file", "start", "end", "crc32"},
    "files": {"file", "damaged"},
}
READS = {
    sqlite3.SQLITE_SELECT: frozenset({None}),
    sqlite3.SQLITE_READ: frozenset(COLUMNS),
}
"""What a statement may do once the tables are known to be tables."""


def has_ledger(folder: Path) -> bool:
    """Tell whether a *folder* of bikecollect has a ledger, whatever it is."""
    return os.path.lexists(folder / LEDGER)


def blocks(folder: Path, aside: Path) -> Iterator[tuple[Any, ...]]:
    """Yield slot, file, start, end and crc32 of the blocks in *folder*'s ledger.

    By their slots; those of files that were archived and removed are left out. Nothing
    is promised of the values. The copy goes to *aside*. Raises StorageError where it
    cannot be read, or is no ledger, SettingsError where it is of a newer version.
    """
    with _failing(folder):
        copy = _copied(folder, aside)
        with closing(_connected(copy)) as db:
            _known(db, folder)
            db.set_authorizer(_allowed)
            gone = {file for (file,) in db.execute(LEFT, (GONE,))}
            for row in db.execute(BLOCKS):
                if row[1] not in gone:
                    yield row


def _copied(folder: Path, aside: Path) -> Path:
    """Copy the ledger and what waits beside it; raises OSError."""
    for _ in range(TRIES):
        before = _sizes(folder)
        for suffix in before:
            _copy(folder, f"{LEDGER}{suffix}", aside / f"{LEDGER}{suffix}")
        if _sizes(folder) == before:
            return aside / LEDGER
    raise OSError(f"{LEDGER} changes while it is read; copy the folder, and try again")


def _sizes(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of the ledger's files, by their suffix."""
    found = {}
    for suffix in ("", "-wal"):
        path = folder / f"{LEDGER}{suffix}"
        if not suffix or os.path.lexists(path):
            there = path.lstat()
            found[suffix] = there.st_size, there.st_mtime_ns
    return found


def _copy(folder: Path, name: str, target: Path) -> None:
    fd = opened_below(folder, name)
    with os.fdopen(fd, "rb") as source, target.open("wb") as out:
        if (size := os.fstat(fd).st_size) > MOST_BYTES:
            raise OSError(f"{name} has {size} bytes; a ledger has not that many")
        left = size
        while left and (some := source.read(min(left, 1 << 20))):
            out.write(some)
            left -= len(some)


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    db.set_progress_handler(_Spent(), STEPS)
    for setting in (
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "mmap_size = 0",
        "temp_store = FILE",
        "query_only = ON",
    ):
        db.execute(f"PRAGMA {setting}")
    return db


class _Spent:
    """Counts what a connection does, and ends it where that is too much."""

    def __init__(self) -> None:
        self._left = MOST_STEPS // STEPS

    def __call__(self) -> bool:
        self._left -= 1
        return self._left < 0


def _known(db: sqlite3.Connection, folder: Path) -> None:
    """Raise where *db* is no ledger that this version knows."""
    ((version,),) = db.execute("PRAGMA user_version")
    if version > VERSION:
        raise SettingsError(
            f"{folder / LEDGER} was written by a newer bikecollect (schema {version}, "
            f"this one knows {VERSION}); upgrade it here too"
        )
    for table, needed in COLUMNS.items():
        about = db.execute(
            "SELECT type, sql FROM sqlite_master WHERE name = ?", (table,)
        ).fetchall()
        plain = len(about) == 1 and about[0][0] == "table" and _is_plain(about[0][1])
        columns = db.execute(f"PRAGMA table_xinfo({table})").fetchall() if plain else []
        stored = {name for _, name, *_, hidden in columns if not hidden}
        if not needed <= stored or not _has_key(table, columns):
            raise sqlite3.DatabaseError(f"{table} is no table of a ledger")


def _is_plain(sql: Any) -> bool:
    return isinstance(sql, str) and sql.lstrip().lower().startswith("create table")


def _has_key(table: str, columns: list[Any]) -> bool:
    """Tell whether blocks are in the order of their slots, as ours are."""
    keys = [(name, kind) for _, name, kind, _, _, place, _ in columns if place]
    return table != "blocks" or keys == [("slot", "INTEGER")]


def _allowed(action: int, what: str | None, *_: object) -> int:
    known = READS.get(action)
    good = known is not None and (what in known or None in known)
    return sqlite3.SQLITE_OK if good else sqlite3.SQLITE_DENY


@contextmanager
def _failing(folder: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, MemoryError, UnicodeError) as error:
        raise StorageError(
            f"cannot read {folder / LEDGER}: {error}; without it the CSV files can be "
            "read: copy the folder, leave the ledger out, and fill from the copy"
        ) from error

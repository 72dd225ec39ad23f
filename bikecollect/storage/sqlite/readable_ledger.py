"""Read a ledger also where SQLite can create no file beside it, as on a full disk."""

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from bikecollect.storage.files.regular_file import is_special
from bikecollect.storage.ledger_schema import (
    PACKED_RUNS,
    STEPS,
    UNPACKED,
    VERSION,
    find_version,
    newer_schema,
)
from bikecollect.storage.sqlite.ledger_log import has_log, is_stuck

PATIENCE = 2.0
"""Seconds that a reader waits for a lock."""
TRIES = 3
EMPTY = "file::memory:"
NO_FILE = ("SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY")
"""Names of the errors if the ``-shm`` file cannot be created, opened or extended."""


@contextmanager
def readable(path: Path) -> Iterator[str]:
    """Yield an address (URI) at which SQLite can read the ledger at *path*.

    It is valid during the context; without a ledger it is that of an empty database in
    memory. Raises OSError if this user may not read the ledger, or if it has a log
    (write-ahead) with which only a copy of both could be read, and no disk has room.
    """
    if is_special(path):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    if not path.exists() or not path.stat().st_size:
        yield EMPTY
        return
    # A reader creates the -shm file, which requires permission, an inode and room.
    stuck = is_stuck(path)
    if not stuck and _can_share(path):
        yield _address(path, "mode=ro")
    elif not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    elif stuck or not has_log(path):
        # The file alone is complete: others' changes are not waited for.
        yield _address(path, "immutable=1")
    else:
        from bikecollect.storage.files.scratch import scratch  # seldom needed

        with scratch() as folder:
            yield _address(_copied(path, folder), "mode=ro")


@contextmanager
def readable_or_empty(path: Path) -> Iterator[str]:
    """Yield the address of `readable`, or that of an empty database if it fails."""
    with ExitStack() as stack:
        address = EMPTY
        with suppress(OSError):
            address = stack.enter_context(readable(path))
        yield address


def connect(address: str) -> sqlite3.Connection:
    """Connect to the database at *address*, an URI."""
    return sqlite3.connect(address, uri=True, timeout=PATIENCE)


def blamed(paths: Sequence[Path], error: Exception) -> Path:
    """Return which of the ledgers at *paths*, which were read together, is damaged.

    It is the first, unless *error* is that of a damaged file, and the first is sound.
    """
    code = getattr(error, "sqlite_errorname", "")
    damaged = paths if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) else ()
    return next((path for path in damaged if not _is_sound(path)), paths[0])


def _is_sound(path: Path) -> bool:
    """Return whether the ledger at *path* can be read, and its pages fit together."""
    from bikecollect.storage.sqlite.structure import structural_damage

    with (
        suppress(OSError, sqlite3.Error, UnicodeDecodeError),
        readable(path) as address,
        closing(connect(address)) as db,
    ):
        return not structural_damage(db)
    return False


def upgraded(db: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """Return *db*, or an upgraded copy in memory if its schema is older.

    Raises SettingsError if it is newer, and ValueError if it is that of no ledger.
    """
    ((number,),) = db.execute("PRAGMA user_version")
    version = find_version(db)
    if number > VERSION:
        raise newer_schema(path, number)
    if version is None:
        raise ValueError("its tables are not those of a ledger")
    if version == VERSION:
        return db
    if version == UNPACKED:
        db.executescript(PACKED_RUNS.replace("CREATE TABLE", "CREATE TEMP TABLE"))
        return db
    with ExitStack() as failed:
        copy = failed.enter_context(closing(sqlite3.connect(":memory:", uri=True)))
        db.backup(copy)
        copy.executescript("".join(STEPS[version:]))
        failed.pop_all()
    return copy


def _can_share(path: Path) -> bool:
    """Return whether SQLite can read *path* while others may write to it.

    Any other error than that of its own files is left to the real reader.
    """
    try:
        with closing(connect(_address(path, "mode=ro"))) as db:
            db.execute("PRAGMA schema_version").fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return not getattr(error, "sqlite_errorname", "").startswith(NO_FILE)
    return True


def _copied(path: Path, folder: Path) -> Path:
    """Copy the ledger and its log to *folder*; return the copy."""
    log = path.with_name(f"{path.name}-wal")
    for _ in range(TRIES):
        before = _state(path), _state(log)
        for file in (path, log):
            shutil.copyfile(file, folder / file.name)
        if before == (_state(path), _state(log)):
            return folder / path.name
    raise OSError(errno.EBUSY, "it changes while it is read; try again", str(path))


def _state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size


def _address(path: Path, mode: str) -> str:
    return f"file:{quote(os.fsencode(path))}?{mode}"

"""The write-ahead log beside a ledger, and whether it belongs to that file.

Each process that writes gives the ledger a new token, its session, in SQLite's
application id. The log has the tokens since the one in the file itself.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

TOKEN, SIZE = 68, 4
"""Position and bytes of the application id in the file, used as token of a session."""
HEADER = 32
"""The bytes at the beginning of a log, before its content."""
SESSIONS = "bikecollect.sessions"
"""The key, in the table ``memory``, of the tokens since the one in the file itself."""


def has_log(path: Path) -> bool:
    """Return whether there is a write-ahead log with content beside *path*."""
    try:
        return beside(path, "-wal").stat().st_size > 0
    except FileNotFoundError:
        return False


def is_stuck(path: Path) -> bool:
    """Return whether the log of *path* was only begun, on a disk that is read-only.

    The file alone is complete, but SQLite looks for the log's content: it tries for ten
    seconds, then it fails.
    """
    try:
        size = beside(path, "-wal").stat().st_size
        is_read_only = os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:
        return False
    return 0 < size <= HEADER and bool(is_read_only)


def unused_state(path: Path) -> tuple[int, int] | None:
    """Return mtime (ns) and size (bytes) of *path*, None while it is in use.

    SQLite writes to the file itself only when it empties the log, and the log exists
    while any process has the file open for writing.
    """
    if beside(path, "-wal").exists():
        return None
    state = path.stat()
    return state.st_mtime_ns, state.st_size


def begin_session(db: sqlite3.Connection, base: str) -> None:
    """Give the database a new token, within a transaction of *db*.

    The tokens since *base*, the one in the file itself, are remembered. A log that
    does not list the file's token was written for another file.
    """
    rows = db.execute("SELECT value FROM memory WHERE key = ?", (SESSIONS,)).fetchall()
    tokens = rows[0][0].split() if rows else []
    since = tokens[tokens.index(base) :] if base in tokens else [base]
    token = int.from_bytes(os.urandom(SIZE), "big") & 0x7FFFFFFF
    db.execute(f"PRAGMA application_id = {token}")
    db.execute(
        "INSERT OR REPLACE INTO memory VALUES (?, ?)",
        (SESSIONS, " ".join([*since, str(token)])),
    )


def has_foreign_log(path: Path) -> bool:
    """Return whether the log beside *path* was written for another file.

    If an older copy was restored beside the log of a killed run, SQLite would mix
    pages of both.
    """
    try:
        base = token_of(path)
        # Read-only: the log is not merged into the file.
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as db:
            ((token,),) = db.execute("PRAGMA application_id")
            if token == base:
                return False
            sql = "SELECT value FROM memory WHERE key = ?"
            ((tokens,),) = db.execute(sql, (SESSIONS,))
    except (sqlite3.Error, ValueError):
        return False  # damaged, or of a version that had no tokens
    return str(base) not in tokens.split()


def token_of(path: Path) -> int:
    """Return the token in the file itself, 0 if there is none.

    Must not be called while this process has a connection to the file: closing the
    descriptor would release the locks of that connection (POSIX, fcntl(2)).
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        return int.from_bytes(os.pread(fd, SIZE, TOKEN), "big")
    finally:
        os.close(fd)


def beside(path: Path, suffix: str) -> Path:
    """Return *path* with *suffix* added to its name."""
    return path.with_name(path.name + suffix)

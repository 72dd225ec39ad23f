"""The ledger's file: open it, check it after an unclean end, replace it if damaged.

SQLite removes the write-ahead log (``-wal``) when the last connection closes. If there
still is one, a process was killed, or a reader is active. Only then is the file
checked: a check in every run would take longer with every year.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bikecollect.core.errors import StorageError
from bikecollect.storage.files.regular_file import is_special
from bikecollect.storage.sqlite.aside import set_aside
from bikecollect.storage.sqlite.ledger_log import (
    begin_session,
    beside,
    has_foreign_log,
    has_log,
    is_stuck,
    token_of,
)

BUSY = 10.0
SYNCHRONOUS = "FULL"
"""SQLite's setting that makes a committed transaction survive a power cut."""
SUSPECT = "-check"
"""The suffix of the mark beside a file in which a run has found damage."""
MAX_PATH = 504
"""The longest path of a database, in bytes: SQLite's limit without ``-journal``."""
CHUNK = 1_048_576
ENVIRONMENT = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_IOERR",
    "SQLITE_FULL",
    "SQLITE_CANTOPEN",
    "SQLITE_NOMEM",
    "SQLITE_PERM",
    "SQLITE_AUTH",
    "SQLITE_INTERRUPT",
    "SQLITE_PROTOCOL",
)
"""Names of errors of the disk or the machine; all others are due to the content."""
DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""Errors of damaged content: a message that quotes a damaged schema is not UTF-8."""
Identify = Callable[[sqlite3.Connection | None], None]
REASON = 120
"""Characters of an error that are shown."""
HEADER, FORMATS = 20, frozenset({1, 2})
"""Bytes of a database file's header, and the valid values of the last two of them."""


class LedgerFile:
    """The connection to the ledger at *path*; open between `connect` and `close`.

    Every method raises StorageError on errors of the disk or of SQLite.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self.was_replaced = False
        """Whether a damaged file was replaced by an empty one when it was opened."""
        self._has_session = self._has_new_indexes = False
        self._base = ""

    def connect(self, identify: Identify, *, check: bool) -> str:
        """Open the file; replace a missing or damaged one by an empty one.

        Its structure is checked after an unclean end, and if *check*; its values, too,
        if a reader has found damage. *identify* is
        called with the connection, None for an empty file; it raises DatabaseError if
        the file is not a ledger. Returns a message for people if the file was damaged,
        else an empty text.
        """
        with self.translated():
            trouble = ""
            self.was_replaced = is_special(self._path)
            if self.was_replaced:
                trouble = _set_aside(self._path, OSError("not a regular file"))
            is_suspect = beside(self._path, SUSPECT).exists()
            self._has_new_indexes = False
            is_unclean = is_suspect or has_log(self._path)
            trouble = (_set_log_aside(self._path) if is_unclean else "") or trouble
        check = check or is_unclean
        damage = self._find_damage(identify, check=check, texts=is_suspect)
        if damage is not None:
            self.was_replaced = True
            trouble = _set_aside(self._path, damage)
            identify(None)
            with self.translated():
                self._connect()
        elif self._has_new_indexes:
            trouble = f"{self._path.name} had a damaged index: rebuilt from its table"
        if is_unclean or damage:
            with suppress(OSError):
                beside(self._path, SUSPECT).unlink(missing_ok=True)
        return trouble

    def close(self) -> None:
        """Close the ledger; does nothing if it is closed."""
        self._has_session = False
        if self._db is not None:
            db, self._db = self._db, None
            with self.translated():
                close(db)

    @contextmanager
    def closed_if_it_fails(self) -> Iterator[None]:
        """Close the ledger if the body, which opens it, fails."""
        try:
            yield
        except BaseException:
            self._abandon()
            raise

    def all(self, sql: str, *values: object) -> list[Any]:
        """Return the rows that *sql* selects."""
        with self.translated():
            return self.opened().execute(sql, values).fetchall()

    def opened(self) -> sqlite3.Connection:
        """Return the open connection."""
        if self._db is None:
            raise StorageError(f"the ledger {self._path} is not open")
        return self._db

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the body as one transaction, rolled back if it fails."""
        with self.translated():
            db = self.opened()
            db.execute("BEGIN IMMEDIATE")
            try:
                if not self._has_session:
                    begin_session(db, self._base)
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            self._has_session = True

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise errors of the disk and of SQLite as StorageError."""
        try:
            yield
        except (*DAMAGE, sqlite3.Error, OSError, MemoryError) as error:
            raise self._failure(error) from error

    def _find_damage(
        self, identify: Identify, *, check: bool, texts: bool
    ) -> Exception | None:
        """Open the file; return the error that proves it damaged, None if it is not.

        Its structure is read if *check*, all values if *texts*.
        The error must occur twice, and all bytes must be readable in between: SQLite
        also reports damage if the disk cannot be read for a moment.
        """
        for is_proof in (False, True):
            try:
                self._connect()
                if check or is_proof:
                    _check_structure(self.opened())
                identify(self.opened())
                if texts:
                    self._has_new_indexes = _rebuild_indexes(self.opened())
                    _read_values(self.opened())
            except DAMAGE as error:
                self._abandon()
                if _is_environment(error, self._path):
                    raise self._failure(error) from error
                if is_proof:
                    return error
                with self.translated():
                    _read_all(self._path)
            except (OSError, MemoryError) as error:
                self._abandon()
                raise self._failure(error) from error
            else:
                break
        return None

    def _connect(self) -> None:
        self._base = str(token_of(self._path))
        existed = self._path.exists()
        self._db = sqlite3.connect(self._path, timeout=BUSY, isolation_level=None)
        if not existed:
            with suppress(PermissionError):  # where permissions are fixed
                self._path.chmod(self._path.stat().st_mode & 0o640)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")

    def _abandon(self) -> None:
        """Close the connection after an error."""
        db, self._db = self._db, None
        with suppress(sqlite3.Error):
            if db is not None:
                db.close()

    def _failure(self, error: Exception) -> StorageError:
        code = getattr(error, "sqlite_errorname", "")
        # Python's own error, without a name, is that of bytes that are no text.
        is_unreadable = isinstance(error, (UnicodeDecodeError, sqlite3.DatabaseError))
        is_unreadable = is_unreadable and not code
        if is_unreadable or code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            suspect(self._path)
        cause = "ledger-busy" if code.startswith("SQLITE_BUSY") else "ledger"
        text = f"the ledger {self._path}: {reason(error)}"
        if long := too_long(self._path):
            text += f"; {long}: choose a shorter data_dir"
        return StorageError(text, cause=cause)


def absence(path: Path) -> str:
    """Return "missing" or "empty" if *path* holds nothing, else an empty text.

    SQLite would read a file of 0 bytes, which a power cut or a full disk can leave, as
    a ledger without tables. A broken link is not missing.
    """
    if not os.path.lexists(path):
        return "missing"
    return "empty" if path.is_file() and not path.stat().st_size else ""


def too_long(path: Path) -> str:
    """Return that SQLite cannot open *path* because of its length, empty if it can."""
    count = len(os.fsencode(os.path.realpath(path)))
    limit = f"the path has {count} bytes, SQLite opens those of at most {MAX_PATH}"
    return limit if count > MAX_PATH else ""


def _check_structure(db: sqlite3.Connection) -> None:
    from bikecollect.storage.sqlite.structure import structural_damage

    if damage := structural_damage(db):
        raise sqlite3.DatabaseError(damage)


def _rebuild_indexes(db: sqlite3.Connection) -> bool:
    """Rebuild the indexes if their content is damaged; return whether it was.

    The structure of the file must be sound. Raises DatabaseError if a table is damaged.
    """
    check = "PRAGMA integrity_check(1)"
    if db.execute(check).fetchall() == [("ok",)]:
        return False
    db.execute("REINDEX")
    for (verdict,) in db.execute(check).fetchall():
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
    return True


def _read_values(db: sqlite3.Connection) -> None:
    """Read every value: SQLite's check does not find bytes that are no text."""
    tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    for (name,) in tables.fetchall():
        for _ in db.execute(f'SELECT * FROM "{name}"'):
            continue


def close(db: sqlite3.Connection) -> None:
    """Close *db* after emptying its log.

    While a reader is active, SQLite would leave a log like that of a killed run.
    """
    with suppress(sqlite3.Error):
        db.execute("PRAGMA busy_timeout = 0")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def is_usable(path: Path) -> bool:
    """Return whether the file may be opened for writing before a run has checked it.

    Closing it merges its log into it, so the next run is made to check the result.
    """
    if not has_log(path):
        return True
    if is_stuck(path) or has_foreign_log(path):
        return False
    suspect(path)
    return True


def reason(error: object) -> str:
    r"""Return what *error* says in one line; one of a damaged schema quotes all of it.

    >>> reason("*** in database main ***\nTree 2 page 2: 2nd reference")
    '*** in database main *** Tree 2 page 2: 2nd reference'
    """
    quoted = getattr(error, "object", b"").decode("utf-8", "backslashreplace")
    text = " ".join((quoted or str(error)).split())
    return text if len(text) <= REASON else f"{text[:REASON]} ..."


def suspect(path: Path, error: Exception | None = None) -> None:
    """Make the next run check *path*, unless *error* is due to the disk or machine."""
    with suppress(OSError):
        if error is None or (path.exists() and not _is_environment(error, path)):
            beside(path, SUSPECT).touch(0o640)


def _read_all(path: Path) -> None:
    """Read *path* and its log; raises OSError if a byte cannot be read."""
    for file in (path, beside(path, "-wal")):
        with suppress(FileNotFoundError), file.open("rb", buffering=0) as stream:
            while stream.read(CHUNK):
                continue


def _is_environment(error: Exception, path: Path) -> bool:
    """Return whether *error* is due to the disk or machine, not to the file *path*."""
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith("SQLITE_READONLY"):
        return not _is_foreign_format(path)
    return code.startswith(ENVIRONMENT) and code != "SQLITE_IOERR_SHORT_READ"


def _is_foreign_format(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(HEADER)
    return len(header) == HEADER and not FORMATS.issuperset(header[-2:])


def _set_aside(path: Path, error: Exception) -> str:
    """Rename the damaged ledger at *path*; return a message for people."""
    name = set_aside(path, ("-wal", "-shm", ""))
    return f"the ledger was damaged ({reason(error)}) and renamed to {name}"


def _set_log_aside(path: Path) -> str:
    """Rename the log beside the ledger at *path* if it was written for another file.

    Returns a message for people, empty if the log belongs to it.
    """
    if not (path.exists() and has_foreign_log(path)):
        return ""
    name = set_aside(path, ("-wal", "-shm"))
    return (
        f"{path.name}-wal does not belong to {path.name} (restored from a backup?): "
        f"set aside as {name}; missing blocks are taken from the CSV files"
    )

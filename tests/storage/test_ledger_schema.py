"""A ledger of an older schema is migrated, with all its content."""

import sqlite3
import zlib
from pathlib import Path

from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_schema import COLUMNS, CURRENT, STEPS, VERSION


def test_an_older_ledger_is_migrated_and_keeps_its_rows(
    tmp_path: Path,
) -> None:
    """Each migration runs once, on the existing rows (fault 97)."""
    path = tmp_path / "ledger.sqlite3"
    db = sqlite3.connect(path)
    db.executescript(STEPS[0])
    db.execute("INSERT INTO memory VALUES ('key', 'value')")
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()

    for _ in range(2):
        ledger = Ledger(path)
        assert ledger.open() == ""
        assert ledger.notes() == {"key": "value"}
        ledger.close()

    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
    assert db.execute("SELECT count(*) FROM incidents").fetchone() == (0,)
    db.close()


def test_the_checksum_of_the_columns_is_that_of_the_newest_schema() -> None:
    """A ledger with these columns is compared with no other schema."""
    db = sqlite3.connect(":memory:")
    db.executescript("".join(STEPS))
    columns = tuple(db.execute(COLUMNS).fetchall())
    db.close()

    assert zlib.crc32(repr(columns).encode()) == CURRENT

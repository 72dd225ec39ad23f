"""A ledger of an older schema is migrated, with all its content."""

import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.storage.data_folder import LEDGER
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_schema import COLUMNS, CURRENT, STEPS, VERSION
from bikecollect.storage.sqlite import ledger_file


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


@pytest.mark.parametrize(
    ("steps", "version", "error"),
    [
        (len(STEPS), VERSION + 1, SettingsError),  # of a newer bikecollect
        (1, 1, StorageError),  # cannot be upgraded: another process writes to it
    ],
)
def test_a_ledger_that_cannot_be_opened_is_left_closed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
    version: int,
    error: type[Exception],
) -> None:
    """Nobody closes what was never open; Python 3.13 would warn of it."""
    monkeypatch.setattr(ledger_file, "BUSY", 0.0)
    path = tmp_path / LEDGER
    ledger = Ledger(path)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"PRAGMA journal_mode = WAL; {''.join(STEPS[:steps])}")
        db.execute(f"PRAGMA user_version = {version}")
        db.execute("BEGIN IMMEDIATE")

        with pytest.raises(error):
            ledger.open()

        with pytest.raises(StorageError, match="is not open"):
            ledger.opened()

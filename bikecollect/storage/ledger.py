"""The ledger: SQLite's account of runs, blocks and stations."""

import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bikecollect.core.blocks import Block, Extent, Span, Stations
from bikecollect.core.errors import SettingsError, StorageError
from bikecollect.core.payload import Memory
from bikecollect.core.run import Run
from bikecollect.core.slots import DAY, Slot, stamp
from bikecollect.core.snapshot import StationInformation
from bikecollect.storage.ledger_schema import (
    LISTED,
    STEPS,
    VERSION,
    insert_block,
    insert_stations,
    run_row,
    to_information,
    upsert_file,
)

BUSY = 10.0
LONGEST_NOTE, MOST_NOTES = 1_048_576, 32
"""Letters of what is remembered under one key, and keys that one payload may have."""


class Ledger:
    """The ledger at *path*; open between `open` and `close`.

    Every method raises StorageError when the disk or SQLite refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._released: set[Slot] = set()

    def open(self) -> str:
        """Open the ledger, made anew where it is lost or damaged.

        Returns a sentence for people where it was damaged, else an empty text.
        Raises SettingsError for one that a newer bikecollect wrote.
        """
        trouble = ""
        try:
            self._connect()
            self._check()
        except sqlite3.DatabaseError as error:
            self.close()
            if isinstance(error, sqlite3.OperationalError):
                raise self._failure(error) from error
            trouble = self._set_aside(error)
            with self._translated():
                self._connect()
        with self._translated():
            self._migrate()
        return trouble

    def close(self) -> None:
        """Close the ledger; closing twice is allowed."""
        self._released.clear()
        if self._db is not None:
            db, self._db = self._db, None
            with self._translated():
                db.close()

    def recall(self) -> Memory:
        """Return what earlier runs left; nothing where it cannot be read."""
        if not self._path.exists():
            return Memory()
        try:
            db = sqlite3.connect(self._path, timeout=1.0)
            try:
                notes = dict(db.execute("SELECT key, value FROM memory"))
                ids = db.execute(LISTED)
                return Memory(notes, frozenset(each for (each,) in ids))
            finally:
                db.close()
        except sqlite3.Error:
            return Memory()

    def notes(self) -> dict[str, str]:
        """Return what was remembered, by key."""
        return dict(self.all("SELECT key, value FROM memory"))

    def remember(self, notes: Mapping[str, str]) -> None:
        """Keep *notes* for the next runs, each in place of its former value.

        An endless one is forgotten: each of them only saves work.
        """
        if not notes:
            return
        kept = [(k, text) for k, text in notes.items() if len(text) <= LONGEST_NOTE]
        with self.transaction() as db:
            db.executemany("DELETE FROM memory WHERE key = ?", ((k,) for k in notes))
            db.executemany("INSERT INTO memory VALUES (?, ?)", kept[:MOST_NOTES])

    def extents(self) -> dict[str, Extent]:
        """Return the committed part of each file, by its name."""
        sql = 'SELECT file, start, "end", crc32, damaged FROM files'
        return {
            file: Extent(end, Span(file, start, end, crc), bool(damaged))
            for file, start, end, crc, damaged in self.all(sql)
        }

    def slots(self) -> set[Slot]:
        """Return the slots that have a block."""
        return {slot for (slot,) in self.all("SELECT slot FROM blocks")}

    def block(self, slot: Slot) -> Block | None:
        """Return the block of *slot*, None where it has none, or it was released."""
        if slot in self._released:
            return None
        return self._one("slot = ?", slot)

    def block_before(self, slot: Slot) -> Block | None:
        """Return the newest block older than *slot*."""
        return self._one("slot < ? ORDER BY slot DESC LIMIT 1", slot)

    def is_newest(self, slot: Slot) -> bool:
        """Return whether no block is of a later slot than *slot*."""
        return not self.all("SELECT 1 FROM blocks WHERE slot > ? LIMIT 1", slot)

    def usual_rows(self, slot: Slot, since: int = 0) -> int | None:
        """Return the median rows of the blocks of the 7 days before *slot*.

        None are counted from before *since*.
        """
        rows = self.all(
            "SELECT rows FROM blocks WHERE slot < ? AND slot >= ? ORDER BY rows",
            slot,
            max(slot - 7 * DAY, since),
        )
        return int(rows[len(rows) // 2][0]) if rows else None

    def stations(
        self, slot: Slot, ids: Collection[str] = ()
    ) -> dict[str, StationInformation]:
        """Return the version of each station that is valid at *slot*.

        A station known only from later on is given by its first version. One that
        has left the list is given where it is among *ids*: a run costs what its
        snapshot does, however many stations there ever were.
        """
        sql = "SELECT * FROM stations ORDER BY station_id, valid_from"
        found: dict[str, StationInformation] = {}
        last = ""
        with self._translated():
            for station_id, since, *values in self._opened().execute(sql):
                first, last = station_id != last, station_id
                if since > slot and not first:
                    continue
                if values[-1] or station_id in ids:
                    found[station_id] = to_information(station_id, values)
                else:
                    found.pop(station_id, None)
        return found

    def newest_stations(self) -> Slot:
        """Return the slot of the newest version of any station, 0 for none."""
        ((newest,),) = self.all("SELECT max(valid_from) FROM stations")
        return Slot(newest or 0)

    def versions_since(self, slot: Slot) -> int:
        """Return how many versions of stations are valid from after *slot* on."""
        sql = "SELECT count(*) FROM stations WHERE valid_from > ?"
        return int(self.all(sql, slot)[0][0])

    def absent(self) -> dict[str, int]:
        """Return since when the stations that the list lacks have been missing."""
        return dict(self.all("SELECT station_id, since FROM absent"))

    def commit(self, block: Block, stations: Stations) -> None:
        """Write *block* and what it says of the *stations*, in one transaction."""
        with self.transaction() as db:
            if block.slot in self._released:
                db.execute("DELETE FROM blocks WHERE slot = ?", (block.slot,))
            insert_block(db, block)
            insert_stations(db, block.slot, stations.versions)
            if stations.span is not None:
                upsert_file(db, stations.span)
            if stations.absent is not None:
                db.execute("DELETE FROM absent")
                db.executemany(
                    "INSERT INTO absent VALUES (?, ?)", stations.absent.items()
                )
        self._released.discard(block.slot)

    def adopt(self, blocks: Iterable[Block]) -> None:
        """Write *blocks* that were found in a file and not in the ledger."""
        with self.transaction() as db:
            for block in blocks:
                insert_block(db, block)

    def adopt_stations(
        self, span: Span, versions: Mapping[Slot, Iterable[StationInformation]]
    ) -> None:
        """Write *versions*, by the slot they are valid from, that a file holds."""
        with self.transaction() as db:
            for slot, each in versions.items():
                insert_stations(db, slot, each)
            upsert_file(db, span)

    def mark_damaged(self, file: str) -> None:
        """Note that *file* is damaged and never appended to again."""
        with self.transaction() as db:
            db.execute(
                "INSERT INTO files VALUES (?, 0, 0, 0, 1, NULL)"
                " ON CONFLICT (file) DO UPDATE SET damaged = 1",
                (file,),
            )

    def release(self, slot: Slot) -> None:
        """Let the block of *slot*, which is damaged, be replaced by another.

        It stays written down until the transaction that commits the other one; where
        none comes before the ledger is closed, nothing has changed.
        """
        self._released.add(slot)

    def has_run(self, run_id: str) -> bool:
        """Return whether the run called *run_id* is written down."""
        return bool(self.all("SELECT 1 FROM runs WHERE run_id = ?", run_id))

    def has_ended(self, run_id: str) -> bool:
        """Return whether the run called *run_id* ended by itself: nothing killed it."""
        sql = "SELECT 1 FROM runs WHERE run_id = ? AND outcome != 'killed'"
        return bool(self.all(sql, run_id))

    def record(self, runs: Iterable[Run]) -> None:
        """Write *runs*; one that is there already is replaced."""
        with self.transaction() as db:
            for run in runs:
                marks = ", ".join("?" * 22)
                row = run_row(run)
                db.execute(f"INSERT OR REPLACE INTO runs VALUES ({marks})", row)

    def _connect(self) -> None:
        existed = self._path.exists()
        self._db = sqlite3.connect(self._path, timeout=BUSY, isolation_level=None)
        if not existed:
            self._path.chmod(0o640)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")

    def _check(self) -> None:
        verdict = self.all("PRAGMA quick_check(1)")
        if verdict != [("ok",)]:
            raise sqlite3.DatabaseError(str(verdict[0][0]))

    def _migrate(self) -> None:
        ((version,),) = self.all("PRAGMA user_version")
        if version > VERSION:
            self.close()
            raise SettingsError(
                f"the ledger {self._path} was written by a newer bikecollect "
                f"(schema {version}, this one knows {VERSION}); upgrade it here too: "
                "payloads are kept in the inbox until then"
            )
        if version == VERSION:
            return
        db = self._opened()
        steps = "".join(STEPS[version:])
        db.executescript(
            f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT"
        )

    def _set_aside(self, error: Exception) -> str:
        name = f"{self._path.name}.damaged-{stamp(Slot(int(time.time())))}"
        number = 1
        while (target := self._path.with_name(f"{name}.{number}")).exists():
            number += 1
        try:
            for suffix in ("-wal", "-shm", ""):
                part = self._path.with_name(self._path.name + suffix)
                if part.exists():
                    part.rename(target.with_name(target.name + suffix))
        except OSError as why:
            raise StorageError(f"cannot set {self._path} aside: {why}") from why
        return (
            f"the ledger was damaged ({error}); it lies in {target.name}, "
            "a new one is rebuilt from the CSV files"
        )

    def _one(self, where: str, *values: object) -> Block | None:
        sql = f"SELECT * FROM blocks WHERE {where}"
        return next(map(Block.from_row, self.all(sql, *values)), None)

    def all(self, sql: str, *values: object) -> list[Any]:
        """Return the rows that *sql* selects."""
        with self._translated():
            return self._opened().execute(sql, values).fetchall()

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            raise StorageError(f"the ledger {self._path} is not open")
        return self._db

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write, all or nothing."""
        with self._translated():
            db = self._opened()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _failure(self, error: sqlite3.Error) -> StorageError:
        code = getattr(error, "sqlite_errorname", "")
        cause = "ledger-busy" if code.startswith("SQLITE_BUSY") else "ledger"
        return StorageError(f"the ledger {self._path}: {error}", cause=cause)

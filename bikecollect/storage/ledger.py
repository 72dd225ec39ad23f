"""The ledger: runs, blocks and stations, in SQLite."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from itertools import chain
from pathlib import Path

from bikecollect.core.blocks import Block, Extent, Span, Stations
from bikecollect.core.errors import SettingsError
from bikecollect.core.payload import Memory
from bikecollect.core.run import Run
from bikecollect.core.slots import DAY, EARLIEST, LATEST, Slot, has_flag_sql
from bikecollect.core.snapshot import StationInformation
from bikecollect.storage.ledger_schema import (
    GONE,
    INDEXES,
    LISTED,
    LOST_ROWS,
    STEPS,
    VERSION,
    find_version,
    insert_block,
    insert_stations,
    newer_schema,
    store_notes,
    to_information,
    upsert_file,
)
from bikecollect.storage.runs.rows import to_row
from bikecollect.storage.sqlite.ledger_file import LedgerFile, absence
from bikecollect.storage.sqlite.ledger_log import SESSIONS, unused_state

NOTES = "SELECT key, value FROM memory WHERE key <> ?"
PLAUSIBLE = f"WHERE valid_from BETWEEN {EARLIEST} AND {LATEST}"


class Ledger(LedgerFile):
    """The ledger at *path*; open between `open` and `close`.

    Every method raises StorageError on errors of the disk or of SQLite.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.latest = Slot(LATEST)
        """The latest plausible slot; later ones were written with a wrong clock."""
        self.was_absent = self.trouble = ""
        self._released: set[Slot] = set()
        self._version: int | None = 0
        self._usual: dict[tuple[int, ...], int | None] = {}

    def open(self, *, check: bool = False) -> str:
        """Open the ledger; replace a missing or damaged one by an empty one.

        Its structure is checked after an unclean end, and if *check*. Returns a message
        for people if it was damaged, else an empty text. Raises SettingsError if a
        newer bikecollect wrote it. It is closed again after an error.
        """
        with self.closed_if_it_fails(), self.translated():
            self.was_absent = absence(self._path)
            self.trouble = self.connect(self._identify, check=check)
            self._migrate()
            self._forget_files_of_lost_rows()
        return self.trouble

    @property
    def folder(self) -> Path:
        """The folder of the ledger's file."""
        return self._path.parent

    def close(self) -> None:
        """Close the ledger; does nothing if it is closed."""
        self._released.clear()
        self._usual.clear()
        super().close()

    def recall(self) -> Memory:
        """Return the notes and stations of earlier runs, empty if unreadable."""
        try:
            if not self._path.is_file():
                return Memory()
            # If no other process uses the file, as usual, read it without locks.
            if (before := unused_state(self._path)) is not None:
                memory = self._recalled("immutable=1")
                if unused_state(self._path) == before:
                    return memory
            # Read-only: closing it must not merge a log that `open` has to check.
            return self._recalled("mode=ro")
        except (sqlite3.Error, OSError, MemoryError, UnicodeDecodeError):
            return Memory()

    def _recalled(self, mode: str) -> Memory:
        uri = f"{self._path.absolute().as_uri()}?{mode}"
        with closing(sqlite3.connect(uri, uri=True, timeout=1.0)) as db:
            notes = dict(db.execute(NOTES, (SESSIONS,)))
            ids = chain.from_iterable(db.execute(LISTED))
            has_rows = any(db.execute("SELECT 1 FROM blocks WHERE rows > 0 LIMIT 1"))
            return Memory(notes, frozenset(ids), has_rows=has_rows)

    def notes(self) -> dict[str, str]:
        """Return the stored notes, by key."""
        return dict(self.all(NOTES, SESSIONS))

    def remember(self, notes: Mapping[str, str]) -> None:
        """Store *notes* for the next runs, replacing former values.

        Those that are too long are dropped: notes only save requests.
        """
        if notes:
            with self.transaction() as db:
                store_notes(db, notes)

    def extents(self, day: str = "") -> dict[str, Extent]:
        """Return the committed part of each file, by its name.

        Files that were archived and removed are skipped, except those of *day*.
        """
        sql = (
            'SELECT file, start, "end", crc32, damaged FROM files'
            " WHERE damaged <> ? OR file GLOB ?"
        )
        return {
            file: Extent(end, Span(file, start, end, crc), bool(damaged))
            for file, start, end, crc, damaged in self.all(sql, GONE, f"*/{day}.*")
        }

    def slots(self) -> set[Slot]:
        """Return the slots that have a block."""
        return {slot for (slot,) in self.all("SELECT slot FROM blocks")}

    def block(self, slot: Slot) -> Block | None:
        """Return the block of *slot*, None if it has none or it was released."""
        if slot in self._released:
            return None
        return self._first_block("slot = ?", slot)

    def block_before(self, slot: Slot) -> Block | None:
        """Return the newest block older than *slot*."""
        return self._first_block("slot < ? ORDER BY slot DESC LIMIT 1", slot)

    def fresh_block_before(self, slot: Slot) -> Block | None:
        """Return the newest block older than *slot* that is not stale."""
        fresh = f"NOT ({has_flag_sql('flags', 'stale')})"
        return self._first_block(
            f"slot < ? AND {fresh} ORDER BY slot DESC LIMIT 1", slot
        )

    def is_newest(self, slot: Slot) -> bool:
        """Return whether no block is of a later plausible slot than *slot*."""
        sql = "SELECT 1 FROM blocks WHERE slot > ? AND slot <= ? LIMIT 1"
        return not self.all(sql, slot, self.latest)

    def usual_rows(self, slot: Slot, since: int = 0) -> int | None:
        """Return the median row count of the blocks of the 7 days before *slot*.

        Blocks before *since* are not counted.
        """
        key = max(slot - 7 * DAY, since), slot, self.opened().total_changes
        if key not in self._usual:  # a run asks twice
            # As one text: 2,000 rows take longer.
            sql = "SELECT group_concat(rows) FROM blocks WHERE slot >= ? AND slot < ?"
            ((text,),) = self.all(sql, *key[:2])
            rows = sorted(map(int, text.split(","))) if text else []
            self._usual = {key: rows[len(rows) // 2] if rows else None}
        return self._usual[key]

    def stations(
        self, slot: Slot, ids: Collection[str] = ()
    ) -> dict[str, StationInformation]:
        """Return the version of each station that is valid at *slot*.

        For a station whose first version is later, that one is returned. A station that
        left the list is returned only if it is among *ids*: the cost of a run must not
        grow with the number of former stations.
        """
        # SQLite takes a group's other columns from the row with the maximum.
        sql = (
            "SELECT *, max(CASE WHEN valid_from <= ?1 THEN valid_from"
            " ELSE -valid_from END) FROM stations GROUP BY station_id HAVING"
        )
        rows = self.all(f"{sql} is_listed", slot)
        listed = {row[0] for row in rows}
        if any(station_id not in listed for station_id in ids):
            rows += [r for r in self.all(f"{sql} NOT is_listed", slot) if r[0] in ids]
            rows.sort()
        return {row[0]: to_information(row[:-1]) for row in rows}

    def station_versions(self) -> dict[Slot, list[StationInformation]]:
        """Return all station versions, by the slot they are valid from."""
        sql = f"SELECT * FROM stations {PLAUSIBLE} ORDER BY valid_from, station_id"
        versions: dict[Slot, list[StationInformation]] = {}
        for row in self.all(sql):
            versions.setdefault(Slot(row[1]), []).append(to_information(row))
        return versions

    def newest_stations(self) -> Slot:
        """Return the plausible slot of the newest station version, 0 for none."""
        sql = "SELECT max(valid_from) FROM stations WHERE valid_from <= ?"
        ((newest,),) = self.all(sql, self.latest)
        return Slot(newest or 0)

    def later_versions(self, slot: Slot) -> dict[str, tuple[Slot, bool]]:
        """Return, by station, the slot of its first version after *slot*.

        The second value says whether it has an earlier version. Empty if no station
        has one, because the first list is newer than *slot*.
        """
        sql = (
            "SELECT station_id, min(CASE WHEN valid_from > ?1 THEN valid_from END),"
            " min(valid_from) <= ?1 FROM stations GROUP BY station_id"
        )
        rows = self.all(sql, slot)
        if not any(is_older for _, _, is_older in rows):
            return {}
        return {
            station_id: (Slot(since), bool(is_older))
            for station_id, since, is_older in rows
            if since is not None
        }

    def next_block(self, slot: Slot) -> Slot | None:
        """Return the first slot after *slot* with a block, None if there is none."""
        ((following,),) = self.all("SELECT min(slot) FROM blocks WHERE slot > ?", slot)
        return None if following is None else Slot(following)

    def versions_since(self, slot: Slot) -> list[tuple[str, int]]:
        """Return the station and the slot of each plausible version after *slot*."""
        sql = "SELECT station_id, valid_from FROM stations"
        sql += " WHERE valid_from > ? AND valid_from <= ? ORDER BY valid_from"
        return self.all(sql, slot, self.latest)

    def absent(self) -> dict[str, int]:
        """Return, by station id, the first slot at which the station was missing."""
        return dict(self.all("SELECT station_id, since FROM absent"))

    def commit(
        self, block: Block, stations: Stations, notes: Mapping[str, str] | None = None
    ) -> None:
        """Write *block*, changes of *stations* and *notes* in one transaction."""
        with self.transaction() as db:
            store_notes(db, notes or {})
            if block.slot in self._released:
                db.execute("DELETE FROM blocks WHERE slot = ?", (block.slot,))
            insert_block(db, block)
            for slot, left in (*stations.left.items(), (block.slot, stations.versions)):
                insert_stations(db, slot, left)
            if stations.span is not None:
                upsert_file(db, stations.span)
            if stations.absent is not None:
                db.execute("DELETE FROM absent")
                db.executemany(
                    "INSERT INTO absent VALUES (?, ?)", stations.absent.items()
                )
        self._released.discard(block.slot)

    def adopt(self, blocks: Iterable[Block]) -> None:
        """Write *blocks* that a file has and the ledger lacks."""
        with self.transaction() as db:
            for block in blocks:
                insert_block(db, block)

    def adopt_stations(
        self, span: Span | None, versions: Mapping[Slot, Iterable[StationInformation]]
    ) -> None:
        """Write station *versions*, by the slot they are valid from.

        *span* is that of the file that has them, None if it lacks them.
        """
        with self.transaction() as db:
            for slot, stations in versions.items():
                insert_stations(db, slot, stations)
            if span is not None:
                upsert_file(db, span)

    def mark_damaged(self, file: str) -> None:
        """Mark *file* as damaged: nothing more is appended to it."""
        with self.transaction() as db:
            db.execute(
                "INSERT INTO files VALUES (?, 0, 0, 0, 1, NULL)"
                " ON CONFLICT (file) DO UPDATE SET damaged = 1",
                (file,),
            )

    def replace_file(self, last: Span) -> None:
        """Record that a file was rewritten and ends with the span *last*."""
        with self.transaction() as db:
            db.execute("DELETE FROM files WHERE file = ?", (last.file,))
            upsert_file(db, last)

    def release(self, slot: Slot) -> None:
        """Allow another block to replace the damaged one of *slot*.

        The old block is removed by the transaction that commits the new one; if there
        is none before the ledger is closed, nothing changes.
        """
        self._released.add(slot)

    def has_run(self, run_id: str) -> bool:
        """Return whether the run *run_id* is recorded."""
        return bool(self.all("SELECT 1 FROM runs WHERE run_id = ?", run_id))

    def has_ended(self, run_id: str) -> bool:
        """Return whether the run *run_id* ended without being killed."""
        sql = "SELECT 1 FROM runs WHERE run_id = ? AND outcome != 'killed'"
        return bool(self.all(sql, run_id))

    def record(self, runs: Iterable[Run]) -> None:
        """Write or replace *runs*."""
        sql = f"INSERT OR REPLACE INTO runs VALUES ({', '.join('?' * 22)})"
        with self.transaction() as db:
            db.executemany(sql, map(to_row, runs))

    def _identify(self, db: sqlite3.Connection | None) -> None:
        """Determine the schema of *db* (None: empty); raises DatabaseError."""
        self._version = 0
        if db is None:
            return
        ((number,),) = db.execute("PRAGMA user_version").fetchall()
        self._version = find_version(db)
        if number > VERSION:
            error = newer_schema(self._path, number)
            raise SettingsError(f"{error}: until then payloads stay in the inbox")
        if self._version is None:
            raise sqlite3.DatabaseError("its tables are not those of a ledger")

    def _migrate(self) -> None:
        ((number,),) = self.all("PRAGMA user_version")
        if self._version == number == VERSION:
            return
        steps = "".join(STEPS[self._version or 0 :])
        self.opened().executescript(
            f"BEGIN IMMEDIATE; {steps} {INDEXES} PRAGMA user_version = {VERSION};"
            " COMMIT"
        )

    def _forget_files_of_lost_rows(self) -> None:
        """Forget the files of a table that was emptied, so that they are read again."""
        for table, condition in LOST_ROWS.items():
            if not self.all(f"SELECT 1 FROM {table} LIMIT 1"):
                sql = f"DELETE FROM files WHERE damaged = 0 AND {condition}"
                if self.all(f"SELECT 1 FROM files WHERE damaged = 0 AND {condition}"):
                    with self.transaction() as db:
                        db.execute(sql)

    def _first_block(self, where: str, *values: object) -> Block | None:
        sql = f"SELECT * FROM blocks WHERE {where}"
        return next(map(Block.from_row, self.all(sql, *values)), None)

"""The alerts' view of the ledger: short connections that need no system lock."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from bikecollect.core.blocks import Block
from bikecollect.core.causes import CLOCK_SET, DOUBTED, SeenRun
from bikecollect.core.errors import Outcome
from bikecollect.core.incidents import Incident
from bikecollect.core.run import Run
from bikecollect.core.slots import DAY, Slot, has_flag_sql
from bikecollect.storage.sqlite import ledger_file

PATIENCE = 1.0

RUN = ", ".join(SeenRun._fields)
"""The columns of a `SeenRun` in the table ``runs``."""
BEFORE = (
    f"SELECT {RUN} FROM runs WHERE slot <= :first"
    " ORDER BY slot DESC, started DESC LIMIT 1"
)
BETWEEN = (
    f"SELECT {RUN} FROM runs WHERE slot > :first AND slot < :last ORDER BY started"
)
OF_DOUBTED = (
    f"SELECT slot, started, '{DOUBTED}', cause, boot_id, uptime, awake FROM runs"
    " WHERE slot >= ? AND slot < ?"
    f" AND ({has_flag_sql('flags', 'clock')} OR cause = 'clock'"
    " OR outcome = 'duplicate')"
)
"""The runs whose clock may have been wrong."""
BOOT = (
    "SELECT started - uptime FROM runs WHERE boot_id = ? AND uptime <= ?"
    " AND slot >= ? AND slot <= ? AND outcome = 'collected'"
    f" AND NOT {has_flag_sql('flags', 'clock')} ORDER BY uptime DESC LIMIT 1"
)
"""When a boot began, by its latest run with a right clock."""


class AlertLedger:
    """The incidents and the past slots in the ledger at *path*.

    If the ledger is busy, damaged or missing, methods return empty results and store
    nothing: alerts are sent without it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def incidents(self, since: Slot, before: Slot) -> tuple[Incident, ...]:
        """Return the incidents that are open, or were closed at or after *since*.

        Blocks after their last bad slot and before the slot *before* count as good.
        """
        sql = (
            "SELECT incident_id, kind, opened, last, closed, slots, lost, told, causes,"
            " text,"
            " (SELECT count(*) FROM blocks WHERE slot > last AND slot < ?) AS good"
            " FROM incidents WHERE closed IS NULL OR closed >= ? ORDER BY opened"
        )
        newest = {}
        with self._opened() as db:
            db.row_factory = sqlite3.Row
            for row in db.execute(sql, (before, since)):
                values = {**dict(row), "causes": json.loads(row["causes"])}
                incident = Incident(**values)
                newest[incident.kind] = incident._replace(
                    told_at=incident.last, streak=incident.opened
                )
        return tuple(newest.values())

    def save(self, incidents: Iterable[Incident]) -> bool:
        """Write or replace *incidents*; return whether that succeeded."""
        rows = [
            (
                incident.incident_id,
                incident.kind,
                incident.opened,
                incident.last,
                incident.closed,
                incident.slots,
                incident.lost,
                incident.told,
                json.dumps(dict(incident.causes)),
                incident.text,
            )
            for incident in incidents
            if incident.told
        ]
        marks = ", ".join("?" * 10)
        with self._opened() as db, db:
            db.executemany(f"INSERT OR REPLACE INTO incidents VALUES ({marks})", rows)
            return True
        return False

    def usable(self) -> bool:
        """Return whether the ledger can be written to now."""
        with self._opened() as db:
            db.execute("BEGIN IMMEDIATE")
            db.execute("SELECT 1 FROM incidents LIMIT 1")
            db.execute("ROLLBACK")
            return True
        return False

    def last_run(self, before: Slot) -> Slot | None:
        """Return the newest slot in the 90 days before *before* that has a run."""
        with self._opened() as db:
            sql = "SELECT max(slot) FROM runs WHERE slot < ? AND slot >= ?"
            return db.execute(sql, (before, before - 90 * DAY)).fetchone()[0]  # type: ignore[no-any-return]
        return None

    def real_start(self, run: Run) -> float | None:
        """Return when *run* started, if its clock was wrong since it was set.

        That is known by the feed's Date, or by a slot that was taken already, and by
        an earlier run of the same boot with a right clock. Otherwise None.
        """
        is_doubted = "clock" in run.flags or run.outcome is Outcome.DUPLICATE
        is_doubted |= run.outcome is Outcome.REJECTED and run.cause == "clock"
        if not (is_doubted and run.boot_id):
            return None
        span = (run.slot - DAY, run.slot + DAY)
        with self._opened() as db:
            row = db.execute(BOOT, (run.boot_id, run.uptime, *span)).fetchone()
            started = row[0] + run.uptime if row else run.started
            return started if CLOCK_SET < abs(started - run.started) <= DAY else None
        return None

    def begins_with(self, slot: Slot) -> bool:
        """Return whether nothing is recorded before *slot*: the history is new."""
        with self._opened() as db:
            tables = ("SELECT slot FROM blocks", "SELECT slot FROM runs")
            sql = " UNION ALL ".join(f"{table} WHERE slot < :slot" for table in tables)
            return db.execute(f"{sql} LIMIT 1", {"slot": slot}).fetchone() is None
        return False

    def newest_block(self) -> Block | None:
        """Return the newest block, None if there is none or it cannot be read."""
        with self._opened() as db:
            rows = db.execute("SELECT * FROM blocks ORDER BY slot DESC LIMIT 1")
            return next(map(Block.from_row, rows), None)
        return None

    def last_block(self, before: Slot) -> tuple[Slot, int] | None:
        """Return slot and rows of the newest block before the slot *before*."""
        sql = "SELECT slot, rows FROM blocks WHERE slot < ? ORDER BY slot DESC"
        with self._opened() as db:
            return db.execute(f"{sql} LIMIT 1", (before,)).fetchone()  # type: ignore[no-any-return]
        # On a full disk SQLite cannot create its -shm file.
        from bikecollect.storage.sqlite.readable_ledger import connect, readable

        with suppress(sqlite3.Error, OSError, UnicodeDecodeError):
            if self._is_usable():
                with (
                    readable(self._path) as address,
                    closing(connect(address)) as ledger,
                ):
                    return ledger.execute(f"{sql} LIMIT 1", (before,)).fetchone()
        return None

    def between(self, first: Slot, last: Slot) -> tuple[list[Slot], list[SeenRun]]:
        """Return the slots between *first* and *last* that have a block, and the runs.

        The runs include the newest one before these slots, and the doubted ones.
        """
        filled: list[Slot] = []
        runs: list[SeenRun] = []
        with self._opened() as db:
            sql = "SELECT slot FROM blocks WHERE slot > ? AND slot < ?"
            filled = [slot for (slot,) in db.execute(sql, (first, last))]
            for sql in (BEFORE, BETWEEN):
                rows = db.execute(sql, {"first": first, "last": last})
                runs += map(SeenRun._make, rows)
            near = first - DAY, last + DAY
            runs += map(SeenRun._make, db.execute(OF_DOUBTED, near))
        return filled, runs

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        db = self._connect()
        with suppress(sqlite3.Error, ValueError):
            try:
                yield db
            finally:
                ledger_file.close(db)

    def _connect(self) -> sqlite3.Connection:
        """Open the ledger, or an empty database if it cannot be opened."""
        with suppress(sqlite3.Error, OSError, UnicodeDecodeError):
            if self._is_usable():
                name = f"file:{quote(os.fsencode(self._path))}?mode=rw"
                return sqlite3.connect(name, timeout=PATIENCE, uri=True)
        return sqlite3.connect(":memory:")

    def _is_usable(self) -> bool:
        return self._path.is_file() and ledger_file.is_usable(self._path)

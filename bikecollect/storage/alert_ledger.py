"""What telling asks of the ledger, in short visits that need no lock of ours."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from bikecollect.core.causes import SeenRun
from bikecollect.core.incidents import Incident
from bikecollect.core.slots import DAY, Slot

PATIENCE = 1.0

RUN = "slot, started, outcome, cause, boot_id, uptime, awake"
BEFORE = (
    f"SELECT {RUN} FROM runs WHERE slot <= :first"
    " ORDER BY slot DESC, started DESC LIMIT 1"
)
BETWEEN = (
    f"SELECT {RUN} FROM runs WHERE slot > :first AND slot < :last ORDER BY started"
)


class AlertLedger:
    """The incidents and the past slots in the ledger at *path*.

    A ledger that is busy, damaged or not there has no answer, and takes nothing:
    telling goes on without it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def incidents(self, since: Slot, before: Slot) -> tuple[Incident, ...]:
        """Return the incidents that are open, or were closed at or after *since*.

        The blocks after their last bad slot, and before the slot *before*, count as
        their good ones.
        """
        sql = (
            "SELECT incident_id, kind, opened, last, closed, slots, lost, told, causes,"
            " text,"
            " (SELECT count(*) FROM blocks WHERE slot > last AND slot < ?) AS good"
            " FROM incidents WHERE closed IS NULL OR closed >= ? ORDER BY opened"
        )
        newest = {}
        with self._visit() as db:
            db.row_factory = sqlite3.Row
            for row in db.execute(sql, (before, since)):
                found = Incident(**{**dict(row), "causes": json.loads(row["causes"])})
                newest[found.kind] = found._replace(
                    told_at=found.last, streak=found.opened
                )
        return tuple(newest.values())

    def save(self, incidents: Iterable[Incident]) -> bool:
        """Write *incidents*, each in place of its former state; return if it went."""
        rows = [
            (
                *(each.incident_id, each.kind, each.opened, each.last, each.closed),
                *(each.slots, each.lost, each.told, json.dumps(dict(each.causes))),
                each.text,
            )
            for each in incidents
            if each.told
        ]
        marks = ", ".join("?" * 10)
        with self._visit() as db, db:
            db.executemany(f"INSERT OR REPLACE INTO incidents VALUES ({marks})", rows)
            return True
        return False

    def usable(self) -> bool:
        """Return whether the ledger would take something now."""
        with self._visit() as db:
            db.execute("BEGIN IMMEDIATE")
            db.execute("SELECT 1 FROM incidents LIMIT 1")
            db.execute("ROLLBACK")
            return True
        return False

    def last_run(self, before: Slot) -> Slot | None:
        """Return the newest slot before *before* for which a run is written down."""
        with self._visit() as db:
            sql = "SELECT max(slot) FROM runs WHERE slot < ? AND slot >= ?"
            return db.execute(sql, (before, before - 90 * DAY)).fetchone()[0]  # type: ignore[no-any-return]
        return None

    def last_block(self, before: Slot) -> tuple[Slot, int] | None:
        """Return slot and rows of the newest block before the slot *before*."""
        sql = "SELECT slot, rows FROM blocks WHERE slot < ? ORDER BY slot DESC"
        # On a full disk SQLite cannot make its -shm: then as if nobody wrote.
        for how in ("mode=rw", "immutable=1"):
            with self._visit(how) as db:
                return db.execute(f"{sql} LIMIT 1", (before,)).fetchone()  # type: ignore[no-any-return]
        return None

    def between(self, first: Slot, last: Slot) -> tuple[list[Slot], list[SeenRun]]:
        """Return the slots after *first* and before *last* with a block, and runs.

        These are the runs of those slots, and the newest one before them.
        """
        filled: list[Slot] = []
        runs: list[SeenRun] = []
        with self._visit() as db:
            sql = "SELECT slot FROM blocks WHERE slot > ? AND slot < ?"
            filled = [slot for (slot,) in db.execute(sql, (first, last))]
            for sql in (BEFORE, BETWEEN):
                found = db.execute(sql, {"first": first, "last": last})
                runs += map(SeenRun._make, found)
        return filled, runs

    @contextmanager
    def _visit(self, how: str = "mode=rw") -> Iterator[sqlite3.Connection]:
        db = self._connected(how)
        with suppress(sqlite3.Error, ValueError):
            try:
                yield db
            finally:
                db.close()

    def _connected(self, how: str) -> sqlite3.Connection:
        """Return the ledger, or an empty one that has no answer."""
        with suppress(sqlite3.Error):
            if self._path.exists():
                name = f"file:{quote(str(self._path))}?{how}"
                return sqlite3.connect(name, timeout=PATIENCE, uri=True)
        return sqlite3.connect(":memory:")

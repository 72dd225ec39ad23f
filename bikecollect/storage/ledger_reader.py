"""The history of a system, read from its folder without changing it."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from bikecollect.core.blocks import Block
from bikecollect.core.errors import StorageError
from bikecollect.core.incidents import Incident
from bikecollect.core.run import Run
from bikecollect.core.slots import CLOCK_FLOOR, Slot, has_flag_sql, stamp
from bikecollect.core.snapshot import StationInformation
from bikecollect.storage import data_folder
from bikecollect.storage.data_folder import LEDGER, STATUS, VEHICLE_STATUS, VEHICLES
from bikecollect.storage.ledger_schema import (
    UNPACKED,
    VERSION,
    file_day,
    to_information,
)
from bikecollect.storage.runs import packed
from bikecollect.storage.runs.ends import WITHIN, ends, first_collected, first_expected
from bikecollect.storage.runs.rows import from_row
from bikecollect.storage.sqlite.ledger_file import reason, suspect
from bikecollect.storage.vehicles import ALONE

LIMIT = 1_000_000
BEGINNING = Slot(0)
END = Slot(1 << 60)
OUTCOME = packed.COLUMNS.index("outcome")
INCIDENTS = (
    "SELECT incident_id, kind, opened, last, closed, slots, lost, told, causes, text"
    " FROM incidents WHERE closed IS NULL OR closed >= ? ORDER BY opened"
)
BLOCK = "SELECT * FROM slot_blocks WHERE slot = ?"
FLAGS = (
    "SELECT b.slot, CASE WHEN b.flags = '' THEN coalesce(r.flags, '') ELSE b.flags END"
    " FROM slot_blocks AS b LEFT JOIN runs AS r ON r.run_id = b.run_id"
    " WHERE b.slot >= ? ORDER BY b.slot"
)
"""In an older schema the flags of a block are stored only with its run."""
STATIONS = "SELECT *, max(valid_from) FROM stations GROUP BY station_id"
SLOT_BLOCKS = (
    "SELECT * FROM blocks UNION ALL SELECT v.* FROM vehicles.blocks AS v"
    f" WHERE +v.{WITHIN}"
    " AND NOT EXISTS (SELECT 1 FROM blocks AS b WHERE b.slot = v.slot)"
    f" AND ({has_flag_sql('v.flags', ALONE)} OR"
    " (v.source = 'adopted' AND NOT EXISTS (SELECT 1 FROM main.blocks)))"
)
"""The blocks that account for slots, including vehicles of payloads without stations.

Vehicle blocks adopted from a file have no flags; they count if there are no stations.
"""
DAILY = "/[12][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9].*"
PLAUSIBLE = {
    "blocks": f"SELECT * FROM main.blocks WHERE +{WITHIN}"
    f" AND (file GLOB '{STATUS}{DAILY}' OR file GLOB '{VEHICLE_STATUS}{DAILY}')",
    "runs": f"SELECT * FROM main.runs WHERE +{WITHIN} AND +slot >= {CLOCK_FLOOR}",
}
"""The views that readers see instead of the tables; `main.blocks` has all rows.

The unary plus keeps SQLite from using its index for these bounds instead of those of
the query; see https://sqlite.org/optoverview.html.
"""


class History:
    """Runs, blocks and incidents of the system whose folder is *place*.

    Without a ledger the history is empty. Every method raises StorageError if the
    ledger cannot be read.
    """

    def __init__(self, system_id: str, place: Path) -> None:
        self._system_id = system_id
        self._place = place
        self._path = place / LEDGER
        self._session: sqlite3.Connection | None = None
        self._lost: dict[str, Slot] | None = None

    def runs(
        self,
        since: Slot = BEGINNING,
        until: Slot | None = None,
        *,
        outcomes: Sequence[str] = (),
        limit: int = LIMIT,
    ) -> list[Run]:
        """Return the runs of the slots from *since* to before *until*, newest first.

        If *outcomes* are given, only runs with one of them. Killed runs are included
        even if no later run has recorded them yet.
        """
        end, wanted = until or END, frozenset(outcomes)
        where, values = "slot >= ? AND slot < ?", [since, end]
        if outcomes:
            where += f" AND outcome IN ({', '.join('?' * len(outcomes))})"
        sql = (
            f"SELECT * FROM runs WHERE {where} ORDER BY slot DESC, started DESC LIMIT ?"
        )
        with self._opened() as db:
            rows = {r[0]: r for r in db.execute(sql, (*values, *outcomes, limit))}
            for day in packed.newest_first(db, since, end):
                if len(rows) >= limit:
                    break
                chosen = (r for r in day if not wanted or r[OUTCOME] in wanted)
                rows |= {row[0]: row for row in chosen if row[0] not in rows}
            recorded = [from_row(self._system_id, row) for row in rows.values()]
            unrecorded = [r for r in self.killed_runs() if not _is_recorded(db, r)]
        killed = [
            run
            for run in unrecorded
            if since <= run.slot < end
            and (not wanted or (run.outcome and run.outcome.value in wanted))
        ]
        runs = sorted([*killed, *recorded], key=lambda r: (-r.slot, -r.started))
        return runs[:limit]

    def just_lost(self, now: float) -> frozenset[Slot]:
        """Return the slot of the last run that began by *now*, if it was lost by it."""
        last = self.runs(until=Slot(int(now) + 1), limit=1)
        return last[0].lost if last else frozenset()

    def run(self, run_id: str) -> list[Run]:
        """Return the run *run_id*, an empty list if there is none."""
        with self._opened() as db:
            sql = "SELECT * FROM runs WHERE run_id = ?"
            rows = db.execute(sql, (run_id,)).fetchall() or packed.find(db, run_id)[1]
            runs = [from_row(self._system_id, row) for row in rows]
        return runs or [run for run in self.killed_runs() if run.run_id == run_id]

    def outcomes(self, since: Slot) -> list[tuple[Slot, str]]:
        """Return slot and outcome of each run from *since* on, oldest first.

        Killed runs are included as by `runs`.
        """
        sql = "SELECT slot, outcome FROM runs WHERE slot >= ? ORDER BY slot"
        with self._opened() as db:
            outcomes = db.execute(sql, (since,)).fetchall()
            names = ("slot", "outcome")
            accounts = packed.accounts(db, since, END, names)
            outcomes += [(slot, outcome) for slot, outcome in accounts if slot >= since]
            unrecorded = [r for r in self.killed_runs() if not _is_recorded(db, r)]
        outcomes += [
            (run.slot, run.outcome.value)
            for run in unrecorded
            if run.outcome and run.slot >= since
        ]
        return sorted(outcomes, key=lambda pair: pair[0])

    def flags(self, since: Slot) -> list[tuple[Slot, str]]:
        """Return slot and flags of each block from *since* on."""
        with self._opened() as db:
            return db.execute(FLAGS, (since,)).fetchall()
        return []

    def slots(self, since: Slot) -> frozenset[Slot]:
        """Return the slots from *since* on that have a block."""
        rows = self.select("SELECT slot FROM slot_blocks WHERE slot >= ?", since)
        return frozenset(chain.from_iterable(rows))

    def slots_of(self, day: str) -> list[Slot]:
        """Return the slots whose block is in a file of the local *day*."""
        rows = self.select(f"SELECT slot FROM blocks WHERE {file_day()} = ?", day)
        return [slot for (slot,) in rows]

    def first(self) -> Slot | None:
        """Return the first expected slot, see `first_expected`."""
        with self._opened() as db:
            return self._or_archived(first_expected(db))
        return None

    def first_collected(self) -> Slot | None:
        """Return the first slot that was not imported, None if there is none."""
        with self._opened() as db:
            return self._or_archived(first_collected(db))
        return None

    def _or_archived(self, first: Slot | None) -> Slot | None:
        """Return *first*, or the end of the first day that only the archive has."""
        return first and min([first, *self.days_lost().values()])

    def days_lost(self) -> dict[str, Slot]:
        """Return the days with slots that only the archive has, see `certified`.

        A session looks for them once: that lists all certificates.
        """
        from bikecollect.storage.facts.certified import days_lost  # not for `fetch`

        if self._lost is None or self._session is None:
            self._lost = days_lost(self._place, self.select)
        return self._lost

    def ends(self) -> tuple[Slot, Slot] | None:
        """Return the first and last slot with a run or a block, None if none has."""
        with self._opened() as db:
            return ends(db)
        return None

    def block(self, slot: Slot) -> Block | None:
        """Return the block of *slot*, None if it has none."""
        rows = self.select(BLOCK, slot)
        return Block.from_row(rows[0]) if rows else None

    def newest_block(self, until: Slot = END) -> Slot | None:
        """Return the newest slot before *until* that has a block."""
        sql = "SELECT max(slot) FROM slot_blocks WHERE slot < ?"
        with self._opened() as db:
            return db.execute(sql, (until,)).fetchone()[0]  # type: ignore[no-any-return]
        return None

    def incidents(self, since: Slot | None = None) -> list[Incident]:
        """Return the incidents that are open, or closed at or after *since*."""
        with self._opened() as db:
            rows = db.execute(INCIDENTS, (END if since is None else since,)).fetchall()
            return [
                Incident(*row[:8])._replace(causes=_causes(row[8]), text=row[9])
                for row in rows
            ]

    def packed_runs(
        self, since: Slot, until: Slot, names: Sequence[str]
    ) -> list[Sequence[Any]]:
        """Return the columns *names* of packed runs; see `packed.accounts`."""
        with self._opened() as db:
            return list(packed.accounts(db, since, until, names))
        return []

    def run_rows(
        self, names: Sequence[str], begin: Slot, end: Slot
    ) -> list[tuple[Any, ...]]:
        """Return the columns *names* of all runs from *begin* to before *end*."""
        with self._opened() as db:
            return packed.select(db, names, begin, end)
        return []

    def days_of_damaged_runs(self) -> list[str]:
        """Return the days whose packed runs cannot be read."""
        with self._opened() as db:
            return packed.damaged(db)
        return []

    def select(self, sql: str, *values: object) -> list[Any]:
        """Return the rows that *sql* selects from the ledger."""
        with self._opened() as db:
            return db.execute(sql, values).fetchall()
        return []

    def stations(self) -> dict[str, StationInformation]:
        """Return the newest version of each station."""
        return {row[0]: to_information(row[:-1]) for row in self.select(STATIONS)}

    def payloads(self, slot: Slot) -> list[Path]:
        """Return the payload files of *slot*: waiting, rejected or kept."""
        name = f"{stamp(slot)}.*.zip*"
        return sorted(
            path
            for folder in data_folder.PAYLOAD_FOLDERS
            for path in self._place.glob(f"{folder}/{name}")
        )

    def killed_runs(self) -> list[Run]:
        """Return the runs whose note is in the inbox and not locked."""
        from bikecollect.storage.runs.noted import killed_runs  # not for `fetch`

        return killed_runs(self._place)

    @contextmanager
    def session(self) -> Iterator[None]:
        """Keep the ledger open during the context: all reads see one state."""
        outer = self._session
        with self._opened() as db:
            self._session = db
            try:
                if outer is None:
                    self._lost = None
                    db.execute("BEGIN")
                yield
            finally:
                self._session = outer

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Open the ledger for reading, or an empty one if there is none yet."""
        from bikecollect.storage.sqlite.readable_ledger import (  # `fetch` seldom reads
            blamed,
            connect,
            readable,
            readable_or_empty,
            upgraded,
        )

        try:
            if self._session is not None:
                yield self._session
                return
            with (
                readable(self._path) as address,
                readable_or_empty(self._place / VEHICLES / LEDGER) as vehicles,
                closing(connect(address)) as db,
                closing(upgraded(db, self._path)) as current,
            ):
                for name, sql in PLAUSIBLE.items():
                    current.execute(f"CREATE TEMP VIEW {name} AS {sql}")
                with_vehicles = _attach_vehicles(current, vehicles)
                sql = SLOT_BLOCKS if with_vehicles else "SELECT * FROM blocks"
                current.execute(f"CREATE TEMP VIEW slot_blocks AS {sql}")
                yield current
        except OSError as error:
            where = error.filename or self._path
            raise StorageError(f"cannot read {where}: {error.strerror}") from error
        except (sqlite3.Error, ValueError, TypeError) as error:
            path = blamed((self._path, self._place / VEHICLES / LEDGER), error)
            suspect(path, error)
            raise StorageError(
                f"cannot read {path}: {reason(error)}; if it is damaged, "
                "the next fetch sets it aside and rebuilds it"
            ) from error


def _attach_vehicles(db: sqlite3.Connection, address: str) -> bool:
    """Attach the ledger of the vehicles; return whether it could be read."""
    with suppress(sqlite3.DatabaseError, UnicodeDecodeError):
        db.execute("ATTACH ? AS vehicles", (address,))
        ((version,),) = db.execute("PRAGMA vehicles.user_version")
        return bool(UNPACKED <= version <= VERSION)
    return False


def _causes(text: str) -> dict[str, int]:
    """Return the causes in the JSON *text*, none if it is not an object."""
    causes = json.loads(text)
    return causes if isinstance(causes, dict) else {}


def _is_recorded(db: sqlite3.Connection, run: Run) -> bool:
    sql = "SELECT 1 FROM runs WHERE run_id = ?"
    return db.execute(sql, (run.run_id,)).fetchone() is not None

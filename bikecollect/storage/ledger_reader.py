"""The past of a system, read from its folder; nothing is ever changed there."""

import fcntl
import json
import math
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from bikecollect.core.blocks import Block
from bikecollect.core.errors import Outcome, SettingsError, StorageError
from bikecollect.core.incidents import Incident
from bikecollect.core.payload import Attempt
from bikecollect.core.run import OUTCOMES, Notice, Result, Run, from_json
from bikecollect.core.slots import EARLIEST, LATEST, Slot, stamp
from bikecollect.storage.data_folder import LEDGER, STATUS
from bikecollect.storage.ledger_schema import STEPS, VERSION

PATIENCE = 2.0
LIMIT = 1_000_000
BEGINNING = Slot(0)
END = Slot(1 << 60)
INCIDENTS = (
    "SELECT incident_id, kind, opened, last, closed, slots, lost, told, causes, text"
    " FROM incidents WHERE closed IS NULL OR closed >= ? ORDER BY opened"
)
BLOCK = "SELECT * FROM blocks WHERE slot = ?"
FLAGS = (
    "SELECT b.slot, CASE WHEN b.flags = '' THEN coalesce(r.flags, '') ELSE b.flags END"
    " FROM blocks AS b LEFT JOIN runs AS r ON r.run_id = b.run_id"
    " WHERE b.slot >= ? ORDER BY b.slot"
)
"""Blocks of an older schema have their flags with their run only."""
WITHIN = f"slot BETWEEN {EARLIEST} AND {LATEST}"
"""What a slot is in: a clock that was wrong, or somebody, may have written others."""
ENDS = (
    "SELECT min(first), max(last) FROM ("
    f"SELECT min(slot) AS first, max(slot) AS last FROM runs WHERE {WITHIN}"
    f" UNION ALL SELECT min(slot), max(slot) FROM blocks WHERE {WITHIN})"
)
DAILY = f"'{STATUS}/[12][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9].*'"
PLAUSIBLE = {
    "blocks": f"SELECT * FROM main.blocks WHERE {WITHIN} AND file GLOB {DAILY}",
    "runs": f"SELECT * FROM main.runs WHERE {WITHIN}",
}
"""What every reader sees in place of the tables; `main.blocks` has the others too."""


class History:
    """Runs, blocks and incidents of the system whose folder is *place*.

    A ledger that is not there has no history; one that cannot be read raises
    StorageError.
    """

    def __init__(self, system_id: str, place: Path) -> None:
        self._system_id = system_id
        self._place = place
        self._path = place / LEDGER

    def runs(
        self,
        since: Slot = BEGINNING,
        until: Slot | None = None,
        *,
        outcomes: Sequence[str] = (),
        limit: int = LIMIT,
    ) -> list[Run]:
        """Return the runs of the slots from *since* to before *until*, newest first.

        With *outcomes* only those that ended so. Runs that died lately, and that no
        later run has written down yet, are among them as killed.
        """
        where, values = "slot >= ? AND slot < ?", [since, until or END]
        if outcomes:
            where += f" AND outcome IN ({', '.join('?' * len(outcomes))})"
        sql = (
            f"SELECT * FROM runs WHERE {where} ORDER BY slot DESC, started DESC LIMIT ?"
        )
        with self._opened() as db:
            found = [self._run(r) for r in db.execute(sql, (*values, *outcomes, limit))]
            unwritten = [r for r in self.killed_runs() if not _is_written(db, r)]
        dead = [
            run
            for run in unwritten
            if since <= run.slot < (until or END)
            and (not outcomes or (run.outcome and run.outcome.value in outcomes))
        ]
        return sorted([*dead, *found], key=lambda r: (-r.slot, -r.started))[:limit]

    def run(self, run_id: str) -> list[Run]:
        """Return the run called *run_id*, nothing where there is none."""
        with self._opened() as db:
            rows = db.execute("SELECT * FROM runs WHERE run_id = ?", (run_id,))
            found = [self._run(each) for each in rows]
        return found or [each for each in self.killed_runs() if each.run_id == run_id]

    def outcomes(self, since: Slot) -> list[tuple[Slot, str]]:
        """Return slot and outcome of each run from *since* on, oldest first."""
        sql = "SELECT slot, outcome FROM runs WHERE slot >= ? ORDER BY slot"
        with self._opened() as db:
            return db.execute(sql, (since,)).fetchall()

    def flags(self, since: Slot) -> list[tuple[Slot, str]]:
        """Return the slots from *since* on that have a block, and its flags."""
        with self._opened() as db:
            return db.execute(FLAGS, (since,)).fetchall()
        return []

    def first(self) -> Slot | None:
        """Return the first slot for which a run or a block is written down."""
        ends = self.ends()
        return ends[0] if ends else None

    def ends(self) -> tuple[Slot, Slot] | None:
        """Return the first and the last slot that has a run or a block."""
        ((first, last),) = self.select(ENDS)
        return None if first is None else (first, last)

    def block(self, slot: Slot) -> Block | None:
        """Return the block of *slot*, None where it has none."""
        with self._opened() as db:
            row = db.execute(BLOCK, (slot,)).fetchone()
        return Block.from_row(row) if row else None

    def newest_block(self) -> Slot | None:
        """Return the newest slot that has a block."""
        with self._opened() as db:
            return db.execute("SELECT max(slot) FROM blocks").fetchone()[0]  # type: ignore[no-any-return]
        return None

    def incidents(self, since: Slot | None = None) -> list[Incident]:
        """Return the incidents that are open, or closed at or after *since*."""
        with self._opened() as db:
            rows = db.execute(INCIDENTS, (END if since is None else since,)).fetchall()
            return [
                Incident(*row[:8])._replace(causes=_causes(row[8]), text=row[9])
                for row in rows
            ]

    def select(self, sql: str, *values: object) -> list[Any]:
        """Return the rows that *sql* selects from the ledger."""
        with self._opened() as db:
            return db.execute(sql, values).fetchall()
        return []

    def payloads(self, slot: Slot) -> list[Path]:
        """Return the payload files of *slot*, wherever they lie."""
        folder = self._place / "payloads"
        name = f"{stamp(slot)}.*.zip*"
        return sorted(
            found
            for pattern in ("inbox", "rejected", "kept/*")
            for found in folder.glob(f"{pattern}/{name}")
        )

    def log_lines(self, run_id: str) -> list[str]:
        """Return the lines of the log files that belong to *run_id*, in order."""
        found: list[str] = []
        paths = sorted(self._place.glob("bikecollect.log*"), key=_age, reverse=True)
        for path in paths:
            with (
                suppress(OSError),
                path.open(encoding="utf-8", errors="replace") as lines,
            ):
                inside = False
                for line in lines:
                    inside = run_id in line or (inside and line.startswith((" ", "Tr")))
                    if inside:
                        found.append(line.rstrip("\n"))
        return found

    def killed_runs(self) -> list[Run]:
        """Return the runs whose note lies in the inbox and is held by nobody."""
        found = []
        for path in (self._place / "payloads" / "inbox").glob("*.run"):
            with suppress(OSError, ValueError), path.open(encoding="utf-8") as note:
                try:
                    fcntl.flock(note, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue  # it is at work
                run = from_json(note.read())
                if run.outcome is None:
                    run = run.ended(Outcome.KILLED, "killed", run.error)
                found.append(run)
        return found

    def _run(self, row: Sequence[Any]) -> Run:
        (run_id, slot, started, finished, outcome, cause, status, _, size, *rest) = row
        stations, rows, flags, file, spent, accepted, boot_id, uptime, *last = rest
        version, error, notices, tries, awake = last
        result = Result(
            outcome=OUTCOMES.get(outcome),
            cause=cause,
            rows=rows,
            stations=stations,
            file=file,
            flags=tuple(flags.split()),
            notices=tuple(Notice(**each) for each in json.loads(notices)),
            error=error,
        )
        return Run(
            run_id=run_id,
            system_id=self._system_id,
            slot=slot,
            started=started if math.isfinite(started) else float(slot),
            boot_id=boot_id,
            uptime=uptime,
            version=version,
            finished=finished if math.isfinite(finished or 0) else None,
            http_status=status,
            attempts=tuple(Attempt(**each) for each in json.loads(tries)),
            bytes=size,
            seconds=json.loads(spent),
            accepted=bool(accepted),
            awake=awake,
            result=result,
        )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Open the ledger for reading; an empty one where there is none yet."""
        try:
            with (
                closing(self._connected()) as db,
                closing(_current(db, self._path)) as current,
            ):
                for name, sql in PLAUSIBLE.items():
                    current.execute(f"CREATE TEMP VIEW {name} AS {sql}")
                yield current
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise StorageError(
                f"cannot read {self._path}: {error}; where it is damaged, the next "
                "fetch sets it aside and builds it anew"
            ) from error

    def _connected(self) -> sqlite3.Connection:
        if not self._path.exists() or not self._path.stat().st_size:
            return sqlite3.connect(":memory:")
        # A reader of a WAL makes its -shm where nobody has the ledger open. Who may
        # not write there reads the file alone: it is whole then.
        wal = self._path.with_name(f"{self._path.name}-wal").exists()
        mode = "mode=ro" if wal or os.access(self._place, os.W_OK) else "immutable=1"
        path = f"file:{self._path.as_posix().replace('?', '%3f').replace('#', '%23')}"
        return sqlite3.connect(f"{path}?{mode}", uri=True, timeout=PATIENCE)


def _causes(text: str) -> dict[str, int]:
    """Return the causes that *text* is the JSON of; none of what is no account."""
    found = json.loads(text)
    return found if isinstance(found, dict) else {}


def _is_written(db: sqlite3.Connection, run: Run) -> bool:
    sql = "SELECT 1 FROM runs WHERE run_id = ?"
    return db.execute(sql, (run.run_id,)).fetchone() is not None


def _current(db: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """Return *db*, or where it has an older schema, a copy in memory that has ours."""
    ((version,),) = db.execute("PRAGMA user_version")
    if version > VERSION:
        raise SettingsError(
            f"the ledger {path} was written by a newer bikecollect (schema {version}, "
            f"this one knows {VERSION}); upgrade it here too"
        )
    if version == VERSION:
        return db
    copy = sqlite3.connect(":memory:")
    db.backup(copy)
    copy.executescript("".join(STEPS[version:]))
    return copy


def _age(path: Path) -> int:
    """Return the number behind a log file's name: the older, the higher."""
    number = path.suffix.removeprefix(".")
    return int(number) if number.isdigit() else 0

"""The archived days in the ledger, and the queries of the archive to the ledger."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from bikecollect.archive.datasets import RUNS
from bikecollect.archive.day_csv import DaySummary
from bikecollect.archive.parts import DAMAGED, is_day
from bikecollect.core.blocks import Block
from bikecollect.core.slots import EARLIEST, LATEST, Slot, day_of
from bikecollect.storage.csv_store import is_segment
from bikecollect.storage.ledger import Ledger
from bikecollect.storage.ledger_schema import GONE, file_day
from bikecollect.storage.lock import Lock
from bikecollect.storage.recovery import ADOPTED
from bikecollect.storage.runs import packed
from bikecollect.storage.runs.ends import STATION_ENDS, WITHIN

if TYPE_CHECKING:
    from sqlite3 import Connection

FILLED = (
    f"SELECT {file_day()} AS day, sum(rows > 0), sum(rows) FROM blocks"
    f" WHERE {WITHIN} GROUP BY day ORDER BY day"
)
"""Slots and rows by the day in the file's name, ``station_status/DAY.csv``."""

FOLLOWING = (
    "SELECT started FROM (SELECT * FROM (SELECT started FROM runs"
    f" WHERE slot BETWEEN max(?, {EARLIEST}) AND {LATEST}"
    " ORDER BY slot, started LIMIT 1)"
    " UNION ALL SELECT * FROM (SELECT slot FROM blocks"
    f" WHERE slot BETWEEN max(?, {EARLIEST}) AND {LATEST}"
    " AND source NOT GLOB 'backfill * *' ORDER BY slot LIMIT 1))"
    " WHERE NOT EXISTS (SELECT * FROM packed_runs WHERE last >= ?)"
    " ORDER BY started LIMIT 1"
)
"""When the first run after a day began, or the slot of a block whose run was lost."""

AROUND = (
    "SELECT (SELECT max(slot) FROM (SELECT max(slot) AS slot FROM runs"
    f" WHERE slot >= {EARLIEST} AND slot < min(?, {LATEST} + 1)"
    " UNION ALL SELECT max(last) FROM packed_runs WHERE last < ?)),"
    " (SELECT min(slot) FROM (SELECT min(slot) AS slot FROM runs"
    f" WHERE slot > max(?, {EARLIEST} - 1) AND slot <= {LATEST}"
    " UNION ALL SELECT min(first) FROM packed_runs WHERE first > ?))"
)
"""The nearest slots with a run before and after others, None for none."""

INSERT_RUN = (
    f"INSERT OR IGNORE INTO runs ({', '.join(RUNS)}, seconds, notices, tries)"
    f" VALUES ({', '.join('?' * len(RUNS))}, '{{}}', '[]', '[]')"
)
MOVE = 'UPDATE blocks SET file = ?, start = 0, "end" = 0, crc32 = 0 WHERE slot = ?'
DESCRIBE = (
    "UPDATE blocks SET sha256 = :sha256, last_updated = :last_updated,"
    " run_id = :run_id, source = :source, flags = :flags"
    f" WHERE slot = :slot AND source = '{ADOPTED}'"
)


MAX_NUMBER = 1 << 53
"""Beyond any number in a certificate; SQLite could not store much larger ones."""


class Archived(NamedTuple):
    """An archived day; *parts* has the size and the sha256 of its files.

    *timezone* is the zone of the day, *archived_at* is in epoch seconds.
    """

    day: str
    summary: DaySummary
    timezone: str
    archived_at: float
    csv_gone: bool
    parts: Mapping[str, Mapping[str, Any]]

    def only(self, dataset: str) -> "Archived":
        """Return this day with its file of *dataset* alone."""
        parts = {name: part for name, part in self.parts.items() if name == dataset}
        return self._replace(parts=parts)


class ArchivedDays:
    """Archived days in *ledger*, which is open. Raises StorageError."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def archived(self) -> dict[str, Archived]:
        """Return the archived days."""
        return archived_days(self._ledger.all("SELECT * FROM archives ORDER BY day"))

    def other_than(self, known: Mapping[str, Archived]) -> list[Archived]:
        """Return the days that are not *known*, or in another state."""
        return [a for a in self.archived().values() if a != known.get(a.day)]

    def find(self, day: str) -> Archived | None:
        """Return *day*, None if it is not archived."""
        rows = self._ledger.all("SELECT * FROM archives WHERE day = ?", day)
        return archived_days(rows).get(day)

    def save(self, archived: Archived) -> None:
        """Record that a day is *archived*."""
        with self._ledger.transaction() as db:
            _save(db, archived)

    def mark_removed(self, day: str, files: Iterable[str]) -> None:
        """Record that the *files* of *day* are removed; the archive has the rows."""
        with self._ledger.transaction() as db:
            _mark_removed(db, day, files)

    def use_archive(self, day: str, file: str, slots: Iterable[Slot]) -> None:
        """Record *slots* of *day* as blocks of *file*, which is removed."""
        with self._ledger.transaction() as db:
            db.executemany(MOVE, ((file, slot) for slot in slots))
            _mark_removed(db, day, [file])

    def files(self) -> set[str]:
        """Return the files that have blocks."""
        rows = self._ledger.all("SELECT DISTINCT file FROM blocks")
        return {file for (file,) in rows if is_segment(file)}

    def removed_files(self) -> set[str]:
        """Return the files that were archived and removed."""
        rows = self._ledger.all("SELECT file FROM files WHERE damaged = ?", GONE)
        return {file for (file,) in rows}

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return the number of slots and rows of each day, by its name."""
        return {day: (slots, rows) for day, slots, rows in self._ledger.all(FILLED)}

    def ends(self) -> tuple[Slot, Slot] | None:
        """Return the first and the last slot that has a run or a block."""
        ((first, last),) = self._ledger.all(STATION_ENDS)
        return None if first is None else (first, last)

    def is_followed(self, archived: Archived, end: Slot, now: float) -> bool:
        """Return whether the first run after a day's *end* began after it was archived.

        The causes of missing slots are derived from the runs before and after them: as
        long as none came after, the day's last ones were derived from the moment.
        """
        rows = self._ledger.all(FOLLOWING, end, end, end)
        return any(archived.archived_at < started <= now for (started,) in rows)

    def headers(self) -> dict[str, int]:
        """Return the crc32 of each file's first line, if known."""
        sql = "SELECT file, header FROM files WHERE header IS NOT NULL"
        return dict(self._ledger.all(sql))

    def blocks(self, begin: Slot, end: Slot) -> list[Block]:
        """Return the blocks of the slots from *begin* to before *end*."""
        sql = "SELECT * FROM blocks WHERE slot >= ? AND slot < ? ORDER BY slot"
        rows = self._ledger.all(sql, begin, end)
        blocks = (Block.from_row(row) for row in rows)
        return [block for block in blocks if is_segment(block.span.file)]

    def live_blocks(self, begin: Slot, end: Slot) -> list[Block]:
        """Return those of the `blocks` of such slots whose CSV was not removed."""
        removed = self.removed_files()
        return [b for b in self.blocks(begin, end) if b.span.file not in removed]

    def blocks_by_day(self) -> dict[str, list[Block]]:
        """Return all blocks by the day of their file, whatever slot the ledger says."""
        days: dict[str, list[Block]] = {}
        for row in self._ledger.all("SELECT * FROM blocks"):
            block = Block.from_row(row)
            if is_segment(block.span.file):
                days.setdefault(block.span.day, []).append(block)
        return days

    def runs(self, begin: Slot, end: Slot) -> list[tuple[Any, ...]]:
        """Return the runs of such slots, with the columns of the dataset `runs`."""
        with self._ledger.translated():
            return packed.select(self._ledger.opened(), tuple(RUNS), begin, end)

    def days_of_damaged_runs(self) -> list[str]:
        """Return the days whose packed runs are damaged."""
        with self._ledger.translated():
            return packed.damaged(self._ledger.opened())

    def restore_runs(self, day: str, runs: Sequence[Sequence[Any]]) -> None:
        """Write the *runs* of a *day* whose packed runs are damaged."""
        with self._ledger.transaction() as db:
            packed.drop(db, day)
            db.executemany(INSERT_RUN, runs)

    def add_runs(self, runs: Sequence[Sequence[Any]], zone: tzinfo) -> int:
        """Write *runs* that the ledger lacks; return their number.

        Their days, which are archived without them, are due again. So are those to the
        nearest runs before and after them: what is expected there, and the causes of
        missing slots, are derived from both.
        """
        archived = self.archived()
        slots = [run[1] for run in runs]
        first, last = self._around(min(slots), max(slots)) if slots else (0, 0)
        begin, end = day_of(Slot(first), zone), day_of(Slot(last), zone)
        days = [day for day in archived if begin <= day <= end]
        with self._ledger.transaction() as db:
            before = db.total_changes
            db.executemany(INSERT_RUN, runs)
            count = db.total_changes - before
            for day in days if count else ():
                parts = dict(archived[day].parts)
                parts.pop("runs", None)
                _save(db, archived[day]._replace(parts=parts))
        return count

    def _around(self, first: Slot, last: Slot) -> tuple[Slot, Slot]:
        """Return the slots of the runs before *first* and after *last*, or these."""
        ((before, after),) = self._ledger.all(AROUND, first, first, last, last)
        return Slot(before or first), Slot(after or last)

    def forget(self, slots: Iterable[Slot]) -> None:
        """Remove the blocks of *slots*."""
        with self._ledger.transaction() as db:
            sql = "DELETE FROM blocks WHERE slot = ?"
            db.executemany(sql, ((slot,) for slot in slots))

    def slots(self) -> set[Slot]:
        """Return the slots that have a block."""
        return self._ledger.slots()

    def restore(
        self,
        archived: Archived,
        blocks: Sequence[Block],
        runs: Sequence[Sequence[Any]],
        files: Iterable[str],
        adopted: Iterable[Block] = (),
    ) -> None:
        """Write a day that the ledger lacks; *files* of its *blocks* are removed.

        The flags and the origin of *adopted* blocks of the CSV are written to theirs.
        """
        with self._ledger.transaction() as db:
            db.executemany(DESCRIBE, (block._asdict() for block in adopted))
            db.executemany(
                "INSERT OR IGNORE INTO blocks"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (block.to_row() for block in blocks),
            )
            db.executemany(INSERT_RUN, runs)
            _save(db, archived)
            _mark_removed(db, archived.day, files)


def _save(db: "Connection", archived: Archived) -> None:
    values = (
        archived.day,
        *archived.summary,
        archived.timezone,
        archived.archived_at,
        int(archived.csv_gone),
        json.dumps(archived.parts),
    )
    db.execute(
        "INSERT OR REPLACE INTO archives VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values
    )


def _mark_removed(db: "Connection", day: str, files: Iterable[str]) -> None:
    for file in files:
        db.execute("UPDATE archives SET csv_gone = 1 WHERE day = ?", (day,))
        db.execute(
            "INSERT INTO files VALUES (?, 0, 0, 0, ?, NULL)"
            " ON CONFLICT (file) DO UPDATE SET damaged = excluded.damaged",
            (file, GONE),
        )


def archived_days(rows: Iterable[Sequence[Any]]) -> dict[str, Archived]:
    """Return the archived days in *rows* of the ledger's table, by day.

    Invalid rows are skipped: their days are archived again, or restored.
    """
    archived = {}
    for day, *row in rows:
        with suppress(*DAMAGED):
            archived[day] = _archived_day(day, row)
    return archived


def _archived_day(day: str, row: Sequence[Any]) -> Archived:
    """Return the archived *day* of a *row*; raises ValueError if it is invalid."""
    rows, slots, sha256, timezone, archived_at, csv_gone, parts = row
    if not is_day(day):
        raise ValueError(f"not a day: {day}")
    summary, files = DaySummary(rows, slots, sha256), _parts(json.loads(parts))
    ZoneInfo(timezone)
    return Archived(day, summary, timezone, archived_at, bool(csv_gone), files)


def certified(day: str, values: Mapping[str, Any], rows: str) -> Archived:
    """Return the archived *day* by the *values* of its certificate.

    The day must have a file of *rows*. Raises ValueError, LookupError or TypeError if
    the values are damaged.
    """
    if values["date"] != day:
        raise ValueError(f"it is of {values['date']!r:.40}")
    numbers = values["rows"], values["slots"], values["made"]
    if not all(type(n) in {int, float} and 0 <= n < MAX_NUMBER for n in numbers):
        raise ValueError(f"impossible numbers: {numbers!r:.80}")
    timezone, parts = values["timezone"], _parts(values["parts"])
    ZoneInfo(timezone)
    summary = DaySummary(values["rows"], values["slots"], str(values["sha256"]))
    if rows not in parts:
        raise ValueError(f"it has no {rows}")
    return Archived(day, summary, timezone, values["made"], csv_gone=False, parts=parts)


def _parts(values: Any) -> dict[str, dict[str, Any]]:
    """Return the size and the sha256 of files; raises an error if they are damaged."""
    parts = {name: dict(part) for name, part in dict(values).items()}
    for part in parts.values():
        int(part["bytes"]), str(part["sha256"])
    return parts


@contextmanager
def opened_days(
    lock: Lock, ledger: Ledger, *, check: bool = False
) -> Iterator[ArchivedDays]:
    """Hold *lock* and open *ledger* for the work on one day; for *check* see `open`."""
    with lock.held(), closing(ledger):
        ledger.open(check=check)
        yield ArchivedDays(ledger)

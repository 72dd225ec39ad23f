"""Runs of days archived long ago, packed into one row of the ledger per day.

A year of runs takes 78 MB as rows and 9 MB packed; the table `runs`, to which each
fetch writes, has only the last five weeks. Every function raises DatabaseError if a
packed day is damaged.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bikecollect.core.slots import DAY, Slot

if TYPE_CHECKING:
    from sqlite3 import Connection, DatabaseError

RECENT = 35 * DAY
"""Seconds before the newest run whose runs are not packed."""
COLUMNS = (
    "run_id",
    "slot",
    "started",
    "finished",
    "outcome",
    "cause",
    "http_status",
    "attempts",
    "bytes",
    "stations",
    "rows",
    "flags",
    "file",
    "seconds",
    "accepted",
    "boot_id",
    "uptime",
    "version",
    "error",
    "notices",
    "tries",
    "awake",
)
"""The columns of the table `runs`, in order."""
ACCOUNT = (
    "run_id",
    "slot",
    "started",
    "outcome",
    "cause",
    "boot_id",
    "uptime",
    "awake",
)
"""The columns needed to account for slots, which are packed separately."""
DETAILS = tuple(name for name in COLUMNS if name not in ACCOUNT)
DAYS = "FROM packed_runs WHERE last >= ? AND first < ?"
FLAGS = (
    "UPDATE blocks SET flags = (SELECT r.flags FROM runs AS r"
    " WHERE r.run_id = blocks.run_id)"
    " WHERE slot >= :begin AND slot < :end AND flags = ''"
    " AND run_id IN (SELECT r.run_id FROM runs AS r WHERE r.flags <> ''"
    " AND r.slot >= :begin AND r.slot < :end)"
)
"""In ledgers of an older schema the flags of a block are stored only with its run."""
Row = Sequence[Any]


def pack(db: "Connection", day: str, begin: Slot, end: Slot) -> int:
    """Move the runs from *begin* to before *end* into the packed *day*.

    Must be called within a transaction. Returns the number of runs of the day.
    """
    span = {"begin": begin, "end": end}
    where = "FROM runs WHERE slot >= :begin AND slot < :end"
    rows = db.execute(f"SELECT {', '.join(COLUMNS)} {where}", span).fetchall()
    if not rows:
        return 0
    merged = {row[0]: row for row in rows}
    for row in _unpack_day(db, day):
        if row[0] not in merged or row[4] != "killed":
            merged[row[0]] = row
    db.execute(FLAGS, span)
    _store(db, day, list(merged.values()))
    db.execute(f"DELETE {where}", span)
    return len(merged)


def accounts(
    db: "Connection", since: Slot, until: Slot, names: Sequence[str]
) -> Iterator[Row]:
    """Yield the columns *names* of each packed run from *since* to before *until*.

    *names* are columns of `ACCOUNT`. The packed days before and after the span are
    included.
    """
    before = "SELECT max(last) FROM packed_runs WHERE last < ?"
    after = "SELECT min(first) FROM packed_runs WHERE first >= ?"
    ((first,),) = db.execute(before, (since,)).fetchall()
    ((last,),) = db.execute(after, (until,)).fetchall()
    span = (since if first is None else first, until if last is None else last + 1)
    for day, blob in db.execute(f"SELECT day, account {DAYS} ORDER BY first", span):
        yield from zip(*_decode(blob, day, names), strict=True)


def newest_first(db: "Connection", since: Slot, until: Slot) -> Iterator[list[Row]]:
    """Yield the rows of each packed day, those from *since* to before *until*."""
    sql = f"SELECT day {DAYS} ORDER BY last DESC"
    for (day,) in db.execute(sql, (since, until)).fetchall():
        yield [row for row in _unpack_day(db, day) if since <= row[1] < until]


def select(
    db: "Connection", names: Sequence[str], begin: Slot, end: Slot
) -> list[tuple[Any, ...]]:
    """Return the columns *names* of all runs, packed or not, from *begin* to *end*.

    They are sorted by slot; the slot *end* is not included.
    """
    sql = f"SELECT {', '.join(COLUMNS)} FROM runs WHERE slot >= ? AND slot < ?"
    days = newest_first(db, begin, end)
    runs = {row[0]: row for day in days for row in day}
    runs |= {row[0]: row for row in db.execute(sql, (begin, end))}
    places = [COLUMNS.index(name) for name in names]
    ordered = sorted(runs.values(), key=lambda row: (row[1], row[2]))
    return [tuple(row[place] for place in places) for row in ordered]


def find(db: "Connection", run_id: str) -> tuple[str, list[Row]]:
    """Return the packed day of the run *run_id* and its row, both empty if absent."""
    quoted = json.dumps(run_id)
    for day, blob in db.execute("SELECT day, account FROM packed_runs"):
        if quoted in _inflate(blob, day):
            rows = [row for row in _unpack_day(db, day) if row[0] == run_id]
            return day, rows
    return "", []


def remove(db: "Connection", run_id: str) -> None:
    """Remove the packed run *run_id*, within a transaction."""
    day, rows = find(db, run_id)
    if not rows:
        return
    _store(db, day, [row for row in _unpack_day(db, day) if row[0] != run_id])


def damaged(db: "Connection") -> list[str]:
    """Return the packed days that cannot be unpacked."""
    days = []
    for day, *blobs in db.execute("SELECT day, account, details FROM packed_runs"):
        try:
            for blob in blobs:
                _inflate(blob, day)
        except _database_error():
            days.append(day)
    return days


def drop(db: "Connection", day: str) -> None:
    """Remove the packed *day*, within a transaction."""
    db.execute("DELETE FROM packed_runs WHERE day = ?", (day,))


def _store(db: "Connection", day: str, rows: list[Row]) -> None:
    """Replace the packed *day* by *rows*; remove it if there are none."""
    drop(db, day)
    if rows:
        rows.sort(key=lambda row: (row[1], row[2]))
        blobs = (_encode(rows, ACCOUNT), _encode(rows, DETAILS))
        values = (day, rows[0][1], rows[-1][1], len(rows), *blobs)
        db.execute("INSERT INTO packed_runs VALUES (?, ?, ?, ?, ?, ?)", values)


def _unpack_day(db: "Connection", day: str) -> list[Row]:
    """Return the rows of the packed *day*, none if it is not packed."""
    sql = "SELECT account, details FROM packed_runs WHERE day = ?"
    for account, details in db.execute(sql, (day,)).fetchall():
        columns = dict(zip(ACCOUNT, _decode(account, day, ACCOUNT), strict=True))
        columns |= zip(DETAILS, _decode(details, day, DETAILS), strict=True)
        return list(zip(*(columns[name] for name in COLUMNS), strict=True))
    return []


def _encode(rows: Iterable[Row], names: Sequence[str]) -> bytes:
    """Return the columns *names* of *rows* as compressed JSON."""
    places = [COLUMNS.index(name) for name in names]
    columns = {
        name: [row[place] for row in rows]
        for name, place in zip(names, places, strict=True)
    }
    return zlib.compress(json.dumps(columns, separators=(",", ":")).encode())


def _decode(blob: bytes, day: str, names: Sequence[str]) -> list[list[Any]]:
    """Return the columns *names* in *blob*, a part of the packed *day*."""
    columns = json.loads(_inflate(blob, day))
    return [columns[name] for name in names]


def _inflate(blob: bytes, day: str) -> str:
    try:
        return zlib.decompress(blob).decode()
    except zlib.error as error:
        text = (
            f"the packed runs of {day} are damaged ({error}); to take them from the "
            "archive, run: bikecollect compact"
        )
        raise _database_error()(text) from error


def _database_error() -> "type[DatabaseError]":
    from sqlite3 import DatabaseError  # not at the top: not needed by all importers

    return DatabaseError

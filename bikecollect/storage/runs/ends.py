"""The first and the last slot of a system's history, and the first one expected."""

from typing import TYPE_CHECKING

from bikecollect.core.slots import (
    CLOCK_FLOOR,
    DAY,
    EARLIEST,
    LATEST,
    Slot,
    has_flag_sql,
)
from bikecollect.storage.runs import packed

if TYPE_CHECKING:
    from sqlite3 import Connection

WITHIN = f"slot BETWEEN {EARLIEST} AND {LATEST}"
"""The plausible slots; others may be due to a wrong clock or an edited ledger."""
RUNS = f"{WITHIN} AND slot >= {CLOCK_FLOOR}"
ENDS = (
    "SELECT min(slot), max(slot) FROM ("
    + " UNION ALL ".join(
        f"SELECT {end}(slot) AS slot FROM {table} WHERE {condition}"
        for table, condition in (("runs", RUNS), ("slot_blocks", WITHIN))
        for end in ("min", "max")
    )
    + " UNION ALL SELECT min(first) FROM packed_runs"
    " UNION ALL SELECT max(last) FROM packed_runs)"
)
STATION_ENDS = ENDS.replace("slot_blocks", "blocks")
"""`ENDS` for a ledger without views: only of blocks of stations."""
FIRST = (
    f"SELECT min(slot) FROM (SELECT min(slot) AS slot FROM runs WHERE {RUNS}"
    " UNION ALL SELECT min(first) FROM packed_runs"
    f" UNION ALL SELECT * FROM (SELECT slot FROM slot_blocks WHERE {WITHIN}"
    " AND source NOT GLOB 'backfill * *' ORDER BY slot LIMIT 1))"
)
"""Imported blocks are excluded: their source is `backfill KIND PATH`, three words."""
BLOCK = f"SELECT {has_flag_sql('flags', 'clock')} FROM slot_blocks WHERE slot = ?"
SPAN = "slot >= ? AND slot < ?"
FLAGGED = (
    f"SELECT slot FROM slot_blocks WHERE {SPAN} AND {has_flag_sql('flags', 'clock')}"
)
RUN = ("slot", "started", "outcome", "cause", "boot_id", "uptime")


def ends(db: "Connection") -> tuple[Slot, Slot] | None:
    """Return the first and the last slot that has a run or a block."""
    first, last = db.execute(ENDS).fetchone()
    return None if first is None else (first, last)


def first_collected(db: "Connection") -> Slot | None:
    """Return the first slot that has a run, or a block that was not imported.

    None if there is none. Slots imported from another archive may be older, and so may
    those of a clock that was wrong.
    """
    (first,) = db.execute(FIRST).fetchone()
    if first is None:
        return None
    if db.execute(BLOCK, (first,)).fetchone() == (0,):
        return Slot(first)  # as nearly always
    return _with_a_right_clock(db, Slot(first))


def _with_a_right_clock(db: "Connection", first: Slot) -> Slot:
    """Return *first*, or the first slot of a right clock if none before it was due.

    A clock counts as wrong where the server's Date said so. When its runs really
    started is known by a run of the same boot with a right clock.
    """
    span = first, Slot(first + 2 * DAY)
    flagged = {slot for (slot,) in db.execute(FLAGGED, span)}
    runs = db.execute(
        f"SELECT {', '.join(RUN)} FROM runs WHERE {SPAN}", span
    ).fetchall()
    runs += [r for r in packed.accounts(db, *span, RUN) if first <= r[0] < span[1]]
    begin, starts, wrong = span[1], {}, []
    for slot, started, outcome, cause, boot_id, uptime in sorted(runs):
        if slot in flagged or (outcome, cause) == ("rejected", "clock"):
            wrong.append((slot, boot_id, uptime))
            continue
        begin = min(begin, slot)
        if outcome == "collected":  # the server's Date did not contradict
            starts[boot_id] = started - uptime
    early = [run for run in wrong if run[0] < begin]
    if not starts or first not in {slot for slot, *_ in early}:
        return first
    last = max(slot for slot, *_ in early)
    is_later = all(
        boot_id and starts.get(boot_id, 0) + uptime > last
        for _, boot_id, uptime in early
    )
    return Slot(begin) if is_later else first


def first_expected(db: "Connection") -> Slot | None:
    """Return the first slot that counts as expected, None if there is none.

    It is the first collected slot, or else the first imported one.
    """
    first = first_collected(db)
    if first is not None:
        return first
    span = ends(db)
    return span[0] if span else None

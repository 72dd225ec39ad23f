"""The first and the last slot of a system's history, and the first one expected."""

from typing import TYPE_CHECKING

from bikecollect.core.slots import CLOCK_FLOOR, EARLIEST, LATEST, Slot

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


def ends(db: "Connection") -> tuple[Slot, Slot] | None:
    """Return the first and the last slot that has a run or a block."""
    first, last = db.execute(ENDS).fetchone()
    return None if first is None else (first, last)


def first_collected(db: "Connection") -> Slot | None:
    """Return the first slot that has a run, or a block that was not imported.

    None if there is none. Slots imported from another archive may be older.
    """
    (first,) = db.execute(FIRST).fetchone()
    return None if first is None else Slot(first)


def first_expected(db: "Connection") -> Slot | None:
    """Return the first slot that counts as expected, None if there is none.

    It is the first collected slot, or else the first imported one.
    """
    first = first_collected(db)
    if first is not None:
        return first
    span = ends(db)
    return span[0] if span else None

"""Tell the end of an outage from that of a closure, by the counts of the stations."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bikecollect.core.slots import DAY, HOUR, Slot
from bikecollect.core.snapshot import StationStatus, VehicleStatus

if TYPE_CHECKING:
    from bikecollect.storage.csv_store import Store
    from bikecollect.storage.ledger import Ledger

FEW, SHARE = 20, 0.5
"""At least FEW stations must have had vehicles, and more than SHARE of them have
another number at once, to prove an outage."""
RECENT = 8 * DAY
"""Seconds within which a closure comes again: each night, or once a week."""


def has_jumped(
    statuses: Sequence[StationStatus] | Sequence[VehicleStatus],
    slot: Slot,
    ledger: "Ledger",
    store: "Store",
) -> bool:
    """Return whether most stations have other counts than in the block before *slot*.

    After a closure, trips change a few stations at a time. Stations that had no vehicle
    do not count: while a system is closed, all of them may be empty.
    """
    from bikecollect.collect.reading.block_rows import cells_by_id  # rarely needed

    before = ledger.block_before(slot)
    if before is None or isinstance(statuses[0], VehicleStatus):
        return False
    counts = cells_by_id(store, before, statuses[0], "num_vehicles_available")
    pairs = [
        (counts[status.station_id], str(status.num_vehicles_available))
        for status in statuses
        if isinstance(status, StationStatus) and status.station_id in counts
    ]
    pairs = [pair for pair in pairs if pair[0] not in {"", "0"}]
    changed = sum(old != new for old, new in pairs)
    return len(pairs) >= FEW and changed > SHARE * len(pairs)


def is_usual_time(before: int, slot: Slot) -> bool:
    """Return whether *slot* is at the time of day of *before*, an earlier slot.

    A closure usually ends at the same time of day, with vehicles redistributed; the
    clocks may have been put forward or back meanwhile.

    >>> is_usual_time(36_000, Slot(36_000 + DAY - HOUR))
    True
    >>> is_usual_time(36_000, Slot(36_000 + DAY // 2)), is_usual_time(0, Slot(9 * DAY))
    (False, False)
    """
    apart = slot - before
    return HOUR < apart <= RECENT and (apart + HOUR) % DAY <= 2 * HOUR

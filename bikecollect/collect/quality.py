"""The quality of a snapshot: what is not as usual, and numbers that cannot be."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bikecollect.core.payload import Payload
from bikecollect.core.snapshot import Snapshot, StationInformation, StationStatus

if TYPE_CHECKING:
    from bikecollect.core.blocks import Block
    from bikecollect.storage.ledger import Ledger

CLOCK_TOLERANCE = 120.0
STALE_AGE = 900.0
LATE = 150.0
FEW, MOST_GROWTH, BELIEVED = 5_000, 10, 3_600
"""More than so many stations, and times the usual, are believed after so many s."""
MOST_OF_CAPACITY = 10
"""A station may be fuller than its docks, but not so many times."""
FEW_KNOWN = 0.1
"""Share of the stations that must have been known before, or the ids are others."""
MOST_TOLD = 0.05
"""Share of the stations from which on people are told."""


def flags(
    payload: Payload,
    snapshot: Snapshot,
    ledger: "Ledger",
    interval: int,
    since: int = 0,
) -> tuple[str, ...]:
    """Return the words that say what is not as usual with *snapshot*.

    Rows from before the slot *since* were written by another filter.
    """
    before = ledger.before(payload.slot)
    usual = max(ledger.usual_rows(payload.slot, since) or 0, snapshot.total or 0)
    incomplete = snapshot.incomplete or payload.incomplete
    found = {
        "partial": bool(snapshot.dropped or incomplete),
        "dup": bool(snapshot.duplicates),
        "short": bool(usual and len(snapshot.statuses) * 2 < usual),
        "stale": _is_stale(payload, snapshot, before),
        "clock": clock_is_off(payload),
        "late": payload.fetched_at - payload.slot > min(LATE, interval / 2),
    }
    return (*(flag for flag, there in found.items() if there), *snapshot.flags)


def growing(rows: int, usual: int | None, note: str, slot: int) -> tuple[str, bool]:
    """Return the note of a growth, empty for none, and whether it is not believed yet.

    Ten times as many stations as are *usual* are none, until they have come for an
    hour. *note* is what this returned last: its first and its latest slot.

    >>> growing(60_000, 1_500, "", 300), growing(60_000, 1_500, "300 3600", 3_900)
    (('300 300', True), ('300 3900', False))
    >>> growing(60_000, 1_500, "0 300", 9_000), growing(1_600, 1_500, "0 300", 600)
    (('9000 9000', True), ('', False))
    """
    if not usual or rows <= max(FEW, MOST_GROWTH * usual):
        return "", False
    first, last = map(int, note.split()) if note else (slot, slot)
    first = slot if slot - last > BELIEVED else first
    return f"{first} {slot}", slot - first < BELIEVED


def clock_is_off(payload: Payload) -> bool:
    """Return whether the server's clock and ours were far apart."""
    return any(
        each.date is not None and abs(each.date - each.fetched_at) > CLOCK_TOLERANCE
        for each in payload.documents
    )


def _is_stale(payload: Payload, snapshot: Snapshot, before: "Block | None") -> bool:
    stamp = snapshot.last_updated
    if stamp is None:
        return False
    if payload.fetched_at - stamp > STALE_AGE:
        return True
    unchanged = before is not None and before.last_updated == stamp
    patience = max(snapshot.ttl or 0, 60)
    return unchanged and payload.slot - (before.slot if before else 0) >= patience


def plausible(
    statuses: Sequence[StationStatus], known: Mapping[str, StationInformation]
) -> tuple[tuple[StationStatus, ...], list[str]]:
    """Return *statuses* without counts above ten times the station's capacity.

    The capacity is the status's own, or that of the station *known*. Also returns a
    word on each station that lost a count so.
    """
    kept, odd = [], []
    for status in statuses:
        size = status.capacity
        if size is None and (about := known.get(status.station_id)):
            size = about.capacity
        most = size * MOST_OF_CAPACITY if size else None
        if most is not None and any(c is not None and c > most for c in status[1:6]):
            odd.append(f"{status.station_id}: {_largest(status)} of {size}")
            status = _within(status, most)  # noqa: PLW2901 - the same, mended
        kept.append(status)
    return tuple(kept), odd


def _largest(status: StationStatus) -> int:
    return max(each for each in status[1:6] if isinstance(each, int))


def _within(status: StationStatus, most: int) -> StationStatus:
    blank: dict[str, Any] = {
        name: None
        for name, value in zip(status._fields, status, strict=True)
        if name.startswith("num_") and isinstance(value, int) and value > most
    }
    return status._replace(**blank)


def implausible(odd: Sequence[str], total: int) -> dict[str, str]:
    """Return what people should know of the *odd* ones of *total* stations."""
    if not odd or len(odd) < total * MOST_TOLD:
        return {}
    return {
        "implausible capacity": (
            f"a count is more than {MOST_OF_CAPACITY} times the capacity at "
            f"{len(odd)} of {total} stations, such as {odd[0]}: it is left empty there"
        )
    }


def renumbered(
    statuses: Sequence[StationStatus], known: Mapping[str, StationInformation]
) -> dict[str, str]:
    """Return what people should know where hardly an id is one that was *known*."""
    here = sum(each.station_id in known for each in statuses)
    if not known or here >= len(statuses) * FEW_KNOWN:
        return {}
    return {
        "other ids": (
            f"only {here} of {len(statuses)} stations have an id that was known "
            "before: the publisher has changed its ids, or the feed is another one"
        )
    }

"""Rows imported from another archive, as a document in a payload of any system.

Imported rows are processed like fetched ones: they are accepted into the inbox as a
payload, and the next commit reads them, whatever the dialect of the system.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any, TypeVar

from bikecollect.core.errors import PayloadError
from bikecollect.core.snapshot import CAPACITY, Snapshot, StationStatus
from bikecollect.feeds.reading.json_payload import decode
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.values import count, identifier

DOCUMENT = "imported"
Status = TypeVar("Status", bound=tuple[Any, ...])
ROWS, FLAGS, UPDATED = "rows", "flags", "last_updated"
"""The keys of a document that has more than rows; else it is a list of rows."""
KEPT_FLAGS = (
    "partial",
    "dup",
    "short",
    "stale",
    "clock",
    "late",
    "implausible",
    "contradictory",
    "cut",
)
"""The flags of a slot that are accepted from another archive; others are dropped."""


def write(
    statuses: Iterable[StationStatus],
    flags: Sequence[str] = (),
    last_updated: int | None = None,
) -> bytes:
    """Return the document that holds *statuses*, with the flags of their slot.

    >>> read(write([])).statuses
    ()
    >>> read(write([], ["stale"], 1_800_000_000)).flags
    ('stale',)
    """
    document: Any = [list(status) for status in statuses]
    if flags or last_updated is not None:
        document = {ROWS: document, FLAGS: list(flags), UPDATED: last_updated}
    return json.dumps(document, ensure_ascii=False).encode()


def read(body: bytes) -> Snapshot:
    """Parse the output of `write`; raises PayloadError for anything else.

    Rows are read as tolerantly as a publisher's: a value that is invalid in its column
    is left empty, and a row without an id is dropped.
    """
    try:
        stamp = Stamps(UTC)
        document = decode(body)
        more = document if isinstance(document, dict) else {ROWS: document}
        parsed = [_row(StationStatus(*values), stamp) for values in more[ROWS]]
        flags = [flag for flag in more.get(FLAGS, ()) if flag in KEPT_FLAGS]
        updated = stamp(more.get(UPDATED))
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise PayloadError(f"not imported rows: {error}", cause="damaged") from error
    statuses, dropped, duplicates = first_of_each(parsed)
    return Snapshot(
        statuses,
        last_updated=updated,
        flags=tuple(flags),
        dropped=dropped,
        duplicates=duplicates,
    )


def first_of_each(
    parsed: Sequence[Status | None],
) -> tuple[tuple[Status, ...], int, int]:
    """Return the first row of each id; the numbers of invalid rows, and of repeated.

    >>> first_of_each([("a", 1), None, ("a", 2), ("b", 3)])
    ((('a', 1), ('b', 3)), 1, 1)
    """
    rows = [row for row in parsed if row is not None]
    first = {row[0]: row for row in reversed(rows)}
    statuses = tuple(row for row in rows if first[row[0]] is row)
    return statuses, len(parsed) - len(rows), len(rows) - len(statuses)


def _row(row: StationStatus, stamp: Stamps) -> StationStatus | None:
    value: Any = row.station_id
    station_id = identifier(value) if isinstance(value, str) else None
    if station_id is None:
        return None
    flags = (
        flag if isinstance(flag, bool) else None for flag in row[CAPACITY + 1 : -1]
    )
    return StationStatus._make(
        [
            station_id,
            *map(count, row[1 : CAPACITY + 1]),
            *flags,
            stamp(row.last_reported),
        ]
    )

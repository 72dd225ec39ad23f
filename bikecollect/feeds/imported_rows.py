"""Rows taken from another archive, as a document that any system's payload may hold.

What is filled in later goes the very way of what was fetched: it lies in the inbox as
a payload, and whoever commits it next can read it, whatever the system's dialect is.
"""

import json
from collections.abc import Iterable
from datetime import UTC
from typing import Any

from bikecollect.core.errors import PayloadError
from bikecollect.core.snapshot import Snapshot, StationStatus
from bikecollect.feeds.reading.json_payload import decode
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.values import count, identifier

DOCUMENT = "imported"


def write(statuses: Iterable[StationStatus]) -> bytes:
    """Return the document that holds *statuses*.

    >>> read(write([])).statuses
    ()
    """
    return json.dumps([list(each) for each in statuses], ensure_ascii=False).encode()


def read(body: bytes) -> Snapshot:
    """Return what `write` wrote; raises PayloadError for anything else.

    A row is read as tolerantly as a publisher's: a value that cannot stand in its
    column is left out, and so is a row without an id.
    """
    try:
        stamp = Stamps(UTC)
        read = [_row(StationStatus(*each), stamp) for each in decode(body)]
    except (ValueError, TypeError, RecursionError) as error:
        raise PayloadError(f"not imported rows: {error}", cause="damaged") from error
    rows = [each for each in read if each is not None]
    first = {each.station_id: each for each in reversed(rows)}
    statuses = [each for each in rows if first[each.station_id] is each]
    return Snapshot(
        tuple(statuses),
        dropped=len(read) - len(rows),
        duplicates=len(rows) - len(statuses),
    )


def _row(row: StationStatus, stamp: Stamps) -> StationStatus | None:
    named: Any = row.station_id
    station_id = identifier(named) if isinstance(named, str) else None
    if station_id is None:
        return None
    flags = (each if isinstance(each, bool) else None for each in row[7:10])
    return StationStatus._make(
        [station_id, *map(count, row[1:7]), *flags, stamp(row.last_reported)]
    )

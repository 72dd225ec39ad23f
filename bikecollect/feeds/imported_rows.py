"""Rows taken from another archive, as a document that any system's payload may hold.

What is filled in later goes the very way of what was fetched: it lies in the inbox as
a payload, and whoever commits it next can read it, whatever the system's dialect is.
"""

import json
from collections.abc import Iterable

from bikecollect.core.errors import PayloadError
from bikecollect.core.snapshot import Snapshot, StationStatus

DOCUMENT = "imported"


def write(statuses: Iterable[StationStatus]) -> bytes:
    """Return the document that holds *statuses*.

    >>> read(write([])).statuses
    ()
    """
    return json.dumps([list(each) for each in statuses], ensure_ascii=False).encode()


def read(body: bytes) -> Snapshot:
    """Return what `write` wrote; raises PayloadError for anything else."""
    try:
        rows = [StationStatus(*row) for row in json.loads(body)]
    except (ValueError, TypeError) as error:
        raise PayloadError(f"not imported rows: {error}", cause="damaged") from error
    first = {each.station_id: each for each in reversed(rows)}
    statuses = [each for each in rows if first[each.station_id] is each]
    return Snapshot(tuple(statuses), duplicates=len(rows) - len(statuses))

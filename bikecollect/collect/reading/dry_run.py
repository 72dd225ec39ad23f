"""Read a payload as a commit would, without writing anything."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bikecollect.collect import quality
from bikecollect.core.errors import Outcome
from bikecollect.core.payload import Payload
from bikecollect.core.run import Notice, Result
from bikecollect.core.snapshot import StationInformation

if TYPE_CHECKING:
    from bikecollect.collect.commit import Committer

Stored = Callable[[], Mapping[str, StationInformation]]
"""Reads the newest version of each station that earlier runs have stored."""


def read(committer: "Committer", payload: Payload, stored: Stored) -> Result:
    """Return the rows and stations of *payload*, and the flags that it has by itself.

    What is odd in its fields, such as a mapped column that no station has, is noticed
    as if it were new. The rows are those that the filter of the settings keeps. Raises
    PayloadError, and StorageError if a filter is set and the ledger, which has the
    places of the stations, cannot be read.
    """
    reader, vehicles = committer.reader, committer.vehicles
    if vehicles and vehicles.is_alone(payload):
        listed = vehicles.read(payload)
        snapshot = listed.snapshot
        flags = (
            quality.flags(payload, snapshot, None, reader.interval) if snapshot else ()
        )
        notices = _noticed(snapshot.findings) if snapshot else ()
        rows = listed.rows.rows
        return Result(Outcome.DRY, rows=rows, flags=flags, notices=notices)
    stations = reader.feed.read(payload.documents)
    known = stored() if reader.only else {}
    known = {**known, **{s.station_id: s for s in stations.information}}
    kept = reader.only.filter(stations, known)
    return Result(
        Outcome.DRY,
        rows=len(kept.statuses),
        stations=len(kept.statuses) + kept.dropped,
        flags=quality.flags(payload, kept, None, reader.interval),
        notices=_noticed(stations.findings),
    )


def _noticed(findings: Mapping[str, str]) -> tuple[Notice, ...]:
    return tuple(Notice("drift", text) for text in findings.values() if text)

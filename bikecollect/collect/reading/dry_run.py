"""Read a payload as a commit would, without writing anything."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bikecollect.collect import quality
from bikecollect.core.errors import Outcome
from bikecollect.core.payload import Payload
from bikecollect.core.run import Result
from bikecollect.core.snapshot import StationInformation
from bikecollect.storage.ledger_reader import History
from bikecollect.storage.ledger_schema import to_information

if TYPE_CHECKING:
    from bikecollect.collect.commit import Committer

NEWEST = "SELECT *, max(valid_from) FROM stations GROUP BY station_id"


def read(committer: "Committer", payload: Payload) -> Result:
    """Return the rows and stations of *payload*, and the flags that it has by itself.

    The rows are those that the filter of the settings keeps. Raises PayloadError, and
    StorageError if a filter is set and the ledger, which has the places of the
    stations, cannot be read.
    """
    reader, vehicles = committer.reader, committer.vehicles
    if vehicles and vehicles.is_alone(payload):
        listed = vehicles.read(payload)
        snapshot = listed.snapshot
        flags = (
            quality.flags(payload, snapshot, None, reader.interval) if snapshot else ()
        )
        return Result(Outcome.DRY, rows=listed.rows.rows, flags=flags)
    stations = reader.feed.read(payload.documents)
    known = _known(committer) if reader.only else {}
    known = {**known, **{s.station_id: s for s in stations.information}}
    kept = reader.only.filter(stations, known)
    return Result(
        Outcome.DRY,
        rows=len(kept.statuses),
        stations=len(kept.statuses) + kept.dropped,
        flags=quality.flags(payload, kept, None, reader.interval),
    )


def _known(committer: "Committer") -> Mapping[str, StationInformation]:
    """Return the newest version of each station that earlier runs have stored."""
    history = History("", committer.reader.ledger.folder)
    rows = history.select(NEWEST)
    return {row[0]: to_information(row[:-1]) for row in rows}

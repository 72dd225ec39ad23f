"""Take over the versions of stations from the list of another bikecollect."""

import logging
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bikecollect.collect.filling.foreign_stations import Versions, versions_of
from bikecollect.collect.filling.locked_files import LockedFiles
from bikecollect.collect.sources import Source
from bikecollect.collect.sources.bikecollect_folder import FolderSource
from bikecollect.collect.sources.tables import TableSource
from bikecollect.collect.station_list import MAX_LISTED
from bikecollect.core.slots import Slot
from bikecollect.core.snapshot import StationInformation
from bikecollect.storage.data_folder import BACKFILLED

if TYPE_CHECKING:
    from bikecollect.storage.ledger import Ledger

log = logging.getLogger(__name__)
OWN = (
    "SELECT slot FROM blocks WHERE source NOT LIKE 'backfill %'"
    " OR source IN (?, ?, ?) ORDER BY slot"
)
"""The slots of our own payloads: a block from another archive has no list."""


@dataclass(eq=False, repr=False)
class TakenStations:
    """Takes over versions of stations; *count* is their number so far."""

    count: int = 0

    def take(self, source: Source, files: LockedFiles) -> None:
        """Write the versions of *source* that *files* lack into their ledger and list.

        If the process is killed between both, the next call completes them.
        """
        if not isinstance(source, FolderSource | TableSource):
            return
        if isinstance(source, TableSource) and not source.lists():
            return
        theirs = versions_of(source)
        with files.opened() as ledger:
            ours = _ours(ledger)
            if len(theirs.keys() | ours.keys()) > MAX_LISTED:
                theirs = _limited(theirs, ours)
            own = [slot for (slot,) in ledger.all(OWN, *BACKFILLED)]
            new = missing_versions(ours, theirs, own)
            ledger.adopt_stations(None, new)
            self.count += sum(map(len, new.values()))
            files.recovery.check_stations()


def _ours(ledger: "Ledger") -> dict[str, dict[Slot, StationInformation]]:
    ours: dict[str, dict[Slot, StationInformation]] = {}
    for slot, versions in ledger.station_versions().items():
        for version in versions:
            ours.setdefault(version.station_id, {})[slot] = version
    return ours


def _limited(theirs: Versions, ours: Versions) -> Versions:
    """Return *theirs* without new stations that would make our list too long."""
    room = max(MAX_LISTED - len(ours), 0)
    new = [station_id for station_id in theirs if station_id not in ours]
    log.warning("%d stations of the other list are left out: too many", len(new) - room)
    left_out = set(new[room:])
    return {i: versions for i, versions in theirs.items() if i not in left_out}


def missing_versions(
    ours: Versions, theirs: Versions, own: Sequence[Slot]
) -> dict[Slot, list[StationInformation]]:
    """Return the versions to add to *ours*, by the slot they are valid from.

    In the slots that are our *own*, in order, our list holds; in the others, and before
    the first version of a station, that of *theirs*. Where our slots begin again, our
    version is repeated if it differs.
    """
    new: dict[Slot, list[StationInformation]] = {}
    for station_id, versions in theirs.items():
        added = _added(ours.get(station_id, {}), versions, own)
        for slot, version in added.items():
            new.setdefault(slot, []).append(version)
    return dict(sorted(new.items()))


def _added(
    mine: Mapping[Slot, StationInformation],
    theirs: Mapping[Slot, StationInformation],
    own: Sequence[Slot],
) -> Mapping[Slot, StationInformation]:
    """Return the versions of one station to add to *mine*, by slot."""
    if not mine:
        return theirs
    ours, added = sorted(mine), dict[Slot, StationInformation]()
    valid: StationInformation | None = None
    for slot in sorted({*mine, *theirs}):
        if slot in mine:
            valid = mine[slot]
        elif theirs[slot] != valid and (slot < ours[0] or not _is_in(own, slot)):
            valid = added[slot] = theirs[slot]
    merged = {**mine, **added}
    slots = sorted(merged)
    for slot in [slot for slot in added if slot > ours[0]]:
        index = bisect_right(own, slot)
        if index < len(own):
            after = own[index]
            version = mine[_before(ours, after)]
            if merged[_before(slots, after)] != version:
                added[after] = version
    return added


def _before(slots: Sequence[Slot], slot: Slot) -> Slot:
    """Return the last of *slots*, in order, that is not after *slot*."""
    return slots[bisect_right(slots, slot) - 1]


def _is_in(own: Sequence[Slot], slot: Slot) -> bool:
    return bool(own) and _before(own, slot) == slot

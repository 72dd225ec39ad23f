"""What a try of a feed found: its figures, and what is odd about them."""

from dataclasses import dataclass

from bikecollect.core.payload import Fetched
from bikecollect.core.snapshot import Snapshot, StationInformation, StationStatus
from bikecollect.feeds import gbfs_reader, youbike_reader

OLD = 900.0
USUAL = (
    *("num_vehicles_available", "num_docks_available", "capacity", "is_renting"),
    "last_reported",
)
"""The columns that a feed without oddities has."""


@dataclass(frozen=True)
class Target:
    """What is tried: a feed's dialect and address; *timezone* empty is not known."""

    system_id: str
    feed: str
    url: str
    timezone: str = ""
    in_catalogue: bool = False


@dataclass(frozen=True)
class About:
    """What a system says of itself; empty where it does not."""

    system_id: str = ""
    name: str = ""
    operator: str = ""
    timezone: str = ""
    version: str = ""


@dataclass(frozen=True)
class Trial:
    """What came of a try; stamps in epoch seconds, *seconds* it took, *date* theirs.

    *headers* are the names of those that it was made with.
    """

    target: Target
    about: About
    snapshot: Snapshot
    fetched_at: float
    wire_bytes: int
    seconds: float
    oddities: tuple[str, ...]
    date: float | None = None
    headers: tuple[str, ...] = ()

    @property
    def age(self) -> float | None:
        """How old the feed's own stamp was when it came, in seconds."""
        stamp = self.snapshot.last_updated
        return None if stamp is None else self.fetched_at - stamp

    def having(self, column: str) -> int:
        """Return how many stations say *column*, of either file."""
        here = {
            each.station_id
            for each in self.snapshot.statuses
            if getattr(each, column) is not None
        }
        there = {
            each.station_id
            for each in self.snapshot.information
            if getattr(each, column, None) is not None
        }
        known = {each.station_id for each in self.snapshot.statuses}
        return len((here | there) & known)


def oddities(trial: Trial, fetched: Fetched) -> list[str]:
    """Return what is out of the ordinary, a sentence each."""
    snapshot = trial.snapshot
    found = [*snapshot.oddities, *snapshot.findings.values()]
    found += filter(None, (fetched.incomplete, snapshot.incomplete))
    found += fetched.findings.values()
    stations = snapshot.statuses
    if snapshot.dropped:
        found.append(f"{snapshot.dropped} stations cannot be read and are left out")
    if snapshot.duplicates:
        found.append(f"{snapshot.duplicates} stations came twice; the first counts")
    if trial.age is not None and trial.age > OLD:
        found.append(f"the feed's own stamp is {trial.age / 60:.0f} min old")
    if trial.age is not None and trial.age < -OLD:
        found.append(f"the feed's own stamp is {-trial.age / 60:.0f} min ahead")
    if not any(each.num_vehicles_available for each in stations):
        found.append("no station has a single vehicle")
    found += _lone(stations, snapshot.information)
    missing = [each for each in USUAL if not trial.having(each)]
    if missing:
        found.append(f"no station says {', '.join(missing)}")
    known = _KNOWN.get(trial.target.feed)
    strange = [each for each in snapshot.shape if known and each not in known]
    if strange:
        found.append(f"fields that are not read: {', '.join(strange)}")
    return found


_KNOWN = {"gbfs": gbfs_reader.KNOWN_FIELDS, "youbike": youbike_reader.KNOWN_FIELDS}


def _lone(
    statuses: tuple[StationStatus, ...], information: tuple[StationInformation, ...]
) -> list[str]:
    """Return what only one of the two lists of stations holds."""
    if not information:
        return ["it has no station information: no names and no places"]
    here = {each.station_id for each in statuses}
    there = {each.station_id for each in information}
    found = []
    if here - there:
        found.append(f"{len(here - there)} stations have no station information")
    if there - here:
        found.append(f"{len(there - here)} stations have no status")
    return found

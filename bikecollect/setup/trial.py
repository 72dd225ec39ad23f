"""The result of a trial of a feed: its figures, and what is unusual."""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

from bikecollect.collect.reading import positions
from bikecollect.collect.reading.staleness import read_reports
from bikecollect.collect.reading.zone_doubt import ZoneDoubt, doubt
from bikecollect.collect.reading.zone_places import first_findings
from bikecollect.core.payload import Payload
from bikecollect.core.snapshot import (
    Snapshot,
    StationInformation,
    StationStatus,
    VehicleSnapshot,
)
from bikecollect.core.text import count_of
from bikecollect.feeds import youbike_reader
from bikecollect.feeds.gbfs import reader
from bikecollect.setup.time_zones import zone_of_places

MAX_AGE = 900.0
EXPECTED_COLUMNS = (
    "num_vehicles_available",
    "num_docks_available",
    "capacity",
    "is_renting",
    "last_reported",
)
"""Columns that a feed usually has; a feed without one is reported."""


@dataclass(frozen=True)
class Target:
    """The feed that is tried: its dialect and address; *timezone* may be unknown."""

    system_id: str
    feed: str
    url: str
    timezone: str = ""
    in_catalogue: bool = False


@dataclass(frozen=True)
class About:
    """A system's description of itself; unknown values are empty.

    *lists_vehicles* is set if the feed lists a file of single vehicles.
    """

    system_id: str = ""
    name: str = ""
    operator: str = ""
    timezone: str = ""
    version: str = ""
    lists_vehicles: bool = False


@dataclass(frozen=True)
class Trial:
    """The result of a trial: stamps in epoch seconds, *seconds* is its duration.

    *clock_offset* is by how much the server's clock is ahead; *headers* are the names
    of the request headers. *oauth2* is the client in the settings, without its secret.
    """

    target: Target
    about: About
    snapshot: Snapshot
    fetched_at: float
    wire_bytes: int
    seconds: float
    oddities: tuple[str, ...]
    clock_offset: float | None = None
    headers: tuple[str, ...] = ()
    vehicles: VehicleSnapshot | None = None
    oauth2: dict[str, str] = field(default_factory=dict)

    @property
    def has_stations(self) -> bool:
        """Whether the system has stations, and not vehicles only."""
        return bool(self.snapshot.statuses) or self.vehicles is None

    @property
    def counts(self) -> str:
        """The numbers of stations and vehicles, as text."""
        stations = count_of(len(self.snapshot.statuses), "station")
        if self.vehicles is None:
            return stations
        vehicles = count_of(len(self.vehicles.statuses), "vehicle")
        return f"{stations}, {vehicles}" if self.has_stations else vehicles

    @cached_property
    def zone_doubt(self) -> ZoneDoubt | None:
        """Why the time zone is in doubt, if the feed's stamps have no offset."""
        zone, skew = self.snapshot.zone, abs(self.clock_offset or 0.0)
        if not (zone and self.target.timezone) or skew > MAX_AGE:
            return None
        reports = read_reports(self.snapshot.statuses, self.fetched_at)
        age = self.age if reports is None else reports.age
        longitudes = [lon for _, lon in self.places]
        return doubt(zone, age or 0.0, self.fetched_at, longitudes)

    @property
    def fitting_zone(self) -> str:
        """The time zone in which the stamps are new if the given one is in doubt.

        That of the stations' places if the stamps fit it, else one of its offset; the
        given one if that is not in doubt, or the feed may lag.
        """
        doubted = self.zone_doubt
        if doubted is None or not doubted.is_wrong:
            return self.target.timezone
        local = zone_of_places(self.places) if doubted.is_evident else ""
        return local or doubted.name

    @property
    def places(self) -> list[tuple[float, float]]:
        """The places of the stations: latitude, longitude; none if no town is there."""
        if positions.beyond_findings(self.snapshot.information, "stations"):
            return []
        return [
            (station.lat, station.lon)
            for station in self.snapshot.information
            if station.lat is not None and station.lon is not None
        ]

    @property
    def age(self) -> float | None:
        """The age of the feed's own stamp at the fetch, in seconds."""
        stamp = self.snapshot.last_updated
        return None if stamp is None else self.fetched_at - stamp

    def count_stations_with(self, column: str) -> int:
        """Return the number of stations with a value of *column* in either document."""
        statuses = self.snapshot.statuses
        stations = chain[StationStatus | StationInformation](
            statuses, self.snapshot.information
        )
        with_value = {
            station.station_id
            for station in stations
            if getattr(station, column, None) is not None
        }
        return len(with_value & {status.station_id for status in statuses})


def oddities(trial: Trial, payload: Payload) -> list[str]:
    """Return a sentence for everything unusual."""
    of_vehicles = _vehicle_oddities(trial.vehicles) if trial.vehicles else []
    if not trial.has_stations:
        return [*payload.findings.values(), *of_vehicles]
    return _station_oddities(trial, payload) + of_vehicles


def _vehicle_oddities(vehicles: VehicleSnapshot) -> list[str]:
    beyond = positions.beyond_findings(vehicles.statuses, "vehicles")
    texts = [*vehicles.findings.values(), *beyond.values()]
    if vehicles.duplicates:
        repeated = count_of(vehicles.duplicates, "vehicle")
        texts.append(f"{repeated} with an id of another: the first is used")
    return texts


def _station_oddities(trial: Trial, payload: Payload) -> list[str]:
    snapshot = trial.snapshot
    texts = [*snapshot.oddities, *snapshot.findings.values()]
    texts += filter(None, (payload.incomplete, payload.beside, snapshot.incomplete))
    texts += payload.findings.values()
    places = first_findings(snapshot.information, trial.target.timezone)
    texts += places.values()
    stations = snapshot.statuses
    if snapshot.duplicates:
        repeated = count_of(snapshot.duplicates, "station")
        texts.append(f"{repeated} with an id of another: the first is used")
    if (doubted := trial.zone_doubt) is not None:
        texts.insert(0, str(doubted))
    elif trial.age is not None and trial.age > MAX_AGE:
        texts.append(f"the feed's own stamp is {trial.age / 60:.0f} min old")
    elif trial.age is not None and trial.age < -MAX_AGE:
        texts.append(f"the feed's own stamp is {-trial.age / 60:.0f} min ahead")
    if not any(station.num_vehicles_available for station in stations):
        texts.append("no station has a vehicle")
    texts += _unmatched(stations, snapshot.information)
    missing = [c for c in EXPECTED_COLUMNS if not trial.count_stations_with(c)]
    if missing:
        texts.append(f"no station has {', '.join(missing)}")
    known = _KNOWN_FIELDS.get(trial.target.feed)
    unknown = [field for field in snapshot.shape if known and field not in known]
    if unknown:
        texts.append(f"fields that are not read: {', '.join(unknown)}")
    return texts


_KNOWN_FIELDS = {
    "gbfs": reader.KNOWN_FIELDS,
    "youbike": youbike_reader.KNOWN_FIELDS,
}


def _unmatched(
    statuses: tuple[StationStatus, ...], information: tuple[StationInformation, ...]
) -> list[str]:
    """Return a sentence for stations that occur in only one of the two lists."""
    if not information:
        return ["no station information: station names and places are unknown"]
    with_status = {status.station_id for status in statuses}
    described = {station.station_id for station in information}
    texts = []
    if with_status - described:
        count = len(with_status - described)
        texts.append(f"{count_of(count, 'station')} without station information")
    if described - with_status:
        count = len(described - with_status)
        texts.append(f"{count_of(count, 'station')} without a status")
    return texts

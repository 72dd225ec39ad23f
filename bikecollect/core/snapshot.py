"""A snapshot: the whole system at one moment, in the same form for every feed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from zoneinfo import ZoneInfo

REPORTED_SHARE = 0.05
"""Share of affected stations or vehicles from which a finding is reported."""
METRES_PER_DEGREE = 111_195.0
"""On a sphere with the earth's mean radius, 6,371,009 m (IUGG)."""


class StationStatus(NamedTuple):
    """The variable data of a station, with the names of GBFS v3; None is "unknown".

    A named tuple for speed: a fetch makes thousands of them. *last_reported* is in
    epoch seconds.
    """

    station_id: str
    num_vehicles_available: int | None
    num_ebikes_available: int | None
    num_docks_available: int | None
    num_vehicles_disabled: int | None
    num_docks_disabled: int | None
    capacity: int | None
    is_installed: bool | None
    is_renting: bool | None
    is_returning: bool | None
    last_reported: int | None


CAPACITY = StationStatus._fields.index("capacity")
"""The position of the capacity: the other counts precede it, and flags follow it."""
CLOSED_SQL = (
    "CASE WHEN r.is_installed = FALSE"
    " OR (r.is_renting = FALSE AND r.is_returning = FALSE) THEN 1 ELSE 0 END"
)
"""The rule of `is_closed` in portable SQL: 1 if the row of *r* is closed, 0 if not."""
FLAGS = ("is_installed", "is_renting", "is_returning")


def is_closed(flags: Sequence[bool | None]) -> bool:
    """Return whether a station with these `FLAGS` is closed: no vehicle, no dock.

    It is not installed, or neither renting nor returning. Some feeds publish
    ``is_renting = false`` for a station that is merely empty, so that flag alone does
    not close it; an unknown flag (None) does not either.

    >>> is_closed([True, False, True]), is_closed([True, False, False])
    (False, True)
    """
    is_installed, is_renting, is_returning = flags
    return is_installed is False or (is_renting is False and is_returning is False)


class StationInformation(NamedTuple):
    """The static data of a station; None is "unknown". *lat*, *lon* are in degrees."""

    station_id: str
    name: str | None = None
    short_name: str | None = None
    lat: float | None = None
    lon: float | None = None
    capacity: int | None = None
    address: str | None = None
    region: str | None = None
    post_code: str | None = None
    is_virtual_station: bool | None = None
    name_en: str | None = None
    address_en: str | None = None
    region_en: str | None = None
    is_listed: bool = True


VEHICLE_KINDS: Mapping[str, str] = {
    "num_bicycles_available": "bicycles without a motor",
    "num_ebicycles_available": "bicycles with a motor",
    "num_cargo_bicycles_available": "cargo bicycles without a motor",
    "num_cargo_ebicycles_available": "cargo bicycles with a motor",
    "num_scooters_available": "standing scooters",
    "num_seated_scooters_available": "seated scooters",
    "num_mopeds_available": "mopeds",
    "num_cars_available": "cars",
    "num_other_vehicles_available": "vehicles of other kinds",
    "num_untyped_vehicles_available": "vehicles of an unknown kind",
}
"""The columns of ``columns = ["vehicle_types"]``: one per kind of vehicle."""


@dataclass(frozen=True, eq=False, repr=False)
class Snapshot:
    """The content of one payload.

    *statuses* has each station once, in the publisher's order. *information* is empty
    if the payload has none; *lists_all* is set if it lists every station of the
    system, so that a missing station no longer exists; *is_listed_apart* if that list
    is a document of its own, *secondary* if it is part of the status document and a
    separate list takes precedence.
    *last_updated* (epoch seconds) and *ttl* (seconds) are as given by the feed; if the
    feed has no stamp, *is_stamped* is False and *last_updated* that of a station. If
    the stamp has no zone, *other_stamp* is what it is in the zone that is less likely.
    *zone* is the one of the settings, if stamps without an offset were read in it.
    *shape* maps each field of the station objects to its JSON types
    (``{"sno": "str", "lat": "float|null"}``), to detect drift.
    *dropped* is the number of stations that could not be read, *duplicates* that of
    stations skipped because of a repeated id; *oddities* are sentences for people.
    *flags* are words for the block; *findings* are sentences to be reported once, by a
    key that stays the same while the problem lasts; *incomplete* is the reason why a
    part of the payload is missing, empty if none is. *total* is the number of stations
    according to the publisher, None if unknown; *kinds* has the number of vehicles of
    each of the `VEHICLE_KINDS` by station id, if the settings ask for them.
    """

    statuses: tuple[StationStatus, ...]
    information: tuple[StationInformation, ...] = ()
    lists_all: bool = False
    last_updated: int | None = None
    ttl: int | None = None
    shape: Mapping[str, str] = field(default_factory=dict)
    dropped: int = 0
    duplicates: int = 0
    oddities: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    findings: Mapping[str, str] = field(default_factory=dict)
    secondary: bool = False
    incomplete: str = ""
    total: int | None = None
    kinds: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    is_stamped: bool = True
    is_listed_apart: bool = False
    other_stamp: int | None = None
    zone: ZoneInfo | None = None


class VehicleStatus(NamedTuple):
    """One vehicle at one moment, with the names of GBFS; None is "unknown".

    *lat* and *lon* are in degrees, *type* is its kind or the publisher's type id,
    *current_fuel_percent* a share from 0 to 1, *last_reported* in epoch seconds.
    """

    vehicle_id: str
    lat: float | None
    lon: float | None
    type: str | None
    is_reserved: bool | None
    is_disabled: bool | None
    current_range_meters: int | None
    current_fuel_percent: float | None
    station_id: str | None
    last_reported: int | None


@dataclass(frozen=True, eq=False, repr=False)
class VehicleSnapshot:
    """The vehicles in one payload; the fields are as in `Snapshot`."""

    statuses: tuple[VehicleStatus, ...]
    last_updated: int | None = None
    ttl: int | None = None
    shape: Mapping[str, str] = field(default_factory=dict)
    dropped: int = 0
    duplicates: int = 0
    flags: tuple[str, ...] = ()
    findings: Mapping[str, str] = field(default_factory=dict)
    incomplete: str = ""
    total: int | None = None
    is_stamped: bool = True
    other_stamp: int | None = None

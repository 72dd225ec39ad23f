"""Stations on the map: filters, and the nearest ones."""

from collections.abc import Collection, Iterable, Sequence
from math import cos, hypot, radians
from operator import attrgetter
from statistics import median
from typing import Any, NamedTuple

from bikecollect.core.snapshot import METRES_PER_DEGREE, is_closed
from bikecollect.reports.runner import Answer

TURN = 360.0


class MapStation(NamedTuple):
    """A station in the newest slot; its counts are None if that slot lacks it."""

    system_id: str
    station_id: str
    name: str | None
    region: str | None
    lat: float | None
    lon: float | None
    slot: int
    capacity: int | None
    vehicles: int | None = None
    docks: int | None = None
    is_installed: bool | None = None
    is_renting: bool | None = None
    is_returning: bool | None = None
    last_reported: int | None = None
    state: str = ""

    @property
    def is_closed(self) -> bool:
        """Whether the station is reported as closed."""
        return is_closed((self.is_installed, self.is_renting, self.is_returning))


def vehicle_dots(vehicles: Answer) -> list[MapStation]:
    """Return the *vehicles* that have a location as dots of a map.

    A dot has one vehicle if it can be rented, none if it is reserved or disabled.
    """
    return [
        MapStation(
            system_id=row["system_id"],
            station_id=row["vehicle_id"],
            name=row["type"] or "vehicle",
            region=None,
            lat=row["lat"],
            lon=row["lon"],
            slot=row["slot"],
            capacity=1,
            vehicles=0 if row["is_reserved"] or row["is_disabled"] else 1,
            is_renting=not row["is_disabled"],
            is_returning=not row["is_disabled"],
            last_reported=row["last_reported"],
        )
        for row in vehicles.records()
        if row["lat"] is not None
    ]


def film_dot(
    system: str, station: Sequence[Any], shown: tuple[str | None, str | None]
) -> MapStation:
    """Return the *station* of a `Film` as a dot; *shown* is its name and area."""
    station_id, _, _, lat, lon, capacity = station
    name, region = shown
    return MapStation(
        system_id=system,
        station_id=station_id,
        name=name,
        region=region,
        lat=lat,
        lon=lon,
        slot=0,
        capacity=capacity,
    )


class Known(NamedTuple):
    """A station, present or removed: *until* is the slot of its removal, or None."""

    system_id: str
    station_id: str
    name: str | None
    region: str | None
    lat: float | None
    lon: float | None
    capacity: int | None
    since: int | None
    until: int | None

    @property
    def called(self) -> str:
        """The name of the station, or its id if it has no name."""
        return self.name or self.station_id


def chosen(
    places: Iterable[MapStation],
    *,
    matches: Collection[str] | None = None,
    regions: Sequence[str] = (),
    vehicles: int = 0,
    docks: int = 0,
) -> list[MapStation]:
    """Return the stations that pass the filters.

    *matches* are the ids found by a search, None without a search; *vehicles* and
    *docks* are minima; empty *regions* stand for all. A station that is not in the slot
    counts as without vehicles.
    """
    return [
        station
        for station in places
        if (matches is None or station.station_id in matches)
        and (not regions or station.region in regions)
        and (station.vehicles or 0) >= vehicles
        and (station.docks or 0) >= docks
    ]


TABLE = {
    "name": "name",
    "vehicles": "vehicles",
    "docks": "docks",
    "capacity": "capacity",
    "region": "region",
    "closed": "is_closed",
    "last_reported": "last_reported",
    "station_id": "station_id",
    "lat": "lat",
    "lon": "lon",
}
"""The columns of the table of stations, and the fields they show."""


def table_of(places: Iterable[MapStation]) -> Answer:
    """Return a row per station, for the table of the page."""
    fields = attrgetter(*TABLE.values())
    return Answer(list(TABLE), [fields(station) for station in places])


def nearest(
    places: Iterable[MapStation], lat: float, lon: float, count: int = 8
) -> list[tuple[float, MapStation]]:
    """Return the *count* stations nearest to a point, with their distance in metres.

    The earth is treated as flat: within a city the error is below 1 %.
    """
    distances = [
        (metres(lat, lon, station.lat, station.lon), station)
        for station in places
        if station.lat is not None and station.lon is not None
    ]
    return sorted(distances, key=lambda pair: (pair[0], pair[1].station_id))[:count]


def metres(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Return the distance of two points, in metres.

    >>> round(metres(25.0, 121.5, 25.001, 121.5))
    111
    >>> round(metres(0, 179.9995, 0, -179.9995))
    111
    """
    apart = abs(lon - other_lon)
    east = min(apart, TURN - apart) * cos(radians(lat))
    return METRES_PER_DEGREE * hypot(lat - other_lat, east)


def side_by_side(longitudes: Iterable[float]) -> list[float]:
    """Return *longitudes*, some a turn away, so that a map of them is narrow.

    >>> side_by_side([179.5, -179.5, 178.5])
    [179.5, 180.5, 178.5]
    """
    known = list(longitudes)
    middle = median(known) if known else 0.0
    return [lon - TURN * round((lon - middle) / TURN) for lon in known]


def point(text: str) -> tuple[float, float] | None:
    """Return the latitude and longitude in *text*, None if it has none.

    >>> point("25.03, 121.56"), point("25.03 N"), point("99, 0")
    ((25.03, 121.56), None, None)
    """
    parts = text.replace(",", " ").split()
    try:
        lat, lon = map(float, parts)
    except ValueError:
        return None
    inside = -90 <= lat <= 90 and -180 <= lon <= 180  # noqa: PLR2004 - degrees
    return (lat, lon) if inside else None


def known(rows: Iterable[Sequence[Any]]) -> list[Known]:
    """Return the stations in the rows of the report ``stations``."""
    return [Known(*row) for row in rows]


def places(rows: Iterable[Sequence[Any]]) -> list[MapStation]:
    """Return the stations in the rows of the report ``snapshot``."""
    return [MapStation(*row) for row in rows]

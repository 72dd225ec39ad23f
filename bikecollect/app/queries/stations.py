"""Stations on the map: which are meant, and which are near."""

from collections.abc import Iterable, Sequence
from math import cos, hypot, radians
from typing import Any, NamedTuple

from bikecollect.reports.runner import Answer

METRES = 111_195.0
"""Of a degree on a sphere of 6,371,009 m, the mean radius (IUGG)."""


class MapStation(NamedTuple):
    """A station in the newest slot; counts are None where that slot has none of it."""

    system_id: str
    station_id: str
    name: str | None
    region: str | None
    lat: float | None
    lon: float | None
    slot: int
    capacity: int | None
    vehicles: int | None
    docks: int | None
    is_installed: bool | None
    is_renting: bool | None
    is_returning: bool | None
    last_reported: int | None

    @property
    def is_closed(self) -> bool:
        """Whether it says that it is not in use."""
        return self.is_installed is False or self.is_renting is False


def vehicle_dots(vehicles: Answer) -> list[MapStation]:
    """Return the *vehicles* that have a location as dots of a map.

    A dot has one vehicle if it can be rented, none if it is reserved or disabled.
    """
    rows = (dict(zip(vehicles.columns, row, strict=True)) for row in vehicles.rows)
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
            docks=None,
            is_installed=None,
            is_renting=not row["is_disabled"],
            is_returning=None,
            last_reported=row["last_reported"],
        )
        for row in rows
        if row["lat"] is not None
    ]


class Known(NamedTuple):
    """A station that there is, or was: *until* is when it left the list, else None."""

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
        """Its name; without one, its id."""
        return self.name or self.station_id


def chosen(
    places: Iterable[MapStation],
    *,
    text: str = "",
    regions: Sequence[str] = (),
    vehicles: int = 0,
    docks: int = 0,
) -> list[MapStation]:
    """Return the places that are meant.

    *text* is part of a name or an id; *vehicles* and *docks* are the least; of none
    of *regions* means all. A place that the slot does not tell of has no vehicles.
    """
    wanted = text.strip().casefold()
    return [
        each
        for each in places
        if wanted in f"{each.name or ''}\n{each.station_id}".casefold()
        and (not regions or each.region in regions)
        and (each.vehicles or 0) >= vehicles
        and (each.docks or 0) >= docks
    ]


def table_of(places: Iterable[MapStation]) -> Answer:
    """Return a row a place, without what is of no use to a reader."""
    columns = [
        *("name", "vehicles", "docks", "capacity", "region", "closed"),
        *("last_reported", "station_id", "lat", "lon"),
    ]
    rows = [
        (
            *(each.name, each.vehicles, each.docks, each.capacity, each.region),
            *(each.is_closed, each.last_reported, each.station_id, each.lat, each.lon),
        )
        for each in places
    ]
    return Answer(columns, rows)


def nearest(
    places: Iterable[MapStation], lat: float, lon: float, count: int = 8
) -> list[tuple[float, MapStation]]:
    """Return the *count* places nearest to a point, with their distance in metres.

    Degrees of WGS 84; the earth is flat here, which errs by less than 1 % in a city.
    """
    found = [
        (metres(lat, lon, each.lat, each.lon), each)
        for each in places
        if each.lat is not None and each.lon is not None
    ]
    return sorted(found, key=lambda pair: (pair[0], pair[1].station_id))[:count]


def metres(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Return the distance of two points, in metres.

    >>> round(metres(25.0, 121.5, 25.001, 121.5))
    111
    """
    east = (lon - other_lon) * cos(radians(lat))
    return METRES * hypot(lat - other_lat, east)


def point(text: str) -> tuple[float, float] | None:
    """Return latitude and longitude that *text* says, None where it says none.

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
    """Return the rows of the report ``stations`` as such."""
    return [Known(*row) for row in rows]


def places(rows: Iterable[Sequence[Any]]) -> list[MapStation]:
    """Return the rows of the report ``snapshot`` as places."""
    return [MapStation(*row) for row in rows]

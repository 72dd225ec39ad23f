"""The place of a time zone, by which stations in mirrored places are recognised."""

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from bikecollect.collect.reading import positions
from bikecollect.core.snapshot import StationInformation

FAR, FARTHER = 5.0, 20.0
"""Degrees from the zone's place by which stations are elsewhere. No country extends by
`FARTHER` on both sides of the equator, or of the meridian of Greenwich."""
NEARER = 3.0
"""The factor by which the mirrored place must be nearer to the zone's place."""


class Place(NamedTuple):
    """A place: latitude and longitude in degrees."""

    lat: float
    lon: float

    def distance(self, other: "Place") -> float:
        """Return the larger difference of both coordinates, in degrees."""
        around = abs(self.lon - other.lon)
        return max(abs(self.lat - other.lat), min(around, 360 - around))

    def __str__(self) -> str:
        return f"{self.lat:.1f}, {self.lon:.1f}"


def table() -> str:
    """Return tzdata's table: a country, the place and the name of a zone in each row.

    The place is that of the zone's largest city.
    """
    return files("tzdata.zoneinfo").joinpath("zone.tab").read_text(encoding="utf-8")


def place_of(zone: str) -> Place | None:
    """Return the place of the time zone called *zone*, None if it has none.

    >>> print(place_of("Europe/Vienna"), place_of("America/New_York"), place_of("UTC"))
    48.2, 16.3 40.7, -74.0 None
    """
    row = re.search(rf"^\S+\t(\S+)\t{re.escape(zone)}(?:\t|$)", table(), re.MULTILINE)
    if row is None:
        return None
    lat, lon = re.findall(r"[+-]\d+", row[1])
    return Place(_degrees(lat, 2), _degrees(lon, 3))


def _degrees(text: str, digits: int) -> float:
    """Return the degrees in *text*: a sign, so many *digits*, then minutes."""
    minutes = text[1 + digits : 3 + digits]
    value = int(text[1 : 1 + digits]) + int(minutes) / 60
    return -value if text[0] == "-" else value


def first_findings(stations: Sequence[StationInformation], zone: str) -> dict[str, str]:
    """Return findings about the places of the first list of a system in *zone*."""
    found = positions.findings(stations, {})
    if positions.BEYOND.format("stations") in found:
        return found
    return {**found, **mirrored_findings(stations, zone)}


def mirrored_findings(
    stations: Sequence[StationInformation], zone: str
) -> dict[str, str]:
    """Return a finding if the *stations* are near the place of *zone* only if mirrored.

    Latitude and longitude may be exchanged, or have lost their sign; or *zone* is that
    of a city on the other side. That is said only of stations that are farther from
    their time zone than one may extend, and are in it otherwise.
    """
    latitudes = sorted(s.lat for s in stations if s.lat is not None)
    longitudes = sorted(s.lon for s in stations if s.lon is not None)
    home = place_of(zone)
    if home is None or not latitudes or not longitudes:
        return {}
    # Not by the module statistics, which takes long to import.
    middle = Place(latitudes[len(latitudes) // 2], longitudes[len(longitudes) // 2])
    mirrored = {
        "lat and lon are exchanged at the stations, as it seems": (
            Place(middle.lon, middle.lat),
            FAR,
        ),
        "lon has the wrong sign at the stations, or timezone is wrong": (
            Place(middle.lat, -middle.lon),
            FARTHER,
        ),
        "lat has the wrong sign at the stations, or timezone is wrong": (
            Place(-middle.lat, middle.lon),
            FARTHER,
        ),
    }
    apart = middle.distance(home)
    for what, (place, far) in mirrored.items():
        if apart >= far and place.distance(home) <= min(FARTHER, apart / NEARER):
            text = (
                f"{what}: their middle is {middle}, and {zone} is at {home}; they are "
                "stored unchanged"
            )
            return {"mirrored places": text}
    return {}

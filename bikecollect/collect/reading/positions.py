"""Findings about places: latitude and longitude that have changed places."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from bikecollect.core.snapshot import StationInformation

SAME = 1e-4
"""Degrees by which a place may differ, because publishers round it: ten metres."""
DIAGONAL = 0.1
"""Degrees between latitude and longitude; if both are nearer, they look alike."""
FEW = 3
"""Minimum places that have changed."""
SOUTH, NORTH = -57.0, 79.0
"""The degrees of latitude between which there are towns."""


class Placed(Protocol):
    """A station or a vehicle with a place."""

    @property
    def lat(self) -> float | None:
        """The latitude in degrees."""
        ...

    @property
    def lon(self) -> float | None:
        """The longitude in degrees."""
        ...


def swapped_findings(
    stations: Sequence[StationInformation], known: Mapping[str, StationInformation]
) -> dict[str, str]:
    """Return a finding if latitude and longitude of most *stations* are exchanged.

    Compared with the places that were *known* before, and with any town on earth.
    """
    findings = beyond_findings(stations, "stations")
    pairs = [(known.get(station.station_id), station) for station in stations]
    moved = [
        station for before, station in pairs if before and _is_swapped(before, station)
    ]
    if len(moved) >= FEW and len(moved) * 2 > len(stations):
        number = f"{len(moved)} of {len(stations)} stations"
        text = f"lat and lon were exchanged at {number}, such as {_shown(moved[0])}"
        findings["exchanged places"] = f"{text}: they are stored unchanged"
    return findings


def beyond_findings(rows: Sequence[Placed], unit: str) -> dict[str, str]:
    """Return a finding if most of *rows*, which are *unit*, lie where no town is."""
    placed = [row for row in rows if row.lat is not None]
    beyond = list(_beyond(placed))
    if len(beyond) * 2 <= len(placed):
        return {}
    text = (
        f"{len(beyond)} of {len(placed)} {unit} lie where no town is, such as "
        f"{_shown(beyond[0])} (lat, lon): both may be exchanged; they are stored "
        "unchanged"
    )
    return {f"{unit} beyond towns": text}


def _beyond(rows: Iterable[Placed]) -> Iterable[Placed]:
    return (r for r in rows if r.lat is not None and not SOUTH <= r.lat <= NORTH)


def _is_swapped(before: StationInformation, after: StationInformation) -> bool:
    """Return whether each has the other's latitude as its longitude."""
    lat, lon, new_lat, new_lon = before.lat, before.lon, after.lat, after.lon
    if lat is None or lon is None or new_lat is None or new_lon is None:
        return False
    is_same = abs(lat - new_lon) < SAME and abs(lon - new_lat) < SAME
    return is_same and abs(lat - lon) > DIAGONAL


def _shown(row: Placed) -> str:
    return f"{row.lat}, {row.lon}"

"""Findings about places: exchanged, far from where they were, or listed twice."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from bikecollect.core.snapshot import StationInformation

SAME = 1e-4
"""Degrees by which a place may differ, because publishers round it: ten metres."""
DIAGONAL = 0.1
"""Degrees between latitude and longitude; if both are nearer, they look alike."""
FEW = 3
"""Minimum places that have changed."""
MOVED = 0.2
"""Degrees by which no station moves: twenty kilometres."""
MANY = 10
"""So many stations are not listed twice by chance."""
BEYOND = "{} beyond towns"
"""The key of the finding that most rows of a unit are in no town."""
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


def findings(
    stations: Sequence[StationInformation], known: Mapping[str, StationInformation]
) -> dict[str, str]:
    """Return findings if the places of most *stations* cannot be right.

    Compared with the places that were *known* before, with each other, and with any
    town on earth.
    """
    found = beyond_findings(stations, "stations") | _twice_findings(stations)
    pairs = [
        (before, station)
        for station in stations
        if (before := known.get(station.station_id)) and before != station
    ]
    swapped = [after for before, after in pairs if _is_swapped(before, after)]
    moved = [pair for pair in pairs if (apart(*pair) or 0.0) > MOVED]
    if _are_most(swapped, stations):
        number = f"{len(swapped)} of {len(stations)} stations"
        text = f"lat and lon were exchanged at {number}, such as {_shown(swapped[0])}"
        found["exchanged places"] = f"{text}: they are stored unchanged"
    elif _are_most(moved, stations):
        before, after = moved[0]
        text = f"{len(moved)} of {len(stations)} stations are far from where they were,"
        text += f" such as {after.station_id}: at {_shown(after)}, before at "
        text += f"{_shown(before)}; this may be the list of another city"
        found["moved places"] = text
    return found


def _are_most(rows: Sequence[object], stations: Sequence[object]) -> bool:
    return len(rows) >= FEW and len(rows) * 2 > len(stations)


def _twice_findings(stations: Sequence[StationInformation]) -> dict[str, str]:
    """Return a finding if many *stations* have the name and place of another one."""
    known: dict[tuple[object, ...], str] = {}
    twice = [
        (first, s.station_id)
        for s in stations
        if s.name
        and s.lat is not None
        and (first := known.setdefault((s.name, s.lat, s.lon), s.station_id))
        != s.station_id
    ]
    # Where a name and a place stand for many stations, they tell nothing of them.
    if len(twice) < MANY or not len(twice) <= len(known) <= len(twice) * 3:
        return {}
    number, (first, second) = f"{len(twice)} of {len(stations)}", twice[0]
    text = f"{number} stations have the name and place of another one, such as "
    text += f"{first} and {second}: they may be listed twice, and sums over all "
    return {"listed twice": f"{text}stations may then count their vehicles twice"}


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
    return {BEYOND.format(unit): text}


def _beyond(rows: Iterable[Placed]) -> Iterable[Placed]:
    return (r for r in rows if r.lat is not None and not SOUTH <= r.lat <= NORTH)


def _is_swapped(before: StationInformation, after: StationInformation) -> bool:
    """Return whether each has the other's latitude as its longitude."""
    lat, lon, new_lat, new_lon = before.lat, before.lon, after.lat, after.lon
    if lat is None or lon is None or new_lat is None or new_lon is None:
        return False
    is_same = abs(lat - new_lon) < SAME and abs(lon - new_lat) < SAME
    return is_same and abs(lat - lon) > DIAGONAL


def apart(one: Placed, other: Placed) -> float | None:
    """Return the larger difference of both coordinates in degrees, None if unknown."""
    if one.lat is None or one.lon is None or other.lat is None or other.lon is None:
        return None
    return max(abs(one.lat - other.lat), abs(one.lon - other.lon))


def _shown(row: Placed) -> str:
    return f"{row.lat}, {row.lon}"

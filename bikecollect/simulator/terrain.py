"""The ground of the simulated city: sea, river, parks and roads, as GeoJSON."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from bikecollect.core.snapshot import METRES_PER_DEGREE
from bikecollect.simulator.terrain_plan import (
    COAST,
    DISTRICTS,
    LAKE,
    MAIN_ROADS,
    MOUTH_WIDTH,
    PARKS,
    RAILWAY,
    RIVER,
    SEA_CORNERS,
    SOURCE_WIDTH,
    STREAM,
    Place,
)

CENTRE = (-48.876, -123.393)
"""The city's centre: the point of all oceans that is farthest from land."""
EAST = METRES_PER_DEGREE * math.cos(math.radians(CENTRE[0]))
"""Metres of a degree at the centre."""
SMOOTH = 10
MAX_STEP = 2_000.0
"""Maximum metres between two points of the smooth river."""
BANK = 45.0
"""Minimum metres between water and a station."""
PACE = 40.0
SAMPLE = 60.0
STUMP = 4
"""Minimum samples of a street that is drawn."""


def dry(lat: float, lon: float, centre: Place) -> Place:
    """Return the point, moved towards *centre* (lat, lon) until it is not in water.

    >>> dry(-48.876, -123.393, (-48.876, -123.393))
    (-48.876, -123.393)
    """
    x, y = _metres(lat, lon)
    goal = _metres(*centre)
    if not _is_water((x, y), BANK):
        return lat, lon
    while _is_water((x, y), BANK):
        left = math.hypot(goal[0] - x, goal[1] - y)
        x += (goal[0] - x) / left * PACE
        y += (goal[1] - y) / left * PACE
    lon, lat = _degrees((x, y))
    return lat, lon


def is_water(lat: float, lon: float) -> bool:
    """Return whether a point is in the sea, the river or the lake."""
    return _is_water(_metres(lat, lon), 0)


@cache
def geojson() -> bytes:
    """Return the ground of the city: areas and lines with tags of OpenStreetMap."""
    features = [
        _area({"natural": "water", "name": "Port Sea"}, [*_coast(), *SEA_CORNERS]),
        *(
            _area({"leisure": "park", "name": name}, _blob(centre, width, height))
            for name, centre, width, height in PARKS
        ),
        _area({"natural": "water", "name": "Mirror Lake"}, _blob(*LAKE)),
        _area({"natural": "water", "name": "Loom River"}, _river_banks()),
        _line({"waterway": "stream", "name": "Mill Brook"}, _smooth(STREAM)),
        *(_line({"highway": "residential"}, street) for street in _streets()),
        *(
            _line({"highway": "primary", "name": name}, _smooth(road))
            for name, road in MAIN_ROADS
        ),
        _line({"railway": "rail"}, _smooth(RAILWAY)),
    ]
    collection = {"type": "FeatureCollection", "features": features}
    return json.dumps(collection, separators=(",", ":")).encode()


def _area(tags: dict[str, str], ring: Iterable[Place]) -> dict[str, Any]:
    points = [_degrees(place) for place in ring]
    geometry = {"type": "Polygon", "coordinates": [[*points, points[0]]]}
    return {"type": "Feature", "properties": tags, "geometry": geometry}


def _line(tags: dict[str, str], line: Iterable[Place]) -> dict[str, Any]:
    points = [_degrees(place) for place in line]
    geometry = {"type": "LineString", "coordinates": points}
    return {"type": "Feature", "properties": tags, "geometry": geometry}


def _metres(lat: float, lon: float) -> Place:
    return (lon - CENTRE[1]) * EAST, (lat - CENTRE[0]) * METRES_PER_DEGREE


def _degrees(place: Place) -> Place:
    """Return the longitude and latitude of *place*."""
    lon, lat = CENTRE[1] + place[0] / EAST, CENTRE[0] + place[1] / METRES_PER_DEGREE
    return round(lon, 6), round(lat, 6)


def _smooth(points: Sequence[Place]) -> list[Place]:
    """Return a curve through *points* (Catmull and Rom)."""
    padded = [points[0], *points, points[-1]]
    curve = [points[0]]
    for n in range(len(points) - 1):
        a, b, c, d = padded[n : n + 4]
        for step in range(1, SMOOTH + 1):
            t = step / SMOOTH
            x, y = (
                b[k]
                + 0.5 * t * (c[k] - a[k])
                + t * t * (a[k] - 2.5 * b[k] + 2 * c[k] - 0.5 * d[k])
                + t * t * t * (1.5 * (b[k] - c[k]) + 0.5 * (d[k] - a[k]))
                for k in (0, 1)
            )
            curve.append((x, y))
    return curve


@cache
def _coast() -> list[Place]:
    return _smooth(COAST)


@cache
def _river() -> list[tuple[Place, float]]:
    """Return the points in the middle of the river, with half its width there."""
    curve = _smooth(RIVER)
    last = len(curve) - 1
    return [
        (place, (SOURCE_WIDTH + (MOUTH_WIDTH - SOURCE_WIDTH) * n / last) / 2)
        for n, place in enumerate(curve)
    ]


def _river_banks() -> list[Place]:
    left, right = [], []
    points = _river()
    for n, ((x, y), half) in enumerate(points):
        (ax, ay), (bx, by) = (
            points[max(0, n - 1)][0],
            points[min(n + 1, len(points) - 1)][0],
        )
        length = math.hypot(bx - ax, by - ay)
        dx, dy = (by - ay) / length * half, -(bx - ax) / length * half
        left.append((x + dx, y + dy))
        right.append((x - dx, y - dy))
    return [*left, *reversed(right)]


def _blob(centre: Place, width: float, height: float) -> list[Place]:
    """Return a round area whose border is a little uneven."""
    ring = []
    for n in range(40):
        angle = n * math.pi / 20
        uneven = 1 + 0.13 * math.sin(3 * angle + width) + 0.07 * math.sin(5 * angle)
        ring.append(
            (
                centre[0] + width * uneven * math.cos(angle),
                centre[1] + height * uneven * math.sin(angle),
            )
        )
    return ring


def _is_water(place: Place, margin: float) -> bool:
    """Return whether *place* is in water, or less than *margin* metres away from it."""
    (x, y), ((lake_x, lake_y), width, height) = place, LAKE
    wide, high = 1.2 * width + margin, 1.2 * height + margin
    if ((x - lake_x) / wide) ** 2 + ((y - lake_y) / high) ** 2 < 1:
        return True
    near = MOUTH_WIDTH + margin + MAX_STEP
    if any(
        abs(x - b[0]) < near and _distance(place, a, b) < half + margin
        for (a, _), (b, half) in pairwise(_river())
    ):
        return True
    coast = _coast()
    return _is_inside(place, (*coast, *SEA_CORNERS)) or (
        margin > 0 and any(_distance(place, a, b) < margin for a, b in pairwise(coast))
    )


def _distance(place: Place, begin: Place, end: Place) -> float:
    (x, y), (ax, ay), (bx, by) = place, begin, end
    dx, dy = bx - ax, by - ay
    share = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)
    share = min(1.0, max(0.0, share))
    return math.hypot(x - ax - share * dx, y - ay - share * dy)


def _is_inside(place: Place, ring: Sequence[Place]) -> bool:
    x, y = place
    inside = False
    for (ax, ay), (bx, by) in zip(ring, (*ring[1:], ring[0]), strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
            inside = not inside
    return inside


def _streets() -> Iterator[list[Place]]:
    """Yield the streets of each area: a grid that ends at water and at other areas."""
    for number, ((east, north), turn, reach, distance) in enumerate(DISTRICTS):
        across, along = (
            (math.cos(turn), math.sin(turn)),
            (-math.sin(turn), math.cos(turn)),
        )
        count = int(reach / distance)
        for (ux, uy), (vx, vy) in ((across, along), (along, across)):
            for n in range(-count, count + 1):
                offset = n * distance
                half = math.sqrt(max(0.0, reach * reach - offset * offset))
                steps = int(half / SAMPLE)
                line = (
                    (
                        east + offset * ux + step * SAMPLE * vx,
                        north + offset * uy + step * SAMPLE * vy,
                    )
                    for step in range(-steps, steps + 1)
                )
                yield from _dry_parts(line, number)


def _dry_parts(line: Iterable[Place], area: int) -> Iterator[list[Place]]:
    """Yield the first and the last place of each part of *line* in the *area*."""
    part: list[Place] = []
    for place in line:
        if _area_of(place) == area and not _is_water(place, 0) and not _is_park(place):
            part.append(place)
            continue
        if len(part) > STUMP:
            yield [part[0], part[-1]]
        part = []
    if len(part) > STUMP:
        yield [part[0], part[-1]]


def _area_of(place: Place) -> int:
    distances = [math.dist(place, centre) for centre, *_ in DISTRICTS]
    return distances.index(min(distances))


def _is_park(place: Place) -> bool:
    return any(
        ((place[0] - x) / width) ** 2 + ((place[1] - y) / height) ** 2 < 1
        for _, (x, y), width, height in PARKS
    )

"""Fit shapes to a city and to the size of a page."""

import json
import zlib
from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, radians
from typing import Any

from bikecollect.app.basemap.classes import AREA, BORDER, LINE, MINOR, RAIL
from bikecollect.app.basemap.shapes import Bounds, Point, Shape, clipped, gridded
from bikecollect.core.errors import UsageError
from bikecollect.core.snapshot import METRES_PER_DEGREE

MAX_CHARACTERS = 40_000
"""Maximum characters of a packed basemap: with it, a page of 1,700 stations has less
than 400 kB."""
TOLERANCES = (2.0, 4.0, 8.0, 15.0, 25.0)
"""Metres by which lines may be simplified: the first value that is enough is used."""
DROPPED: tuple[Collection[str], ...] = ((), (MINOR, LINE), (MINOR, LINE, AREA, RAIL))
"""Classes that are dropped if simpler lines are not enough."""
OUTLIERS = 0.002
MIN_METRES = 2_000.0
AROUND, WIDE, HIGH = 1.4, 4.0, 1.4
"""Factors of the stations' extent: around them, and up to the shape of wide maps."""
FINE = (MINOR, LINE, AREA, BORDER)
"""Classes that are kept only near the stations."""
Steps = list[int]


@dataclass(frozen=True)
class Fitted:
    """Shapes that fit a page, by class; *origin* is a longitude and latitude.

    A shape is a list of steps east and north, the first from *origin*, the others from
    the previous point. Lines are simplified to *metres*; the classes *left_out* were
    dropped.
    """

    origin: Point
    shapes: Mapping[str, Sequence[Steps]]
    metres: float
    left_out: Collection[str] = ()

    @property
    def count(self) -> int:
        """The number of lines and rings."""
        return sum(map(len, self.shapes.values()))


def bounds_of(stations: Sequence[Point]) -> Bounds:
    """Return the box of a basemap for *stations* (longitude, latitude).

    A few stations far from the others do not enlarge it.
    """
    cut = int(len(stations) * OUTLIERS)
    west, east = _ends([x for x, _ in stations], cut)
    south, north = _ends([y for _, y in stations], cut)
    shrink = cos(radians((south + north) / 2))
    least = MIN_METRES / METRES_PER_DEGREE
    width, height = max((east - west) * shrink, least), max(north - south, least)
    right = max(AROUND * width, WIDE * height) / 2 / shrink
    up = max(AROUND * height, HIGH * width) / 2
    x, y = (west + east) / 2, (south + north) / 2
    return Bounds(
        max(-180.0, x - right),
        max(-90.0, y - up),
        min(180.0, x + right),
        min(90.0, y + up),
    )


def _ends(values: Sequence[float], cut: int) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[cut], ordered[len(ordered) - 1 - cut]


def fit(shapes: Iterable[Shape], bounds: Bounds, name: str) -> Fitted:
    """Return *shapes* within *bounds*, as detailed as a page can carry.

    Raises UsageError, which begins with *name*, if there are none or too many.
    """
    shapes = list(shapes)
    near = _near(bounds)
    inside = [
        *clipped([shape for shape in shapes if shape.kind not in FINE], bounds),
        *clipped([shape for shape in shapes if shape.kind in FINE], near),
    ]
    if not inside:
        raise UsageError(f"{name}: no shape is in the city: {_where(shapes, bounds)}")
    origin = bounds.west, bounds.south
    for left_out in DROPPED:
        some = [shape for shape in inside if shape.kind not in left_out]
        for metres in TOLERANCES:
            fitted = Fitted(origin, _by_class(some, origin, metres), metres, left_out)
            if fitted.count and len(packed(fitted)) <= MAX_CHARACTERS:
                return fitted
    raise UsageError(
        f"{name}: too much detail for a page ({len(inside):,} lines and rings in the "
        "city); keep only water, parks and main roads in it"
    )


def _near(bounds: Bounds) -> Bounds:
    """Return the middle of *bounds*, at most as wide as it is high."""
    x, y = bounds.centre
    shrink = cos(radians(y))
    wide, high = (bounds.east - bounds.west) * shrink, bounds.north - bounds.south
    half = min(wide, high) / 2 / shrink
    return Bounds(x - half, bounds.south, x + half, bounds.north)


def _by_class(
    shapes: Iterable[Shape], origin: Point, metres: float
) -> dict[str, list[Steps]]:
    classes: dict[str, list[Steps]] = {}
    for shape in shapes:
        points = gridded(shape, origin, metres)
        if points:
            classes.setdefault(shape.kind, []).append(_steps(points))
    return classes


def _steps(points: Sequence[tuple[int, int]]) -> Steps:
    """Return each point as steps from the one before.

    >>> _steps([(5, 5), (7, 4)])
    [5, 5, 2, -1]
    """
    steps: Steps = []
    before = (0, 0)
    for point in points:
        steps += [point[0] - before[0], point[1] - before[1]]
        before = point
    return steps


def _where(shapes: Sequence[Shape], bounds: Bounds) -> str:
    """Describe where *shapes* and the stations are, and whether x and y are swapped."""
    x, y = shapes[0].points[0]
    lon, lat = bounds.centre
    text = f"shapes are near {y:.3f}, {x:.3f}, stations near {lat:.3f}, {lon:.3f}"
    exchanged = (
        shape._replace(points=[(b, a) for a, b in shape.points]) for shape in shapes
    )
    if any(bounds.touches(shape.points) for shape in exchanged):
        return f"{text}: longitude must come before latitude in its coordinates"
    return text


def packed(fitted: Fitted, attribution: str = "") -> str:
    """Return *fitted* in the form that a map takes: JSON, deflated, in base64."""
    value: dict[str, Any] = {
        "origin": fitted.origin,
        "shapes": fitted.shapes,
        "attribution": attribution,
    }
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return b64encode(zlib.compress(text.encode(), 9)).decode("ascii")

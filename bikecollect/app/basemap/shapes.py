"""Shapes of a basemap: clip them to the city, simplify them, snap them to a grid."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, radians
from typing import NamedTuple

STEP = 1e-5
"""Degrees of a step of the grid: about a metre."""
METRES = 1.11
"""Metres of a step from south to north."""
CORNERS = 3
"""Minimum points of an area, and of a line that can be simplified."""
DEPTHS = {"LineString": 0, "MultiLineString": 1, "Polygon": 1, "MultiPolygon": 2}
"""Geometries with lines or rings, and the depth of nested lists around these."""
Point = tuple[float, float]
Points = Sequence[Point]


class Shape(NamedTuple):
    """A line, or a ring of an area, of the class *kind*: longitudes and latitudes.

    A ring *is_hole* if it is the inner border of an area.
    """

    kind: str
    is_area: bool
    points: Points
    is_hole: bool = False


@dataclass(frozen=True)
class Bounds:
    """A box in degrees."""

    west: float
    south: float
    east: float
    north: float

    @property
    def centre(self) -> Point:
        """The longitude and latitude of the centre."""
        return (self.west + self.east) / 2, (self.south + self.north) / 2

    def touches(self, points: Points) -> bool:
        """Return whether the box around *points* overlaps this one."""
        box = box_of(points)
        return (
            box.west <= self.east
            and box.east >= self.west
            and box.south <= self.north
            and box.north >= self.south
        )


def box_of(points: Points) -> Bounds:
    """Return the box around *points*."""
    longitudes, latitudes = zip(*points, strict=True)
    return Bounds(min(longitudes), min(latitudes), max(longitudes), max(latitudes))


def clipped(shapes: Iterable[Shape], bounds: Bounds) -> Iterator[Shape]:
    """Yield the parts of *shapes* within *bounds*."""
    for shape in shapes:
        if not bounds.touches(shape.points):
            continue
        clip = _clipped_ring if shape.is_area else _clipped_line
        for points in clip(shape.points, bounds):
            yield shape._replace(points=points)


def _clipped_line(points: Points, bounds: Bounds) -> Iterator[Points]:
    part: list[Point] = []
    for begin, end in pairwise(points):
        inside = _segment(begin, end, bounds)
        if inside is None:
            continue
        if not part or part[-1] != inside[0]:
            if len(part) > 1:
                yield part
            part = [inside[0]]
        part.append(inside[1])
    if len(part) > 1:
        yield part


def _segment(begin: Point, end: Point, bounds: Bounds) -> tuple[Point, Point] | None:
    """Return the part of a line within *bounds*, None if there is none.

    Liang and Barsky's algorithm.
    """
    (x, y), first, last = begin, 0.0, 1.0
    dx, dy = end[0] - x, end[1] - y
    for step, distance in (
        (-dx, x - bounds.west),
        (dx, bounds.east - x),
        (-dy, y - bounds.south),
        (dy, bounds.north - y),
    ):
        if step == 0:
            if distance < 0:
                return None
        elif step < 0:
            first = max(first, distance / step)
        else:
            last = min(last, distance / step)
    if first > last:
        return None
    here = begin if first == 0 else (x + first * dx, y + first * dy)
    there = end if last == 1 else (x + last * dx, y + last * dy)
    return here, there


def _clipped_ring(points: Points, bounds: Bounds) -> Iterator[Points]:
    """Yield the ring, clipped at each side of *bounds* (Sutherland and Hodgman)."""
    ring = list(points)
    for axis, limit, sign in (
        (0, bounds.west, 1),
        (0, bounds.east, -1),
        (1, bounds.south, 1),
        (1, bounds.north, -1),
    ):
        ring = _cut(ring, axis, limit, sign)
        if not ring:
            return
    yield ring


def _cut(ring: Points, axis: int, limit: float, sign: int) -> list[Point]:
    result: list[Point] = []
    for before, point in zip([ring[-1], *ring[:-1]], ring, strict=True):
        inside = sign * (point[axis] - limit) >= 0
        if inside != (sign * (before[axis] - limit) >= 0):
            share = (limit - before[axis]) / (point[axis] - before[axis])
            x, y = (before[k] + share * (point[k] - before[k]) for k in (0, 1))
            result.append((limit, y) if axis == 0 else (x, limit))
        if inside:
            result.append(point)
    return result


def gridded(shape: Shape, origin: Point, metres: float) -> list[tuple[int, int]]:
    """Return *shape* in steps east and north of *origin*, simplified to *metres*.

    Empty if nothing is left. Outer rings turn left, inner ones right.
    """
    west, south = origin
    points = [
        (round((x - west) / STEP), round((y - south) / STEP)) for x, y in shape.points
    ]
    shrink = cos(radians(south))
    line = _simplified(points, metres / METRES, shrink, is_ring=shape.is_area)
    if not shape.is_area:
        return line if len(line) > 1 else []
    doubled = _doubled_area(line)
    if abs(doubled) * shrink < 4 * (metres / METRES) ** 2 or len(line) < CORNERS:
        return []
    return line if (doubled > 0) != shape.is_hole else line[::-1]


def _doubled_area(ring: Sequence[tuple[int, int]]) -> int:
    return sum(
        ax * by - bx * ay
        for (ax, ay), (bx, by) in zip(ring, [*ring[1:], *ring[:1]], strict=True)
    )


def _simplified(
    points: Sequence[tuple[int, int]], tolerance: float, shrink: float, *, is_ring: bool
) -> list[tuple[int, int]]:
    """Return *points* without those closer than *tolerance* to the simplified line.

    Douglas and Peucker's algorithm; a ring keeps its first point and the farthest one.
    """
    points = [
        point for n, point in enumerate(points) if n == 0 or point != points[n - 1]
    ]
    if is_ring and len(points) > 1 and points[0] == points[-1]:
        points = points[:-1]
    if len(points) < CORNERS:
        return list(points)
    ends = [0, len(points) - 1]
    if is_ring:
        points = [*points, points[0]]
        ends = [0, _farthest(points, 0, len(points) - 1, shrink)[1], len(points) - 1]
    kept, spans = set(ends), list(pairwise(ends))
    while spans:
        first, last = spans.pop()
        distance, middle = _farthest(points, first, last, shrink)
        if distance > tolerance:
            kept.add(middle)
            spans += [(first, middle), (middle, last)]
    line = [points[n] for n in sorted(kept)]
    return line[:-1] if is_ring else line


def _farthest(
    points: Sequence[tuple[int, int]], first: int, last: int, shrink: float
) -> tuple[float, int]:
    """Return the distance of the point farthest from a line, and its index."""
    (ax, ay), (bx, by) = points[first], points[last]
    dx, dy = (bx - ax) * shrink, by - ay
    length = dx * dx + dy * dy
    best, place = -1.0, first
    for n in range(first + 1, last):
        x, y = (points[n][0] - ax) * shrink, points[n][1] - ay
        share = min(1.0, max(0.0, (x * dx + y * dy) / length)) if length else 0.0
        distance = (x - share * dx) ** 2 + (y - share * dy) ** 2
        if distance > best:
            best, place = distance, n
    return best**0.5 if best > 0 else 0.0, place

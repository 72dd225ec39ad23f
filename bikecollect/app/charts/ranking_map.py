"""A small map of ranked stations among all others, as SVG without scripts."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import combinations
from math import cos, hypot, radians, sin
from typing import Any

from bikecollect.app.queries.stations import side_by_side

Place = tuple[float, float]
"""Latitude and longitude."""
Point = tuple[float, float]
"""Pixels from the left and from the top."""
Mark = tuple[int, float, float]
"""A number and its point."""
WIDTH, MAX_HEIGHT, EDGE = 320.0, 420.0, 14.0
OUTLIERS = 0.002
RADIUS = 8.0
"""The radius of a numbered mark."""
ROUNDS = 200
"""How often marks are pushed apart at most."""
SLACK = 0.1
"""Pixels of two marks that may lie upon each other."""


class RankingMaps:
    """Maps of the *places* of all stations, by their ids.

    The first map contains all stations, and the others on the page refer to it.
    """

    def __init__(self, places: Mapping[str, Place]) -> None:
        longitudes = side_by_side(lon for _, lon in places.values())
        latitudes = [lat for lat, _ in places.values()]
        drawn = zip(latitudes, longitudes, strict=True)
        places = dict(zip(places, drawn, strict=True))
        self._shrink = cos(radians(sum(y for y, _ in places.values()) / len(places)))
        self._places = places
        south, north = _ends([y for y, _ in places.values()])
        west, east = _ends([x * self._shrink for _, x in places.values()])
        self._west, self._north = west, north
        wide, high = max(east - west, 1e-4), max(north - south, 1e-4)
        self._scale = min((WIDTH - 2 * EDGE) / wide, (MAX_HEIGHT - 2 * EDGE) / high)
        self._width = wide * self._scale + 2 * EDGE
        self._height = high * self._scale + 2 * EDGE
        self._is_first = True

    def svg(self, ranked: Sequence[str], title: str, colour: str) -> str:
        """Return a map called *title* with the *ranked* stations numbered."""
        if self._is_first:
            all_stations = f'<path id="all-stations" d="{self.dots}"/>'
            self._is_first = False
        else:
            all_stations = '<use href="#all-stations"/>'
        marks, leads = self._marks(ranked)
        drawn = "".join(_mark(*mark) for mark in reversed(marks))
        return (
            f'<svg class="ranking-map {escape(colour)}" role="img" '
            f'aria-label="{escape(title)}" '
            f'viewBox="0 0 {self._width:.0f} {self._height:.0f}">'
            f'{all_stations}<path class="leads" d="{leads}"/>{drawn}</svg>'
        )

    def data(self, ranked: Sequence[str], title: str, colour: str) -> dict[str, Any]:
        """Return the same map as data, for a component that draws it."""
        marks, leads = self._marks(ranked)
        return {
            "width": round(self._width),
            "height": round(self._height),
            "title": title,
            "colour": colour,
            "dots": self.dots,
            "marks": marks,
            "leads": leads,
        }

    @property
    def dots(self) -> str:
        """All stations, as the path of an SVG."""
        return "".join(f"M{x:.0f} {y:.0f}h0" for x, y in map(self._at, self._places))

    def _marks(self, ranked: Sequence[str]) -> tuple[list[Mark], str]:
        """Return the marks of the *ranked* stations whose place is known.

        A path leads from each station to its mark, which may be beside it.
        """
        placed = {
            number: self._at(station)
            for number, station in enumerate(ranked, 1)
            if station in self._places
        }
        apart = _apart(list(placed.values()), self._width, self._height)
        leads = (
            f"M{at[0]:.0f} {at[1]:.0f}L{x:.0f} {y:.0f}"
            for at, (x, y) in zip(placed.values(), apart, strict=True)
        )
        marks = [(number, *at) for number, at in zip(placed, apart, strict=True)]
        return marks, "".join(leads)

    def _at(self, station: str) -> tuple[float, float]:
        lat, lon = self._places[station]
        x = (lon * self._shrink - self._west) * self._scale + EDGE
        y = (self._north - lat) * self._scale + EDGE
        return x, y


def _mark(number: int, x: float, y: float) -> str:
    return (
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{RADIUS:.0f}"/>'
        f'<text x="{x:.0f}" y="{y + 3.5:.1f}">{number}</text>'
    )


def _apart(points: Sequence[Point], width: float, height: float) -> list[Point]:
    """Return *points* moved apart, so that no mark hides another one's number.

    All stay within *width* and *height*.

    >>> [(round(x), round(y)) for x, y in _apart([(50, 50), (52, 50)], 100, 100)]
    [(43, 50), (59, 50)]
    """
    moved = list(points)
    for _ in range(ROUNDS):
        near = False
        for one, two in combinations(range(len(moved)), 2):
            (ax, ay), (bx, by) = moved[one], moved[two]
            x, y = bx - ax, by - ay
            missing = 2 * RADIUS - hypot(x, y)
            if missing < SLACK:
                continue
            near = True
            if not x and not y:  # each pair at one place goes another way
                x, y = cos(one + two), sin(one + two)
            push = missing / 2 / hypot(x, y)
            moved[one] = ax - x * push, ay - y * push
            moved[two] = bx + x * push, by + y * push
        moved = [
            (_within(x, width - RADIUS), _within(y, height - RADIUS)) for x, y in moved
        ]
        if not near:
            break
    return moved


def _within(value: float, most: float) -> float:
    return min(max(value, RADIUS), most)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest of *values*, without a few outliers."""
    ordered = sorted(values)
    cut = int(len(ordered) * OUTLIERS)
    return ordered[cut], ordered[len(ordered) - 1 - cut]


def styles() -> str:
    """Return the style sheet of the maps."""
    return files(__package__).joinpath("rankingmap.css").read_text("utf-8")

"""Read the shapes of a GeoJSON file (RFC 7946)."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, NoReturn

from bikecollect.app.basemap.classes import class_of
from bikecollect.app.basemap.shapes import DEPTHS, Point, Shape
from bikecollect.core.errors import UsageError
from bikecollect.core.payload import not_json
from bikecollect.core.text import visible

DEGREES = re.compile(r"(CRS:?84|EPSG:{1,2}4326)$")
"""The ends of names of reference systems with longitude and latitude on WGS 84."""
CONVERT = "convert it with: ogr2ogr -t_srs EPSG:4326 -f GeoJSON new.geojson"
POINTS = ("Point", "MultiPoint")
DEEPEST = 20
EAST, POLE = 180, 90
MAX_QUOTED = 40


def shapes_of(data: bytes, name: str) -> list[Shape]:
    """Return the lines and rings in *data*; errors begin with *name*.

    Raises UsageError if it is not GeoJSON, has coordinates in another reference system,
    or has nothing to draw.
    """
    document = _parsed(data, name)
    _check_type(document, name)
    _check_system(document, name)
    shapes: list[Shape] = []
    points = skipped = 0
    for number, (properties, geometry) in enumerate(_geometries(document), 1):
        where = f"{name}: geometry {number}"
        kind = geometry.get("type")
        if kind in POINTS:
            points += 1
            continue
        if kind not in DEPTHS:
            raise UsageError(f'{where} has the unknown type "{_short(kind)}"')
        is_area = "Polygon" in kind
        drawn = class_of(properties, is_area=is_area)
        if drawn is None:
            skipped += 1
            continue
        coordinates = geometry.get("coordinates")
        shapes += _shapes(coordinates, DEPTHS[kind], where, drawn, is_area=is_area)
    if not shapes:
        counts = f"{points} points, {skipped} buildings and footpaths"
        raise UsageError(
            f"{name}: nothing to draw: no line and no area ({counts} are not drawn)"
        )
    return shapes


def _parsed(data: bytes, name: str) -> Mapping[str, Any]:
    def reject(text: str) -> NoReturn:
        raise ValueError(f"the number {text}")

    try:
        document = json.loads(data.decode("utf-8-sig"), parse_constant=reject)
    except RecursionError as error:
        raise UsageError(f"{name}: not GeoJSON: nested too deeply") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: not GeoJSON: not a text in UTF-8") from error
    except ValueError as error:
        raise UsageError(f"{name}: {not_json(data, error)}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{name}: not GeoJSON: the top-level value is not an object")
    return document


def _check_type(document: Mapping[str, Any], name: str) -> None:
    kind = document.get("type")
    if kind == "Topology":
        raise UsageError(f"{name}: TopoJSON cannot be read; convert it with: topo2geo")
    known = ("FeatureCollection", "Feature", "GeometryCollection", *DEPTHS, *POINTS)
    if kind not in known:
        raise UsageError(f'{name}: not GeoJSON: its type is "{_short(kind)}"')


def _check_system(document: Mapping[str, Any], name: str) -> None:
    """Raise UsageError for coordinates in another reference system."""
    crs = document.get("crs")
    properties = crs.get("properties") if isinstance(crs, dict) else None
    system = properties.get("name") if isinstance(properties, dict) else None
    if crs and not (isinstance(system, str) and DEGREES.search(system.upper())):
        raise UsageError(
            f'{name}: its coordinates are in "{_short(system)}", not in degrees of '
            f"WGS 84; {CONVERT} {name}"
        )


def _geometries(
    value: Any, properties: Mapping[str, Any] | None = None, depth: int = 0
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield each geometry in *value* with the properties of its feature."""
    if not isinstance(value, dict) or depth > DEEPEST:
        return
    own = value.get("properties")
    properties = own if isinstance(own, dict) else properties or {}
    if value.get("type") == "Feature":
        yield from _geometries(value.get("geometry"), properties, depth + 1)
        return
    for key in ("features", "geometries"):
        members = value.get(key)
        if isinstance(members, list):
            for member in members:
                yield from _geometries(member, properties, depth + 1)
            return
    yield properties, value


def _shapes(
    coordinates: Any, depth: int, where: str, kind: str, *, is_area: bool
) -> Iterator[Shape]:
    if depth > is_area:
        for part in _list(coordinates, where):
            yield from _shapes(part, depth - 1, where, kind, is_area=is_area)
        return
    lines = _list(coordinates, where) if is_area else [coordinates]
    for number, line in enumerate(lines):
        points = [_point(position, where) for position in _list(line, where)]
        if len(points) > 1:
            yield Shape(kind, is_area, points, is_hole=is_area and number > 0)


def _list(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise UsageError(f"{where} has coordinates that are not lists of numbers")
    return value


def _point(position: Any, where: str) -> Point:
    """Return the longitude and latitude of *position*; raises UsageError."""
    match position:
        case [int() | float() as x, int() | float() as y, *_]:
            pass
        case _:
            raise UsageError(f"{where} has a position that is not [number, number]")
    if not (isfinite(x) and isfinite(y)) or abs(x) > EAST or abs(y) > POLE:
        raise UsageError(
            f"{where} has the position [{x}, {y}], which is not in degrees of WGS 84 "
            f"(longitude, latitude); {CONVERT} FILE"
        )
    return float(x), float(y)


def _short(value: object) -> str:
    text = visible(str(value))
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}..."

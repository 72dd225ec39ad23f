"""Classes of shapes, by the properties of OpenStreetMap and of its tiles."""

from collections.abc import Mapping
from typing import Any

WATER, RIVER, GREEN, LAND, AREA = "water", "river", "green", "land", "area"
MAJOR, MINOR, RAIL, BORDER, LINE = "major", "minor", "rail", "border", "line"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


AREAS = frozenset({WATER, GREEN, LAND, AREA})
CLASSES = AREAS | {RIVER, MAJOR, MINOR, RAIL, BORDER, LINE}
WATERS = _words(
    "water ocean sea lake river riverbank bay dock basin reservoir canal strait"
)
GREENS = _words(
    "park garden forest wood grass grassland meadow cemetery golf_course orchard "
    "nature_reserve recreation_ground village_green scrub heath pitch farmland "
    "vineyard wetland allotments landcover"
)
LANDS = frozenset({"land", "earth", "landmass", "island"})
MAJORS = _words(
    "motorway trunk primary secondary highway major_road motorway_link trunk_link "
    "primary_link secondary_link"
)
SKIPPED_WAYS = _words(
    "path footway steps service track pedestrian corridor construction proposed "
    "platform raceway bridleway elevator ferry aerialway pier"
)
RAILS = _words("rail subway light_rail tram narrow_gauge monorail railway")
ROADS = frozenset({"road", "roads", "street", "streets", "transportation"})
BUILDINGS = frozenset({"building", "buildings"})
BORDERS = frozenset({"boundary", "boundaries", "admin"})
KINDS = ("kind", "class", "type", "fclass")


def class_of(
    properties: Mapping[str, Any], *, layer: str = "", is_area: bool
) -> str | None:
    """Return the class of a shape, None if it is not drawn (a building, a path).

    >>> class_of({"natural": "water"}, is_area=True)
    'water'
    >>> class_of({"highway": "primary"}, is_area=False)
    'major'
    >>> class_of({"kind": "park"}, layer="landuse", is_area=True)
    'green'
    """
    tags = {
        key: value.lower()
        for key, value in properties.items()
        if isinstance(value, str)
    }
    words = {tags[key] for key in KINDS if key in tags} | {layer.lower()}
    own = words & CLASSES
    if tags.get("building", "no") != "no" or words & BUILDINGS:
        return None
    if "admin_level" in properties or "boundary" in tags or words & BORDERS:
        return BORDER
    if is_area:
        return _area_class(tags, words, own & AREAS)
    return _line_class(tags, words, own - AREAS)


def _area_class(tags: Mapping[str, str], words: set[str], own: set[str]) -> str | None:
    words = words | {
        tags[key]
        for key in ("natural", "landuse", "leisure", "waterway")
        if key in tags
    }
    if own:
        return min(own)
    if words & WATERS or "water" in tags:
        return WATER
    if words & GREENS:
        return GREEN
    if words & LANDS or "land" in tags.get("place", ""):
        return LAND
    # A square is drawn as part of a street.
    return None if "highway" in tags or words & ROADS else AREA


def _line_class(tags: Mapping[str, str], words: set[str], own: set[str]) -> str | None:
    if own:
        return min(own)
    if "railway" in tags or words & RAILS:
        return RAIL
    ways = words | {tags["highway"]} if "highway" in tags else words
    if "highway" in tags or words & ROADS:
        if ways & SKIPPED_WAYS:
            return None
        return MAJOR if ways & MAJORS else MINOR
    waters = {"waterway", "coastline"} | WATERS
    if "waterway" in tags or tags.get("natural") == "coastline" or words & waters:
        return RIVER
    return LINE

"""Vehicle types: which are electric, and how many of each kind stand at a station."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bikecollect.core.errors import PayloadError
from bikecollect.feeds.reading.aliases import plain
from bikecollect.feeds.reading.json_payload import at, decode
from bikecollect.feeds.reading.values import count, text

Said = Mapping[str, Any]
UNTYPED = "num_untyped_vehicles_available"
ELECTRIC = {"electric": True, "electric_assist": True}
ELECTRIC |= dict.fromkeys(
    (
        *("human", "combustion", "combustion_diesel", "hybrid", "plug_in_hybrid"),
        "hydrogen_fuel_cell",
    ),
    False,
)
"""Which ways to move are electric; of others, and of none said, it is not known."""
BICYCLES = {
    ("bicycle", False): "num_bicycles_available",
    ("bicycle", True): "num_ebicycles_available",
    ("cargo_bicycle", False): "num_cargo_bicycles_available",
    ("cargo_bicycle", True): "num_cargo_ebicycles_available",
}
OTHERS = {
    "scooter": "num_scooters_available",
    "scooter_standing": "num_scooters_available",
    "scooter_seated": "num_seated_scooters_available",
    "moped": "num_mopeds_available",
    "car": "num_cars_available",
    "other": "num_other_vehicles_available",
}
NAMED = {
    **dict.fromkeys(("mechanical", "classic", "yb1", "yb2"), "num_bicycles_available"),
    **dict.fromkeys(("ebike", "ebikes", "eyb"), "num_ebicycles_available"),
    "generalbikes": "num_bicycles_available",
    "electricbikes": "num_ebicycles_available",
}
"""The kinds of the names by which operators count, without case and underscores."""


class VehicleType(NamedTuple):
    """A type: whether it is electric, None for not said, and the column of its kind."""

    electric: bool | None
    column: str


@dataclass
class VehicleTypes:
    """The types that a system lists, by id, and those that it does not but uses."""

    types: Mapping[str, VehicleType]
    unknown: set[str] = field(default_factory=set)

    def ebikes(self, said: Said) -> int | None:
        """Return the electric vehicles, summed from the counts by type.

        None where one of the vehicles is of a type of which nobody says how it moves.
        """
        listed = said["by_type"]
        if not isinstance(listed, list):
            return None
        total = 0
        for each in listed:
            name, number = _counted(each)
            moves = self._electric(name)
            if number != 0 and moves is None:
                self.unknown.add(name)
            if (number is None and moves) or (number != 0 and moves is None):
                return None
            total += (number or 0) if moves else 0
        silent = not any(_counted(each)[1] for each in listed)
        return None if silent and said["num_vehicles_available"] else total

    def kinds(self, said: Said, _: int | None) -> dict[str, int]:
        """Return the vehicles of each kind at a station, by column."""
        listed = said["by_type"]
        found: dict[str, int] = {}
        for each in listed if isinstance(listed, list) else ():
            name, number = _counted(each)
            if number is not None:
                known = self.types.get(name)
                column = known.column if known else UNTYPED
                found[column] = found.get(column, 0) + number
        return found or named_kinds(said["by_name"])

    def findings(self) -> dict[str, str]:
        """Return what people should know of types that are not told enough of."""
        if not self.unknown:
            return {}
        names = ", ".join(sorted(self.unknown)[:5])
        return {
            "unknown types": (
                f"vehicle_types does not say how {len(self.unknown)} types move, such "
                f"as {names}: e-bikes are empty, not 0, where these stand"
            )
        }

    def _electric(self, name: str) -> bool | None:
        known = self.types.get(name)
        return known.electric if known else None


def read(body: bytes | None) -> VehicleTypes | None:
    """Return the types that the vehicle_types document *body* lists, None for none."""
    try:
        types = at(decode(body), "data.vehicle_types") if body is not None else None
    except PayloadError:
        return None
    if not isinstance(types, list):
        return None
    return VehicleTypes(
        {text(at(each, "vehicle_type_id")) or "": _type(each) for each in types}
    )


def _type(listed: Any) -> VehicleType:
    moves = ELECTRIC.get(text(at(listed, "propulsion_type")) or "")
    form = text(at(listed, "form_factor")) or ""
    column = OTHERS.get(form, UNTYPED)
    if moves is not None:
        column = BICYCLES.get((form, moves), column)
    return VehicleType(moves, column)


def _counted(listed: Any) -> tuple[str, int | None]:
    name = text(at(listed, "vehicle_type_id")) or ""
    return name, count(at(listed, "count"))


def vehicles(said: Said) -> int | None:
    """Return the vehicles of all types together, None where they are not counted."""
    types = said["by_type"]
    if not isinstance(types, list):
        return None
    counts = [_counted(each)[1] for each in types]
    return sum(each for each in counts if each is not None)


def named_kinds(detail: Any) -> dict[str, int]:
    """Return the kinds in a count by the operator's own names, those that are known.

    >>> named_kinds([{"mechanical": 3}, {"ebike": 2}])
    {'num_bicycles_available': 3, 'num_ebicycles_available': 2}
    >>> named_kinds("5,2"), named_kinds({"ICONIC": 1})
    ({}, {})
    """
    maps = detail if isinstance(detail, list) else [detail]
    found: dict[str, int] = {}
    for each in maps:
        for name, value in each.items() if isinstance(each, Mapping) else ():
            column, number = NAMED.get(plain(str(name)), ""), count(value)
            if column and number is not None:
                found[column] = found.get(column, 0) + number
    return found


def bicycles(said: Said, ebikes: int | None) -> dict[str, int]:
    """Return the kinds of a system that has bicycles only, *ebikes* of them electric.

    >>> bicycles({"num_vehicles_available": 7}, 2)
    {'num_bicycles_available': 5, 'num_ebicycles_available': 2}
    """
    total = count(said["num_vehicles_available"])
    if total is None or ebikes is None or ebikes > total:
        return {}
    return {"num_bicycles_available": total - ebikes, "num_ebicycles_available": ebikes}

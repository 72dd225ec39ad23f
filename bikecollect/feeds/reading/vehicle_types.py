"""Vehicle types: which are electric, and how many of each kind are at a station."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from bikecollect.core.errors import PayloadError
from bikecollect.core.snapshot import REPORTED_SHARE
from bikecollect.feeds.reading.aliases import (
    Aliases,
    Table,
    gbfs_document,
    list_in,
    plain,
)
from bikecollect.feeds.reading.values import SENTINELS, Counts, RawCounts, count, text

DETAILS = ("vehicle_types_available", "vehicles_types_available")
PATHS = ("data.vehicle_types", "data.vehicles_types", "vehicle_types", "data")
"""Where a station has its counts by type, and a document its list of types."""
IDS = ("vehicle_type_id",)
UNTYPED = "num_untyped_vehicles_available"
ELECTRIC = {"electric": True, "electric_assist": True}
ELECTRIC |= {"human": False, "combustion": False, "combustion_diesel": False}
ELECTRIC |= {"hybrid": False, "plug_in_hybrid": False, "hydrogen_fuel_cell": False}
"""Whether a propulsion type is electric; unknown for types not listed here."""
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
"""Columns by names that operators use for kinds, without case and underscores."""


TOTALS = {
    "vehicle_types_available": "num_vehicles_available",
    "vehicle_docks_available": "num_docks_available",
}
"""The counts by type of a station, and the columns of their totals."""


class VehicleType(NamedTuple):
    """A type: whether it is electric (None if unknown), and the column of its kind."""

    electric: bool | None
    column: str


@dataclass
class VehicleTypes:
    """The types that a system lists, by id; *unknown* collects other ids in use."""

    types: Mapping[str, VehicleType]
    unknown: set[str] = field(default_factory=set)

    def ebikes(self, raw: RawCounts) -> int | None:
        """Return the electric vehicles, summed from the counts by type.

        None if the propulsion of one of the types counted is unknown.
        """
        if not isinstance(raw["by_type"], list | Mapping):
            return None
        counts = entries(raw["by_type"])
        total = 0
        for item in counts:
            type_id, number = _type_count(item)
            electric = self._electric(type_id)
            if number != 0 and electric is None:
                self.unknown.add(type_id)
            if (number is None and electric) or (number != 0 and electric is None):
                return None
            total += (number or 0) if electric else 0
        all_zero = not any(map(_number, counts))
        return None if all_zero and raw["num_vehicles_available"] else total

    def kinds(self, raw: RawCounts, _: int | None) -> dict[str, int]:
        """Return the vehicles of each kind at a station, by column."""
        kinds: dict[str, int] = {}
        for item in entries(raw["by_type"]):
            type_id, number = _type_count(item)
            if number is not None:
                known = self.types.get(type_id)
                column = known.column if known else UNTYPED
                kinds[column] = kinds.get(column, 0) + number
        return kinds or named_kinds(raw["by_name"])

    def findings(self) -> dict[str, str]:
        """Return a sentence about the types whose propulsion is unknown, by a key."""
        if not self.unknown:
            return {}
        names = ", ".join(sorted(self.unknown)[:5])
        return {
            "unknown types": (
                f"vehicle_types has no known propulsion_type for {len(self.unknown)} "
                f"types, such as {names}: e-bikes are left empty, not 0, at stations "
                "with such vehicles"
            )
        }

    def _electric(self, type_id: str) -> bool | None:
        known = self.types.get(type_id)
        return known.electric if known else None


def read(body: bytes | None) -> VehicleTypes | None:
    """Return the types in the vehicle_types document *body*, None if unreadable."""
    try:
        types = None if body is None else list_in(gbfs_document(body), PATHS, IDS)
    except PayloadError:
        return None
    if types is None:
        return None
    return VehicleTypes(
        {text(_field(item, "vehicle_type_id")) or "": _type(item) for item in types}
    )


def _field(item: Any, name: str) -> Any:
    """Return the field *name* of *item* in any spelling, None if there is none."""
    if type(item) is not dict or name in item:
        return item[name] if type(item) is dict else None
    return next((item[key] for key in item if plain(key) == plain(name)), None)


def _type(item: Any) -> VehicleType:
    electric = ELECTRIC.get(_word(_field(item, "propulsion_type")))
    form = _word(_field(item, "form_factor"))
    column = OTHERS.get(form, UNTYPED)
    if electric is not None:
        column = BICYCLES.get((form, electric), column)
    return VehicleType(electric, column)


def _word(value: Any) -> str:
    """Return *value* as a word of GBFS, which some publishers write otherwise.

    >>> _word("Electric-Assist"), _word(None)
    ('electric_assist', '')
    """
    return (text(value) or "").lower().replace("-", "_").replace(" ", "_")


def detail(station: Mapping[str, Any]) -> Any:
    """Return the counts by type of *station*, None if it has none."""
    return next((station[name] for name in DETAILS if name in station), None)


def entries(detail: Any) -> list[Any]:
    """Return the counts by type in *detail*, empty if there are none.

    Some publishers write an object of counts by id in place of the list.

    >>> entries({"a": 2})
    [{'vehicle_type_id': 'a', 'count': 2}]
    """
    if isinstance(detail, list):
        return detail
    counts = detail.items() if isinstance(detail, Mapping) else ()
    return [{"vehicle_type_id": name, "count": number} for name, number in counts]


def _type_count(item: Any) -> tuple[str, int | None]:
    """Return the type id and the count of *item*, an entry of the counts by type."""
    return text(_field(item, "vehicle_type_id")) or "", _number(item)


def _number(item: Any) -> int | None:
    """Return the count of *item*, an entry of the counts by type."""
    number = count(_field(item, "count"))
    return None if number in SENTINELS else number


def vehicles(raw: RawCounts) -> int | None:
    """Return the sum of the counts by type, None if there are none."""
    types = raw["by_type"]
    if not isinstance(types, list | Mapping):
        return None
    return sum(filter(None, map(_number, entries(types))))


def odd_counts(stations: Sequence[Any]) -> tuple[bool, dict[str, str]]:
    """Return whether counts by type are implausible or no numbers, and a finding.

    >>> odd_counts([{"vehicle_types_available": [{"count": n}]} for n in (2, None)])
    (False, {})
    >>> is_odd, findings = odd_counts([{"vehicle_types_available": [{"count": -1}]}])
    """
    name, counts = "vehicle_types_available", Counts()
    details = (detail(s) for s in stations if type(s) is dict)
    items = chain.from_iterable(map(entries, details))
    counts.column(name, [item.get("count") for item in items if type(item) is dict])
    number = counts.implausible[name] + counts.unread[name]
    if number < max(1, len(stations) * REPORTED_SHARE):
        return bool(number), {}
    example = {**counts.unread_example, **counts.example}[name]
    text = (
        f"{number} counts in {name} are implausible, such as {example}: "
        "they are not counted, and e-bikes are empty there if they are electric"
    )
    return True, {f"implausible {name}": text}


def missing_totals(stations: Sequence[Any], table: Table) -> dict[str, str]:
    """Return findings on totals that stations lack although they have counts by type.

    *table* has the spellings of the totals. The counts are not added up: in recorded
    feeds the sum differs at one station in twelve, and a total that the publisher has
    renamed would remain unnoticed.

    >>> table = {"num_vehicles_available": ("num_bikes_available",)}
    >>> list(missing_totals([{"vehicle_types_available": [{"count": 2}]}], table))
    ['no total num_vehicles_available']
    """
    objects = [station for station in stations if type(station) is dict]
    details = [name for name in TOTALS if any(s.get(name) for s in objects)]
    aliases = Aliases(table, objects if details else ())
    findings = {}
    for detail in details:
        column = TOTALS[detail]
        number = sum(
            bool(s.get(detail)) and aliases.value(s, column) is None for s in objects
        )
        if number:
            findings[f"no total {column}"] = (
                f"{column} is missing at {number} of {len(stations)} stations, "
                "which have counts by type: it is empty there"
            )
    return findings


def named_kinds(detail: Any) -> dict[str, int]:
    """Return the counts in *detail* whose names are known, by column.

    >>> named_kinds([{"mechanical": 3}, {"ebike": 2}])
    {'num_bicycles_available': 3, 'num_ebicycles_available': 2}
    >>> named_kinds("5,2"), named_kinds({"ICONIC": 1})
    ({}, {})
    """
    maps = detail if isinstance(detail, list) else [detail]
    kinds: dict[str, int] = {}
    for item in maps:
        for name, value in item.items() if isinstance(item, Mapping) else ():
            column, number = NAMED.get(plain(str(name)), ""), count(value)
            if column and number is not None:
                kinds[column] = kinds.get(column, 0) + number
    return kinds


def bicycles(raw: RawCounts, ebikes: int | None) -> dict[str, int]:
    """Return the counts by kind of a system of bicycles, *ebikes* of them electric.

    >>> bicycles({"num_vehicles_available": 7}, 2)
    {'num_bicycles_available': 5, 'num_ebicycles_available': 2}
    """
    total = count(raw["num_vehicles_available"])
    if total is None or ebikes is None or ebikes > total:
        return {}
    return {"num_bicycles_available": total - ebikes, "num_ebicycles_available": ebikes}

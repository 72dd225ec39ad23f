"""Read GBFS vehicles (free_bike_status, vehicle_status) into a snapshot."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from typing import Any

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import about
from bikecollect.core.snapshot import REPORTED_SHARE, VehicleSnapshot, VehicleStatus
from bikecollect.feeds.reading import drift, vehicle_types
from bikecollect.feeds.reading.aliases import (
    WHOLE,
    distinct_keys,
    gbfs_document,
    plain,
    with_ids,
)
from bikecollect.feeds.reading.json_payload import (
    MAX_BAD,
    MAX_STATIONS,
    Pace,
    at,
    excerpt,
    first_keys,
    shape,
)
from bikecollect.feeds.reading.stamps import (
    Stamps,
    of_feed,
    other_reading,
    stamp_of,
)
from bikecollect.feeds.reading.values import (
    flag,
    identifier,
    is_nothing,
    number,
    place,
    text,
)

DOCUMENT = "vehicle_status"
"""The name of the document of vehicles in a payload, for every version of GBFS."""
LISTED_AS = (DOCUMENT, "free_bike_status")
"""The names of that document in a gbfs.json, the newest first."""
PATHS = ("data.vehicles", "data.bikes", "vehicles", "bikes", "data.data.bikes")
RARE_PATHS = ("data.free_bikes", "data.free_bike_status", "data.vehicle_status")
IDS = ("vehicle_id", "bike_id")
TYPES = ("vehicle_type_id", "vehicle_type", "type")
MAX_VEHICLES = MAX_STATIONS
USUAL = (
    *IDS,
    *TYPES,
    "lat",
    "lon",
    "is_reserved",
    "is_disabled",
    "station_id",
    "current_range_meters",
    "current_fuel_percent",
    "last_reported",
)
NAMES = {plain(name): name for name in USUAL}
NAMES |= {"latitude": "lat", "longitude": "lon", "lng": "lon"}
"""The names of fields, by how they are compared."""
DECIMALS, FUEL_DECIMALS = 6, 4
"""Decimals that are stored: of degrees (a tenth of a metre), of a share of fuel."""
FARTHEST = 10_000_000
"""Largest plausible range in metres."""
KINDS = {
    "num_bicycles_available": "bicycle",
    "num_ebicycles_available": "ebicycle",
    "num_cargo_bicycles_available": "cargo_bicycle",
    "num_cargo_ebicycles_available": "cargo_ebicycle",
    "num_scooters_available": "scooter",
    "num_seated_scooters_available": "seated_scooter",
    "num_mopeds_available": "moped",
    "num_cars_available": "car",
    "num_other_vehicles_available": "other",
}
"""The kinds of vehicles, by the column that counts each kind at stations."""


def vehicles(body: bytes) -> list[Any]:
    """Return the vehicle objects of a document; raises PayloadError if it has none.

    An empty list is valid: at night all vehicles may be in use.
    """
    return _listed(gbfs_document(body))


def type_ids(body: bytes) -> set[str]:
    """Return the vehicle types in a document of vehicles, none if it has none."""
    try:
        listed = vehicles(body)
    except PayloadError:
        return set()
    return {name for vehicle in listed if (name := _type_id(vehicle))}


def _type_id(vehicle: Any) -> str | None:
    return next((t for t in (text(at(vehicle, key)) for key in TYPES) if t), None)


def _listed(value: Any) -> list[Any]:
    lists = [at(value, path) for path in PATHS if _has(value, path)]
    lists += [item for p in RARE_PATHS if (item := at(value, p)) is not None]
    lists += [item for p in WHOLE if isinstance(item := at(value, p), list) and item]
    # Servers write an empty list as null (Go) or as an object (PHP).
    lists = [
        with_ids(item, IDS) if isinstance(item, Mapping) else item or []
        for item in lists
    ]
    vehicles = next((item for item in lists if item), lists[0] if lists else None)
    if not isinstance(vehicles, list):
        raise PayloadError(
            "the response has no list data.vehicles or data.bikes",
            quote=f" (found: {first_keys(value)})",
        )
    if len(vehicles) > MAX_VEHICLES:
        raise PayloadError(
            f"the response has {len(vehicles)} vehicles, more than {MAX_VEHICLES}",
            cause="too-large",
        )
    return _with_usual_names(vehicles)


def _with_usual_names(vehicles: list[Any]) -> list[Any]:
    """Return *vehicles* with the usual names of fields that are written otherwise.

    Case, underscores and hyphens are ignored, as in lists of stations.
    """
    keys = distinct_keys(v for v in vehicles if type(v) is dict)
    usual = {key: NAMES.get(plain(key), key) for key in keys}
    if all(key == name for key, name in usual.items()):
        return vehicles
    return [
        _renamed(vehicle, usual) if type(vehicle) is dict else vehicle
        for vehicle in vehicles
    ]


def _renamed(vehicle: Mapping[str, Any], usual: Mapping[str, str]) -> dict[str, Any]:
    """Return *vehicle* with *usual* names; exact ones come first, nulls last."""
    last = [(usual[key], value) for key, value in vehicle.items() if value is None]
    named = [(usual[key], value) for key, value in vehicle.items() if value is not None]
    exact = [(k, v) for k, v in vehicle.items() if k in USUAL and v is not None]
    return dict([*last, *named, *exact])


def _has(value: Any, path: str) -> bool:
    """Return whether *value* has an item at the dotted *path*, even if it is null."""
    parent, _, name = path.rpartition(".")
    container = at(value, parent)
    return isinstance(container, Mapping) and name in container


def snapshot(
    bodies: Mapping[str, bytes], zone: tzinfo = UTC, fetched_at: float = 0.0
) -> VehicleSnapshot:
    """Return the vehicles in the documents *bodies* (by name); raises PayloadError.

    Stamps without a zone are in UTC or *zone*, see `of_feed`.
    """
    types = vehicle_types.read(bodies.get("vehicle_types"))
    with about(DOCUMENT):
        return _snapshot(gbfs_document(bodies[DOCUMENT]), types, zone, fetched_at)


def _snapshot(
    value: Any,
    types: vehicle_types.VehicleTypes | None,
    zone: tzinfo,
    fetched_at: float,
) -> VehicleSnapshot:
    """Return the vehicles in the document *value*."""
    updated = stamp_of(value)
    stamps = of_feed(updated, zone, fetched_at)
    listed = _listed(value)
    reported = [v.get("last_reported") for v in listed if type(v) is dict]
    own = stamps.of_reports(reported)
    parsed = _Reader(listed, _kinds(types), own).snapshot(value)
    stamp = stamps(updated)
    other = other_reading(updated, stamp, zone)
    return replace(parsed, last_updated=stamp, other_stamp=other)


def _kinds(types: vehicle_types.VehicleTypes | None) -> dict[str, str]:
    """Return the kinds of vehicles by type id; types of unknown kind are absent."""
    known = types.types.items() if types else ()
    return {name: KINDS[t.column] for name, t in known if t.column in KINDS}


@dataclass
class _Reader:
    """Reads *vehicles*, a list of JSON objects; *kinds* are those of their types."""

    vehicles: list[Any]
    kinds: Mapping[str, str]
    stamps: Stamps
    bad: Counter[str] = field(default_factory=Counter)
    example: dict[str, str] = field(default_factory=dict)
    unknown_types: set[str] = field(default_factory=set)

    def snapshot(self, value: Any) -> VehicleSnapshot:
        """Return all vehicles that can be read; *value* is the whole document."""
        statuses: dict[str, VehicleStatus] = {}
        dropped = duplicates = 0
        for part in Pace()(self.vehicles):
            for vehicle in part:
                vehicle_id = _vehicle_id(vehicle)
                if vehicle_id is None:
                    dropped += 1
                elif vehicle_id in statuses:
                    duplicates += 1
                else:
                    statuses[vehicle_id] = self._status(vehicle_id, vehicle)
        nameless = self._check(dropped)
        ttl = number(at(value, "ttl"))
        return VehicleSnapshot(
            statuses=tuple(statuses.values()),
            ttl=int(ttl) if ttl is not None else None,
            shape=shape(self.vehicles),
            dropped=dropped,
            duplicates=duplicates,
            flags=("implausible",) if self.bad else (),
            findings=nameless | self._findings() | self._without_places(statuses),
        )

    def _without_places(self, statuses: Mapping[str, VehicleStatus]) -> dict[str, str]:
        """Return a finding if no vehicle has a location or a station."""
        places = ((v.lat, v.station_id) for v in statuses.values())
        if self.bad["lat and lon"] or any(place != (None, None) for place in places):
            return {}
        if not statuses:
            return {}
        text = f"none of {len(statuses)} vehicles has a location or a station"
        return {"no locations": f"{text}; the first one is {excerpt(self.vehicles[0])}"}

    def _status(self, vehicle_id: str, vehicle: Mapping[str, Any]) -> VehicleStatus:
        get = vehicle.get
        lat, lon = self._place(get("lat"), get("lon"))
        return VehicleStatus(
            vehicle_id,
            lat,
            lon,
            self._type(vehicle),
            self._flag("is_reserved", get("is_reserved")),
            self._flag("is_disabled", get("is_disabled")),
            self._range(get("current_range_meters")),
            self._fuel(get("current_fuel_percent")),
            identifier(get("station_id")),
            self._stamp(get("last_reported")),
        )

    def _place(self, lat: Any, lon: Any) -> tuple[float | None, float | None]:
        north, east = place(lat, lon)
        if north is None or east is None:
            if lat is not None or lon is not None:
                self._count("lat and lon", [lat, lon])
            return None, None
        return round(north, DECIMALS), round(east, DECIMALS)

    def _type(self, vehicle: Mapping[str, Any]) -> str | None:
        """Return the kind of *vehicle*, the publisher's type if its kind is unknown."""
        name = _type_id(vehicle)
        if name is None:
            self._count("vehicle_type_id", vehicle.get("vehicle_type_id"))
        if name is None or name in self.kinds:
            return self.kinds.get(name or "")
        self.unknown_types.add(name)
        return name

    def _flag(self, column: str, value: Any) -> bool | None:
        parsed = flag(value)
        if parsed is None:
            self._count(column, value)
        return parsed

    def _stamp(self, value: Any) -> int | None:
        parsed = self.stamps(value)
        if parsed is None and not drift.is_zero(value):
            self._count("last_reported", value)
        return parsed

    def _range(self, value: Any) -> int | None:
        metres = number(value)
        if metres is not None and 0 <= metres <= FARTHEST:
            return round(metres)
        self._count("current_range_meters", value)
        return None

    def _fuel(self, value: Any) -> float | None:
        share = number(value)
        if share is not None and 0 <= share <= 1:
            return round(share, FUEL_DECIMALS)
        self._count("current_fuel_percent", value)
        return None

    def _count(self, column: str, value: Any) -> None:
        """Count *value* as implausible for *column*, unless it is empty."""
        if value is not None and value != "" and not is_nothing(value):
            self.bad[column] += 1
            self.example.setdefault(column, excerpt(value))

    def _check(self, dropped: int) -> dict[str, str]:
        """Return a finding if vehicles have no id; raises PayloadError for many."""
        if not dropped:
            return {}
        total = len(self.vehicles)
        example = excerpt(next(v for v in self.vehicles if _vehicle_id(v) is None))
        if dropped > total * MAX_BAD:
            raise PayloadError(
                f"{dropped} of {total} vehicles have no vehicle_id or bike_id",
                cause="drift",
                quote=f", such as {example[:200]}",
            )
        return drift.nameless(dropped, total, "vehicles", example)

    def _findings(self) -> dict[str, str]:
        total = len(self.vehicles)
        findings = {
            f"implausible {column}": (
                f"{column} is implausible at {count} of {total} vehicles, such as "
                f"{self.example[column]}: it is left empty there"
            )
            for column, count in self.bad.items()
            if count >= total * REPORTED_SHARE
        }
        if self.kinds and self.unknown_types:
            names = ", ".join(sorted(self.unknown_types)[:5])
            findings["unknown vehicle types"] = (
                f"vehicle_types gives no kind for {len(self.unknown_types)} types of "
                f"vehicles, such as {names}: the publisher's id is kept"
            )
        return findings


def _vehicle_id(vehicle: Any) -> str | None:
    if type(vehicle) is not dict:
        return None
    ids = (identifier(vehicle.get(name)) for name in IDS)
    return next((text for text in ids if text), None)

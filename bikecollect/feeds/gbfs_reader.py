"""GBFS documents to a snapshot: pure, for every version and its oddities."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from bikecollect.core.errors import PayloadError
from bikecollect.core.snapshot import Snapshot, StationInformation, StationStatus
from bikecollect.feeds.json_payload import (
    at,
    decode,
    missing,
    objects,
    shape,
    too_many_bad,
)
from bikecollect.feeds.stamps import Stamps
from bikecollect.feeds.values import count, flag, number, place, text

VEHICLES = ("num_vehicles_available", "num_bikes_available")
DISABLED = ("num_vehicles_disabled", "num_bikes_disabled")
BY_TYPE = ("num_bikes_available_types", "num_vehicles_available_types")
OURS = frozenset(
    {
        *("station_id", "num_docks_available", "num_docks_disabled", "is_installed"),
        *("is_renting", "is_returning", "last_reported", "num_ebikes_available"),
        *("vehicle_types_available", "vehicle_docks_available"),
        *(*VEHICLES, *DISABLED, *BY_TYPE),
    }
)
ELECTRIC = frozenset({"electric", "electric_assist"})
UPDATED = ("last_updated", "lastUpdatedOther", "lastUpdated")


def stations(body: bytes) -> list[Any]:
    """Return the station objects of a status or information document.

    Raises PayloadError where there are none.
    """
    value = decode(body)
    for path in ("data.stations", "data.data.stations", "stations"):
        found = at(value, path)
        if found is not None:
            return objects(found, path)
    keys = ", ".join(list(value)[:8]) if isinstance(value, Mapping) else repr(value)
    raise PayloadError(f"it has no data.stations (there is: {keys[:200]})")


def ids(body: bytes) -> set[str]:
    """Return the station ids in a document; none where it cannot be read."""
    try:
        found = (_id(each) for each in stations(body))
        return {each for each in found if each is not None}
    except PayloadError:
        return set()


def snapshot(bodies: Mapping[str, bytes], zone: tzinfo, language: str) -> Snapshot:
    """Return what the documents *bodies* (by name) say; raises PayloadError."""
    if "station_status" not in bodies:
        raise PayloadError(
            "there is no station_status: a system without stations cannot be collected"
        )
    body = bodies["station_status"]
    listed = stations(body)
    if not any(isinstance(s, dict) and any(v in s for v in VEHICLES) for s in listed):
        raise missing(listed, VEHICLES[0], VEHICLES, OURS)
    stamp = Stamps(zone)
    electric = _electric(bodies.get("vehicle_types"))
    statuses: dict[str, StationStatus] = {}
    dropped = duplicates = 0
    example = ""
    for each in listed:
        status = _status(each, stamp, electric)
        if status is None:
            dropped += 1
            example = example or repr(each)
        elif status.station_id in statuses:
            duplicates += 1
        else:
            statuses[status.station_id] = status
    too_many_bad(dropped, len(listed), example)
    information = _about(bodies, listed, language)
    value = decode(body)
    updated = next((value[k] for k in UPDATED if at(value, k) is not None), None)
    ttl = number(at(value, "ttl"))
    return Snapshot(
        statuses=tuple(statuses.values()),
        information=information,
        lists_all=bool(information),
        last_updated=stamp(updated),
        ttl=int(ttl) if ttl is not None else None,
        shape=shape(listed),
        dropped=dropped,
        duplicates=duplicates,
    )


def _status(
    station: Any, stamp: Stamps, electric: frozenset[str] | None
) -> StationStatus | None:
    station_id = _id(station)
    vehicles = _first(station, VEHICLES)
    if station_id is None or (vehicles is None and _count(station, "docks") is None):
        return None
    return StationStatus(
        station_id,
        vehicles,
        _ebikes(station, electric),
        _count(station, "docks"),
        _first(station, DISABLED),
        count(station.get("num_docks_disabled")),
        None,
        flag(station.get("is_installed")),
        flag(station.get("is_renting")),
        flag(station.get("is_returning")),
        stamp(station.get("last_reported")),
    )


def _count(station: Any, what: str) -> int | None:
    if not isinstance(station, dict):
        return None
    return count(station.get(f"num_{what}_available"))


def _first(station: Any, names: Sequence[str]) -> int | None:
    if not isinstance(station, dict):
        return None
    return next((count(station[name]) for name in names if name in station), None)


def _id(station: Any) -> str | None:
    if not isinstance(station, dict):
        return None
    found = text(station.get("station_id"))
    return None if found is None or found.endswith(":null") else found


def _ebikes(station: dict[str, Any], electric: frozenset[str] | None) -> int | None:
    """Return the electric vehicles: as given, or summed from the counts by type."""
    if "num_ebikes_available" in station:
        return count(station["num_ebikes_available"])
    named = next((station[name] for name in BY_TYPE if name in station), None)
    if named is not None:
        return _ebikes_named(named)
    types = station.get("vehicle_types_available")
    if not isinstance(types, list) or electric is None:
        return None
    counts = [
        count(each.get("count"))
        for each in types
        if isinstance(each, dict) and text(each.get("vehicle_type_id")) in electric
    ]
    known = [each for each in counts if each is not None]
    return sum(known) if len(known) == len(counts) else None


def _ebikes_named(value: Any) -> int | None:
    """Return the e-bikes of Vélib's list of one-key maps, or of one map."""
    maps = value if isinstance(value, list) else [value]
    found = [
        each["ebike"] for each in maps if isinstance(each, dict) and "ebike" in each
    ]
    return count(found[0]) if found else None


def _electric(body: bytes | None) -> frozenset[str] | None:
    """Return the ids of electric vehicle types, None where types are not told."""
    if body is None:
        return None
    try:
        types = at(decode(body), "data.vehicle_types")
    except PayloadError:
        return None
    if not isinstance(types, list):
        return None
    return frozenset(
        text(each.get("vehicle_type_id")) or ""
        for each in types
        if isinstance(each, dict) and text(each.get("propulsion_type")) in ELECTRIC
    )


def _about(
    bodies: Mapping[str, bytes], listed: Sequence[Any], language: str
) -> tuple[StationInformation, ...]:
    """Return the station information, which some feeds mix into the status."""
    body = bodies.get("station_information")
    try:
        found = stations(body) if body is not None else listed
    except PayloadError:
        return ()
    known = {
        i: _information(i, each, language)
        for each in reversed(found)
        if (i := _id(each)) is not None and ("lat" in each or "name" in each)
    }
    return tuple(reversed(known.values()))


def _information(
    station_id: str, station: dict[str, Any], language: str
) -> StationInformation:
    lat, lon = place(station.get("lat"), station.get("lon"))
    name = station.get("name")
    return StationInformation(
        station_id,
        name=_said(name, language),
        short_name=_said(station.get("short_name"), language),
        lat=lat,
        lon=lon,
        capacity=count(station.get("capacity")),
        address=text(station.get("address")),
        region=text(station.get("region_id")),
        post_code=text(station.get("post_code")),
        is_virtual_station=flag(station.get("is_virtual_station")),
        name_en=_said(name, "en") if isinstance(name, list) else None,
    )


def _said(value: Any, language: str) -> str | None:
    """Return a text that is plain, or localised (GBFS 3): in *language* or first."""
    if not isinstance(value, list):
        return text(value)
    texts = {
        str(each.get("language")): text(each.get("text"))
        for each in value
        if isinstance(each, dict)
    }
    return texts.get(language) or next(iter(texts.values()), None)

"""GBFS documents to a snapshot: pure, for every version and its oddities."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, tzinfo
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from bikecollect.core.errors import PayloadError
from bikecollect.core.snapshot import Snapshot, StationInformation
from bikecollect.feeds.reading import vehicle_types
from bikecollect.feeds.reading.aliases import electric
from bikecollect.feeds.reading.fields import STAMP_FORMAT
from bikecollect.feeds.reading.json_payload import at, decode, keys, objects
from bikecollect.feeds.reading.list_queries import LIKELY
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.station_reader import Dialect, Said, StationReader
from bikecollect.feeds.reading.values import identifier, number, text
from bikecollect.feeds.reading.vehicle_types import VehicleTypes

STATUS: Mapping[str, tuple[str, ...]] = {
    "station_id": ("station_id",),
    "num_vehicles_available": ("num_vehicles_available", "num_bikes_available"),
    "num_ebikes_available": ("num_ebikes_available",),
    "num_docks_available": ("num_docks_available",),
    "num_vehicles_disabled": ("num_vehicles_disabled", "num_bikes_disabled"),
    "num_docks_disabled": ("num_docks_disabled",),
    "is_installed": ("is_installed",),
    "is_renting": ("is_renting",),
    "is_returning": ("is_returning",),
    "last_reported": ("last_reported",),
    "by_name": ("num_bikes_available_types", "num_vehicles_available_types"),
    "by_type": ("vehicle_types_available",),
}
INFORMATION: Mapping[str, tuple[str, ...]] = {
    "station_id": ("station_id",),
    "name": ("name",),
    "name_en": ("name",),
    "short_name": ("short_name",),
    "lat": ("lat",),
    "lon": ("lon",),
    "capacity": ("capacity",),
    "address": ("address",),
    "region": ("region_id",),
    "post_code": ("post_code",),
    "is_virtual_station": ("is_virtual_station",),
}
OURS = frozenset(
    name
    for table in (STATUS, INFORMATION)
    for names in table.values()
    for name in names
)
OURS |= {"vehicle_docks_available"}
NEEDED = ("station_id", "num_vehicles_available")
FUTURE = 900.0
"""A feed's own stamp so many seconds ahead is not of this zone."""
FEW = 0.05
"""Share of the stations that may be in one document and not in the other."""
UPDATED = ("last_updated", "lastUpdatedOther", "lastUpdated")


def stations(body: bytes) -> list[Any]:
    """Return the station objects of a status or information document.

    Raises PayloadError where there are none.
    """
    return _listed(decode(body))


def _listed(value: Any) -> list[Any]:
    for path in ("data.stations", "data.data.stations", "stations"):
        found = at(value, path)
        if found is not None:
            return objects(found, path)
    raise PayloadError("it has no data.stations", quote=f" (there is: {keys(value)})")


def ids(body: bytes) -> set[str]:
    """Return the station ids in a document; none where it cannot be read."""
    try:
        found = (_id(each) for each in stations(body))
        return {each for each in found if each is not None}
    except PayloadError:
        return set()


class Way(NamedTuple):
    """How a system is read: naive stamps in *zone* where UTC cannot be.

    *fields* are those that a user names for single columns; *kinds* says whether the
    kinds of vehicles are counted.
    """

    zone: tzinfo
    language: str
    fields: Mapping[str, str] = {}
    kinds: bool = False


def snapshot(
    bodies: Mapping[str, bytes], way: Way, fetched_at: float = 0.0
) -> Snapshot:
    """Return what the documents *bodies* (by name) say; raises PayloadError.

    No version allows stamps without a zone: such ones are UTC, or in the system's
    where the feed's own stamp would else lie after *fetched_at*, when it came.
    """
    if "station_status" not in bodies:
        raise PayloadError(
            "there is no station_status: a system without stations cannot be collected"
        )
    # What was parsed is gone before the next document is: national feeds are heavy.
    types = vehicle_types.read(bodies.get("vehicle_types"))
    read = _status(decode(bodies["station_status"]), way, fetched_at, types)
    about = bodies.get("station_information")
    if about is None:
        return read
    regions = _regions(bodies.get("system_regions"), way.language)
    return _informed(read, about, way, regions)


def _status(
    value: Any,
    way: Way,
    fetched_at: float,
    types: VehicleTypes | None,
) -> Snapshot:
    """Return what the status document *value* says."""
    listed = _listed(value)
    updated = next((value[k] for k in UPDATED if at(value, k) is not None), None)
    ttl = number(at(value, "ttl"))
    stamp = _stamps(updated, way, fetched_at)
    dialect = status_dialect(way, types)
    read = StationReader(listed, dialect, stamp).snapshot()
    return replace(
        read,
        statuses=tuple(each._replace(capacity=None) for each in read.statuses),
        information=tuple(filter(_says, read.information)),
        lists_all=any(map(_says, read.information)),
        secondary=True,
        last_updated=stamp(updated),
        ttl=int(ttl) if ttl is not None else None,
        findings={**read.findings, **(types.findings() if types else {})},
    )


def _informed(
    read: Snapshot, body: bytes, way: Way, regions: Mapping[str, str]
) -> Snapshot:
    """Return *read* with the station information in *body*, and *regions* by name."""
    dialect = information_dialect(way, regions)
    try:
        about = StationReader(stations(body), dialect, Stamps(UTC)).snapshot()
    except PayloadError as error:
        why = f"station_information cannot be read: {error.unquoted()}"
        return replace(read, incomplete=why)
    here, there = len(read.statuses), len(about.information)
    cut = here in LIKELY and there > here * (1 + FEW)
    words = f"exactly {here} stations came, which is a server's usual page, of {there}"
    return replace(
        read,
        incomplete=words if cut else "",
        information=about.information,
        lists_all=True,
        secondary=False,
        flags=tuple(dict.fromkeys((*read.flags, *about.flags))),
        findings={**read.findings, **about.findings},
    )


def _stamps(updated: Any, way: Way, fetched_at: float) -> Stamps:
    form = way.fields.get(STAMP_FORMAT, "")
    utc = Stamps(UTC, form)
    ahead = (utc(updated) or 0) - fetched_at > FUTURE
    return Stamps(way.zone, form) if ahead and fetched_at else utc


def _says(information: StationInformation) -> bool:
    """Return whether anything but the id is said."""
    return any(each is not None for each in information[1:-1])


def status_dialect(way: Way, types: VehicleTypes | None = None) -> Dialect:
    """Return how a status is written; *types* are those of its vehicles."""
    kinds = types.kinds if types else _by_name
    return Dialect(
        {**STATUS, **INFORMATION},
        NEEDED,
        OURS,
        texts=_texts(way.language),
        ebikes=partial(_ebikes, types=types),
        vehicles=vehicle_types.vehicles,
        kinds=kinds if way.kinds else None,
    ).naming(way.fields)


def information_dialect(
    way: Way, regions: Mapping[str, str] = MappingProxyType({})
) -> Dialect:
    """Return how the station information is written; *regions* have their names."""
    fields = {name: field for name, field in way.fields.items() if name in INFORMATION}
    texts: dict[str, Callable[[Any], str | None]] = {**_texts(way.language)}
    texts["region"] = partial(_region, names=regions)
    return Dialect(INFORMATION, NEEDED[:1], OURS, texts=texts).naming(fields)


def _texts(language: str) -> Mapping[str, Callable[[Any], str | None]]:
    said = partial(_said, language=language)
    return {
        "station_id": _station_id,
        "name": said,
        "short_name": said,
        "name_en": _english,
    }


def _id(station: Any) -> str | None:
    return _station_id(station.get("station_id")) if isinstance(station, dict) else None


def _station_id(value: Any) -> str | None:
    found = identifier(value)
    return None if found is None or found.endswith(":null") else found


def _ebikes(said: Said, types: VehicleTypes | None) -> int | None:
    """Return the electric vehicles by name, or else by type."""
    named = electric(said["by_name"])
    return named if named is not None or types is None else types.ebikes(said)


def _by_name(said: Said, _: int | None) -> Mapping[str, int]:
    return vehicle_types.named_kinds(said["by_name"])


def _regions(body: bytes | None, language: str) -> Mapping[str, str]:
    """Return the name of each region by its id, nothing where they are not told."""
    try:
        listed = at(decode(body), "data.regions") if body is not None else None
    except PayloadError:
        return {}
    if not isinstance(listed, list):
        return {}
    names = (
        (text(at(each, "region_id")), _said(at(each, "name"), language))
        for each in listed
    )
    return {key: name for key, name in names if key and name}


def _region(value: Any, names: Mapping[str, str]) -> str | None:
    found = text(value)
    return names.get(found or "", found)


def _english(value: Any) -> str | None:
    """Return the English one of localised texts, None where a text is plain."""
    return _said(value, "en") if isinstance(value, list) else None


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

"""Read the documents of GBFS (all versions, known deviations) into a snapshot."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, tzinfo
from functools import partial
from itertools import chain, islice
from types import MappingProxyType
from typing import Any, NamedTuple

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import about
from bikecollect.core.snapshot import Snapshot, StationInformation
from bikecollect.feeds.reading import vehicle_types
from bikecollect.feeds.reading.aliases import (
    WHOLE,
    electric,
    gbfs_document,
    with_ids,
)
from bikecollect.feeds.reading.fields import STAMP_FORMAT, Dialect
from bikecollect.feeds.reading.json_payload import MAX_BAD, at, first_keys, objects
from bikecollect.feeds.reading.list_queries import USUAL
from bikecollect.feeds.reading.stamps import Stamps, of_feed, other_reading, stamp_of
from bikecollect.feeds.reading.station_reader import StationReader
from bikecollect.feeds.reading.values import (
    MAX_ID,
    RawCounts,
    english,
    identifier,
    localised,
    number,
    plain_texts,
    text,
)
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
    "by_type": vehicle_types.DETAILS,
}
INFORMATION: Mapping[str, tuple[str, ...]] = {
    "station_id": ("station_id",),
    "name": ("name",),
    "name_en": ("name",),
    "short_name": ("short_name",),
    "lat": ("lat", "latitude", "location.lat", "location.coordinates.1"),
    "lon": ("lon", "lng", "longitude", "location.lon", "location.coordinates.0"),
    "capacity": ("capacity",),
    "address": ("address",),
    "region": ("region_id",),
    "post_code": ("post_code",),
    "is_virtual_station": ("is_virtual_station",),
}
KNOWN_FIELDS = frozenset(chain(*STATUS.values(), *INFORMATION.values()))
KNOWN_FIELDS |= {"vehicle_docks_available"}
REGIONS = ("data.regions", "regions", "data")
"""Where the list of regions may be."""
NEEDED = ("station_id", "num_vehicles_available")
NO_VALUES = StationInformation("")[1:-1]
"""The columns of a station of which only the id is known."""
FEW = 0.05
"""Largest share of stations that may be in only one of the two documents."""
MANY = 3
"""Stations that station_information may lack for a while: they are new."""


def stations(body: bytes) -> list[Any]:
    """Return the station objects of a status or information document.

    Raises PayloadError if there are none.
    """
    return _station_list(gbfs_document(body))


def stations_or_none(body: bytes) -> list[Any]:
    """Return the station objects of a document, none for an empty list or null.

    Raises PayloadError if there is no list.
    """
    value = gbfs_document(body)
    data = at(value, "data")
    is_listed = isinstance(data, Mapping) and "stations" in data
    return _station_list(value) if at(data, "stations") or not is_listed else []


def _station_list(value: Any) -> list[Any]:
    data = at(value, "data")
    # Some put the list one level deeper, for example by language.
    names = islice(data, 9) if isinstance(data, Mapping) else ()
    deeper = (f"data.{name}.stations" for name in names)
    for path in ("data.stations", *deeper, "stations", "data.0.stations", *WHOLE):
        listed, is_whole = at(value, path), path in WHOLE
        if isinstance(listed, Mapping) and not is_whole:
            listed = with_ids(listed, NEEDED[:1])
        if (listed and isinstance(listed, list)) if is_whole else listed is not None:
            listed = objects(listed, path or "the list")
            # CommonsBooking puts each station into a response: data, headers, status.
            is_wrapped = isinstance(at(listed, "0.data"), Mapping)
            return [at(s, "data") for s in listed] if is_wrapped else listed
    quote = f" (it has: {first_keys(value)})"
    raise PayloadError("the response has no data.stations", quote=quote)


def ids(body: bytes) -> set[str]:
    """Return the station ids in a document, none if it cannot be read."""
    listed = _stations_or_nothing(body)
    values = [s.get("station_id") for s in listed if isinstance(s, dict)]
    plain = plain_texts(values, MAX_ID)
    station_ids = map(_not_null, map(identifier, values) if plain is None else plain)
    return {station_id for station_id in station_ids if station_id is not None}


def _stations_or_nothing(body: bytes) -> list[Any]:
    try:
        return stations(body)
    except PayloadError:
        return []


def type_ids(body: bytes) -> set[str]:
    """Return the vehicle types in a status document, none if it cannot be read."""
    listed = (s for s in _stations_or_nothing(body) if type(s) is dict)
    counts = map(vehicle_types.detail, listed)
    items = chain.from_iterable(map(vehicle_types.entries, counts))
    values = (item.get("vehicle_type_id") for item in items if type(item) is dict)
    texts = {value for value in values if type(value) in {str, int, float}}
    return {name for value in texts if (name := text(value))}


def has_information(body: bytes) -> bool:
    """Return whether a status document also has names or coordinates."""
    try:
        first = stations(body)[0]
    except PayloadError:
        return True
    return isinstance(first, dict) and bool({"name", "lat"} & set(first))


class ReadOptions(NamedTuple):
    """How a system is read: naive stamps are in *zone* if they cannot be in UTC.

    *fields* are the user's fields for single columns. If *kinds*, vehicles are counted
    by kind.
    """

    zone: tzinfo
    language: str
    fields: Mapping[str, str] = {}
    kinds: bool = False


def snapshot(
    bodies: Mapping[str, bytes], options: ReadOptions, fetched_at: float = 0.0
) -> Snapshot:
    """Parse the documents *bodies* (by name); raises PayloadError.

    No version allows stamps without a zone: see `of_feed`.
    """
    if "station_status" not in bodies:
        raise PayloadError(
            "no station_status: a system without stations cannot be collected"
        )
    # Each decoded document is freed before the next one: those of a country are large.
    types = vehicle_types.read(bodies.get("vehicle_types"))
    with about("station_status"):
        snapshot = _status(
            gbfs_document(bodies["station_status"]), options, fetched_at, types
        )
    information = bodies.get("station_information")
    if information is None:
        return snapshot
    regions = _regions(bodies.get("system_regions"), options.language)
    return _with_information(snapshot, information, options, regions)


def _status(
    value: Any,
    options: ReadOptions,
    fetched_at: float,
    types: VehicleTypes | None,
) -> Snapshot:
    """Parse the status document *value*."""
    listed, dialect = _station_list(value), status_dialect(options, types)
    updated = stamp_of(value)
    ttl = number(at(value, "ttl"))
    form = options.fields.get(STAMP_FORMAT, "")
    stamp = of_feed(updated, options.zone, fetched_at, form)
    parsed = StationReader(listed, dialect, stamp).snapshot()
    information = tuple(filter(_has_values, parsed.information))
    is_odd, odd = vehicle_types.odd_counts(listed)
    odd |= vehicle_types.missing_totals(listed, dialect.table)
    odd |= types.findings() if types else {}
    flags = (*parsed.flags, *(["implausible"] if is_odd else []))
    return replace(
        parsed,
        flags=tuple(dict.fromkeys(flags)),
        statuses=tuple(
            status if status.capacity is None else status._replace(capacity=None)
            for status in parsed.statuses
        ),
        information=information,
        lists_all=bool(information),
        secondary=True,
        last_updated=stamp(updated),
        other_stamp=other_reading(updated, stamp(updated), options.zone, form),
        zone=parsed.zone or stamp.used_zone,
        is_stamped=True,
        ttl=int(ttl) if ttl is not None else None,
        findings={**parsed.findings, **odd},
    )


def _with_information(
    status: Snapshot, body: bytes, options: ReadOptions, regions: Mapping[str, str]
) -> Snapshot:
    """Return *status* with the station information in *body*, *regions* by name."""
    dialect = information_dialect(options, regions)
    try:
        parsed = StationReader(stations(body), dialect, Stamps(UTC)).snapshot()
    except PayloadError as error:
        why = f"station_information cannot be read: {error.unquoted()}"
        return replace(status, incomplete=why)
    number, total = len(status.statuses), len(parsed.information)
    cut = number in USUAL and total > number * (1 + FEW)
    text = f"exactly {number} of {total} stations were received, a usual page size"
    return replace(
        status,
        incomplete=text if cut else "",
        information=parsed.information,
        lists_all=True,
        is_listed_apart=True,
        secondary=False,
        flags=tuple(dict.fromkeys((*status.flags, *parsed.flags))),
        findings={
            **_without_places(status.findings),
            **parsed.findings,
            **_unlisted(status, parsed),
        },
    )


def _unlisted(status: Snapshot, information: Snapshot) -> dict[str, str]:
    """Return a finding if the *information* lacks many stations of the *status*."""
    listed = {station.station_id for station in information.information}
    ids = [s.station_id for s in status.statuses if s.station_id not in listed]
    if len(ids) <= max(MANY, len(status.statuses) * MAX_BAD):
        return {}
    return {
        "unlisted": (
            f"station_information lacks {len(ids)} of {len(status.statuses)} stations, "
            f"such as {ids[0]}: their names, places and capacities are unknown"
        )
    }


def _without_places(findings: Mapping[str, str]) -> dict[str, str]:
    """Return *findings* of a status without those on columns of the information."""
    own = {f"unread {column}" for column in INFORMATION if column != "station_id"}
    return {key: text for key, text in findings.items() if key not in own}


def _has_values(information: StationInformation) -> bool:
    """Return whether any column besides the id is filled."""
    return information[1:-1] != NO_VALUES


def status_dialect(options: ReadOptions, types: VehicleTypes | None = None) -> Dialect:
    """Return the dialect of a status document; *types* are the known vehicle types."""
    kinds = types.kinds if types else _by_name
    return Dialect(
        {**STATUS, **INFORMATION},
        NEEDED,
        KNOWN_FIELDS,
        texts=_texts(options.language),
        ebikes=partial(_ebikes, types=types),
        vehicles=vehicle_types.vehicles,
        kinds=kinds if options.kinds else None,
    ).with_fields(options.fields)


def information_dialect(
    options: ReadOptions, regions: Mapping[str, str] = MappingProxyType({})
) -> Dialect:
    """Return the dialect of the station information; *regions* are names by id."""
    fields = {
        name: field for name, field in options.fields.items() if name in INFORMATION
    }
    texts: dict[str, Callable[[Any], str | None]] = {**_texts(options.language)}
    texts["region"] = partial(_region, names=regions)
    return Dialect(INFORMATION, NEEDED[:1], KNOWN_FIELDS, texts=texts).with_fields(
        fields
    )


def _texts(language: str) -> Mapping[str, Callable[[Any], str | None]]:
    own = partial(localised, language=language)
    return {
        "station_id": _station_id,
        "name": own,
        "short_name": own,
        "address": own,
        "name_en": english,
    }


def _station_id(value: Any) -> str | None:
    return _not_null(identifier(value))


def _not_null(station_id: str | None) -> str | None:
    is_null = station_id is None or station_id.endswith(":null")
    return None if is_null else station_id


def _ebikes(raw: RawCounts, types: VehicleTypes | None) -> int | None:
    """Return the electric vehicles by name, or else by type."""
    named = electric(raw["by_name"])
    return named if named is not None or types is None else types.ebikes(raw)


def _by_name(raw: RawCounts, _: int | None) -> Mapping[str, int]:
    return vehicle_types.named_kinds(raw["by_name"])


def _regions(body: bytes | None, language: str) -> Mapping[str, str]:
    if body is None:
        return {}
    from bikecollect.feeds.gbfs import regions  # few systems have them

    return regions.names(body, REGIONS, language)


def _region(value: Any, names: Mapping[str, str]) -> str | None:
    region = text(value)
    return names.get(region or "", region)

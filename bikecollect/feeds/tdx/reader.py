"""Read TDX's documents, availability and stations, into a snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bikecollect.core.errors import PayloadError
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds.reading.aliases import electric, top_names
from bikecollect.feeds.reading.fields import Dialect
from bikecollect.feeds.reading.json_payload import (
    check_weight,
    decode,
    excerpt,
    first_keys,
    objects,
)
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.station_reader import StationReader
from bikecollect.feeds.reading.values import count, identifier
from bikecollect.feeds.youbike_reader import ebikes, is_active

ID = "StationUID"
BIKES, DETAIL = "AvailableRentBikes", "AvailableRentBikesDetail"
PLAIN_BIKES = "GeneralBikes"
MESSAGES = ("message", "Message", "error", "title")
"""Keys of the error that TDX may return instead of a list."""
AVAILABILITY: Mapping[str, tuple[str, ...]] = {
    "station_id": (ID,),
    "num_vehicles_available": (BIKES,),
    "num_docks_available": ("AvailableReturnBikes",),
    "by_type": (DETAIL,),
    "is_renting": ("ServiceStatus",),
    "is_returning": ("ServiceStatus",),
    "last_reported": ("SrcUpdateTime",),
    "last_updated": ("UpdateTime",),
}
STATIONS: Mapping[str, tuple[str, ...]] = {
    "station_id": (ID,),
    "name": ("StationName.Zh_tw", "StationName"),
    "name_en": ("StationName.En",),
    "lat": ("StationPosition.PositionLat",),
    "lon": ("StationPosition.PositionLon",),
    "capacity": ("BikesCapacity",),
    "address": ("StationAddress.Zh_tw", "StationAddress"),
    "address_en": ("StationAddress.En",),
}
KNOWN_FIELDS = top_names(AVAILABILITY) | top_names(STATIONS)
KNOWN_FIELDS |= {"StationID", "AuthorityID", "ServiceType"}


def stations(body: bytes) -> list[Any]:
    """Return the stations in *body*: a list (v2), or an object that has one (v3).

    Raises PayloadError if there is no such list, or if it is empty.
    """
    return objects(page(body), "the list of TDX")


def page(body: bytes) -> list[Any]:
    """Return the stations in *body*, which may be an empty page."""
    value = decode(body)
    if isinstance(value, list):
        return value
    values = list(value.values()) if isinstance(value, Mapping) else []
    lists: list[list[Any]] = [items for items in values if isinstance(items, list)]
    for items in lists:
        if any(isinstance(item, Mapping) and ID in item for item in items):
            return items
    if lists and not any(lists):
        return []
    known = isinstance(value, Mapping) and not lists
    texts = [value[key] for key in MESSAGES if key in value] if known else []
    quote = f": {excerpt(texts[0])}" if texts else f" (it has: {first_keys(value)})"
    raise PayloadError("the response has no list of stations", quote=quote)


def station_id(station: Any) -> str | None:
    """Return the id of *station*."""
    return identifier(station.get(ID)) if isinstance(station, dict) else None


def availability_dialect(fields: Mapping[str, str], *, kinds: bool) -> Dialect:
    """Return the dialect of the availability; see `Dialect.with_fields`."""
    needed = ("station_id", "num_vehicles_available")
    dialect = Dialect(AVAILABILITY, needed, KNOWN_FIELDS, flag=is_active, ebikes=ebikes)
    return dialect.with_fields(fields, kinds=kinds)


def stations_dialect(fields: Mapping[str, str]) -> Dialect:
    """Return the dialect of the stations; *fields* are the user's."""
    own = {name: field for name, field in fields.items() if name in STATIONS}
    return Dialect(STATIONS, ("station_id",), KNOWN_FIELDS).with_fields(own)


def read_availability(
    listed: Sequence[Any], dialect: Dialect, stamps: Stamps
) -> Snapshot:
    """Return the counts of the stations *listed*; raises PayloadError."""
    return StationReader(list(map(_with_total, listed)), dialect, stamps).snapshot()


def all_stations(bodies: Sequence[bytes]) -> list[Any]:
    """Return the stations in *bodies*, the pages of a list; raises PayloadError."""
    if len(bodies) > 1:
        check_weight(bodies)
    first, *rest = bodies
    return [*stations(first), *(item for body in rest for item in page(body))]


def with_stations(
    status: Snapshot, bodies: Sequence[bytes], dialect: Dialect, stamps: Stamps
) -> Snapshot:
    """Return *status* with the information in *bodies*, the pages of the stations."""
    try:
        parsed = StationReader(all_stations(bodies), dialect, stamps).snapshot()
    except PayloadError as error:
        why = f"the list of stations cannot be read: {error.unquoted()}"
        return replace(status, incomplete=why)
    return replace(
        status,
        information=parsed.information,
        lists_all=True,
        is_listed_apart=True,
        flags=tuple(dict.fromkeys((*status.flags, *parsed.flags))),
        findings={**status.findings, **parsed.findings},
    )


def _with_total(station: Any) -> Any:
    """Return *station* with the sum of its counts by type, if it states no total."""
    if not isinstance(station, dict) or station.get(BIKES) is not None:
        return station
    detail = station.get(DETAIL)
    if not isinstance(detail, dict):
        return station
    counts = [count(detail.get(PLAIN_BIKES)), electric(detail)]
    numbers = [number for number in counts if number is not None]
    return {**station, BIKES: sum(numbers)} if len(numbers) == len(counts) else station

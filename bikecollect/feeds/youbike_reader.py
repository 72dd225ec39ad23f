"""Read YouBike's lists of stations into a snapshot, by one table of spellings."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds.reading.aliases import electric, top_names
from bikecollect.feeds.reading.fields import Dialect
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.station_reader import StationReader
from bikecollect.feeds.reading.values import RawCounts, flag

ACTIVE = ("act", "status", "ServiceStatus")
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "station_id": ("sno", "station_no", "StationUID", "StationID"),
    # The operator's "available_spaces" are bikes, its "empty_spaces" docks.
    "num_vehicles_available": (
        "available_rent_bikes",
        "sbi",
        "available_spaces",
        "AvailableRentBikes",
        "sbi_quantity",
    ),
    "num_docks_available": (
        "available_return_bikes",
        "bemp",
        "empty_spaces",
        "AvailableReturnBikes",
        "bemp_quantity",
    ),
    "capacity": (
        "Quantity",
        "total",
        "tot",
        "parking_spaces",
        "BikesCapacity",
        "tot_quantity",
    ),
    "num_ebikes_available": ("eyb_quantity", "available_spaces_eyb"),
    "by_type": ("available_spaces_detail", "sbi_detail", "AvailableRentBikesDetail"),
    "is_renting": ACTIVE,
    "is_returning": ACTIVE,
    "lat": ("latitude", "lat", "StationPosition.PositionLat"),
    "lon": ("longitude", "lng", "StationPosition.PositionLon"),
    "name": ("sna", "name_tw", "name_cn", "StationName.Zh_tw"),
    "name_en": ("snaen", "name_en", "StationName.En"),
    "address": ("ar", "address_tw", "address_cn", "StationAddress.Zh_tw"),
    "address_en": ("aren", "address_en", "StationAddress.En"),
    "region": ("sarea", "district_tw", "district_cn"),
    "region_en": ("sareaen", "district_en"),
    "last_reported": ("infoTime", "mday", "updated_at", "SrcUpdateTime"),
    # The operator's time: the city's updateTime moves even if the source stands still.
    "last_updated": ("srcUpdateTime", "updateTime", "UpdateTime"),
    # Four-digit ids are unique within one city only.
    "second_id": ("area_code", "scity", "AuthorityID"),
}
NEEDED = ("station_id", "num_vehicles_available", "num_docks_available")
"""A list of stations without these columns is rejected."""
TDX_INFORMATION = "StationName"
"""A field of TDX's station list, which has no counts."""
KNOWN_FIELDS = top_names(SPELLINGS)
KNOWN_FIELDS |= {"infoDate", "_id", "scityen", "yb2_quantity"}


def snapshot(stations: Sequence[Any], dialect: Dialect, stamp: Stamps) -> Snapshot:
    """Parse *stations*; raises PayloadError."""
    if any(type(item) is dict and TDX_INFORMATION in item for item in stations):
        dialect = replace(dialect, needed=())
    return StationReader(stations, dialect, stamp).snapshot()


def is_active(value: Any) -> bool | None:
    """Return whether the station is in service; TDX's 2 means suspended."""
    active = flag(value)
    return False if active is None and value in (2, "2") else active


def ebikes(raw: RawCounts) -> int | None:
    """Return the e-bikes in the counts by type, None if they are unknown."""
    return electric(raw.get("by_type"))


DIALECT = Dialect(SPELLINGS, NEEDED, KNOWN_FIELDS, flag=is_active, ebikes=ebikes)

"""YouBike's station lists to a snapshot: pure, by one table of spellings."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from bikecollect.core.snapshot import Snapshot, StationInformation, StationStatus
from bikecollect.feeds.aliases import Aliases, electric
from bikecollect.feeds.json_payload import missing, shape, too_many_bad
from bikecollect.feeds.stamps import Stamps
from bikecollect.feeds.values import count, flag, place, text

ACTIVE = ("act", "status", "ServiceStatus")
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "station_id": ("sno", "station_no", "StationUID", "StationID"),
    # The operator's "available_spaces" are bikes, its "empty_spaces" docks.
    "num_vehicles_available": (
        *("available_rent_bikes", "sbi", "available_spaces", "AvailableRentBikes"),
        "sbi_quantity",
    ),
    "num_docks_available": (
        *("available_return_bikes", "bemp", "empty_spaces", "AvailableReturnBikes"),
        "bemp_quantity",
    ),
    "capacity": (
        *("Quantity", "total", "tot", "parking_spaces", "BikesCapacity"),
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
    "last_updated": ("updateTime", "srcUpdateTime", "UpdateTime"),
}
NEEDED = ("station_id", "num_vehicles_available", "num_docks_available")
"""The columns without which a list of stations says nothing."""
TDX_INFORMATION = "StationName"
"""TDX's list of what stays at a station, which has no counts."""
OURS = frozenset(
    name.partition(".")[0] for names in SPELLINGS.values() for name in names
)
OURS |= {"infoDate", "_id", "scity", "scityen", "yb2_quantity"}


class Reader:
    """Reads one list of station objects; naive stamps are in *zone*."""

    def __init__(self, stations: Sequence[Any], zone: tzinfo) -> None:
        self._stations = stations
        self._stamp = Stamps(zone)
        self._sample = [each for each in stations if type(each) is dict]
        self._aliases = Aliases(SPELLINGS, self._sample)

    def snapshot(self, oddities: Sequence[str]) -> Snapshot:
        """Return all stations that can be read.

        Raises PayloadError naming the fields where a column without which a row
        means nothing has no known spelling, and for too many bad stations.
        """
        self._check()
        statuses: dict[str, StationStatus] = {}
        information: list[StationInformation] = []
        duplicates, bad, newest = 0, [], [0]
        for station in self._stations:
            said = self._aliases.values(station) if type(station) is dict else {}
            status = self._status(said)
            if status is None:
                bad.append(station)
            elif status.station_id in statuses:
                duplicates += 1
            else:
                statuses[status.station_id] = status
                information.append(_information(said, status))
                newest += [status.last_reported or 0]
                newest += [self._stamp(said.get("last_updated")) or 0]
        too_many_bad(len(bad), len(self._stations), repr(bad[:1]))
        return Snapshot(
            statuses=tuple(statuses.values()),
            information=tuple(information),
            lists_all=True,
            last_updated=max(newest) or None,
            shape=shape(self._stations),
            dropped=len(bad),
            duplicates=duplicates,
            oddities=tuple(oddities),
        )

    def _check(self) -> None:
        """Raise PayloadError where no station has a field for a needed column."""
        if any(TDX_INFORMATION in each for each in self._sample):
            return
        for column in NEEDED:
            if not self._aliases.fields(column):
                raise missing(self._sample, column, SPELLINGS[column], OURS)

    def _status(self, said: Mapping[str, Any]) -> StationStatus | None:
        station_id = text(said.get("station_id"))
        if station_id is None:
            return None
        ebikes = count(said.get("num_ebikes_available"))
        return StationStatus(
            station_id,
            count(said.get("num_vehicles_available")),
            electric(said.get("by_type")) if ebikes is None else ebikes,
            count(said.get("num_docks_available")),
            None,
            None,
            count(said.get("capacity")),
            None,
            _active(said.get("is_renting")),
            _active(said.get("is_returning")),
            self._stamp(said.get("last_reported")),
        )


def _information(said: Mapping[str, Any], status: StationStatus) -> StationInformation:
    lat, lon = place(said.get("lat"), said.get("lon"))
    return StationInformation(
        station_id=status.station_id,
        name=text(said.get("name")),
        lat=lat,
        lon=lon,
        capacity=status.capacity,
        address=text(said.get("address")),
        region=text(said.get("region")),
        name_en=text(said.get("name_en")),
        address_en=text(said.get("address_en")),
        region_en=text(said.get("region_en")),
    )


def _active(value: Any) -> bool | None:
    """Return whether the station is in service; TDX's 2 means paused."""
    return False if str(value) == "2" else flag(value)

"""YouBike: every generation of Taiwan's feeds, by one table of spellings."""

import json
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bikecollect.core.errors import FeedError, PayloadError
from bikecollect.core.payload import Document, Documents, Fetched, Getter, Memory
from bikecollect.core.snapshot import Snapshot, StationInformation, StationStatus
from bikecollect.feeds.json_payload import (
    at,
    decode,
    missing,
    objects,
    shape,
    too_many_bad,
)
from bikecollect.feeds.values import Stamps, count, flag, place, text

ALIASES: Mapping[str, tuple[str, ...]] = {
    "station_id": ("sno", "station_no", "StationUID", "StationID"),
    # The operator's "available_spaces" are bikes, its "empty_spaces" docks.
    "vehicles": (
        *("available_rent_bikes", "sbi", "available_spaces", "AvailableRentBikes"),
    ),
    "docks": ("available_return_bikes", "bemp", "empty_spaces", "AvailableReturnBikes"),
    "capacity": (
        *("Quantity", "quantity", "total", "tot", "parking_spaces", "BikesCapacity"),
    ),
    "ebikes": ("available_spaces_detail.eyb", "AvailableRentBikesDetail.ElectricBikes"),
    "active": ("act", "status", "ServiceStatus"),
    "lat": ("latitude", "lat", "StationPosition.PositionLat"),
    "lon": ("longitude", "lng", "StationPosition.PositionLon"),
    "name": ("sna", "name_tw", "StationName.Zh_tw"),
    "name_en": ("snaen", "name_en", "StationName.En"),
    "address": ("ar", "address_tw", "StationAddress.Zh_tw"),
    "address_en": ("aren", "address_en", "StationAddress.En"),
    "region": ("sarea", "district_tw"),
    "region_en": ("sareaen", "district_en"),
    "reported": ("infoTime", "mday", "updated_at", "SrcUpdateTime"),
    "updated": ("updateTime", "srcUpdateTime", "UpdateTime"),
}
WRAPPERS = ("retVal", "data.retVal", "records", "result.records", "data", "result")
PAGES = 100
ROUND = frozenset({30, 100, 500, 1000, 2000, 5000})
TDX_INFORMATION = "StationName"


class YouBike:
    """A YouBike feed at *url*; naive stamps are in *zone*."""

    def __init__(self, url: str, zone: tzinfo) -> None:
        self._url = url
        self._zone = zone
        self._query = dict(parse_qsl(urlsplit(url).query))

    def fetch(self, get: Getter, memory: Memory) -> Fetched:
        """Get the list, all of its pages where it is paged.

        A later page that does not come leaves the payload incomplete, not lost.
        """
        first = get("page-0", self._url, check=_check_list)
        documents = [first]
        rows, total = _size(first)
        size = self._page_size() or (rows if total and total > rows else 0)
        seen = rows
        while size and rows and rows >= size and len(documents) < PAGES:
            if total is not None and seen >= total:
                break
            number, url = len(documents), self._page(len(documents), seen)
            try:
                page = get(f"page-{number}", url, check=_check_page)
                _check_page(page.body)
            except (FeedError, PayloadError) as error:
                why = f"page {number} did not come: {error}"
                return Fetched(tuple(documents), incomplete=why)
            if page.body == documents[-1].body:
                break  # a server that ignores the page number
            documents.append(page)
            rows, _ = _size(page)
            seen += rows
        return Fetched(tuple(documents))

    def read(self, documents: Documents) -> Snapshot:
        """Return what the pages say; raises PayloadError."""
        pages = [_stations(decode(each.body)) for each in documents]
        stations = [station for page in pages for station in page]
        objects(stations, "the feed")
        oddities = []
        if len(documents) == 1 and len(stations) in ROUND:
            oddities.append(
                f"exactly {len(stations)} stations came: the list may be cut"
            )
        return _Reader(stations, self._zone).snapshot(oddities)

    def _page_size(self) -> int:
        text = self._query.get("size") or self._query.get("limit") or ""
        paged = {"page", "offset"} & set(self._query)
        return int(text) if paged and text.isdigit() else 0

    def _page(self, number: int, seen: int) -> str:
        query = dict(self._query)
        if "page" in query:
            first = int(query["page"]) if query["page"].isdigit() else 0
            query["page"] = str(first + number)
        else:
            query["offset"] = str(seen)
        return urlunsplit(urlsplit(self._url)._replace(query=urlencode(query)))


class _Reader:
    """Reads one list of station objects, with the spellings that it uses."""

    def __init__(self, stations: Sequence[Any], zone: tzinfo) -> None:
        self._stations = stations
        self._stamp = Stamps(zone)
        sample = [each for each in stations if type(each) is dict]
        self._name = {column: _spelling(column, sample) for column in ALIASES}
        self._nested = [name for name in self._name.values() if "." in name]

    def snapshot(self, oddities: list[str]) -> Snapshot:
        """Return all stations that can be read; raises PayloadError for too few."""
        statuses: dict[str, StationStatus] = {}
        information: list[StationInformation] = []
        duplicates, bad = 0, []
        for station in self._stations:
            status = self._status(station) if type(station) is dict else None
            if status is None:
                bad.append(station)
            elif status.station_id in statuses:
                duplicates += 1
            else:
                statuses[status.station_id] = status
                information.append(self._information(station, status))
        too_many_bad(len(bad), len(self._stations), repr(bad[:1]))
        return Snapshot(
            statuses=tuple(statuses.values()),
            information=tuple(information),
            lists_all=True,
            last_updated=self._newest(),
            shape=shape(self._stations),
            dropped=len(bad),
            duplicates=duplicates,
            oddities=tuple(oddities),
        )

    def _flat(self, station: dict[str, Any]) -> dict[str, Any]:
        """Return *station* with the nested fields that are used beside the others."""
        if not self._nested:
            return station
        return {**station, **{name: at(station, name) for name in self._nested}}

    def _status(self, station: dict[str, Any]) -> StationStatus | None:
        name, get = self._name, self._flat(station).get
        station_id = text(get(name["station_id"]))
        vehicles, docks = count(get(name["vehicles"])), count(get(name["docks"]))
        silent = vehicles is None and docks is None and TDX_INFORMATION not in station
        if station_id is None or silent:
            return None
        active = _active(get(name["active"]))
        return StationStatus(
            station_id,
            vehicles,
            count(get(name["ebikes"])),
            docks,
            None,
            None,
            count(get(name["capacity"])),
            None,
            active,
            active,
            self._stamp(get(name["reported"])),
        )

    def _information(
        self, station: dict[str, Any], status: StationStatus
    ) -> StationInformation:
        name, get = self._name, self._flat(station).get
        lat, lon = place(get(name["lat"]), get(name["lon"]))
        return StationInformation(
            station_id=status.station_id,
            name=text(get(name["name"])),
            lat=lat,
            lon=lon,
            capacity=status.capacity,
            address=text(get(name["address"])),
            region=text(get(name["region"])),
            name_en=text(get(name["name_en"])),
            address_en=text(get(name["address_en"])),
            region_en=text(get(name["region_en"])),
        )

    def _newest(self) -> int | None:
        names = (self._name["updated"], self._name["reported"])
        said = {
            value
            for station in self._stations
            if type(station) is dict
            for name in names
            if isinstance(value := station.get(name), str | int)
        }
        return max((m for m in map(self._stamp, said) if m is not None), default=None)


def _spelling(column: str, stations: Sequence[dict[str, Any]]) -> str:
    """Return the name that *stations* have for *column*, empty for none.

    Raises PayloadError naming the fields where a column without which a row means
    nothing has no known spelling.
    """
    for name in ALIASES[column]:
        if "." in name:
            if any(at(each, name) is not None for each in stations[:20]):
                return name
        elif any(name in each for each in stations):
            return name
    needed = column in {"station_id", "vehicles", "docks"}
    if needed and not any(TDX_INFORMATION in each for each in stations):
        raise missing(stations, _COLUMN.get(column, column), ALIASES[column], OURS)
    return ""


OURS = frozenset(name.partition(".")[0] for names in ALIASES.values() for name in names)
OURS |= {"infoDate", "_id", "scity", "scityen", "sbi_detail", "StationID"}
_COLUMN = {"vehicles": "num_vehicles_available", "docks": "num_docks_available"}


def _active(value: Any) -> bool | None:
    """Return whether the station is in service; TDX's 2 means paused."""
    return False if str(value) == "2" else flag(value)


def _check_list(body: bytes) -> None:
    objects(_stations(decode(body)), "the feed")


def _check_page(body: bytes) -> None:
    _stations(decode(body))


def _stations(value: Any) -> list[Any]:
    """Return the station objects in *value*, whatever wraps them."""
    for _ in range(3):
        if isinstance(value, str):
            value = _inner(value)
        if isinstance(value, list):
            return value
        if not isinstance(value, Mapping):
            break
        found = next((at(value, w) for w in WRAPPERS if at(value, w) is not None), None)
        if found is None:
            break
        if isinstance(found, Mapping) and not any(w in found for w in WRAPPERS):
            return list(found.values())
        value = found
    keys = ", ".join(list(value)[:10]) if isinstance(value, Mapping) else repr(value)
    raise PayloadError(f"no list of stations is found in it; there is: {keys[:200]}")


def _inner(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise PayloadError("a text stands where the stations should be") from error


def _size(document: Document) -> tuple[int, int | None]:
    """Return how many stations a page holds, and the total it speaks of."""
    try:
        value = decode(document.body)
        total = at(value, "total") or at(value, "result.total")
        return len(_stations(value)), count(total)
    except PayloadError:
        return 0, None

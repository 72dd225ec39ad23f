"""YouBike: every generation of Taiwan's feeds, by one table of spellings."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bikecollect.errors import FeedError, PayloadError
from bikecollect.feeds.decode import at, decode, missing, objects, shape, too_many_bad
from bikecollect.feeds.values import Stamps, count, flag, place, text
from bikecollect.payload import Document, Documents, Fetched, Getter, Memory
from bikecollect.snapshot import Snapshot, StationInformation, StationStatus

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
        sample = [each for each in stations if isinstance(each, dict)]
        self._get = {column: _getter(column, sample) for column in ALIASES}

    def snapshot(self, oddities: list[str]) -> Snapshot:
        statuses: dict[str, StationStatus] = {}
        information: dict[str, StationInformation] = {}
        dropped = duplicates = 0
        example = ""
        for station in self._stations:
            found = text(self._get["station_id"](station))
            if found is None:
                dropped += 1
                example = example or repr(station)
            elif found in statuses:
                duplicates += 1
            else:
                status = self._status(found, station)
                if status is None:
                    dropped += 1
                    example = example or repr(station)
                    continue
                statuses[found] = status
                information[found] = self._information(found, station, status)
        too_many_bad(dropped, len(self._stations), example)
        return Snapshot(
            statuses=tuple(statuses.values()),
            information=tuple(information.values()),
            lists_all=True,
            last_updated=self._newest(),
            shape=shape(self._stations),
            dropped=dropped,
            duplicates=duplicates,
            oddities=tuple(oddities),
        )

    def _status(self, station_id: str, station: Any) -> StationStatus | None:
        get = self._get
        said_vehicles, said_docks = get["vehicles"](station), get["docks"](station)
        vehicles, docks = count(said_vehicles), count(said_docks)
        if vehicles is None and docks is None and TDX_INFORMATION not in station:
            return None
        active = _active(get["active"](station))
        return StationStatus(
            station_id,
            vehicles,
            count(get["ebikes"](station)),
            docks,
            None,
            None,
            count(get["capacity"](station)),
            None,
            active,
            active,
            self._stamp(get["reported"](station)),
        )

    def _information(
        self, station_id: str, station: Any, status: StationStatus
    ) -> StationInformation:
        get = self._get
        lat, lon = place(get["lat"](station), get["lon"](station))
        return StationInformation(
            station_id,
            name=text(get["name"](station)),
            lat=lat,
            lon=lon,
            capacity=status.capacity,
            address=text(get["address"](station)),
            region=text(get["region"](station)),
            name_en=text(get["name_en"](station)),
            address_en=text(get["address_en"](station)),
            region_en=text(get["region_en"](station)),
        )

    def _newest(self) -> int | None:
        stamps = (
            self._stamp(self._get[column](station))
            for column in ("updated", "reported")
            for station in self._stations
        )
        return max((each for each in stamps if each is not None), default=None)


def _getter(column: str, stations: Sequence[Any]) -> Callable[[Any], Any]:
    """Return the function that gets *column*, by the spelling these stations use.

    Raises PayloadError naming the fields where a column without which a row means
    nothing has no known spelling.
    """
    needed = column in {"station_id", "vehicles", "docks"}
    for name in ALIASES[column]:
        if "." in name:
            if any(at(each, name) is not None for each in stations[:20]):
                return lambda station: at(station, name)
        elif any(name in each for each in stations):
            return lambda station: station.get(name) if type(station) is dict else None
    if needed and not any(TDX_INFORMATION in each for each in stations):
        raise missing(stations, _COLUMN.get(column, column), ALIASES[column], _OURS)
    return lambda _station: None


_OURS = frozenset(
    name.partition(".")[0] for names in ALIASES.values() for name in names
)
_OURS |= {"infoDate", "_id", "scity", "scityen", "sbi_detail", "StationID"}
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

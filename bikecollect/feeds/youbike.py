"""YouBike: every generation of Taiwan's feeds: what is fetched, page by page."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Documents, Fetched, Getter, Memory
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds.paging import List
from bikecollect.feeds.reading.aliases import MOST_KEYS, Aliases
from bikecollect.feeds.reading.fields import STAMP_FORMAT
from bikecollect.feeds.reading.json_payload import (
    at,
    bounded,
    decode,
    keys,
    nested,
    objects,
)
from bikecollect.feeds.reading.list_queries import total
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.values import text
from bikecollect.feeds.youbike_reader import DIALECT, snapshot

if TYPE_CHECKING:
    from bikecollect.feeds.reading.renames import Renames
from bikecollect.feeds.reading.vehicle_types import bicycles

WRAPPERS = ("retVal", "data.retVal", "records", "result.records", "data", "result")


class YouBike:
    """A YouBike feed at *url*; naive stamps are in *zone*.

    *fields* name the fields of single columns; *kinds* says whether the kinds of
    vehicles are counted.
    """

    def __init__(
        self,
        url: str,
        zone: tzinfo,
        fields: Mapping[str, str] | None = None,
        *,
        kinds: bool = False,
    ) -> None:
        self._url = url
        self._zone = zone
        self._dialect = DIALECT.naming(fields or {})
        if kinds:
            self._dialect = replace(self._dialect, kinds=bicycles)
        self._form = (fields or {}).get(STAMP_FORMAT, "")
        self._ids = {"station_id": self._dialect.table["station_id"]}

    def fetch(self, get: Getter, memory: Memory) -> Fetched:
        """Get the list, all of its pages where it is paged."""
        return List(self._url, _page, self._id, _check_list).fetch(get, memory)

    def read(self, documents: Documents) -> Snapshot:
        """Return what the pages say; raises PayloadError."""
        said = total(documents[0])
        stations = _all(documents)
        objects(stations, "the feed")
        read = snapshot(stations, self._dialect, self._stamps())
        return replace(read, total=said)

    def renames(self, before: Documents, after: Documents) -> "Renames":
        """Return which fields of *before* have another name in *after*."""
        from bikecollect.feeds.reading import renames

        stamps = self._stamps()
        return renames.between(before, after, _all, self._dialect, stamps)

    def _stamps(self) -> Stamps:
        return Stamps(self._zone, self._form)

    def _id(self, station: Any) -> str | None:
        if type(station) is not dict or len(station) > MOST_KEYS:
            return None
        exact = (station.get(name) for name in self._ids["station_id"])
        found = next((each for each in map(text, exact) if each is not None), None)
        if found is not None:
            return found
        return text(Aliases(self._ids, [station]).said(station, "station_id"))


def _all(documents: Documents) -> list[Any]:
    """Return the stations of all pages."""
    if len(documents) > 1:
        bounded(each.body for each in documents)
    pages = [_stations(decode(each.body)) for each in documents]
    return [station for page in pages for station in page]


def _check_list(body: bytes) -> None:
    objects(_stations(decode(body)), "the feed")


def _page(body: bytes) -> list[Any]:
    return _stations(decode(body))


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
    quote = f"; there is: {keys(value)}"
    raise PayloadError("no list of stations is found in it", quote=quote)


def _inner(value: str) -> Any:
    try:
        return nested(value)
    except PayloadError as error:
        text = f"a text stands where the stations should be: {error}"
        raise PayloadError(text, cause=error.cause) from error

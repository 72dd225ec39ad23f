"""YouBike, all generations of Taiwan's feeds: fetch the list of stations."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo
from itertools import islice
from typing import TYPE_CHECKING, Any

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Documents, Getter, Memory, Payload
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds.paging import PagedList
from bikecollect.feeds.reading.aliases import MAX_KEYS, Aliases, plain, with_ids
from bikecollect.feeds.reading.fields import STAMP_FORMAT
from bikecollect.feeds.reading.json_payload import (
    at,
    check_weight,
    decode,
    first_keys,
    nested,
    objects,
)
from bikecollect.feeds.reading.list_queries import total
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.values import text
from bikecollect.feeds.youbike_reader import DIALECT, SPELLINGS, snapshot

if TYPE_CHECKING:
    from bikecollect.feeds.reading.renames import Renames

WRAPPERS = (
    "retVal",
    "data.retVal",
    "records",
    "result.records",
    "result.results",
    "results",
    "items",
    "value",
    "content",
    "data",
    "result",
)
IDS = SPELLINGS["station_id"]
MANY = 20
"""Values of an object that are searched for a list."""


class YouBike:
    """A YouBike feed at *url*; naive stamps are in *zone*.

    *fields* are the user's fields for single columns. If *kinds*, vehicles are counted
    by kind.
    """

    def __init__(
        self,
        url: str,
        zone: tzinfo,
        fields: Mapping[str, str] = {},
        *,
        kinds: bool = False,
    ) -> None:
        self._url = url
        self._zone = zone
        self._dialect = DIALECT.with_fields(fields, kinds=kinds)
        self._form = fields.get(STAMP_FORMAT, "")
        self._ids = {"station_id": self._dialect.table["station_id"]}

    def fetch(self, get: Getter, memory: Memory) -> Payload:
        """Get the list, with all pages if it is paged."""
        return PagedList(self._url, _page, self._id, _check_list).fetch(get, memory)

    def read(self, documents: Documents) -> Snapshot:
        """Parse the pages; raises PayloadError."""
        stated = total(documents[0])
        stations = _all(documents)
        objects(stations, "the feed")
        stamps = self._stamps(documents[0].fetched_at)
        parsed = snapshot(stations, self._dialect, stamps)
        return replace(parsed, total=stated)

    def renames(self, before: Documents, after: Documents) -> "Renames":
        """Guess which fields of *before* were renamed in *after*."""
        from bikecollect.feeds.reading import renames

        stamps = self._stamps()
        return renames.between(before, after, _all, self._dialect, stamps)

    def _stamps(self, fetched_at: float = 0.0) -> Stamps:
        return Stamps(self._zone, self._form, fetched_at=fetched_at)

    def _id(self, station: Any) -> str | None:
        if type(station) is not dict or len(station) > MAX_KEYS:
            return None
        for name in self._ids["station_id"]:
            # The exact spelling first: it does not need a table of all keys.
            if (station_id := text(station.get(name))) is not None:
                return station_id
        return text(Aliases(self._ids, [station]).value(station, "station_id"))


def _all(documents: Documents) -> list[Any]:
    """Return the stations of all pages."""
    if len(documents) > 1:
        check_weight(page.body for page in documents)
    pages = [_stations(decode(page.body)) for page in documents]
    return [station for page in pages for station in page]


def _check_list(body: bytes) -> None:
    objects(_stations(decode(body)), "the feed")


def _page(body: bytes) -> list[Any]:
    return _stations(decode(body))


def _stations(value: Any) -> list[Any]:
    """Return the station objects in *value*, unwrapped; raises PayloadError."""
    for _ in range(3):
        if isinstance(value, str):
            value = _unwrapped(value)
            if isinstance(value, Mapping) and not any(w in value for w in WRAPPERS):
                return with_ids(value, IDS)
        if isinstance(value, list):
            return value
        if not isinstance(value, Mapping):
            break
        inner = next((at(value, w) for w in WRAPPERS if at(value, w) is not None), None)
        if inner is None:
            break
        if isinstance(inner, Mapping) and not any(w in inner for w in WRAPPERS):
            return with_ids(inner, IDS)
        value = inner
    if (listed := _anywhere(value)) is not None:
        return listed
    quote = f"; it has: {first_keys(value)}"
    raise PayloadError("the response has no list of stations", quote=quote)


def _anywhere(value: Any, depth: int = 3) -> list[Any] | None:
    """Return the first list of stations in *value*, in any wrapper, None for none."""
    if isinstance(value, list):
        first = [plain(key) for item in value[:1] if type(item) is dict for key in item]
        return value if any(plain(name) in first for name in IDS) else None
    if not depth or not isinstance(value, Mapping):
        return None
    inner = (_anywhere(item, depth - 1) for item in islice(value.values(), MANY))
    return next((listed for listed in inner if listed is not None), None)


def _unwrapped(value: str) -> Any:
    try:
        return nested(value)
    except PayloadError as error:
        text = f"the stations are a text that cannot be decoded: {error}"
        raise PayloadError(text, cause=error.cause) from error

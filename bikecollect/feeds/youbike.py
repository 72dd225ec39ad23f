"""YouBike: every generation of Taiwan's feeds: what is fetched, page by page."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bikecollect.core.errors import FeedError, PayloadError
from bikecollect.core.payload import Document, Documents, Fetched, Getter, Memory
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds.reading.fields import STAMP_FORMAT
from bikecollect.feeds.reading.json_payload import (
    at,
    bounded,
    decode,
    keys,
    nested,
    objects,
)
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.values import count
from bikecollect.feeds.youbike_reader import DIALECT, snapshot

if TYPE_CHECKING:
    from bikecollect.feeds.reading.renames import Renames

WRAPPERS = ("retVal", "data.retVal", "records", "result.records", "data", "result")
PAGES = 100
ROUND = frozenset({30, 100, 500, 1000, 2000, 5000})


class YouBike:
    """A YouBike feed at *url*; naive stamps are in *zone*.

    *fields* name the fields of single columns.
    """

    def __init__(
        self, url: str, zone: tzinfo, fields: Mapping[str, str] | None = None
    ) -> None:
        self._url = url
        self._zone = zone
        self._dialect = DIALECT.naming(fields or {})
        self._form = (fields or {}).get(STAMP_FORMAT, "")
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
        while size and rows and rows >= size:
            if total is not None and seen >= total:
                break
            if len(documents) == PAGES:
                why = f"there are more than {PAGES} pages"
                return Fetched(tuple(documents), incomplete=why)
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
        stations = _all(documents)
        objects(stations, "the feed")
        oddities = []
        if len(documents) == 1 and len(stations) in ROUND:
            oddities.append(
                f"exactly {len(stations)} stations came: the list may be cut"
            )
        read = snapshot(stations, self._dialect, self._stamps())
        return replace(read, oddities=tuple(oddities))

    def renames(self, before: Documents, after: Documents) -> "Renames":
        """Return which fields of *before* have another name in *after*."""
        from bikecollect.feeds.reading import renames

        stamps = self._stamps()
        return renames.between(before, after, _all, self._dialect, stamps)

    def _stamps(self) -> Stamps:
        return Stamps(self._zone, self._form)

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


def _all(documents: Documents) -> list[Any]:
    """Return the stations of all pages."""
    if len(documents) > 1:
        bounded(each.body for each in documents)
    pages = [_stations(decode(each.body)) for each in documents]
    return [station for page in pages for station in page]


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
    quote = f"; there is: {keys(value)}"
    raise PayloadError("no list of stations is found in it", quote=quote)


def _inner(value: str) -> Any:
    try:
        return nested(value)
    except PayloadError as error:
        text = f"a text stands where the stations should be: {error}"
        raise PayloadError(text, cause=error.cause) from error


def _size(document: Document) -> tuple[int, int | None]:
    """Return how many stations a page holds, and the total it speaks of."""
    try:
        value = decode(document.body)
        total = at(value, "total") or at(value, "result.total")
        return len(_stations(value)), count(total)
    except PayloadError:
        return 0, None

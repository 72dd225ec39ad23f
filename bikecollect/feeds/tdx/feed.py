"""TDX, the platform of Taiwan's ministry: availability and stations of a city.

https://tdx.transportdata.tw; it requires OAuth2 client credentials.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bikecollect.core.errors import (
    FeedError,
    FeedUnavailable,
    PayloadError,
    SettingsError,
)
from bikecollect.core.payload import (
    ONCE,
    Document,
    Documents,
    Getter,
    Memory,
    Payload,
    about,
)
from bikecollect.core.slots import DAY
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds.paging import MAX_PAGES, PagedList
from bikecollect.feeds.reading.fields import STAMP_FORMAT
from bikecollect.feeds.reading.list_queries import ALL, BEYOND, total
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.tdx import reader

if TYPE_CHECKING:
    from bikecollect.feeds.reading.renames import Renames

STATIONS = "stations"
NOTE = "tdx.stations"
AVAILABILITY_PATH, STATION_PATH = "/Bike/Availability/", "/Bike/Station/"
RETRY_AFTER, QUARTER = 600.0, 900.0
"""Seconds from a failed request for the stations to the next, and minimum seconds
between two requests that are due to stations without information."""
MAX_UNKNOWN = 500
_STAMPS = re.compile(rb'"(Src)?UpdateTime"\s*:\s*"[^"]*"')


class Tdx:
    """The city whose availability is at *url*; naive stamps are in *zone*.

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
        self._url, self._stations_url = addresses(url)
        self._zone, self._form = zone, fields.get(STAMP_FORMAT, "")
        self._dialect = reader.availability_dialect(fields, kinds=kinds)
        self._stations_dialect = reader.stations_dialect(fields)

    def fetch(self, get: Getter, memory: Memory) -> Payload:
        """Get the availability, then the stations if they are due.

        They are due once a day, and when a station is unknown. If they fail, that is
        reported and the payload has only the availability.
        """
        listed = PagedList(self._url, reader.page, reader.station_id, reader.stations)
        payload = listed.fetch(get, memory)
        known = memory.values(NOTE)
        current = self._ids(payload.documents)
        documents, note = payload.documents, known
        if _is_due(known, current - set(memory.station_ids), memory.now):
            pages, note = self._get_stations(get, memory, known, current)
            documents += pages
        error = note.get("error", "")
        reasons = (payload.incomplete, f"stations failed: {error}" if error else "")
        notes = {NOTE: json.dumps(note)} if note != known else {}
        return replace(
            payload,
            documents=documents,
            notes={**payload.notes, **notes},
            incomplete="; ".join(filter(None, reasons)),
            fetched_at=max(page.fetched_at for page in payload.documents),
        )

    def _get_stations(
        self, get: Getter, memory: Memory, known: Mapping[str, Any], current: set[str]
    ) -> tuple[Documents, Mapping[str, Any]]:
        """Return the stations, nothing if they are unchanged or failed, and the note.

        *current* are the stations of the availability.
        """
        try:
            pages, ids = self._station_pages(get, current)
        except FeedError as error:
            return (), {**known, "failed": memory.now, "error": str(error)}
        except PayloadError as error:
            text = str(error.unquoted())
            return (), {**known, "failed": memory.now, "error": text}
        bodies = b"".join(_STAMPS.sub(b"", page.body) for page in pages)
        digest = hashlib.sha256(bodies).hexdigest()
        unknown = current - set(memory.station_ids) - ids
        note = {
            "at": memory.now,
            "digest": digest,
            "unknown": sorted(unknown)[:MAX_UNKNOWN],
        }
        # Unchanged except for its stamps: the payload need not contain it again.
        is_new = digest != known.get("digest") or not memory.station_ids
        return pages if is_new else (), note

    def _station_pages(
        self, get: Getter, current: set[str]
    ) -> tuple[Documents, set[str]]:
        """Return the pages of the stations, and the ids on them.

        There is another page if *current* stations are not among them: an address with
        `$top` is often copied, and servers have limits.
        """
        first = get(STATIONS, self._stations_url, check=reader.stations, tries=ONCE)
        pages, rows = [first], reader.stations(first.body)
        ids, seen = set(map(reader.station_id, rows)), len(rows)
        while current - ids and len(pages) < MAX_PAGES:
            name, place = f"{STATIONS}-{len(pages)}", self._stations_after(seen)
            try:
                page = get(name, place, check=reader.page, tries=ONCE)
            except FeedUnavailable as error:
                if error.cause in BEYOND:
                    break
                raise
            rows = reader.page(page.body)
            new = set(map(reader.station_id, rows)) - ids
            if not new:
                break
            pages, ids, seen = [*pages, page], ids | new, seen + len(rows)
        return tuple(pages), {station_id for station_id in ids if station_id}

    def _stations_after(self, seen: int) -> str:
        parts = urlsplit(self._stations_url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        query |= {"$top": ALL, "$skip": str(seen)}
        return urlunsplit(parts._replace(query=urlencode(query, safe="$:,")))

    def _ids(self, pages: Documents) -> set[str]:
        try:
            ids = map(reader.station_id, _all(pages))
            return {station_id for station_id in ids if station_id is not None}
        except PayloadError:
            return set()

    def read(self, documents: Documents) -> Snapshot:
        """Parse the documents; raises PayloadError."""
        pages = _pages(documents)
        if not pages:
            raise PayloadError("no availability in the payload")
        stamps = self._stamps(pages[0].fetched_at)
        with about("the availability"):
            status = reader.read_availability(_all(documents), self._dialect, stamps)
        status = replace(status, information=(), lists_all=False, total=total(pages[0]))
        bodies = _station_bodies(documents)
        if not bodies:
            return status
        return reader.with_stations(
            status, bodies, self._stations_dialect, self._stamps()
        )

    def renames(self, before: Documents, after: Documents) -> "Renames":
        """Guess which fields of *before* were renamed in *after*."""
        from bikecollect.feeds.reading import renames  # needed after drift only

        between = partial(renames.between, before, after)
        counts = between(_all, self._dialect, self._stamps())
        return counts + between(_stations, self._stations_dialect, self._stamps())

    def _stamps(self, fetched_at: float = 0.0) -> Stamps:
        return Stamps(self._zone, self._form, fetched_at=fetched_at)


def addresses(url: str) -> tuple[str, str]:
    """Return the addresses of availability and stations; *url* is either of them.

    Raises SettingsError for any other.

    >>> addresses("https://a.org/v2/Bike/Station/City/Taipei?$format=JSON")[0]
    'https://a.org/v2/Bike/Availability/City/Taipei?$format=JSON'
    """
    if AVAILABILITY_PATH in url:
        return url, url.replace(AVAILABILITY_PATH, STATION_PATH)
    if STATION_PATH in url:
        return url.replace(STATION_PATH, AVAILABILITY_PATH), url
    raise SettingsError(
        'feed = "tdx" requires a url such as https://tdx.transportdata.tw/api/basic/v2'
        f"{AVAILABILITY_PATH}City/Taipei?$format=JSON"
    )


def _is_due(known: Mapping[str, Any], unknown: set[str], now: float) -> bool:
    """Return whether the stations are requested at *now*."""
    if 0 <= now - known.get("failed", -DAY) < RETRY_AFTER:
        return False
    age = now - known.get("at", -DAY)
    if known.get("error") or not 0 <= age < DAY:
        return True
    return age >= QUARTER and bool(unknown)


def _pages(documents: Documents) -> list[Document]:
    return [item for item in documents if not item.name.startswith(STATIONS)]


def _all(documents: Documents) -> list[Any]:
    """Return the stations on all pages of the availability."""
    pages = _pages(documents)
    return reader.all_stations([page.body for page in pages])


def _stations(documents: Documents) -> list[Any]:
    bodies = _station_bodies(documents)
    return reader.all_stations(bodies) if bodies else []


def _station_bodies(documents: Documents) -> list[bytes]:
    """Return the pages of the stations in *documents*, none if they were not due."""
    return [item.body for item in documents if item.name.startswith(STATIONS)]

"""Paging: get a whole list of stations from a server that pages or truncates it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from bikecollect.core.errors import FeedError, FeedUnavailable, PayloadError
from bikecollect.core.payload import ONCE, Check, Document, Getter, Memory, Payload
from bikecollect.core.slots import DAY
from bikecollect.feeds.http.urls import plain
from bikecollect.feeds.reading.list_queries import (
    ALL,
    LIKELY,
    OFFSET,
    PAGE,
    SIZE,
    find_name,
    first_page_queries,
    full_list_queries,
    larger_page_queries,
    linked_page,
    next_page,
    number,
    page_sizes,
    query_of,
    stated,
    with_query,
)

NOTE = "feeds.list"
MAX_PAGES = 100
LONG = 20
"""Pages for which larger ones are requested first: Opendatasoft gives 10 stations, or
100 if asked."""
FEW, SHARE = 3, 0.05
"""Stations, or share of them: a list whose length changed by less was not truncated
to a page."""
TRIES = 2
"""Requests for a page that may be beyond the last one."""
BEYOND = frozenset(f"http-{status}" for status in (204, 400, 404, 410, 416, 422))
"""Causes with which servers answer a request for a page beyond the last one."""
ListStations = Callable[[bytes], Sequence[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class PagedList:
    """The list at *url*: *list_stations* returns the stations of a body, or raises.

    *station_id* returns the id of a station. *check* validates the first page.
    """

    url: str
    list_stations: ListStations
    station_id: Callable[[Any], str | None]
    check: Check

    @property
    def place(self) -> str:
        """A short digest of the address, which may contain secrets."""
        return sha256(self.url.encode("utf-8", "backslashreplace")).hexdigest()[:16]

    def fetch(self, get: Getter, memory: Memory) -> Payload:
        """Get the whole list, page by page; a missing page is reported, not fatal.

        A query that made the server return the whole list is remembered and reused.
        """
        known = memory.values(NOTE)
        if known.get("url", self.place) != self.place:
            known = {}  # of the address that the settings had before
        query = known.get("query", {})
        try:
            first = get("page-0", with_query(self.url, query), check=self.check)
        except FeedUnavailable as error:
            if not query or error.cause not in {"http-400", "http-404", "http-422"}:
                raise
            query = {}
            first = get("page-0", self.url, check=self.check)
        walk = _Walk(self, get, first, query, known)
        if walk.is_long and not _has_asked(known, memory.now):
            walk.ask_for_larger_pages(memory.now)
        walk.get_next_pages()
        if not walk.why and walk.is_cut(known) and _is_due(known, walk, memory.now):
            walk.ask_for_more(memory.now)
        note = walk.note(known, memory.now)
        return Payload(
            tuple(replace(page, next_url="") for page in walk.documents),
            notes={NOTE: json.dumps(note)} if note != known else {},
            incomplete=walk.incomplete(known),
        )


def _is_due(known: Mapping[str, Any], walk: "_Walk", now: float) -> bool:
    """Return whether to try for more: once a day, or when the length has changed."""
    return not _has_asked(known, now) or known.get("rows") != len(walk.ids)


def _has_asked(known: Mapping[str, Any], now: float) -> bool:
    """Return whether more was asked for within a day, and not while *now* was ahead."""
    return bool(0 <= now - known.get("asked", -DAY) < DAY)


class _Walk:
    """The pages received so far, and the stations on them."""

    def __init__(
        self,
        paged: PagedList,
        get: Getter,
        first: Document,
        query: Mapping[str, str],
        known: Mapping[str, Any],
    ) -> None:
        self.paged, self.get, self.query = paged, get, dict(query)
        self.before = int(known.get("rows", 0))
        self.documents = [first]
        self.asked = 0.0
        self.why = ""
        self.ended = self.ignored = self.is_empty = False
        # Before the rows, so that only one decoded copy of a large list is in memory.
        self.stated = self.last = stated(first)
        rows = self._rows(first)
        self.first, self.seen, self.ids = len(rows), len(rows), self._ids(rows)
        self.void = len(rows) - len(self.ids)

    @property
    def address(self) -> str:
        """The address of the first page."""
        return with_query(self.paged.url, self.query)

    @property
    def listed(self) -> int:
        """The stations received; on one page each row counts, as in stated totals."""
        return len(self.ids) + self.void

    @property
    def total(self) -> int | None:
        """The length of the whole list as stated, None if unknown.

        A number that the first page reaches is that of the page if more are stated.
        """
        total, count = self.stated.total or 0, self.stated.rows or 0
        is_paged = self.stated.next or self.stated.more or self.stated.pages > 1
        if total and not (is_paged and total <= self.first):
            return total
        return count if count > self.first else None

    @property
    def has_more(self) -> bool:
        """Whether the pages state that there are more than were received."""
        beyond = self.last.more or self.stated.pages > len(self.documents)
        return beyond or bool(self.last.next and self.ignored)

    @property
    def size(self) -> int:
        """The number of stations on a full page, 0 if the list is not paged."""
        query = query_of(self.address)
        requested_size = number(query.get(find_name(SIZE, query), ""))
        if self.has_more or (self.total is not None and self.total > self.first):
            return self.first
        paged = requested_size or find_name(PAGE, query) or find_name(OFFSET, query)
        full = self.first >= requested_size > 0 or self.first in LIKELY
        return self.first if paged and full else 0

    def get_next_pages(self) -> None:
        """Get the following pages, until one has no new stations."""
        while not (self.ended or self.ignored or self.why):
            place = self._next()
            if not place or (self.total is not None and len(self.ids) >= self.total):
                return
            if len(self.documents) == MAX_PAGES:
                self.why = f"there are more than {MAX_PAGES} pages"
                return
            self._page(place)

    def _page(self, place: str) -> None:
        try:
            page = self._ask(place)
            rows = self.paged.list_stations(page.body)
        except (FeedError, PayloadError) as error:
            self.ended = self._may_end and error.cause in BEYOND
            if self.ended:
                return
            self.why = f"page {len(self.documents)} failed: {error}"
            return
        ids = self._ids(rows)
        self.is_empty = self.is_empty or not rows
        if not ids - self.ids:
            first = len(self.documents) == 1
            self.ignored = first and bool(rows) and ids == self.ids
            self.ended = not self.ignored
            return
        self.documents.append(page)
        self.seen, self.void = self.seen + len(rows), self.void + len(rows) - len(ids)
        self.ids |= ids
        self.last = stated(page)
        self.ended = len(rows) < self.size and not (self.last.next or self.has_more)

    @property
    def _may_end(self) -> bool:
        """Whether there are pages, and nothing says that there is another."""
        is_stated = self.last.next or self.has_more or self.listed < (self.total or 0)
        return len(self.documents) > 1 and not is_stated and not self._is_short

    @property
    def _is_short(self) -> bool:
        """Whether there are far fewer stations than in the last fetch."""
        lost = self.before - len(self.ids)
        return lost > max(FEW, self.before * SHARE)

    def _ask(self, place: str) -> Document:
        """Return the next page, from *place*; the end of the pages is not retried."""
        name, check = f"page-{len(self.documents)}", self.paged.list_stations
        if self._may_end:
            try:
                return self.get(name, place, check=check, tries=TRIES)
            except FeedUnavailable as error:
                if error.cause in BEYOND:
                    raise
        return self.get(name, place, check=check)

    @property
    def is_long(self) -> bool:
        """Whether there are many pages, by the length that the first one states."""
        return int(ALL) >= (self.total or 0) > LONG * self.first > 0

    def ask_for_larger_pages(self, now: float) -> None:
        """Try the usual query parameters, until one of them gives more on a page."""
        self.asked = now
        any(map(self._more, larger_page_queries(self.paged.url)))

    def ask_for_more(self, now: float) -> None:
        """Try the usual query parameters, until one of them gives more stations."""
        self.asked = now
        queries = full_list_queries(self.paged.url)
        if any(self._more(query) for query in queries) and not self.ignored:
            return
        before = self.query
        for query in first_page_queries(self.paged.url):
            self.query, self.ended, self.ignored = {**before, **query}, False, False
            self.get_next_pages()
            if len(self.documents) > 1:
                return
            self.why = ""
        self.query = before

    def _more(self, query: Mapping[str, str]) -> bool:
        """Try *query*; if the response has more stations, use it and return True."""
        try:
            place = with_query(self.paged.url, query)
            page = self.get("page-0", place, check=self.paged.list_stations, tries=ONCE)
            rows = self.paged.list_stations(page.body)
        except (FeedError, PayloadError):
            return False
        ids = self._ids(rows)
        alike = len(ids & self.ids) * 2 >= len(self.ids)
        if not alike or len(ids) <= len(self.ids):
            return False
        self.documents, self.seen, self.ids = [page], len(rows), ids
        self.first, self.query = len(rows), dict(query)
        self.void = len(rows) - len(ids)
        del rows
        before, self.last = self.stated, stated(page)
        self.stated = self.last
        if self.last.total is self.last.rows is None:
            self.stated = self.last._replace(total=before.total, rows=before.rows)
        self.ended = self.ignored = False
        self.get_next_pages()
        return True

    def is_cut(self, known: Mapping[str, Any]) -> bool:
        """Return whether the list may be one page of a longer one."""
        if self.total is not None:
            return self.listed < self.total
        if self.has_more:
            return True
        alone = len(self.documents) == 1 and not self.ended
        is_page = self.first in page_sizes(self.paged.url)
        return alone and is_page and not self._moves(known)

    def incomplete(self, known: Mapping[str, Any]) -> str:
        """Return a sentence on what is missing, empty if the list is complete."""
        if self.why:
            return self.why
        if self.total is not None and self.listed < self.total:
            return f"only {self.listed} of {self.total} stations were received"
        if self.has_more:
            received = f"the {len(self.ids)} stations that were received"
            return f"the response states more pages than {received}"
        twice = self.seen - self.listed
        if len(self.documents) > 1 and twice and self.total is None:
            return f"{twice} stations are on two pages: as many may be missing"
        if self.is_cut(known) and not self._is_whole(known):
            return (
                f"exactly {self.first} stations were received, a usual page size, and "
                "requests for more gave none: the list may be truncated"
            )
        return ""

    def note(self, known: Mapping[str, Any], now: float) -> dict[str, Any]:
        """Return what to remember for the next fetch.

        A list that lacks a page replaces a longer one only after a day.
        """
        since = known.get("short", now)
        if self.why and self._is_short and 0 <= now - since < DAY:
            return {**known, "short": since}
        note: dict[str, Any] = {"rows": len(self.ids), "url": self.paged.place}
        if self._moves(known):
            note["moves"] = True
        if self._is_whole(known):
            note["whole"] = len(self.ids)
        if self.query:
            note["query"] = self.query
        requested = self.asked or known.get("asked", 0.0)
        return {**note, "asked": requested} if requested else note

    def _moves(self, known: Mapping[str, Any]) -> bool:
        """Return whether the list has ever grown or shrunk a little between fetches."""
        before = int(known.get("rows", 0))
        if before == len(self.ids):
            return bool(known.get("moves"))
        return before > 0 and abs(before - len(self.ids)) <= max(FEW, before * SHARE)

    def _is_whole(self, known: Mapping[str, Any]) -> bool:
        """Return whether the page after these stations was empty when last asked."""
        return self.is_empty if self.asked else known.get("whole") == len(self.ids)

    def _next(self) -> str:
        """Return the address of the next page, empty if none is known."""
        if self.last.next:
            place = linked_page(self.paged.url, self.query, self.last.next)
            if not place:
                self.why = "the next page is on another host and not requested: "
                self.why += plain(self.last.next)
            return place
        if not self.size or self.seen < self.size:
            return ""
        return next_page(self.address, len(self.documents), self.seen)

    def _rows(self, document: Document) -> Sequence[Any]:
        try:
            return self.paged.list_stations(document.body)
        except PayloadError:
            return ()

    def _ids(self, rows: Sequence[Any]) -> set[str]:
        ids = (self.paged.station_id(row) for row in rows)
        return {station_id for station_id in ids if station_id is not None}

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
    BEYOND,
    first_page_queries,
    full_list_queries,
    is_beyond,
    is_due,
    is_page,
    larger_page_queries,
    linked_page,
    next_page,
    page_sizes,
    stated,
    with_query,
)

NOTE = "feeds.list"
MAX_PAGES = 100
FEW, SHARE = 3, 0.05
"""Stations, or share of them: a list whose length changed by less was not truncated
to a page."""
TRIES = 2
"""Requests for a page that may be beyond the last one."""
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
        walk = _Walk(self, get, first, query, known, now=memory.now)
        if walk.stated.is_long(walk.first) and is_due(known, memory.now):
            walk.ask_for_larger_pages()
        walk.get_next_pages()
        changed = known.get("rows") != len(walk.ids)
        if not walk.why and walk.is_cut and (changed or is_due(known, memory.now)):
            walk.ask_for_more()
        note = walk.note()
        return Payload(
            tuple(replace(page, next_url="") for page in walk.documents),
            notes={NOTE: json.dumps(note)} if note != known else {},
            incomplete=walk.incomplete(),
            findings=walk.findings,
        )


class _Walk:
    """The pages received so far, and the stations on them."""

    def __init__(
        self,
        paged: PagedList,
        get: Getter,
        first: Document,
        query: Mapping[str, str],
        known: Mapping[str, Any],
        *,
        now: float,
    ) -> None:
        self.paged, self.get, self.query = paged, get, dict(query)
        self.known, self.now = known, now
        self.before = int(known.get("rows", 0))
        self.documents = [first]
        self.asked = 0.0
        self.why = ""
        self.ended = self.ignored = self.is_empty = False
        self.refused: bool | None = None  # until the newest request tells
        self.accepted = self.address
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
        """The length of the whole list as stated, None if unknown."""
        return self.stated.length(self.first)

    @property
    def has_more(self) -> bool:
        """Whether the pages state that there are more than were received."""
        beyond = self.last.more or self.stated.pages > len(self.documents)
        return beyond or bool(self.last.next and self.ignored)

    @property
    def size(self) -> int:
        """The number of stations on a full page, 0 if the list is not paged."""
        has_more = self.has_more or (self.total or 0) > self.first
        return self.first if has_more or is_page(self.address, self.first) else 0

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
            known = place if len(self.documents) > 1 else self.accepted
            self.refused = is_beyond(error.cause, place, known) or None
            self.ended = self._may_end and bool(self.refused)
            if self.ended:
                return
            self.why = f"page {len(self.documents)} failed: {error}"
            return
        ids = self._ids(rows)
        self.is_empty = self.is_empty or not rows
        self.refused = False
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
        """Whether this may be the end, and nothing says that there is another page."""
        is_stated = self.last.next or self.has_more or self.listed < (self.total or 0)
        is_last = len(self.documents) > 1 or self._is_alone
        return is_last and not is_stated and not self._is_short

    @property
    def _refusals(self) -> Sequence[float]:
        """When the page after a list of this length was refused: first and last."""
        first = self.known.get("refused") if self.before == len(self.ids) else None
        times = [] if first is None else [first, self.known.get("refused_last", first)]
        times = [time for time in times if time <= self.now]  # the clock was ahead
        if self.refused is None:
            return times
        return [*times[:1], self.now] if self.refused else []

    @property
    def _is_alone(self) -> bool:
        """Whether the page after a list of this length has been refused for a day."""
        return max(self._refusals, default=0) - min(self._refusals, default=0) >= DAY

    @property
    def findings(self) -> dict[str, str]:
        """A sentence if a full page is taken to be all, because there is no other."""
        if not self._is_alone or len(self.documents) > 1:
            return {}
        text = f"the list has had exactly {self.first} stations for a day, and the "
        text += "server refuses requests for more: it is taken to be complete"
        return {"no more pages": text}

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

    def ask_for_larger_pages(self) -> None:
        """Try the usual query parameters, until one of them gives more on a page."""
        self.asked = self.now
        any(map(self._more, larger_page_queries(self.paged.url)))

    def ask_for_more(self) -> None:
        """Try the usual query parameters, until one of them gives more stations."""
        self.asked = self.now
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
        self.first, self.query, self.accepted = len(rows), dict(query), place
        self.void = len(rows) - len(ids)
        del rows
        self.last = stated(page)
        self.stated = self.last.or_length_of(self.stated)
        self.ended = self.ignored = False
        self.get_next_pages()
        return True

    @property
    def is_cut(self) -> bool:
        """Whether the list may be one page of a longer one."""
        if self.total is not None:
            return self.listed < self.total
        if self.has_more:
            return True
        alone = len(self.documents) == 1 and not self.ended
        return alone and self.first in page_sizes(self.paged.url) and not self._moves

    def incomplete(self) -> str:
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
        if self.is_cut and not self._is_whole:
            return (
                f"exactly {self.first} stations were received, a usual page size, and "
                "requests for more gave none: the list may be truncated"
            )
        return ""

    def note(self) -> dict[str, Any]:
        """Return what to remember for the next fetch.

        A list that lacks a page replaces a longer one only after a day.
        """
        since = self.known.get("short", self.now)
        if self.why and self._is_short and 0 <= self.now - since < DAY:
            return {**self.known, "short": since}
        note: dict[str, Any] = {
            **dict(zip(("refused", "refused_last"), self._refusals, strict=False)),
            "moves": self._moves,
            "whole": self._is_whole and len(self.ids),
            "query": self.query,
            "asked": self.asked or self.known.get("asked"),
        }
        note = {name: value for name, value in note.items() if value}
        return {"rows": len(self.ids), "url": self.paged.place, **note}

    @property
    def _moves(self) -> bool:
        """Whether the list has ever grown or shrunk a little between fetches."""
        before = self.before
        if before == len(self.ids):
            return bool(self.known.get("moves"))
        return before > 0 and abs(before - len(self.ids)) <= max(FEW, before * SHARE)

    @property
    def _is_whole(self) -> bool:
        """Whether the page after these stations was empty, or refused for a day."""
        known = self.known.get("whole") == len(self.ids)
        return self._is_alone or (self.is_empty if self.asked else known)

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

"""Paging: a list of stations that a server gives in pages, or cuts without a word."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bikecollect.core.errors import FeedError, FeedUnavailable, PayloadError
from bikecollect.core.payload import (
    ONCE,
    Check,
    Document,
    Fetched,
    Getter,
    Memory,
)
from bikecollect.core.slots import DAY
from bikecollect.feeds.http.urls import joined, same_origin
from bikecollect.feeds.reading.list_queries import (
    LIKELY,
    OFFSET,
    PAGE,
    SIZE,
    first_pages,
    named,
    next_in,
    number,
    page_sizes,
    secured,
    total,
    with_query,
    words,
)

NOTE = "feeds.list"
MOST_PAGES = 100
FEW, SHARE = 3, 0.05
"""A list that has grown or shrunk by so little was not cut by a page."""
Listed = Callable[[bytes], Sequence[Any]]


@dataclass(frozen=True, eq=False)
class List:
    """One list at *url*: *listed* returns the stations of a body, or raises.

    *identified* returns the id of a station. *check* looks at the first page.
    """

    url: str
    listed: Listed
    identified: Callable[[Any], str | None]
    check: Check

    def fetch(self, get: Getter, memory: Memory) -> Fetched:
        """Get all of the list, page by page; what is missing is told, not lost.

        What made a server give all is remembered, and asked for at once.
        """
        known = _note(memory.notes.get(NOTE))
        query = known.get("query", {})
        try:
            first = get("page-0", with_query(self.url, query), check=self.check)
        except FeedUnavailable as error:
            if not query or error.cause not in {"http-400", "http-404", "http-422"}:
                raise
            query = {}
            first = get("page-0", self.url, check=self.check)
        walk = _Walk(self, get, first, query)
        walk.on()
        if not walk.why and walk.is_cut(known) and _is_due(known, walk, memory.now):
            walk.ask_for_more(memory.now)
        note = walk.note(known)
        return Fetched(
            tuple(replace(each, next_url="") for each in walk.documents),
            {NOTE: json.dumps(note)} if note != known else {},
            walk.incomplete(known),
        )


def _is_due(known: Mapping[str, Any], walk: "_Walk", now: float) -> bool:
    """Return whether more is asked for: once a day, or where the list has changed."""
    return now - known.get("asked", -DAY) >= DAY or known.get("rows") != len(walk.ids)


class _Walk:
    """The pages that have come so far, and the stations on them."""

    def __init__(
        self, what: List, get: Getter, first: Document, query: Mapping[str, str]
    ) -> None:
        self.what, self.get, self.query = what, get, dict(query)
        self.documents = [first]
        self.asked = 0.0
        self.why = ""
        self.ended = self.ignored = False
        # Before the rows: of a heavy list one is parsed at a time.
        self.total = total(first)
        rows = self._rows(first)
        self.first, self.seen, self.ids = len(rows), len(rows), self._ids(rows)

    @property
    def size(self) -> int:
        """How many stations a full page has, 0 where the list is not paged."""
        query = self._query()
        asked = number(query.get(named(SIZE, query), ""))
        if self.total is not None and self.total > self.first:
            return self.first
        paged = asked or named(PAGE, query) or named(OFFSET, query)
        full = self.first >= asked > 0 or self.first in LIKELY
        return self.first if paged and full else 0

    def on(self) -> None:
        """Get the pages that follow, until one brings nothing new."""
        while not (self.ended or self.ignored or self.why):
            place = self._next()
            if not place or (self.total is not None and len(self.ids) >= self.total):
                return
            if len(self.documents) == MOST_PAGES:
                self.why = f"there are more than {MOST_PAGES} pages"
                return
            self._page(place)

    def _page(self, place: str) -> None:
        name = f"page-{len(self.documents)}"
        try:
            page = self.get(name, place, check=self.what.listed)
            rows = self.what.listed(page.body)
        except (FeedError, PayloadError) as error:
            self.why = f"page {len(self.documents)} did not come: {error}"
            return
        ids = self._ids(rows)
        if not ids - self.ids:
            first = len(self.documents) == 1
            self.ignored = first and bool(rows) and ids == self.ids
            self.ended = not self.ignored
            return
        self.documents.append(page)
        self.seen += len(rows)
        self.ids |= ids
        self.ended = len(rows) < self.size and not page.next_url

    def ask_for_more(self, now: float) -> None:
        """Ask by the words that servers know, until one of them brings more."""
        self.asked = now
        taken = any(self._more(query) for query in words(self.what.url))
        if taken and not self.ignored:
            return
        before = self.query
        for query in first_pages(self.what.url):
            self.query, self.ended, self.ignored = {**before, **query}, False, False
            self.on()
            if len(self.documents) > 1:
                return
            self.why = ""
        self.query = before

    def _more(self, query: Mapping[str, str]) -> bool:
        """Ask by *query* too; return whether that brings more, and take it then."""
        try:
            place = with_query(self.what.url, query)
            page = self.get("page-0", place, check=self.what.listed, tries=ONCE)
            rows = self.what.listed(page.body)
        except (FeedError, PayloadError):
            return False
        ids = self._ids(rows)
        alike = len(ids & self.ids) * 2 >= len(self.ids)
        if not alike or len(ids) <= len(self.ids):
            return False
        self.documents, self.seen, self.ids = [page], len(rows), ids
        self.first, self.query = len(rows), dict(query)
        del rows
        self.total = total(page) or self.total
        self.ended = self.ignored = False
        self.on()
        return True

    def is_cut(self, known: Mapping[str, Any]) -> bool:
        """Return whether the list looks like a page of a longer one."""
        if self.total is not None:
            return len(self.ids) < self.total
        alone = len(self.documents) == 1 and not self.ended
        return (
            alone and self.first in page_sizes(self.what.url) and not self._moves(known)
        )

    def incomplete(self, known: Mapping[str, Any]) -> str:
        """Return what is missing, empty for nothing."""
        if self.why:
            return self.why
        if self.total is not None and len(self.ids) < self.total:
            return f"{len(self.ids)} of {self.total} stations came"
        twice = self.seen - len(self.ids)
        if len(self.documents) > 1 and twice and self.total is None:
            return f"{twice} stations are on two pages: as many may be on none"
        if self.is_cut(known):
            return (
                f"exactly {self.first} stations came, which is a server's usual page, "
                "and asking for more brought none: the list may be cut"
            )
        return ""

    def note(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """Return what to remember for the next fetch."""
        note: dict[str, Any] = {"rows": len(self.ids)}
        if self._moves(known):
            note["moves"] = True
        if self.query:
            note["query"] = self.query
        asked = self.asked or known.get("asked", 0.0)
        return {**note, "asked": asked} if asked else note

    def _moves(self, known: Mapping[str, Any]) -> bool:
        """Return whether the list was seen to grow or shrink by a little."""
        before = int(known.get("rows", 0))
        if before == len(self.ids):
            return bool(known.get("moves"))
        return before > 0 and abs(before - len(self.ids)) <= max(FEW, before * SHARE)

    def _next(self) -> str:
        """Return the address of the next page, empty where none is known."""
        last = self.documents[-1]
        place = last.next_url or next_in(last.body)
        if place:
            place = secured(joined(self.what.url, place), self.what.url)
            return place if same_origin(place, self.what.url) else ""
        if not self.size or self.seen < self.size:
            return ""
        query = self._query()
        if name := named(PAGE, query):
            query[name] = str(number(query[name]) + len(self.documents))
        else:
            odata = any(name.startswith("$") for name in query)
            word = "$skip" if odata else "offset"
            query[named(OFFSET, query) or word] = str(self.seen)
        text = urlencode(query, safe="$:,")
        return urlunsplit(urlsplit(self.what.url)._replace(query=text))

    def _query(self) -> dict[str, str]:
        query = urlsplit(with_query(self.what.url, self.query)).query
        return dict(parse_qsl(query, keep_blank_values=True))

    def _rows(self, document: Document) -> Sequence[Any]:
        try:
            return self.what.listed(document.body)
        except PayloadError:
            return ()

    def _ids(self, rows: Sequence[Any]) -> set[str]:
        found = (self.what.identified(each) for each in rows)
        return {each for each in found if each is not None}


def _note(note: str | None) -> Mapping[str, Any]:
    try:
        found = json.loads(note or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

"""The addresses of a list's pages, and the fields by which servers page it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Document
from bikecollect.core.slots import DAY
from bikecollect.feeds.http.urls import joined, same_origin
from bikecollect.feeds.reading.json_payload import at, decode
from bikecollect.feeds.reading.values import count, flag

ALL = "10000"
"""The page size requested to get all stations."""
MANY = "100"
"""The largest page that many servers allow; they answer 400 if more is requested."""
USUAL = frozenset({30, 100, 500, 1_000, 2_000, 5_000})
"""List lengths that are a usual page size of a server."""
LIKELY = USUAL | {10, 20, 25, 40, 50, 60, 75, 150, 200, 250, 300, 400, 1_500}
LIKELY |= {2_500, 3_000, 10_000}
"""As `USUAL`, for an address with a query or with the path of an API."""
BEYOND = frozenset(f"http-{status}" for status in (204, 400, 404, 410, 416, 422))
"""Causes with which servers answer a request for a page beyond the last one."""
UNKNOWN = frozenset({"http-400", "http-422"})
"""Those of them with which servers also refuse a parameter that they do not know."""
LONG = 20
"""Pages for which larger ones are requested first: Opendatasoft gives 10 stations, or
100 if asked."""
TOTALS = frozenset(
    [
        "hydratotalitems",
        "nhits",
        "numberfound",
        "numbermatched",
        "numfound",
        "odatacount",
        "recordstotal",
        "rowcount",
        "total",
        "totalcount",
        "totalelements",
        "totalhits",
        "totalitems",
        "totalrecords",
        "totalresults",
        "totalrows",
    ]
)
"""Names (letters only) of the fields that state the length of the whole list."""
COUNTS = frozenset(["count", "recordcount"])
"""Fields that state the length of the whole list, or that of the page."""
NEXT = frozenset(
    [
        "hydranext",
        "next",
        "nextlink",
        "nextpage",
        "nextpageurl",
        "nexturl",
        "odatanextlink",
    ]
)
"""Fields with the address or the number of the next page."""
MORE = frozenset(
    ["exceededtransferlimit", "hasmore", "hasnext", "hasnextpage", "ismore"]
)
"""Fields that are true on all pages except the last."""
PAGES = frozenset(["lastpage", "numpages", "pagecount", "totalpages"])
"""Fields that state the number of pages."""
PARTS = frozenset(
    [
        "data",
        "hits",
        "hydraview",
        "links",
        "meta",
        "metadata",
        "page",
        "pageinfo",
        "pager",
        "paging",
        "pagination",
        "properties",
        "response",
        "result",
        "resultset",
        "retval",
    ]
)
"""Objects in a response that may have such fields."""
DEPTH, MAX_FIELDS = 3, 40
"""Levels of such objects that are searched, and the maximum fields of one: an object
with more has stations by id."""
PAGE = r"page(_?no|_?num|_?number|_?index)?|p|current_?page"
OFFSET = r"\$?(offset|skip|start|from|resultOffset)"
SIZE = r"\$?(size|limit|top|rows|per_?page|page_?size|count|resultRecordCount)"
"""Patterns of the names of parameters, in any case."""
_API = r"(^|[/.])(api|odata|datasets?|datastore)([/.]|$)"


def number(value: str) -> int:
    """Return the number in a query's *value*, 0 if it is not a plausible one."""
    return int(value) if value.isdecimal() and len(value) <= len(ALL) + 2 else 0


def upgraded(place: str, url: str) -> str:
    """Return the address *place* with https if *url* has https."""
    is_downgrade = place[:7].lower() == "http://" and url[:8].lower() == "https://"
    return f"https://{place[7:]}" if is_downgrade else place


def page_sizes(url: str) -> frozenset[int]:
    """Return the lengths at which a list from *url* may be a page of a longer one."""
    parts = urlsplit(url)
    place = f"{parts.hostname}{parts.path}"
    is_api = parts.query or re.search(_API, place, re.IGNORECASE)
    return LIKELY if is_api else USUAL


def is_page(url: str, rows: int) -> bool:
    """Return whether *rows* are a full page, by the parameters in the address *url*.

    >>> is_page("http://a/f?limit=7", 7), is_page("http://a/f?p=1", 7)
    (True, False)
    """
    query = query_of(url)
    size = number(query.get(find_name(SIZE, query), ""))
    is_paged = size or find_name(PAGE, query) or find_name(OFFSET, query)
    return bool(is_paged) and (rows >= size > 0 or rows in LIKELY)


def is_due(known: Mapping[str, Any], now: float) -> bool:
    """Return whether to try other queries again, a day after the last time in *known*.

    It is due, too, if the clock was ahead then.
    """
    return not 0 <= now - known.get("asked", -DAY) < DAY


def full_list_queries(url: str) -> list[dict[str, str]]:
    """Return the queries with which a server may return the whole list at *url*."""
    query = query_of(url)
    if size := find_name(SIZE, query):
        return [{size: ALL}]
    if any(name.startswith("$") for name in query):
        return [{"$top": ALL}]
    return [{"limit": ALL}, {"size": ALL}, {"page": "0", "size": ALL}, {"rows": ALL}]


def larger_page_queries(url: str) -> list[dict[str, str]]:
    """Return the queries with which a server may return more on each page of *url*."""
    first, *others = full_list_queries(url)
    return [first, *others, dict.fromkeys(first, MANY)]


def first_page_queries(url: str) -> list[dict[str, str]]:
    """Return the queries that may start paging the list at *url*."""
    query = query_of(url)
    if find_name(PAGE, query) or find_name(OFFSET, query):
        return []
    if any(name.startswith("$") for name in query):
        return [{"$skip": "0"}]
    return [{"offset": "0"}, {"page": "0"}, {"page": "1"}]


def with_query(url: str, query: Mapping[str, str]) -> str:
    """Return *url* with the parameters of *query* set.

    >>> with_query("http://a/f?rid=1&limit=5", {"limit": "9"})
    'http://a/f?rid=1&limit=9'
    """
    if not query:
        return url
    parts = urlsplit(url)
    kept = [text for text in parts.query.split("&") if text]
    kept = [text for text in kept if text.partition("=")[0] not in query]
    text = "&".join((*kept, urlencode(query, safe="$:,")))
    return urlunsplit(parts._replace(query=text))


def query_of(url: str) -> dict[str, str]:
    """Return the parameters of *url*."""
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def next_page(url: str, pages: int, stations: int) -> str:
    """Return the address of the page after *pages*, which have so many *stations*.

    *url* is the address of the first page.

    >>> next_page("http://a/f?page=0", 1, 100), next_page("http://a/f?limit=9", 1, 9)
    ('http://a/f?page=1', 'http://a/f?limit=9&offset=9')
    """
    query = query_of(url)
    if name := find_name(PAGE, query):
        query[name] = str(number(query[name]) + pages)
    else:
        odata = any(name.startswith("$") for name in query)
        default = "$skip" if odata else "offset"
        query[find_name(OFFSET, query) or default] = str(stations)
    return _replaced(url, urlencode(query, safe="$:,"))


def is_beyond(cause: str, place: str, accepted: str) -> bool:
    """Return whether *cause* says that there is no page at the address *place*.

    It may say that a parameter is unknown, unless that is in the address *accepted*.

    >>> is_beyond("http-400", "http://a/f?page=2", "http://a/f?page=1")
    True
    >>> is_beyond("http-400", "http://a/f?page=2", "http://a/f")
    False
    """
    is_guess = not query_of(place).keys() <= query_of(accepted).keys()
    return cause in (BEYOND - UNKNOWN if is_guess else BEYOND)


def linked_page(url: str, query: Mapping[str, str], link: str) -> str:
    """Return the address of *link* on a page, empty if it is on another host.

    The page is from *url* with *query*; *link* may be only the number of the next one.
    Servers behind a proxy may name their internal host: if the path is the same, only
    the query of *link* is used.
    """
    if link.isdecimal():
        known = query_of(with_query(url, query))
        name = find_name(PAGE, known) or find_name(OFFSET, known) or "page"
        return _replaced(url, urlencode({**known, name: link}, safe="$:,"))
    is_query = not re.search("[/?]", link)
    place = upgraded(joined(url, f"?{link}" if is_query else link), url)
    if same_origin(place, url):
        return place
    path, own = urlsplit(place).path.rstrip("/"), urlsplit(url).path.rstrip("/")
    same_path = bool(path) and own.endswith(path)
    return _replaced(url, urlsplit(place).query) if same_path else ""


def _replaced(url: str, query: str) -> str:
    return urlunsplit(urlsplit(url)._replace(query=query))


def find_name(pattern: str, query: Mapping[str, str]) -> str:
    """Return the first name in *query* that matches *pattern*, empty for none."""
    names = (name for name in query if re.fullmatch(pattern, name, re.IGNORECASE))
    return next(names, "")


class Stated(NamedTuple):
    """What a page states about the list to which it belongs.

    *total* is the length of the whole list, *rows* that of the list or of the page.
    *pages* is the number of pages; *next* is the address or the number of the next one,
    empty if none is stated; *more* says whether there is one.
    """

    total: int | None = None
    rows: int | None = None
    pages: int = 1
    next: str = ""
    more: bool = False

    def is_long(self, first: int) -> bool:
        """Return whether there are many pages, of which the *first* is so long."""
        return int(ALL) >= (self.length(first) or 0) > LONG * first > 0

    def or_length_of(self, other: "Stated") -> "Stated":
        """Return this with the total and the rows of *other* if it states neither."""
        if self.total is self.rows is None:
            return self._replace(total=other.total, rows=other.rows)
        return self

    def length(self, first: int) -> int | None:
        """Return the length of the whole list, None if unknown.

        A number that the *first* page reaches is that of the page if more are stated.
        """
        total, count = self.total or 0, self.rows or 0
        is_paged = self.next or self.more or self.pages > 1
        if total and not (is_paged and total <= first):
            return total
        return count if count > first else None


def stated(document: Document) -> Stated:
    """Return what *document* states; its headers take precedence over its body."""
    try:
        fields = list(_fields(decode(document.body), DEPTH))
    except PayloadError:
        fields = []
    totals = (count(value) for name, value in fields if name in TOTALS)
    counts = (count(value) for name, value in fields if name in COUNTS)
    pages = (count(value) for name, value in fields if name in PAGES)
    links = (_link(value) for name, value in fields if name in NEXT)
    return Stated(
        document.total or next(filter(None, totals), None),
        next(filter(None, counts), None),
        next(filter(None, pages), 1),
        document.next_url or next(filter(None, links), ""),
        any(flag(value) for name, value in fields if name in MORE),
    )


def total(document: Document) -> int | None:
    """Return the total that *document* or its headers state, None if there is none."""
    return stated(document).total


def _fields(value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield names (letters only) and values of the fields in *value*, outer first."""
    if not isinstance(value, Mapping) or len(value) > MAX_FIELDS:
        return
    fields = [(re.sub("[^a-z]", "", name[:60].lower()), value[name]) for name in value]
    yield from fields
    for name, item in fields if depth > 1 else ():
        if name in PARTS:
            yield from _fields(item, depth - 1)
        if name == "links" and isinstance(item, list):
            rels = [link for link in item[:MAX_FIELDS] if at(link, "rel") == "next"]
            yield from (("next", link) for link in rels)


def _link(value: Any) -> str:
    """Return *value* as the address or number of a page, empty if it is neither."""
    if isinstance(value, Mapping):
        value = next((value[key] for key in ("href", "url") if key in value), None)
    if type(value) is int:
        return str(value)
    is_link = isinstance(value, str) and re.search("[/?=]|^[0-9]+$", value)
    return str(value) if is_link else ""

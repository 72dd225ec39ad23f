"""The words by which servers give a list: pages, sizes, totals and next ones."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Document
from bikecollect.feeds.reading.json_payload import at, decode
from bikecollect.feeds.reading.values import count

ALL = "10000"
"""What is asked for where all stations are wanted."""
USUAL = frozenset({30, 100, 500, 1_000, 2_000, 5_000})
"""So many rows are a server's page, wherever they come from."""
LIKELY = USUAL | {10, 20, 25, 50, 200, 250, 300, 2_500, 3_000, 10_000}
"""So many are one where an address has a query, or names an interface."""
TOTALS = (
    *("total", "totalCount", "total_count", "totalElements", "numFound"),
    *("recordsTotal", "@odata.count", "result.total", "meta.total", "meta.count"),
    *("pagination.total", "page.totalElements", "paging.total", "data.total"),
)
NEXT = (
    *("next", "nextLink", "@odata.nextLink", "links.next", "_links.next.href"),
    *("links.next.href", "paging.next", "pagination.next", "result.next"),
)
PAGE = re.compile(r"page(_?no|_?num|_?number|_?index)?|p|current_?page", re.IGNORECASE)
OFFSET = re.compile(r"\$?(offset|skip|start|from|resultOffset)", re.IGNORECASE)
SIZE = re.compile(
    r"\$?(size|limit|top|rows|per_?page|page_?size|count|resultRecordCount)",
    re.IGNORECASE,
)
_INTERFACE = re.compile(
    r"(^|[/.])(api|odata|datasets?|datastore)([/.]|$)", re.IGNORECASE
)


def number(value: str) -> int:
    """Return the number that a query says, 0 for none."""
    return int(value) if value.isdecimal() and len(value) <= len(ALL) + 2 else 0


def secured(place: str, url: str) -> str:
    """Return *place* by https where *url* is."""
    lower = place[:7].lower() == "http://" and url[:8].lower() == "https://"
    return f"https://{place[7:]}" if lower else place


def page_sizes(url: str) -> frozenset[int]:
    """Return the lengths of a list at *url* that are a server's pages."""
    parts = urlsplit(url)
    asks = bool(parts.query) or _INTERFACE.search(f"{parts.hostname}{parts.path}")
    return LIKELY if asks else USUAL


def words(url: str) -> list[dict[str, str]]:
    """Return the queries by which a server may give all of the list at *url*."""
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    if size := named(SIZE, query):
        return [{size: ALL}]
    if any(name.startswith("$") for name in query):
        return [{"$top": ALL}]
    return [{"limit": ALL}, {"size": ALL}, {"page": "0", "size": ALL}, {"rows": ALL}]


def first_pages(url: str) -> list[dict[str, str]]:
    """Return the queries for a first page, from which the next ones may be found."""
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    if named(PAGE, query) or named(OFFSET, query):
        return []
    if any(name.startswith("$") for name in query):
        return [{"$skip": "0"}]
    return [{"offset": "0"}, {"page": "0"}, {"page": "1"}]


def with_query(url: str, query: Mapping[str, str]) -> str:
    """Return *url* with *query* in place of what it says for the same words.

    >>> with_query("http://a/f?rid=1&limit=5", {"limit": "9"})
    'http://a/f?rid=1&limit=9'
    """
    if not query:
        return url
    parts = urlsplit(url)
    kept = [each for each in parts.query.split("&") if each]
    kept = [each for each in kept if each.partition("=")[0] not in query]
    text = "&".join((*kept, urlencode(query, safe="$:,")))
    return urlunsplit(parts._replace(query=text))


def named(words: re.Pattern[str], query: Mapping[str, str]) -> str:
    """Return the first name of *query* that is one of *words*, empty for none."""
    return next((name for name in query if words.fullmatch(name)), "")


def total(document: Document) -> int | None:
    """Return how many stations there are, as the answer or its headers say."""
    if document.total is not None:
        return document.total
    try:
        value = decode(document.body)
    except PayloadError:
        return None
    said = (count(_at(value, path)) for path in TOTALS)
    return next((each for each in said if each), None)


def next_in(body: bytes) -> str:
    """Return the address of the next page that *body* names, empty for none."""
    try:
        value = decode(body)
    except PayloadError:
        return ""
    said = (_at(value, path) for path in NEXT)
    return next((each for each in said if isinstance(each, str) and "/" in each), "")


def _at(value: Any, path: str) -> Any:
    """Return what *value* has at *path*; OData's own names have a dot in them."""
    if isinstance(value, Mapping) and path in value:
        return value[path]
    return at(value, path)

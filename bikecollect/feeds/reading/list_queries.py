"""Query parameters and fields by which servers page a list."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bikecollect.core.errors import PayloadError
from bikecollect.core.payload import Document
from bikecollect.feeds.reading.json_payload import at, decode
from bikecollect.feeds.reading.values import count

ALL = "10000"
"""The page size requested to get all stations."""
USUAL = frozenset({30, 100, 500, 1_000, 2_000, 5_000})
"""List lengths that are a usual page size of a server."""
LIKELY = USUAL | {10, 20, 25, 50, 200, 250, 300, 2_500, 3_000, 10_000}
"""Such lengths for an address with a query, or with the path of an API."""
TOTALS = (
    "total",
    "totalCount",
    "total_count",
    "totalElements",
    "numFound",
    "recordsTotal",
    "@odata.count",
    "result.total",
    "meta.total",
    "meta.count",
    "pagination.total",
    "page.totalElements",
    "paging.total",
    "data.total",
)
NEXT = (
    "next",
    "nextLink",
    "@odata.nextLink",
    "links.next",
    "_links.next.href",
    "links.next.href",
    "paging.next",
    "pagination.next",
    "result.next",
)
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
    lower = place[:7].lower() == "http://" and url[:8].lower() == "https://"
    return f"https://{place[7:]}" if lower else place


def page_sizes(url: str) -> frozenset[int]:
    """Return the lengths at which a list from *url* may be a page of a longer one."""
    parts = urlsplit(url)
    place = f"{parts.hostname}{parts.path}"
    is_api = parts.query or re.search(_API, place, re.IGNORECASE)
    return LIKELY if is_api else USUAL


def full_list_queries(url: str) -> list[dict[str, str]]:
    """Return the queries with which a server may return the whole list at *url*."""
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    if size := find_name(SIZE, query):
        return [{size: ALL}]
    if any(name.startswith("$") for name in query):
        return [{"$top": ALL}]
    return [{"limit": ALL}, {"size": ALL}, {"page": "0", "size": ALL}, {"rows": ALL}]


def first_page_queries(url: str) -> list[dict[str, str]]:
    """Return the queries that may start paging the list at *url*."""
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
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


def find_name(pattern: str, query: Mapping[str, str]) -> str:
    """Return the first name in *query* that matches *pattern*, empty for none."""
    names = (name for name in query if re.fullmatch(pattern, name, re.IGNORECASE))
    return next(names, "")


def total(document: Document) -> int | None:
    """Return the total that the answer or its headers state, None for none."""
    if document.total is not None:
        return document.total
    try:
        value = decode(document.body)
    except PayloadError:
        return None
    totals = (count(_at(value, path)) for path in TOTALS)
    return next((number for number in totals if number), None)


def next_in(body: bytes) -> str:
    """Return the address of the next page in *body*, empty for none."""
    try:
        value = decode(body)
    except PayloadError:
        return ""
    links = (_at(value, path) for path in NEXT)
    return next((link for link in links if isinstance(link, str) and "/" in link), "")


def _at(value: Any, path: str) -> Any:
    """Return the item at *path* in *value*; OData's keys have a dot in them."""
    if isinstance(value, Mapping) and path in value:
        return value[path]
    return at(value, path)

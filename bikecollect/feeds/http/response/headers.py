"""The headers of a response that are read: of its body, its pages and its time."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

_LINK = r'<([^<>]*)>((?:[^<>",]|"[^"]*")*)'
_REL = r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;"]+))'
_CHARSET = r";\s*charset\s*=\s*[\"']?([\w.:+-]{1,40})"
_WHOLE = r"\s*bytes\s+0-(\d{1,12})/(\d{1,12})\s*"


def as_utf8(text: str) -> str:
    """Return the header *text* as UTF-8, if it is: headers are read as Latin-1.

    >>> as_utf8("/donn\u00c3\u00a9es"), as_utf8("/donn\u00e9es")
    ('/données', '/données')
    """
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def length(headers: Mapping[str, str]) -> int | None:
    """Return the Content-Length, which counts for nothing if the body is chunked."""
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        return None  # RFC 9112, 6.3
    text = headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def is_whole(headers: Mapping[str, str]) -> bool:
    """Return whether the range in *headers* is all of it: some caches answer so.

    >>> is_whole({"Content-Range": "bytes 0-6/7"})
    True
    >>> is_whole({"Content-Range": "bytes 0-5/7"}), is_whole({})
    (False, False)
    """
    match = re.fullmatch(_WHOLE, headers.get("Content-Range", ""), re.IGNORECASE)
    return match is not None and int(match[1]) == int(match[2]) - 1


def charset(headers: Mapping[str, str]) -> str:
    """Return the charset in the Content-Type, empty if it names none.

    >>> charset({"Content-Type": 'application/json; charset="Big5"'})
    'Big5'
    """
    match = re.search(_CHARSET, headers.get("Content-Type", ""), re.IGNORECASE)
    return match[1] if match else ""


def date(headers: Mapping[str, str], now: float) -> float | None:
    """Return the server's time in epoch seconds, None if *headers* state no valid one.

    It is in UTC, also without a zone. For a response from a cache it is the moment
    nearest to *now* between Date and Date + Age: some caches keep the origin's Date,
    others set their own (RFC 9110, 5.6.7 and RFC 9111, 5.1).

    >>> date({"Date": "Thu Jan  1 00:01:00 1970", "Age": "90"}, 100.0)
    100.0
    """
    try:
        moment = parsedate_to_datetime(headers.get("Date", ""))
        zone = moment.tzinfo or UTC
        seconds = moment.replace(tzinfo=zone).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    age = re.fullmatch(r"\s*([0-9]{1,9})\s*", headers.get("Age", ""))
    cached = int(age[1]) if age else 0
    return min(max(now, seconds), seconds + cached)


def total(headers: Mapping[str, str]) -> int | None:
    """Return the total length of a list stated in *headers*, None if there is none.

    >>> total({"Content-Range": "items 0-19/702"}), total({"X-Total-Count": "702"})
    (702, 702)
    >>> total({"Content-Range": "bytes 0-80417/80418"})
    """
    values = [text for name, text in headers.items() if _is_total(name)]
    unit, _, number = headers.get("Content-Range", "").rpartition("/")
    values += [] if unit.lower().startswith("bytes") else [number]
    pages = headers.get("X-Pagination", "")
    values += re.findall(
        r'"total_?(?:count|items)?"\s*:\s*(\d{1,9})', pages, re.IGNORECASE
    )
    return next((int(n) for n in values if n.isascii() and n.isdigit()), None)


def _is_total(name: str) -> bool:
    form = r"(x-)?(wp-|pagination-|list-)?total(-(count|items|records|results))?"
    return bool(re.fullmatch(form, name, re.IGNORECASE))


def next_url(headers: Mapping[str, str]) -> str:
    """Return the address of the next page in *headers*, empty for none.

    >>> next_url({"Link": '</a;b,c>; rel=prev, </f?page=2>; title="n=2"; rel="next"'})
    '/f?page=2'
    >>> next_url({"Link": '</a>; rel="", </b>'})
    ''
    """
    for address, parameters in re.findall(_LINK, headers.get("Link", "")):
        rel = re.search(_REL, parameters, re.IGNORECASE)
        if rel and "next" in (rel[1] or rel[2] or "").strip("'").lower().split():
            return str(address).strip()
    return ""

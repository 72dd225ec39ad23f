"""GBFS discovery: what a gbfs.json lists, and at which addresses."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from bikecollect.core.errors import (
    FeedError,
    PayloadError,
    ProtocolError,
    RateLimited,
)
from bikecollect.core.payload import MANY, Check, Document, Getter
from bikecollect.core.secrets.names import is_secret_name
from bikecollect.feeds.http.urls import joined
from bikecollect.feeds.reading.json_payload import at, keys
from bikecollect.feeds.reading.values import text

TRIES = 2
"""For what is not the status, and for an address that is only tried."""


def addresses(value: Any, language: str, base: str = "") -> dict[str, str]:
    """Return the addresses of a gbfs.json by name; raises PayloadError.

    Relative ones are resolved against *base*, the address of the gbfs.json.
    """
    data = at(value, "data")
    if not isinstance(data, Mapping):
        raise PayloadError("it has no data: give the address of a gbfs.json")
    feeds = data.get("feeds")
    if feeds is None:
        feeds = _by_language(data, language)
    if not isinstance(feeds, list):
        quote = f" (there is: {keys(data)})"
        raise PayloadError("it lists no feeds: is it a gbfs.json?", quote=quote)
    return {
        str(each["name"]): joined(base, str(each["url"]))
        for each in feeds
        if isinstance(each, dict) and text(each.get("name")) and text(each.get("url"))
    }


def _by_language(data: Mapping[str, Any], language: str) -> Any:
    """Return the feeds in *language*, else in the first one that lists a status."""
    lists = {each: at(data[each], "feeds") for each in data}
    lists = {each: feeds for each, feeds in lists.items() if feeds is not None}
    wanted = [lists[language]] if language in lists else []
    useful = [
        feeds
        for feeds in (*wanted, *lists.values())
        if isinstance(feeds, list)
        and any(at(each, "name") == "station_status" for each in feeds)
    ]
    return next(iter((*useful, *wanted, *lists.values())), None)


def ask(
    get: Getter,
    name: str,
    url: str,
    base: str,
    *,
    check: Check | None = None,
    tries: int = MANY,
) -> tuple[Document, str]:
    """Return the document *name* at *url*, and the address that it came from.

    An http address that a feed at an https address *base* lists is asked for by https
    first. Raises what *get* does.
    """
    secure = _secured(url, base)
    if secure == url:
        return get(name, url, check=check, tries=tries), url
    try:
        document = get(name, secure, check=check, tries=min(tries, TRIES))
        if check is not None:
            check(document.body)
    except RateLimited:
        raise
    except (FeedError, PayloadError) as error:
        try:
            return get(name, url, check=check, tries=tries), url
        except ProtocolError:
            raise error from None  # it leads back to https, as a rule
    return document, secure


def _secured(url: str, base: str) -> str:
    """Return *url* with https where *base* has it."""
    lower = url[:7].lower() == "http://" and base[:8].lower() == "https://"
    if not lower:
        return url
    place, slash, rest = url[7:].partition("/")
    return f"https://{place.removesuffix(':80')}{slash}{rest}"


def named(url: str) -> str:
    """Return a name for the address *url* that tells nothing of it."""
    data = url.encode("utf-8", "backslashreplace")
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def without_secrets(url: str, own: str) -> str:
    """Return *url* as it may be remembered, empty where that cannot be.

    The user info and the keys that it shares with the feed's *own* address are left
    out, for they are added when it is asked. Others are the publisher's secrets.

    >>> without_secrets("https://a.org/s?key=1&x=2", "https://a.org/gbfs.json?key=1")
    'https://a.org/s?x=2'
    >>> without_secrets("https://a.org/s?token=3", "https://a.org/gbfs.json?key=1")
    ''
    """
    try:
        parts, mine = urlsplit(url), urlsplit(own)
    except ValueError:
        return url
    user, sign, place = parts.netloc.rpartition("@")
    theirs = [text for text in parts.query.split("&") if _is_secret(text)]
    if not set(theirs) <= set(mine.query.split("&")):
        return ""
    if sign and user != mine.netloc.rpartition("@")[0]:
        return ""
    query = "&".join(text for text in parts.query.split("&") if text not in theirs)
    return parts._replace(netloc=place, query=query).geturl()


def _is_secret(parameter: str) -> bool:
    return is_secret_name(unquote_plus(parameter.partition("=")[0]))


def version(value: Any) -> tuple[int, int]:
    """Return the version *value* as two numbers; 1.0 does not say its own.

    >>> version("2.3"), version("3.1-RC3"), version(None)
    ((2, 3), (3, 1), (1, 0))
    """
    match = re.match(r"(\d{1,3})\.(\d{1,3})", str(value or ""))
    return (int(match[1]), int(match[2])) if match else (1, 0)

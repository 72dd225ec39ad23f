"""GBFS discovery: what a gbfs.json lists, and at which addresses."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from bikecollect.core.errors import PayloadError
from bikecollect.feeds.json_payload import at
from bikecollect.feeds.values import text


def addresses(value: Any, language: str) -> dict[str, str]:
    """Return the addresses of a gbfs.json by name; raises PayloadError."""
    data = at(value, "data")
    if not isinstance(data, Mapping):
        raise PayloadError("it has no data: give the address of a gbfs.json")
    feeds = data.get("feeds")
    if feeds is None:
        languages = [each for each in data if at(data[each], "feeds") is not None]
        chosen = language if language in languages else (languages or [""])[0]
        feeds = at(data, f"{chosen}.feeds") if chosen else None
    if not isinstance(feeds, list):
        here = ", ".join(list(data)[:8])
        raise PayloadError(f"it lists no feeds (there is: {here}): is it a gbfs.json?")
    return {
        str(each["name"]): str(each["url"])
        for each in feeds
        if isinstance(each, dict) and text(each.get("name")) and text(each.get("url"))
    }


def secure(url: str, base: str) -> str:
    """Return *url* with https where *base* has it and names the same host."""
    parts, above = urlsplit(url), urlsplit(base)
    same = parts.hostname == above.hostname and above.scheme == "https"
    return parts._replace(scheme="https").geturl() if same else url


def version(value: Any) -> tuple[int, int]:
    """Return the version *value* as two numbers; 1.0 does not say its own.

    >>> version("2.3"), version("3.1-RC3"), version(None)
    ((2, 3), (3, 1), (1, 0))
    """
    match = re.match(r"(\d{1,3})\.(\d{1,3})", str(value or ""))
    return (int(match[1]), int(match[2])) if match else (1, 0)

"""A probe of a feed: what it is and what it holds, with nothing written."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from bikecollect.core.errors import (
    FeedError,
    FeedUnavailable,
    PayloadError,
    SettingsError,
)
from bikecollect.core.payload import Check, Document, Fetched, Getter, Memory
from bikecollect.core.process import Stop
from bikecollect.core.text import message
from bikecollect.feeds import gbfs_discovery, youbike
from bikecollect.feeds.http.client import Client
from bikecollect.feeds.http.urls import plain, shown
from bikecollect.feeds.reading.json_payload import at, decode
from bikecollect.setup import catalogue, feed_access
from bikecollect.setup.settings import System
from bikecollect.setup.trial import About, Target, Trial, oddities

INTERVAL = 60
"""The length of a slot, in seconds, whose bounds in time a try has."""
ANY = System()
TRIES = 2
TAIWAN = "Asia/Taipei"
SEVERAL = 5
"""Examples that a sentence names at most."""


def attempt(asked: str, *, stop: Stop | None = None, like: System = ANY) -> Trial:
    """Fetch and read what *asked* (a catalogue's id, or an address) names.

    It is asked by the settings *like*; the dialect is found out where that has none,
    and its time zone is taken where the feed says none. Raises SettingsError for what
    is neither, FeedError where nothing came, PayloadError where it cannot be
    understood by any dialect.
    """
    with _asking(like, stop) as get:
        began = time.monotonic()
        target = resolve(asked, get, feed=like.feed)
        target = replace(target, timezone=target.timezone or like.timezone)
        trial = _tried(target, like, get, began)
    if target.feed != "gbfs" or target.in_catalogue:
        return trial
    about = trial.about
    return replace(
        trial,
        target=replace(
            target,
            timezone=about.timezone or target.timezone,
            system_id=_slug(about.system_id) or target.system_id,
        ),
    )


def attempt_system(name: str, system: System, *, stop: Stop | None = None) -> Trial:
    """Fetch and read the *system* called *name* by its settings, as `fetch` does.

    Raises FeedError and PayloadError.
    """
    entry = catalogue.find(name)
    same = entry is not None and entry.url == system.url
    target = Target(name, system.feed, system.url, system.timezone, same)
    with _asking(system, stop) as get:
        return _tried(target, system, get, time.monotonic())


@contextmanager
def _asking(system: System, stop: Stop | None) -> Iterator[Getter]:
    """Yield what asks as *system* does, with few tries: a person waits."""
    client = Client(
        budget=feed_access.budget(system, INTERVAL),
        stop=stop or Stop(),
        access=feed_access.access(system),
    )

    def brief(
        name: str, url: str, *, check: Check | None = None, tries: int = TRIES
    ) -> Document:
        return client(name, url, check=check, tries=min(tries, TRIES))

    try:
        yield brief
    finally:
        client.close()


def resolve(asked: str, get: Getter, *, feed: str = "") -> Target:
    """Return the feed that *asked* names, looking at what it answers if need be."""
    entry = catalogue.find(asked)
    if entry is not None:
        return Target(entry.system_id, entry.feed, entry.url, entry.timezone, True)
    if "://" not in asked:
        near = [each.system_id for each in catalogue.search(asked)[:SEVERAL]]
        hint = f"did you mean {', '.join(near)}?" if near else "see: bikecollect feeds"
        raise SettingsError(
            f'"{asked}" is neither an address (https://...) nor in the catalogue; '
            f"{hint}"
        )
    feed_access.check_address(f'"{shown(asked)}"', asked)
    known = [each for each in catalogue.CATALOGUE if each.url == asked]
    if known:
        return resolve(known[0].system_id, get)
    if feed:
        return Target(name_of(asked), feed, asked)
    return _recognised(get("feed", asked, check=decode), asked, get)


def _recognised(document: Document, url: str, get: Getter) -> Target:
    """Return what *document*, which came from *url*, is; raises PayloadError."""
    value = decode(document.body)
    if at(value, "network.stations") is not None:
        return Target(name_of(url), "citybikes", url)
    if _lists_feeds(value):
        return Target(name_of(url), "gbfs", url)
    if isinstance(value, dict) and ({"last_updated", "ttl"} & set(value)):
        above = _discovery(url, get)
        return Target(name_of(above), "gbfs", above)
    try:
        youbike.YouBike(url, ZoneInfo(TAIWAN)).read((document,))
    except PayloadError as error:
        keys = list(value)[:8] if isinstance(value, Mapping) else []
        there = f" (it has: {', '.join(map(str, keys))})" if keys else ""
        raise PayloadError(
            f"{document.url} is JSON, but neither GBFS nor CityBikes nor YouBike"
            f'{there}: {error}. Any JSON can be collected with feed = "mapped"',
            cause=error.cause,
        ) from error
    return Target(name_of(url), "youbike", url, TAIWAN)


def _lists_feeds(value: Any) -> bool:
    try:
        return bool(gbfs_discovery.addresses(value, ""))
    except PayloadError:
        return False


def _discovery(url: str, get: Getter) -> str:
    """Return the gbfs.json that lies beside or above the GBFS file at *url*.

    Only a 404 or what is no gbfs.json leads to the next guess.
    """
    parts = urlsplit(url)
    folders = parts.path.split("/")[:-1]
    for depth in range(min(2, len(folders))):
        place = "/".join(folders[: len(folders) - depth])
        for name in ("gbfs.json", "gbfs"):
            guess = urlunsplit(parts._replace(path=f"{place}/{name}"))
            try:
                found = get("gbfs", guess, tries=1)
                if _lists_feeds(decode(found.body)):
                    return guess
            except PayloadError:
                continue
            except FeedUnavailable as error:
                if error.cause not in {"http-404", "http-410"}:
                    raise
    raise PayloadError(
        f"{plain(url)} is a file of a GBFS feed, but no gbfs.json lies beside it: "
        "give the address of the gbfs.json"
    )


def _tried(target: Target, like: System, get: Getter, began: float) -> Trial:
    """Return what *target* gives, read by the settings *like*."""
    system = replace(
        like, feed=target.feed, url=target.url, timezone=target.timezone or "UTC"
    )
    feed = feed_access.feed(system)
    fetched = feed.fetch(get, Memory(now=time.time()))
    trial = Trial(
        target=target,
        about=_about(system, fetched, get),
        snapshot=feed.read(fetched.documents),
        fetched_at=max(each.fetched_at for each in fetched.documents),
        wire_bytes=sum(each.wire_bytes for each in fetched.documents),
        seconds=time.monotonic() - began,
        oddities=(),
        date=next((d.date for d in fetched.documents if d.date is not None), None),
        headers=tuple(system.headers),
    )
    return replace(trial, oddities=tuple(oddities(trial, fetched)))


def _about(system: System, fetched: Fetched, get: Getter) -> About:
    """Return what the system says of itself; a silence costs nothing."""
    if system.feed == "citybikes":
        network = at(decode(fetched.documents[0].body), "network")
        return About(str(network.get("id", "")), _said(network.get("name")))
    if system.feed != "gbfs":
        return About()
    bodies = {each.name: decode(each.body) for each in fetched.documents}
    version = _said(at(bodies.get("station_status"), "version")) or "1.0"
    try:
        base = next(each.url for each in fetched.documents if each.name == "gbfs")
        listed = gbfs_discovery.addresses(bodies["gbfs"], system.language, base)
        url = listed["system_information"]
        found, _ = gbfs_discovery.ask(get, "system_information", url, system.url)
        data = at(decode(found.body), "data")
    except (FeedError, PayloadError, KeyError, StopIteration):
        return About(version=version)
    zone = str(at(data, "timezone") or "")
    return About(
        system_id=str(at(data, "system_id") or ""),
        name=_said(at(data, "name")),
        operator=_said(at(data, "operator")),
        timezone=zone if is_zone(zone) else "",
        version=version,
    )


def _said(value: Any) -> str:
    """Return a text that is plain, or GBFS 3's list of them by language."""
    said = at(value, "0.text") if isinstance(value, list) else value
    return message(str(said or ""))


def is_zone(name: str) -> bool:
    """Return whether *name* is an IANA time zone."""
    try:
        return bool(name and ZoneInfo(name))
    except (ValueError, OSError, LookupError):
        return False


def name_of(url: str) -> str:
    """Return a system id for *url*: the first telling part of its host or path.

    >>> name_of("https://api.citybik.es/v2/networks/bicing")
    'bicing'
    >>> name_of("https://gbfs.citibikenyc.com/gbfs/2.3/gbfs.json")
    'citibikenyc'
    """
    parts = urlsplit(url)
    words = [*reversed(parts.path.split("/")), *(parts.hostname or "").split(".")]
    telling = (_slug(each.removesuffix(".json")) for each in words)
    return next((each for each in telling if _tells(each)), "my-system")


def _tells(word: str) -> bool:
    dull = {"gbfs", "json", "api", "www", "en", "fr", "data", "public", "feed"}
    dull |= {"customer", "v2", "v3", "station_status", "station_information"}
    return len(word) > 2 and word not in dull and not re.fullmatch(r"[v\d.-]+", word)  # noqa: PLR2004 - no language


def _slug(text: str) -> str:
    r"""Return *text* as a system id: lower case, without what a folder cannot bear.

    >>> _slug("Bixi MTL!")
    'bixi-mtl'
    """
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:60]

"""A probe of a feed: what it is and what it holds, with nothing written."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
from bikecollect.core.snapshot import Snapshot, StationInformation, StationStatus
from bikecollect.core.text import message
from bikecollect.feeds import gbfs_discovery, registry, youbike, youbike_reader
from bikecollect.feeds import gbfs_reader as gbfs_reading
from bikecollect.feeds.http.access import Access
from bikecollect.feeds.http.client import Client
from bikecollect.feeds.http.retry import Budget
from bikecollect.feeds.json_payload import at, decode
from bikecollect.setup import catalogue

BUDGET = Budget.for_interval(60)
TRIES = 2
OLD = 900.0
TAIWAN = "Asia/Taipei"
USUAL = (
    *("num_vehicles_available", "num_docks_available", "capacity", "is_renting"),
    "last_reported",
)
"""The columns that a feed without oddities has."""
SEVERAL = 5
"""Examples that a sentence names at most."""


@dataclass(frozen=True)
class Target:
    """What is tried: a feed's dialect and address; *timezone* empty is not known."""

    system_id: str
    feed: str
    url: str
    timezone: str = ""
    in_catalogue: bool = False


@dataclass(frozen=True)
class About:
    """What a system says of itself; empty where it does not."""

    system_id: str = ""
    name: str = ""
    operator: str = ""
    timezone: str = ""
    version: str = ""


@dataclass(frozen=True)
class Trial:
    """What came of a try; stamps in epoch seconds, *seconds* it took, *date* theirs."""

    target: Target
    about: About
    snapshot: Snapshot
    fetched_at: float
    wire_bytes: int
    seconds: float
    oddities: tuple[str, ...]
    date: float | None = None

    @property
    def age(self) -> float | None:
        """How old the feed's own stamp was when it came, in seconds."""
        stamp = self.snapshot.last_updated
        return None if stamp is None else self.fetched_at - stamp

    def having(self, column: str) -> int:
        """Return how many stations say *column*, of either file."""
        here = {
            each.station_id
            for each in self.snapshot.statuses
            if getattr(each, column) is not None
        }
        there = {
            each.station_id
            for each in self.snapshot.information
            if getattr(each, column, None) is not None
        }
        known = {each.station_id for each in self.snapshot.statuses}
        return len((here | there) & known)


def attempt(
    asked: str,
    *,
    stop: Stop | None = None,
    feed: str = "",
    timezone: str = "",
    headers: Mapping[str, str] | None = None,
) -> Trial:
    """Fetch and read what *asked* (a catalogue's id, or an address) names.

    The dialect is found out where *feed* is empty; *timezone* is taken where the feed
    says none, and *headers* are sent with each request. Raises SettingsError for what
    is neither, FeedError where nothing came, PayloadError where it cannot be
    understood by any dialect.
    """
    client = Client(
        budget=BUDGET, stop=stop or Stop(), access=Access(headers=headers or {})
    )
    get = _brief(client)
    try:
        began = time.monotonic()
        target = resolve(asked, get, feed=feed)
        target = replace(target, timezone=target.timezone or timezone)
        return _tried(target, get, began)
    finally:
        client.close()


def _brief(get: Getter) -> Getter:
    """Return *get* with few tries: a person waits."""

    def brief(
        name: str, url: str, *, check: Check | None = None, tries: int = TRIES
    ) -> Document:
        return get(name, url, check=check, tries=min(tries, TRIES))

    return brief


def resolve(asked: str, get: Getter, *, feed: str = "") -> Target:
    """Return the feed that *asked* names, looking at what it answers if need be."""
    entry = catalogue.find(asked)
    if entry is not None:
        return Target(entry.system_id, entry.feed, entry.url, entry.timezone, True)
    if not re.match(r"https?://[^/\s]+", asked):
        near = [each.system_id for each in catalogue.search(asked)[:SEVERAL]]
        hint = f"did you mean {', '.join(near)}?" if near else "see: bikecollect feeds"
        raise SettingsError(
            f'"{asked}" is neither an address (https://...) nor in the catalogue; '
            f"{hint}"
        )
    known = [each for each in catalogue.CATALOGUE if each.url == asked]
    if known:
        return resolve(known[0].system_id, get)
    if feed:
        return Target(name_of(asked), feed, asked)
    return _recognised(get("feed", asked, check=decode, tries=1), asked, get)


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
        f"{parts.scheme}://{parts.netloc}{parts.path} is a file of a GBFS feed, but no "
        "gbfs.json lies beside it: give the address of the gbfs.json"
    )


def _tried(target: Target, get: Getter, began: float) -> Trial:
    feed = registry.build(
        target.feed,
        url=target.url,
        timezone=ZoneInfo(target.timezone or "UTC"),
        language="",
        mapping={},
    )
    fetched = feed.fetch(get, Memory(now=time.time()))
    snapshot = feed.read(fetched.documents)
    about = _about(target, fetched, get)
    if target.feed == "gbfs" and not target.in_catalogue:
        target = replace(target, timezone=about.timezone or target.timezone)
        target = replace(target, system_id=_slug(about.system_id) or target.system_id)
    trial = Trial(
        target=target,
        about=about,
        snapshot=snapshot,
        fetched_at=max(each.fetched_at for each in fetched.documents),
        wire_bytes=sum(each.wire_bytes for each in fetched.documents),
        seconds=time.monotonic() - began,
        oddities=(),
        date=next((d.date for d in fetched.documents if d.date is not None), None),
    )
    return replace(trial, oddities=tuple(_oddities(trial, fetched)))


def _about(target: Target, fetched: Fetched, get: Getter) -> About:
    """Return what the system says of itself; a silence costs nothing."""
    if target.feed == "citybikes":
        network = at(decode(fetched.documents[0].body), "network")
        return About(str(network.get("id", "")), _said(network.get("name")))
    if target.feed != "gbfs":
        return About()
    bodies = {each.name: decode(each.body) for each in fetched.documents}
    version = _said(at(bodies.get("station_status"), "version")) or "1.0"
    try:
        base = next(each.url for each in fetched.documents if each.name == "gbfs")
        listed = gbfs_discovery.addresses(bodies["gbfs"], "", base)
        url = listed["system_information"]
        system, _ = gbfs_discovery.ask(get, "system_information", url, target.url)
        data = at(decode(system.body), "data")
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


def _oddities(trial: Trial, fetched: Fetched) -> list[str]:
    """Return what is out of the ordinary, a sentence each."""
    snapshot = trial.snapshot
    found = [*snapshot.oddities, *snapshot.findings.values()]
    found += filter(None, (fetched.incomplete, snapshot.incomplete))
    stations = snapshot.statuses
    if snapshot.dropped:
        found.append(f"{snapshot.dropped} stations cannot be read and are left out")
    if snapshot.duplicates:
        found.append(f"{snapshot.duplicates} stations came twice; the first counts")
    if trial.age is not None and trial.age > OLD:
        found.append(f"the feed's own stamp is {trial.age / 60:.0f} min old")
    if trial.age is not None and trial.age < -OLD:
        found.append(f"the feed's own stamp is {-trial.age / 60:.0f} min ahead")
    if not any(each.num_vehicles_available for each in stations):
        found.append("no station has a single vehicle")
    found += _lone(stations, snapshot.information)
    missing = [each for each in USUAL if not trial.having(each)]
    if missing:
        found.append(f"no station says {', '.join(missing)}")
    known = _KNOWN.get(trial.target.feed)
    strange = [each for each in snapshot.shape if known and each not in known]
    if strange:
        found.append(f"fields that are not read: {', '.join(strange)}")
    return found


_KNOWN = {"gbfs": gbfs_reading.OURS, "youbike": youbike_reader.OURS}


def _lone(
    statuses: tuple[StationStatus, ...], information: tuple[StationInformation, ...]
) -> list[str]:
    """Return what only one of the two lists of stations holds."""
    if not information:
        return ["it has no station information: no names and no places"]
    here = {each.station_id for each in statuses}
    there = {each.station_id for each in information}
    found = []
    if here - there:
        found.append(f"{len(here - there)} stations have no station information")
    if there - here:
        found.append(f"{len(there - here)} stations have no status")
    return found


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

"""Try a feed: find out its dialect and content, without writing anything."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from bikecollect.collect.fetching.clock import clock_offset
from bikecollect.core.errors import (
    FeedError,
    FeedUnavailable,
    PayloadError,
    SettingsError,
)
from bikecollect.core.payload import (
    Check,
    Document,
    Getter,
    Memory,
    Payload,
    about,
)
from bikecollect.core.process import Stop
from bikecollect.core.snapshot import Snapshot, VehicleSnapshot
from bikecollect.core.text import message
from bikecollect.feeds import Feed, citybikes, registry, youbike
from bikecollect.feeds.gbfs.discovery import addresses, ask
from bikecollect.feeds.gbfs.document_places import STATUS, VEHICLES
from bikecollect.feeds.http.client import Client
from bikecollect.feeds.http.urls import plain, shown
from bikecollect.feeds.reading.aliases import gbfs_document
from bikecollect.feeds.reading.json_payload import at, decode
from bikecollect.feeds.reading.vehicle_reader import LISTED_AS
from bikecollect.setup import feed_access
from bikecollect.setup.catalogue import builtin, lookup
from bikecollect.setup.catalogue.entry import BUILT_IN, CLIENT, access_text
from bikecollect.setup.catalogue.text import slug
from bikecollect.setup.settings import System
from bikecollect.setup.time_zones import is_zone, zone_of_country, zone_of_places
from bikecollect.setup.trial import About, Target, Trial, oddities

INTERVAL = 60
"""The interval, in seconds, whose time limits apply to a trial."""
DEFAULTS = System()
ALONE = "no stations: set `vehicles = true` to collect the system's vehicles"
TDX_PATHS = ("/Bike/Availability/", "/Bike/Station/")
MAX_TRIES = 2
MAX_ID = 60
"""Characters of a system id that is made from a feed's own one or its address."""
NO_FILE = frozenset({403, 404, 410})
"""HTTP statuses for a file that does not exist; object stores have 403."""
TAIWAN = "Asia/Taipei"


def try_feed(query: str, *, stop: Stop | None = None, like: System = DEFAULTS) -> Trial:
    """Fetch and read the feed *query*: a catalogue id or an address.

    Uses the settings *like*; a missing dialect or time zone is detected. Raises
    SettingsError for an unknown *query*, FeedError if the fetch fails, PayloadError if
    no dialect can read the payload.
    """
    entry = lookup.find(query)
    if entry is not None and entry.auth_type == CLIENT:
        if not like.oauth2:
            raise SettingsError(
                f"{query} requires {access_text(entry)}; give them by --client-id and "
                "--client-secret-file"
            )
        like = replace(like, feed=entry.feed)
    elif not like.feed and any(path in query for path in TDX_PATHS):
        like = replace(like, feed="tdx", timezone=like.timezone or TAIWAN)
    with open_getter(like, stop) as get:
        began = time.monotonic()
        target = resolve(query, get, feed=like.feed)
        target = replace(target, timezone=target.timezone or like.timezone)
        try:
            trial = _run_trial(target, like, get, began)
        except FeedUnavailable as error:
            if error.cause != "no-stations" or like.vehicles:
                raise
            trial = _run_trial(target, replace(like, vehicles=True), get, began)
            trial = replace(trial, oddities=(ALONE, *trial.oddities))
    if target.in_catalogue:
        return trial
    system_id, country = target.system_id, entry.country if entry else ""
    if entry is None:
        system_id = slug(trial.about.system_id)[:MAX_ID] or system_id
    zone = trial.about.timezone or target.timezone
    zone = zone or zone_of_places(trial.places) or zone_of_country(country)
    return replace(trial, target=replace(target, system_id=system_id, timezone=zone))


def try_system(name: str, system: System, *, stop: Stop | None = None) -> Trial:
    """Fetch and read *system*, called *name*, with its settings, like `fetch`.

    Raises FeedError and PayloadError.
    """
    entry = builtin.find(name)
    unchanged = entry is not None and entry.url == system.url
    target = Target(name, system.feed, system.url, system.timezone, unchanged)
    with open_getter(system, stop) as get:
        return _run_trial(target, system, get, time.monotonic())


@contextmanager
def open_getter(system: System, stop: Stop | None = None) -> Iterator[Getter]:
    """Yield a getter for *system* with few retries, because a person is waiting."""
    budget = feed_access.budget(system, INTERVAL)
    client = Client(
        budget=budget._replace(credential_retries=0),
        stop=stop or Stop(),
        access=feed_access.access(system),
    )

    def get(
        name: str, url: str, *, check: Check | None = None, tries: int = MAX_TRIES
    ) -> Document:
        return client(name, url, check=check, tries=min(tries, MAX_TRIES))

    try:
        yield get
    finally:
        client.close()


def resolve(query: str, get: Getter, *, feed: str = "") -> Target:
    """Return the feed *query*; an address without *feed* is fetched to recognise it."""
    entry = lookup.find(query)
    if entry is not None:
        built_in = entry.source == BUILT_IN
        return Target(entry.system_id, entry.feed, entry.url, entry.timezone, built_in)
    if "://" not in query:
        raise lookup.unknown(query)
    feed_access.check_address(f'"{shown(query)}"', query)
    known = [entry for entry in builtin.CATALOGUE if entry.url == query]
    if known:
        return resolve(known[0].system_id, get)
    if feed:
        return Target(system_id_from_url(query), feed, query)
    return _recognise(get("feed", query, check=decode), query, get)


def _recognise(document: Document, url: str, get: Getter) -> Target:
    """Return the feed of *document*, fetched from *url*; raises PayloadError."""
    with about(document.url):
        value = decode(document.body)
        citybikes.check_network(value)
    if at(value, "network.stations") is not None:
        return Target(system_id_from_url(url), "citybikes", url)
    if _lists_feeds(value):
        return Target(system_id_from_url(url), "gbfs", url)
    if isinstance(at(value, "data"), Mapping) and {"last_updated", "ttl"} & set(value):
        discovery = _find_discovery(url, get)
        return Target(system_id_from_url(discovery), "gbfs", discovery)
    try:
        youbike.YouBike(url, ZoneInfo(TAIWAN)).read((document,))
    except PayloadError as error:
        keys = list(value)[:8] if isinstance(value, Mapping) else []
        names = f" (keys: {', '.join(map(str, keys))})" if keys else ""
        raise PayloadError(
            f"{document.url} is JSON, but neither GBFS nor CityBikes nor YouBike"
            f'{names}: {error}. Any JSON can be collected with feed = "mapped"',
            cause=error.cause,
        ) from error
    return Target(system_id_from_url(url), "youbike", url, TAIWAN)


def _lists_feeds(value: Any) -> bool:
    try:
        return bool(addresses(value, ""))
    except PayloadError:
        return False


def _find_discovery(url: str, get: Getter) -> str:
    """Return the gbfs.json beside or above the GBFS file at *url*.

    The next guess is tried only after an invalid gbfs.json or `NO_FILE`.
    """
    parts = urlsplit(url)
    folders = parts.path.split("/")[:-1]
    for depth in range(min(2, len(folders))):
        place = "/".join(folders[: len(folders) - depth])
        for name in ("gbfs.json", "gbfs"):
            guess = urlunsplit(parts._replace(path=f"{place}/{name}"))
            try:
                document = get("gbfs", guess, tries=1)
                if _lists_feeds(decode(document.body)):
                    return guess
            except PayloadError:
                continue
            except FeedError as error:
                if error.http_status not in NO_FILE:
                    raise
    raise PayloadError(
        f"{plain(url)} is a file of a GBFS feed, but no gbfs.json was found beside it: "
        "give the address of the gbfs.json"
    )


def _run_trial(target: Target, like: System, get: Getter, began: float) -> Trial:
    """Fetch and read *target* with the settings *like*."""
    system = replace(
        like, feed=target.feed, url=target.url, timezone=target.timezone or "UTC"
    )
    if system.oauth2:
        feed_access.check(target.system_id, system)
    feed = feed_access.feed(system)
    payload = feed.fetch(get, Memory(now=time.time()))
    vehicles = None
    if any(document.name == VEHICLES for document in payload.documents):
        zone = ZoneInfo(system.timezone)
        read = registry.vehicle_reader(system.url, zone)
        vehicles = read(payload.documents)
    trial = Trial(
        target=target,
        about=_read_about(system, payload, get),
        snapshot=_read_stations(feed, payload, vehicles),
        vehicles=vehicles,
        fetched_at=max(document.fetched_at for document in payload.documents),
        wire_bytes=sum(document.wire_bytes for document in payload.documents),
        seconds=time.monotonic() - began,
        oddities=(),
        clock_offset=clock_offset(payload.documents),
        headers=tuple(system.headers),
        oauth2=system.oauth2,
    )
    return replace(trial, oddities=tuple(oddities(trial, payload)))


def _read_stations(
    feed: Feed, payload: Payload, vehicles: VehicleSnapshot | None
) -> Snapshot:
    """Return the stations of *payload*, none if it has *vehicles* only."""
    if vehicles is None or any(d.name == STATUS for d in payload.documents):
        return feed.read(payload.documents)
    return Snapshot((), last_updated=vehicles.last_updated, ttl=vehicles.ttl)


def _read_about(system: System, payload: Payload, get: Getter) -> About:
    """Return the system's description of itself; failures are ignored."""
    if system.feed == "citybikes":
        network = at(decode(payload.documents[0].body), "network")
        return About(str(network.get("id", "")), _plain_text(network.get("name")))
    if system.feed != "gbfs":
        return About()
    documents = payload.documents
    bodies = {item.name: gbfs_document(item.body) for item in documents}
    version = _plain_text(at(bodies.get("station_status"), "version")) or "1.0"
    has_vehicles = False
    try:
        base = next(doc.url for doc in payload.documents if doc.name == "gbfs")
        listed = addresses(bodies["gbfs"], system.language, base)
        has_vehicles = not listed.keys().isdisjoint(LISTED_AS)
        url = listed["system_information"]
        document, _ = ask(get, "system_information", url, system.url)
        data = at(gbfs_document(document.body), "data")
    except (FeedError, PayloadError, KeyError, StopIteration):
        return About(version=version, lists_vehicles=has_vehicles)
    zone = str(at(data, "timezone") or "")
    return About(
        system_id=str(at(data, "system_id") or ""),
        name=_plain_text(at(data, "name")),
        operator=_plain_text(at(data, "operator")),
        timezone=zone if is_zone(zone) else "",
        version=version,
        lists_vehicles=has_vehicles,
    )


def _plain_text(value: Any) -> str:
    """Return a text, or the first one of a list of localised texts (GBFS 3)."""
    text = at(value, "0.text") if isinstance(value, list) else value
    return message(str(text or ""))


def system_id_from_url(url: str) -> str:
    """Return a system id for *url*: the first distinctive part of its path or host.

    >>> system_id_from_url("https://api.citybik.es/v2/networks/bicing")
    'bicing'
    >>> system_id_from_url("https://gbfs.citibikenyc.com/gbfs/2.3/gbfs.json")
    'citibikenyc'
    >>> system_id_from_url("https://example.org/Pony_Liège!/gbfs.json")
    'pony_liege'
    """
    parts = urlsplit(url)
    words = [*reversed(parts.path.split("/")), *(parts.hostname or "").split(".")]
    names = (slug(word.removesuffix(".json"))[:MAX_ID] for word in words)
    return next((name for name in names if _is_distinctive(name)), "my-system")


def _is_distinctive(word: str) -> bool:
    generic = {"gbfs", "json", "api", "www", "en", "fr", "data", "public", "feed"}
    generic |= {"customer", "v2", "v3", "station_status", "station_information"}
    return len(word) > 2 and word not in generic and not re.fullmatch(r"[v\d.-]+", word)  # noqa: PLR2004 - no language

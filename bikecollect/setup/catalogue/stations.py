"""Find out which systems have stations, by their feeds; the results are saved.

MobilityData's list does not say. A system has stations if its gbfs.json lists
station_information and that document has at least one station.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from bikecollect.core.errors import BikecollectError
from bikecollect.core.slots import DAY
from bikecollect.feeds.gbfs.discovery import addresses
from bikecollect.feeds.reading.aliases import gbfs_document
from bikecollect.feeds.reading.json_payload import at, decode
from bikecollect.setup.catalogue import world
from bikecollect.setup.catalogue.entry import BUILT_IN, Entry, requires_key
from bikecollect.setup.catalogue.world import StationAnswer
from bikecollect.setup.probe import open_getter
from bikecollect.setup.settings import System

MAX_ASKED = 100
"""Maximum feeds that one search requests."""
WORKERS = 8
VALID_DAYS = 90


class StationSearch(NamedTuple):
    """The systems with stations; how many requests *failed* or were not made."""

    entries: Sequence[Entry]
    failed: int
    not_asked: int


def with_stations(entries: Iterable[Entry], *, now: float) -> StationSearch:
    """Return those of *entries* that have stations; request feeds if unknown.

    All systems of the built-in list have stations. At most MAX_ASKED feeds are
    requested; results are saved and valid for VALID_DAYS.
    """
    entries = list(entries)
    saved = world.load()
    answers = dict(saved.answers) if saved else {}
    oldest = now - VALID_DAYS * DAY
    unknown = [
        entry
        for entry in entries
        if entry.source != BUILT_IN
        and not requires_key(entry)
        and (entry.url not in answers or answers[entry.url].asked < oldest)
    ]
    batch = unknown[:MAX_ASKED]
    # Treated as documents of the list's host: a list from the Internet must not make us
    # send requests to a private network.
    home = System(url=saved.source if saved and "://" in saved.source else "")
    with ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(partial(has_stations, home=home), batch))
    new = {
        entry.url: StationAnswer(result, now)
        for entry, result in zip(batch, results, strict=True)
        if result is not None
    }
    if saved and new:
        world.remember(new)
    answers |= new
    kept = [
        entry._replace(stations=True)
        for entry in entries
        if entry.source == BUILT_IN
        or (entry.url in answers and answers[entry.url].stations)
    ]
    keys = sum(requires_key(entry) for entry in entries)
    return StationSearch(kept, results.count(None), len(unknown) - len(batch) + keys)


def has_stations(entry: Entry, *, home: System) -> bool | None:
    """Return whether the feed of *entry* has stations, None if it cannot be read."""
    try:
        with open_getter(home) as get:
            discovery = get("gbfs", entry.url, tries=1)
            listed = addresses(decode(discovery.body), "", discovery.url)
            if "station_information" not in listed:
                return False
            document = get(
                "station_information", listed["station_information"], tries=1
            )
            stations = at(gbfs_document(document.body), "data.stations")
    except BikecollectError:
        return None
    return bool(stations) if isinstance(stations, list) else None

"""The addresses of a GBFS system's documents, remembered from run to run."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bikecollect.core.errors import FeedError, FeedUnavailable, PayloadError
from bikecollect.core.payload import MANY, ONCE, Check, Document, Getter, Memory
from bikecollect.core.slots import DAY, HOUR
from bikecollect.core.text import length
from bikecollect.feeds.gbfs import reader
from bikecollect.feeds.gbfs.discovery import (
    Listing,
    ask,
    fingerprint,
    without_secrets,
)
from bikecollect.feeds.http.urls import same_origin
from bikecollect.feeds.reading import publisher_reader, vehicle_reader

FEEDS = "gbfs.feeds"
ABSENT = frozenset({"http-404", "http-410"})
"""Causes of a failed status for which a system is collected by its vehicles alone."""
GONE = ABSENT | {"redirect", "address"}
"""Causes after which the address is looked up in gbfs.json again."""
STATUS, INFORMATION = "station_status", "station_information"
TYPES, REGIONS = "vehicle_types", "system_regions"
VEHICLES = vehicle_reader.DOCUMENT
NAMES = {STATUS: "status", INFORMATION: "information", TYPES: "types"}
ABOUT = publisher_reader.DOCUMENT
NAMES |= {REGIONS: "regions", VEHICLES: "vehicles", ABOUT: "about"}
"""The documents whose addresses are remembered, and their keys in the note."""
ENOUGH, MAX_BEHIND = 0.9, 900
"""A higher version is not used if it has counts of fewer stations (as a share of those
of the lower one), or is more seconds behind it."""


LOST = (
    "it had stations before, which each run looks for again; if they are gone for "
    "good, add a system of another name with `vehicles = true` for its vehicles"
)
"""What to do about a system whose stations are listed no longer."""
_KEPT = "its known address remains in use while it works"
UNLISTED = {"status unlisted": f"gbfs.json no longer lists station_status: {_KEPT}"}
"""The finding if the address of the status still works then."""


@dataclass
class Places:
    """The addresses of a system's documents by name, and how they were found.

    *own* is the address of the gbfs.json of this *version*, empty for that of the
    settings. In epoch seconds, *requested_at* is its last request and *worked* the last
    success of the status, rounded down to the hour. *proven* are the names of documents
    whose address has worked. *misses* are the requests of gbfs.json that failed in a
    row.
    """

    addresses: dict[str, str]
    version: str = ""
    own: str = ""
    requested_at: float = 0.0
    worked: float = 0.0
    proven: set[str] = field(default_factory=set)
    misses: int = 0

    def get(
        self,
        get: Getter,
        name: str,
        url: str,
        *,
        check: Check,
        tries: int = MANY,
    ) -> Document:
        """Return the document *name* of the system at *url*; raises what *get* raises.

        An http address of an https feed is tried by https first, until one has worked.
        """
        base = "" if name in self.proven else url
        place = self.addresses[name]
        document, place = ask(get, name, place, base, check=check, tries=tries)
        self.addresses[name] = place
        self.proven.add(name)
        return document

    @property
    def main(self) -> str:
        """The document that a payload must have: the status, else that of vehicles."""
        return STATUS if STATUS in self.addresses else VEHICLES

    def status(
        self, get: Getter, url: str, *, tries: int = MANY, empty: bool = False
    ) -> Document:
        """Return the `main` document; if *tries* is `ONCE` it must be a valid list.

        If *empty*, a list without stations is valid too.
        """
        check: Check = reader.stations_or_none if empty else reader.stations
        check = check if self.main == STATUS else vehicle_reader.vehicles
        document = self.get(get, self.main, url, check=check, tries=tries)
        return verified(document, check, url) if tries == ONCE else document

    def information(self, get: Getter, url: str) -> Document:
        """Return the station information, after one request that must succeed."""
        check = reader.stations
        document = self.get(get, INFORMATION, url, check=check, tries=ONCE)
        return verified(document, check, url)

    def check_lists(self, names: Iterable[str]) -> None:
        """Raise PayloadError if the address of one of *names* is unknown."""
        for name in sorted(set(names) - self.addresses.keys()):
            raise PayloadError(f"it lists no {name}")

    def note(self, url: str, pin: str, language: str = "") -> str:
        """Return the note to store; it has no addresses if one contains a secret.

        In that case the gbfs.json at *url* is requested in each run.
        """
        known = {**self.addresses, "own": self.own}
        kept = {name: without_secrets(place, url) for name, place in known.items()}
        if any(place and not kept[name] for name, place in known.items()):
            kept = {}
        return json.dumps(
            {
                "url": fingerprint(url),
                "pin": pin,
                "language": language,
                "at": self.requested_at,
                "worked": self.worked // HOUR * HOUR,
                **{key: kept.get(name, "") for name, key in NAMES.items()},
                "version": self.version,
                "own": kept.get("own", ""),
                "proven": sorted(self.proven),
                "misses": self.misses,
            }
        )


def remembered(
    note: str | None, url: str, pin: str, language: str = ""
) -> Places | None:
    """Parse a note of `Places.note`; None if it is not for *url* and *pin*.

    If it is for another *language*, gbfs.json is due.
    """
    try:
        known = json.loads(note or "{}")
        if known["url"] != fingerprint(url) or known.get("pin", "") != pin:
            return None
        # Notes of a version without vehicles: gbfs.json is read again at once.
        is_current = known.get("language", language) == language
        is_current = is_current and NAMES[VEHICLES] in known
        places = {name: known.get(key, "") for name, key in NAMES.items()}
        return Places(
            {name: str(place) for name, place in places.items() if place},
            version=str(known.get("version", "")),
            own=str(known.get("own", "")),
            requested_at=float(known["at"]) if is_current else 0.0,
            worked=float(known.get("worked", 0)),
            proven=set(known["proven"]),
            misses=int(known.get("misses", 0)),
        )
    except (ValueError, KeyError, TypeError):
        return None


def in_common(status: Document, other: Document) -> float:
    """Return the share of stations that two status documents have in common."""
    first, second = reader.ids(status.body), reader.ids(other.body)
    return len(first & second) / max(len(first | second), 1)


def check_no_worse(
    status: Document, other: Document, options: reader.ReadOptions
) -> None:
    """Raise PayloadError if *status* has less than *other*, of a lower version.

    Some operators keep a version listed that is empty, or stands still.
    """
    try:
        new = _figures(status, options)
    except PayloadError as error:
        raise error.unquoted() from None  # it may be of another host
    try:
        old = _figures(other, options)
    except PayloadError:
        return
    if new.counted < old.counted * ENOUGH:
        text = f"it has counts of {new.counted} stations, not of {old.counted}"
        raise PayloadError(text)
    both = [pair for pair in zip(old.newest, new.newest, strict=True) if all(pair)]
    before, after = both[0] if both else (0, 0)
    if before - after > MAX_BEHIND:
        raise PayloadError(f"its data are {length(before - after)} older")


def is_fresh(status: Document, options: reader.ReadOptions) -> bool:
    """Return whether *status* is of the time of its fetch, as far as it says."""
    try:
        stamps = [stamp for stamp in _figures(status, options).newest if stamp]
    except PayloadError:
        return True
    return not stamps or status.fetched_at - max(stamps) <= MAX_BEHIND


class _Figures(NamedTuple):
    """The number of stations with a count, and the newest stamps (epoch seconds).

    The first one is of a station, the other one of the document; 0 for none.
    """

    counted: int
    newest: tuple[int, int]


def _figures(status: Document, options: reader.ReadOptions) -> _Figures:
    bodies = {STATUS: status.body}
    snapshot = reader.snapshot(bodies, options, status.fetched_at)
    counts = (station.num_vehicles_available for station in snapshot.statuses)
    latest = status.fetched_at + MAX_BEHIND  # later ones are errors of single stations
    reported = (station.last_reported or 0 for station in snapshot.statuses)
    newest = max((t for t in reported if t < latest), default=0)
    counted = sum(count is not None for count in counts)
    return _Figures(counted, (newest, snapshot.last_updated or 0))


def verified(document: Document, check: Check, url: str) -> Document:
    """Return *document* of the system at *url* if *check* accepts it.

    Raises PayloadError, which quotes the document only if it is from that host.
    """
    try:
        check(document.body)
    except PayloadError as error:
        if same_origin(document.url, url):
            raise
        raise error.unquoted() from None
    return document


def places(
    listing: Listing,
    *,
    own: str = "",
    now: float = 0.0,
    alone: bool = False,
    had_stations: bool = False,
) -> Places:
    """Return the places in *listing*; raises FeedUnavailable if it has no status.

    With *alone* a system without stations is accepted for its vehicles, unless it
    *had_stations* before: it is never collected by its vehicles alone.
    """
    known = in_listing(listing)
    alone = alone and VEHICLES in known and not had_stations
    if STATUS not in known and not alone:
        names = ", ".join(sorted(listing.addresses)) or "nothing"
        problem = f"{listing.document.url} lists {names}, not station_status"
        if had_stations:
            raise FeedUnavailable(f"{problem}: {LOST}", cause="no-stations")
        raise without_stations(problem, known)
    return Places(known, listing.version, own, requested_at=now)


def main_document(
    places: Places,
    ask: Callable[..., Document],
    memory: Memory,
    *,
    vehicles: bool,
) -> Document:
    """Return the main document of *places*; *ask* requests it (see `Places.status`).

    It is the document of vehicles if the list of stations is absent or empty,
    *vehicles* are to be collected, and the system never had stations; otherwise raises
    FeedError.
    """
    new = VEHICLES in places.addresses and not memory.had_stations
    try:
        document = ask(empty=new)
        if not (new and places.main == STATUS and _is_empty(document.body)):
            return document
    except FeedError as error:
        if not (new and vehicles and error.cause in ABSENT):
            raise
    else:
        if not vehicles:
            raise without_stations(f"{document.url} is empty", places.addresses)
    # gbfs.json is requested again in an hour: stations may have been added.
    places.requested_at = memory.now - DAY + HOUR
    for name in (STATUS, INFORMATION):
        places.addresses.pop(name, None)
    return ask()


def _is_empty(body: bytes) -> bool:
    """Return whether the list of stations in *body* is empty."""
    try:
        return not reader.stations_or_none(body)
    except PayloadError:
        return False


def without_stations(problem: str, addresses: Mapping[str, str]) -> FeedUnavailable:
    """Return the error for a system without stations; *problem* is its first part."""
    remedy = "a system without stations cannot be collected"
    if VEHICLES in addresses:
        remedy = "set `vehicles = true` to collect the vehicles of this system"
    return FeedUnavailable(f"{problem}: {remedy}", cause="no-stations")


def in_listing(listing: Listing) -> dict[str, str]:
    """Return the addresses in *listing* of the documents that are used, by `NAMES`."""
    addresses = listing.addresses
    known = {name: addresses[name] for name in NAMES if name in addresses}
    vehicles = [addresses[n] for n in vehicle_reader.LISTED_AS if n in addresses]
    return known | dict(zip([VEHICLES], vehicles, strict=False))

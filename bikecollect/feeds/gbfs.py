"""GBFS, 1.0 to 3.x: what is fetched, and when.

Source: https://github.com/MobilityData/gbfs; the dialects in the wild differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any

from bikecollect.core.errors import (
    FeedError,
    FeedUnavailable,
    PayloadError,
    RateLimited,
)
from bikecollect.core.payload import (
    MANY,
    ONCE,
    Document,
    Documents,
    Fetched,
    Getter,
    Memory,
)
from bikecollect.core.slots import DAY
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds import gbfs_places, gbfs_reader
from bikecollect.feeds.gbfs_discovery import TRIES, version
from bikecollect.feeds.gbfs_extras import Extra
from bikecollect.feeds.gbfs_places import INFORMATION, STATUS, Listing, Places
from bikecollect.feeds.reading.fields import STAMP_FORMAT
from bikecollect.feeds.reading.stamps import Stamps

if TYPE_CHECKING:
    from bikecollect.feeds.reading.renames import Renames

NEWEST_MAJOR = 3
GONE = frozenset({"http-404", "http-410", "redirect", "address"})
"""Causes after which a remembered address is looked up anew."""
HOUR = 3_600.0
PATIENCE = 2 * HOUR
"""So long may a version that we chose fail before the given one is tried."""
SAME_IDS = 0.9
"""Share of the stations that two versions must have in common to be one history."""


@dataclass
class _Round:
    """What one fetch has found so far; *moved* is a new place of the information."""

    places: Places
    status: Document
    listing: Document | None = None
    moved: str = ""
    findings: dict[str, str] = field(default_factory=dict)


class Gbfs:
    """A system by its ``gbfs.json`` at *url*; *language* empty takes the first.

    *fields* name the fields of single columns. *pin* is the version to stay with,
    empty for the best that works. Slots are *interval* seconds long. *kinds* says
    whether the kinds of vehicles are counted.
    """

    def __init__(
        self,
        url: str,
        zone: tzinfo,
        language: str = "",
        fields: Mapping[str, str] | None = None,
        *,
        pin: str = "",
        interval: int = 300,
        kinds: bool = False,
    ) -> None:
        self._url, self._language = url, language
        self._pin, self._interval = pin, interval
        self._way = gbfs_reader.Way(zone, language, fields or {}, kinds)

    def fetch(self, get: Getter, memory: Memory) -> Fetched:
        """Get the status first, then what is due of the rest.

        What was discovered once stays in use until something better is read: the
        gbfs.json is looked at once a day, beside. A higher version is taken at the
        first fetch of all, or where its stations are the same.
        """
        known = memory.notes.get(gbfs_places.FEEDS)
        places = gbfs_places.remembered(known, self._url, self._pin)
        if places is None or STATUS not in places.addresses:
            turn = self._begun(get, memory, secret=places is not None)
        else:
            turn = self._continued(get, memory, places)
        turn.places.worked = memory.now
        extra = Extra(get, self._url, memory, self._interval)
        more = extra(turn.places, turn.status, turn.moved)
        first = [turn.listing] if turn.listing else []
        if INFORMATION not in turn.places.addresses and not _tells(turn.status.body):
            turn.findings["no station_information"] = (
                "the feed lists no station_information: no names and no places"
            )
        return Fetched(
            (*first, turn.status, *more.documents),
            {gbfs_places.FEEDS: turn.places.note(self._url, self._pin), **more.notes},
            more.incomplete,
            findings=turn.findings,
            fetched_at=turn.status.fetched_at,
        )

    def _listed(self, get: Getter, url: str, *, tries: int = MANY) -> Listing:
        return gbfs_places.listed(get, url, self._url, self._language, tries=tries)

    def _begun(self, get: Getter, memory: Memory, *, secret: bool) -> _Round:
        """Return the first round of all, by the gbfs.json of the settings.

        Where addresses are *secret* nothing is remembered, and each round is the first:
        then the given version stays.
        """
        listing = self._pinned(get, self._listed(get, self._url))
        turn = self._asked(get, memory, listing)
        if not self._pin and not secret:
            newer = self._newer(get, turn, listing)
            if newer and _overlap(newer, memory) >= _overlap(turn, memory):
                newer.places.looked = memory.now
                newer.findings = turn.findings
                return newer
        return turn

    def _pinned(self, get: Getter, listing: Listing) -> Listing:
        """Return the gbfs.json of the version to stay with, *listing* where none is."""
        if not self._pin or listing.version == self._pin:
            return listing
        offers = gbfs_places.offered(get, listing, self._url, tries=TRIES)
        if self._pin not in offers:
            there = ", ".join(sorted({*offers, listing.version}))
            raise FeedUnavailable(
                f"version {self._pin} is not offered, only {there}", cause="version"
            )
        return self._listed(get, offers[self._pin])

    def _asked(self, get: Getter, memory: Memory, listing: Listing) -> _Round:
        """Return the round that *listing*, which is not remembered yet, leads to."""
        places = gbfs_places.places(listing, now=memory.now)
        return _Round(places, places.status(get, self._url), listing.document)

    def _continued(self, get: Getter, memory: Memory, places: Places) -> _Round:
        """Return the round by the remembered *places*."""
        late = bool(places.own) and memory.now - places.worked > PATIENCE
        tries = TRIES + 1 if late else MANY
        try:
            turn = _Round(places, places.status(get, self._url, tries=tries))
        except RateLimited:
            raise
        except FeedError as error:
            if error.cause in GONE or late:
                return self._moved(get, memory, places, error)
            raise
        if memory.now >= places.looked + DAY:
            self._look(get, memory, turn)
        return turn

    def _moved(
        self, get: Getter, memory: Memory, places: Places, error: FeedError
    ) -> _Round:
        """Return the round by what gbfs.json lists now, for *places* that have gone.

        That of the version in use is asked first; then that of the settings.
        """
        if places.own:
            try:
                listing = self._listed(get, places.own, tries=TRIES)
                found = gbfs_places.places(listing, own=places.own, now=memory.now)
                status = found.status(get, self._url, tries=ONCE)
                return _Round(found, status, listing.document)
            except RateLimited:
                raise
            except (FeedError, PayloadError):
                pass
        listing = self._pinned(get, self._listed(get, self._url))
        turn = self._asked(get, memory, listing)
        if turn.places.version != places.version and places.own:
            turn.findings[f"back to {turn.places.version} at {int(memory.now)}"] = (
                f"GBFS {turn.places.version} is read again, for {places.version} no "
                f"longer works ({error}): the stations may have other ids"
            )
        return turn

    def _look(self, get: Getter, memory: Memory, turn: _Round) -> None:
        """Look at gbfs.json again, and for a higher version; all of it may fail."""
        places = turn.places
        try:
            listing = self._listed(get, places.own or self._url, tries=ONCE)
        except (FeedError, PayloadError):
            places.looked = memory.now - DAY + HOUR
            return
        places.looked = memory.now
        turn.listing = listing.document
        if places.version not in {"", listing.version} and not places.own:
            turn.findings[f"version {listing.version} at {int(memory.now)}"] = (
                f"the feed is GBFS {listing.version} now, {places.version} before: the "
                "stations may have other ids"
            )
        places.version = places.version if places.own else listing.version
        self._adopt(get, turn, listing)
        newer = None if self._pin else self._newer(get, turn, listing)
        if newer is None:
            return
        old, new = places.version, newer.places.version
        if _in_common(newer.status, turn.status) < SAME_IDS:
            turn.findings[f"version {new}"] = (
                f"GBFS {new} is offered and works, but its stations have other ids "
                f'than those of {old}, which stays in use; version = "{new}" in the '
                "settings changes to it"
            )
            return
        newer.places.looked, turn.places = memory.now, newer.places
        turn.moved = ""
        turn.findings[f"version {new} at {int(memory.now)}"] = (
            f"GBFS {new} is read from now on, {old} before: its stations have the same "
            f'ids (version = "{old}" in the settings stays with that)'
        )

    def _adopt(self, get: Getter, turn: _Round, listing: Listing) -> None:
        """Take the addresses of *listing*, each only when it has been read."""
        places, found = turn.places, listing.addresses
        status = found.get(STATUS, "")
        if status and status != places.addresses[STATUS]:
            trial = Places({STATUS: status})
            try:
                trial.status(get, self._url, tries=ONCE)
            except (FeedError, PayloadError) as error:
                turn.findings["status moved"] = (
                    f"gbfs.json lists another address for station_status, which does "
                    f"not work ({error}): the one before stays in use"
                )
            else:
                places.addresses[STATUS] = trial.addresses[STATUS]
        turn.moved = found.get(INFORMATION, "")
        if turn.moved == places.addresses.get(INFORMATION, ""):
            turn.moved = ""
        elif INFORMATION not in places.addresses:
            places.addresses[INFORMATION] = turn.moved
        more = (gbfs_places.TYPES, gbfs_places.REGIONS)
        places.addresses |= {name: found[name] for name in more if name in found}

    def _newer(self, get: Getter, turn: _Round, listing: Listing) -> _Round | None:
        """Return a round by the highest version on offer, None where that fails."""
        mine = turn.places.version
        new = ""
        try:
            offers = gbfs_places.offered(get, listing, self._url)
            higher = [v for v in offers if version(mine) < version(v)]
            new = max((v for v in higher if _known(v)), key=version, default="")
            if not new:
                return None
            other = self._listed(get, offers[new], tries=ONCE)
            places = gbfs_places.places(other, own=offers[new])
            places.version = new
            status = places.status(get, self._url, tries=ONCE)
        except (FeedError, PayloadError) as error:
            if new:
                turn.findings[f"version {new}"] = (
                    f"GBFS {new} is offered and does not work ({error}): {mine} is read"
                )
            return None
        note = gbfs_places.remembered(places.note(self._url, ""), self._url, "")
        if note is None or STATUS not in note.addresses:
            return None  # its addresses hold secrets: it could not be kept
        return _Round(places, status, other.document)

    def read(self, documents: Documents) -> Snapshot:
        """Return what the documents say; raises PayloadError."""
        fetched_at = max((each.fetched_at for each in documents), default=0.0)
        bodies = {each.name: each.body for each in documents}
        return gbfs_reader.snapshot(bodies, self._way, fetched_at)

    def renames(self, before: Documents, after: Documents) -> "Renames":
        """Return which fields of *before* have another name in *after*."""
        from bikecollect.feeds.reading import renames  # only where it drifts

        stamps = Stamps(UTC, self._way.fields.get(STAMP_FORMAT, ""))
        dialects = {
            "station_status": gbfs_reader.status_dialect(self._way),
            "station_information": gbfs_reader.information_dialect(self._way),
        }
        found = renames.Renames()
        for name, dialect in dialects.items():
            lists = partial(_stations_in, name)
            found += renames.between(before, after, lists, dialect, stamps)
        return found


def _stations_in(name: str, documents: Documents) -> list[Any]:
    """Return the stations that the document *name* lists, none where it is absent."""
    body = next((each.body for each in documents if each.name == name), None)
    return [] if body is None else gbfs_reader.stations(body)


def _known(number: str) -> bool:
    """Return whether the version *number* is one that is understood."""
    return version(number)[0] <= NEWEST_MAJOR


def _in_common(one: Document, other: Document) -> float:
    """Return the share of stations that two status documents have in common."""
    first, second = gbfs_reader.ids(one.body), gbfs_reader.ids(other.body)
    return len(first & second) / max(len(first | second), 1)


def _overlap(turn: _Round, memory: Memory) -> int:
    """Return how many stations of *turn* have a history."""
    return len(gbfs_reader.ids(turn.status.body) & set(memory.station_ids))


def _tells(body: bytes) -> bool:
    """Return whether a status says beside the counts what stays at its stations."""
    try:
        first = gbfs_reader.stations(body)[0]
    except PayloadError:
        return True
    return isinstance(first, dict) and bool({"name", "lat"} & set(first))

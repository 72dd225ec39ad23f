"""GBFS, 1.0 to 3.x: which documents are fetched, and when.

Specification: https://github.com/MobilityData/gbfs; feeds in the wild deviate from it.
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
    Getter,
    Memory,
    Payload,
)
from bikecollect.core.slots import DAY
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds import gbfs_places, gbfs_reader
from bikecollect.feeds.gbfs_discovery import TRIES, version
from bikecollect.feeds.gbfs_extras import ExtrasFetcher
from bikecollect.feeds.gbfs_places import (
    INFORMATION,
    STATUS,
    VEHICLES,
    Listing,
    Places,
)
from bikecollect.feeds.reading.fields import STAMP_FORMAT
from bikecollect.feeds.reading.stamps import Stamps

if TYPE_CHECKING:
    from bikecollect.feeds.reading.renames import Renames

NEWEST_MAJOR = 3
GONE = frozenset({"http-404", "http-410", "redirect", "address"})
"""Causes after which a remembered address is looked up again."""
HOUR = 3_600.0
PATIENCE = 2 * HOUR
"""How long a version chosen by us may fail before that of the settings is tried."""
SAME_IDS = 0.9
"""Share of common stations that two versions need to be one history."""


@dataclass
class _Round:
    """The state of one fetch; *moved* is a new address of the information."""

    places: Places
    status: Document
    listing: Document | None = None
    moved: str = ""
    findings: dict[str, str] = field(default_factory=dict)


class Gbfs:
    """A system by its ``gbfs.json`` at *url*; an empty *language* is the first listed.

    *fields* are the user's fields for single columns. *pin* is a fixed version, empty
    for the best that works. Slots are *interval* seconds long. *kinds* says whether
    the kinds of vehicles are counted, *vehicles* whether each vehicle is collected.
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
        vehicles: bool = False,
    ) -> None:
        self._url, self._language, self._vehicles = url, language, vehicles
        self._pin = pin
        self._extras = partial(
            ExtrasFetcher, interval=interval, language=language, vehicles=vehicles
        )
        self._options = gbfs_reader.ReadOptions(zone, language, fields or {}, kinds)

    def fetch(self, get: Getter, memory: Memory) -> Payload:
        """Get the status first, then the other documents that are due.

        Discovered addresses stay in use until better ones have been read; gbfs.json is
        requested again once a day, and its failure costs nothing. A higher version is
        adopted at the first fetch, or if its stations have the same ids.
        """
        known = memory.notes.get(gbfs_places.FEEDS)
        places = gbfs_places.remembered(known, self._url, self._pin)
        if places is None or not self._is_known(places):
            turn = self._first_round(get, memory, secret=places is not None)
        else:
            turn = self._next_round(get, memory, places)
        turn.places.worked = memory.now
        fetch_extras = self._extras(get, self._url, memory)
        extras = fetch_extras(turn.places, turn.status, turn.moved)
        if (
            turn.places.main == STATUS
            and INFORMATION not in turn.places.addresses
            and not gbfs_reader.has_information(turn.status.body)
        ):
            turn.findings["no station_information"] = (
                "the feed lists no station_information: names and places are missing"
            )
        return Payload(
            (*filter(None, [turn.listing]), turn.status, *extras.documents),
            notes={
                gbfs_places.FEEDS: turn.places.note(self._url, self._pin),
                **extras.notes,
            },
            incomplete=extras.incomplete,
            findings={**turn.findings, **extras.findings},
            fetched_at=turn.status.fetched_at,
        )

    def _is_known(self, places: Places) -> bool:
        """Return whether the address of the main document is remembered."""
        addresses = places.addresses
        return STATUS in addresses or (self._vehicles and VEHICLES in addresses)

    def _listed(self, get: Getter, url: str, *, tries: int = MANY) -> Listing:
        return gbfs_places.listed(get, url, self._url, self._language, tries=tries)

    def _first_round(self, get: Getter, memory: Memory, *, secret: bool) -> _Round:
        """Return the first round, from the gbfs.json of the settings.

        If addresses are *secret* nothing is remembered and each round is the first: the
        version of the settings is kept.
        """
        listing = self._pinned(get, self._listed(get, self._url))
        turn = self._round(get, memory, listing)
        if not self._pin and not secret and turn.places.main == STATUS:
            newer = self._newer(get, turn, listing)
            if newer and _overlap(newer, memory) >= _overlap(turn, memory):
                newer.places.requested_at = memory.now
                newer.findings = turn.findings
                return newer
        return turn

    def _pinned(self, get: Getter, listing: Listing) -> Listing:
        """Return the gbfs.json of the pinned version, *listing* if none is pinned."""
        if not self._pin or listing.version == self._pin:
            return listing
        offers = gbfs_places.offered(get, listing, self._url, tries=TRIES)
        if self._pin not in offers:
            versions = ", ".join(sorted({*offers, listing.version}))
            raise FeedUnavailable(
                f"version {self._pin} is not offered, only {versions}", cause="version"
            )
        return self._listed(get, offers[self._pin])

    def _round(self, get: Getter, memory: Memory, listing: Listing) -> _Round:
        """Return the round from *listing*, which is not remembered yet."""
        # If a list has lost its stations, the system is not collected without them.
        alone = self._vehicles and not memory.station_ids
        places = gbfs_places.places(listing, now=memory.now, alone=alone)
        return _Round(places, self._main(get, memory, places), listing.document)

    def _main(
        self, get: Getter, memory: Memory, places: Places, tries: int = MANY
    ) -> Document:
        """Return the main document, see `gbfs_places.main_document`."""
        ask = partial(places.status, get, self._url, tries=tries)
        return gbfs_places.main_document(places, ask, memory, vehicles=self._vehicles)

    def _next_round(self, get: Getter, memory: Memory, places: Places) -> _Round:
        """Return the round from the remembered *places*."""
        late = bool(places.own) and memory.now - places.worked > PATIENCE
        tries = TRIES + 1 if late else MANY
        try:
            turn = _Round(places, self._main(get, memory, places, tries))
        except RateLimited:
            raise
        except FeedError as error:
            if error.cause in GONE or late:
                return self._rediscovered(get, memory, places, error)
            raise
        if memory.now >= places.requested_at + DAY:
            self._look(get, memory, turn)
        return turn

    def _rediscovered(
        self, get: Getter, memory: Memory, places: Places, error: FeedError
    ) -> _Round:
        """Return the round from what gbfs.json lists now, as *places* are gone.

        The gbfs.json of the version in use is tried first, then that of the settings.
        """
        if places.own:
            try:
                listing = self._listed(get, places.own, tries=TRIES)
                moved = gbfs_places.places(listing, own=places.own, now=memory.now)
                status = moved.status(get, self._url, tries=ONCE)
                return _Round(moved, status, listing.document)
            except RateLimited:
                raise
            except (FeedError, PayloadError):
                pass
        listing = self._pinned(get, self._listed(get, self._url))
        turn = self._round(get, memory, listing)
        if turn.places.version != places.version and places.own:
            turn.findings[f"back to {turn.places.version} at {int(memory.now)}"] = (
                f"GBFS {turn.places.version} is read again: {places.version} no longer "
                f"works ({error}); station ids may have changed"
            )
        return turn

    def _look(self, get: Getter, memory: Memory, turn: _Round) -> None:
        """Read gbfs.json again and try a higher version; a failure costs nothing."""
        places = turn.places
        try:
            listing = self._listed(get, places.own or self._url, tries=ONCE)
        except (FeedError, PayloadError):
            places.requested_at = memory.now - DAY + HOUR
            return
        places.requested_at = memory.now
        turn.listing = listing.document
        if places.version not in {"", listing.version} and not places.own:
            turn.findings[f"version {listing.version} at {int(memory.now)}"] = (
                f"the feed is GBFS {listing.version} now, {places.version} before: "
                "station ids may have changed"
            )
        places.version = places.version if places.own else listing.version
        self._adopt(get, turn, listing)
        if places.main != STATUS:
            places.requested_at -= DAY - HOUR  # its stations may come at any time
        stays = self._pin or places.main != STATUS
        newer = None if stays else self._newer(get, turn, listing)
        if newer is None:
            return
        old, new = places.version, newer.places.version
        if _in_common(newer.status, turn.status) < SAME_IDS:
            turn.findings[f"version {new}"] = (
                f"GBFS {new} is offered and works, but its station ids differ from "
                f'those of {old}, which remains in use; version = "{new}" in the '
                "settings switches to it"
            )
            return
        newer.places.requested_at, turn.places = memory.now, newer.places
        turn.moved = ""
        turn.findings[f"version {new} at {int(memory.now)}"] = (
            f"GBFS {new} is read from now on, {old} before, with the same station ids "
            f'(version = "{old}" in the settings goes back)'
        )

    def _adopt(self, get: Getter, turn: _Round, listing: Listing) -> None:
        """Adopt the addresses of *listing*, that of the status once it has worked."""
        places, listed = turn.places, gbfs_places.in_listing(listing)
        status = listed.get(STATUS, "")
        if status and status != places.addresses.get(STATUS):
            trial = Places({STATUS: status})
            try:
                document = trial.status(get, self._url, tries=ONCE)
            except (FeedError, PayloadError) as error:
                if places.main == STATUS:
                    turn.findings["status moved"] = (
                        f"gbfs.json lists a new address for station_status that does "
                        f"not work ({error}): the old one remains in use"
                    )
            else:
                turn.status = turn.status if places.main == STATUS else document
                places.addresses[STATUS] = trial.addresses[STATUS]
        turn.moved = listed.get(INFORMATION, "") if places.main == STATUS else ""
        if turn.moved == places.addresses.get(INFORMATION, ""):
            turn.moved = ""
        elif turn.moved and INFORMATION not in places.addresses:
            places.addresses[INFORMATION] = turn.moved
        others = gbfs_places.NAMES.keys() - {STATUS, INFORMATION}
        places.addresses |= {name: listed[name] for name in others if name in listed}

    def _newer(self, get: Getter, turn: _Round, listing: Listing) -> _Round | None:
        """Return a round by the highest version on offer, None if it fails."""
        current = turn.places.version
        new = ""
        try:
            offers = gbfs_places.offered(get, listing, self._url)
            higher = [v for v in offers if version(current) < version(v)]
            new = max((v for v in higher if _is_supported(v)), key=version, default="")
            if not new:
                return None
            other = self._listed(get, offers[new], tries=ONCE)
            places = gbfs_places.places(other, own=offers[new])
            places.version = new
            status = places.status(get, self._url, tries=ONCE)
        except (FeedError, PayloadError) as error:
            if new:
                turn.findings[f"version {new}"] = (
                    f"GBFS {new} is offered and does not work ({error}): {current} is "
                    "read"
                )
            return None
        note = gbfs_places.remembered(places.note(self._url, ""), self._url, "")
        if note is None or STATUS not in note.addresses:
            return None  # its addresses contain secrets and could not be remembered
        return _Round(places, status, other.document)

    def read(self, documents: Documents) -> Snapshot:
        """Parse the documents; raises PayloadError."""
        fetched_at = max((item.fetched_at for item in documents), default=0.0)
        bodies = {item.name: item.body for item in documents}
        return gbfs_reader.snapshot(bodies, self._options, fetched_at)

    def renames(self, before: Documents, after: Documents) -> "Renames":
        """Guess which fields of *before* were renamed in *after*."""
        from bikecollect.feeds.reading import renames  # needed after drift only

        stamps = Stamps(UTC, self._options.fields.get(STAMP_FORMAT, ""))
        dialects = {
            "station_status": gbfs_reader.status_dialect(self._options),
            "station_information": gbfs_reader.information_dialect(self._options),
        }
        guesses = renames.Renames()
        for name, dialect in dialects.items():
            list_stations = partial(_stations_in, name)
            guesses += renames.between(before, after, list_stations, dialect, stamps)
        return guesses


def _stations_in(name: str, documents: Documents) -> list[Any]:
    """Return the stations in the document *name*, none if it is absent."""
    body = next((item.body for item in documents if item.name == name), None)
    return [] if body is None else gbfs_reader.stations(body)


def _is_supported(number: str) -> bool:
    """Return whether the version *number* is supported."""
    return version(number)[0] <= NEWEST_MAJOR


def _in_common(status: Document, other: Document) -> float:
    """Return the share of stations that two status documents have in common."""
    first, second = gbfs_reader.ids(status.body), gbfs_reader.ids(other.body)
    return len(first & second) / max(len(first | second), 1)


def _overlap(turn: _Round, memory: Memory) -> int:
    """Return how many stations of *turn* are known from earlier runs."""
    return len(gbfs_reader.ids(turn.status.body) & set(memory.station_ids))

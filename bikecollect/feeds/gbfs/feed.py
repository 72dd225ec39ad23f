"""GBFS, 1.0 to 3.x: which documents are fetched, and when.

Specification: https://github.com/MobilityData/gbfs; real feeds deviate from it.
"""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any

from bikecollect.core.errors import FeedError, PayloadError, RateLimited
from bikecollect.core.payload import (
    MANY,
    ONCE,
    Document,
    Documents,
    Getter,
    Memory,
    Payload,
)
from bikecollect.core.slots import DAY, HOUR
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds.gbfs import discovery, document_places, reader, versions
from bikecollect.feeds.gbfs.discovery import TRIES, Listing
from bikecollect.feeds.gbfs.document_places import (
    GONE,
    INFORMATION,
    STATUS,
    VEHICLES,
    Places,
)
from bikecollect.feeds.gbfs.extras import Extras, ExtrasFetcher
from bikecollect.feeds.gbfs.versions import Fetch
from bikecollect.feeds.reading.fields import STAMP_FORMAT
from bikecollect.feeds.reading.stamps import Stamps

if TYPE_CHECKING:
    from bikecollect.feeds.reading.renames import Renames

PATIENCE = 2 * HOUR
"""Seconds for which an adopted version may fail before the configured one is tried."""
MISSES = 24
"""Requests of gbfs.json, an hour apart, that fail before that is reported."""


class Gbfs:
    """A system by its ``gbfs.json`` at *url*; an empty *language* is the first listed.

    *fields* are the user's fields for single columns. *pin* is a fixed version, empty
    for the best that works. Slots are *interval* seconds long. If *kinds*, vehicles at
    stations are counted by kind; if *vehicles*, each vehicle is collected.
    """

    def __init__(
        self,
        url: str,
        zone: tzinfo,
        language: str = "",
        fields: Mapping[str, str] = {},
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
        self._options = reader.ReadOptions(zone, language, fields, kinds)

    def fetch(self, get: Getter, memory: Memory) -> Payload:
        """Get the status first, then the other documents that are due.

        Discovered addresses stay in use until new ones have worked; gbfs.json is
        requested again once a day, and a failure of that is ignored. A higher version
        is adopted at the first fetch, or if its stations have the same ids.
        """
        known, like = memory.notes, (self._url, self._pin, self._language)
        places = document_places.remembered(known.get(document_places.FEEDS), *like)
        if places is None or not self._is_known(places):
            state = self._first_fetch(get, memory, secret=places is not None)
            state.places.worked = memory.now
        else:
            state = self._next_fetch(get, memory, places)
        extras = self._fetch_extras(get, memory, state)
        state.findings |= discovery.other_language(state.listing, self._language)
        if (
            state.places.main == STATUS
            and INFORMATION not in state.places.addresses
            and not reader.has_information(state.status.body)
        ):
            state.findings["no station_information"] = (
                "the feed lists no station_information: names and places are missing"
            )
        return Payload(
            (*filter(None, [state.listing]), state.status, *extras.documents),
            notes={document_places.FEEDS: state.places.note(*like)} | extras.notes,
            incomplete=extras.incomplete,
            beside=extras.beside,
            findings={**state.findings, **extras.findings},
            fetched_at=state.status.fetched_at,
        )

    def _fetch_extras(self, get: Getter, memory: Memory, state: Fetch) -> Extras:
        """Get the other documents; if one is gone, its address is looked up at once.

        That is done an hour after the last request of gbfs.json, so that a document
        that is listed but never there does not cost requests in each slot.
        """
        due = HOUR <= memory.now - state.places.requested_at < DAY - HOUR
        before = state.places.addresses.copy()
        extras = self._extras(get, self._url, memory)(*state.for_extras)
        if not (extras.gone and due):
            return extras
        self._refresh(get, memory, state)
        after = state.places.addresses.copy()
        after[INFORMATION] = state.moved or after.get(INFORMATION, "")
        if all(after.get(name) == before[name] for name in extras.gone):
            return extras
        return self._extras(get, self._url, memory)(*state.for_extras)

    def _is_known(self, places: Places) -> bool:
        """Return whether the address of the main document is remembered."""
        addresses = places.addresses
        return STATUS in addresses or (self._vehicles and VEHICLES in addresses)

    def _listed(self, get: Getter, url: str, *, tries: int = MANY) -> Listing:
        return discovery.listed(get, url, self._url, self._language, tries=tries)

    def _first_fetch(self, get: Getter, memory: Memory, *, secret: bool) -> Fetch:
        """Return the state of the first fetch, from the gbfs.json of the settings.

        If addresses are *secret*, nothing is remembered and each fetch is like the
        first: the version of the settings is kept.
        """
        listing = self._pinned(get, self._listed(get, self._url))
        state = self._start(get, memory, listing)
        if not self._pin and not secret and state.places.main == STATUS:
            newer = self._newer(get, state, listing)
            if newer and _overlap(newer, memory) >= _overlap(state, memory):
                newer.places.requested_at = memory.now
                newer.findings = state.findings
                return newer
        return state

    def _pinned(self, get: Getter, listing: Listing, *, tries: int = MANY) -> Listing:
        pin, of = self._pin, partial(self._listed, get)
        return versions.pinned(get, of, listing, pin, self._url, tries=tries)

    def _start(self, get: Getter, memory: Memory, listing: Listing) -> Fetch:
        """Return the state after the status was fetched by *listing*, a gbfs.json."""
        places = document_places.places(
            listing,
            now=memory.now,
            alone=self._vehicles,
            had_stations=memory.had_stations,
        )
        return Fetch(places, self._main(get, memory, places), listing.document)

    def _main(
        self, get: Getter, memory: Memory, places: Places, tries: int = MANY
    ) -> Document:
        """Return the main document, see `document_places.main_document`."""
        ask = partial(places.status, get, self._url, tries=tries)
        return document_places.main_document(
            places, ask, memory, vehicles=self._vehicles
        )

    def _next_fetch(self, get: Getter, memory: Memory, places: Places) -> Fetch:
        """Return the state after the status was fetched by the remembered *places*."""
        late = bool(places.own) and memory.now - places.worked > PATIENCE
        tries = TRIES + 1 if late else MANY
        try:
            state = Fetch(places, self._main(get, memory, places, tries))
        except RateLimited:
            raise
        except FeedError as error:
            if error.cause not in GONE and not late:
                raise
            state = self._rediscovered(get, memory, places, error)
            state.places.worked = memory.now
            return state
        is_due = not 0 <= memory.now - places.requested_at < DAY
        stands_still = self._stands_still(state, memory.now)
        if places.own and (is_due or (late and stands_still)):
            state = self._better(get, memory, state)
        if not 0 <= memory.now - state.places.requested_at < DAY:
            self._refresh(get, memory, state)
        return state

    def _stands_still(self, state: Fetch, now: float) -> bool:
        """Return whether an adopted version stands still an hour after it last worked.

        If the version of the settings does, gbfs.json is requested: it may have moved.
        """
        places = state.places
        if 0 <= now - places.worked < HOUR:
            return False
        is_fresh = document_places.is_fresh(state.status, self._options)
        if places.own and not is_fresh:
            return True
        places.worked = now
        if not is_fresh:
            places.requested_at = min(places.requested_at, now - DAY)
        return False

    def _better(self, get: Getter, memory: Memory, state: Fetch) -> Fetch:
        """Return *state*, of an adopted version, or a fetch by that of the settings.

        An adopted version may lose its counts or stand still. If the version of the
        settings is no better, it is tried again hours later.
        """
        state.places.worked = memory.now
        try:
            listing = self._listed(get, self._url, tries=TRIES)
            other = document_places.places(listing, now=memory.now)
            status = other.status(get, self._url, tries=ONCE)
            document_places.check_no_worse(status, state.status, self._options)
        except (FeedError, PayloadError):
            return state
        try:
            document_places.check_no_worse(state.status, status, self._options)
        except PayloadError as error:
            back = Fetch(other, status, listing.document)
            return versions.gone_back(state, back, str(error), memory.now)
        return state

    def _rediscovered(
        self, get: Getter, memory: Memory, places: Places, error: FeedError
    ) -> Fetch:
        """Return the state after the status was fetched by a new gbfs.json.

        *places* failed. The gbfs.json in use is tried first, then that of the settings.
        """
        if places.own:
            try:
                listing = self._listed(get, places.own, tries=TRIES)
                moved = document_places.places(listing, own=places.own, now=memory.now)
                status = moved.status(get, self._url, tries=ONCE)
                return Fetch(moved, status, listing.document)
            except RateLimited:
                raise
            except (FeedError, PayloadError):
                pass
        listing = self._pinned(get, self._listed(get, self._url))
        state = self._start(get, memory, listing)
        if state.places.version != places.version and places.own:
            state.findings[f"back to {state.places.version} at {int(memory.now)}"] = (
                f"GBFS {state.places.version} is read again: {places.version} no "
                f"longer works ({error}); station ids may have changed"
            )
        return state

    def _refresh(self, get: Getter, memory: Memory, state: Fetch) -> None:
        """Read gbfs.json again and try a higher version; failures are ignored."""
        places = state.places
        try:
            listing = self._listed(get, places.own or self._url, tries=ONCE)
            listing = self._pinned(get, listing, tries=ONCE)
        except (FeedError, PayloadError) as error:
            places.requested_at = memory.now - DAY + HOUR
            if error.cause == "version":
                text = f"{error}: the known addresses remain in use"
                state.findings["pinned version"] = text
                return
            places.misses += 1
            if places.misses >= MISSES:
                state.findings["no gbfs.json"] = (
                    f"gbfs.json has failed for a day ({error}): the known addresses "
                    "remain in use, and new ones are not noticed"
                )
            return
        places.requested_at, places.misses = memory.now, 0
        state.listing = listing.document
        if places.version not in {"", listing.version} and not places.own:
            state.findings[f"version {listing.version} at {int(memory.now)}"] = (
                f"the feed is GBFS {listing.version} now, {places.version} before: "
                "station ids may have changed"
            )
        places.version = places.version if places.own else listing.version
        versions.adopt(get, self._url, state, listing)
        if places.main != STATUS:
            places.requested_at -= DAY - HOUR  # stations may be added at any time
        if not self._pin and places.main == STATUS:
            self._adopt_newer(get, memory, state, listing)

    def _adopt_newer(
        self, get: Getter, memory: Memory, state: Fetch, listing: Listing
    ) -> None:
        """Use a higher version that works, unless it has other stations."""
        newer = self._newer(get, state, listing)
        if newer is None:
            return
        old, new = state.places.version, newer.places.version
        if document_places.in_common(newer.status, state.status) < versions.SAME_IDS:
            state.findings[f"version {new}"] = (
                f"GBFS {new} is offered and works, but its station ids differ from "
                f'those of {old}, which remains in use; version = "{new}" in the '
                "settings switches to it"
            )
            return
        newer.places.requested_at = newer.places.worked = memory.now
        state.places = newer.places
        state.moved, state.information = "", newer.information
        state.findings[f"version {new} at {int(memory.now)}"] = (
            f"GBFS {new} is read from now on, {old} before, with the same station ids "
            f'(version = "{old}" in the settings goes back)'
        )

    def _newer(self, get: Getter, state: Fetch, listing: Listing) -> Fetch | None:
        url, options, vehicles = self._url, self._options, self._vehicles
        return versions.newer(get, url, options, state, listing, vehicles=vehicles)

    def read(self, documents: Documents) -> Snapshot:
        """Parse the documents; raises PayloadError."""
        fetched_at = max((item.fetched_at for item in documents), default=0.0)
        bodies = {item.name: item.body for item in documents}
        if STATUS not in bodies:
            discovery.check_received(documents, self._language)
        return reader.snapshot(bodies, self._options, fetched_at)

    def renames(self, before: Documents, after: Documents) -> "Renames":
        """Guess which fields of *before* were renamed in *after*."""
        from bikecollect.feeds.reading import renames  # needed after drift only

        stamps = Stamps(UTC, self._options.fields.get(STAMP_FORMAT, ""))
        dialects = {
            "station_status": reader.status_dialect(self._options),
            "station_information": reader.information_dialect(self._options),
        }
        guesses = renames.Renames()
        for name, dialect in dialects.items():
            list_stations = partial(_stations_in, name)
            guesses += renames.between(before, after, list_stations, dialect, stamps)
        return guesses


def _stations_in(name: str, documents: Documents) -> list[Any]:
    """Return the stations in the document *name*, none if it is absent."""
    body = next((item.body for item in documents if item.name == name), None)
    return [] if body is None else reader.stations(body)


def _overlap(state: Fetch, memory: Memory) -> int:
    """Return how many stations of *state* are known from earlier runs."""
    return len(reader.ids(state.status.body) & set(memory.station_ids))

"""GBFS documents besides the status: station information, types, regions.

The slot does not depend on them: each gets one request, and a failure is reported.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bikecollect.core.errors import FeedError, PayloadError
from bikecollect.core.payload import ONCE, Check, Document, Getter, Memory
from bikecollect.core.slots import DAY
from bikecollect.feeds.gbfs import reader
from bikecollect.feeds.gbfs.document_places import (
    ABOUT,
    GONE,
    INFORMATION,
    REGIONS,
    TYPES,
    VEHICLES,
    Places,
    verified,
)
from bikecollect.feeds.reading import (
    publisher_reader,
    vehicle_reader,
    vehicle_types,
)
from bikecollect.feeds.reading.aliases import gbfs_document, list_in
from bikecollect.feeds.reading.json_payload import at, decode
from bikecollect.feeds.reading.values import number

NOTE, ERRORS_NOTE = "gbfs.information", "gbfs.errors"
TYPES_NOTE = "gbfs.types_requested"
BODIES = {TYPES: "gbfs.vehicle_types", REGIONS: "gbfs.system_regions"}
"""The notes that hold a whole document, which is added to each payload."""
RETRY_AFTER = 600.0
"""Seconds from a failed request to the next."""
QUARTER = 900.0
"""Minimum seconds between two requests that are due to stations without information."""
MAX_UNKNOWN = 500
"""Maximum ids without information that are remembered."""
WEEK = 7 * DAY
USUAL = 300
"""Interval in seconds; with a shorter one the request for a new station is soon
repeated once."""
_STAMP = re.compile(rb'"last_updated(?:Other)?"\s*:\s*[^,}]+')


LISTS = {
    TYPES: (vehicle_types.PATHS, vehicle_types.IDS),
    REGIONS: (reader.REGIONS, ("region_id",)),
}


def _has_list(name: str, body: bytes) -> None:
    """Raise PayloadError if *body*, a document *name*, has no list of entries."""
    value, (paths, ids) = gbfs_document(body), LISTS[name]
    parent, _, key = paths[0].rpartition(".")
    data = at(value, parent)
    # Servers write an empty list as null (Go) or as an object (PHP).
    is_null = isinstance(data, Mapping) and key in data and data[key] is None
    if list_in(value, paths, ids) is None and not is_null:
        raise PayloadError(f"the response has no list {paths[0]}")


CHECKS: Mapping[str, Check] = {
    INFORMATION: reader.stations,
    **{name: partial(_has_list, name) for name in LISTS},
}


def _is_empty(name: str, body: bytes | str) -> bool:
    """Return whether the list in *body*, a document *name*, has no entries."""
    try:
        value = gbfs_document(body.encode() if isinstance(body, str) else body)
    except PayloadError:
        return True
    return not list_in(value, *LISTS[name])


def _as_text(body: bytes) -> str:
    """Return the JSON *body* as text; bytes that are not UTF-8 are read by `decode`."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return json.dumps(decode(body))


@dataclass
class Extras:
    """The *documents* and *notes* besides the status, and *errors* by document.

    The addresses of those that are *gone* may have changed.
    """

    documents: list[Document] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    findings: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def fail(self, name: str, error: FeedError | PayloadError) -> None:
        """Note that the request of the document *name* failed."""
        self.errors[name] = str(error)
        self.gone |= {name} if error.cause in GONE else set()

    @property
    def incomplete(self) -> str:
        """Why the station information failed, empty if it did not."""
        return self._failures({INFORMATION})

    @property
    def beside(self) -> str:
        """Which documents without stations failed and why, empty if none did."""
        return self._failures(set(BODIES))

    def _failures(self, names: set[str]) -> str:
        errors = {n: why for n, why in self.errors.items() if n in names}
        return "; ".join(f"{n} failed: {why}" for n, why in errors.items())


class ExtrasFetcher:
    """Gets the extras of the system at *url*, in slots of *interval* seconds."""

    def __init__(
        self,
        get: Getter,
        url: str,
        memory: Memory,
        interval: int,
        *,
        language: str = "",
        vehicles: bool = False,
    ) -> None:
        self._get, self._url, self._interval = get, url, interval
        self._vehicles, self._language = vehicles, language
        self._memory, self._now = memory, memory.now
        self._known = self._past(NOTE)
        self._failed = self._past(ERRORS_NOTE)
        self._received: Document | None = None

    def _past(self, name: str) -> dict[str, Any]:
        """Return the values of a note, without times in the future.

        The clock was ahead then: nothing would be requested until those times.
        """
        return {
            key: value
            for key, value in self._memory.values(name).items()
            if key not in {"at", "asked"} or value <= self._now
        }

    def __call__(
        self,
        places: Places,
        status: Document,
        moved: str = "",
        information: Document | None = None,
    ) -> Extras:
        """Get the documents that are due; *moved* is the information's new address.

        *information* is the station information if it was requested already. An error
        is reported in each run until the document is received.
        """
        self._received = information
        failed = dict(self._failed.get("errors", {}))
        listed = {n: why for n, why in failed.items() if n in places.addresses}
        extras = Extras(errors=listed)
        unknown = reader.ids(status.body) - set(self._memory.station_ids)
        waited = self._now - self._failed.get("at", -RETRY_AFTER) >= RETRY_AFTER
        due = information is not None or (
            INFORMATION in places.addresses
            and (moved or (waited and (INFORMATION in failed or self._is_due(unknown))))
        )
        stale = self._types_are_stale(places)
        new = TYPES in places.addresses and self._has_new_types(places, status)
        if waited and (stale or new):
            extras.notes[TYPES_NOTE] = str(int(self._now))
        wanted = {TYPES: due or stale or new, REGIONS: due or stale}
        bodies = {n for n in BODIES if n in failed or wanted[n]} if waited else set()
        bodies &= places.addresses.keys()
        if REGIONS in bodies:
            self._keep(places, extras, REGIONS)
        if due:
            self._inform(places, extras, unknown, moved)
        if TYPES in bodies:
            self._keep(places, extras, TYPES)
        for name in BODIES:
            if body := self._body(extras, name):
                document = Document(name, body.encode(), fetched_at=status.fetched_at)
                extras.documents.append(document)
        if self._vehicles and places.main != VEHICLES:
            self._fetch_vehicles(places, extras)
        if ABOUT in places.addresses:
            self._ask_publisher(places, extras)
        if extras.errors or failed:
            at = self._now if waited else self._failed["at"]
            note = {"at": at, "errors": extras.errors} if extras.errors else {}
            extras.notes[ERRORS_NOTE] = json.dumps(note) if note else ""
        return extras

    def _types_are_stale(self, places: Places) -> bool:
        """Return whether the types are due: once a day if vehicles are collected.

        If the feed has station information, they are requested together with it.
        """
        if not self._vehicles or INFORMATION in places.addresses:
            return False
        age = self._now - float(self._memory.notes.get(TYPES_NOTE) or 0)
        return not 0 <= age < DAY

    def _has_new_types(self, places: Places, status: Document) -> bool:
        """Return whether a type in use is unknown, once in a quarter of an hour."""
        since = self._now - float(self._memory.notes.get(TYPES_NOTE) or 0)
        body = self._memory.notes.get(BODIES[TYPES], "")
        if 0 <= since < QUARTER or not body:
            return False
        is_main = places.main == VEHICLES
        in_use = vehicle_reader.type_ids if is_main else reader.type_ids
        known = vehicle_types.read(body.encode())
        return known is not None and not in_use(status.body) <= known.types.keys()

    def _fetch_vehicles(self, places: Places, extras: Extras) -> None:
        """Get the vehicles, once; a failure leaves the slot without them."""
        key = f"no {VEHICLES}"
        if VEHICLES not in places.addresses:
            extras.findings[key] = (
                "`vehicles = true`, but the feed lists no vehicle_status and no "
                "free_bike_status"
            )
            return
        try:
            check = vehicle_reader.vehicles
            get = partial(places.get, self._get, VEHICLES, self._url)
            # A body that is not valid is kept too: as evidence, and for backfill.
            extras.documents.append(get(check=check, tries=ONCE))
        except FeedError as error:
            extras.findings[key] = f"{VEHICLES} failed: {error}"
            extras.gone |= {VEHICLES} if error.cause in GONE else set()
            places.requested_at = min(places.requested_at, self._now - DAY + QUARTER)

    def _ask_publisher(self, places: Places, extras: Extras) -> None:
        """Note who publishes the system, once a week; failures are ignored."""
        known = self._past(publisher_reader.NOTE)
        if self._now - known.get("at", -WEEK) < WEEK:
            return
        about = known.get("publisher", {})
        try:
            document = self._get_verified(places, ABOUT)
            about = publisher_reader.publisher(document.body, self._language)
            at = self._now
        except (FeedError, PayloadError):
            at = self._now - WEEK + DAY
        extras.notes[publisher_reader.NOTE] = json.dumps({"at": at, "publisher": about})

    def _is_due(self, unknown: set[str]) -> bool:
        """Return whether this run requests the information at its known address."""
        return self._expires() <= self._now or self._is_required_by(unknown)

    def _expires(self) -> float:
        """Return until when the information is valid: a day at most (epoch seconds)."""
        known = self._known
        return float(known.get("at", 0.0) + min(known.get("ttl", 0.0), DAY))

    def _is_required_by(self, unknown: set[str]) -> bool:
        """Return whether the *unknown* stations are a reason to request it."""
        since = self._now - self._known.get("asked", 0.0)
        if not unknown or since >= QUARTER:
            return bool(unknown)
        if unknown <= set(self._known.get("unknown", [])) and self._known.get("soon"):
            return bool(since >= self._interval * 1.5)
        return False

    def _inform(
        self, places: Places, extras: Extras, unknown: set[str], moved: str
    ) -> None:
        known = self._known
        by_id = bool(known) and self._expires() > self._now
        try:
            document = self._information(places, moved)
        except (FeedError, PayloadError) as error:
            extras.fail(INFORMATION, error)
            return
        extras.errors.pop(INFORMATION, None)
        body = document.body
        digest = hashlib.sha256(_STAMP.sub(b"", body)).hexdigest()
        regions = self._body(extras, REGIONS)
        renamed = regions != self._memory.notes.get(BODIES[REGIONS], "")
        # Unchanged except for its stamp: the payload need not contain it again.
        if digest != known.get("digest") or renamed or not self._memory.station_ids:
            extras.documents.append(document)
        still = sorted(unknown and unknown - reader.ids(body))[:MAX_UNKNOWN]
        first = by_id and not set(still) <= set(known.get("unknown", []))
        extras.notes[NOTE] = json.dumps(
            {
                "at": self._now,
                "ttl": max(0.0, number(at(gbfs_document(body), "ttl")) or 0.0),
                "digest": digest,
                "unknown": still,
                "asked": self._now if by_id else known.get("asked", 0.0),
                "soon": first and self._interval < USUAL,
            }
        )

    def _information(self, places: Places, moved: str) -> Document:
        """Return the information from its new address, or else from its old one."""
        if self._received is not None:
            return self._received
        before = places.addresses[INFORMATION]
        if moved and moved != before:
            places.addresses[INFORMATION] = moved
            try:
                return self._get_verified(places, INFORMATION)
            except (FeedError, PayloadError):
                places.addresses[INFORMATION] = before
        return self._get_verified(places, INFORMATION)

    def _get_verified(self, places: Places, name: str) -> Document:
        check = CHECKS.get(name, decode)
        document = places.get(self._get, name, self._url, check=check, tries=ONCE)
        return verified(document, check, self._url)

    def _keep(self, places: Places, extras: Extras, name: str) -> None:
        """Get the document *name* and store it in a note.

        An empty list does not replace one that has entries: it may be a mistake, and
        the stations would lose what they refer to.
        """
        try:
            body = self._get_verified(places, name).body
        except (FeedError, PayloadError) as error:
            extras.fail(name, error)
            return
        extras.errors.pop(name, None)
        if _is_empty(name, body) and not _is_empty(name, self._body(extras, name)):
            text = f"{name} is an empty list now: its last content remains in use"
            extras.findings[f"empty {name}"] = text
        else:
            extras.notes[BODIES[name]] = _as_text(body)

    def _body(self, extras: Extras, name: str) -> str:
        note = BODIES[name]
        return extras.notes.get(note, self._memory.notes.get(note, ""))

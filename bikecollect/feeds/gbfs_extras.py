"""GBFS beside the status: what stays at the stations, and the types of vehicles.

Neither may cost the slot: each is asked once, and what does not come is told.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bikecollect.core.errors import FeedError, PayloadError
from bikecollect.core.payload import ONCE, Document, Getter, Memory
from bikecollect.core.slots import DAY
from bikecollect.feeds import gbfs_reader
from bikecollect.feeds.gbfs_places import (
    INFORMATION,
    REGIONS,
    TYPES,
    Places,
    verified,
)
from bikecollect.feeds.reading.json_payload import at, decode
from bikecollect.feeds.reading.values import number

NOTE, ERRORS_NOTE = "gbfs.information", "gbfs.errors"
BODIES = {TYPES: "gbfs.vehicle_types", REGIONS: "gbfs.system_regions"}
"""The notes that hold a whole document, for each payload that is read by it."""
REST = 600.0
"""Seconds without another try, after one that failed."""
QUARTER = 900.0
"""Seconds between two tries for the same station that no information knows."""
MOST_UNKNOWN, MOST_TYPES = 500, 262_144
"""Ids that no information has, and letters of vehicle types, that are remembered."""
USUAL = 300
"""In slots shorter than that a new station is asked for once more, soon."""
_STAMP = re.compile(rb'"last_updated(?:Other)?"\s*:\s*[^,}]+')


@dataclass
class Extras:
    """What came beside the status: *documents*, *notes*, and what did not come."""

    documents: list[Document] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def incomplete(self) -> str:
        """Why a part is missing, empty where none is."""
        return "; ".join(f"{n} did not come: {why}" for n, why in self.errors.items())


class Extra:
    """Gets the extras of the system at *url*, in slots of *interval* seconds."""

    def __init__(self, get: Getter, url: str, memory: Memory, interval: int) -> None:
        self._get, self._url, self._interval = get, url, interval
        self._memory, self._now = memory, memory.now
        self._known = _note(memory.notes.get(NOTE))
        self._failed = _note(memory.notes.get(ERRORS_NOTE))

    def __call__(self, places: Places, status: Document, moved: str = "") -> Extras:
        """Return what is due beside *status*; *moved* is the information's new place.

        An error is told until the document has come.
        """
        failed = dict(self._failed.get("errors", {}))
        found = Extras(errors=dict(failed))
        unknown = gbfs_reader.ids(status.body) - set(self._memory.station_ids)
        rested = self._now - self._failed.get("at", -REST) >= REST
        due = INFORMATION in failed or self._is_due(unknown, moved)
        due = due and rested and INFORMATION in places.addresses
        wanted = [n for n in BODIES if n in places.addresses and (due or n in failed)]
        if REGIONS in wanted and rested:
            self._keep(places, found, REGIONS)
        if due:
            self._inform(places, found, unknown, moved)
        if TYPES in wanted and rested:
            self._keep(places, found, TYPES)
        for name in BODIES:
            if body := self._body(found, name):
                document = Document(name, body.encode(), fetched_at=status.fetched_at)
                found.documents.append(document)
        if found.errors or failed:
            at = self._now if rested else self._failed["at"]
            note = {"at": at, "errors": found.errors} if found.errors else {}
            found.notes[ERRORS_NOTE] = json.dumps(note) if note else ""
        return found

    def _is_due(self, unknown: set[str], moved: str) -> bool:
        """Return whether the information is asked for in this run."""
        if moved or self._expires() <= self._now:
            return True
        return self._is_asked_for(unknown)

    def _expires(self) -> float:
        """Return until when the information is believed: a day at most."""
        known = self._known
        return float(known.get("at", 0.0) + min(known.get("ttl", 0.0), DAY))

    def _is_asked_for(self, unknown: set[str]) -> bool:
        """Return whether a station that no information knows makes it be asked."""
        since = self._now - self._known.get("asked", 0.0)
        if not unknown or since >= QUARTER:
            return bool(unknown)
        if unknown <= set(self._known.get("unknown", [])) and self._known.get("soon"):
            return bool(since >= self._interval * 1.5)
        return False

    def _inform(
        self, places: Places, found: Extras, unknown: set[str], moved: str
    ) -> None:
        known = self._known
        by_id = bool(known) and self._expires() > self._now
        try:
            got = self._information(places, moved)
        except (FeedError, PayloadError) as error:
            found.errors[INFORMATION] = str(error)
            return
        found.errors.pop(INFORMATION, None)
        digest = hashlib.sha256(_STAMP.sub(b"", got.body)).hexdigest()
        regions = self._body(found, REGIONS)
        renamed = regions != self._memory.notes.get(BODIES[REGIONS], "")
        # Unchanged but for its stamp: the payload need not hold it again.
        if digest != known.get("digest") or renamed or not self._memory.station_ids:
            found.documents.append(got)
        still = sorted(unknown - gbfs_reader.ids(got.body))[:MOST_UNKNOWN]
        first = by_id and not set(still) <= set(known.get("unknown", []))
        found.notes[NOTE] = json.dumps(
            {
                "at": self._now,
                "ttl": max(0.0, number(at(decode(got.body), "ttl")) or 0.0),
                "digest": digest,
                "unknown": still,
                "asked": self._now if by_id else known.get("asked", 0.0),
                "soon": first and self._interval < USUAL,
            }
        )

    def _information(self, places: Places, moved: str) -> Document:
        """Return the information from its new place, or else from its old one."""
        before = places.addresses[INFORMATION]
        if moved and moved != before:
            places.addresses[INFORMATION] = moved
            try:
                return self._asked(places, INFORMATION)
            except (FeedError, PayloadError):
                places.addresses[INFORMATION] = before
        return self._asked(places, INFORMATION)

    def _asked(self, places: Places, name: str) -> Document:
        check = gbfs_reader.stations if name == INFORMATION else decode
        got = places.get(self._get, name, self._url, check=check, tries=ONCE)
        return verified(got, check, self._url)

    def _keep(self, places: Places, found: Extras, name: str) -> None:
        """Get the document *name*, to be kept in a note."""
        try:
            body = self._asked(places, name).body.decode("utf-8-sig")
        except (FeedError, PayloadError, UnicodeDecodeError) as error:
            found.errors[name] = str(error)
        else:
            found.errors.pop(name, None)
            found.notes[BODIES[name]] = body

    def _body(self, found: Extras, name: str) -> str:
        note = BODIES[name]
        return found.notes.get(note, self._memory.notes.get(note, ""))


def _note(note: str | None) -> Mapping[str, Any]:
    try:
        found = json.loads(note or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

"""GBFS, 1.0 to 3.x: what is fetched, and when.

Source: https://github.com/MobilityData/gbfs; the dialects in the wild differ.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any

from bikecollect.core.errors import FeedError, FeedUnavailable, PayloadError
from bikecollect.core.payload import (
    MANY,
    Check,
    Document,
    Documents,
    Fetched,
    Getter,
    Memory,
)
from bikecollect.core.slots import DAY
from bikecollect.core.snapshot import Snapshot
from bikecollect.feeds import gbfs_reader
from bikecollect.feeds.gbfs_discovery import (
    TRIES,
    addresses,
    ask,
    named,
    version,
    without_secrets,
)
from bikecollect.feeds.http.urls import joined
from bikecollect.feeds.reading.fields import STAMP_FORMAT
from bikecollect.feeds.reading.json_payload import at, decode
from bikecollect.feeds.reading.stamps import Stamps
from bikecollect.feeds.reading.values import number

if TYPE_CHECKING:
    from bikecollect.feeds.reading.renames import Renames

FEEDS, INFORMATION, TYPES = "gbfs.feeds", "gbfs.information", "gbfs.vehicle_types"
NEWEST_MAJOR = 3
REST = 600.0
GONE = frozenset({"http-404", "http-410", "redirect", "address"})
"""Causes after which a remembered address is looked up anew."""
ADDRESSES = ("status", "information", "types")
_STAMP = re.compile(rb'"last_updated(?:Other)?"\s*:\s*[^,}]+')


class Gbfs:
    """A system by its ``gbfs.json`` at *url*; *language* empty takes the first.

    *fields* name the fields of single columns.
    """

    def __init__(
        self,
        url: str,
        zone: tzinfo,
        language: str = "",
        fields: Mapping[str, str] | None = None,
    ) -> None:
        self._url, self._language = url, language
        self._way = gbfs_reader.Way(zone, language, fields or {})

    def fetch(self, get: Getter, memory: Memory) -> Fetched:
        """Get the status, and what is due of the rest.

        The feeds' addresses are asked for once a day, or when one is gone; the
        station information when its ttl is over or an unknown station appears.
        """
        feeds = self._feeds(get, memory)
        documents: list[Document] = feeds.pop("documents", [])
        try:
            status = self._status(get, feeds)
        except FeedError as error:
            if error.cause not in GONE or not feeds["old"]:
                raise
            feeds = self._discover(get, memory)
            documents = feeds.pop("documents")
            status = self._status(get, feeds)
        documents.append(status)
        more, told = self._rest(get, memory, feeds, status)
        notes = {FEEDS: json.dumps(self._remembered(feeds))}
        return Fetched((*documents, *more), {**notes, **told})

    def _status(self, get: Getter, feeds: dict[str, Any]) -> Document:
        check = gbfs_reader.stations
        return self._asked(get, "station_status", feeds, "status", check=check)

    def _asked(
        self,
        get: Getter,
        name: str,
        feeds: dict[str, Any],
        key: str,
        *,
        check: Check,
        tries: int = MANY,
    ) -> Document:
        """Return the document *name*, whose address is *feeds*' *key*.

        An http address below https is tried by https, until one of them has answered.
        """
        base = "" if key in feeds["proven"] else self._url
        got, feeds[key] = ask(get, name, feeds[key], base, check=check, tries=tries)
        feeds["proven"] = sorted({*feeds["proven"], key})
        return got

    def _remembered(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Return *feeds* as the ledger may hold them: no addresses where one is secret.

        Then gbfs.json is asked for again in each run.
        """
        kept = {key: without_secrets(feeds[key], self._url) for key in ADDRESSES}
        secret = any(feeds[key] and not kept[key] for key in ADDRESSES)
        places = dict.fromkeys(ADDRESSES, "") if secret else kept
        about = {"url": named(self._url), "at": feeds["at"], "old": True}
        return {**about, **places, "proven": feeds["proven"]}

    def read(self, documents: Documents) -> Snapshot:
        """Return what the documents say; raises PayloadError."""
        fetched_at = max((each.fetched_at for each in documents), default=0.0)
        bodies = {each.name: each.body for each in documents}
        return gbfs_reader.snapshot(bodies, self._way, fetched_at)

    def renames(self, before: Documents, after: Documents) -> "Renames":
        """Return which fields of *before* have another name in *after*."""
        from bikecollect.feeds.reading import renames

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

    def _feeds(self, get: Getter, memory: Memory) -> dict[str, Any]:
        """Return the addresses, as remembered where that is not long ago."""
        try:
            known = json.loads(memory.notes.get(FEEDS, "null"))
            fresh = known and known["at"] + DAY > memory.now
            if fresh and known["url"] == named(self._url) and known["status"]:
                return {"proven": [], **known}
        except (ValueError, KeyError, TypeError):
            pass  # a note of another version: ask again
        return self._discover(get, memory)

    def _discover(self, get: Getter, memory: Memory) -> dict[str, Any]:
        document = get("gbfs", self._url, check=decode)
        listed = self._listed(document)
        if "gbfs_versions" in listed:
            document, listed = self._newest(get, listed, document)
        if "station_status" not in listed:
            names = ", ".join(sorted(listed)) or "nothing"
            raise FeedUnavailable(
                f"{document.url} lists no station_status but {names}: "
                "a system without stations cannot be collected",
                cause="no-stations",
            )
        return {
            "at": memory.now,
            "old": False,
            "proven": [],
            "status": listed["station_status"],
            "information": listed.get("station_information", ""),
            "types": listed.get("vehicle_types", ""),
            "documents": [document],
        }

    def _listed(self, document: Document) -> dict[str, str]:
        """Return the addresses that the gbfs.json *document* lists."""
        base = document.url or self._url
        return addresses(decode(document.body), self._language, base)

    def _newest(
        self, get: Getter, listed: dict[str, str], document: Document
    ) -> tuple[Document, dict[str, str]]:
        """Return the newest version on offer that is understood; else the given one."""
        mine = version(at(decode(document.body), "version"))
        try:
            offer, _ = ask(get, "versions", listed["gbfs_versions"], self._url)
            versions = at(decode(offer.body), "data.versions")
            rest = [
                (version(each.get("version")), joined(offer.url, str(each.get("url"))))
                for each in (versions if isinstance(versions, list) else [])
                if isinstance(each, dict) and each.get("url")
            ]
            best = max((v for v in rest if v[0][0] <= NEWEST_MAJOR), default=(mine, ""))
            if best[0] <= mine:
                return document, listed
            other, _ = ask(get, "gbfs", best[1], self._url, check=decode)
            found = self._listed(other)
        except (FeedError, PayloadError):
            return document, listed
        return (other, found) if "station_status" in found else (document, listed)

    def _rest(
        self, get: Getter, memory: Memory, feeds: dict[str, Any], status: Document
    ) -> tuple[list[Document], dict[str, str]]:
        """Return the other documents that are due; none of them may cost the slot."""
        known = _note(memory.notes.get(INFORMATION))
        types = memory.notes.get(TYPES, "")
        unknown = sorted(gbfs_reader.ids(status.body) - set(memory.station_ids))
        due = known.get("at", 0.0) + known.get("ttl", 0.0) <= memory.now
        fresh = bool(set(unknown) - set(known.get("unknown", [])))
        documents: list[Document] = []
        notes: dict[str, str] = {}
        if feeds["information"] and (due or fresh):
            try:
                got = self._asked(
                    get,
                    "station_information",
                    feeds,
                    "information",
                    check=gbfs_reader.stations,
                    tries=TRIES,
                )
                digest = hashlib.sha256(_STAMP.sub(b"", got.body)).hexdigest()
                # Unchanged but for its stamp: the payload need not hold it again.
                if digest != known.get("digest") or not memory.station_ids:
                    documents.append(got)
                ttl = number(at(decode(got.body), "ttl")) or 0.0
                about = {"at": memory.now, "ttl": ttl, "digest": digest}
                notes[INFORMATION] = json.dumps({**about, "unknown": unknown})
                if feeds["types"]:
                    got = self._asked(
                        get, "vehicle_types", feeds, "types", check=decode
                    )
                    notes[TYPES] = types = got.body.decode()
            except (FeedError, PayloadError, UnicodeDecodeError):
                # The status came; what stays at a station can wait some slots.
                again = {**known, "at": memory.now, "ttl": REST, "unknown": unknown}
                notes[INFORMATION] = json.dumps(again)
        if types:
            documents.append(
                Document("vehicle_types", types.encode(), fetched_at=status.fetched_at)
            )
        return documents, notes


def _stations_in(name: str, documents: Documents) -> list[Any]:
    """Return the stations that the document *name* lists, none where it is absent."""
    body = next((each.body for each in documents if each.name == name), None)
    return [] if body is None else gbfs_reader.stations(body)


def _note(note: str | None) -> dict[str, Any]:
    try:
        found = json.loads(note or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

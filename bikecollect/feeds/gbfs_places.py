"""Where the documents of a GBFS system lie, as it is remembered from run to run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bikecollect.core.errors import FeedUnavailable, PayloadError
from bikecollect.core.payload import MANY, ONCE, Check, Document, Getter
from bikecollect.feeds import gbfs_reader
from bikecollect.feeds.gbfs_discovery import (
    addresses,
    ask,
    named,
    version,
    without_secrets,
)
from bikecollect.feeds.http.urls import joined, same_origin
from bikecollect.feeds.reading.json_payload import at, decode
from bikecollect.feeds.reading.values import text

FEEDS = "gbfs.feeds"
HOUR = 3_600
STATUS, INFORMATION = "station_status", "station_information"
TYPES, REGIONS = "vehicle_types", "system_regions"
NAMES = {STATUS: "status", INFORMATION: "information", TYPES: "types"}
NAMES |= {REGIONS: "regions"}
"""What is remembered, and by which keys of the note."""


class Listing(NamedTuple):
    """A gbfs.json: its *document*, the *addresses* that it lists, and its version."""

    document: Document
    addresses: Mapping[str, str]
    version: str


@dataclass
class Places:
    """The addresses of a system's documents by name, and how they were found.

    *own* is the address of the gbfs.json of this *version*, empty for the one of the
    settings. It was *looked* at last in that second; the status *worked* last in that
    hour. *proven* are names whose address has answered.
    """

    addresses: dict[str, str]
    version: str = ""
    own: str = ""
    looked: float = 0.0
    worked: float = 0.0
    proven: set[str] = field(default_factory=set)

    def get(
        self,
        get: Getter,
        name: str,
        url: str,
        *,
        check: Check,
        tries: int = MANY,
    ) -> Document:
        """Return the document *name* of the system at *url*; raises what *get* does.

        An http address below https is tried by https, until one of them has answered.
        """
        base = "" if name in self.proven else url
        place = self.addresses[name]
        document, place = ask(get, name, place, base, check=check, tries=tries)
        self.addresses[name] = place
        self.proven.add(name)
        return document

    def status(self, get: Getter, url: str, *, tries: int = MANY) -> Document:
        """Return the status; one of few *tries* must be a list of stations."""
        found = self.get(get, STATUS, url, check=gbfs_reader.stations, tries=tries)
        return verified(found, gbfs_reader.stations, url) if tries == ONCE else found

    def note(self, url: str, pin: str) -> str:
        """Return what to remember: no addresses where one holds a secret.

        Then the gbfs.json at *url* is asked for again in each run.
        """
        all_of = {**self.addresses, "own": self.own}
        kept = {name: without_secrets(each, url) for name, each in all_of.items()}
        if any(each and not kept[name] for name, each in all_of.items()):
            kept = {}
        return json.dumps(
            {
                "url": named(url),
                "pin": pin,
                "at": self.looked,
                "worked": self.worked // HOUR * HOUR,
                **{key: kept.get(name, "") for name, key in NAMES.items()},
                "version": self.version,
                "own": kept.get("own", ""),
                "proven": sorted(self.proven),
            }
        )


def remembered(note: str | None, url: str, pin: str) -> Places | None:
    """Return what `Places.note` wrote for *url* and *pin*, None for anything else."""
    try:
        known = json.loads(note or "{}")
        if known["url"] != named(url) or known.get("pin", "") != pin:
            return None
        found = {name: known.get(key, "") for name, key in NAMES.items()}
        return Places(
            {name: str(each) for name, each in found.items() if each},
            version=str(known.get("version", "")),
            own=str(known.get("own", "")),
            looked=float(known["at"]),
            worked=float(known.get("worked", 0)),
            proven=set(known["proven"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def verified(document: Document, check: Check, url: str) -> Document:
    """Return *document* of the system at *url*, which *check* must find good.

    Raises PayloadError, which quotes the system's own host only.
    """
    try:
        check(document.body)
    except PayloadError as error:
        if same_origin(document.url, url):
            raise
        raise error.unquoted() from None
    return document


def listed(
    get: Getter, url: str, base: str, language: str, *, tries: int = MANY
) -> Listing:
    """Return what the gbfs.json at *url*, found from *base*, lists.

    Raises FeedError where it does not come, PayloadError where it is none.
    """
    document, _ = ask(get, "gbfs", url, base, check=decode, tries=tries)
    value = decode(document.body)
    found = addresses(value, language, document.url or url)
    return Listing(document, found, shown(at(value, "version")))


def shown(value: Any) -> str:
    """Return the version *value* as two numbers with a dot."""
    major, minor = version(value)
    return f"{major}.{minor}"


def places(listing: Listing, *, own: str = "", now: float = 0.0) -> Places:
    """Return the places that *listing* names; raises FeedUnavailable for no status."""
    if STATUS not in listing.addresses:
        names = ", ".join(sorted(listing.addresses)) or "nothing"
        raise FeedUnavailable(
            f"{listing.document.url} lists no station_status but {names}: "
            "a system without stations cannot be collected",
            cause="no-stations",
        )
    found = {
        name: listing.addresses[name] for name in NAMES if name in listing.addresses
    }
    return Places(found, listing.version, own, looked=now)


def offered(
    get: Getter, listing: Listing, url: str, *, tries: int = ONCE
) -> dict[str, str]:
    """Return the addresses of the gbfs.json of each version on offer.

    Raises FeedError or PayloadError where they are not told.
    """
    if "gbfs_versions" not in listing.addresses:
        return {}
    place = listing.addresses["gbfs_versions"]
    offer, _ = ask(get, "versions", place, url, check=decode, tries=tries)
    versions = at(decode(offer.body), "data.versions")
    if not isinstance(versions, list):
        raise PayloadError("it has no data.versions")
    return {
        shown(at(each, "version")): joined(offer.url, str(at(each, "url")))
        for each in versions
        if text(at(each, "url"))
    }
